"""What `/metrics` says after something has happened, on each store, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from watched_engine import NOON, engine_on

from tactful import Event, Recipient, Rule, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.channels.failover import FailoverChannel
from tactful.core.errors import Unavailable
from tactful.core.model import DAY, HOUR, MINUTE, Accepted, Message, Outcome, Retry
from tactful.http import metrics as exporting
from tactful.http.metrics import Exporter
from tactful.http.service import create_service
from tactful.runtime.clock import ManualClock
from tactful.telemetry.catalogue import BY_NAME, CATALOGUE, COUNTED, OTHER
from tactful.telemetry.samples import Samples
from tactful.telemetry.tally import WORDS, Tally

Said = dict[tuple[str, ...], float]


class Page:
    """A scraped page: the values of a metric under the values of its labels."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                stem = re.sub("_(bucket|count|sum)$", "", sample.name)
                known = BY_NAME.get(sample.name) or BY_NAME[stem]
                names = [name for name in (*known.labels, "le") if name in sample.labels]
                labels = tuple(sample.labels[name] for name in names)
                self.values.setdefault(sample.name, {})[labels] = sample.value

    def __getitem__(self, name: str) -> Said:
        return self.values.get(name, {})

    def moved(self, word: str) -> Said:
        """What is counted under a word, without the zeros."""
        return {key: count for key, count in self[f"tactful_{word}_total"].items() if count}

    def total(self, word: str) -> float:
        """How many deliveries are counted under a word."""
        return sum(self[f"tactful_{word}_total"].values())


@pytest.fixture
def scrape(app: Tactful) -> Iterator[Callable[[], Page]]:
    """Asks the service of the engine for its metrics."""
    with TestClient(create_service(app)) as client:

        def ask() -> Page:
            answer = client.get("/metrics")
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
            return Page(answer.text)

        yield ask


def test_what_became_of_deliveries_is_counted_by_type_channel_and_rule(
    app: Tactful, clock: ManualClock, scrape: Callable[[], Page]
) -> None:
    """Each fate once: sent, deferred, rejected, collapsed, digested, suppressed, failed, lost."""
    app.recipients.put(Recipient("cem", email="cem@tactful.test", mute=("type:news",)))
    for to in ("ada@tactful.test", "ada@tactful.test", "lost@tactful.test", "cem"):
        app.send(type="news", to=to, text="x")
    for _ in range(2):
        app.send(type="code", to="ada@tactful.test", text="x")
    for kind in ("status", "likes"):
        for _ in range(3):
            app.send(type=kind, to="bob@tactful.test", text="x")
    app.send(type="code", to="perm-fail@tactful.test", text="x")
    app.tick()
    clock.advance(HOUR)
    app.tick()
    page = scrape()

    assert page.moved("sent") == {
        ("news", "mail", ""): 2,
        ("code", "mail", ""): 1,
        ("status", "mail", ""): 1,
        ("status", "mail", "latest"): 1,
        ("likes", "mail", ""): 1,
        ("likes", "mail", "bundle"): 1,
    }
    assert page["tactful_deferred_total"][("news", "mail", "daily")] == 1
    assert page.moved("rejected") == {("code", "mail", "once"): 1}
    assert page.moved("collapsed") == {("status", "mail", "latest"): 1}
    assert page.moved("digested") == {("likes", "mail", "bundle"): 1}
    assert page.moved("suppressed") == {("news", "mail"): 1}
    assert page.moved("failed") == {("code", "mail"): 1}
    assert page.moved("lost") == {("news", "mail"): 1}
    assert page.total("admitted") == 13
    assert page["tactful_queue_deliveries"] == {
        ("queued",): 0,
        ("deferred",): 1,
        ("sending",): 0,
    }


def test_facts_from_outside_are_counted_once_and_a_delivery_is_sent_once(
    app: Tactful, scrape: Callable[[], Page]
) -> None:
    """`sent` is not counted again when the arrival is reported, nor is what a program opened."""
    ids = [app.send(type="news", to=f"{n}@tactful.test", text="x").delivery_id for n in "abc"]
    app.tick()
    for name in ("delivered", "opened", "opened", "clicked"):
        app.record(name, ids[0])
    app.record("bounced", ids[1])
    app.record(Event("opened", ids[2], NOON, data={"by": "proxy"}))
    page = scrape()

    words = ("sent", "delivered", "opened", "clicked", "bounced")
    assert [page.total(word) for word in words] == [3, 2, 1, 1, 1]


def test_what_a_channel_delivers_at_once_counts_as_sent(
    app: Tactful, scrape: Callable[[], Page]
) -> None:
    """Such a delivery has no event `sent` of its own."""
    app.send(type="news", to="delivered@tactful.test", text="x")
    app.tick()
    page = scrape()

    assert (page.total("sent"), page.total("delivered")) == (1, 1)


