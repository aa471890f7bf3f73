"""What the engine asks of the outside world, in the words of the domain.

A clock, channels, a probe, and a store: `Reader` answers questions, `Tx` changes, each made of a
few small families of verbs. `rows` are the values that pass through.
"""

from tactful.ports.edge import Channel, Clock, Probe, Unwatched
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
    "Lease",
    "Line",
    "Notification",
    "Policy",
    "Probe",
    "Reader",
    "Record",
    "Remembered",
    "Result",
    "Store",
    "Suppression",
    "Tx",
    "Unwatched",
    "Verdict",
]
