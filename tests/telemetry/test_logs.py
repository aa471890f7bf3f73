"""Logs for machines: what stands in a line, and what never does."""

from __future__ import annotations

import json
import logging
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running import process, until

from tactful import Event, Tactful
from tactful.core.errors import RequestError, Unavailable
from tactful.telemetry.logs import HIDDEN, EventLog, JsonLines, TextLines

CANARY = "canary7f3a"


def line(name: str, message: str, *arguments: object, **more: Any) -> dict[str, Any]:
    """What a record of INFO becomes."""
    record = logging.LogRecord(
        name, logging.INFO, __file__, 1, message, arguments, more.pop("exc_info", None)
    )
    vars(record).update(more)
    text = JsonLines({"mail"}).format(record)
    assert "\n" not in text
    assert "\r" not in text
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_a_line_has_the_fields_that_are_documented() -> None:
    found = line("tactful.worker", "cannot record %d outcomes: %s", 3, Unavailable("store: gone"))

    assert found.keys() == {"at", "level", "logger", "message"}
    assert (found["level"], found["logger"]) == ("info", "tactful.worker")
    assert found["message"] == "cannot record 3 outcomes: store: gone"


def test_texts_stand_in_a_line_only_if_they_were_declared() -> None:
    """What a server answered, and whatever else comes from outside, is left out."""
    found = line("tactful.failover", "channel %s: %s: %s", "mail", "550 no ada@example.com", None)

    assert found["message"] == f"channel mail: {HIDDEN}: None"


def test_of_an_exception_its_class_stays_and_where_it_was() -> None:
    """Its text may quote what it failed on."""
    try:
        raise RequestError("to", CANARY, "is no address")
    except RequestError as error:
        found = line("tactful.http", "failed: %s", error, exc_info=(type(error), error, None))

    assert found["error"] == "RequestError"
    assert found["message"] == "failed: RequestError"
    assert CANARY not in json.dumps(found)


def test_messages_of_libraries_are_told_without_their_arguments() -> None:
    """A text without arguments may have been put together: it is left out whole."""
    assert line("uvicorn.error", "bad request from %s", CANARY)["message"] == "bad request from %s"
    assert "message" not in line("asyncio", f"Task failed: {CANARY}")


def test_a_number_that_is_none_leaves_the_fixed_text() -> None:
    assert line("tactful.x", "%d of %d", "many", 3)["message"] == "%d of %d"


def test_for_people_the_same_is_said_and_where_it_was_stands_below() -> None:
    try:
        raise RequestError("to", CANARY, "is no address")
    except RequestError as error:
        info = (type(error), error, None)
        record = logging.LogRecord("tactful.x", 30, "", 1, "%s\n%s", (error, "mail"), info)
    record.created = 1_800_000_000.5
    first, *where = TextLines({"mail"}).format(record).splitlines()

    head = "2027-01-15 08:00:00.500+00:00 warning tactful.x: "
    assert first == head + r"RequestError\nmail RequestError"
    assert [line[:4] for line in where] == ["    "]
    assert "test_logs.py:" in where[0]


@given(st.text())
def test_a_line_for_people_is_a_line_whatever_comes(text: str) -> None:
    error = Unavailable(text)
    found = TextLines(()).format(logging.LogRecord("tactful.x", 20, "", 1, "%s", (error,), None))

    assert found.isascii()
    assert found.isprintable()


@given(st.text(), st.text())
def test_a_line_is_a_line_whatever_comes(text: str, argument: str) -> None:
    """No line can be forged: control characters are escaped."""
    found = JsonLines(()).format(
        logging.LogRecord("tactful.x", 20, "", 1, text.replace("%", "") + "%s", (argument,), None)
    )
    assert not re.search(r"[\x00-\x1f]", found)
    assert len(found.splitlines()) == 1 or "\u2028" in found or "\x85" in found or "\u2029" in found
    json.loads(found)


def test_people_are_a_keyed_hash(caplog: pytest.LogCaptureFixture) -> None:
    """The same for the same person and key, another with another key."""
    one, other = EventLog(b"1" * 32), EventLog(b"2" * 32)
    caplog.set_level(logging.INFO)
    one(Event("failed", "d1", 7, "n1", "ada@example.com", {"reason": "550 ada@example.com"}, 9))
    found = json.loads(JsonLines(()).format(caplog.records[-1]))

    assert found["recipient"] == one.pseudonym("ada@example.com")
    assert re.fullmatch("[0-9a-f]{16}", found["recipient"])
    assert one.pseudonym("ada@example.com") != other.pseudonym("ada@example.com")
    assert found["delivery"] == "d1"
    assert "ada" not in json.dumps(found)


# A whole process ------------------------------------------------------------------------------


def test_a_worker_logs_json_too(tmp_path: Path) -> None:
    """And nothing else comes on stderr."""
    with closing(Tactful(f"sqlite:///{tmp_path / 'notify.db'}")) as app:
        app.send(type="news", to="ada@example.org", text="x", ttl=1)
    with process(tmp_path, "work", "--log-format", "json"):
        log = tmp_path / "log"
        until(lambda: '"event":"expired"' in log.read_text(), "it is not logged")
    lines = [json.loads(one) for one in log.read_text(encoding="utf-8").splitlines()]

    assert lines[0]["message"] == "working"
    assert "ada@" not in log.read_text()
