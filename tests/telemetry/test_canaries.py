"""What was handed in is in no log and no metric, and in no answer to somebody else's mistake.

A real service, with mail servers that quote whom they refuse, is asked everything that its
description knows, with a marker in each text; as much goes through the console, the pages of links
and the port for mail. It logs all that it can.
"""

from __future__ import annotations

import base64
import json
import re
import smtplib
from collections.abc import Iterator
from contextlib import closing
from itertools import islice, product
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from canaries import MARK, NASTY, Call, Canaries, Where
from prometheus_client.parser import text_string_to_metric_families
from running import Answer, Caller, process, until

from tactful import Tactful
from tactful.engine.users import User
from tactful.http.console.passwords import hashed
from tactful.http.console.site import AREAS
from tactful.telemetry.logs import TROUBLES
from tactful.testing.servers.process import free_port
from tactful.testing.smtp_dialogue import Fault
from tactful.testing.smtp_sink import SmtpSink

PASSWORD = "correct horse battery"
SECRETS = {"secrets", "Authorization", "password", "token", "old", "new"}
"""What no answer repeats, not even to who sent it."""
DECLARED = {"PUT /v1/rules/{name}", "PUT /v1/types/{name}", "rules/edit", "types/edit"}
"""Whose names and types are labels of metrics: an administrator declared them."""
CODES = {200, 202, 303, 400, 401, 404, 415, 422}
ANNOUNCEMENT = {"type": "cnry000000", "text": "cnry000000", "channels": ["email"]}
NOTIFICATION = {**ANNOUNCEMENT, "to": "cnry000000@example.org"}
TEXT_LINE = re.compile(
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\+00:00 (debug|info|warning|error|critical) [\w.]+:.*"
    r"|    \S+:\d+ \S+"
    r"|Tactful answers at .*|the console is at .*|mail is taken at .*"
)
FIELDS = {"at", "level", "logger", "message", "error", "where"} | {
    *("event", "seq", "event_at", "delivery", "notification", "recipient")
}


def quoting(number: int, envelope: object) -> Fault | None:
    """A mail server that says more than it should, and refuses for good or for a while."""
    code = ("550 5.1.1", "451 4.3.0", "421 4.7.0")[number % 3]
    return Fault.reply("rcpt", f"{code} <cnry000000@example.org> has no place here")


def setting(folder: Path, sinks: tuple[SmtpSink, SmtpSink]) -> str:
    """A service's configuration, a user of the console, and the key of somebody who may all."""
    first, second = sinks
    (folder / "tactful.toml").write_text(
        f"""
unsubscribe = "https://mail.example.org/u/{{token}}"
[http]
rate = 1000000
burst = 1000000
[engine.retry]
base = "10ms"
tries_max = 2
[smtp]
host = "{first.host}"
port = {first.port}
sender = "me@example.org"
[smtp.backup]
host = "{second.host}"
port = {second.port}
[receipts.mailgun]
key = "cnry000000"
""",
        encoding="utf-8",
    )
    with closing(Tactful(f"sqlite:///{folder / 'notify.db'}")) as app:
        app.users.put(User("ada", "admin", hashed(PASSWORD)))
        _, token = app.keys.create("test", ("admin",))
    return token


# Who is asked ---------------------------------------------------------------------------------


def operations(caller: Caller, canaries: Canaries, stride: int) -> Iterator[tuple[Call, Answer]]:
    for call in islice(canaries.calls(), None, None, stride):
        yield call, caller(call.method, call.path, call.body, call.headers)


