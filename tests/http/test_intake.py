"""What is let in: bytes, depth, encodings, spans of time and requests a second."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from api_bench import Api, said
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st

from tactful.config.service import Http
from tactful.engine.documents import BODY_MAX, DEPTH_MAX, is_deep
from tactful.http.guard import Guard
from tactful.http.intake import BULK_BODY_MAX
from tactful.http.throttle import Throttle
from tactful.runtime.clock import ManualClock

SINGLE = "/v1/notifications"
BULK = "/v1/notifications/bulk"
JSON = {"Content-Type": "application/json"}


def post(api: Api, body: bytes | Iterator[bytes], url: str = SINGLE, **headers: str) -> Any:
    return api.client.post(url, content=body, headers=api.sender | JSON | headers)


def assert_problem(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:tactful:problem:{code}"


# Bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "most"), [(SINGLE, BODY_MAX), (BULK, BULK_BODY_MAX)])
def test_a_body_that_says_it_is_too_large_is_not_read(api: Api, url: str, most: int) -> None:
    def never() -> Iterator[bytes]:
        yield b"{"
        pytest.fail("the rest was asked for")

    answer = post(api, never(), url, **{"Content-Length": str(most + 1)})

    assert_problem(answer, 413, "too_large")
    assert str(most) in answer.json()["detail"]


@pytest.mark.parametrize(("url", "most"), [(SINGLE, BODY_MAX), (BULK, BULK_BODY_MAX)])
def test_a_body_that_does_not_say_so_is_read_up_to_the_bound(api: Api, url: str, most: int) -> None:
    pieces = (b" " * 100_000 for _ in range(most // 100_000 + 1))

    assert_problem(post(api, pieces, url), 413, "too_large")


def test_a_body_of_just_the_size_is_taken(api: Api) -> None:
    body = orjson.dumps(said())
    padded = body[:-1] + b" " * (BODY_MAX - len(body)) + b"}"

    assert len(padded) == BODY_MAX
    assert post(api, padded).status_code == 202


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"type": "news", "to": "a", "text": NaN}',
        b'{"type": "news", "to": "a", "text": "\xff"}',
        b'{"type": "news", "to": "a", "text": "\\ud800"}',
        '{"type": "news", "to": "a", "text": "w"}'.encode("utf-16"),
        b"[" * 500_000,
        b'{"a":' * 150_000,
        b'{"type": "news", "to": "a", "text": "w", "data": ' + b"[" * 21 + b"]" * 21 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_json_is_told_so(api: Api, body: bytes) -> None:
    for url in (SINGLE, BULK):
        answer = post(api, body, url)
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert api.app.deliveries() == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_read(api: Api, kind: str) -> None:
    body = orjson.dumps(said())

    assert_problem(post(api, body, **{"Content-Type": kind}), 415, "unsupported_media_type")
    answer = post(api, body, **{"Content-Type": "application/json; charset=utf-8"})
    assert answer.status_code == 202


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1, 10**30, 10**400])
@pytest.mark.parametrize("field", ["deliver_at", "ttl"])
def test_numbers_beyond_64_bits_are_refused(api: Api, field: str, number: int) -> None:
    body = json.dumps(said(**{field: number})).encode()

    assert post(api, body).status_code in (400, 422)
    bulk = post(api, b'{"items":[' + body + b"]}", BULK)
    assert bulk.status_code == 400 or "error" in bulk.json()["results"][0]
    assert api.app.deliveries() == []


TEXTS = st.text('ab"\\[]{}', max_size=6)


@given(
    st.recursive(
        TEXTS | st.integers(0, 9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
        max_leaves=12,
    ),
    st.integers(1, 6),
    st.booleans(),
)
def test_depth_is_what_it_is_in_the_value(value: Any, most: int, escaped: bool) -> None:
    """The brackets that are counted are those outside of texts, whatever is in these."""

    def depth(item: Any) -> int:
        if isinstance(item, dict):
            return 1 + max(map(depth, item.values()), default=0)
        return 1 + max(map(depth, item), default=0) if isinstance(item, list) else 0

    body = json.dumps(value, ensure_ascii=escaped).encode("utf-8")

    assert is_deep(body, most) == (depth(value) > most)


def test_data_may_be_as_deep_as_the_engine_takes_it(api: Api) -> None:
    value: Any = 1
    for _ in range(9):
        value = [value]

    assert post(api, orjson.dumps(said(data={"x": value}))).status_code == 202
    assert DEPTH_MAX > 10


# Paths ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/v1/deliveries/" + "a" * 65,
        "/v1/deliveries/%00",
        "/v1/deliveries/a%20b",
        "/v1/rules/" + "a" * 101,
        "/v1/recipients/" + "a" * 321,
        "/v1/recipients/%00",
        "/v1/deliveries?cursor=%00",
        "/v1/deliveries?limit=0",
        "/v1/deliveries?limit=1001",
        "/v1/events?cursor=" + "9" * 30,
        "/v1/events?cursor=-1",
        "/v1/events?name=%00",
        "/v1/recipients?cursor=99999999999999999999",
        "/v1/deliveries?recpient=ada",
        "/v1/deliveries?recipient=ada&recipient=bob",
        "/v1/rules?" + "&".join(f"a{n}=1" for n in range(2000)),
    ],
)
def test_names_that_cannot_be_are_refused_before_the_store_is_asked(every: Api, path: str) -> None:
    assert_problem(every.client.get(path, headers=every.sender), 422, "invalid_request")


def test_what_there_is_not_is_a_problem_too(api: Api) -> None:
    assert_problem(api.client.get("/v1/nothing", headers=api.sender), 404, "not_found")
    assert_problem(api.client.patch("/v1/rules", headers=api.sender), 405, "method_not_allowed")


# Too often ------------------------------------------------------------------------------------


def test_a_key_that_asks_too_often_is_told_when_to_come_again() -> None:
    with Api(settings=Http(rate=2, burst=4)) as api:
        statuses = [api.client.get("/v1/rules", headers=api.sender) for _ in range(5)]

        assert [one.status_code for one in statuses] == [200] * 4 + [429]
        last = statuses[-1]
        assert last.json()["code"] == "too_many_requests"
        assert last.headers["Retry-After"] == "1"
        assert [one.headers["RateLimit"] for one in statuses] == [
            '"key";r=3;t=1',
            '"key";r=2;t=1',
            '"key";r=1;t=2',
            '"key";r=0;t=2',
            '"key";r=0;t=2',
        ]
        assert last.headers["RateLimit-Policy"] == '"key";q=4;w=2'
        assert api.client.get("/v1/rules", headers=api.admin).status_code == 200

        api.running.advance(500)
        assert api.client.get("/v1/rules", headers=api.sender).status_code == 200
        assert api.client.get("/v1/rules", headers=api.sender).status_code == 429


@given(
    rate=st.integers(1, 2000),
    burst=st.integers(1, 50),
    steps=st.lists(st.integers(0, 400), max_size=60),
)
def test_no_span_ever_sees_more_than_the_limit(rate: int, burst: int, steps: list[int]) -> None:
    """In any span of t ms at most burst + rate * t / 1000 requests are let through."""
    clock = ManualClock(5_000)
    throttle = Throttle(rate, burst, clock.now)
    let: list[int] = []
    for step in steps:
        clock.advance(step)
        allowance = throttle.take("k")
        if allowance.retry_ms:
            assert allowance.remaining == 0
        else:
            let.append(clock.now())
        assert 0 <= allowance.remaining <= burst

    for first, begin in enumerate(let):
        for last in range(first, len(let)):
            span_ms = let[last] - begin
            assert last - first + 1 <= burst + rate * (span_ms + 1) / 1000 + 1


def test_who_was_told_to_wait_is_let_through_then() -> None:
    clock = ManualClock(5_000)
    throttle = Throttle(3, 2, clock.now)
    while not (allowance := throttle.take("k")).retry_ms:
        assert allowance.remaining < 2

    clock.advance(allowance.retry_ms)

    assert throttle.take("k").retry_ms == 0


# Too slow, and bugs ---------------------------------------------------------------------------


def serve(guard: Guard, receive: Any) -> list[dict[str, Any]]:
    """What a guard answers to one request."""
    said_: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        said_.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [], "state": {}}
    asyncio.run(guard(scope, receive, send))
    return said_


def test_an_answer_that_takes_too_long_is_given_up() -> None:
    ended = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await ended.wait()

    async def receive() -> Any:
        return {"type": "http.request"}

    start, body = serve(Guard(slow, 0.01), receive)

    assert start["status"] == 504
    assert b"Idempotency-Key" in body["body"]


def test_a_request_that_does_not_arrive_is_given_up() -> None:
    with Api(settings=Http(timeout_ms=300)) as api:
        arriving = asyncio.Event()

        async def receive() -> Any:
            await arriving.wait()

        said_: list[Any] = []

        async def send(message: Any) -> None:
            said_.append(message)

        names = {**api.sender, **JSON, "Content-Length": "10"}
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": SINGLE,
            "raw_path": SINGLE.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": b"",
            "headers": [(k.lower().encode(), v.encode()) for k, v in names.items()],
        }
        asyncio.run(api.service(scope, receive, send))

        assert said_[0]["status"] == 408
        assert b'"too_slow"' in said_[1]["body"]


def test_a_bug_is_answered_without_its_words(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    router = APIRouter()

    @router.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError("the secret of the house")

    api.service.include_router(router)

    answer = api.client.get("/broken")

    assert_problem(answer, 500, "internal")
    assert "secret" not in answer.text
    assert "ZeroDivisionError" in caplog.text


def test_answers_are_cautious_with_browsers(api: Api) -> None:
    for answer in (
        api.client.get("/v1/rules", headers=api.sender),
        api.client.get("/v1/rules"),
        api.client.get("/healthz"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_store_that_is_gone_is_no_bug(api: Api) -> None:
    headers = api.sender
    api.client.get("/v1/rules", headers=headers)
    api.app.store.close()

    ready = api.client.get("/readyz")
    refused = api.client.post(SINGLE, json=said(), headers=headers)

    assert api.client.get("/healthz").status_code == 200
    assert_problem(ready, 503, "unavailable")
    assert_problem(refused, 503, "unavailable")
    assert refused.headers["Retry-After"] == "1"
    assert "memory" not in refused.text
