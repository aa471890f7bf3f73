"""Slots and decisions against an oracle that is nothing but the definition.

The oracle looks at every window that holds an instant and counts what is in it. It knows neither
sorted runs nor jumps; to find the next free slot it tries one instant after the other. For that
all instants lie on a grid: single milliseconds for rolling limits alone, coarser steps where
calendar units and hours come in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tactful.core.checks import Checks, compile_checks
from tactful.core.decide import Subject, decide, remaining
from tactful.core.model import (
    DAY,
    HOUR,
    MINUTE,
    NEVER,
    SECOND,
    Entry,
    Kind,
    Millis,
    Priority,
    Reject,
    Send,
)
from tactful.core.plan import blocking, next_slot, slot_of
from tactful.core.rules import Limit, Rule
from tactful.core.windows import Hours, Unit

MONDAY = 1_780_272_000_000  # 2026-06-01T00:00Z
LENGTHS = {Unit.MINUTE: MINUTE, Unit.HOUR: HOUR, Unit.DAY: DAY}
KINDS = [
    Kind("news", "offers", "email", Priority.NORMAL),
    Kind("news", "offers", "sms", Priority.LOW),
    Kind("news", "account", "email", Priority.HIGH),
    Kind("reset", "account", "email", Priority.CRITICAL),
    Kind("reset", "account", "sms", Priority.HIGH),
    Kind("reset", "offers", "email", Priority.LOW),
]

# The definition -------------------------------------------------------------------------------


class Grid(NamedTuple):
    """Where instants may lie: `size` of them from `start` on, `tick` apart."""

    start: Millis
    tick: Millis
    size: int
    units: tuple[Unit, ...] = ()
    hours: tuple[tuple[dict[str, str], ...], ...] = ((),)


def speaks_of(rule: Rule, kind: Kind) -> bool:
    filters = [(rule.types, kind.type), (rule.categories, kind.category)]
    filters.append((rule.channels, kind.channel))
    named = all(allowed is None or value in set(allowed) for allowed, value in filters)
    return named and kind.priority not in set(rule.exempt)


def counts_for(rule: Rule, mine: Kind, other: Kind) -> bool:
    apart = {
        "recipient": lambda kind: "",
        "recipient+type": lambda kind: kind.type,
        "recipient+category": lambda kind: kind.category,
        "recipient+channel": lambda kind: kind.channel,
    }[rule.per]
    return speaks_of(rule, other) and apart(mine) == apart(other)


def windows_holding(limit: Limit, at: Millis, tick: Millis) -> Iterator[tuple[Millis, Millis]]:
    """Every window [start, end) of the limit that holds `at`."""
    if limit.unit is not None:
        start = at - at % LENGTHS[limit.unit]
        yield start, start + LENGTHS[limit.unit]
        return
    start = at
    while at < start + limit.window_ms:
        yield start, start + limit.window_ms
        start -= tick


def unused_reserve(rule: Rule, mine: Kind, used: list[int]) -> int:
    """How many slots are kept from `mine`: each reserve is used up from the top by its own."""
    kept = entitled = 0
    for priority in sorted(Priority, reverse=True):
        entitled += used.count(priority)
        reserve = rule.reserve.get(priority.name.lower(), 0)
        if priority > mine.priority:
            kept += max(0, reserve - entitled)
            entitled = max(0, entitled - reserve)
    return kept


def has_room(rule: Rule, mine: Kind, events: Sequence[Entry], at: Millis, tick: Millis) -> bool:
    limit = rule.limit
    assert isinstance(limit, Limit)
    for start, end in windows_holding(limit, at, tick):
        used = [
            kind.priority
            for when, kind in events
            if start <= when < end and counts_for(rule, mine, kind)
        ]
        if len(used) + 1 + unused_reserve(rule, mine, used) > limit.count:
            return False
    return True


def within_hours(hours: Hours, at: Millis) -> bool:
    for midnight in (at - at % DAY, at - at % DAY - DAY):
        weekday = (midnight - MONDAY) // DAY % 7
        begin = midnight + hours.start_min * MINUTE
        last = hours.end_min + (24 * 60 if hours.end_min <= hours.start_min else 0)
        if weekday in hours.days and begin <= at < midnight + last * MINUTE:
            return True
    return False


def agrees(rule: Rule, mine: Kind, events: Sequence[Entry], at: Millis, tick: Millis) -> bool:
    if not speaks_of(rule, mine):
        return True
    if isinstance(rule.quiet, Hours):
        return not within_hours(rule.quiet, at)
    if isinstance(rule.window, Hours):
        return within_hours(rule.window, at)
    return has_room(rule, mine, events, at, tick)


def free(
    rules: Sequence[Rule], mine: Kind, events: Sequence[Entry], at: Millis, tick: Millis
) -> bool:
    return all(agrees(rule, mine, events, at, tick) for rule in rules)


def first_free(
    rules: Sequence[Rule], mine: Kind, events: Sequence[Entry], now: Millis, tick: Millis
) -> Millis:
    """The first instant of the grid from `now` on that all rules agree to, or NEVER."""
    limits = [rule for rule in rules if isinstance(rule.limit, Limit)]
    if not free(limits, mine, [], now, tick):
        return NEVER  # what is too much without any history is always too much
    at = now
    while not free(rules, mine, events, at, tick):
        at += tick
    return at


# What it is tried on --------------------------------------------------------------------------

MILLISECONDS = Grid(1_000, 1, 60)
MINUTES = Grid(MONDAY, 15 * SECOND, 30, (Unit.MINUTE,))
HOURS = Grid(
    MONDAY,
    HOUR,
    60,
    (Unit.HOUR, Unit.DAY),
    (
        (),
        ({"quiet": "22:00-08:00"},),
        ({"window": "09:00-17:00 mon-fri"},),
        ({"quiet": "12:00-13:00"}, {"window": "09:00-17:00 tue,sat"}),
        ({"quiet": "00:00-24:00 sat,sun"}, {"quiet": "20:00-07:00"}),
    ),
)


@st.composite
def limit_rules(draw: st.DrawFn, grid: Grid, name: str) -> Rule:
    count = draw(st.integers(0, 4))
    unit = draw(st.sampled_from((None, *grid.units)))
    window_ms = draw(st.integers(1, 20)) * grid.tick if unit is None else LENGTHS[unit]
    reserve: dict[str, int] = {}
    for priority in draw(st.sets(st.sampled_from(["normal", "high", "critical"]), max_size=2)):
        left = count - sum(reserve.values())
        if left > 0:
            reserve[priority] = draw(st.integers(1, left))
    return Rule(
        name,
        limit=Limit(count, window_ms, unit),
        types=draw(st.sampled_from([None, None, ["news"], ["reset"]])),
        channels=draw(st.sampled_from([None, None, ["email"]])),
        categories=draw(st.sampled_from([None, None, None, ["offers"]])),
        per=draw(
            st.sampled_from(
                ["recipient", "recipient+type", "recipient+category", "recipient+channel"]
            )
        ),
        on_limit=draw(st.sampled_from(["defer", "digest", "collapse", "reject"])),
        exempt=draw(st.sampled_from([(), (), ("critical",), ("low", "high")])),
        reserve=reserve,
    )


class Case(NamedTuple):
    rules: list[Rule]
    kind: Kind
    events: list[Entry]
    now: Millis
    tick: Millis

    @property
    def checks(self) -> Checks:
        return compile_checks(self.rules, self.kind)

    @property
    def expected(self) -> Millis:
        return first_free(self.rules, self.kind, self.events, self.now, self.tick)


def entries(grid: Grid, least: int = 0) -> st.SearchStrategy[list[Entry]]:
    instants = st.integers(least, grid.size).map(lambda step: grid.start + step * grid.tick)
    entry = st.builds(Entry, instants, st.sampled_from(KINDS))
    return st.lists(entry, max_size=12).map(sorted)


@st.composite
def cases(draw: st.DrawFn, *grids: Grid) -> Case:
    grid = draw(st.sampled_from(grids))
    rules = [draw(limit_rules(grid, f"r{n}")) for n in range(draw(st.integers(1, 3)))]
    hours: tuple[dict[str, Any], ...] = draw(st.sampled_from(grid.hours))
    rules += [Rule(f"h{n}", **fields) for n, fields in enumerate(hours)]
    now = grid.start + draw(st.integers(0, grid.size)) * grid.tick
    return Case(
        draw(st.permutations(rules)),
        draw(st.sampled_from(KINDS)),
        draw(entries(grid)),
        now,
        grid.tick,
    )


any_case = cases(MILLISECONDS, MINUTES, HOURS)


def decision_on(case: Case, history: Sequence[Entry], planned: Sequence[Entry], at: Millis) -> Any:
    return decide(Subject(case.kind, UTC), history, planned, case.checks, at)


# One delivery ---------------------------------------------------------------------------------


@settings(print_blob=True, deadline=None, max_examples=160)
@given(any_case, st.integers(0, 12))
def test_it_may_go_exactly_if_no_window_around_now_is_full(case: Case, split: int) -> None:
    """Whatever of it is history and whatever is only planned."""
    expected = free(case.rules, case.kind, case.events, case.now, case.tick)
    history, planned = case.events[:split], case.events[split:]
    for decision in (
        decision_on(case, case.events, [], case.now),
        decision_on(case, history, planned, case.now),
        decision_on(case, planned, history, case.now),
    ):
        assert isinstance(decision, Send) is expected


@settings(print_blob=True, deadline=None, max_examples=160)
@given(any_case)
def test_the_next_slot_is_the_first_instant_that_is_free(case: Case) -> None:
    assert next_slot(case.events, case.checks, UTC, case.now) == case.expected


@settings(print_blob=True, deadline=None, max_examples=120)
@given(cases(MILLISECONDS))
def test_each_check_alone_agrees_first_where_its_rule_does(case: Case) -> None:
    rules = [rule for rule in case.rules if not rule.reserve and speaks_of(rule, case.kind)]
    checks = compile_checks(rules, case.kind)
    for rule, bound in zip(rules, checks.bounds, strict=True):
        found = slot_of(bound, case.events, UTC, case.now)
        assert found == first_free([rule], case.kind, case.events, case.now, case.tick)


@settings(print_blob=True, deadline=None, max_examples=120)
@given(any_case)
def test_a_refusal_tells_the_slot_and_at_that_slot_it_goes(case: Case) -> None:
    decision = decision_on(case, case.events, [], case.now)
    if isinstance(decision, Send):
        return
    until = decision.retry_at if isinstance(decision, Reject) else decision.until
    assert until == case.expected > case.now
    if until < NEVER:
        assert isinstance(decision_on(case, case.events, [], until), Send)
        assert isinstance(decision_on(case, [], case.events, until), Send)
        assert not isinstance(decision_on(case, case.events, [], until - 1), Send)


@settings(print_blob=True, deadline=None, max_examples=120)
@given(any_case)
def test_the_rule_that_is_named_says_no_and_none_that_says_no_is_sterner(case: Case) -> None:
    decision = decision_on(case, case.events, [], case.now)
    if isinstance(decision, Send):
        return
    order = ["defer", "digest", "collapse", "reject"]
    against = {
        rule.name: order.index(rule.on_limit)
        for rule in case.rules
        if not agrees(rule, case.kind, case.events, case.now, case.tick)
    }
    assert decision.rule in against
    assert against[decision.rule] == max(against.values())
    assert order[against[decision.rule]] == type(decision).__name__.lower()


@settings(print_blob=True, deadline=None)
@given(any_case, st.randoms(use_true_random=False))
def test_the_order_of_the_rules_does_not_matter(case: Case, random: Any) -> None:
    """Where two rules are equally stern and end together, either may be named."""
    decision = decision_on(case, case.events, [], case.now)
    shuffled = list(case.rules)
    random.shuffle(shuffled)
    other = decision_on(case._replace(rules=shuffled), case.events, [], case.now)
    assert type(other) is type(decision)
    if isinstance(decision, Reject):
        assert other.retry_at == decision.retry_at
    elif not isinstance(decision, Send):
        assert other.until == decision.until


@settings(print_blob=True, deadline=None)
@given(any_case)
def test_a_slot_never_comes_earlier_for_more_history(case: Case) -> None:
    for gone in range(len(case.events)):
        fewer = case.events[:gone] + case.events[gone + 1 :]
        assert next_slot(fewer, case.checks, UTC, case.now) <= case.expected


def how_many_more(case: Case) -> int:
    events = list(case.events)
    while free(case.rules, case.kind, events, case.now, case.tick):
        events.append(Entry(case.now, case.kind))
    return len(events) - len(case.events)


@settings(print_blob=True, deadline=None, max_examples=120)
@given(cases(MILLISECONDS, MINUTES), st.integers(0, 12))
def test_what_remains_is_how_many_more_may_go_now(case: Case, split: int) -> None:
    """Also where slots are planned behind now: they fill the windows around it too."""
    if not case.checks.bounds:
        assert remaining(case.events, [], case.checks, UTC, case.now) == (None, None)
        return
    history, planned = case.events[:split], case.events[split:]
    left, rule = remaining(history, planned, case.checks, UTC, case.now)
    assert left == how_many_more(case)
    assert rule in {bound.rule.name for bound in case.checks.bounds}


@settings(print_blob=True, deadline=None, max_examples=80)
@given(cases(MILLISECONDS, MINUTES))
def test_what_is_blamed_for_a_full_window_is_what_fills_it(case: Case) -> None:
    """Nothing is blamed while there is room, and without what is blamed there is."""
    blamed = blocking(case.checks.bounds, case.events, UTC, case.now)
    if free(case.rules, case.kind, case.events, case.now, case.tick):
        assert blamed == []
    rest = [entry for entry in case.events if entry not in blamed]
    room = free(case.rules, case.kind, [], case.now, case.tick)
    assert free(case.rules, case.kind, rest, case.now, case.tick) is room


# A whole line ---------------------------------------------------------------------------------


class Line:
    """Deliveries of one recipient that arrive, are given a slot and go at that slot."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.gone: list[Entry] = []
        self.waiting: list[Entry] = []

    def arrive(self, kind: Kind, now: Millis) -> None:
        self.run(now)
        checks = compile_checks(self.rules, kind)
        slot = next_slot(sorted([*self.gone, *self.waiting]), checks, UTC, now)
        if slot < NEVER:
            self.waiting = sorted([*self.waiting, Entry(slot, kind)])

    def run(self, now: Millis) -> None:
        """Let everybody go whose slot has come; each must still be free then."""
        while self.waiting and self.waiting[0].at <= now:
            (slot, kind), *behind = self.waiting
            checks = compile_checks(self.rules, kind)
            answer = decide(Subject(kind, UTC), self.gone, behind, checks, slot)
            assert isinstance(answer, Send), "it was promised this slot"
            self.gone.append(Entry(slot, kind))
            self.waiting = behind


