"""The life of a delivery: the whole table, and what must be true of any such table."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest

from tactful.core.lifecycle import (
    ARRIVED,
    FEEDBACK,
    FINISHED,
    INITIAL,
    MOVES,
    WAITING,
    WENT_OUT,
    can_move,
    diagram,
)
from tactful.core.model import State

# Rows: from. Columns: to, in the order of the rows. x is a legal move.
TABLE = """
              Q  D  >  S  V  L  B  F  U  R  P  O  G  E  C
queued        .  x  x  .  .  .  .  x  .  x  x  x  .  x  x
deferred      x  .  x  .  .  .  .  x  .  x  x  x  .  x  x
sending       x  x  x  x  x  x  .  x  x  .  x  x  x  x  .
sent          .  .  .  .  x  x  x  .  .  .  .  .  .  .  .
delivered     .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
lost          .  .  .  .  x  .  x  .  .  .  .  .  .  .  .
bounced       .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
failed        x  .  .  .  .  .  .  .  .  .  .  .  .  .  .
unknown       x  .  .  x  x  x  x  x  .  .  .  .  .  .  .
rejected      .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
suppressed    .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
superseded    .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
digested      .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
expired       .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
cancelled     .  .  .  .  .  .  .  .  .  .  .  .  .  .  .
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()[1:]]
HEADS = [row[0] for row in ROWS]
LEGAL = {
    (State(row[0]), State(head))
    for row in ROWS
    for head, mark in zip(HEADS, row[1:], strict=True)
    if mark == "x"
}


def reachable(start: State) -> set[State]:
    seen = {start}
    todo = [start]
    while todo:
        for state in MOVES[todo.pop()] - seen:
            seen.add(state)
            todo.append(state)
    return seen


def test_the_table_here_has_a_row_and_a_column_for_every_state() -> None:
    assert sorted(HEADS) == sorted(State)
    assert {len(row) for row in ROWS} == {len(State) + 1}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(State, State)))
def test_exactly_the_moves_of_the_table_are_legal(old: State, new: State) -> None:
    assert can_move(old, new) is ((old, new) in LEGAL)


def test_every_state_has_its_moves() -> None:
    assert set(MOVES) == set(State)


@pytest.mark.parametrize("state", State)
def test_every_state_waits_or_is_being_sent_or_is_finished(state: State) -> None:
    groups = [state in WAITING, state is State.SENDING, state in FINISHED]
    assert groups.count(True) == 1


@pytest.mark.parametrize("state", sorted(set(State) - FINISHED))
def test_what_is_not_finished_can_finish(state: State) -> None:
    assert reachable(state) & FINISHED


@pytest.mark.parametrize("state", sorted(set(State) - FINISHED))
def test_what_is_not_finished_can_expire_or_fail_at_once(state: State) -> None:
    assert {State.EXPIRED, State.FAILED} <= MOVES[state]


def test_only_what_waits_can_be_cancelled() -> None:
    """What is in hand may be on its way already."""
    assert {old for old in State if can_move(old, State.CANCELLED)} == WAITING


@pytest.mark.parametrize("state", State)
def test_every_state_can_come_about(state: State) -> None:
    assert any(state in reachable(start) for start in INITIAL)


@pytest.mark.parametrize("state", State)
def test_only_a_delivery_in_hand_stays_where_it_is(state: State) -> None:
    """A move from sending to sending is a rescue; any other would say nothing."""
    assert can_move(state, state) is (state is State.SENDING)


@pytest.mark.parametrize("state", sorted(FINISHED))
def test_nothing_finished_goes_out_again_unless_it_is_queued_anew(state: State) -> None:
    assert State.SENDING not in MOVES[state]
    assert State.DEFERRED not in MOVES[state]
    assert (State.QUEUED in MOVES[state]) is (state in {State.FAILED, State.UNKNOWN})


def test_nothing_is_admitted_as_sent_or_in_hand() -> None:
    assert not INITIAL & (WENT_OUT | {State.SENDING})
    assert WAITING <= INITIAL


def test_delivered_is_within_sent_and_opened_within_delivered() -> None:
    assert ARRIVED < WENT_OUT < FINISHED
    assert FEEDBACK["opened"] in ARRIVED
    assert FEEDBACK["clicked"] in ARRIVED


@pytest.mark.parametrize("state", sorted(WENT_OUT))
def test_what_went_out_stays_counted_as_gone_out(state: State) -> None:
    assert reachable(state) <= WENT_OUT


@pytest.mark.parametrize("fact", sorted(FEEDBACK))
@pytest.mark.parametrize("state", [State.SENT, State.UNKNOWN])
def test_every_fact_from_outside_can_move_what_waits_for_news(state: State, fact: str) -> None:
    assert can_move(state, FEEDBACK[fact])


@pytest.mark.parametrize("fact", sorted(FEEDBACK))
@pytest.mark.parametrize("state", sorted(set(State) - WENT_OUT - {State.UNKNOWN, State.SENDING}))
def test_no_fact_from_outside_moves_what_never_went_out(state: State, fact: str) -> None:
    assert not can_move(state, FEEDBACK[fact])


def test_the_diagram_lists_each_move_exactly_once() -> None:
    head, *lines = diagram().splitlines()
    assert head == "stateDiagram-v2"
    arrows = [re.fullmatch(r"    (\S+) --> (\S+)", line) for line in lines]
    found = Counter((arrow[1], arrow[2]) for arrow in arrows if arrow)
    assert sum(found.values()) == len(lines)
    expected = {(str(old), str(new)) for old, new in LEGAL}
    expected |= {("[*]", str(state)) for state in INITIAL}
    expected |= {(str(state), "[*]") for state in State if not MOVES[state]}
    assert found == Counter(expected)


def test_the_diagram_is_always_the_same_text() -> None:
    assert diagram() == diagram()
    assert diagram().endswith("\n")
    moves = [line for line in diagram().splitlines()[1:] if "[*]" not in line]
    order = {str(state): place for place, state in enumerate(State)}
    pairs = [(order[old], order[new]) for old, _, new in (line.split() for line in moves)]
    assert pairs == sorted(pairs)
