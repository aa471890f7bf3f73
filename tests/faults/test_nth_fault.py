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
    world.clock.advance(DAY)
    world.tick()


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
    assert (report.attempts, report.ok, report.recovered) == (33, 32, 0)
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


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [Fault, Crash])
def test_every_call_may_fail_in_memory(when: When, error: type[BaseException]) -> None:
    findings: list[str] = []
    for at in itertools.count(1):
        plan = Plan(at, when=when, error=error)
        findings += run(memory, plan)
        if not plan.fired:
            break

    assert findings == []
    assert at > 300


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A file with a schema, to be copied."""
    path = tmp_path / "empty.db"
    sqlite(path)().close()
    return path


def run_on_file(empty: Path, plan: Plan) -> list[str]:
    path = empty.with_name("used.db")
    for old in path.parent.glob("used.db*"):
        old.unlink()
    shutil.copy(empty, path)
    return run(sqlite(path), plan)