def the_console(caller: Caller, canaries: Canaries) -> None:
    """Logging in with anything, then every page with every field that any form has."""
    origin = {"Origin": f"http://127.0.0.1:{caller.port}"}
    form = {**origin, "Content-Type": "application/x-www-form-urlencoded"}

    def post(path: str, fields: dict[str, str], more: dict[str, str]) -> Answer:
        body = urlencode(fields).encode()
        return caller("POST", f"/console/{path}", body, {**form, **more})

    (delivery,) = re.findall(
        rb'"delivery_id":"(\w+)"', caller("POST", "/v1/notifications", NOTIFICATION).body
    )
    (broadcast,) = re.findall(
        rb'"notification_id":"(\w+)"', caller("POST", "/v1/broadcasts", ANNOUNCEMENT).body
    )
    for _ in range(2):
        name, password = canaries.new("login", ("name",)), canaries.new("login", ("password",))
        refused = post("login", {"name": name + NASTY, "password": password + NASTY}, {})
        assert password.encode() not in refused.body
    entered = post("login", {"name": "ada", "password": PASSWORD}, {})
    cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
    page = caller("GET", "/console/account", None, cookie).body.decode()
    found = re.search(r'name="change_token" value="(\w+)"', page)
    assert found is not None
    fields: set[str] = set()
    changes = []
    for method, path in console_pages():
        there = re.sub(r"\{\w+\}", canaries.new(path, ("path",)), path)
        known = path.format(
            delivery_id=delivery.decode(), broadcast_id=broadcast.decode(), job_id="0" * 32
        )
        if method == "GET":
            assert caller(method, known, None, cookie).status in range(200, 500), path
            mark = canaries.new(path, ("query",))
            query = urlencode(dict.fromkeys(("q", "id", "kind", "name", "author"), mark))
            for url in (there, f"{there}?{query}", f"{there}?before={mark}"):
                text = caller(method, url, None, {**origin, **cookie}).body.decode()
                fields |= set(re.findall(r'name="(\w+)"', text))
        elif not path.endswith(("/logout", "/login")):
            changes.append(there.removeprefix("/console/"))
    fields -= {"change_token"}
    assert {"amount", "password", "subject"} <= fields
    for path, nasty in product(changes, ("", NASTY)):
        given = {name: canaries.new(path, (name,)) + nasty for name in fields}
        given["do"] = "save"
        post(path, {**given, "change_token": found[1]}, cookie)


def console_pages() -> list[tuple[str, str]]:
    """The addresses of the console, with their methods."""
    return [
        (method, f"/console{route.path}")
        for area in AREAS
        for route in area.router.routes
        for method in sorted(getattr(route, "methods", ()))
    ]


def the_links(caller: Caller, canaries: Canaries) -> None:
    """Pages that mails lead to, with made-up tokens."""
    for below, method, nasty in product("ocup", ("GET", "POST"), ("", quote(NASTY, safe=""))):
        token = canaries.new(f"/t/{below}", ("path",)) + nasty
        body = urlencode({"List-Unsubscribe": canaries.new(f"/t/{below}", ("body",))}).encode()
        caller(method, f"/t/{below}/{token}", body if method == "POST" else None, {})
    caller("GET", f"/{canaries.new('unknown', ('path',))}?{canaries.new('unknown', ('query',))}")


def the_port_for_mail(port: int, token: str, canaries: Canaries) -> None:
    """A dialogue in which every word is a marker, first as a stranger and then as somebody."""

    def mark(what: str) -> str:
        return canaries.new("smtp", (what,))

    for user in (None, "status"):
        with smtplib.SMTP("127.0.0.1", port, mark("ehlo"), timeout=30) as client:
            client.ehlo(mark("ehlo"))
            guess = base64.b64encode(f"\0{mark('user')}\0{mark('password')}".encode()).decode()
            client.docmd("AUTH", f"PLAIN {guess}")
            client.docmd("AUTH", f"PLAIN {mark('password')}")
            if user is not None:
                client.login(user, token)
            client.docmd(mark("command"), mark("command"))
            client.docmd("VRFY", mark("vrfy"))
            client.docmd("MAIL", f"FROM:<{mark('from')}@example.org> {mark('parameter')}=1")
            client.docmd("MAIL", f"FROM:<{mark('from')}@example.org>")
            client.docmd("RCPT", f"TO:{mark('to')}")
            client.docmd("RCPT", f"TO:<{mark('to')}@example.org>")
            if user is not None:
                client.data(
                    f"From: {mark('header')}@example.org\nSubject: {mark('header')}\n"
                    f"X-Tactful-Type: {mark('header')}\nTo: {mark('header')}\n\n{mark('body')}\n"
                )


