"""Feedback over HTTP: who may bring it, and what is answered."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi.testclient import TestClient
from inbound_world import World
from mail_samples import ABUSE, POSTFIX, VACATION
from provider_calls import (
    PATH,
    mailgun,
    mailgun_failed,
    postmark,
    postmark_bounce,
    receipts,
    sendgrid,
    sendgrid_bounce,
    ses_bounce,
    sns,
    twilio,
    twilio_status,
)

from tactful.channels.egress import Egress
from tactful.core.errors import RequestError, Unavailable
from tactful.http.receipts import MAIL_MAX
from tactful.http.service import create_service
from tactful.inbound.desk import Desk, fetcher

NOTHING = {"news": 0, "stale": 0, "replayed": 0, "unknown": 0}


class Site:
    """The service of a world, and keys for it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.client = TestClient(
            create_service(world.app, [world.channel], desk=Desk(world.app, receipts()))
        )
        self.admin = self.key("boss", "admin")

    def key(self, name: str, *scopes: str) -> dict[str, str]:
        _, token = self.world.app.keys.create(name, scopes)
        return {"Authorization": f"Bearer {token}"}

    def mail(self, raw: str | bytes, key: dict[str, str] | None = None, to: str = "") -> Any:
        headers = {**(self.admin if key is None else key), "Content-Type": "message/rfc822"}
        params = {"to": to} if to else {}
        return self.client.post("/v1/inbound/mail", content=raw, headers=headers, params=params)

    def call(self, provider: str, made: tuple[dict[str, str], bytes], query: str = "") -> Any:
        headers, body = made
        return self.client.post(f"{PATH}{provider}{query}", content=body, headers=headers)


@pytest.fixture
def site(world: World) -> Iterator[Site]:
    found = Site(world)
    with found.client:
        yield found


def bounce(delivery_id: str) -> str:
    return POSTFIX.format(id=delivery_id, action="failed", status="5.1.1", reply="550 5.1.1 nobody")


# Mails ----------------------------------------------------------------------------------------


def test_a_bounce_is_handed_in_as_it_came(site: Site) -> None:
    delivery_id = site.world.sent()

    answer = site.mail(bounce(delivery_id))

    assert (answer.status_code, answer.json()) == (200, {**NOTHING, "news": 1})
    assert site.world.state(delivery_id) == "bounced"
    assert site.mail(bounce(delivery_id)).json() == {**NOTHING, "replayed": 1}


def test_the_address_that_it_came_to_can_be_told(site: Site) -> None:
    delivery_id = site.world.sent()
    mail = bounce("unknown")

    assert site.mail(mail, to=f"bounces+{delivery_id}@shop.example").json()["news"] == 1


def test_a_complaint_is_handed_in_alike(site: Site) -> None:
    delivery_id = site.world.sent()

    site.mail(ABUSE.format(id=delivery_id, kind="abuse"))

    assert site.world.reasons() == [("all but mandatory", "complaint")]


@pytest.mark.parametrize("mail", ["", "\0\xff", "Subject: Hi\n\nHi", VACATION.format(id="x")])
def test_a_mail_that_reports_nothing_is_no_error(site: Site, mail: str) -> None:
    answer = site.mail(mail.encode())

    assert (answer.status_code, answer.json()) == (200, NOTHING)


def test_mails_need_a_key_with_the_scope_admin(site: Site) -> None:
    delivery_id = site.world.sent()

    assert site.mail(bounce(delivery_id), {}).status_code == 401
    assert site.mail(bounce(delivery_id), site.key("shop", "send", "read")).status_code == 403
    assert site.world.state(delivery_id) == "sent"


def test_a_mail_that_is_too_large_is_refused(site: Site) -> None:
    assert site.mail(b"x" * (MAIL_MAX + 1)).status_code == 413


# Webhooks -------------------------------------------------------------------------------------


