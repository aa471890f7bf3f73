"""Logs, for people or for machines, made of fields that are allowed and of nothing else.

What callers submit, what servers answer and what programmers quote can be anything, so none of it
is copied. Of a message of ours the fixed text stays, and of its arguments the numbers and the names
that were declared. Of an exception its class stays, and where it was raised; only the text of
`Unavailable` and `ConfigError`, which speak of this installation, is kept. Of libraries' messages
the fixed text stays, where there is one. A recipient is a keyed hash: the lines about one person
can be put together, and who it is cannot be found out without the key.

Every control character is escaped: no line can be forged. Both forms say the same; that for people
says where an exception was raised in lines of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import traceback
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import orjson

from tactful.core.errors import ConfigError, Unavailable
from tactful.core.model import Event

OURS: Final = "tactful"
HIDDEN: Final = "..."
TEXT_MAX: Final = 300
FRAMES_MAX: Final = 8
HASH_CHARS: Final = 16

TROUBLES: Final = (
    *("failed", "quarantined", "unknown", "lost", "bounced", "complained", "expired", "stranded"),
    *("listener.failed", "endpoint.failed", "endpoint.stopped", "clock.corrected"),
    *("rule.changed", "type.changed", "template.changed", "unsubscribed"),
)
"""The events that are logged; how often the others happen is for the metrics."""

log = logging.getLogger("tactful.events")


class _Lines(logging.Formatter):
    """What may be told of a record; `names` are the texts that may stand in a message."""

    def __init__(self, names: Collection[str]) -> None:
        super().__init__()
        self._names = frozenset(names)

    def _fields(self, record: logging.LogRecord) -> dict[str, Any]:
        line: dict[str, Any] = {
            "at": int(record.created * 1000),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        message = self._message(record)
        if message:
            line["message"] = message
        line.update(getattr(record, "facts", {}))
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["error"] = type(error).__name__
            line["where"] = _where(error)
        return line

    def _message(self, record: logging.LogRecord) -> str:
        ours = record.name.partition(".")[0] == OURS
        if not isinstance(record.msg, str) or not (ours or record.args):
            return ""
        if not record.args:
            return record.msg
        if not ours or isinstance(record.args, Mapping):
            return record.msg
        try:
            return record.msg % tuple(self._shown(value) for value in record.args)
        except (TypeError, ValueError):  # a number was wanted where there is none
            return record.msg

    def _shown(self, value: object) -> object:
        if isinstance(value, int | float) or value is None:
            return value
        if isinstance(value, Unavailable | ConfigError):
            return str(value)[:TEXT_MAX]
        if isinstance(value, BaseException):
            return type(value).__name__
        return value if isinstance(value, str) and value in self._names else HIDDEN


class JsonLines(_Lines):
    """Formats records for machines: one JSON object each."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, without its end."""
        return orjson.dumps(self._fields(record)).decode()


class TextLines(_Lines):
    """Formats records for people: instant, level, logger and message."""

    def format(self, record: logging.LogRecord) -> str:
        """A line, without its end; under an exception's, those of the places it came through."""
        fields = self._fields(record)
        at = datetime.fromtimestamp(fields.pop("at") / 1000, UTC)
        head = [at.isoformat(sep=" ", timespec="milliseconds"), fields.pop("level")]
        head.append(f"{fields.pop('logger')}:")
        where = fields.pop("where", ())
        said = [fields.pop("message", ""), fields.pop("error", "")]
        said += [f"{name}={value}" for name, value in fields.items()]
        lines = [" ".join([*head, *filter(None, said)]), *(f"    {place}" for place in where)]
        return "\n".join(line.encode("unicode_escape").decode() for line in lines)


def _where(error: BaseException) -> list[str]:
    """The innermost places that an exception came through: file, line and function."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]


class EventLog:
    """A listener that writes events as log lines, with a keyed hash in place of the person."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, event: Event) -> None:
        """Log one event."""
        facts = {"event": event.name, "seq": event.seq, "event_at": event.at}
        if event.delivery_id:
            facts |= {"delivery": event.delivery_id, "notification": event.notification_id}
        if event.recipient:
            facts["recipient"] = self.pseudonym(event.recipient)
        log.info("event", extra={"facts": MappingProxyType(facts)})

    def pseudonym(self, recipient: str) -> str:
        """What stands for a person: an HMAC-SHA-256, cut to 64 bits."""
        digest = hmac.digest(self._key, f"log\n{recipient}".encode(), hashlib.sha256)
        return digest.hex()[:HASH_CHARS]
