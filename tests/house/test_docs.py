"""The documentation says what the program does: whatever a machine can compare is compared.

Blocks that begin with ```` ```python run ```` are run; a comment behind a `print` is what it has to
print, up to `...`. Commands with their output are run in `tests/docs`.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from tactful import Settings, Tactful, config, errors
from tactful.channels.smtp import replies
from tactful.cli.exits import MEANINGS
from tactful.cli.main import COMMANDS, tactful
from tactful.core.lifecycle import FEEDBACK, diagram
from tactful.core.model import State
from tactful.core.retry import RetryPolicy
from tactful.core.rules import Rule, rule_from
from tactful.core.settle import QUARANTINED
from tactful.engine.admission import _EVENT_NAMES
from tactful.engine.endpoints import ENDPOINT, SET_ASIDE, STOPPED
from tactful.engine.feedback.reports import UNKNOWN
from tactful.engine.keys import KEY
from tactful.engine.listeners import OWN_EVENTS
from tactful.engine.rulebook import RULE, TEMPLATE, TYPE
from tactful.engine.users import USER
from tactful.errors import InvalidRule
from tactful.sim.reading import read_scenario

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "src" / "tactful" / "engine"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# In pieces, so that this file is not found.
PLACEHOLDER = "MEASURE" + "_ME"


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """What stands in the first column of the tables, between backticks."""
    return [name for row in re.findall(r"^\| ([^|]+)\|", text, re.M) for name in ticked(row)]


def ticked(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


class Block(NamedTuple):
    """One fenced block of a page."""

    page: str
    line: int
    info: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(info: str) -> list[Block]:
    """All fenced blocks with these words behind the fence."""
    found = []
    for path in PAGES:
        text = path.read_text(encoding="utf-8")
        for match in re.finditer(r"^```([^\n`]*)\n(.*?)^```$", text, re.M | re.S):
            if match[1] == info:
                line = text.count("\n", 0, match.start(2)) + 1
                found.append(Block(path.relative_to(ROOT).as_posix(), line, info, match[2]))
    return found


# Tables against code --------------------------------------------------------------------------


def test_the_diagram_is_that_of_the_lifecycle() -> None:
    """The drawn states and moves are those of the table that the engine asks."""
    text = page("docs/lifecycle.md")
    drawn = text.split("<!-- diagram: begin -->\n")[1].split("<!-- diagram: end -->")[0]

    assert drawn == f"```mermaid\n{diagram()}```\n"


def test_every_state_is_put_into_words() -> None:
    """The table under the diagram has one line for each state."""
    words = page("docs/lifecycle.md").split("<!-- diagram: end -->")[1]

    assert sorted(first_cells(words)) == sorted(State)


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with the words that call it."""
    context = click.Context(tactful)
    yield "tactful", tactful
    for name in COMMANDS:
        command = tactful.get_command(context, name)  # type: ignore[attr-defined]
        yield f"tactful {name}", command
        if isinstance(command, click.Group):
            for sub, inner in command.commands.items():
                yield f"tactful {name} {sub}", inner


def test_every_command_and_option_is_in_the_reference() -> None:
    """docs/cli.md names each command, its arguments and each of its options."""
    text = page("docs/cli.md")
    missing = []
    for words, command in commands():
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        shown = " ".join([words, *(a.make_metavar(click.Context(command)) for a in arguments)])
        if f"`{shown}" not in text:
            missing.append(shown)
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        names = [name for option in options for name in (*option.opts, *option.secondary_opts)]
        missing += [f"{words} {name}" for name in names if not re.search(rf"{name}\b", text)]

    assert not missing


def test_no_option_is_in_the_reference_that_does_not_exist() -> None:
    """Each --option in docs/cli.md belongs to some command."""
    known = {"--help"}
    for _, command in commands():
        known.update(name for p in command.params for name in p.opts)

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", page("docs/cli.md"))) <= known


def test_every_exit_code_is_in_the_reference() -> None:
    """The table of exit codes is the one that --help prints."""
    text = page("docs/cli.md")

    assert [m for c, m in MEANINGS.items() if f"| {c} | {m} |" not in text] == []


def test_every_key_of_the_configuration_is_in_the_reference() -> None:
    """The table of keys is complete, names their variables, and holds nothing else."""
    text = page("docs/configuration.md")
    rows = re.findall(r"^\| `([a-z_.]+)` \| `(TACTFUL_[A-Z_]+)` \|", text, re.M)

    assert dict(rows) == {k: config.PREFIX + k.upper().replace(".", "_") for k in config.KEYS}
    for key in config.SECRET_KEYS:
        variable = config.PREFIX + key.upper().replace(".", "_")
        assert f"`{key}_file`" in text
        assert f"`{variable}_FILE`" in text


