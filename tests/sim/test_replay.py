"""The replay of a backtest decides as the engine does.

Random people, traffic and rules are run by the production engine on a virtual clock. Then what the
engine's store has recorded is replayed under the same rules: every delivery must come to the same
end, at the same millisecond, by the same rule.
"""

from __future__ import annotations

from random import Random, SystemRandom
from typing import Any

import pytest

from tactful.core.model import DAY, HOUR, MINUTE, NEVER, Entry, Kind, Recipient, State
from tactful.core.rules import Rule
from tactful.engine.rulebook import Book
from tactful.engine.settings import Settings
from tactful.engine.zones import zone_of
from tactful.ports import Record
from tactful.sim.fates import Fate
from tactful.sim.replay import replay
from tactful.sim.run import Run, simulate
from tactful.sim.scenario import (
    START,
    Person,
    Policies,
    Population,
    Recorded,
    Scenario,
    Segment,
    Way,
)

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
LIMITS = ("minute", "10min", "hour", "2h", "day", "day calendar", "hour calendar")
NEWS = Kind("news", "default", "inbox", 1)
SEEDS = 25
FOUND = (1466, 1605)
"""What expired in a turn was collapsed in it, too."""


def some_rules(random: Random) -> tuple[Rule, ...]:
    found = []
    for number in range(random.randint(1, 4)):
        more: dict[str, Any] = {
            "on_limit": random.choice(["defer", "digest", "collapse", "reject"])
        }
        if random.random() < 0.4:
            more["types"] = random.sample("abc", random.randint(1, 2))
        if random.random() < 0.15:
            more["channels"] = ["sms"]
        what = random.random()
        if what < 0.7:
            more["limit"] = f"{random.randint(1, 4)}/{random.choice(LIMITS)}"
            if random.random() < 0.2:
                more["exempt"] = ["critical"]
            if random.random() < 0.2:
                more["reserve"] = {random.choice(["high", "critical"]): 1}
            if random.random() < 0.3:
                more["per"] = random.choice(["recipient+type", "recipient+channel"])
        elif what < 0.85:
            more["quiet"] = random.choice(["22:00-08:00", "12:00-13:00"])
        else:
            more["window"] = random.choice(["09:00-17:00 mon-fri", "10:00-11:30"])
        found.append(Rule(f"r{number}", **more))
    return tuple(found)


def some_traffic(
    random: Random, people: list[str], span: int
) -> tuple[tuple[int, dict[str, Any]], ...]:
    """Instants on a grid, so that much happens at once; a broadcast comes last in its instant, and
    no time to live ends together with another."""
    grain = random.choice([1, MINUTE, 10 * MINUTE, HOUR])
    items: list[tuple[int, dict[str, Any]]] = []
    for number in range(random.randint(5, 60)):
        at = random.randrange(span) // grain * grain
        fields: dict[str, Any] = {"type": random.choice("abc"), "text": "x"}
        if random.random() < 0.3:
            fields["priority"] = random.choice(["low", "high", "critical"])
        if random.random() < 0.2:
            fields["ttl"] = random.choice([5 * MINUTE, HOUR, 6 * HOUR]) + number + 1
        if random.random() < 0.1:
            fields["deliver_at"] = START + at + random.choice([MINUTE, HOUR, DAY])
        if random.random() < 0.3:
            fields["channels"] = random.choice([["sms"], ["inbox", "sms"]])
        if random.random() < 0.85:
            fields["to"] = random.choice(people)
        items.append((at, fields))
    return tuple(sorted(items, key=lambda item: (item[0], "to" not in item[1])))


def some_scenario(seed: int) -> Scenario:
    random = Random(seed)
    rules = some_rules(random)
    # The engine looks up the lines of all recipients at once, which a collapse can notice.
    most = 1 if any(rule.on_limit == "collapse" for rule in rules) else 3
    people = tuple(
        Person(Recipient(f"p{number}", timezone=random.choice(ZONES)), "everyone")
        for number in range(random.randint(1, most))
    )
    span = random.choice([HOUR, 6 * HOUR, DAY, 3 * DAY])
    return Scenario(
        seed=seed,
        horizon_ms=span + 1,
        patience_ms=400 * DAY,
        population=Population(len(people), (Segment(),), people),
        traffic=(Recorded(some_traffic(random, [one.recipient.id for one in people], span)),),
        policies=Policies(rules),
        channels=(Way("inbox"), Way("sms")),
        settings=Settings(
            digest_max=random.choice([2, 100]), waiting_max=random.choice([3, 10_000])
        ),
    )


def recorded(run: Run) -> list[Record]:
    """What a store keeps of a run."""
    asked = {one.receipt.notification_id: one.arrival for one in run.submitted}
    return [
        Record(
            one.recipient,
            one.id,
            one.notification_id,
            one.kind,
            one.created_at,
            asked[one.notification_id].fields.get("deliver_at", 0),
            one.expires_at,
            asked[one.notification_id].to is None,
            one.state,
            one.rule,
            one.updated_at,
            one.digest_id,
            run.sent[one.digest_id or one.id][0] if (one.digest_id or one.id) in run.sent else None,
        )
        for one in run.deliveries
    ]


