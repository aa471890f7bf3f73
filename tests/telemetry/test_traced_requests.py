"""Requests to the service as spans, within the traces of those who ask."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode
from span_book import SpanBook, links, parent, place

from tactful import NotificationType, Recipient, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.core.errors import Unavailable
from tactful.http.service import create_service
from tactful.http.worlds import Worlds

NEWS: dict[str, Any] = {"type": "news", "to": "ada@example.com", "text": "w"}


class Front:
    """A service whose spans are kept, and somebody who may do everything with it."""

    def __init__(self, book: SpanBook) -> None:
        self.book = book
        self.app = Tactful("memory://", channels=[CaptureChannel("post")], tracer=book.traces)
        self.app.types.put(NotificationType("news"))
        self.service = create_service(self.app)
        self.client = TestClient(self.service, raise_server_exceptions=False)
        _, token = self.app.keys.create("boss", ("admin",))
        self.key = {"Authorization": f"Bearer {token}"}

    def post(self, path: str, body: Any, trace: str = "") -> int:
        """The status of the answer to a request, which may be part of a trace."""
        headers = {**self.key, "traceparent": trace} if trace else self.key
        return self.client.post(path, json=body, headers=headers).status_code


@pytest.fixture
def front() -> Iterator[Front]:
    made = Front(SpanBook())
    with made.client:
        yield made
    made.app.close()


def traceparent(number: int, flags: int = 1) -> str:
    return f"00-{number:032x}-{number:016x}-{flags:02x}"


def test_what_a_request_asks_for_belongs_to_the_trace_of_who_sent_it(front: Front) -> None:
    assert front.post("/v1/notifications", NEWS, traceparent(7)) == 202
    front.app.tick()
    served = front.book.one("POST /v1/notifications")
    sent, processed = front.book.one("send post"), front.book.one("process post")
    assert served.kind is SpanKind.SERVER
    assert parent(served) == (7, 7)
    assert parent(sent) == place(served)
    assert parent(processed) == place(sent)
    assert links(processed) == [place(sent)]
    assert served.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/notifications",
        "http.response.status_code": 202,
    }


def test_requests_that_are_admitted_together_keep_traces_of_their_own(front: Front) -> None:
    def ask(number: int) -> int:
        body = {**NEWS, "to": f"p{number}@example.com"}
        return front.post("/v1/notifications", body, traceparent(number))

    with ThreadPoolExecutor(16) as crowd:
        assert set(crowd.map(ask, range(1, 81))) == {202}
    front.app.tick()
    for name in ("POST /v1/notifications", "send post", "process post"):
        traces = [place(span)[0] for span in front.book.named(name)]
        assert sorted(traces) == list(range(1, 81)), name
    served = {place(span) for span in front.book.named("POST /v1/notifications")}
    assert {parent(span) for span in front.book.named("send post")} == served


@pytest.mark.parametrize("path", ["/v1/broadcasts", "/v1/notifications/bulk"])
def test_many_are_asked_for_by_one_request(front: Front, path: str) -> None:
    for name in ("ada", "bob"):
        front.app.recipients.put(Recipient(name, email=f"{name}@example.com"))
    wanted = {"items": [NEWS, {**NEWS, "to": "bob@example.com"}]}
    body = {"type": "news", "text": "w"} if path == "/v1/broadcasts" else wanted
    assert front.post(path, body, traceparent(7)) == 202
    assert front.app.tick()["delivered"] == 2
    served, sent, *processed = front.book.named(f"POST {path}") + [
        span for span in front.book.spans if not span.name.startswith("POST")
    ]
    assert parent(served) == (7, 7)
    assert parent(sent) == place(served)
    assert {parent(span) for span in processed} == {place(sent)}


def test_of_a_trace_that_is_not_kept_there_is_no_span(front: Front) -> None:
    assert front.post("/v1/notifications", NEWS, traceparent(7, 0)) == 202
    assert front.post("/v1/notifications/bulk", {"items": [NEWS]}, traceparent(7, 0)) == 202
    assert front.app.tick()["delivered"] == 2
    assert front.book.spans == []


@pytest.mark.parametrize("trace", ["", "nonsense", traceparent(0), "00-é-é-01"])
def test_who_is_in_no_trace_begins_one(front: Front, trace: str) -> None:
    headers = [(b"traceparent", trace.encode("latin-1"))] if trace else []
    known = [(name.encode(), text.encode()) for name, text in front.key.items()]
    answer = front.client.post("/v1/notifications", json=NEWS, headers=[*known, *headers])
    assert answer.status_code == 202
    served = front.book.one("POST /v1/notifications")
    assert parent(served) is None
    assert parent(front.book.one("send post")) == place(served)


def test_where_somebody_else_traces_requests_there_is_no_second_span(front: Front) -> None:
    inner = front.service

    async def instrumented(scope: Any, receive: Any, send: Any) -> None:
        with front.book.tracer.start_as_current_span("theirs"):
            await inner(scope, receive, send)

    client = TestClient(instrumented)
    assert client.post("/v1/notifications", json=NEWS, headers=front.key).status_code == 202
    assert [span.name for span in front.book.spans] == ["send post", "theirs"]
    assert parent(front.book.one("send post")) == place(front.book.one("theirs"))


def test_only_the_api_is_traced(front: Front) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/console/", "/openapi.json", "/nowhere"):
        front.client.get(path)
    assert front.book.spans == []


def test_of_a_path_only_its_pattern_is_told(front: Front) -> None:
    front.client.get("/v1/recipients/canary@example.com?canary=1", headers=front.key)
    front.client.put(
        "/v1/recipients/canary", json={"email": "canary@example.com"}, headers=front.key
    )
    front.client.get("/v1/canary@example.com", headers=front.key)
    front.client.request("CANARY", "/v1/notifications", headers={"X-Canary": "canary"})
    front.client.get("/v1/rules", headers={"Authorization": "Bearer canary"})
    front.client.post("/v1/notifications", content=b"canary", headers=front.key)
    names = [span.name for span in front.book.spans]
    assert names[:3] == ["GET /v1/recipients/{recipient}", "PUT /v1/recipients/{recipient}", "GET"]
    assert names[3].startswith("HTTP")
    assert (front.book.spans[3].attributes or {})["http.request.method"] == "_OTHER"
    assert [(span.attributes or {})["http.response.status_code"] for span in front.book.spans] == [
        *(422, 201, 404, 405, 401, 415)
    ]
    assert "canary" not in front.book.texts().lower()


def test_an_answer_is_an_error_where_the_service_is_to_blame(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert front.post("/v1/notifications", {**NEWS, "to": ""}) == 422
    monkeypatch.setattr(Worlds, "of", _unavailable)
    assert front.post("/v1/broadcasts", {"type": "news", "text": "w"}) == 503
    refused, failed = (span for span in front.book.spans if span.kind is SpanKind.SERVER)
    assert refused.status.status_code is StatusCode.UNSET
    assert failed.status.status_code is StatusCode.ERROR
    assert (failed.attributes or {})["error.type"] == "503"


def _unavailable(self: Worlds, key: object) -> Tactful:
    raise Unavailable("store: gone")


def test_keys_for_tests_make_spans_of_requests_alone() -> None:
    front = Front(SpanBook(ParentBased(ALWAYS_ON)))
    _, token = front.app.keys.create("trial", ("test",))
    front.key = {"Authorization": f"Bearer {token}"}
    with front.client:
        assert front.post("/v1/notifications", NEWS, traceparent(7)) == 202
        assert [span.name for span in front.book.spans] == ["POST /v1/notifications"]
    front.app.close()


def test_routes_are_told_as_they_are_described(front: Front) -> None:
    described = front.client.get("/openapi.json").json()["paths"]
    asked = 0
    for path, operations in described.items():
        if path.startswith("/v1/"):
            for method in operations:
                front.client.request(method, path)
                asked += 1
    told = {span.name for span in front.book.spans}
    assert asked == len(front.book.spans)
    assert told == {
        f"{method.upper()} {path}"
        for path, operations in described.items()
        for method in operations
        if path.startswith("/v1/")
    }
