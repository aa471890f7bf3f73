"""An environment of its own for every peer's program, made when it is first needed.

A program says in its head which Python and which packages it needs (PEP 723, inline script
metadata), with exact versions. Whatever cannot be had here is `Unavailable`, with the reason: a
peer is never left out in silence.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(__file__).with_name("programs")
HOME = ROOT / ".venv-peers"
MADE = "made-from"

_METADATA = re.compile(r"^# /// script\n((?:#(?: .*)?\n)+?)# ///$", re.MULTILINE)
_NEWEST_MINOR = 14


class Unavailable(Exception):  # an outcome to print, not a fault of this program
    """Why a peer, or something that it needs, cannot be had on this machine."""


class Environment(NamedTuple):
    """An interpreter, its version, and the packages that are installed for it."""

    python: Path
    version: str
    packages: dict[str, str]


def metadata(program: Path) -> dict[str, Any]:
    """What the head of a program says: `requires-python` and `dependencies`."""
    found = _METADATA.search(program.read_text("utf-8"))
    if found is None:
        raise ValueError(f"{program.name} has no inline script metadata")
    return tomllib.loads(re.sub(r"^# ?", "", found[1], flags=re.MULTILINE))


def prepare(program: str) -> Environment:
    """The environment of a program of `programs/`; raises `Unavailable`."""
    needs = metadata(PROGRAMS / f"{program}.py")
    interpreter = _interpreter(needs["requires-python"])
    folder = HOME / program
    python = folder / "bin" / "python"
    wanted = hashlib.sha256(json.dumps([str(interpreter), needs]).encode()).hexdigest()
    stamp = folder / MADE
    if not stamp.is_file() or stamp.read_text("utf-8") != wanted:
        print(f"installing what {program} needs", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _run([interpreter, "-m", "venv", folder])
        pip = ["-m", "pip", "--disable-pip-version-check", "-q", "install"]
        if needs["dependencies"]:
            _run([python, *pip, *needs["dependencies"]])
        stamp.write_text(wanted, "utf-8")
    script = (
        "import json, platform; from importlib.metadata import distributions;"
        "print(json.dumps([platform.python_version(),"
        " {d.name.lower(): d.version for d in distributions()}]))"
    )
    version, packages = json.loads(_run([python, "-c", script]))
    for tool in ("pip", "setuptools"):
        packages.pop(tool, None)
    return Environment(python, version, dict(sorted(packages.items())))


def _interpreter(required: str) -> str:
    """This Python if it is new enough, or else the oldest on this machine that is."""
    least = int(required.removeprefix(">=3."))
    if sys.version_info >= (3, least):
        return sys.executable
    for candidate in _candidates(least):
        script = "import ensurepip, sys; print(sys.version_info[1])"
        try:
            if int(_run([candidate, "-c", script])) >= least:
                return candidate
        except Unavailable:
            continue  # a shim may be there without the Python that it stands for
    raise Unavailable(f"needs Python 3.{least} or newer, which is not on this machine")


def _candidates(least: int) -> Iterator[str]:
    for minor in range(least, _NEWEST_MINOR + 1):
        yield f"python3.{minor}"
        versions = Path.home() / ".pyenv" / "versions"
        yield from map(str, sorted(versions.glob(f"3.{minor}.*/bin/python")))


def _run(command: Sequence[str | Path]) -> str:
    """The output of a command; raises `Unavailable` with the end of what it complained about."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
    except OSError as error:
        raise Unavailable(f"{command[0]}: {error.strerror}") from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["no reason given"]
        raise Unavailable(f"not installed: {lines[-1]}") from error
    return done.stdout
