"""The N-th call fails: for every N, before and after its effect, with and without a crash.

One scenario goes through everything that changes the store. It is run once for each call that it
makes to the store or to the channel, and that call fails. Whatever fails, nothing is lost, nothing
is stuck, no limit is exceeded at the wire, and a second copy says that it may be one.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from observed import DAY, HOUR, MINUTE, SECOND, START, World, memory, sqlite

from tactful import NotificationType, Recipient, Rejected, Retry, Rule, Template, Unknown
from tactful.ports import Store
from tactful.testing.checker import check
from tactful.testing.faults import Crash, Fault, Plan, When

PEOPLE = [
    Recipient(f"p{n:02}", timezone=("UTC", "Europe/Istanbul", "America/New_York")[n % 3])
    for n in range(15)
]
EVERYBODY = [person.id for person in PEOPLE]

PACE = Rule(name="pace", types=["news"], limit="2/minute")
SLOWER = Rule(name="pace", types=["news"], limit="1/minute")
RULES = (
    Rule(name="daily", types=["report"], limit="1/day calendar"),
    Rule(name="bundle", types=["like"], limit="1/10min", on_limit="digest"),
    Rule(name="strict", types=["promo"], limit="1/hour", on_limit="reject"),
    Rule(name="flow", channels=["post"], per="channel", limit="10/s", burst=5),
)

DIGEST = Template(name="digest", text="{% for item in items %}{{ item.text }}{% endfor %}")
"""Short, because each new engine compiles it again."""


def prepare(world: World) -> None:
    world.put_rules(PACE, *RULES)
    world.call(lambda app: app.types.put(NotificationType("code", on_ambiguous="hold")))
    world.call(lambda app: app.templates.put(DIGEST))
    world.held.add("code")
    world.register(PEOPLE)
    world.post.script = {
        "later": [Retry("busy"), Retry("busy")],
        "never": [Rejected("no such mailbox")],
        "maybe1": [Unknown("taken")],
        "maybe2": [Unknown("not taken")],
        "like3": [Unknown("taken")],
        "code1": [Unknown("taken")],
    }


def play(world: World) -> None:
    """The scenario, up to where nothing is left to do."""
    prepare(world)
    for item in ("news1", "news2", "news3"):
        world.send(item, "p00", "news")
    world.tick()
    likes = [(f"like{n}", "p01", "like") for n in range(1, 5)]
    reports = [("report1", "p02", "report"), ("report2", "p02", "report")]
    promos = [("promo1", "p03", "promo"), ("promo2", "p03", "promo")]
    world.send_many([*likes, *reports, *promos])
    world.tick()
    world.clock.advance(10 * SECOND)
    world.broadcast("all", "news", EVERYBODY)
    world.tick()
    world.send("off", "p04", "news", deliver_at=START + HOUR)
    single = [("later", "p05"), ("never", "p06"), ("maybe1", "p07"), ("maybe2", "p08")]
    world.send_many([(item, to, "note") for item, to in single] + [("code1", "p09", "code")])
    world.tick()
    world.cancel("off")
    world.put_rules(SLOWER, *RULES)
    opened = world.asked[0].delivery or ""
    world.call(lambda app: app.record("opened", opened))
    world.send("news4", "p00", "news")
    world.clock.advance(MINUTE)
    world.tick()
    world.put_rules(PACE, *RULES[:-1])
    world.clock.advance(HOUR)
    world.tick()
    world.prune(10 * MINUTE)
    world.settle()
    play_past_pruning(world)
    world.clock.advance(DAY)
    world.tick()


def play_past_pruning(world: World) -> None:
    """Days later: what was sent early today still counts, although older attempts are forgotten."""
    world.clock.set(START + 3 * DAY - 2 * HOUR)
    world.send("report3", "p02", "report")
    world.tick()
    world.clock.advance(22 * HOUR)
    world.prune(10 * MINUTE)
    world.send("report4", "p02", "report")
    world.tick()
    world.settle()


def run(make: Callable[[], Store], plan: Plan) -> list[str]:
    world = World(make, plan)
    try:
        play(world)
        return [f"{plan.fired}: {text}" for text in world.findings()]
    finally:
        world.close()


def test_the_scenario_does_what_it_is_for() -> None:
    """Without a fault: everything that can happen has happened, and nothing is wrong."""
    world = World(memory)
    play(world)
    report = check(world.history())

    assert world.findings() == []
    assert (report.attempts, report.ok, report.recovered) == (35, 34, 0)
    assert report.delivered == report.ok - len(("never", "off"))
    assert [text.partition(",")[0] for text in report.duplicated_explained] == [
        "maybe1 to p07",
        *(f"like{n} to p01" for n in (2, 3, 4)),
    ]
    assert report.max_in_window["pace"] == 2
    assert {row.state.value for row in world.ended()} == {
        "delivered",
        "digested",
        "rejected",
        "failed",
        "unknown",
        "cancelled",
    }


def test_attempts_that_are_forgotten_too_early_are_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The scenario is worth something: it finds a store that prunes attempts like deliveries."""
    world = World(memory)
    with world.raw.transaction() as tx:
        kind = type(tx)
    prune = kind.prune
    monkeypatch.setattr(
        kind, "prune", lambda tx, before, _, limit: prune(tx, before, before, limit)
    )
    play(world)

    (found,) = world.findings()
    assert found.startswith("over the limit: daily (1/day calendar): 2 of 1 for p02")


def failing(
    run_one: Callable[[Plan], list[str]], when: When, error: type[BaseException], stride: int = 1
) -> int:
    """Fail each call (or each `stride`-th) until a run survives; gives how many there were."""
    findings: list[str] = []
    for at in itertools.count(1, stride):
        plan = Plan(at, when=when, error=error)
        findings += run_one(plan)
        if not plan.fired:
            break

    assert findings == []
    return at - 1


@pytest.mark.parametrize(
    ("when", "error", "stride"),
    [("before", Fault, 3), ("after", Crash, 3), ("before", Crash, 7), ("after", Fault, 7)],
)
def test_calls_may_fail_in_memory(when: When, error: type[BaseException], stride: int) -> None:
    """Every third call, or every seventh; the others are left to the long tests."""
    assert failing(lambda plan: run(memory, plan), when, error, stride) > 500


@pytest.mark.soak
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Fault, Crash])
def test_every_call_may_fail_in_memory(when: When, error: type[BaseException]) -> None:
    assert failing(lambda plan: run(memory, plan), when, error) > 500


@pytest.fixture
def run_on_file(tmp_path: Path) -> Callable[[Plan], list[str]]:
    """Runs the scenario on a new file each time: a copy of one with a schema and nothing else."""
    empty, used = tmp_path / "empty.db", tmp_path / "used.db"
    sqlite(empty)().close()

    def run_one(plan: Plan) -> list[str]:
        for old in tmp_path.glob("used.db*"):
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        shutil.copy(empty, used)
        return run(sqlite(used), plan)

    return run_one


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Fault, Crash])
def test_calls_may_fail_on_a_file(
    run_on_file: Callable[[Plan], list[str]], when: When, error: type[BaseException]
) -> None:
    """Every sixteenth call; the others are left to the long tests."""
    plans = [Plan(at, when=when, error=error) for at in range(1, 500, 16)]

    assert [finding for plan in plans for finding in run_on_file(plan)] == []
    assert all(plan.fired for plan in plans)


@pytest.mark.soak
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Fault, Crash])
def test_every_call_may_fail_on_a_file(
    run_on_file: Callable[[Plan], list[str]], when: When, error: type[BaseException]
) -> None:
    assert failing(run_on_file, when, error) > 500