def test_counting_begins_with_the_process_and_includes_what_others_do(
    url: str, clock: ManualClock
) -> None:
    """A second engine on the same store is counted here, what was before is not."""
    if url == "memory://":  # nobody else can reach it
        return
    with closing(engine_on(url, clock)) as first:
        first.send(type="news", to="a@tactful.test", text="x")
        first.tick()
        exporter = Exporter(first)
        with closing(engine_on(url, clock)) as second:
            second.send(type="news", to="b@tactful.test", text="x")
            second.tick()
        assert Page(exporter.text().decode()).total("sent") == 1


def test_two_engines_in_one_process_do_not_mix(clock: ManualClock) -> None:
    """Each has a registry of its own."""
    with (
        closing(engine_on("memory://", clock)) as one,
        closing(engine_on("memory://", clock)) as two,
    ):
        exporters = Exporter(one), Exporter(two)
        one.send(type="news", to="a@tactful.test", text="x")
        one.tick()
        totals = [Page(exporter.text().decode()).total("sent") for exporter in exporters]
    assert totals == [1, 0]


def test_names_that_nobody_declared_are_other(app: Tactful, scrape: Callable[[], Page]) -> None:
    """A thousand types that a caller makes up are one series."""
    app.send_many(
        {"type": f"made-up-{number}", "to": f"a{number % 50}@tactful.test", "text": "x"}
        for number in range(1_000)
    )
    page = scrape()

    assert page.moved("admitted") == {(OTHER, "mail"): 1_000}
    assert "made-up" not in page.text


def test_names_come_into_force_with_the_rules(app: Tactful, scrape: Callable[[], Page]) -> None:
    """A type is known from the moment that a rule speaks of it; a removed rule is `other`."""
    app.send(type="survey", to="a@tactful.test", text="x")
    app.rules.put(Rule("surveys", types=["survey"], limit="1/day", on_limit="reject"))
    app.tick()
    app.send(type="survey", to="a@tactful.test", text="x")
    first = scrape()
    app.send(type="survey", to="a@tactful.test", text="x")
    app.rules.remove("surveys")
    second = scrape()

    assert first.moved("rejected") == {("survey", "mail", "surveys"): 1}
    assert second.moved("rejected") == {
        ("survey", "mail", "surveys"): 1,
        (OTHER, "mail", OTHER): 1,
    }
    assert second["tactful_policy_changes_total"] == {("rule",): 2}


def test_the_most_that_one_person_got_in_an_hour_is_told_and_forgotten(
    app: Tactful, clock: ManualClock, scrape: Callable[[], Page]
) -> None:
    """Also what was sent before this process began; and never who it is."""
    name = "tactful_messages_per_person_last_hour"
    for _ in range(7):
        app.send(type="chat", to="spammed@tactful.test", text="x")
    app.send(type="chat", to="calm@tactful.test", text="x")
    app.tick()
    page = scrape()
    clock.advance(HOUR - MINUTE)
    still = scrape()
    clock.advance(2 * MINUTE)
    later = scrape()

    assert page[f"{name}_max"] == still[f"{name}_max"] == {(): 7}
    assert later[f"{name}_max"] == {(): 0}
    assert page[f"{name}_bucket"][("1.0",)] == 1
    assert page[f"{name}_bucket"][("8.0",)] == page[f"{name}_count"][()] == 2
    assert "spammed" not in page.text


def test_the_way_from_submission_to_hand_over_is_measured(
    app: Tactful, clock: ManualClock, scrape: Callable[[], Page]
) -> None:
    """What a rule had wait is measured apart from what just took its time."""
    for _ in range(2):
        app.send(type="news", to="a@tactful.test", text="x")
    clock.advance(2_000)
    app.tick()
    clock.advance(DAY)
    app.tick()
    page = scrape()

    sums = page["tactful_end_to_end_seconds_sum"]
    assert (sums[("mail", "false")], sums[("mail", "true")]) == (2, 86_402)
    assert sum(sums.values()) == 86_404
    assert page["tactful_end_to_end_seconds_bucket"][("mail", "false", "2.5")] == 1


def test_the_queue_tells_how_late_it_is(
    app: Tactful, clock: ManualClock, scrape: Callable[[], Page]
) -> None:
    """What is due and not taken by anybody is overdue; what waits for its slot is not."""
    app.send(type="news", to="a@tactful.test", text="x")
    clock.advance(90_000)
    late = scrape()
    app.tick()
    done = scrape()

    assert late["tactful_queue_overdue_seconds"] == {(): 90}
    assert done["tactful_queue_overdue_seconds"] == {(): 0}


def test_timings_of_the_engine_are_there(app: Tactful, scrape: Callable[[], Page]) -> None:
    """Claims, commits and calls of channels, with the answers they gave."""
    app.send(type="news", to="a@tactful.test", text="x")
    app.send(type="news", to="perm-fail@tactful.test", text="x")
    app.tick()
    page = scrape()

    assert page["tactful_claim_seconds_count"] == {(): 1}
    assert page["tactful_send_seconds_count"] == {("mail",): 1}
    assert page["tactful_send_messages_total"] == {("mail", "accepted"): 1, ("mail", "rejected"): 1}
    assert page["tactful_commit_seconds_count"][("true",)] >= 3
    assert (
        page["tactful_transaction_seconds_sum"][("true",)]
        > page["tactful_commit_seconds_sum"][("true",)]
    )
    assert page["tactful_lane_busy"] == {("mail",): 0}
    assert page["tactful_lane_size"] == {("mail",): 8, ("inbox",): 1}
    assert page["tactful_worker_running"] == {(): 0}


