"""Random histories: callers, rules, clocks, faults and answers in any order.

Whatever happens, after each step the checker has nothing to say against it. Time at the other end
is the true one: it runs whenever the engine's clock is moved on, and does not go back with it. So
rolling limits have to hold however often the engine's clock was put right. Calendar days are those
of the engine's clock, and are judged only as long as it has been right.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from observed import DAY, HOUR, MINUTE, SECOND, World, memory

from tactful import (
    Accepted,
    NotificationType,
    Outcome,
    Recipient,
    Rejected,
    Retry,
    Rule,
    Settings,
    State,
    Template,
    Unknown,
)
from tactful.core.retry import RetryPolicy
from tactful.testing import ManualClock
from tactful.testing.checker import Reign, check, check_limits
from tactful.testing.faults import Crash, Fault

PEOPLE = [
    Recipient("p0"),
    Recipient("p1", timezone="Europe/Istanbul"),
    Recipient("p2", timezone="America/New_York"),
]
NAMES = [person.id for person in PEOPLE]
TYPES = ("news", "news", "like", "promo", "ping", "report", "code", "note")

VARIANTS = (
    [Rule(name="pace", types=["news"], limit=limit) for limit in ("1/minute", "2/minute", "3/s")],
    [Rule(name="slow", types=["news", "note"], limit=limit) for limit in ("3/hour", "5/hour")],
    [Rule(name="bundle", types=["like"], limit="1/10min", on_limit="digest")],
    [Rule(name="strict", types=["promo"], limit="1/hour", on_limit="reject")],
    [Rule(name="newest", types=["ping"], limit="1/10min", on_limit="collapse")],
    [Rule(name="daily", types=["report"], limit="1/day calendar")],
    [Rule(name="all", limit="6/10min"), Rule(name="all", limit="2/10s", per="recipient+type")],
    [Rule(name="flow", channels=["post"], per="channel", limit="10/s", burst=3)],
)
DIGEST = Template(name="digest", text="{% for item in items %}{{ item.text }}{% endfor %}")
PATIENT = RetryPolicy(tries_max=100, crashes_max=100)

ANSWERS: tuple[Outcome, ...] = (
    Accepted(),
    Accepted(arrived=True),
    Retry("busy"),
    Rejected("no such mailbox"),
    Unknown("taken"),
    Unknown("not taken"),
)
CALLS = ("lease", "settle", "commit", "due", "add_events", "message 1 of 1")
PASSES = (1, 700, SECOND, 10 * SECOND, MINUTE, 10 * MINUTE, HOUR)
LOOSENING = {"rule.changed", "clock.corrected"}
FREEING = {"cancelled", "expired", "suppressed", "failed", "rejected", "superseded", "retry"}


class TrueTime:
    """The clock of the other end: the engine's one, less what that was turned back by."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.turned_ms = 0

    def now(self) -> int:
        return self.clock.now() + self.turned_ms


