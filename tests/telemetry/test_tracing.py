"""Traces of what is submitted and handed over, as an SDK of OpenTelemetry sees them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import SpanKind, StatusCode
from span_book import SpanBook, links, parent, place

from tactful import (
    Accepted,
    Message,
    NotificationType,
    Outcome,
    Recipient,
    Rejected,
    Retry,
    Rule,
    Tactful,
)
from tactful.channels.capture import CaptureChannel
from tactful.core.errors import RequestError
from tactful.core.model import HOUR
from tactful.runtime.clock import ManualClock
from tactful.telemetry.tracing import Traces

NOON = 1_800_014_400_000
NEWS: dict[str, Any] = {"type": "news", "to": "ada@example.com", "text": "w"}


class Post(CaptureChannel):
    """Takes ten messages at once; what becomes of one is told by its text."""

    def __init__(self) -> None:
        super().__init__("post", self._outcome)
        self.batch, self.concurrency = 10, 1

    def _outcome(self, message: Message) -> Outcome:
        match message.text:
            case "busy" if message.attempt == 1:
                return Retry("the server of ada@canary.test is busy")
            case "no":
                return Rejected("no such person: ada@canary.test")
            case "broken":
                raise ValueError("ada@canary.test")
        return Accepted()


def engine(url: str, clock: ManualClock, traces: Traces | None) -> Tactful:
    app = Tactful(url, channels=[Post()], clock=clock, tracer=traces)
    app.types.put(NotificationType("news"), NotificationType("status"))
    app.rules.put(
        Rule("daily", types=["status"], limit="1/hour"),
        Rule("bundle", types=["likes"], limit="1/hour", on_limit="digest"),
    )
    return app


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def book() -> SpanBook:
    return SpanBook()


@pytest.fixture
def app(book: SpanBook, clock: ManualClock) -> Iterator[Tactful]:
    made = engine("memory://", clock, book.traces)
    yield made
    made.close()


# Where a trace leads --------------------------------------------------------------------------


def test_a_hand_over_hours_later_in_another_process_belongs_to_the_trace_of_who_asked(
    tmp_path: Path, clock: ManualClock
) -> None:
    url = f"sqlite:///{tmp_path / 'notify.db'}"
    web, worker = SpanBook(), SpanBook(ALWAYS_ON)
    app = engine(url, clock, web.traces)
    with web.tracer.start_as_current_span("checkout") as checkout:
        receipt = app.send(**NEWS, deliver_at=NOON + 3 * HOUR)
    app.close()

    clock.advance(3 * HOUR)
    app = engine(url, clock, worker.traces)
    app.tick()
    app.close()

    sent, processed = web.one("send post"), worker.one("process post")
    assert (sent.kind, processed.kind) == (SpanKind.PRODUCER, SpanKind.CONSUMER)
    assert parent(sent) == place(checkout)
    assert parent(processed) == place(sent)
    assert links(processed) == [place(sent)]
    assert len(worker.spans) == 1
    assert sent.attributes == {
        "messaging.system": "tactful",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "post",
        "messaging.message.id": receipt.delivery_id,
        "tactful.notification": receipt.notification_id,
        "tactful.type": "news",
        "tactful.decision": "defer",
    }
    assert processed.attributes == {
        "messaging.system": "tactful",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "post",
        "messaging.message.id": receipt.delivery_id,
        "tactful.notification": receipt.notification_id,
        "tactful.type": "news",
        "tactful.outcome": "accepted",
        "tactful.attempt": 1,
    }
    assert {span.status.status_code for span in (sent, processed)} == {StatusCode.UNSET}


def test_who_has_no_trace_begins_one(app: Tactful, book: SpanBook) -> None:
    app.send(**NEWS)
    app.tick()
    assert parent(book.one("send post")) is None
    assert parent(book.one("process post")) == place(book.one("send post"))


def test_the_rule_that_makes_it_wait_is_told(app: Tactful, book: SpanBook) -> None:
    for _ in range(2):
        app.send(type="status", to="ada@example.com", text="w")
    first, second = (span.attributes or {} for span in book.named("send post"))
    assert (first["tactful.decision"], second["tactful.decision"]) == ("send", "defer")
    assert second["tactful.rule"] == "daily"


def test_whoever_shares_a_commit_keeps_a_trace_of_their_own(app: Tactful, book: SpanBook) -> None:
    def ask(number: int) -> tuple[str | None, tuple[int, int]]:
        with book.tracer.start_as_current_span("checkout") as mine:
            receipt = app.send(type="news", to=f"p{number}@example.com", text="w")
        return receipt.delivery_id, place(mine)

    with ThreadPoolExecutor(8) as crowd:
        asked = dict(crowd.map(ask, range(60)))
    app.tick()
    sent = {
        (span.attributes or {})["messaging.message.id"]: span for span in book.named("send post")
    }
    assert {id_: parent(span) for id_, span in sent.items()} == asked
    for span in book.named("process post"):
        assert parent(span) == place(sent[(span.attributes or {})["messaging.message.id"]])


def test_each_of_many_may_come_from_a_span_of_its_own(app: Tactful, book: SpanBook) -> None:
    origins = [f"00-{number:032x}-{number:016x}-01" for number in (1, 2)]
    app.send_each([NEWS, {"type": "news"}, NEWS], traces=[origins[0], origins[0], origins[1]])
    app.tick()
    assert [parent(span) for span in book.named("send post")] == [(1, 1), (2, 2)]
    assert {span.context.trace_id for span in book.named("process post") if span.context} == {1, 2}


def test_a_batch_is_one_span_and_so_is_each_portion_of_it(app: Tactful, book: SpanBook) -> None:
    with book.tracer.start_as_current_span("import"):
        app.send_many([{**NEWS, "to": f"p{number}@example.com"} for number in range(20)])
    app.tick()
    sent = book.one("send post")
    assert (sent.attributes or {})["messaging.batch.message_count"] == 20
    portions = book.named("process post")
    assert [(one.attributes or {})["messaging.batch.message_count"] for one in portions] == [10, 10]
    assert {parent(one) for one in portions} == {place(sent)}


def test_a_broadcast_has_a_span_for_each_portion_and_none_for_each_person(
    app: Tactful, book: SpanBook
) -> None:
    for number in range(25):
        app.recipients.put(Recipient(f"p{number}", email=f"p{number}@example.com"))
    receipt = app.broadcast(type="news", text="w")
    app.tick()
    sent = book.one("send")
    assert (sent.attributes or {})["tactful.notification"] == receipt.notification_id
    portions = book.named("process post")
    assert [(one.attributes or {})["messaging.batch.message_count"] for one in portions] == [
        10,
        10,
        5,
    ]
    assert {parent(one) for one in portions} == {place(sent)}


def test_a_digest_links_to_all_who_asked_for_what_is_in_it(
    app: Tactful, book: SpanBook, clock: ManualClock
) -> None:
    for number in range(4):
        app.send(type="likes", to="ada@example.com", text=f"{number}")
    app.tick()
    clock.advance(HOUR)
    app.tick()
    sent = [place(span) for span in book.named("send post")]
    alone, digest = book.named("process post")
    assert links(alone) == sent[:1]
    assert sorted(links(digest)) == sorted(sent[1:])
    assert parent(digest) in sent[1:]


def test_what_a_channel_does_belongs_to_its_hand_over(book: SpanBook, clock: ManualClock) -> None:
    class Instrumented(Post):
        def send(self, messages: Any) -> Any:
            with book.tracer.start_as_current_span("POST"):
                return super().send(messages)

    app = Tactful("memory://", channels=[Instrumented()], clock=clock, tracer=book.traces)
    app.send(**NEWS)
    app.tick()
    app.close()
    assert parent(book.one("POST")) == place(book.one("process post"))


def test_a_key_that_is_used_again_in_another_span_is_no_conflict(
    app: Tactful, book: SpanBook
) -> None:
    first = app.send(**NEWS, idempotency_key="k")
    again = app.send(**NEWS, idempotency_key="k")
    assert again.replayed
    assert again.delivery_id == first.delivery_id
    app.tick()
    assert parent(book.one("process post")) == place(book.named("send post")[0])


# What is not kept -----------------------------------------------------------------------------


def test_of_a_trace_that_is_not_kept_nothing_is_made_nor_stored(
    tmp_path: Path, clock: ManualClock
) -> None:
    """Not even where the worker would keep every trace of its own."""
    url = f"sqlite:///{tmp_path / 'notify.db'}"
    web, worker = SpanBook(ParentBased(ALWAYS_OFF)), SpanBook(ALWAYS_ON)
    app = engine(url, clock, web.traces)
    app.recipients.put(Recipient("ada", email="ada@example.com"))
    with web.tracer.start_as_current_span("checkout"):
        receipt = app.send(**NEWS)
        app.broadcast(type="news", text="w")
        app.send_each([NEWS], traces=[f"00-{1:032x}-{1:016x}-00"])
    app.send(**NEWS)
    app.close()

    app = engine(url, clock, worker.traces)
    assert app.tick()["sent"] == 4
    with app.store.reading() as reader:
        (stored,) = reader.notifications([receipt.notification_id]).values()
    app.close()
    assert stored.trace == ""
    assert web.spans == worker.spans == []


def test_no_sampler_is_asked_about_what_comes_from_a_span_that_is_not_kept(
    clock: ManualClock,
) -> None:
    book = SpanBook(ALWAYS_ON)
    app = engine("memory://", clock, book.traces)
    app.send_each([NEWS, NEWS], traces=[f"00-{1:032x}-{1:016x}-00", f"00-{2:032x}-{2:016x}-03"])
    app.tick()
    app.close()
    assert {place(span)[0] for span in book.spans} == {2}


@pytest.mark.parametrize(
    "trace", ["", "no", f"00-{0:032x}-{1:016x}-01", f"00-{1:032x}-{0:016x}-01", "00-" + "g" * 52]
)
def test_what_names_no_span_is_no_origin(app: Tactful, book: SpanBook, trace: str) -> None:
    with book.tracer.start_as_current_span("mine") as mine:
        app.send_each([NEWS], traces=[trace])
    assert app.tick()["sent"] == 1
    assert [parent(span) for span in book.named("send post")] == ([] if trace else [place(mine)])


def test_without_a_tracer_no_origin_is_stored(clock: ManualClock) -> None:
    app = engine("memory://", clock, None)
    (receipt,) = app.send_each([NEWS], traces=[f"00-{1:032x}-{1:016x}-01"])
    with app.store.reading() as reader:
        (stored,) = reader.notifications([getattr(receipt, "notification_id")]).values()  # noqa: B009
    app.close()
    assert stored.trace == ""


# Trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "outcome", "error"),
    [("busy", "retry", "retry"), ("no", "rejected", "rejected"), ("broken", None, "ValueError")],
)
def test_a_hand_over_that_fails_is_an_error_in_one_word(
    app: Tactful, book: SpanBook, text: str, outcome: str | None, error: str
) -> None:
    app.send(type="news", to="ada@canary.test", text=text)
    app.tick()
    span = book.named("process post")[0]
    told = span.attributes or {}
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None
    assert (told.get("tactful.outcome"), told["error.type"]) == (outcome, error)
    assert "canary" not in book.texts()


def test_each_attempt_has_a_span(app: Tactful, book: SpanBook, clock: ManualClock) -> None:
    app.send(type="news", to="ada@example.com", text="busy")
    app.tick()
    clock.advance(HOUR)
    app.tick()
    spans = book.named("process post")
    assert [(span.attributes or {})["tactful.attempt"] for span in spans] == [1, 2]
    assert {parent(span) for span in spans} == {place(book.one("send post"))}


def test_of_a_portion_of_which_some_fails_the_error_is_told(app: Tactful, book: SpanBook) -> None:
    texts = ("w", "no", "w")
    app.send_many([{**NEWS, "to": f"{n}@example.com", "text": t} for n, t in enumerate(texts)])
    app.tick()
    told = book.one("process post").attributes or {}
    assert told["error.type"] == "rejected"
    assert "tactful.outcome" not in told


def test_a_submission_that_is_refused_is_an_error_of_its_span(app: Tactful, book: SpanBook) -> None:
    with suppress(RequestError):
        app.send(**NEWS, channels=["pigeon"])
    (span,) = book.spans
    assert (span.name, (span.attributes or {})["error.type"]) == ("send", "RequestError")
    found = app.send_each([{**NEWS, "channels": ["pigeon"]}])
    assert [type(one).__name__ for one in found] == ["RequestError"]
    assert (book.spans[1].attributes or {})["error.type"] == "RequestError"


class Broken(SpanProcessor):
    """Fails at every end of a span."""

    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("full")


class Undecided(Sampler):
    """Fails at every beginning of one."""

    def should_sample(self, *arguments: Any, **named: Any) -> Any:
        raise RuntimeError("cannot say")

    def get_description(self) -> str:
        return "undecided"


@pytest.mark.parametrize(
    "book", [SpanBook(None, Broken()), SpanBook(Undecided())], ids=["processor", "sampler"]
)
def test_what_is_wrong_with_an_sdk_keeps_nothing_from_being_sent(
    book: SpanBook, clock: ManualClock
) -> None:
    app = engine("memory://", clock, book.traces)
    app.send(**NEWS)
    assert app.tick()["sent"] == 1
    app.close()


# What is told ---------------------------------------------------------------------------------


def test_nothing_about_a_person_and_nothing_of_what_is_said_is_in_a_span(
    app: Tactful, book: SpanBook, clock: ManualClock
) -> None:
    """Neither are names that nobody has declared: they are whatever a caller makes up."""
    app.recipients.put(
        Recipient("canary-id", name="canary", email="ada@canary.test", timezone="Europe/Vienna")
    )
    said: dict[str, Any] = {
        "type": "canary-type",
        "subject": "canary",
        "html": "<p>canary</p>",
        "data": {"canary": "canary"},
    }
    for to in ("canary-id", "bob@canary.test", "+1555canary"):
        for text in ("canary", "busy", "no", "broken"):
            app.send(
                **said, to=to, text=text, collapse_key="canary", idempotency_key=f"canary{to}{text}"
            )
    app.send_each([{**said, "to": "x@canary.test", "channels": ["canary"]}, {"canary": "canary"}])
    app.broadcast(**said)
    for _ in range(9):
        app.tick()
        clock.advance(HOUR)
    assert {span.name for span in book.spans} == {"send", "send post", "process post"}
    assert (book.spans[0].attributes or {})["tactful.type"] == "other"
    assert "canary" not in book.texts()
