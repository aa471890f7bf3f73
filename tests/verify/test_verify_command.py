"""`tactful verify` as people and scripts call it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tactful import Rule, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.cli.main import tactful
from tactful.testing.smtp_sink import SmtpSink

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TACTFUL_STORE", "sqlite:///notify.db")

    def call(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner(catch_exceptions=False).invoke(tactful, arguments, input=stdin)

    return call


def sent(rules: Sequence[Rule] = (), log: Path | None = None) -> None:
    """Five news to one person over a real mail server; the rules say how many may go."""
    with SmtpSink(log=log) as sink:
        channel = SmtpChannel(host=sink.host, port=sink.port, sender="me@example.org")
        app = Tactful("sqlite:///notify.db", channels=[channel])
        app.rules.put(Rule("pace", types=["news"], limit="3/hour"), *rules)
        for number in range(5):
            app.send(type="news", to="ada@example.com", subject=f"{number}", text="x")
        app.tick()
        app.close()


def test_a_store_is_found_right_and_the_rule_is_shown(run: Run) -> None:
    sent()

    done = run("verify")

    assert done.exit_code == 0, done.output
    assert "Every promise was kept." in done.output
    assert "3/hour" in done.output


def test_a_mail_servers_log_is_compared(run: Run, tmp_path: Path) -> None:
    log = tmp_path / "sink.jsonl"
    sent(log=log)

    done = run("verify", "--sink-log", str(log), "--json")

    report = json.loads(done.stdout)
    assert done.exit_code == 0
    assert (report["arrived"], report["out"], report["waiting"]) == (3, 3, 2)
    assert report["rules"]["pace"]["fullest"] == 3


def test_a_history_with_too_many_ends_with_1_and_names_them(run: Run, tmp_path: Path) -> None:
    sent()
    assert run("verify", "--export", "history.jsonl").exit_code == 0
    text = Path("history.jsonl").read_text().replace("3/hour", "2/hour")

    done = run("verify", "--history", "-", stdin=text)

    assert done.exit_code == 1
    assert "A promise was broken." in done.output
    assert "pace (2/hour): 3 where 2 may be, for ada@example.com" in done.output.replace("\n", " ")


def test_it_changes_nothing(run: Run, tmp_path: Path) -> None:
    sent()
    before = Path("notify.db").read_bytes()

    run("verify")

    assert Path("notify.db").read_bytes() == before


def test_bad_input_ends_with_2_and_names_the_place(run: Run, tmp_path: Path) -> None:
    Path("bad.jsonl").write_text('{"record": "event", "seq": 1}\n')
    Path("other.db").write_text("this is no database")

    for arguments, words in (
        (("--history", "bad.jsonl"), "line 1: at: is missing"),
        (("--history", "none.jsonl"), "No such file"),
        ((), "there is no database"),
        (("--store", "sqlite:///other.db"), "is no store"),
        (("--store", "memory://"), "to be verified"),
        (("--history", "bad.jsonl", "--skew", "soon"), "line 1"),
    ):
        done = run("verify", *arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert words in done.stderr
