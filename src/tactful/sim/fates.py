"""What can become of a delivery, as a backtest tells it."""

from __future__ import annotations

from typing import Final, NamedTuple

from tactful.core.model import Millis

SENT: Final = "sent"
DEFERRED: Final = "deferred"
DIGESTED: Final = "digested"
COLLAPSED: Final = "collapsed"
REJECTED: Final = "rejected"
EXPIRED: Final = "expired"
SUPPRESSED: Final = "suppressed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
WAITING: Final = "waiting"

OUTCOMES: Final = (
    *(SENT, DEFERRED, DIGESTED, COLLAPSED, REJECTED, EXPIRED),
    *(SUPPRESSED, FAILED, CANCELLED, WAITING),
)
"""Handed over without a rule that held it, by itself after one did, or together with others; ended
without a hand-over, in one of six ways; or none of these yet."""


class Fate(NamedTuple):
    """What became of a delivery: the rule that spoke last, and the instant it came to its end.

    `message` is the id of the delivery that carried it, if it went out.
    """

    outcome: str
    rule: str | None
    at: Millis
    message: str | None = None