def test_every_provider_is_known_by_its_own_signature_and_needs_no_key(site: Site) -> None:
    world = site.world
    now = world.clock.now()
    ids = [world.sent(f"u{n}@example.org") for n in range(4)]
    query = f"?delivery={ids[3]}"
    calls = [
        site.call("sendgrid", sendgrid([sendgrid_bounce(ids[0])], now)),
        site.call("mailgun", mailgun(mailgun_failed(ids[1]), now)),
        site.call("postmark", postmark(postmark_bounce(ids[2]), now)),
        site.call("twilio", twilio(twilio_status("SM1"), f"{PATH}twilio{query}"), query),
    ]

    assert [answer.status_code for answer in calls] == [200] * 4
    assert [answer.json()["news"] for answer in calls] == [1] * 4
    assert {world.state(delivery_id) for delivery_id in ids} == {"bounced"}


def test_what_is_forged_is_answered_with_403_and_changes_nothing(site: Site) -> None:
    delivery_id = site.world.sent()
    headers, body = sendgrid([sendgrid_bounce(delivery_id)], site.world.clock.now())

    answer = site.call("sendgrid", (headers, body + b" "))

    assert (answer.status_code, answer.json()["code"]) == (403, "forged")
    assert site.world.state(delivery_id) == "sent"


def test_what_came_before_is_answered_with_200(site: Site) -> None:
    made = sendgrid([sendgrid_bounce(site.world.sent())], site.world.clock.now())
    site.call("sendgrid", made)

    answer = site.call("sendgrid", made)

    assert (answer.status_code, answer.json()) == (200, {**NOTHING, "replayed": 1})


def test_what_is_about_nothing_known_is_answered_with_200(site: Site) -> None:
    answer = site.call("sendgrid", sendgrid([sendgrid_bounce("a" * 32)], site.world.clock.now()))

    assert (answer.status_code, answer.json()) == (200, {**NOTHING, "unknown": 1})


def test_what_comes_too_early_is_to_come_again(site: Site) -> None:
    found: list[Any] = []
    receipt = site.world.app.send(type="news", to="ada@example.org", text="x")
    made = sendgrid([sendgrid_bounce(receipt.delivery_id or "")], site.world.clock.now())
    site.world.meanwhile = lambda: found.append(site.call("sendgrid", made))
    site.world.app.tick()

    assert (found[0].status_code, found[0].headers["retry-after"]) == (503, "1")
    assert site.call("sendgrid", made).json()["news"] == 1


def test_a_provider_that_is_not_configured_is_not_there(site: Site) -> None:
    for provider in ("sparkpost", "SES", "ses%2F..", "x" * 500):
        assert site.call(provider, ({}, b"")).status_code == 404
    bare = TestClient(create_service(site.world.app, [site.world.channel]))
    assert bare.post(f"{PATH}sendgrid", content=b"[]").status_code == 404


def test_what_a_provider_signs_and_nobody_understands_is_400(site: Site) -> None:
    answer = site.call("sendgrid", sendgrid({"no": "list"}, site.world.clock.now()))

    assert (answer.status_code, answer.json()["code"]) == (400, "unreadable")


def test_amazon_out_of_reach_has_the_call_come_again(world: World) -> None:
    """Nothing resolves here: the certificate cannot be had, and so the call is not judged."""
    desk = Desk(world.app, receipts(), Egress(resolver=_nowhere))
    client = TestClient(create_service(world.app, [world.channel], desk=desk))
    headers, body = sns(ses_bounce("x"), world.clock.now())

    assert client.post(f"{PATH}ses", content=body, headers=headers).status_code == 503


def _nowhere(host: str, port: int) -> list[str]:
    raise OSError("no such host")


# The way to a certificate ---------------------------------------------------------------------


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"the page"
        self.send_response(200 if self.path == "/page?a=b" else 302)
        self.send_header("Location", "/page?a=b")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def pages() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_what_is_fetched_goes_through_the_one_way_out(pages: int) -> None:
    url = f"http://127.0.0.1:{pages}/page?a=b"
    fetch = fetcher(Egress(allow_networks=["127.0.0.0/8"], allow_http=True, ports=[pages]))

    assert fetch(url) == b"the page"
    with pytest.raises(Unavailable, match="302"):
        fetch(url.replace("page?", "elsewhere?"))
    with pytest.raises(Unavailable, match="may not be reached"):
        fetcher(Egress(allow_http=True, ports=[pages]))(url)
    with pytest.raises(RequestError):
        fetcher(Egress())(url)
