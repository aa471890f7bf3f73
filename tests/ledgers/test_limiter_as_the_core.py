"""The script decides what the core decides, ask by ask, at the millisecond.

The core is given the whole history of a recipient; the script has what it kept of it. Each history
is asked at instants that the test chooses: ends of windows, changes of the clocks, and around them.
"""

from __future__ import annotations

from datetime import UTC, tzinfo
from itertools import count
from zoneinfo import ZoneInfo

import pytest
import valkey
from histories import Histories, MakeLimiter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tactful import Answer, Ask, Priority, Rule
from tactful.core.checks import compile_checks
from tactful.core.decide import Subject, decide, remaining
from tactful.core.model import NEVER, Entry, Kind, Reject, Send

NUMBERS = count()
FUTURE = 2_000_000_000_000
TYPES, CHANNELS, CATEGORIES = ("a", "b"), (None, "mail", "sms"), ("default", "offers")
PRIORITIES = ("low", "normal", "high", "critical")
ZONES = ("UTC", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo")
WINDOWS = (7, 1_000, 60_000, 3_600_000, 86_400_000)
LIMITS = (
    "{}/7ms",
    "{}/s",
    "{}/minute",
    "{}/hour",
    "{}/day",
    "{}/minute calendar",
    "{}/hour calendar",
    "{}/day calendar",
    "{}/week calendar",
    "{}/month calendar",
)


def some(names: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...] | None]:
    return st.none() | st.lists(st.sampled_from(names), min_size=1, unique=True).map(tuple)


@st.composite
def rule(draw: st.DrawFn, name: str) -> Rule:
    most = draw(st.integers(0, 4))
    reserve: dict[str, int] = {}
    if most >= 2 and draw(st.booleans()):
        reserve = draw(st.sampled_from([{"high": 1}, {"critical": 2}, {"normal": 1, "high": 1}]))
    return Rule(
        name,
        draw(st.sampled_from(LIMITS)).format(most),
        types=draw(some(TYPES)),
        categories=draw(some(CATEGORIES)),
        channels=draw(some(("mail", "sms"))),
        priorities=draw(some(PRIORITIES)),
        exempt=draw(st.sampled_from([(), ("critical",), ("low", "high")])),
        per=draw(
            st.sampled_from(
                ["recipient", "recipient+type", "recipient+channel", "recipient+category"]
            )
        ),
        on_limit=draw(st.sampled_from(["defer", "digest", "collapse", "reject"])),
        reserve=reserve,
    )


ASKS = st.builds(
    Ask,
    st.sampled_from(["ada", "bob"]),
    st.sampled_from(TYPES),
    st.sampled_from(PRIORITIES),
    st.sampled_from(CHANNELS),
    st.sampled_from(CATEGORIES),
    st.sampled_from(ZONES),
)
STEPS = st.tuples(
    st.sampled_from([0, 0, 1, *WINDOWS]) | st.integers(0, 40 * 86_400_000),
    st.sampled_from([-1, 0, 0, 1]),
    st.lists(ASKS, min_size=1, max_size=6),
    st.none() | st.integers(0, 5),
)


class Known:
    """All that was granted to one recipient, as the core sees it."""

    def __init__(self) -> None:
        self.granted: dict[str, Entry] = {}

    def entries(self) -> list[Entry]:
        return sorted(self.granted.values())


def zone_of(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


def kind_of(ask: Ask) -> Kind:
    return Kind(ask.type, ask.category, ask.channel or "", Priority[str(ask.priority).upper()])


def judge(rules: list[Rule], known: Known, ask: Ask, answer: Answer) -> None:
    """Whether the answer is the core's; what was granted is known from then on."""
    kind, zone = kind_of(ask), zone_of(ask.zone)
    checks = compile_checks(rules, kind)
    decision = decide(Subject(kind, zone), known.entries(), (), checks, answer.at)
    if not isinstance(decision, Send):
        slot = decision.retry_at if isinstance(decision, Reject) else decision.until
        wanted = (False, decision.rule, 0, None if slot == NEVER else slot, None)
    else:
        if answer.id is not None:
            known.granted[answer.id] = Entry(answer.at, kind)
        left, binding = remaining(known.entries(), (), checks, zone, answer.at)
        wanted = (True, binding, left, None, answer.id)
        assert (answer.id is None) == (not checks.bounds)
    assert (answer.granted, answer.rule, answer.remaining, answer.retry_at, answer.id) == wanted


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rules=st.lists(st.integers(), min_size=1, max_size=4).flatmap(
        lambda numbers: st.tuples(*(rule(f"rule{n}") for n in range(len(numbers))))
    ),
    start=st.integers(0, 3 * 365 * 86_400_000),
    steps=st.lists(STEPS, min_size=1, max_size=15),
)
def test_every_decision_is_that_of_the_core(
    make: MakeLimiter,
    client: valkey.Valkey,
    rules: tuple[Rule, ...],
    start: int,
    steps: list[tuple[int, int, list[Ask], int | None]],
) -> None:
    namespace = f"core{next(NUMBERS)}"
    limiter, histories = make(*rules, namespace=namespace), Histories(client, namespace)
    people = {"ada": Known(), "bob": Known()}
    now = FUTURE + start
    for forward, beside, asks, given_back in steps:
        now += max(0, forward + beside)
        for person in people:
            histories.advance(person, now)
        for ask, answer in zip(asks, limiter.acquire_many(asks), strict=True):
            assert answer.at == now
            judge(list(rules), people[ask.recipient], ask, answer)
        for known in people.values():
            if given_back is not None and given_back < len(known.granted):
                id_ = list(known.granted)[-1 - given_back]
                limiter.release(id_)
                del known.granted[id_]
    for person, known in people.items():
        kinds = {entry.kind for entry in known.entries()}
        most = {k: max(b.count for b in compile_checks(rules, k).bounds) for k in kinds}
        assert sum(histories.sizes(person)) <= sum(most.values())
    limiter.close()
    client.delete(*(histories.key(person) for person in people))


@pytest.mark.parametrize("limit", ["40/5ms", "100/20ms", "300/100ms"])
def test_on_the_clock_of_the_server_too(make: MakeLimiter, limit: str) -> None:
    """Many asks in a row meet many windows, without anybody turning a clock."""
    rules = [Rule("all", limit), Rule("each", "25/7ms", per="recipient+type")]
    limiter, known = make(*rules), Known()
    asks = [Ask("ada", kind) for kind in "abab"]

    granted = 0
    for _ in range(300):
        for ask, answer in zip(asks, limiter.acquire_many(asks), strict=True):
            judge(rules, known, ask, answer)
            granted += answer.granted
        for id_ in list(known.granted)[:-400]:
            del known.granted[id_]

    assert granted > 40
