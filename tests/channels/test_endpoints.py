"""Endpoints are told what happens: in order, signed, at least once, and for days."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_cases import Hooks, status
from standardwebhooks import Webhook

from tactful import Tactful
from tactful.channels.egress import Egress
from tactful.core.errors import NotFound, RequestError
from tactful.core.model import DAY, HOUR, MINUTE, SECOND
from tactful.engine.endpoints import PATIENCE_MS, PAUSES, Endpoint
from tactful.testing import CaptureChannel, ManualClock

START = 1_767_254_400_000
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "b" * 32


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        return "memory://"
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 't.db'}"
    found: str = request.getfixturevalue("used_store_url")
    return found


class Place:
    """An engine, a clock that is moved, and a program that wants to be told."""

    def __init__(self, url: str, hooks: Hooks) -> None:
        self.clock = ManualClock(START)
        self.hooks = hooks
        self.app = self.open(url)

    def open(self, url: str, owner: str = "") -> Tactful:
        egress = Egress(allow_networks=["127.0.0.0/8"], allow_http=True, ports=[self.hooks.port])
        post = CaptureChannel("post")
        return Tactful(url, channels=[post], clock=self.clock, owner=owner, egress=egress)

    def endpoint(self, name: str = "crm", **fields: Any) -> Endpoint:
        where = f"http://127.0.0.1:{self.hooks.port}/{name}"
        made = Endpoint(name, where, **{"secrets": (SECRET,), **fields})
        self.app.endpoints.put(made)
        return made

    def say(self, count: int = 1) -> None:
        for number in range(count):
            self.app.send(type="news", to=f"p{number}", text="x")

    @property
    def told(self) -> list[str]:
        return [json.loads(got.body)["type"] for got in self.hooks.got]


@pytest.fixture
def place(url: str) -> Iterator[Place]:
    with Hooks() as hooks:
        found = Place(url, hooks)
        yield found
        found.app.close()


def test_events_are_told_in_order_with_a_signature_that_others_can_check(place: Place) -> None:
    place.say()
    place.endpoint()
    place.say()
    place.app.tick()

    assert place.told == ["endpoint.changed", "accepted", "delivered", "delivered"]
    for got in place.hooks.got:
        Webhook(SECRET).verify(got.body, got.headers)
    found = json.loads(place.hooks.got[1].body)
    assert found["timestamp"] == "2026-01-01T08:00:00.000+00:00"
    assert found["data"]["recipient"] == "p0"
    assert [got.headers["webhook-id"] for got in place.hooks.got] == [
        f"evt_{json.loads(got.body)['data']['seq']}" for got in place.hooks.got
    ]


def test_an_endpoint_gets_only_what_it_wants_and_may_have_cloudevents(place: Place) -> None:
    place.endpoint(events=("delivered",), form="cloudevents", secrets=(SECRET, OTHER))
    place.say()
    place.app.tick()

    (got,) = place.hooks.got
    assert got.headers["content-type"] == "application/cloudevents+json"
    found = json.loads(got.body)
    assert found["specversion"] == "1.0"
    assert found["type"] == "tactful.delivered"
    assert found["subject"] == found["data"]["delivery_id"]
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(got.body, got.headers)


def test_what_is_not_taken_is_offered_again_for_a_day_and_then_set_aside(place: Place) -> None:
    place.endpoint(events=("delivered",))
    place.hooks.answer = status(500)
    place.say(2)
    place.app.tick()
    first = place.hooks.got[0].headers["webhook-id"]

    def offered() -> int:
        return sum(got.headers["webhook-id"] == first for got in place.hooks.got)

    for number, pause in enumerate(PAUSES, start=1):
        place.clock.advance(pause - 1)
        place.app.tick()
        assert offered() == number
        place.clock.advance(1)
        place.app.tick()
        assert offered() == number + 1
    assert len({got.body for got in place.hooks.got}) == 2, "the next one is offered then"

    (aside,) = place.app.endpoints.set_aside("crm")
    assert aside.data["reason"] == "it answered 500"
    place.hooks.answer = status(204)
    place.clock.advance(PAUSES[0])
    place.app.tick()
    assert offered() == len(PAUSES) + 1
    place.app.endpoints.again("crm", [aside.data["seq"]])
    place.app.tick()
    assert place.hooks.got[-1].headers["webhook-id"] == first
    assert place.app.endpoints.place("crm").again == ()


def test_one_that_takes_nothing_for_days_is_stopped_until_somebody_resumes_it(
    place: Place,
) -> None:
    place.endpoint(events=("delivered",))
    place.hooks.answer = status(503)
    place.say(20)
    began = place.clock.now()
    while place.app.endpoints.place("crm").stopped is None:
        assert place.clock.now() - began <= PATIENCE_MS + DAY
        place.app.tick()
        place.clock.advance(HOUR)
    seen = len(place.hooks.got)
    place.clock.advance(9 * DAY)
    place.app.tick()
    assert len(place.hooks.got) == seen
    assert [e.data["endpoint"] for e in place.app.events(name="endpoint.stopped")] == ["crm"]

    place.hooks.answer = status(204)
    place.app.endpoints.resume("crm")
    place.app.tick()
    set_aside = {e.data["seq"] for e in place.app.endpoints.set_aside("crm")}
    taken = {json.loads(got.body)["data"]["seq"] for got in place.hooks.got[seen:]}
    wanted = {event.seq for event in place.app.events(name="delivered")}
    assert taken | set_aside == wanted
    assert not taken & set_aside


def test_one_that_says_it_is_gone_is_asked_no_more(place: Place) -> None:
    place.endpoint()
    place.hooks.answer = status(410)
    place.say()
    place.app.tick()
    place.clock.advance(DAY)
    place.app.tick()

    assert len(place.hooks.got) == 1
    assert place.app.endpoints.place("crm").stopped == "it answered 410"


def test_what_it_asks_to_wait_is_waited_for(place: Place) -> None:
    place.endpoint()
    place.hooks.answer = status(429, retry_after="60")
    place.say()
    place.app.tick()
    place.clock.advance(MINUTE - 1)
    place.app.tick()
    assert len(place.hooks.got) == 1
    place.clock.advance(1)
    place.app.tick()
    assert len(place.hooks.got) == 2


def test_one_that_is_out_of_order_holds_up_nobody_else(place: Place) -> None:
    place.endpoint("bad", events=("delivered",))
    place.endpoint("good", events=("delivered",))
    place.hooks.answer = lambda handler, number: status(500 if handler.path == "/bad" else 204)(
        handler, number
    )
    place.say(3)
    place.app.tick()

    assert [got.path for got in place.hooks.got] == ["/bad", "/good", "/good", "/good"]


def test_everything_can_be_replayed_from_an_event_on(place: Place) -> None:
    place.endpoint(events=("delivered",))
    place.say(3)
    place.app.tick()
    middle = place.app.events(name="delivered")[1].seq
    place.app.endpoints.replay("crm", middle)
    place.app.tick()

    ids = [got.headers["webhook-id"] for got in place.hooks.got]
    assert ids[3:] == ids[2:3]


def test_one_that_is_removed_and_made_anew_begins_with_what_happens_then(place: Place) -> None:
    place.endpoint(events=("delivered",))
    place.app.endpoints.remove("crm")
    place.say()
    place.app.tick()
    with pytest.raises(NotFound):
        place.app.endpoints.place("crm")
    place.endpoint(events=("delivered",))
    place.say(2)
    place.app.tick()
    assert len(place.hooks.got) == 2


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("url", {"url": "ftp://example.com/"}),
        ("url", {"url": "https://example.com:22/"}),
        ("url", {"url": ""}),
        ("secrets", {"secrets": ()}),
        ("secrets", {"secrets": ("whsec_short",)}),
        ("form", {"form": "xml"}),
        ("events", {"events": ("x",) * 101}),
    ],
)
def test_what_can_be_no_endpoint_is_refused_by_name(field: str, fields: dict[str, Any]) -> None:
    app = Tactful("memory://")
    values = {"url": "https://example.com/", "secrets": (SECRET,), **fields}
    with pytest.raises(RequestError) as refusal:
        app.endpoints.put(Endpoint("crm", **values))
    assert refusal.value.field == field
    assert "whsec_short" not in str(refusal.value)


def test_of_two_workers_one_tells(tmp_path: Path) -> None:
    """While the first is at it, the second has nothing to do; later it goes on from there."""
    inside, go_on = threading.Event(), threading.Event()

    def slowly(handler: Any, number: int) -> None:
        if number == 0:
            inside.set()
            go_on.wait(30)
        status(204)(handler, number)

    with Hooks(slowly) as hooks:
        place = Place(f"sqlite:///{tmp_path / 't.db'}", hooks)
        other = place.open(place.app.store.url, "other")
        place.endpoint(events=("delivered",))
        place.say(3)
        first = threading.Thread(target=place.app.tick)
        first.start()
        assert inside.wait(30)
        other.tick()
        assert len(hooks.got) == 1
        go_on.set()
        first.join()
        place.say()
        other.tick()
        assert len({got.headers["webhook-id"] for got in hooks.got}) == len(hooks.got) == 4
        other.close()
        place.app.close()


def test_who_died_while_telling_is_replaced_a_minute_later(tmp_path: Path) -> None:

    with Hooks() as hooks:
        place = Place(f"sqlite:///{tmp_path / 't.db'}", hooks)
        place.endpoint(events=("delivered",))
        place.say(2)
        place.app.tick()
        with place.app.store.transaction() as tx:
            held = json.loads(tx.note("endpoint:crm") or "")
            held |= {"owner": "dead", "until": place.clock.now() + MINUTE}
            tx.set_note("endpoint:crm", json.dumps(held))
        place.say(2)
        place.app.tick()
        assert len(hooks.got) == 2
        place.clock.advance(MINUTE + SECOND)
        place.app.tick()
        assert len(hooks.got) == 4
        place.app.close()
