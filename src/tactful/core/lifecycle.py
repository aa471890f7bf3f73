"""The life of a delivery, as one table.

`MOVES[state]` names the states that may follow. Nothing else in Tactful decides whether a move is
legal: the engine asks `can_move`, the stores repeat the table as constraints, and the diagram in
the docs is generated from it.

Engagement (`opened`, `clicked`) is a separate pair of instants, which may only be set in a state
of `ARRIVED`; so opened is always within delivered, and delivered within sent.
"""

from __future__ import annotations

from typing import Final

from tactful.core.model import State

_S = State

WAITING: Final = frozenset({_S.QUEUED, _S.DEFERRED})
"""Has a row in the queue and is in nobody's hands."""

MOVES: Final[dict[State, frozenset[State]]] = {
    _S.QUEUED: frozenset(
        {
            _S.SENDING,
            _S.DEFERRED,
            _S.REJECTED,
            _S.SUPPRESSED,
            _S.SUPERSEDED,
            _S.EXPIRED,
            _S.CANCELLED,
            _S.FAILED,
        }
    ),
    _S.DEFERRED: frozenset(
        {
            _S.SENDING,
            _S.QUEUED,
            _S.REJECTED,
            _S.SUPPRESSED,
            _S.SUPERSEDED,
            _S.EXPIRED,
            _S.CANCELLED,
            _S.FAILED,
        }
    ),
    # SENDING -> SENDING is a rescue: the lease of a worker that vanished has run out.
    _S.SENDING: frozenset(
        {
            _S.SENDING,
            _S.QUEUED,
            _S.DEFERRED,
            _S.SENT,
            _S.DELIVERED,
            _S.LOST,
            _S.FAILED,
            _S.UNKNOWN,
            _S.DIGESTED,
            _S.EXPIRED,
            _S.SUPPRESSED,
            _S.SUPERSEDED,
        }
    ),
    _S.SENT: frozenset({_S.DELIVERED, _S.LOST, _S.BOUNCED}),
    # Evidence of arrival that comes late is still evidence.
    _S.LOST: frozenset({_S.DELIVERED, _S.BOUNCED}),
    _S.UNKNOWN: frozenset({_S.SENT, _S.DELIVERED, _S.LOST, _S.BOUNCED, _S.FAILED, _S.QUEUED}),
    _S.FAILED: frozenset({_S.QUEUED}),
    _S.DELIVERED: frozenset(),
    _S.BOUNCED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.SUPPRESSED: frozenset(),
    _S.SUPERSEDED: frozenset(),
    _S.DIGESTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.CANCELLED: frozenset(),
}

INITIAL: Final = frozenset({_S.QUEUED, _S.DEFERRED, _S.REJECTED, _S.SUPPRESSED, _S.EXPIRED})
"""The states in which a delivery may be admitted."""

FINISHED: Final = frozenset(State) - WAITING - {_S.SENDING}
"""Needs nothing more from the engine; feedback may still move it."""

ARRIVED: Final = frozenset({_S.DELIVERED})
"""The recipient has it; only here can it be opened."""

WENT_OUT: Final = frozenset({_S.SENT, _S.DELIVERED, _S.LOST, _S.BOUNCED})
"""Counted as sent in the figures of a notification."""

FEEDBACK: Final[dict[str, State]] = {
    "delivered": _S.DELIVERED,
    "lost": _S.LOST,
    "bounced": _S.BOUNCED,
    "opened": _S.DELIVERED,
    "clicked": _S.DELIVERED,
    "complained": _S.DELIVERED,
}
"""What a fact from outside says about the state: an opened message has surely arrived, and so has
one that somebody complained about."""


def can_move(old: State, new: State) -> bool:
    """Whether a delivery may go from one state to the other."""
    return new in MOVES[old]


def applies(state: State, attempts: int, to: State, attempt: int | None) -> bool:
    """Whether a result still speaks of a delivery in `state` with so many attempts.

    `attempt` is the number that the result is about, or None for a delivery that nobody holds. A
    result that comes too late is fenced off; one that asks for an impossible move of the attempt
    under way is a bug: AssertionError.
    """
    assert to is not _S.SENDING, "only a lease makes a delivery SENDING"
    if attempt is None:
        waits_on = state in WAITING and to in WAITING
        return state is not _S.SENDING and (waits_on or can_move(state, to))
    if state is not _S.SENDING or attempts != attempt:
        return False
    assert can_move(state, to), f"no move from {state} to {to}"
    return True


def diagram() -> str:
    """The table as a Mermaid state diagram, one arrow a line, in a stable order."""
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state}" for state in State if state in INITIAL]
    for old in State:
        lines += [f"    {old} --> {new}" for new in State if new in MOVES[old]]
        if not MOVES[old]:
            lines.append(f"    {old} --> [*]")
    return "\n".join(lines) + "\n"
