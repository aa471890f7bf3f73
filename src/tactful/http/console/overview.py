"""The first page: how much goes out, what waits, what went wrong, and what happened last."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response

from tactful.core.model import State
from tactful.http.console.gate import Console, Here, Viewer
from tactful.http.console.listing import latest_events
from tactful.http.console.pages import every, page
from tactful.runtime.clock import seconds

router = APIRouter()
EVENTS: Final = 12
REST_S: Final = 2
_DONE: Final = (State.SENT, State.DELIVERED, State.LOST, State.BOUNCED, State.DIGESTED)
_HIGH: Final = 48


@router.get("/")
def overview(visit: Viewer, console: Here) -> Response:
    """The whole at a glance."""
    began = seconds()
    seen = _seen(console)
    return page(
        "overview.html.j2",
        visit,
        area="overview",
        every=every(seconds() - began, REST_S),
        **seen,
    )


def _seen(console: Console) -> dict[str, Any]:
    status = console.app.status()
    states = {state: status["states"].get(state.value, 0) for state in State}
    console.pulse.note(status["now"], sum(states[state] for state in _DONE))
    with console.app.store.reading() as reader:
        events = latest_events(reader, limit=EVENTS, back=EVENTS)
    rates = console.pulse.rates()
    return {
        "now": status["now"],
        "states": {state.value: number for state, number in states.items()},
        "total": sum(states.values()),
        "waiting": states[State.QUEUED] + states[State.DEFERRED],
        "wrong": states[State.FAILED] + states[State.UNKNOWN],
        "sent": sum(states[state] for state in _DONE),
        "next_due": status["next_due"],
        "behind_ms": status["behind_ms"],
        "broadcasts": status["broadcasts"],
        "rules": status["rules"],
        "unknown_types": status["unknown_types"],
        "last_minute": console.pulse.last_minute(),
        "line": _line(rates),
        "peak": max(rates, default=0.0),
        "events": events,
    }


def _line(rates: list[float]) -> str:
    """The points of a line in a box of 240 by 48."""
    most = max(rates, default=0.0) or 1.0
    step = 240 / max(1, len(rates) - 1)
    return " ".join(
        f"{place * step:.1f},{_HIGH - 2 - (_HIGH - 4) * rate / most:.1f}"
        for place, rate in enumerate(rates)
    )
