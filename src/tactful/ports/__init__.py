"""What the engine asks of the outside world, in the words of the domain.

A clock, channels, a broker, a ledger, a probe, a tracer, and a store: `Reader` answers questions,
`Tx` changes, each made of a few small families of verbs. `rows` are the values that pass through.
"""

from tactful.ports.broker import Broker, Incoming, Outgoing
from tactful.ports.edge import Channel, Clock, Facts, Probe, Span, Tracer, Unwatched
from tactful.ports.ledger import SETTLED_MS, Ledger, Settled
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
from tactful.ports.store import EVERYTHING, Ages, Hear, Reader, Store, Tx

__all__ = [
    "EVERYTHING",
    "SETTLED_MS",
    "Ages",
    "Attempt",
    "Broker",
    "Channel",
    "Clock",
    "Delivery",
    "Fact",
    "Facts",
    "Hear",
    "Incoming",
    "Lease",
    "Ledger",
    "Line",
    "Notification",
    "Outgoing",
    "Policy",
    "Probe",
    "Reader",
    "Record",
    "Remembered",
    "Result",
    "Settled",
    "Span",
    "Store",
    "Suppression",
    "Tracer",
    "Tx",
    "Unwatched",
    "Verdict",
]
