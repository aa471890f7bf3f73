"""What happens to an engine besides its traffic.

`at` is in milliseconds after the start of the scenario, on the clock that nobody turns. `which` in
[0, 1) picks one of what is there at that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from tactful.core.model import Millis, Recipient
from tactful.core.rules import Rule
from tactful.testing.faults import When


@dataclass(frozen=True, slots=True)
class ChangeRules:
    """From now on exactly these rules are in force."""

    at: Millis
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True)
class Cancel:
    """A caller calls a submission off."""

    at: Millis
    which: float


@dataclass(frozen=True, slots=True)
class Pause:
    """A caller has a submission stand still for so long."""

    at: Millis
    which: float
    for_ms: Millis


@dataclass(frozen=True, slots=True)
class Resume:
    """A caller lets a notification go on."""

    at: Millis
    wanted: str


@dataclass(frozen=True, slots=True)
class Redrive:
    """Somebody has a delivery tried again that was given up."""

    at: Millis
    which: float


@dataclass(frozen=True, slots=True)
class AskAgain:
    """A caller repeats a submission with its key."""

    at: Millis
    which: float


@dataclass(frozen=True, slots=True)
class Register:
    """Somebody is registered."""

    at: Millis
    person: Recipient


@dataclass(frozen=True, slots=True)
class Prune:
    """What has been over for so long is forgotten."""

    at: Millis
    keep_ms: Millis


@dataclass(frozen=True, slots=True)
class Restart:
    """An engine is closed, and another one opened in its place."""

    at: Millis
    which: float


@dataclass(frozen=True, slots=True)
class Fail:
    """A call that is still to come fails: the next of this name, or the one so far ahead.

    With `crash` the engine ends there, without it the caller sees an error.
    """

    at: Millis
    call: str | int
    when: When
    crash: bool


@dataclass(frozen=True, slots=True)
class Freeze:
    """A worker stands still at its next message, while another one works on.

    `taken`: the message had been taken, only the answer had not been read. `long`: past its leases.
    """

    at: Millis
    taken: bool
    long: bool


@dataclass(frozen=True, slots=True)
class TurnBack:
    """The clock of all engines is put back."""

    at: Millis
    by_ms: Millis


@dataclass(frozen=True, slots=True)
class Stall:
    """Nobody works for so long."""

    at: Millis
    for_ms: Millis


Incident: TypeAlias = (
    ChangeRules
    | Cancel
    | Pause
    | Resume
    | Redrive
    | AskAgain
    | Register
    | Prune
    | Restart
    | Fail
    | Freeze
    | TurnBack
    | Stall
)