@st.composite
def lines(draw: st.DrawFn) -> Line:
    grid = draw(st.sampled_from([MILLISECONDS, MINUTES]))
    rules = [draw(limit_rules(grid, f"r{n}")) for n in range(draw(st.integers(1, 3)))]
    line = Line(rules)
    now = grid.start
    for gap, kind in draw(
        st.lists(st.tuples(st.integers(0, 6), st.sampled_from(KINDS)), max_size=25)
    ):
        now += gap * grid.tick
        line.arrive(kind, now)
    line.run(NEVER)
    return line


def fullest(limit: Limit, instants: Sequence[Millis]) -> int:
    """The most that any window holds; a fullest rolling window can start at one of them."""
    if limit.unit is not None:
        numbers = [at // LENGTHS[limit.unit] for at in instants]
        return max(map(numbers.count, numbers), default=0)
    windows = [(at, at + limit.window_ms) for at in instants]
    return max((sum(a <= x < b for x in instants) for a, b in windows), default=0)


@settings(print_blob=True, deadline=None, max_examples=120)
@given(lines())
def test_a_line_that_goes_at_its_slots_never_fills_a_window_too_much(line: Line) -> None:
    for rule in line.rules:
        assert isinstance(rule.limit, Limit)
        for kind in KINDS:
            if not speaks_of(rule, kind):
                continue
            counted = [entry for entry in line.gone if counts_for(rule, kind, entry.kind)]
            assert fullest(rule.limit, [at for at, _ in counted]) <= rule.limit.count
            for priority in Priority:
                below = [at for at, other in counted if other.priority < priority]
                kept = sum(
                    rule.reserve.get(high.name.lower(), 0) for high in Priority if high >= priority
                )
                if rule.reserve.get(priority.name.lower(), 0):
                    assert fullest(rule.limit, below) <= rule.limit.count - kept


@settings(print_blob=True, deadline=None)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(1, 40))
def test_a_line_behind_one_limit_leaves_no_slot_unused(
    count: int, window_ms: int, waiting: int
) -> None:
    checks = compile_checks([Rule("r", limit=Limit(count, window_ms))], KINDS[0])
    planned: list[Entry] = []
    for _ in range(waiting):
        planned.append(Entry(next_slot(planned, checks, UTC, 500), KINDS[0]))
    assert [at for at, _ in planned] == [500 + n // count * window_ms for n in range(waiting)]


@settings(print_blob=True, deadline=None)
@given(
    st.integers(1, 4),
    st.integers(1, 20),
    st.lists(st.integers(0, 40), max_size=8),
    st.integers(1, 12),
)
def test_a_line_goes_as_early_as_if_each_instant_were_tried(
    count: int, window_ms: int, used: list[int], waiting: int
) -> None:
    rules = [Rule("r", limit=Limit(count, window_ms))]
    checks = compile_checks(rules, KINDS[0])
    planned = tried = sorted(Entry(at, KINDS[0]) for at in used)
    for _ in range(waiting):
        planned = sorted([*planned, Entry(next_slot(planned, checks, UTC, 10), KINDS[0])])
    at, gone = 10, 0
    while gone < waiting:
        if free(rules, KINDS[0], tried, at, 1):
            tried, gone = sorted([*tried, Entry(at, KINDS[0])]), gone + 1
        else:
            at += 1
    assert planned == tried


@settings(print_blob=True, deadline=None)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=20),
)
def test_no_crowd_below_can_take_what_is_reserved(
    reserve: int, others: int, window_ms: int, crowd: list[tuple[int, int]]
) -> None:
    """Whatever the others did, `reserve` of the highest may go at once."""
    rules = [Rule("r", limit=Limit(reserve + others, window_ms), reserve={"critical": reserve})]
    line = Line(rules)
    now = 500
    for gap, priority in crowd:
        now += gap
        line.arrive(Kind("news", "offers", "email", priority), now)
    for _ in range(reserve):
        line.arrive(Kind("reset", "account", "email", Priority.CRITICAL), now)
    line.run(now)
    assert sum(kind.priority == Priority.CRITICAL for _, kind in line.gone) == reserve