@pytest.mark.parametrize("kind", [Settings, RetryPolicy, config.Config], ids=lambda k: k.__name__)
def test_every_setting_is_in_the_reference(kind: Any) -> None:
    """docs/configuration.md names each field that can be set in Python."""
    text = page("docs/configuration.md")

    assert [f.name for f in dataclasses.fields(kind) if f"`{f.name}`" not in text] == []


def test_every_default_of_the_engine_is_the_one_that_is_written() -> None:
    """The column of defaults says what `Settings` says."""
    scales = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    rows = re.findall(r"^\| `engine\.([a-z_.]+)` \| `\w+` \| (\w+) \|", page(CONFIGURATION), re.M)
    settings = Settings()
    for key, shown in rows:
        holder, name = (settings.retry if "." in key else settings), key.rpartition(".")[2]
        value = getattr(holder, name, None)
        if value is None:
            assert getattr(holder, f"{name}_ms") == int(shown[:-1]) * scales[shown[-1]], key
        else:
            assert str(value) == shown, key


CONFIGURATION = "docs/configuration.md"


def test_every_field_of_a_rule_is_in_the_reference() -> None:
    """The table of fields is complete and holds nothing else."""
    table = page("docs/rules.md").split("## Fields")[1].split("### `limit`")[0]

    assert sorted(first_cells(table)) == sorted(f.name for f in dataclasses.fields(Rule))


def test_every_error_is_in_the_reference() -> None:
    """docs/library.md names each class of error."""
    table = page("docs/library.md").split("## Errors")[1]

    assert sorted(first_cells(table)) == sorted(errors.__all__)


def test_every_reply_that_is_special_is_in_the_page_about_smtp() -> None:
    """The codes that `replies` tells apart stand in the table of docs/channels/smtp.md."""
    text = page("docs/channels/smtp.md")
    codes = {*replies._ABOUT_US, *replies._ABOUT_SESSION, *replies._ABOUT_US_ENHANCED}
    codes |= replies._ABOUT_SENDER_ENHANCED

    assert [code for code in codes if str(code) not in text] == []


def test_the_errors_of_rules_are_those_that_are_shown() -> None:
    """What the table of errors says is what a rule that is written so raises."""
    rows = re.findall(r"^\| `([a-z_]+ = .+?)` \| `(.+)` \|$", page("docs/rules.md"), re.M)
    assert len(rows) > 5
    app = Tactful("memory://")
    for written, shown in rows:
        body = tomllib.loads(written)
        if not body.keys() & {"limit", "quiet"}:
            body["limit"] = "1/day"
        with pytest.raises(InvalidRule) as caught:
            app.rules.put(rule_from(body, "any"))
        begin, dots, end = shown.partition("...")
        assert str(caught.value).startswith(begin), written
        assert str(caught.value).endswith(end), written
        assert dots or str(caught.value) == shown
    app.close()


# Events ---------------------------------------------------------------------------------------


def emitted() -> tuple[set[str], set[str]]:
    """The names of events that stand in the engine's code, and where they are computed."""
    names: set[str] = set()
    computed: set[str] = set()
    for path in sorted([*ENGINE.rglob("*.py"), ENGINE.parent / "runtime/courier.py"]):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called == "Event":
                first = node.args[0]
            elif called == "self._end":
                first = node.args[2]
            else:
                continue
            if isinstance(first, ast.Constant):
                names.add(first.value)
            else:
                computed.add(f"{path.name}: {ast.unparse(first)}")
    return names, computed


