"""People's opens and clicks move the figures; those of proxies and scanners are only recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from engine_bench import MINUTE, SECOND, START, Bench
from hypothesis import given
from hypothesis import strategies as st

from tactful.core.errors import Unavailable
from tactful.core.model import Accepted, State
from tactful.engine.feedback.engagement import (
    BURST_MS,
    KEPT_EACH,
    KEPT_MAX,
    SOON_MS,
    Engagement,
    Hit,
    told_apart,
)
from tactful.engine.feedback.facts import Feedback, Told
from tactful.engine.requests import Receipt

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
LATER = START + MINUTE


def opened(at: int = LATER, agent: str = FIREFOX, **more: bool) -> Hit:
    return Hit("opened", "d", at, agent, **more)


def clicked(at: int, number: int, links: int, agent: str = FIREFOX) -> Hit:
    return Hit("clicked", "d", at, agent, number=number, links=links, url=f"https://a/{number}")


@pytest.mark.parametrize(
    ("agent", "by"),
    [
        (FIREFOX, "person"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15", "person"),
        ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; ms-office; MSOffice 16)", "person"),
        ("okhttp/4.12", "person"),
        (GMAIL, "proxy"),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "proxy"),
        ("Mozilla/5.0", "proxy"),
        ("", "scanner"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Safari/537.36 BingPreview/1.0b",
         "scanner"),
        ("Microsoft Office Existence Discovery", "scanner"),
        ("SkypeUriPreview Preview/0.5", "scanner"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1)", "scanner"),
        ("Mozilla/5.0 (X11) HeadlessChrome/130.0", "scanner"),
        ("Barracuda Sentinel (EE)", "scanner"),
        ("python-requests/2.32", "scanner"),
        ("curl/8.5.0", "scanner"),
    ],
)  # fmt: skip
def test_programs_are_known_by_the_names_they_give_themselves(agent: str, by: str) -> None:
    assert told_apart([opened(agent=agent)], START) == [by]


def test_who_fetches_ahead_of_a_person_is_none() -> None:
    assert told_apart([opened(ahead=True)], START) == ["scanner"]


def test_nobody_reads_within_seconds_of_the_hand_over() -> None:
    assert told_apart([opened(START + SOON_MS - 1)], START) == ["scanner"]
    assert told_apart([opened(START + SOON_MS)], START) == ["person"]
    assert told_apart([opened(START)], None) == ["person"]


def test_nobody_follows_all_links_within_a_second() -> None:
    """Whoever does has also loaded the images."""
    hits = [clicked(LATER, 1, 2), opened(LATER + 100), clicked(LATER + BURST_MS - 1, 2, 2)]
    assert told_apart(hits, START) == ["scanner"] * 3

    hits = [clicked(LATER, 1, 2), opened(LATER + 100), clicked(LATER + BURST_MS, 2, 2)]
    assert told_apart(hits, START) == ["person"] * 3


def test_of_many_links_three_within_a_second_are_enough() -> None:
    two = [clicked(LATER, 3, 20), clicked(LATER + 300, 4, 20)]
    assert told_apart(two, START) == ["person"] * 2

    three = [*two, clicked(LATER + 600, 5, 20)]
    assert told_apart(three, START) == ["scanner"] * 3


def test_the_only_link_of_a_mail_may_be_followed_twice() -> None:
    assert told_apart([clicked(LATER, 1, 1), clicked(LATER + 100, 1, 1)], START) == ["person"] * 2
    assert told_apart([clicked(LATER, 1, 2), clicked(LATER + 100, 1, 2)], START) == ["person"] * 2


moments = st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 4)), max_size=8)


@given(moments)
def test_a_burst_is_found_wherever_it_is(clicks: list[tuple[int, int]]) -> None:
    """By brute force: somebody is a scanner if within a second of them a burst begins."""
    hits = [clicked(LATER + at, number, 4) for at, number in sorted(clicks)]
    begins = [
        one.at
        for one in hits
        if len({h.number for h in hits if one.at <= h.at < one.at + BURST_MS}) >= 3
    ]
    expected = [
        "scanner" if any(abs(hit.at - at) < BURST_MS for at in begins) else "person" for hit in hits
    ]
    assert told_apart(hits, START) == expected


# What is recorded ------------------------------------------------------------------------------


def handed_over(bench: Bench, arrived: bool | None = None) -> Receipt:
    bench.outcome = lambda _: Accepted("ref", arrived)
    receipt = bench.send()
    bench.run()
    return receipt


def told(bench: Bench, name: str, receipt: Receipt, by: str) -> bool:
    return bench.feedback.record(name, receipt.delivery_id or "", {"by": by})


def marks(bench: Bench, receipt: Receipt) -> tuple[State, bool, bool]:
    found = bench.delivery(receipt)
    return found.state, found.opened_at is not None, found.clicked_at is not None


def test_a_proxy_proves_that_it_arrived_and_moves_no_figure(bench: Bench) -> None:
    receipt = handed_over(bench)

    assert [told(bench, "opened", receipt, "proxy") for _ in range(3)] == [True, False, False]

    assert marks(bench, receipt) == (State.DELIVERED, False, False)
    assert bench.events(receipt) == ["accepted", "sent", "delivered", "opened"]
    assert bench.insight.stats(receipt.notification_id).opened == 0


def test_a_scanner_proves_nothing(bench: Bench) -> None:
    """It may sit on the way, and what it has seen may still bounce."""
    receipt = handed_over(bench)

    assert [told(bench, "clicked", receipt, "scanner") for _ in range(2)] == [True, False]
    assert marks(bench, receipt) == (State.SENT, False, False)
    assert bench.feedback.record("bounced", receipt.delivery_id or "")
    assert marks(bench, receipt) == (State.BOUNCED, False, False)


def test_a_person_counts_whatever_was_there_before(bench: Bench) -> None:
    receipt = handed_over(bench)
    for by in ("scanner", "proxy"):
        told(bench, "opened", receipt, by)
        told(bench, "clicked", receipt, by)
    assert marks(bench, receipt) == (State.DELIVERED, False, False)

    assert told(bench, "opened", receipt, "person")
    assert told(bench, "clicked", receipt, "person")

    assert marks(bench, receipt) == (State.DELIVERED, True, True)
    assert not told(bench, "opened", receipt, "person")
    assert told(bench, "opened", receipt, "other") is False
    assert bench.insight.stats(receipt.notification_id).opened == 1


def test_what_was_not_sent_is_opened_by_nobody(bench: Bench) -> None:
    receipt = bench.send(deliver_at=START + MINUTE)

    for by in ("person", "proxy", "scanner"):
        assert not told(bench, "opened", receipt, by)
    assert bench.events(receipt) == ["deferred"]


def test_programs_are_recorded_once_also_within_one_transaction(bench: Bench) -> None:
    receipt = handed_over(bench)
    facts = [("opened", receipt.delivery_id or "", {"by": "scanner"})] * 3

    assert bench.feedback.record_many(facts) == 1
    assert bench.events(receipt).count("opened") == 1


# Kept until it is clear ------------------------------------------------------------------------


def hit(receipt: Receipt, at: int, number: int = 0, links: int = 0) -> Hit:
    name = "clicked" if number else "opened"
    url = f"https://a.test/{number}" if number else ""
    return Hit(name, receipt.delivery_id or "", at, FIREFOX, False, number, links, url)


def by_whom(bench: Bench, receipt: Receipt) -> list[tuple[str, str]]:
    with bench.store.reading() as reader:
        events = reader.events(delivery_id=receipt.delivery_id or "")
    return [(e.name, e.data["by"]) for e in events if e.name in ("opened", "clicked")]


def test_a_request_is_recorded_when_no_more_of_its_kind_can_follow(bench: Bench) -> None:
    receipt = handed_over(bench)
    engagement = Engagement(bench.context, bench.feedback)
    engagement.note(hit(receipt, LATER))

    assert engagement.settle(LATER + BURST_MS - 1) == 0
    assert engagement.kept == 1
    assert engagement.settle(LATER + BURST_MS) == 1
    assert engagement.kept == 0
    assert by_whom(bench, receipt) == [("opened", "person")]


def test_the_first_click_of_a_burst_is_known_for_what_it_was(bench: Bench) -> None:
    receipt = handed_over(bench)
    engagement = Engagement(bench.context, bench.feedback)
    for number in (1, 2, 3):
        engagement.note(hit(receipt, LATER + number * 300, number, 3))
        engagement.settle(LATER + number * 300)
    engagement.settle(LATER + MINUTE)

    assert by_whom(bench, receipt) == [("clicked", "scanner")]
    assert marks(bench, receipt) == (State.SENT, False, False)


def test_who_never_stops_is_not_kept_for_ever(bench: Bench) -> None:
    receipt = handed_over(bench)
    engagement = Engagement(bench.context, bench.feedback)
    for at in range(0, 6 * SECOND, 500):
        engagement.note(hit(receipt, LATER + at))
        engagement.settle(LATER + at)

    assert by_whom(bench, receipt) == [("opened", "person")]


def test_a_clock_that_was_put_back_keeps_nothing_back(bench: Bench) -> None:
    receipt = handed_over(bench)
    engagement = Engagement(bench.context, bench.feedback)
    engagement.note(hit(receipt, LATER + 60 * MINUTE))
    engagement.settle(LATER)

    assert engagement.kept == 0


def test_at_the_end_everything_is_recorded(bench: Bench) -> None:
    receipts = [handed_over(bench) for _ in range(3)]
    engagement = Engagement(bench.context, bench.feedback)
    for receipt in receipts:
        engagement.note(hit(receipt, LATER))

    assert engagement.settle(LATER, all_of_it=True) == 3


def test_of_an_unknown_delivery_nothing_is_recorded(bench: Bench) -> None:
    engagement = Engagement(bench.context, bench.feedback)
    engagement.note(Hit("opened", "nobody", LATER, FIREFOX))

    assert engagement.settle(LATER, all_of_it=True) == 0
    assert bench.events() == []


def test_a_flood_is_dropped_and_told(quick: Bench, caplog: pytest.LogCaptureFixture) -> None:
    engagement = Engagement(quick.context, quick.feedback)
    for _ in range(KEPT_EACH + 1):
        engagement.note(Hit("opened", "d", LATER, FIREFOX))
    for number in range(KEPT_MAX):
        engagement.note(Hit("opened", f"x{number}", LATER, FIREFOX))

    assert engagement.kept == KEPT_MAX
    with caplog.at_level(logging.WARNING, "tactful.engagement"):
        engagement.settle(LATER, all_of_it=True)
    assert f"{KEPT_EACH + 1} requests" in caplog.text
    assert engagement.kept == 0


class Away(Feedback):
    """Cannot reach the store until it `is_back`."""

    is_back = False

    def record_many(self, facts: Sequence[Told]) -> int:
        if not self.is_back:
            raise Unavailable("gone for lunch")
        return super().record_many(facts)


def test_while_the_store_is_away_it_is_kept(quick: Bench) -> None:
    receipt = handed_over(quick)
    feedback = Away(quick.context)
    engagement = Engagement(quick.context, feedback)
    engagement.note(hit(receipt, LATER))
    with pytest.raises(Unavailable):
        engagement.settle(LATER + MINUTE)
    assert engagement.kept == 1

    feedback.is_back = True
    assert engagement.settle(LATER + MINUTE) == 1
    assert by_whom(quick, receipt) == [("opened", "person")]