# What must not be -----------------------------------------------------------------------------


def told_too_much(call: Call, answer: Answer) -> list[str]:
    """The markers in an answer that is no success, and which it had no reason to repeat.

    A field that was refused may be repeated, and so may what the address of the request says.
    """
    text = answer.body.decode()
    found = set(MARK.findall(text))
    if answer.status < 400:
        return [mark for mark in found if is_secret(call.marks.get(mark))]
    problem = json.loads(text)
    named = {part for one in problem.get("errors", ()) for part in field_parts(one)}
    return [
        mark
        for mark in found
        if is_secret(call.marks.get(mark)) or not may_tell(call.marks, mark, named)
    ]


def field_parts(error: dict[str, str]) -> set[str]:
    """The names in the path to a refused field; within a scenario the bound begins with it."""
    field = error["bound"].partition(": ")[0] if error["field"] == "scenario" else error["field"]
    return set(re.split(r"[.\[\]]", field)) - {""}


def is_secret(where: Where | None) -> bool:
    return where is not None and not SECRETS.isdisjoint(map(str, where))


def may_tell(marks: dict[str, Where], mark: str, named: set[str]) -> bool:
    where = marks.get(mark)
    if where is None:
        return False  # somebody else's
    return len(marks) == 1 or where[0] in ("path", "query") or not named.isdisjoint(map(str, where))


def assert_nowhere(text: str, canaries: Canaries) -> None:
    found = set(MARK.findall(text.casefold()))
    lines = [line for line in text.splitlines() if MARK.search(line.casefold())]
    where = sorted({canaries.made.get(mark, ("a mail server", ())) for mark in found}, key=str)
    assert not found, (where[:9], lines[:3])


@pytest.mark.parametrize(
    ("form", "stride"), [("json", 1), ("text", 3), pytest.param("text", 1, marks=pytest.mark.soak)]
)
def test_nothing_that_was_handed_in_is_in_a_log_a_metric_or_the_wrong_answer(
    tmp_path: Path, form: str, stride: int
) -> None:
    """The same requests come to the same log: as text, every third of them shows how it looks."""
    canaries, port, mail_port = Canaries(), free_port(), free_port()
    log = tmp_path / "log"
    serve = ("serve", "--port", str(port), "--smtp-port", str(mail_port), "--log-format", form)
    with SmtpSink(faults=quoting) as first, SmtpSink(faults=quoting) as second:
        token = setting(tmp_path, (first, second))
        started = process(tmp_path, *serve, "--log-level", "debug")
        with started as running, closing(Caller(port, token)) as caller:
            until(lambda: caller("GET", "/healthz").status or running.poll(), "no answer")
            assert running.poll() is None, log.read_text()
            caller.codes.clear()
            leaks = [
                (call.method, call.path, answer.body, marks)
                for call, answer in operations(caller, canaries, stride)
                if (marks := told_too_much(call, answer))
            ]
            the_console(caller, canaries)
            the_links(caller, canaries)
            the_port_for_mail(mail_port, token, canaries)
            failed = re.compile(rb"^tactful_failed_total\{.*\} ([1-9].*)$", re.M)
            until(lambda: failed.search(caller("GET", "/metrics").body), "nothing has failed")
            metrics = caller("GET", "/metrics").body.decode()
            if form == "json":
                until(lambda: '"event":"failed"' in log.read_text(), "it is not logged")
    said = log.read_text(encoding="utf-8")

    assert not [code for code in caller.codes if code not in range(200, 500)]
    assert caller.codes >= CODES
    assert leaks == []
    assert_nowhere(said, canaries)
    labels = {
        mark: canaries.made[mark]
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        for mark in MARK.findall(str(sample.labels))
    }
    assert {what for what, _ in labels.values()} <= DECLARED
    if form == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert set().union(*lines) <= FIELDS
        assert {one["event"] for one in lines if "event" in one} <= set(TROUBLES)
    else:
        assert [line for line in said.splitlines() if not TEXT_LINE.fullmatch(line)] == []
