"""The first ten minutes, and what each command says about a real database."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def send(run: Callable, *more: str, type_: str = "status", to: str = "ada@example.com"):
    return run("send", type_, to, "--subject", "Hi", "--text", "It works.", "--json", *more)


def test_five_sends_two_go_three_wait_a_rule_changes_all_go(run, sink):
    assert run("init").code == 0
    receipts = [send(run).data for _ in range(5)]
    assert [r["decision"] for r in receipts] == ["send", "send", "defer", "defer", "defer"]
    assert [r["remaining"] for r in receipts[:2]] == [1, 0]

    assert run("work", "--once", "--json").data["events"]["sent"] == 2
    assert len(sink.messages) == 2
    why = run("why", receipts[4]["delivery_id"])
    assert "waits because of rule status (2/minute)" in why.out
    assert "What fills the window:" in why.out
    assert "planned" in why.out

    changed = run("rules", "set", "status", "10/minute", "--types", "status")
    assert "waiting deliveries that will be decided anew: 3" in changed.out
    assert run("work", "--once", "--json").data == {"events": {"sent": 3}, "next_due": None}
    assert len(sink.messages) == 5
    assert sink.violations == []

    status = run("status", "--json").data
    assert status["states"]["sent"] == 5
    assert status["rules_in_force"] == {"status": "10/minute"}


def test_the_same_with_processes(process, sink):
    assert process("init").code == 0
    for _ in range(5):
        sent = process("send", "status", "ada@example.com", "--text", "It works.", "--json")
        assert sent.code == 0
    assert process("work", "--once", "--json").data["events"]["sent"] == 2

    why = process("why", sent.data["delivery_id"], "--json")
    assert why.data["state"] == "deferred"
    assert why.data["rule"] == "status"

    assert process("rules", "set", "status", "--window", "00:00-24:00").code == 0
    assert process("work", "--once").code == 0
    assert process("status", "--json").data["states"]["sent"] == 5
    assert len(sink.messages) == 5


def test_a_worker_works_until_it_is_told_to_stop(run, sink, here: Path):
    run("init")
    worker = subprocess.Popen(
        [sys.executable, "-m", "tactful", "work"],
        cwd=here,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert worker.stderr is not None
    with worker:
        assert "Ctrl-C" in worker.stderr.readline()
        send(run)
        assert any("sent 1" in line for line in worker.stderr)
        os.kill(worker.pid, signal.SIGTERM)
        out, _ = worker.communicate(timeout=60)

    assert worker.returncode == 0
    assert "sent 1" in out
    assert len(sink.messages) == 1


def test_init_writes_what_can_be_read_and_tells_what_to_try(run, here: Path):
    said = run("init")

    assert said.code == 0
    assert "tactful send status" in said.out
    assert {path.name for path in here.iterdir()} >= {"tactful.toml", "notify.db"}
    assert run("rules", "list", "--json").data["rules"] == [
        {"name": "marketing", "limit": "3/hour", "types": ["marketing"]},
        {"name": "news", "limit": "1/day", "types": ["news"]},
        {"name": "status", "limit": "2/minute", "types": ["status"]},
    ]


def test_what_init_comments_out_is_what_can_be_set(run, here: Path):
    run("init")
    file = here / "tactful.toml"
    lines = [
        line[2:] if line.startswith("# ") and (" = " in line or line[2] == "[") else line
        for line in file.read_text().splitlines()
    ]
    (here / "smtp-password").write_text("secret\n")
    file.write_text("\n".join(lines))

    assert 'reply_to = "help@example.com"' in lines
    assert run("rules", "apply", "--json").data["templates"] == ["welcome"]


def test_init_elsewhere(run, here: Path, monkeypatch: pytest.MonkeyPatch):
    run("init", "--dir", "deep/below")

    said = run("status", "--config", "deep/below/tactful.toml", "--json")
    assert said.data["rules"] == 3
    monkeypatch.chdir(here / "deep" / "below")
    assert run("status", "--json").data["rules"] == 3
    assert [path.parent.name for path in here.rglob("notify.db")] == ["below"]


def test_init_keeps_what_is_there_unless_forced(run, here: Path):
    file = here / "tactful.toml"
    file.write_text('[rules.mine]\nlimit = "1/hour"\n')

    kept = run("init", "--json").data
    assert (kept["written"], kept["rules"]) == (False, ["mine"])
    assert run("init", "--json").data["rules"] == []
    run("rules", "set", "mine", "5/hour")
    run("init")
    assert run("rules", "list", "--json").data["rules"] == [{"name": "mine", "limit": "5/hour"}]

    assert run("init", "--force", "--json").data["written"] is True
    assert "2/minute" in file.read_text()


def test_send_takes_its_text_from_stdin_and_files(ready, here: Path):
    (here / "page.html").write_text("<p>Grüße</p>")

    piped = ready("send", "x", "ada", "--text-file", "-", "--json", stdin="from stdin")
    filed = ready("send", "x", "ada", "--html-file", "page.html", "--wait", "--json")

    assert piped.data["decision"] == "send"
    assert filed.data["state"] == "delivered"


def test_send_says_what_was_decided(ready):
    first = ready("send", "news", "ada", "--text", "x", "--key", "k")
    again = ready("send", "news", "ada", "--text", "x", "--key", "k")
    other = ready("send", "news", "ada", "--text", "y", "--key", "k")
    later = ready("send", "news", "ada", "--text", "x")

    assert "decision      send\n" in first.out
    assert "remaining     0\n" in first.out
    assert "decision      send (as before)" in again.out
    assert other.code == 1
    assert "decision      defer\nrule          news" in later.out
    assert "(in 23 h)" in later.out or "(in 24 h)" in later.out


def test_send_at_an_instant(ready):
    by_text = send(ready, "--at", "2100-01-01T01:00:00+01:00").data
    by_number = send(ready, "--at", "4102444800000").data

    assert by_text["deliver_at"] == by_number["deliver_at"] == 4_102_444_800_000


def test_send_with_a_template(ready, here: Path):
    with (here / "tactful.toml").open("a") as file:
        file.write('[templates.hello]\nsubject = "Hello {{ name }}"\ntext = "Dear {{ name }}"\n')
    assert ready("rules", "apply", "--json").data["templates"] == ["hello"]

    said = ready("send", "x", "a", "--template", "hello", "--data", '{"name": "Ada"}', "--wait")

    assert "state         delivered" in said.out


def test_suppressed_exits_with_3(ready):
    ready("recipients", "add", "ada", "--mute", "type:news")

    said = send(ready, type_="news", to="ada")

    assert said.code == 3
    assert said.data["decision"] == "suppress"


def test_a_broadcast_reaches_everyone(ready):
    for name in ("ada", "bob", "eve"):
        ready("recipients", "add", name)

    later = ready("broadcast", "note", "--text", "x", "--json").data
    now = ready("broadcast", "note", "--text", "y", "--wait", "--json").data

    assert later["decision"] == "queued"
    assert now["stats"]["received"] == 3
    assert ready("status", "--json").data["states"]["delivered"] == 6


def test_why_lists_the_deliveries_of_a_notification(ready):
    ready("recipients", "add", "ada")
    ready("recipients", "add", "bob")
    many = ready("broadcast", "note", "--text", "x", "--wait", "--json").data["notification_id"]
    one = send(ready).data

    assert "several deliveries; the first 2:" in ready("why", many).out
    rows = ready("why", many, "--json").data["deliveries"]
    assert [row["recipient"] for row in rows] == ["ada", "bob"]
    assert "is delivered" in ready("why", rows[0]["delivery_id"]).out
    assert ready("why", one["notification_id"], "--json").data["delivery_id"] == one["delivery_id"]


def test_cancel_calls_off_what_waits(ready):
    receipt = send(ready, "--at", "2100-01-01T00:00:00Z").data

    assert ready("cancel", receipt["delivery_id"]).out == "cancelled 1\n"
    assert ready("cancel", receipt["notification_id"]).out == "nothing of it was waiting\n"
    assert "is cancelled" in ready("why", receipt["delivery_id"]).out


def test_a_broadcast_that_nobody_has_begun_is_called_off_and_says_so(ready):
    ready("recipients", "add", "ada")
    receipt = ready("broadcast", "news", "--text", "hi", "--json").data

    said = ready("cancel", receipt["notification_id"])

    assert said.out == "cancelled 0\n"
    ready("work", "--once")
    why = ready("why", receipt["notification_id"])
    assert why.code != 0
    assert "names no delivery and no notification with deliveries" in why.err


def test_pause_and_resume_hold_back_what_waits(ready):
    receipt = send(ready, "--at", "2100-01-01T00:00:00Z").data
    wanted = receipt["notification_id"]

    assert ready("pause", wanted).out == "paused 1\n"
    assert ready("pause", wanted).out == "paused 0\n"
    assert "is paused since" in ready("why", receipt["delivery_id"]).out
    assert f"Paused {wanted} since" in ready("status").out
    assert ready("resume", wanted).out == "resumed 1\n"
    assert ready("resume", wanted).out == "it was not paused\n"
    assert "is paused" not in ready("why", receipt["delivery_id"]).out
    ready("cancel", wanted)
    assert ready("pause", wanted).out == "nothing of it was waiting\n"


def test_retry_takes_up_what_failed_and_nothing_else(run, sink):
    run("init")
    failed = send(run, type_="x", to="nowhere at all@example").data["delivery_id"]
    waits = send(run, "--at", "2100-01-01T00:00:00Z").data["delivery_id"]
    run("work", "--once")

    assert run("why", failed, "--json").data["state"] == "failed"
    assert run("retry", failed, "--json").data == {"queued": failed}
    assert run("why", failed, "--json").data["state"] == "queued"
    refused = run("retry", waits)
    assert refused.code == 1
    assert "only failed and unknown can be tried again" in refused.err


def test_prune_says_how_much_went(ready):
    send(ready, "--wait")
    assert ready("prune").out == "nothing was old enough\n"

    assert ready("prune", "--older-than", "1ms", "--json").data["deleted"] >= 1


def test_status_reads_well(ready):
    send(ready)
    send(ready, type_="stranger")

    out = ready("status").out

    assert "next due  " in out
    assert "queued" in out
    assert "status     2/minute" in out
    assert "No rule and no type knows: stranger" in out


@pytest.mark.parametrize("again", [1, 2])
def test_every_answer_is_one_json_document(ready, here: Path, again: int):
    (here / "people.csv").write_text("id,email\nada,ada@example.com\n")
    receipt = send(ready, "--at", "2100-01-01T00:00:00Z").data
    commands = [
        ("init",),
        ("broadcast", "note", "--text", "x"),
        ("work", "--once"),
        ("why", receipt["delivery_id"]),
        ("status",),
        ("rules", "list"),
        ("rules", "set", "extra", "9/day"),
        ("rules", "history"),
        ("rules", "apply", "--dry-run"),
        ("rules", "remove", "extra"),
        ("rules", "revert", "1"),
        ("rules", "apply"),
        ("recipients", "import", "people.csv"),
        ("recipients", "list"),
        ("recipients", "add", "bob"),
        ("recipients", "remove", "bob"),
        ("pause", receipt["notification_id"]),
        ("resume", receipt["notification_id"]),
        ("cancel", receipt["delivery_id"]),
        ("doctor",),
        ("prune",),
    ]

    for words in commands:
        said = ready(*words, "--json")
        assert said.code == 0, (words, said)
        assert isinstance(said.data, dict), words
        assert said.err == "", words