def really(run: Run) -> dict[str, tuple[str, str | None, int]]:
    """What became of each delivery: outcome, rule, instant."""
    heads = {one.digest_id for one in run.deliveries}
    ends = {State.SUPERSEDED: "collapsed", State.REJECTED: "rejected", State.EXPIRED: "expired"}
    found: dict[str, tuple[str, str | None, int]] = {}
    for one in run.deliveries:
        sent = run.sent.get(one.digest_id or one.id)
        if sent is None:
            found[one.id] = (ends[one.state], one.rule, one.updated_at)
            continue
        alone = "sent" if one.rule is None else "deferred"
        outcome = "digested" if one.digest_id or one.id in heads else alone
        found[one.id] = (outcome, one.rule, sent[0])
    return found


@pytest.mark.parametrize("fixed", [True, False], ids=["known seeds", "new seeds"])
def test_a_replay_comes_to_the_same_ends_as_the_engine(fixed: bool) -> None:
    """Outcome, rule and instant of every delivery, in random scenarios."""
    outcomes: set[str] = set()
    known = (*range(SEEDS), *FOUND)
    for seed in known if fixed else [SystemRandom().randrange(2**32) for _ in range(SEEDS)]:
        scenario = some_scenario(seed)
        run = simulate(scenario)
        book = Book(0, scenario.policies.rules, {}, ())
        records = recorded(run)
        found: dict[str, tuple[str, str | None, int]] = {}
        for person in scenario.population.people or ():
            who = person.recipient
            fates = replay(
                [one for one in records if one.recipient == who.id],
                book,
                scenario.settings,
                zone=zone_of(who.timezone),
                history=[],
                since=START,
            )
            found |= {key: fate[:3] for key, fate in fates.items()}
        expected = really(run)
        outcomes |= {outcome for outcome, _, _ in expected.values()}
        assert found == expected, f"seed {seed}"
    assert outcomes >= {"sent", "deferred", "digested", "rejected"}


# What was recorded and is not decided anew -----------------------------------------------------


def record(number: int, at: int, **changes: Any) -> Record:
    row = Record(
        recipient="ada",
        id=f"{number:032x}",
        notification_id="n",
        kind=NEWS,
        created_at=at,
        not_before=0,
        expires_at=at + 60 * DAY,
        broadcast=False,
        state=State.DELIVERED,
        rule=None,
        updated_at=at,
        digest_id=None,
        sent_at=at,
    )
    return row._replace(**changes)


def fates(
    *records: Record, limit: str = "1/hour", history: tuple[Entry, ...] = (), **more: Any
) -> list[Fate | None]:
    book = Book(0, [Rule("pace", limit, **more)], {}, ())
    found = replay(records, book, Settings(), zone=zone_of("UTC"), history=history, since=START)
    return [found.get(one.id) for one in records]


def test_attempts_before_the_span_fill_its_windows() -> None:
    """A window reaches back behind the beginning."""
    (fate,) = fates(record(1, START), history=(Entry(START - 1, NEWS),))

    assert fate == Fate("deferred", "pace", START - 1 + HOUR, record(1, START).id)


def test_what_was_submitted_before_the_span_goes_when_it_really_went() -> None:
    """It takes its place, and is not told of."""
    early = record(1, START - DAY, sent_at=START + MINUTE, updated_at=START + MINUTE)

    first, second = fates(early, record(2, START + 2 * MINUTE))

    assert first is None
    assert second is not None
    assert second.at == START + MINUTE + HOUR


def test_what_failed_for_good_fails_again_and_gives_its_place_back() -> None:
    """What waited behind it goes as if it had not been."""
    failed = record(1, START, state=State.FAILED, sent_at=None)

    first, second = fates(failed, record(2, START + MINUTE))

    assert first == Fate("failed", None, START)
    assert second is not None
    assert (second.outcome, second.at) == ("sent", START + MINUTE)


def test_what_was_suppressed_stays_so_and_counts_for_nothing() -> None:
    """Wishes are not decided anew."""
    first, second = fates(record(1, START, state=State.SUPPRESSED), record(2, START + 1))

    assert first is not None
    assert first.outcome == "suppressed"
    assert second is not None
    assert second.outcome == "sent"


def test_what_was_called_off_is_called_off_if_it_still_waits() -> None:
    """And goes out if the rules let it go before."""
    called_off = record(
        2, START + 1, state=State.CANCELLED, updated_at=START + MINUTE, sent_at=None
    )

    _, waiting = fates(record(1, START), called_off)
    _, gone = fates(record(1, START), called_off, limit="2/hour")

    assert waiting is not None
    assert (waiting.outcome, waiting.at) == ("cancelled", START + MINUTE)
    assert gone is not None
    assert gone.outcome == "sent"


def test_what_no_rule_ever_lets_go_expires() -> None:
    """With its time to live; without one it has no fate."""
    (ends,) = fates(record(1, START), limit="0/day")
    (waits,) = fates(record(1, START, expires_at=NEVER), limit="0/day")

    assert ends == Fate("expired", "pace", START + 60 * DAY)
    assert waits is None