class Histories(RuleBasedStateMachine):
    """See the module."""

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        self.world = World(memory, settings=Settings(history_ms=2 * DAY, retry=PATIENT))
        self.time = TrueTime(self.world.clock)
        self.world.post.clock = self.time  # type: ignore[assignment]
        self.judged = 0
        self.flowing_since = 0
        self.number = 0
        self.failed_at = 0
        self.known: set[str] = set()
        self.keyed: list[tuple[Any, str | None]] = []
        self.deferred: dict[str, tuple[int, int]] = {}
        self.world.call(lambda app: app.types.put(NotificationType("code", on_ambiguous="hold")))
        self.world.call(lambda app: app.templates.put(DIGEST))
        self.world.held.add("code")
        self.world.register(PEOPLE)
        self.change_rules(data)

    def item(self, type_: str, answers: list[Outcome]) -> str:
        self.number += 1
        name = f"{type_}{self.number}"
        self.world.post.script[name] = answers
        return name

    # Callers ----------------------------------------------------------------------------------

    @rule(
        wanted=st.lists(
            st.tuples(
                st.sampled_from(TYPES),
                st.sampled_from(NAMES),
                st.lists(st.sampled_from(ANSWERS), max_size=3),
            ),
            min_size=1,
            max_size=6,
        ),
        keyed=st.booleans(),
        ttl=st.sampled_from((None, None, None, 30_000)),
        ahead=st.sampled_from((None, None, None, 90_000)),
    )
    def send(
        self,
        wanted: list[tuple[str, str, list[Outcome]]],
        keyed: bool,
        ttl: int | None,
        ahead: int | None,
    ) -> None:
        fields: dict[str, Any] = {} if keyed else {"idempotency_key": None}
        if ahead is not None:
            fields["deliver_at"] = self.world.clock.now() + ahead
        items = [(self.item(type_, answers), to, type_) for type_, to, answers in wanted]
        fields["ttl"] = ttl
        receipts = self.world.send_many(items, **fields)
        if keyed:
            asked = zip(items, receipts, strict=True)
            self.keyed += [((item, fields), receipt.delivery_id) for item, receipt in asked]
        with self.world.raw.reading() as reader:
            seq = reader.last_event()
        for receipt in receipts:
            if receipt.decision == "defer" and receipt.deliver_at is not None:
                self.deferred[receipt.delivery_id or ""] = (receipt.deliver_at, seq)

    @rule(place=st.integers(0, 30))
    def ask_again(self, place: int) -> None:
        """The same key and the same body: the same answer, and nothing new."""
        if place < len(self.keyed):
            (wanted, fields), delivery = self.keyed[place]
            before = len(self.world.ended())
            item, to, type_ = wanted
            receipt = self.world.app.send(
                type=type_, to=to, text=f"<{item}>", idempotency_key=item, **fields
            )
            assert (receipt.replayed, receipt.delivery_id) == (True, delivery)
            assert len(self.world.ended()) == before

    @rule(type_=st.sampled_from(TYPES))
    def broadcast(self, type_: str) -> None:
        self.world.broadcast(self.item(type_, []), type_, NAMES)

    @rule(place=st.integers(0, 60))
    def cancel(self, place: int) -> None:
        found = [asked for asked in self.world.asked if asked.delivery is not None]
        if place < len(found):
            self.world.cancel(found[place].item)

    @rule(data=st.data())
    def change_rules(self, data: st.DataObject) -> None:
        chosen = [data.draw(st.sampled_from([None, *variants, *variants])) for variants in VARIANTS]
        self.world.put_rules(*(rule for rule in chosen if rule is not None))
        self.flowing_since = len(self.world.post.wire)

    @rule(
        name=st.sampled_from(("delivered", "opened", "clicked", "lost")), place=st.integers(0, 60)
    )
    def record(self, name: str, place: int) -> None:
        """A fact from outside; of what nobody could know yet it changes nothing."""
        rows = self.world.ended()
        if place < len(rows) and rows[place].state is not State.UNKNOWN:
            self.world.call(lambda app: app.record(name, rows[place].id))

    # Time and trouble -------------------------------------------------------------------------

    @rule(passed=st.sampled_from(PASSES))
    def advance(self, passed: int) -> None:
        self.world.clock.advance(passed)
        self.world.tick()

    @rule(passed=st.sampled_from(PASSES))
    def let_time_pass(self, passed: int) -> None:
        self.world.clock.advance(passed)

    @rule(back=st.sampled_from((2 * SECOND, HOUR)))
    @precondition(lambda self: self.time.turned_ms < 5 * HOUR)
    def turn_the_clock_back(self, back: int) -> None:
        self.world.clock.set(self.world.clock.now() - back)
        self.time.turned_ms += back
        self.flowing_since = len(self.world.post.wire)

    @rule()
    def tick(self) -> None:
        self.world.tick()

    @rule(
        call=st.one_of(st.just("send"), st.sampled_from(CALLS), st.integers(1, 60)),
        when=st.sampled_from(("before", "after")),
        error=st.sampled_from((Crash, Fault)),
        to=st.sampled_from(NAMES),
        type_=st.sampled_from(("note", *TYPES)),
    )
    def fail(
        self, call: str | int, when: Any, error: type[BaseException], to: str, type_: str
    ) -> None:
        """One more is accepted, and then something fails while the due ones are sent."""
        self.world.send(self.item(type_, []), to, type_)
        if isinstance(call, int):
            self.world.plan.fail(ahead=call, when=when, error=error)
        else:
            self.world.plan.fail(call, when=when, error=error)
        self.world.tick()
        self.world.plan.rest()
        with self.world.raw.reading() as reader:
            self.failed_at = reader.last_event()

    # What must hold ---------------------------------------------------------------------------

    @invariant()
    def limits_hold(self) -> None:
        """What went in this step, under the rules of this step."""
        wire, zones = self.world.post.wire, self.world.zones
        per_person: list[Any] = []
        flows: list[Any] = []
        for found in self.world.reigns[-1].rules:
            if found.get("per") == "channel":
                flows.append(found)
            elif not (self.time.turned_ms and "calendar" in str(found["limit"])):
                per_person.append(found)
        violations, _ = check_limits(wire, [Reign(self.judged, tuple(per_person))], zones)
        # A flow knows nothing of what went before it was in force or the clock was put right.
        flow = wire[self.flowing_since :]
        since = max(0, self.judged - self.flowing_since)
        violations += check_limits(flow, [Reign(since, tuple(flows))])[0]
        self.judged = len(wire)
        assert violations == []

    @invariant()
    def nothing_is_there_twice_or_unasked(self) -> None:
        report = check(self.world.history())
        assert (report.duplicated_unexplained, report.unexpected) == ((), ())

    @invariant()
    def nothing_vanishes(self) -> None:
        self.world.check_conservation()
        now = {row.id for row in self.world.ended()}
        assert self.known <= now
        self.known = now

    @invariant()
    def opened_is_within_delivered_within_sent(self) -> None:
        for notification in {asked.notification for asked in self.world.asked}:
            stats = self.world.app.stats(notification or "")
            assert stats.opened <= stats.received <= stats.sent

    @invariant()
    def receipts_are_kept(self) -> None:
        with self.world.raw.reading() as reader:
            for asked in self.world.asked:
                row = reader.delivery(asked.delivery or "")
                if row is not None and asked.decision in ("send", "defer", "digest", "collapse"):
                    assert row.state is not State.REJECTED
            for delivery, (deliver_at, seq) in list(self.deferred.items()):
                attempts = reader.attempts(delivery)
                if not attempts:
                    continue
                del self.deferred[delivery]
                if attempts[0].at < deliver_at:
                    later = reader.events(after=seq, limit=100_000)
                    assert self.failed_at > seq or any(
                        event.name in LOOSENING
                        or (event.name in FREEING and event.recipient == attempts[0].recipient)
                        for event in later
                    )

    def something_took_the_place_of_what_was_superseded(self) -> None:
        with self.world.raw.reading() as reader:
            for row in reader.deliveries(state=State.SUPERSEDED):
                other = reader.delivery((row.reason or "").removeprefix("superseded by "))
                assert other is not None
                assert (other.recipient, other.type) == (row.recipient, row.type)

    def teardown(self) -> None:
        """In the end all is well, and nothing is left to do."""
        if hasattr(self, "world"):
            self.world.settle(50 * DAY)
            self.limits_hold()
            self.receipts_are_kept()
            self.world.reigns.clear()  # judged step by step, by the clock of the time
            self.something_took_the_place_of_what_was_superseded()
            # The checker tells the newer of two by their ids, which engines make independently.
            findings = self.world.findings()
            findings = [text for text in findings if "superseded by nothing" not in text]
            assert findings == []
            self.world.close()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, print_blob=True
)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_more_histories_are_well() -> None:
    longer = settings(TestHistories.settings, max_examples=500)
    run_state_machine_as_test(Histories, settings=longer)