def test_every_metric_of_the_catalogue_is_announced_and_no_other(
    app: Tactful, scrape: Callable[[], Page]
) -> None:
    """Name, kind and words are those of the catalogue, whether or not there is a value yet."""
    text = scrape().text
    shown = {line.split(" ", 2)[2] for line in text.splitlines() if line.startswith("# TYPE")}

    assert shown == {f"{one.name} {one.sort}" for one in CATALOGUE}
    for one in CATALOGUE:
        assert f"# HELP {one.name} {one.text}\n" in text


def test_a_store_that_is_gone_is_said_and_what_was_counted_stays(clock: ManualClock) -> None:
    """The page answers while nothing else does."""
    app = engine_on("memory://", clock)
    exporter = Exporter(app)
    app.send(type="news", to="a@tactful.test", text="x")
    app.tick()
    before = Page(exporter.text().decode())
    app.close()
    with pytest.raises(Unavailable):
        app.send(type="news", to="a@tactful.test", text="x")
    after = Page(exporter.text().decode())

    assert (before["tactful_store_up"], after["tactful_store_up"]) == ({(): 1}, {(): 0})
    assert after.total("sent") == before.total("sent") == 1
    assert after["tactful_queue_deliveries"] == {}
    assert after["tactful_store_errors_total"][()] > before["tactful_store_errors_total"][()]


def test_a_look_is_bounded_and_says_what_it_left(app: Tactful) -> None:
    """A surge is counted over several looks, nothing twice and nothing never."""
    counting = Tally(app.store, app.channels, app.clock.now, look_max=7, page=3)
    for number in range(10):
        app.send(type="chat", to=f"{number}@tactful.test", text="x")
    found = []
    for _ in range(3):
        counting.look()
        counting.tell(samples := Samples())
        admitted = sum(samples.values["tactful_admitted_total"].values())
        found.append((admitted, samples.values["tactful_events_unread"][()]))

    assert app.events()[-1].seq >= 11  # the unknown type and what the rules say
    assert [unread for _, unread in found][1:] == [0, 0]
    assert found[0][1] > 0
    assert [admitted for admitted, _ in found][1:] == [10, 10]


def test_a_listener_that_does_not_listen_lags(app: Tactful, scrape: Callable[[], Page]) -> None:
    """By its name, until it has been told."""
    heard: list[Event] = []
    app.listen(heard.append, name="audit")
    for _ in range(3):
        app.send(type="chat", to="a@tactful.test", text="x")
    before = scrape()["tactful_listener_lag_events"]
    app.tick()
    after = scrape()["tactful_listener_lag_events"]

    assert before[("audit",)] >= 3
    assert after == {("audit",): 0}


def test_a_provider_that_is_left_alone_is_down(clock: ManualClock) -> None:
    """Through everything that stands around a failover channel."""

    def refuse(_: Message) -> Outcome:
        return Retry("down", counted=False)

    ways = [
        CaptureChannel("first", refuse, batch=1),
        CaptureChannel("second", lambda _: Accepted()),
    ]
    channel = FailoverChannel("mail", ways, clock=clock.now)
    with closing(Tactful("memory://", channels=[channel], clock=clock)) as app:
        exporter = Exporter(app)
        for number in range(10):
            app.send(type="chat", to=f"{number}@tactful.test", text="x")
        before = Page(exporter.text().decode())
        app.tick()
        after = Page(exporter.text().decode())

    assert before["tactful_provider_up"] == {("mail", "first"): 1, ("mail", "second"): 1}
    assert after["tactful_provider_up"] == {("mail", "first"): 0, ("mail", "second"): 1}
    assert after.total("sent") == 10


@pytest.mark.parametrize(
    ("access", "scopes", "expected"),
    [
        ("open", None, 200),
        ("key", None, 401),
        ("key", ("send",), 403),
        ("key", ("read",), 200),
        ("off", None, 404),
    ],
)
def test_who_may_read_the_metrics_is_configured(
    clock: ManualClock, access: str, scopes: Sequence[str] | None, expected: int
) -> None:
    """Anybody, holders of a key with the scope read, or nobody."""
    with closing(engine_on("memory://", clock)) as app:
        headers: dict[str, Any] = {}
        if scopes is not None:
            _, token = app.keys.create("prometheus", tuple(scopes))
            headers = {"Authorization": f"Bearer {token}"}
        with TestClient(create_service(app, metrics=access)) as client:
            assert client.get("/metrics", headers=headers).status_code == expected


def test_every_word_that_is_counted_has_an_event() -> None:
    """No counter stands in the catalogue that can never move."""
    assert set(COUNTED) == {*WORDS.values(), "admitted", "sent"}
    assert exporting.ACCESSES == ("open", "key", "off")
