"""The table of commands, help, global options, errors and exit codes."""

import json
import subprocess
import sys
from importlib import import_module

import click
import pytest

from tactful import __version__
from tactful.cli.exits import MEANINGS
from tactful.cli.main import COMMANDS


def leaves() -> list[tuple[str, ...]]:
    """Every command that does something, as the words that call it."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = import_module(COMMANDS[name][0]).command
        if isinstance(command, click.Group):
            found += [(name, below) for below in command.commands]
        else:
            found.append((name,))
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_the_table_says_what_the_command_says(name):
    command = import_module(COMMANDS[name][0]).command

    assert command.get_short_help_str(limit=200) == COMMANDS[name][1]


@pytest.mark.parametrize("words", leaves(), ids=" ".join)
def test_every_command_takes_json_and_explains_itself(run, words):
    said = run(*words, "--help")

    assert said.code == 0
    assert "--json" in said.out
    assert len(said.out.splitlines()) > 4


@pytest.mark.parametrize("words", [w for w in leaves() if w != ("demo",)], ids=" ".join)
def test_every_command_takes_store_and_config(run, words):
    said = run(*words, "--help")

    assert "--store" in said.out
    assert "--config" in said.out


def test_help_imports_neither_the_engine_nor_rich():
    program = (
        "import sys\n"
        "from tactful.cli.main import tactful\n"
        "try: tactful(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'rich', 'apsw', 'jinja2', 'asyncio', 'tactful.app', 'tactful.config'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()


def test_the_public_names_are_there_though_they_come_late():
    program = (
        "import sys, tactful\n"
        "assert 'tactful.app' not in sys.modules\n"
        "assert set(tactful.__all__) <= set(dir(tactful))\n"
        "from tactful import *\n"
        "assert Tactful is tactful.Tactful and issubclass(errors.NotFound, errors.RequestError)\n"
        "assert not hasattr(tactful, 'Tactfull')\n"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)

    assert done.returncode == 0, done.stderr.decode()


def test_help_lists_every_command_and_exit_code(run):
    out = run("--help").out

    assert all(name in out and text in out for name, (_, text) in COMMANDS.items())
    assert all(f"{code}  {text}" in out for code, text in MEANINGS.items())


def test_version(process):
    assert process("--version").out == f"tactful, version {__version__}\n"


def test_an_unknown_command_names_those_that_exist(run):
    said = run("sned")

    assert said.code == 2
    assert "'sned'" in said.err
    assert "send" in said.err


def test_options_stand_before_or_after_the_command(run):
    before = run("--store", "sqlite:///a.db", "--json", "status")
    after = run("status", "--json", "--store", "sqlite:///a.db")

    assert before.data["store"] == after.data["store"] == "sqlite:///a.db"


def test_the_later_option_wins(run):
    said = run("--store", "sqlite:///a.db", "status", "--store", "sqlite:///b.db", "--json")

    assert said.data["store"] == "sqlite:///b.db"


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("send", "status", ""), 1, "error: to: must be a text of 1 to 320 characters (got '')"),
        (("send", "status", "a@b.test"), 1, "error: text: give a subject"),
        (("send", "s", "a", "--text", "x", "--data", "[1]"), 1, "data: must be a JSON object"),
        (("send", "s", "a", "--text", "x", "--at", "noon"), 1, "error: at: must be millis"),
        (("send", "s", "a", "--text", "x", "--at", "2026-05-01"), 1, "with a zone"),
        (("send", "s", "a", "--text", "x", "--text-file", "f"), 1, "goes without --text"),
        (("send", "s", "a", "--text-file", "none"), 1, "text-file: cannot be read"),
        (("send", "s", "a", "--text", "x", "--ttl", "0h"), 1, "error: ttl: must be like 90s"),
        (("rules", "set", "a", "often"), 1, "error: limit: must read like"),
        (("rules", "set", "a", "2/day", "--reserve", "high"), 1, "reserve: must be such as"),
        (("prune", "--older-than", "old"), 1, "error: older-than: must be like 90s"),
        (("recipients", "add", "x", "--address", "sms"), 1, "address: must be such as"),
        (("recipients", "add", "x", "--timezone", "Mars"), 1, "timezone: must be an IANA zone"),
        (("recipients", "import", "none.csv"), 1, "file: cannot be read"),
        (("send",), 2, "Missing argument"),
        (("status", "--store", "mysql://x"), 2, "error: store: must be sqlite:///"),
        (("status", "--config", "none.toml"), 2, "error: config: cannot read none.toml"),
        (("rules", "apply"), 2, "error: file: there is no tactful.toml here"),
        (("why", "nothing"), 4, "error: id: names no delivery"),
        (("pause", "nothing"), 4, "error: notification_id: names no notification"),
        (("cancel", "nothing"), 4, "error: id: names no delivery"),
        (("retry", "nothing"), 4, "error: delivery_id: names no delivery"),
        (("rules", "remove", "nothing"), 4, "error: name: is no rule in force"),
        (("rules", "revert", "99"), 4, "error: version: is no version"),
        (("recipients", "remove", "nobody"), 4, "error: id: is not registered"),
        (("status", "--store", "sqlite:///no/such/place.db"), 5, "error: store no/such/place.db"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_errors_are_one_line_and_a_code(run, words, code, says):
    said = run(*words)

    assert said.code == code
    assert says in said.err
    assert said.out == ""


def test_an_error_with_json_is_a_document_too(run):
    said = run("why", "nothing", "--json")

    assert said.code == 4
    assert said.data["error"]["code"] == "not_found"
    assert said.data["error"]["field"] == "id"
    assert said.data["error"]["value"] == "nothing"
    assert said.data["error"]["message"] == said.err.removeprefix("error: ").strip()


def test_exit_codes_of_real_processes(process):
    assert process("init").code == 0
    assert process("send", "status", "a@b.test", "--text", "hi").code == 0
    assert process("send", "status", "a@b.test").code == 1
    assert process("rules", "set", "no", "0/day", "--on-limit", "reject", "--types", "x").code == 0
    refused = process("send", "x", "a@b.test", "--text", "hi", "--json")

    assert refused.code == 3
    assert json.loads(refused.out)["decision"] == "reject"
    assert process("why", "nothing").code == 4
    assert process("status", "--store", "sqlite:///no/such/place.db").code == 5
