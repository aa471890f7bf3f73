"""Fixtures for the command line: commands in this process, in a directory of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from tactful.cli.main import tactful
from tactful.testing.smtp_sink import SmtpSink


class Said(NamedTuple):
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and no settings from outside."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TACTFUL_CONFIG", raising=False)
    return tmp_path


@pytest.fixture
def run(here: Path) -> Callable[..., Said]:
    """Runs a command here; an exception that is no error of Tactful comes through."""

    def call(*arguments: str, stdin: str | bytes | None = None) -> Said:
        result = CliRunner(catch_exceptions=False).invoke(tactful, arguments, input=stdin)
        return Said(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def ready(run: Callable[..., Said]) -> Callable[..., Said]:
    """The same, after `tactful init`."""
    assert run("init").code == 0
    return run


@pytest.fixture
def process(here: Path) -> Callable[..., Said]:
    """Runs a command as a process of its own."""

    def call(*arguments: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "tactful", *arguments],
            cwd=here,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def sink(here: Path) -> Iterator[SmtpSink]:
    """A mail server, and a `tactful.toml` that sends to it."""
    with SmtpSink() as server:
        (here / "tactful.toml").write_text(
            f'[smtp]\nhost = "{server.host}"\nport = {server.port}\nsender = "me@example.org"\n'
            '[rules.status]\ntypes = ["status"]\nlimit = "2/minute"\n'
        )
        yield server