def settled_names() -> set[str]:
    """The names that `core.settle` gives to what an outcome means."""
    names = {"sent", "delivered", "lost", QUARANTINED}
    tree = ast.parse((ROOT / "src/tactful/core/settle.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Settlement":
            if isinstance(node.args[1], ast.Constant):
                names.add(node.args[1].value)
            else:
                assert ast.unparse(node.args[1]) in ("state.value", "QUARANTINED")
    return names


COMPUTED: dict[str, set[str]] = {
    "admission.py: _EVENT_NAMES[word]": set(_EVENT_NAMES.values()),
    "dispatch.py: event": set(),  # what callers of `_end` give
    "dispatch.py: QUARANTINED": {QUARANTINED},
    "fanout.py: name": {"accepted", "suppressed"},
    "facts.py: name": set(FEEDBACK),
    "facts.py: FEEDBACK[name].value": {state.value for state in FEEDBACK.values()},
    "listeners.py: OWN_EVENTS": {OWN_EVENTS},
    "policies.py: f'{self._kind}.changed'": {
        f"{kind}.changed" for kind in (RULE, TYPE, TEMPLATE, KEY, USER, ENDPOINT)
    },
    "courier.py: SET_ASIDE": {SET_ASIDE},
    "courier.py: STOPPED": {STOPPED},
    "reports.py: UNKNOWN": {UNKNOWN},
    "recording.py: name": {"digested"} | settled_names(),
    "recording.py: settled.event": settled_names(),
}
"""The places that compute the name of an event, and what can come out."""


def test_every_event_is_in_the_reference() -> None:
    """docs/events.md has one line for each event that the engine records, and no other."""
    names, computed = emitted()
    assert computed == set(COMPUTED), "say in COMPUTED which names come out there"
    names = names.union(*COMPUTED.values())

    assert sorted(names) == sorted(
        name[0]
        for row in re.findall(r"^\| (`[^|]+)\|", page("docs/events.md"), re.M)
        if (name := ticked(row))
    )


# Text -----------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors that headings have."""
    heads = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    plain = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {head.replace(" ", "-") for head in plain}


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    """Each relative link names a file of the repository, and a heading in it."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = (path.parent / name).resolve() if name else path
        there = other.is_relative_to(ROOT) and other.exists()
        if not there or (anchor and anchor not in anchors(other.read_text(encoding="utf-8"))):
            broken.append(target)

    assert not broken


def test_every_page_is_linked() -> None:
    """From the README one can reach every page of docs/."""
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for target in re.findall(r"\]\(([^)\s#:]+\.md)", path.read_text(encoding="utf-8")):
            waiting.append((path.parent / target).resolve())

    assert [path for path in PAGES if path not in seen] == []


def test_the_map_of_the_repository_names_what_exists() -> None:
    """Each path in the README's map is there."""
    table = page("README.md").split("## A map of the repository")[1].split("## ")[0]
    named = first_cells(table)

    assert len(named) > 20
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_make_target_that_is_named_exists() -> None:
    """`make x` in a page is a target of the Makefile."""
    targets = set(re.findall(r"^\.PHONY: (\S+)$", page("Makefile"), re.M))
    named = {
        name
        for path in PAGES
        for name in re.findall(r"(?:`|\$ )make ([a-z-]+)", path.read_text(encoding="utf-8"))
    }

    assert named <= targets


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_is_left_to_measure(path: Path) -> None:
    """No number is published before it was measured."""
    assert PLACEHOLDER not in path.read_text(encoding="utf-8")


# Examples -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted({block.page for block in blocks("python run")}))
def test_examples_run(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The marked blocks of a page run one after the other, and print what they say."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "docs"}
    expected: list[str] = []
    for block in blocks("python run"):
        if block.page == name:
            code = "\n" * (block.line - 1) + block.text
            exec(compile(code, name, "exec"), names)
            expected += re.findall(r"^print\(.*\)  # (.*)$", block.text, re.M)
    printed = capsys.readouterr().out.splitlines()

    assert len(printed) == len(expected)
    for got, wanted in zip(printed, expected, strict=True):
        assert wanted.removesuffix(" ...") in got


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_configurations_are_good(block: Block, tmp_path: Path) -> None:
    """Each TOML block is a configuration or a scenario that is accepted as it stands."""
    (tmp_path / "smtp-password").write_text("secret\n", encoding="utf-8")
    for name in ("dkim-rsa.pem", "dkim-ed25519.pem"):
        key = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.PKCS8
        text = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        (tmp_path / name).write_bytes(text)
    file = tmp_path / "tactful.toml"
    file.write_text(block.text, encoding="utf-8")
    if "[[traffic]]" in block.text:
        assert read_scenario(file).traffic
        return

    found = config.load(file, {})

    for channel in found.channels():
        channel.close()


def test_every_decision_is_listed() -> None:
    """The index of docs/decisions links each page, with the title that it has."""
    index = page("docs/decisions/README.md")
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        number, title = path.read_text(encoding="utf-8").splitlines()[0][2:].split(" ", 1)
        assert f"| [{number}]({path.name}) | {title} |" in index
        for part in ("**Context.**", "**Decision.**", "**Consequences.**"):
            assert part in path.read_text(encoding="utf-8"), path.name


def test_the_glossary_is_one_table_in_order() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")
    head, *rows = [line for line in text.splitlines() if line.startswith("|")]
    words = [row.split("|")[1].strip().lower() for row in rows[1:]]
    assert head == "| word | meaning |"
    assert words == sorted(words)
