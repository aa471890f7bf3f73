"""The clients against a real service: what the library can do, over HTTP, and nothing twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import fields
from threading import Thread
from typing import Any

import pytest
from service_cases import Scripted, Served, reply

from tactful import AsyncClient, Client, errors
from tactful import Receipt as LibraryReceipt
from tactful.client import calls, shapes
from tactful.client.shapes import Receipt
from tactful.engine import requests
from tactful.engine.insight import Why as LibraryWhy
from tactful.http import answers
from tactful.testing.servers.process import free_port

SENT = json.dumps({"decision": "send", "notification_id": "n1", "delivery_id": "d1"}).encode()
KEY = "tk_live_any"


def test_the_shapes_are_those_of_the_library_and_the_service() -> None:
    def names(kind: Any) -> list[str]:
        return [one.name for one in fields(kind)]

    assert names(Receipt) == names(LibraryReceipt)
    assert names(shapes.Why) == names(LibraryWhy)
    assert set(shapes.Notification.__annotations__) == set(requests.Submission.__annotations__)
    assert set(shapes.Announcement.__annotations__) == set(requests.Broadcast.__annotations__)
    for ours, theirs in (
        (shapes.Delivery, answers.Delivery),
        (shapes.Event, answers.Event),
        (shapes.Figures, answers.Figures),
        (shapes.Why, answers.Why),
        (Receipt, answers.Decision),
    ):
        assert set(names(ours)) == set(theirs.model_fields)


def test_a_notification_is_sent_and_every_question_about_it_answered(client: Client) -> None:
    receipt = client.send(type="hello", to="ada@example.com", subject="Hi", text="It works.")

    assert receipt.decision == "send"
    assert receipt.delivery_id is not None
    assert client.delivery(receipt.delivery_id).recipient == "ada@example.com"
    assert client.why(receipt.delivery_id).decision
    assert client.stats(receipt.notification_id).lost == 0
    named = [event.name for event in client.events(delivery_id=receipt.delivery_id)]
    assert named[0] == "accepted"


def test_the_same_key_stores_nothing_twice(client: Client) -> None:
    first = client.send(type="once", to="ada@example.com", text="Hi", idempotency_key="k-1")
    again = client.send(type="once", to="ada@example.com", text="Hi", idempotency_key="k-1")

    assert again.replayed
    assert again.delivery_id == first.delivery_id
    with pytest.raises(errors.IdempotencyConflict):
        client.send(type="once", to="ada@example.com", text="Other", idempotency_key="k-1")


def test_rules_are_put_looked_at_and_taken_away(client: Client) -> None:
    assert client.rules.put("mine", types=["mine"], limit="1/day", on_limit="reject") > 0
    assert client.rules.get("mine")["limit"] == "1/day"
    assert "mine" in [rule["name"] for rule in client.rules.list()]
    client.send(type="mine", to="ada@example.com", text="One")
    refused = client.send(type="mine", to="ada@example.com", text="Two")
    client.rules.remove("mine")

    assert (refused.decision, refused.rule) == ("reject", "mine")
    assert refused.retry_at is not None
    with pytest.raises(errors.NotFound):
        client.rules.get("mine")
    with pytest.raises(errors.InvalidRule, match="limit"):
        client.rules.put("mine", limit="often")


def test_many_go_in_several_requests_and_each_has_its_result(client: Client) -> None:
    items: list[Any] = [
        {"type": "bulk", "to": f"p{n}@example.com", "text": "x"} for n in range(1_200)
    ]
    items[1_100] = {"type": "bulk", "to": "", "text": "x"}

    results = client.send_each(items)

    assert len(results) == 1_200
    wrong = [(n, r) for n, r in enumerate(results) if isinstance(r, errors.RequestError)]
    assert [(n, r.field) for n, r in wrong] == [(1_100, "to")]
    (notification,) = {r.notification_id for r in results[:1] if isinstance(r, Receipt)}
    assert [d.recipient for d in client.deliveries(notification_id=notification)] == [
        "p0@example.com"
    ]
    everybody = {d.recipient for d in client.deliveries() if d.type == "bulk"}
    assert len(everybody) == 1_199


def test_what_waits_can_be_called_off(client: Client) -> None:
    later = client.send(type="later", to="ada@example.com", text="Hi", deliver_at=4_000_000_000_000)
    assert later.delivery_id is not None

    assert client.cancel(later.delivery_id) == 1
    assert client.cancel_all(later.notification_id) == 0
    assert not client.retry(later.delivery_id)


def test_what_waits_can_be_paused_and_resumed(client: Client) -> None:
    later = client.send(type="later", to="ada@example.com", text="Hi", deliver_at=4_000_000_000_000)

    assert client.pause(later.notification_id) == 1
    assert client.why(later.delivery_id or "").decision == "pause"
    assert client.resume(later.notification_id) == 1
    assert client.resume(later.notification_id) == 0


def test_errors_are_those_of_the_library(client: Client, served: Served) -> None:
    with pytest.raises(errors.RequestError) as caught:
        client.send(type="x", to="ada@example.com", text="x", priority="urgent")
    assert caught.value.field == "priority"
    with pytest.raises(errors.NotFound):
        client.why("nothing")
    with pytest.raises(errors.RequestError, match="must be plain data"):
        client.send(type="x", to="a@b.example", data={"x": object()})
    with (
        Client(served.url, "tk_live_wrong") as stranger,
        pytest.raises(errors.ConfigError, match="key"),
    ):
        stranger.rules.list()


def test_a_client_is_used_by_many_threads(client: Client) -> None:
    found: list[Receipt] = []

    def send(number: int) -> None:
        found.extend(
            client.send(type="threads", to=f"t{number}@example.com", text=str(n)) for n in range(5)
        )

    threads = [Thread(target=send, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({receipt.delivery_id for receipt in found}) == 60


def test_the_asynchronous_client_does_the_same(served: Served) -> None:
    async def story() -> None:
        async with AsyncClient(served.url, served.key) as client:
            receipts = await asyncio.gather(
                *(client.send(type="async", to=f"a{n}@example.com", text="Hi") for n in range(20))
            )
            assert len({receipt.delivery_id for receipt in receipts}) == 20
            first = receipts[0].delivery_id
            assert first is not None
            assert (await client.delivery(first)).type == "async"
            assert (await client.why(first)).text
            assert (await client.stats(receipts[0].notification_id)).lost == 0
            named = [event.name async for event in client.events(delivery_id=first)]
            assert named[0] == "accepted"
            results = await client.send_each([{"type": "async", "to": "", "text": "x"}])
            assert isinstance(results[0], errors.RequestError)
            await client.rules.put("aio", types=["aio"], limit="1/day")
            assert (await client.rules.get("aio"))["limit"] == "1/day"
            assert "aio" in [rule["name"] for rule in await client.rules.list()]
            await client.rules.remove("aio")
            with pytest.raises(errors.NotFound):
                await client.delivery("nothing")
            later = await client.send(
                type="async", to="a@b.example", text="x", deliver_at=4_000_000_000_000
            )
            assert later.delivery_id is not None
            assert await client.pause(later.notification_id) == 1
            assert await client.resume(later.notification_id) == 1
            assert await client.cancel(later.delivery_id) == 1
            assert await client.cancel_all(later.notification_id) == 0
            assert not await client.retry(later.delivery_id)
            assert (await client.broadcast(type="async", text="Hi")).decision == "queued"
            assert [d.id async for d in client.deliveries(recipient="a1@example.com")]

    asyncio.run(story())


# What goes wrong ------------------------------------------------------------------------------


def blocking(server: Scripted | str, paused: list[float], **options: Any) -> Receipt:
    url = server if isinstance(server, str) else server.url
    with Client(url, KEY, pause=paused.append, **options) as client:
        return client.send(type="a", to="b@c.example", text="Hi")


def asynchronous(server: Scripted | str, paused: list[float], **options: Any) -> Receipt:
    async def pause(seconds: float) -> None:
        paused.append(seconds)

    async def story() -> Receipt:
        url = server if isinstance(server, str) else server.url
        async with AsyncClient(url, KEY, pause=pause, **options) as client:
            return await client.send(type="a", to="b@c.example", text="Hi")

    return asyncio.run(story())


both = pytest.mark.parametrize("send", [blocking, asynchronous])
Send = Callable[..., Receipt]


@both
def test_it_is_tried_again_with_the_same_key_after_a_lost_answer_and_503(send: Send) -> None:
    paused: list[float] = []
    script = (b"", reply(503, Retry_After="2"), reply(502, b"<html>"), reply(202, SENT))
    with Scripted(*script) as server:
        receipt = send(server, paused)

    assert receipt.delivery_id == "d1"
    keys = {re.search(rb"(?i)idempotency-key: (\w+)", one)[1] for one in server.requests}  # type: ignore[index]
    assert len(server.requests) == 4
    assert len(keys) == 1
    assert len(paused) == 3
    assert 2 < paused[1] < 2.5


@both
def test_the_services_own_limit_is_waited_for_and_a_rule_is_not(send: Send) -> None:
    paused: list[float] = []
    problem = {"code": "over_limit", "detail": "x", "decision": "reject", "notification_id": "n"}
    script = (
        reply(429, b'{"code":"too_many_requests"}', Retry_After="7"),
        reply(429, json.dumps(problem).encode(), Retry_After="9"),
    )
    with Scripted(*script) as server:
        receipt = send(server, paused)

    assert receipt.decision == "reject"
    assert [int(seconds) for seconds in paused] == [7]


@both
def test_it_gives_up_after_so_many_tries_or_where_the_wait_is_long(send: Send) -> None:
    paused: list[float] = []
    with Scripted(reply(503), reply(503)) as server, pytest.raises(errors.Unavailable, match="503"):
        send(server, paused, tries=2)
    assert len(paused) == 1
    busy = reply(429, b'{"code":"too_many_requests"}', Retry_After="3600")
    with Scripted(busy) as server, pytest.raises(errors.Unavailable, match="429"):
        send(server, paused)
    assert len(paused) == 1


@both
def test_who_is_not_there_is_unavailable_and_no_key_is_told(send: Send) -> None:
    with pytest.raises(errors.Unavailable, match="cannot connect") as caught:
        send(f"http://127.0.0.1:{free_port()}", [], tries=2)

    assert KEY not in str(caught.value)


@both
def test_an_answer_of_somebody_else_is_no_receipt(send: Send) -> None:
    for body in (b"<html>", b"[]", b"{}", b'{"decision": "send"}'):
        with (
            Scripted(reply(200, body)) as server,
            pytest.raises(errors.Unavailable, match="no answer of"),
        ):
            send(server, [], tries=1)


@both
def test_one_connection_serves_many_requests(send: Send) -> None:
    with Scripted(reply(503), reply(503), reply(202, SENT)) as server:
        send(server, [])

    assert server.connections == 1


def test_what_may_have_been_done_and_has_no_key_is_not_repeated() -> None:
    lost = pytest.raises(errors.Unavailable, match="no answer came")
    with Scripted(b"") as server, Client(server.url, KEY) as client, lost:
        client.cancel("d1")

    assert len(server.requests) == 1


def test_a_connection_that_the_service_has_ended_is_not_used(served: Served) -> None:
    ending = reply(202, SENT, Connection="close")
    with Scripted(ending, ending) as server, Client(server.url, KEY, tries=1) as client:
        client.send(type="a", to="b@c.example", text="1")
        client.send(type="a", to="b@c.example", text="2")

    assert server.connections == 2


@pytest.mark.parametrize(
    "url",
    ["", "tactful.example.com", "ftp://a", "http://u:p@a", "http://a?x=1", "http://a:x", "http://"],
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="url: must be like"):
        Client(url, KEY)


@pytest.mark.parametrize("key", ["", "a b", "a\r\nX: y", "schlüssel"])
def test_a_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(errors.ConfigError, match="key: must be an API key") as caught:
        Client("http://a", key)

    assert not key or key not in str(caught.value)
    assert KEY not in repr(Client("http://a", KEY))
    assert KEY not in repr(calls.service("http://a", KEY))


def test_a_path_before_the_service_is_kept() -> None:
    with Scripted(reply(202, SENT)) as server, Client(server.url + "/notify/", KEY) as client:
        client.send(type="a", to="b@c.example", text="Hi")

    assert server.requests[0].startswith(b"POST /notify/v1/notifications HTTP/1.1\r\n")
