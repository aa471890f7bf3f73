"""A history: what a store knows about what happened, as plain records.

As a file it is JSON, one record a line. The key `record` says which kind of record it is, the
others are the fields of the class of that name here; a field with a default may be left out. The
order of the lines does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Final, NamedTuple, cast

from tactful.core.errors import RequestError

INSTANT_MAX: Final = 250_000_000_000_000
"""In the year 9892: behind it calendars are not to be asked."""


class Policy(NamedTuple):
    """One version of a rule; `body` None takes the rule out of force."""

    version: int
    name: str
    body: Mapping[str, Any] | None
    at: int


class Person(NamedTuple):
    """A recipient and the time zone that the calendar is told in."""

    id: str
    timezone: str


class Delivery(NamedTuple):
    """One delivery. `state` is its end, `queued` its state in the queue: exactly one is given.

    `attempts` is how many the delivery itself says it had; None: it does not say. `broadcast`: it
    was accepted before any rule was asked.
    """

    id: str
    recipient: str
    created_at: int
    state: str | None = None
    queued: str | None = None
    channel: str = ""
    address: str = ""
    type: str = ""
    category: str = "default"
    priority: int = 1
    notification: str = ""
    broadcast: bool = False
    attempts: int | None = None
    updated_at: int | None = None
    expires_at: int | None = None
    digest: str | None = None
    reason: str | None = None


class Attempt(NamedTuple):
    """One hand-over, at the instant of its claim.

    `counts` False: it surely did not arrive. `outcome` is `accepted`, `retry`, `rejected`,
    `unknown`, `idle`, or None without any answer. `maybe_duplicate`: it said of itself that an
    earlier one may have arrived; None: that is told by the events, or by nothing.
    """

    recipient: str
    at: int
    delivery: str
    number: int
    type: str
    category: str = "default"
    channel: str = ""
    priority: int = 1
    counts: bool = True
    outcome: str | None = None
    maybe_duplicate: bool | None = None


class Event(NamedTuple):
    """One fact; `seq` is the order in which facts were stored, whatever the clocks said."""

    seq: int
    name: str
    at: int
    delivery: str = ""
    data: Mapping[str, Any] | None = None
    notification: str = ""


class Receipt(NamedTuple):
    """What one caller was told: about one delivery, or (`delivery` None) about a broadcast."""

    decision: str
    notification: str
    delivery: str | None = None
    replayed: bool = False


@dataclass(slots=True)
class History:
    """Records of all kinds, in no particular order."""

    policies: list[Policy] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)


# name of a record -> its class, and the list of a history that holds it
_KINDS: Final[dict[str, tuple[type[tuple[Any, ...]], str]]] = {
    "rule": (Policy, "policies"),
    "recipient": (Person, "people"),
    "delivery": (Delivery, "deliveries"),
    "attempt": (Attempt, "attempts"),
    "event": (Event, "events"),
    "receipt": (Receipt, "receipts"),
}
_OPTIONAL: Final = frozenset(
    ("body", "state", "queued", "digest", "reason", "outcome", "data", "updated_at", "expires_at")
) | {"delivery", "attempts", "maybe_duplicate"}
_INSTANTS: Final = frozenset(("at", "created_at", "updated_at", "expires_at"))
_NUMBERS: Final = frozenset(("version", "number", "seq", "attempts", "priority")) | _INSTANTS
_TYPES: Final[tuple[tuple[frozenset[str], type, str], ...]] = (
    (_NUMBERS, int, "must be a whole number"),
    (frozenset(("counts", "broadcast", "replayed", "maybe_duplicate")), bool, "must be a boolean"),
    (frozenset(("body", "data")), dict, "must be an object"),
)


def write_history(history: History, file: IO[str]) -> int:
    """Write a history as JSON lines; gives how many."""
    count = 0
    for name, (_, place) in _KINDS.items():
        for record in getattr(history, place):
            line = {"record": name, **record._asdict()}
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count


def read_history(lines: Iterable[str]) -> History:
    """Read JSON lines; raises RequestError naming the line, the field, the value and the bound."""
    history = History()
    lists = {name: getattr(history, place) for name, (_, place) in _KINDS.items()}
    readers = {name: _reader(kind) for name, (kind, _) in _KINDS.items()}
    for where, found in json_lines(lines):
        name = found.pop("record", None)
        if not isinstance(name, str) or name not in readers:
            raise RequestError(f"{where}: record", name, f"must be one of {', '.join(_KINDS)}")
        lists[name].append(readers[name](found, where))
    return history


def read_receipts(lines: Iterable[str]) -> list[Receipt]:
    """Read what callers were told, one receipt a line, as `Receipt.to_dict` gives it.

    Raises RequestError naming the line, the field, the value and the bound.
    """
    found: list[Receipt] = []
    for where, line in json_lines(lines):
        for told in (line, *line.get("others", ())):
            given = [told.get(key) for key in ("decision", "notification_id")]
            if not all(isinstance(value, str) for value in given):
                raise RequestError(where, line, "must be a receipt")
            replayed = bool(told.get("replayed"))
            found.append(Receipt(given[0], given[1], told.get("delivery_id"), replayed))
    return found


def json_lines(lines: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line that is not blank as `line 7` and its object; raises RequestError."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"line {number}"
        try:
            found = json.loads(line)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise RequestError(where, line.strip(), "must be a JSON object")
        yield where, found


def _reader(kind: Any) -> Callable[[dict[str, Any], str], Any]:
    """A function from the fields of a line to a record."""
    fields, defaults = frozenset(kind._fields), kind._field_defaults
    needed = fields - frozenset(defaults)

    def read(found: dict[str, Any], where: str) -> Any:
        for key, value in found.items():
            if key not in fields:
                known = ", ".join(kind._fields)
                raise RequestError(f"{where}: {key}", value, f"is no field; there are {known}")
            bound = _objection(key, value)
            if bound:
                raise RequestError(f"{where}: {key}", value, bound)
        if not needed <= found.keys():
            raise RequestError(f"{where}: {min(needed - found.keys())}", None, "is missing")
        return kind(**found)

    return read


def _objection(key: str, value: object) -> str:
    """What is wrong with a field, or nothing."""
    if value is None:
        return "" if key in _OPTIONAL else "must not be null"
    for keys, kind, bound in _TYPES:
        if key in keys:
            right = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
            return _out_of_bounds(key, value) if right else bound
    return "" if isinstance(value, str) else "must be a text"


def _out_of_bounds(key: str, value: object) -> str:
    most = 3 if key == "priority" else INSTANT_MAX
    if not isinstance(value, bool | dict) and not 0 <= cast(int, value) <= most:
        return f"must be 0 to {most}"
    return ""
