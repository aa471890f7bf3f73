"""Logs for machines: what stands in a line, and what never does."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tactful import Event, Tactful
from tactful.core.errors import RequestError, Unavailable
from tactful.telemetry.logs import HIDDEN, TROUBLES, EventLog, JsonLines
from tactful.testing.smtp_dialogue import Fault
from tactful.testing.smtp_sink import SmtpSink

CANARY = "canary7f3a"
NAME = "canaryname"  # of a type and a rule: those are labels of metrics, and in no log
PATIENCE_S = 60.0


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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def until(what: Callable[[], object], why: str) -> None:
    """Ask again until the answer is yes."""
    never, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, why
        never.wait(0.05)


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of Tactful in a folder; what it says on stderr is in `log`."""
    command = [sys.executable, "-m", "tactful", *arguments]
    with (folder / "log").open("wb") as log:
        made = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield made
    finally:
        made.terminate()
        made.wait(60)


class Caller:
    """Asks the service with a key; every answer is as good as another."""

    def __init__(self, port: int, token: str) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._token = token
        self.codes: list[int] = []

    def __call__(self, method: str, path: str, body: Any = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = Request(self.url + path, data if body is not None else None, headers)
        request.method = method
        try:
            with urlopen(request, timeout=30) as answer:
                self.codes.append(answer.status)
                return bytes(answer.read())
        except HTTPError as error:
            self.codes.append(error.code)
            return error.read()
        except URLError:
            self.codes.append(0)
            return b""


def everything(call: Caller) -> None:
    """The canary in every field of everything that one can ask for, well and badly formed."""
    address = f"{CANARY}@example.org"
    person = {"name": CANARY, "email": address, "addresses": {"sms": CANARY}, "locale": "en"}
    call("PUT", f"/v1/recipients/{CANARY}", person)
    for field in ("name", "email", "timezone", "locale", "mute", "addresses", CANARY):
        call("PUT", f"/v1/recipients/{CANARY}", {**person, field: f"{CANARY}\r\nx: y"})
    template = {"subject": CANARY, "text": f"{{{{ {CANARY} }}}}", "html": f"<p>{CANARY}</p>"}
    call("PUT", f"/v1/templates/{CANARY}", template)
    for broken in (f"{{{{ {CANARY}", f"{{% {CANARY} %}}"):
        call("PUT", f"/v1/templates/{CANARY}", {**template, "text": broken})
    call("PUT", f"/v1/types/{NAME}", {"category": CANARY, "channels": ["email"]})
    call("PUT", f"/v1/types/{NAME}", {"category": CANARY, "priority": CANARY})
    call("PUT", f"/v1/rules/{NAME}", {"types": [NAME], "limit": "90/hour"})
    for field in ("types", "limit", "per", "on_limit", "quiet", "exempt", "channels", CANARY):
        call("PUT", f"/v1/rules/{NAME}", {"limit": "1/hour", field: CANARY})
    good = {"type": NAME, "to": address, "subject": CANARY, "text": CANARY, "html": CANARY}
    keys = {"collapse_key": CANARY, "idempotency_key": CANARY}
    call("POST", "/v1/notifications", {**good, **keys})
    call("POST", "/v1/notifications", {**good, **keys, "text": "other"})
    call("POST", "/v1/notifications", {"type": CANARY, "to": CANARY, "text": CANARY})
    call("POST", "/v1/notifications", {"type": NAME, "to": address, "template": CANARY})
    call("POST", "/v1/notifications", {**good, "type": f"{CANARY}-unknown"})
    for field in ("type", "to", "channels", "priority", "ttl", "deliver_at", "template", "data"):
        call("POST", "/v1/notifications", {**good, field: f"{CANARY}\n{CANARY}"})
    call("POST", "/v1/broadcasts", {**good, "to": CANARY})
    call("POST", "/v1/notifications", f'{{"type": "{CANARY}'.encode())
    call("GET", f"/v1/{CANARY}?{CANARY}={CANARY}")
    call("GET", f"/v1/deliveries/{CANARY}/why")
    call("DELETE", f"/{CANARY}")


def test_nothing_that_was_submitted_is_in_the_logs_or_the_metrics(tmp_path: Path) -> None:
    """A marker in every field, also in what the mail server answers, is found nowhere."""

    def quote(number: int, envelope: object) -> Fault | None:
        return Fault.reply("rcpt", f"550 5.1.1 {CANARY} is not known here")

    port = free_port()
    with SmtpSink(faults=quote) as sink:
        (tmp_path / "tactful.toml").write_text(
            f'[smtp]\nhost = "{sink.host}"\nport = {sink.port}\nsender = "me@example.org"\n',
            encoding="utf-8",
        )
        with closing(Tactful(f"sqlite:///{tmp_path / 'notify.db'}")) as app:
            _, token = app.keys.create("test", ("admin",))
        call = Caller(port, token)
        serve = ("serve", "--port", str(port), "--log-format", "json")
        with process(tmp_path, *serve) as running:
            until(lambda: call("GET", "/healthz") or running.poll(), "it does not answer")
            assert running.poll() is None, (tmp_path / "log").read_text()
            everything(call)
            failed = re.compile(rb"^tactful_failed_total\{.*\} ([1-9].*)$", re.M)
            until(lambda: failed.search(call("GET", "/metrics")), "nothing has failed")
            metrics = call("GET", "/metrics").decode()
            log = tmp_path / "log"
            until(lambda: '"event":"failed"' in log.read_text(), "the failure is not logged")
        text = log.read_text(encoding="utf-8")
    lines = [json.loads(one) for one in text.splitlines()]

    assert {200, 202, 422, 404} <= set(call.codes)
    assert 500 not in call.codes
    assert CANARY not in metrics
    assert CANARY not in text
    assert NAME not in text
    assert f'type="{NAME}"' in metrics
    allowed = {"at", "level", "logger", "message", "error", "where"}
    allowed |= {"event", "seq", "event_at", "delivery", "notification", "recipient"}
    assert set().union(*lines) <= allowed
    assert {one["event"] for one in lines if "event" in one} <= set(TROUBLES)


def test_a_worker_logs_json_too(tmp_path: Path) -> None:
    """And nothing else comes on stderr."""
    with closing(Tactful(f"sqlite:///{tmp_path / 'notify.db'}")) as app:
        app.send(type="news", to="ada@example.org", text="x", ttl=1)
    with process(tmp_path, "work", "--log-format", "json"):
        log = tmp_path / "log"
        until(lambda: '"event":"expired"' in log.read_text(), "it is not logged")
    lines = [json.loads(one) for one in log.read_text(encoding="utf-8").splitlines()]

    assert lines[0]["message"] == "working"
    assert "ada" not in log.read_text()
