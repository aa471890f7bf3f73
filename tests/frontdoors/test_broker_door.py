"""Submissions over a real JetStream: each admitted exactly once, whatever is killed meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from nats.js.errors import NotFoundError

from nats_peer import REFUSED, SUBMISSIONS, NatsPeer, until
from tactful import Rule, Tactful
from tactful.brokers.nats import JetStream
from tactful.brokers.settings import Places
from tactful.core.errors import Unavailable
from tactful.frontdoors.broker import BrokerDoor
from tactful.ports import Broker, Probe
from tactful.stores.memory import MemoryStore
from tactful.stores.sqlite.store import SqliteStore
from tactful.testing.faults import Crash, FaultyStore, Plan
from tactful.testing.servers.nats import NatsServer


def body(number: int, **more: Any) -> bytes:
    fields = {"type": "note", "to": f"p{number}@example.com", "text": f"Hi {number}", **more}
    return json.dumps(fields).encode()


def admitted(app: Tactful) -> list[str]:
    return sorted(one.recipient for one in app.deliveries(limit=10_000))


class Counts:
    """A probe that keeps what happened."""

    def __init__(self) -> None:
        self.found: dict[str, int] = {}

    def began(self, step: str, about: str = "") -> None:
        """Not looked at."""

    def took(self, step: str, seconds: float, about: str = "") -> None:
        """Not looked at."""

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        self.found[what] = self.found.get(what, 0) + times


@pytest.fixture(scope="module")
def shared() -> Iterator[NatsServer]:
    with NatsServer() as server:
        yield server


@pytest.fixture
def broker(shared: NatsServer) -> Iterator[JetStream]:
    found = JetStream(shared.url(), Places(settled_within_ms=1000))
    found.take(1, 0)
    yield found
    found.close()
    peer = NatsPeer(shared.url())
    for stream in (SUBMISSIONS, REFUSED):
        with suppress(NotFoundError):
            peer.delete(stream)


@pytest.fixture
def peer(shared: NatsServer) -> NatsPeer:
    return NatsPeer(shared.url())


def test_what_others_publish_is_admitted_and_settled(broker: JetStream, peer: NatsPeer) -> None:
    probe: Probe = Counts()
    app = Tactful(probe=probe)
    peer.put([(body(n), None) for n in range(300)])

    with BrokerDoor(app, broker):
        until(lambda: peer.count(SUBMISSIONS) == 0)

    assert admitted(app) == sorted(f"p{n}@example.com" for n in range(300))
    assert probe.found["admitted"] == 300


def test_a_message_that_was_published_twice_counts_once(broker: JetStream, peer: NatsPeer) -> None:
    app = Tactful()
    peer.put([(body(1), {"Idempotency-Key": "order-1"}), (body(1), {"Idempotency-Key": "order-1"})])

    assert BrokerDoor(app, broker).pump(1.0) == 2
    receipt = app.send(type="note", to="p1@example.com", text="Hi 1", idempotency_key="order-1")

    assert receipt.replayed
    assert admitted(app) == ["p1@example.com"]


def test_what_is_refused_is_kept_as_a_problem_and_spoils_no_other(
    broker: JetStream, peer: NatsPeer
) -> None:
    app = Tactful()
    bad = [
        (b"{", "unreadable"),
        (b"\xff\xfe", "unreadable"),
        (body(1, ttl="soon"), "invalid_request"),
        (body(1, unknown=1), "invalid_request"),
        (body(9, idempotency_key="taken"), "idempotency_conflict"),
    ]
    peer.put([(body(2, idempotency_key="taken"), None)])
    peer.put([(one, {"X-From": "shop"}) for one, _ in bad])
    peer.put([(body(3), None)])

    BrokerDoor(app, broker).pump(1.0)
    problems = [json.loads(one.body) for one in peer.kept(REFUSED)]

    assert admitted(app) == ["p2@example.com", "p3@example.com"]
    assert peer.count(SUBMISSIONS) == 0
    assert sorted(p["code"] for p in problems) == sorted(code for _, code in bad)
    assert {p["status"] for p in problems} == {400, 422}
    (soon,) = [p for p in problems if p["detail"].startswith("ttl:")]
    assert soon["errors"][0]["field"] == "ttl"
    assert json.loads(soon["message"]["body"])["text"] == "Hi 1"
    assert soon["message"]["headers"]["x-from"] == "shop"


def test_a_huge_message_that_is_refused_still_fits_into_its_problem(
    broker: JetStream, peer: NatsPeer
) -> None:
    peer.put([(b"\x00" * 1_000_000, None)])

    BrokerDoor(Tactful(), broker).pump(1.0)
    (problem,) = [json.loads(one.body) for one in peer.kept(REFUSED)]

    assert problem["message"]["cut"] == 1_000_000


def test_what_a_rule_rejects_was_decided_and_is_no_refusal(
    broker: JetStream, peer: NatsPeer
) -> None:
    app = Tactful()
    app.rules.put(Rule("one", limit="1/day", on_limit="reject"))
    peer.put([(body(1), None), (body(1), None)])

    assert BrokerDoor(app, broker).pump(1.0) == 2

    assert sorted(state.value for state in app.counts()) == ["queued", "rejected"]


def test_what_the_store_cannot_take_now_comes_again(broker: JetStream, peer: NatsPeer) -> None:
    plan = Plan()
    app = Tactful(FaultyStore(MemoryStore(), plan))
    door = BrokerDoor(app, broker)
    peer.put([(body(n), None) for n in range(10)])
    plan.fail("commit")

    with pytest.raises(Unavailable):
        door.pump(1.0)
    assert admitted(app) == []
    with door:
        until(lambda: peer.count(SUBMISSIONS) == 0)

    assert admitted(app) == sorted(f"p{n}@example.com" for n in range(10))


def test_a_message_that_meets_a_bug_stops_nobody_and_is_refused_in_the_end(
    broker: JetStream, peer: NatsPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Tactful()
    send_each = app.send_each

    def buggy(items: Any, **named: Any) -> Any:
        if any(item["text"] == "Hi 1" for item in items):
            raise ZeroDivisionError
        return send_each(items, **named)

    monkeypatch.setattr(app, "send_each", buggy)
    peer.put([(body(n), None) for n in range(3)])

    with BrokerDoor(app, broker, again_ms=20):
        until(lambda: peer.count(SUBMISSIONS) == 0)
    (problem,) = [json.loads(one.body) for one in peer.kept(REFUSED)]

    assert admitted(app) == ["p0@example.com", "p2@example.com"]
    assert (problem["status"], problem["code"]) == (500, "internal")


class _Mortal:
    """A broker whose caller dies before or after one of its calls."""

    def __init__(self, inner: Broker, plan: Plan) -> None:
        self._inner = inner
        self._plan = plan

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            number = self._plan.enter(name)
            found = getattr(self._inner, name)(*arguments)
            self._plan.leave(number, name)
            return found

        return counted


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["commit", "done", "refuse"])
def test_who_is_killed_around_a_call_has_admitted_each_exactly_once(
    broker: JetStream, peer: NatsPeer, tmp_path: Path, call: str, when: Any
) -> None:
    peer.put([(body(n), None) for n in range(20)])
    peer.put([(b"no json", None)])
    plan = Plan()
    store = SqliteStore(f"sqlite:///{tmp_path}/notify.db")
    app = Tactful(FaultyStore(store, plan))
    plan.fail(call, when=when, error=Crash)
    with pytest.raises(Crash):
        BrokerDoor(app, _Mortal(broker, plan)).pump(1.0)  # type: ignore[arg-type]
    app.close()
    broker.close()

    with Tactful(f"sqlite:///{tmp_path}/notify.db") as again, BrokerDoor(again, broker):
        until(lambda: peer.count(SUBMISSIONS) == 0)
        assert admitted(again) == sorted(f"p{n}@example.com" for n in range(20))
    assert len({one.headers["Nats-Msg-Id"] for one in peer.kept(REFUSED)}) == 1


def test_a_server_that_is_killed_and_started_again_costs_only_time() -> None:
    with NatsServer() as server:
        broker, peer, app = JetStream(server.url()), NatsPeer(server.url()), Tactful()
        with BrokerDoor(app, broker):
            until(lambda: peer.has(SUBMISSIONS))
            peer.put([(body(n), None) for n in range(100)])
            server.kill()
            server.start()
            peer.put([(body(n), None) for n in range(100, 200)])
            until(lambda: len(admitted(app)) == 200)
        broker.close()

    assert admitted(app) == sorted(f"p{n}@example.com" for n in range(200))


def test_a_stream_that_is_purged_or_made_anew_confuses_nobody(
    broker: JetStream, peer: NatsPeer
) -> None:
    """The numbers of messages begin anew, and their names do not."""
    app = Tactful()
    with BrokerDoor(app, broker):
        peer.put([(body(n), None) for n in range(5)])
        until(lambda: len(admitted(app)) == 5)
        peer.purge(SUBMISSIONS)
        peer.put([(body(n), None) for n in range(5, 10)])
        until(lambda: len(admitted(app)) == 10)
        peer.delete(SUBMISSIONS)
        until(lambda: peer.has(SUBMISSIONS))  # the door makes it
        peer.put([(body(n), None) for n in range(10, 15)])
        until(lambda: len(admitted(app)) == 15)

    assert len(set(admitted(app))) == 15


def test_who_waits_for_messages_makes_a_consumer_anew_that_is_gone(
    broker: JetStream, peer: NatsPeer
) -> None:
    peer.forget(SUBMISSIONS, Places().group)
    peer.put([(body(1), None)])

    (taken,) = broker.take(10, 5.0)
    broker.done([taken])

    assert taken.body == body(1)
