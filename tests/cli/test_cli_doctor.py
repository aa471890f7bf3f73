"""What `doctor` finds, and that it changes nothing."""

from pathlib import Path

import apsw
import pytest

from tactful.core.model import DAY
from tactful.runtime.clock import SystemClock
from tactful.stores.sqlite.reading import LATEST_ATTEMPT
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing.smtp_sink import SmtpSink


def findings(said) -> dict[str, tuple[str, str]]:
    return {one["what"]: (one["verdict"], one["found"]) for one in said.data["findings"]}


def test_a_fresh_place_is_healthy_and_stays_empty(run, here: Path):
    said = run("doctor", "--json")

    assert said.code == 0
    assert findings(said)["database"][0] == "warn"
    assert "the default channel is the inbox" in findings(said)["mail"][1]
    assert list(here.iterdir()) == []


def test_everything_in_order(run, sink):
    run("init")

    said = run("doctor", "--json")

    found = findings(said)
    assert said.code == 0
    assert {verdict for verdict, _ in found.values()} == {"ok"}
    assert "offers PIPELINING, 8BITMIME, SMTPUTF8, SIZE" in found["mail"][1]
    assert found["journal"] == ("ok", "write-ahead log")
    assert found["leases"] == ("ok", "none left over")


def test_what_is_not_ok_says_what_to_do(run, here: Path):
    said = run("doctor")

    assert "warn  mail" in said.out
    assert "add [smtp] to the configuration" in said.out


def test_a_mail_server_that_is_away(run, here: Path):
    with SmtpSink() as gone:
        port = gone.port
    (here / "tactful.toml").write_text(
        f'[smtp]\nhost = "127.0.0.1"\nport = {port}\nsender = "me@example.org"\n'
    )

    said = run("doctor", "--json")
    assert said.code == 6
    assert findings(said)["mail"][0] == "fail"
    assert "cannot connect" in findings(said)["mail"][1]

    offline = run("doctor", "--offline", "--json")
    assert offline.code == 0
    assert findings(offline)["mail"] == ("ok", "127.0.0.1: not asked")


def test_a_configuration_that_is_wrong(run, here: Path):
    (here / "tactful.toml").write_text("[engine]\nbatch = 0\n")

    said = run("doctor", "--json")

    assert said.code == 6
    assert findings(said)["config"][0] == "fail"
    assert "engine.batch" in findings(said)["config"][1]


def test_mail_settings_that_cannot_work_together(run, here: Path):
    (here / "tactful.toml").write_text(
        '[smtp]\nhost = "mail.example.org"\nsender = "me@example.org"\nusername = "me"\n'
    )

    said = run("doctor", "--json")

    assert said.code == 6
    assert "username and password come together" in findings(said)["mail"][1]


def test_a_variable_that_means_nothing(run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TACTFUL_SMPT_HOST", "mail")

    assert findings(run("doctor", "--json"))["environment"][1] == "means nothing: TACTFUL_SMPT_HOST"


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough " * 100])
def test_a_file_that_is_no_database(run, here: Path, content: bytes):
    (here / "notify.db").write_bytes(content)

    said = run("doctor", "--json")

    verdict = findings(said)["database"][0] if content else findings(said)["journal"][0]
    assert verdict == ("fail" if content else "warn")
    assert said.code == (6 if content else 0)


def test_a_store_that_is_no_place(run):
    assert run("doctor", "--store", "sqlite:///no/such/place.db").code == 6
    assert run("doctor", "--store", "mysql://x").code == 6


def test_what_is_late_and_what_was_left_behind(ready, here: Path):
    ready("send", "stranger", "ada", "--text", "x")
    ready("send", "status", "ada", "--text", "x")
    database = apsw.Connection(str(here / "notify.db"))
    database.execute("UPDATE due SET due_at = due_at - ?", (DAY,))
    database.execute("UPDATE due SET state = 'sending' WHERE priority = 1")
    database.close()

    said = ready("doctor", "--json")

    found = findings(said)
    assert said.code == 6
    assert found["queue"][0] == "fail"
    assert found["leases"] == ("warn", "2 of a worker that went away")
    assert found["types"] == ("warn", "no rule knows: stranger")


def test_a_clock_that_is_behind_its_store(ready):
    store = SqliteStore("sqlite:///notify.db")
    with store.transaction() as tx:
        tx.set_note(LATEST_ATTEMPT, str(SystemClock().now() + DAY))
    store.close()

    verdict, found = findings(ready("doctor", "--json"))["clock"]

    assert verdict == "warn"
    assert "behind the last attempt" in found
