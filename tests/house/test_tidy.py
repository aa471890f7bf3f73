"""The house rules that a machine can check, read from the sources without importing them.

Each rule is a function from a file to its findings, and each finding says what to write instead.
`CASES` holds, for every rule, a file that it must find fault with and one that it must leave alone.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

MODULE_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
PUBLIC_METHODS_MAX = 20
FACADE_METHODS_MAX = 30
FACADE = "Tactful"

VAGUE_NAMES = frozenset(
    ("base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils")
)

CLOCK_READS = frozenset(
    f"time.{name}{suffix}"
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time")
    for suffix in ("", "_ns")
) | {
    "time.sleep",
    "time.localtime",  # converts, but to the zone of the machine
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}
CLOCK_HOMES = (
    "src/tactful/runtime/",
    "src/tactful/channels/egress/",
    "src/tactful/channels/smtp/",
    "src/tactful/testing/",
)

HTTP_CLIENTS = (
    "aiohttp",
    "http.client",
    "httpx",
    "httpx2",
    "requests",
    "urllib.request",
    "urllib3",
)
HTTP_HOMES = (
    "src/tactful/channels/egress/",
    "src/tactful/client/",  # goes to the one place that it was given, for somebody else's program
    "src/tactful/testing/",
)

RANDOM_SOURCES = ("random", "secrets", "os.urandom", "uuid.uuid1", "uuid.uuid4")
RANDOM_HOMES = (
    "src/tactful/client/",  # keys for repeating; there is no engine here that could give them
    "src/tactful/runtime/",
    "src/tactful/sim/",
    "src/tactful/testing/",
)

# fmt: off
CORE_MAY_IMPORT = frozenset(
    (
        "__future__", "abc", "bisect", "calendar", "collections", "collections.abc",
        "dataclasses", "datetime", "enum", "functools", "hashlib", "heapq", "itertools", "json",
        "math", "operator", "re", "string", "struct", "types", "typing", "unicodedata",
        "zoneinfo",
    )
)
# fmt: on
CORE_MAY_NOT_CALL = frozenset(("open", "print", "input", "exec", "eval", "globals", "breakpoint"))

SLEEPS = ("time.sleep", "asyncio.sleep")
SLEEPS_ALLOWED: dict[str, str] = {}
"""A test file that may sleep, and why. A test that waits for an event needs no entry."""

TIME_FREEZERS = ("freezegun", "time_machine")
SKIPS = (
    "pytest.skip",
    "pytest.xfail",
    "pytest.importorskip",
    "pytest.mark.skip",
    "pytest.mark.skipif",
    "pytest.mark.xfail",
    "unittest.skip",
    "unittest.skipIf",
    "unittest.skipUnless",
)

# Written in pieces, so that this file is no finding of its own.
LEFTOVERS = re.compile(rf"\b(?:{'|'.join(('TO' + 'DO', 'FIX' + 'ME', 'X' * 3))})\b")
REGISTRY_HOSTS = re.compile(
    "|".join(
        re.escape(".".join(host))
        for host in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))
    )
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.$}~>/-])/(?:" + "|".join(("root", "home", "work", "Users")) + r")/\w"
)

SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
SQL_CLOCK = re.compile(
    r"'now'|\b(?:now|clock_timestamp|statement_timestamp)\s*\(|\bunixepoch\s*\(\s*\)"
    r"|\bcurrent_(?:timestamp|date|time)\b|\blocaltime(?:stamp)?\b",
    re.IGNORECASE,
)


class Source(NamedTuple):
    """One file: its path below the root, with forward slashes, and its text."""

    path: str
    text: str


Rule = Callable[[Source], Iterator[str]]


# Reading --------------------------------------------------------------------------------------


@cache
def sources() -> tuple[Source, ...]:
    """Every text file of the tree that is not ignored by `.gitignore`."""
    lines = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    ignored = [".git", *(line.strip("/") for line in lines if not line.startswith("#"))]
    found = []
    waiting = [ROOT]
    while waiting:
        for path in sorted(waiting.pop().iterdir()):
            if any(fnmatch(path.name, pattern) for pattern in ignored) or path.is_symlink():
                continue
            if path.is_dir():
                waiting.append(path)
                continue
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            found.append(Source(path.relative_to(ROOT).as_posix(), text))
    return tuple(found)


@cache
def parsed(source: Source) -> ast.Module:
    return ast.parse(source.text, source.path)


def imported_names(tree: ast.AST) -> dict[str, str]:
    """What each imported name of a module stands for: `{"dt": "datetime.datetime"}`."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
                else:
                    top = alias.name.partition(".")[0]
                    names[top] = top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str | None:
    """The full name that an expression such as `dt.now` spells, if its root is imported."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or node.id not in names:
        return None
    return ".".join((names[node.id], *reversed(parts)))


def uses(source: Source) -> Iterator[tuple[int, str]]:
    """Every imported thing that a module names, with its line: by import or by attribute."""
    tree = parsed(source)
    names = imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node, names)
            if name:
                yield node.lineno, name
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def within(name: str, wholes: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of these or lies inside one of them."""
    return any(name == whole or name.startswith(whole + ".") for whole in wholes)


