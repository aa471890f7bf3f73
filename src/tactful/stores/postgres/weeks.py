"""The ledger by weeks: made before they begin, dropped as a whole when nobody counts them.

`attempts` is partitioned by `at`; weeks are numbered from the epoch (`attempts_w2943`). What is
older than all of them is in `attempts_past`. There is no partition for the rest, or none could be
detached while others read and write: whoever is about to write an attempt looks whether there is a
week for it, and one more after that.

Both is done on a connection of its own, since it is nobody's transaction; neither takes a lock on
`attempts` that a statement of the engine would have to wait for.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable
from typing import Final, NamedTuple

import psycopg

from tactful.core.errors import Unavailable
from tactful.core.model import DAY, Millis
from tactful.stores.postgres.connection import GONE, Connection, connect
from tactful.stores.postgres.locks import WEEKS

log = logging.getLogger("tactful.stores.postgres")

WEEK: Final = 7 * DAY
AHEAD: Final = 4
"""So many weeks more are made when one is missing."""

# Whoever works does this in between; readers that take longer are waited for next time.
_IN_HASTE: Final = "SET statement_timeout = '2s'; SET lock_timeout = '2s'"

_BOUNDS: Final = re.compile(r"FROM \((MINVALUE|'-?\d+')\) TO \('(-?\d+)'\)")
_PARTS: Final = """
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), i.inhdetachpending
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'attempts'::regclass
"""
# Detached, and then something came in between.
_LEFT_OVER: Final = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND NOT relispartition AND relname ~ '^attempts_(w-?[0-9]+|past)$'
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'attempts'::regclass)
"""
# Not yet a partition, so that only the attaching concerns others.
_MAKE: Final = """
CREATE TABLE attempts_w{0} (LIKE attempts INCLUDING CONSTRAINTS) WITH (fillfactor = 45);
ALTER TABLE attempts ATTACH PARTITION attempts_w{0} FOR VALUES FROM ({1}) TO ({2})
"""


class Part(NamedTuple):
    """A partition: what is from `start` (None: the beginning) and before `end`."""

    name: str
    start: Millis | None
    end: Millis
    going: bool

    def holds(self, at: Millis) -> bool:
        """Whether an attempt at this instant is in it."""
        return not self.going and (self.start is None or self.start <= at) and at < self.end


def parts_of(connection: Connection) -> list[Part]:
    """The partitions that there are; `going` if one is being detached."""
    found = []
    for name, bounds, going in connection.execute(_PARTS).fetchall():
        match = _BOUNDS.search(bounds)
        assert match, bounds
        start = None if match[1] == "MINVALUE" else int(match[1].strip("'"))
        found.append(Part(name, start, int(match[2]), going))
    return found


def make(connection: Connection, instants: Iterable[Millis]) -> list[Part]:
    """There is a week for each instant afterwards; gives all partitions.

    In a transaction, which should end soon. Raises Unavailable.
    """
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (WEEKS,))
    parts = parts_of(connection)
    for number in sorted({at // WEEK for at in instants}):
        start, end = number * WEEK, (number + 1) * WEEK
        if any(part.holds(start) for part in parts):
            continue
        try:
            connection.execute(_MAKE.format(number, start, end).encode())
        except psycopg.errors.DuplicateTable:
            raise Unavailable(f"store: attempts_w{number} is just being dropped") from None
        parts.append(Part(f"attempts_w{number}", start, end, going=False))
    return parts


def whole_before(parts: Iterable[Part], before: Millis) -> Millis | None:
    """Where the last partition ends that holds nothing from `before` on; None without any."""
    return max((part.end for part in parts if part.end <= before), default=None)


class Weeks:
    """The weeks of one database; safe to use from many threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._parts: list[Part] = []
        self.stuck = False
        """What was to be dropped the last time is still there."""

    def prepare(self, instants: Iterable[Millis]) -> None:
        """There is a week for attempts at these instants, and for those a week later.

        Raises Unavailable.
        """
        now = set(instants)
        soon = now | {at + WEEK for at in now}
        if _all_in(self._parts, soon):
            return
        with self._lock:
            try:
                with connect(self._url) as connection:
                    self._parts = parts_of(connection)
                    if not _all_in(self._parts, soon):
                        ahead = {at + n * WEEK for at in now for n in range(AHEAD + 1)}
                        with connection.transaction():
                            self._parts = make(connection, ahead)
            except (*GONE, Unavailable) as error:
                if not _all_in(self._parts, now):
                    raise
                log.warning("the next week of attempts was not made: %s", error)

    def forget(self) -> None:
        """What was known may be true no more."""
        self._parts = []

    def drop(self, before: Millis) -> None:
        """Partitions that hold nothing from `before` on go; one process at a time does it.

        Whoever is reading is waited for a little while others go on; the rest is done next time.
        """
        self.stuck = True
        try:
            with connect(self._url) as connection:
                connection.execute(_IN_HASTE)
                ((mine,),) = connection.execute(
                    "SELECT pg_try_advisory_lock(%s)", (WEEKS,)
                ).fetchall()
                if mine:
                    self._drop(connection, before)
                    self.stuck = False
        except (*GONE, psycopg.errors.QueryCanceled, Unavailable) as error:
            log.debug("old attempts were not dropped: %s", error)

    def _drop(self, connection: Connection, before: Millis) -> None:
        for part in parts_of(connection):
            if part.going or part.end <= before:
                how = "FINALIZE" if part.going else "CONCURRENTLY"
                connection.execute(
                    f"ALTER TABLE attempts DETACH PARTITION {part.name} {how}".encode()
                )
        for (name,) in connection.execute(_LEFT_OVER).fetchall():
            connection.execute(f"DROP TABLE {name}".encode())
            log.debug("dropped %s", name)
        self._parts = parts_of(connection)


def _all_in(parts: Iterable[Part], instants: Iterable[Millis]) -> bool:
    return all(any(part.holds(at) for part in parts) for at in instants)
