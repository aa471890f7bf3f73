"""The one way out over HTTP: every request that Tactful makes itself goes through `Egress`."""

from tactful.channels.egress.client import (
    Answer,
    Egress,
    EgressError,
    ForbiddenError,
    LostError,
    Session,
    UnreachableError,
    WithheldError,
    wall_clock,
)
from tactful.channels.egress.target import Target

__all__ = [
    "Answer",
    "Egress",
    "EgressError",
    "ForbiddenError",
    "LostError",
    "Session",
    "Target",
    "UnreachableError",
    "WithheldError",
    "wall_clock",
]