def body_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """The length of a function without decorators and docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


# Shape ----------------------------------------------------------------------------------------


def module_size(source: Source) -> Iterator[str]:
    lines = source.text.count("\n")
    if lines > MODULE_LINES_MAX:
        yield f"{source.path}: {lines} lines; split it by idea, {MODULE_LINES_MAX} are the most"


def function_size(source: Source) -> Iterator[str]:
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = body_lines(node)
            if lines > FUNCTION_LINES_MAX:
                yield (
                    f"{source.path}:{node.lineno}: {node.name} has {lines} lines; "
                    f"{FUNCTION_LINES_MAX} are the most"
                )


def class_size(source: Source) -> Iterator[str]:
    for node in ast.walk(parsed(source)):
        if not isinstance(node, ast.ClassDef):
            continue
        methods = {
            item.name
            for item in node.body
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            and not item.name.startswith(("_", "test_"))
        }
        most = FACADE_METHODS_MAX if node.name == FACADE else PUBLIC_METHODS_MAX
        if len(methods) > most:
            yield (
                f"{source.path}:{node.lineno}: {node.name} has {len(methods)} public methods; "
                f"{most} are the most"
            )


def module_name(source: Source) -> Iterator[str]:
    path = Path(source.path)
    for name in (*path.parent.parts, path.stem):
        if name.strip("_") in VAGUE_NAMES:
            yield f"{source.path}: `{name}` says nothing; name the idea that the module holds"


def imports_in_functions(source: Source) -> Iterator[str]:
    for function in ast.walk(parsed(source)):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom):
                internal = node.level > 0 or within(node.module or "", ("tactful",))
            elif isinstance(node, ast.Import):
                internal = any(within(alias.name, ("tactful",)) for alias in node.names)
            else:
                continue
            if internal:
                yield f"{source.path}:{node.lineno}: our own modules are imported at the top"


# Time, chance and the world -------------------------------------------------------------------


def clock_reads(source: Source) -> Iterator[str]:
    if source.path.startswith(CLOCK_HOMES):
        return
    for line, name in uses(source):
        if name in CLOCK_READS:
            yield f"{source.path}:{line}: {name}; take `now: Millis` as an argument, or a Clock"


def randomness(source: Source) -> Iterator[str]:
    if source.path.startswith(RANDOM_HOMES):
        return
    for line, name in uses(source):
        if within(name, RANDOM_SOURCES):
            yield f"{source.path}:{line}: {name}; take the number or the id as an argument"


def ways_out(source: Source) -> Iterator[str]:
    if source.path.startswith(HTTP_HOMES):
        return
    for line, name in uses(source):
        if within(name, HTTP_CLIENTS):
            yield f"{source.path}:{line}: {name}; every request goes through channels.egress"


def sql_clock(source: Source) -> Iterator[str]:
    text = SQL_COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), source.text)
    for found in SQL_CLOCK.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield f"{source.path}:{line}: {found[0]}; take :now as a parameter"


def core_purity(source: Source) -> Iterator[str]:
    tree = parsed(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            if module not in CORE_MAY_IMPORT and not within(module, ("tactful.core",)):
                yield f"{source.path}:{node.lineno}: the core may not import {module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef):
            yield f"{source.path}:{node.lineno}: nothing in the core is async"
        elif isinstance(node, ast.Name) and node.id in CORE_MAY_NOT_CALL:
            yield f"{source.path}:{node.lineno}: {node.id} touches the world"


# Tests ----------------------------------------------------------------------------------------


def sleeps_in_tests(source: Source) -> Iterator[str]:
    if source.path in SLEEPS_ALLOWED:
        return
    for line, name in uses(source):
        if name in SLEEPS or within(name, TIME_FREEZERS):
            yield f"{source.path}:{line}: {name}; move a manual clock, or wait for an event"


def skipped_tests(source: Source) -> Iterator[str]:
    for line, name in uses(source):
        if within(name, SKIPS):
            yield f"{source.path}:{line}: {name}; a test runs everywhere or does not exist"


# Words and files ------------------------------------------------------------------------------


def leftovers(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if LEFTOVERS.search(line):
            yield f"{source.path}:{number}: do it now, or write it down where work is planned"


def places(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), 1):
        for pattern in (REGISTRY_HOSTS, MACHINE_PATHS):
            found = pattern.search(line)
            if found:
                yield f"{source.path}:{number}: {found[0]}; true on one machine only"


def pins(source: Source) -> Iterator[str]:
    if "://" in source.text:
        yield f"{source.path}: a pin names no address"
    for line in source.text.replace("\\\n", " ").splitlines():
        entry = line.strip()
        if (
            entry
            and not entry.startswith("#")
            and not re.match(r"\S+==\S+ .*--hash=sha256:", entry)
        ):
            yield f"{source.path}: {entry.split()[0]} needs an exact version and its hashes"


# Which rule reads which files -----------------------------------------------------------------

PYTHON = ("src/*.py", "tests/*.py", "benchmarks/*.py", "proof/*.py")
RULES: dict[Rule, tuple[str, ...]] = {
    module_size: PYTHON,
    function_size: PYTHON,
    class_size: ("src/*.py",),
    module_name: PYTHON,
    imports_in_functions: PYTHON,
    clock_reads: ("src/*.py",),
    randomness: ("src/*.py",),
    ways_out: ("src/*.py",),
    sql_clock: ("src/*.sql",),
    core_purity: ("src/tactful/core/*.py",),
    sleeps_in_tests: ("tests/*.py",),
    skipped_tests: ("tests/*.py", "src/tactful/testing/*.py"),
    leftovers: ("*",),
    places: ("*",),
    pins: ("requirements/*.txt",),
}


# A file that each rule must find fault with, and one that it must leave alone.
LONG = "x = 1\n" * (MODULE_LINES_MAX + 1)
LONG_FUNCTION = "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX
LONG_DOCSTRING = 'def f():\n    """\n' + "    a\n" * FUNCTION_LINES_MAX + '    """\n'
MANY_METHODS = "\n".join(f"    def m{i}(self): ..." for i in range(PUBLIC_METHODS_MAX + 1))
CASES: dict[Rule, tuple[Source, Source]] = {
    module_size: (Source("src/a.py", LONG), Source("src/a.py", LONG[6:])),
    function_size: (Source("src/a.py", LONG_FUNCTION), Source("src/a.py", LONG_DOCSTRING)),
    class_size: (
        Source("src/a.py", f"class C:\n{MANY_METHODS}"),
        Source("src/a.py", f"class {FACADE}:\n{MANY_METHODS}"),
    ),
    module_name: (
        Source("src/tactful/sim/helpers.py", ""),
        Source("src/tactful/core/windows.py", ""),
    ),
    imports_in_functions: (
        Source("src/a.py", "def f():\n    from tactful.core import model"),
        Source("src/a.py", "from tactful.core import model\ndef f():\n    import json"),
    ),
    clock_reads: (
        Source("src/tactful/engine/a.py", "from datetime import datetime as dt\nx = dt.now"),
        Source("src/tactful/runtime/clock.py", "import time\nx = time.monotonic()"),
    ),
    randomness: (
        Source("src/tactful/engine/a.py", "from uuid import uuid4"),
        Source("src/tactful/engine/a.py", "from uuid import UUID\nrandom = 1"),
    ),
    ways_out: (
        Source("src/tactful/channels/a.py", "from urllib.request import urlopen"),
        Source("src/tactful/channels/a.py", "from urllib.parse import quote\nimport http.server"),
    ),
    sql_clock: (
        Source("a.sql", "SELECT strftime('%s', 'now');"),
        Source("a.sql", "-- never now()\nSELECT :now, current_timestamp_ms;"),
    ),
    core_purity: (
        Source("src/tactful/core/a.py", "import os"),
        Source("src/tactful/core/a.py", "import json\nfrom tactful.core.model import Kind"),
    ),
    sleeps_in_tests: (
        Source("tests/test_a.py", "from time import sleep as doze\ndoze(1)"),
        Source("tests/test_a.py", "clock.sleep(1)"),
    ),
    skipped_tests: (
        Source("tests/test_a.py", "import pytest\n@pytest.mark.skipif(True)\ndef test(): ..."),
        Source("tests/test_a.py", "import pytest\n@pytest.mark.soak\ndef test(): ..."),
    ),
    leftovers: (Source("a.md", "TO" + "DO: all of it"), Source("a.md", "what to do: nothing")),
    places: (
        Source("a.md", "look into /" + "home/me"),
        Source("a.md", "https://example.com/home/me and ~/work/it"),
    ),
    pins: (
        Source("requirements/core.txt", "click==8.0\n"),
        Source("requirements/core.txt", "click==8.0 \\\n    --hash=sha256:00\n"),
    ),
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_finds_what_it_is_for(rule: Rule) -> None:
    """Each rule objects to its bad example and is silent about its good one."""
    bad, good = CASES[rule]

    assert list(rule(bad)) != []
    assert list(rule(good)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    """No file of the tree breaks the rule."""
    files = [s for s in sources() if any(fnmatch(s.path, pattern) for pattern in RULES[rule])]

    findings = [finding for source in files for finding in rule(source)]

    assert not findings, "\n".join(["", *findings])


def test_every_library_that_the_package_asks_for_is_pinned() -> None:
    """The pins for users and for developers name all that `pyproject.toml` asks for."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = {re.split(r"[^\w-]", line)[0] for line in project["project"]["dependencies"]}
    for name in ("core", "dev"):
        text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        pinned = set(re.findall(r"^([\w-]+)==", text, re.MULTILINE))

        assert wanted - pinned == set(), f"requirements/{name}.txt is behind: run `make lock`"


def test_every_make_target_explains_itself() -> None:
    """`make help` lists every target that is meant to be called."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (\S+)$", text, re.MULTILINE))

    assert targets == set(re.findall(r"^([a-z-]+):.*## \S", text, re.MULTILINE))
