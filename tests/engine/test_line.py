"""One recipient's line: whose slots are respected by whom."""

from __future__ import annotations

from typing import Any

import pytest
from engine_bench import MINUTE, START, Bench

from tactful.core.model import NEVER, State
from tactful.engine.line import Lines
from tactful.engine.rulebook import Book
from tactful.ports import Delivery, Line

NORMAL, HIGH = 1, 2
BOOK = Book(0, (), {}, ())


def waits(name: str, due_at: int, **changed: Any) -> Delivery:
    values: dict[str, Any] = {
        "notification_id": f"n-{name}",
        "recipient": "ada",
        "channel": "post",
        "address": "ada",
        "type": "news",
        "category": "default",
        "priority": NORMAL,
        "created_at": START,
        "state": State.DEFERRED,
        "due_at": due_at,
    }
    return Delivery(name, **{**values, **changed})


def line_of(*waiting: Delivery, total: int | None = None) -> Lines:
    return Lines({"ada": Line(list(waiting), len(waiting) if total is None else total)})


def slots(lines: Lines, own: Delivery, **how: Any) -> list[int]:
    return [entry.at - START for entry in lines.planned("ada", own.kind, START, **how)]


NEW = waits("new", 0)


def test_slots_of_equals_are_respected_in_ascending_order() -> None:
    lines = line_of(waits("b", START + 20), waits("a", START + 10))

    assert slots(lines, NEW) == [10, 20]
    assert slots(lines, NEW, skip=frozenset({"a"})) == [20]
    assert lines.planned("bob", NEW.kind, START) == []


def test_what_is_overdue_counts_as_now() -> None:
    assert slots(line_of(waits("a", START - 5)), NEW) == [0]


def test_higher_priorities_are_respected_and_lower_ones_are_not() -> None:
    lines = line_of(
        waits("low", START + 10, priority=0),
        waits("normal", START + 20),
        waits("high", START + 30, priority=HIGH),
    )

    assert slots(lines, NEW) == [20, 30]
    assert slots(lines, waits("new", 0, priority=HIGH)) == [30]
    assert slots(lines, waits("new", 0, priority=0)) == [10, 20, 30]


def test_a_promise_is_kept_to_lower_priorities_too() -> None:
    lines = line_of(waits("low", START + 10, priority=0, promised=True))

    assert slots(lines, waits("new", 0, priority=HIGH)) == [10]


def test_what_no_rule_lets_go_holds_no_slot() -> None:
    assert slots(line_of(waits("never", NEVER)), NEW) == []


def test_members_of_one_digest_hold_one_slot_per_channel() -> None:
    lines = line_of(
        waits("a", START + 10, group="digest:r"),
        waits("b", START + 10, group="digest:r"),
        waits("c", START + 10, group="digest:r", channel="sms"),
        waits("d", START + 10, group="digest:other"),
        waits("e", START + 10, group="collapse:r:news"),
    )

    assert slots(lines, NEW) == [10, 10, 10, 10]


def test_a_group_is_found_by_recipient_channel_and_name() -> None:
    mine = waits("a", START, group="digest:r")
    lines = line_of(mine, waits("b", START, group="digest:r", channel="sms"), waits("c", START))

    assert lines.in_group("ada", "post", "digest:r") == [mine]
    assert lines.in_group("bob", "post", "digest:r") == []


def test_the_line_is_kept_up_as_people_come_and_go() -> None:
    lines = line_of(waits("a", START + 10), total=5)
    lines.enter(waits("b", START + 20))
    lines.enter(waits("c", START + 30, recipient="bob"))
    lines.leave("ada", ["a", "never there"])
    lines.leave("nobody", ["a"])

    assert slots(lines, NEW) == [20]
    assert [lines.total(who) for who in ("ada", "bob", "nobody")] == [5, 1, 0]


@pytest.mark.parametrize(
    ("known", "total", "counted", "begins"),
    [(2, 2, True, 0), (2, 3, True, 10), (2, 3, False, 0), (0, 0, True, 0)],
)
def test_behind_a_long_line_planning_begins_where_its_known_part_begins(
    quick: Bench, known: int, total: int, counted: bool, begins: int
) -> None:
    """A line that the rules do not count is none."""
    quick.rule("r", "1/minute", types=["news" if counted else "status"])
    checks = quick.book.checks(NEW.kind)
    waiting = [waits(f"w{n}", START + 10 + n) for n in range(known)]

    found = line_of(*waiting, total=total).begins("ada", checks)

    assert found == (START + begins if begins else 0)


def test_a_line_longer_than_can_be_known_whole_is_planned_exactly(bench: Bench) -> None:
    """Each of 400 gets the minute behind the one before, though only the last 256 are read."""
    bench.rule("r", "1/minute")

    receipts = [bench.send(text=str(n)) for n in range(400)]

    assert receipts[0].decision == "send"
    assert [r.deliver_at for r in receipts] == [START + n * MINUTE for n in range(400)]
