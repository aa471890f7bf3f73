"""What the engine asks of the outside world, in the words of the domain.

A clock, channels, a probe, a tracer, and a store: `Reader` answers questions, `Tx` changes, each
made of a few small families of verbs. `rows` are the values that pass through.
"""

from tactful.ports.edge import Channel, Clock, Facts, Probe, Span, Tracer, Unwatched
from tactful.ports.rows import (
    Attempt,
    Delivery,
    Fact,
    Lease,
    Line,
    Notification,
    Policy,
    Record,
    Remembered,
    Result,
    Suppression,
    Verdict,
)
from tactful.ports.store import Reader, Store, Tx

__all__ = [
    "Attempt",
    "Channel",
    "Clock",
    "Delivery",
    "Fact",
    "Facts",
    "Lease",
    "Line",
    "Notification",
    "Policy",
    "Probe",
    "Reader",
    "Record",
    "Remembered",
    "Result",
    "Span",
    "Store",
    "Suppression",
    "Tracer",
    "Tx",
    "Unwatched",
    "Verdict",
]
