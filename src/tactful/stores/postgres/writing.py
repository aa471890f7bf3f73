"""Changes to the PostgreSQL store; see `ports.Tx` for what each promises.

Many transactions run at once, each statement seeing what was committed before it (READ COMMITTED).
What must not meet takes these locks, always in this order, which nobody who holds a later one goes
back on:

    book     shared by all who decide, held alone by whoever changes policies or people
    keys     the rows of idempotency keys, in their order
    shards   the rows of the recipients' shards, in their order: decisions about one recipient are
             one after the other, while workers never wait for each other (they skip what is taken)
    notes    a note that is read in a transaction is locked in it, but for the clock's
    casts    the rows of notifications: of unfinished broadcasts, one worker at a time carries each
             on; who pauses or resumes one keeps away who finds that it is paused
    queue    the rows of deliveries, in the order of their ids, within each statement
    cells    the rows of throughput limits, in their order
    editions the rows of the shards' editions, in their order
    events   so that their numbers grow in the order of the commits
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from tactful.core.lifecycle import applies
from tactful.core.model import SECOND, Event, Millis, Recipient, State
from tactful.ports import (
    EVERYTHING,
    SETTLED_MS,
    Ages,
    Delivery,
    Lease,
    Notification,
    Remembered,
    Result,
    Verdict,
)
from tactful.stores.postgres.arrays import array, storable
from tactful.stores.postgres.connection import Connection
from tactful.stores.postgres.locks import BOOK, EVENTS, NOTES
from tactful.stores.postgres.reading import PostgresReader
from tactful.stores.postgres.weeks import Weeks, parts_of, whole_before
from tactful.stores.relational.rows import Row, delivery_from, event_row, notification_from
from tactful.stores.relational.writing import CLOCK, Writing, fairly, finish_row

CHANNEL: Final = "tactful_due"
_ROUNDS: Final = 3
_MARGIN_MS: Final = 30 * SECOND
_SHARDS: Final = range(4096)


def shard_of(recipient: str) -> int:
    """The shard of a recipient, as the schema works it out for `due.shard`."""
    return int(hashlib.md5(recipient.encode(), usedforsecurity=False).hexdigest()[:3], 16)


class Statements(PostgresReader, Writing):
    """Changes by COPY and by arrays."""

    def _where_they_are(self, ids: list[str]) -> dict[str, Row]:
        """As they are, locked: first in the queue, then what is not there."""
        found = {row[0]: row[1:] for row in self._all("queued_of", ids=ids)}
        missing = [delivery_id for delivery_id in ids if delivery_id not in found]
        if missing:
            found |= {row[0]: row[1:] for row in self._all("finished_of", ids=missing)}
        return found

    def _run(self, name: str, /, **values: Any) -> int:
        return self._execute(name, {key: storable(value) for key, value in values.items()}).rowcount

    def _many(self, name: str, rows: Sequence[Row]) -> int:
        """By COPY where the query is one, else with an array for each column.

        What is new is copied. It was checked at the edge; what foreign servers say comes later.
        """
        if not rows:
            return 0
        sql = self._sql[name].encode()
        if sql.startswith(b"COPY"):
            with self._cursor.copy(sql) as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            self._cursor.execute(sql, _columns(rows))
        return self._cursor.rowcount

    def settle(self, results: Sequence[Result], verdicts: Sequence[Verdict]) -> list[str]:
        """What ends as most do, finished by whoever holds it, goes in one statement."""
        held = [r for r in results if r.due_at is None and r.attempt is not None]
        done = self._finish_held(held) if held else set()
        others = [r for r in results if r.delivery_id not in done]
        return super().settle(others, verdicts)

    def _finish_held(self, results: Sequence[Result]) -> set[str]:
        """In the order of their ids, as everybody locks them; gives the ids of what was held so."""
        rows = []
        for result in sorted(results, key=attrgetter("delivery_id")):
            number = result.attempt or 0
            assert applies(State.SENDING, number, result.state, number)
            rows.append(finish_row(result, number))
        found = self._cursor.execute(self._sql["finish_held"].encode(), _columns(rows))
        return {row[0] for row in found.fetchall()}

    def _judge(self, verdicts: Sequence[Verdict]) -> bool:
        sure = super()._judge(verdicts)
        freed = [verdict for verdict in verdicts if not verdict.counts]
        if freed:
            young = self.clock() - SETTLED_MS + _MARGIN_MS
            self._next_editions([v.recipient for v in freed if not sure or v.at < young])
        return sure

    def _next_editions(self, recipients: Iterable[str]) -> None:
        """Something in the settled part of their histories has changed."""
        shards = sorted({shard_of(recipient) for recipient in recipients})
        if shards:
            self._run("next_editions", shards=shards)

    def begin(self, claims: Sequence[tuple[str, int]]) -> list[str]:
        return self._held("begin", claims)

    def renew(self, claims: Sequence[tuple[str, int]], until: Millis) -> list[str]:
        return self._held("renew", claims, until=until)

    def _held(self, name: str, claims: Sequence[tuple[str, int]], **values: Any) -> list[str]:
        """Change what is still claimed; gives its ids."""
        ordered = sorted(claims)
        ids, numbers = [id_ for id_, _ in ordered], [number for _, number in ordered]
        held = {row[0] for row in self._all(name, ids=ids, numbers=numbers, **values)}
        return [id_ for id_, _ in claims if id_ in held]


class Guarded(Statements):
    """What is read in order to decide stays as it is until the decision is committed."""

    _sharing = False
    _weeks: Weeks

    def guard(self, recipients: Sequence[str]) -> None:
        self._share_book()
        shards = sorted({shard_of(recipient) for recipient in recipients})
        if shards:
            self._all("guard_shards", shards=shards)

    def alone(self) -> None:
        self._all("guard_alone", lock=BOOK)

    def editions(self, recipients: Sequence[str]) -> dict[str, int]:
        shards = {recipient: shard_of(recipient) for recipient in recipients}
        found = dict(self._all("editions", shards=list(set(shards.values()))))
        return {recipient: found[shard] for recipient, shard in shards.items()}

    def _share_book(self) -> None:
        if not self._sharing:
            self._all("guard_shared", lock=BOOK)
            self._sharing = True

    def due(
        self, now: Millis, limit: int, busy: Collection[str] = (), ages: Ages = EVERYTHING
    ) -> list[Delivery]:
        self._share_book()
        until = {priority: now - age for priority, age in ages.items()}
        taken: list[int] = []
        ids: list[str] = []
        # What another worker has its hands on is passed over, and further on there may be more.
        for _ in range(_ROUNDS):
            found = self._candidates(until, limit - len(ids), taken, list(busy))
            if not found:
                break
            shards = {shard for _, shard in found}
            ours = {row[0] for row in self._all("try_shards", shards=list(shards))}
            ids += [delivery_id for delivery_id, shard in found if shard in ours]
            if len(ids) > limit // 2:
                break
            taken += shards
        return [delivery_from(row) for row in self._all("due", ids=ids, now=now)] if ids else []

    def _candidates(
        self, until: Mapping[int, Millis], limit: int, taken: list[int], busy: list[str]
    ) -> list[tuple[str, int]]:
        """Ids and shards of what is due outside of some shards and channels, not yet locked."""
        asked = {"priorities": list(until), "until": list(until.values())}
        found: dict[int, list[tuple[str, int]]] = {}
        rows = self._all("due_candidates", **asked, taken=taken, busy=busy, most=limit)
        for priority, delivery_id, shard in rows:
            found.setdefault(priority, []).append((delivery_id, shard))
        some = {priority: len(these) for priority, these in found.items()}
        return fairly(some, limit, lambda priority, room: found[priority][:room])

    def unfinished_broadcasts(self) -> list[Notification]:
        return [notification_from(row) for row in self._all("guard_broadcasts")]

    def lock_notification(self, notification_id: str) -> Notification | None:
        row = self._one("lock_notification", id=notification_id)
        return None if row is None else notification_from(row)

    def remembered(self, keys: Sequence[str]) -> dict[str, Remembered]:
        self._run("reserve_keys", keys=list(keys))
        return super().remembered(keys)

    def cells(self, keys: Sequence[str]) -> dict[str, int]:
        self._run("reserve_cells", keys=list(keys))
        return {key: tat for key, tat in self._all("lock_cells", keys=list(keys)) if tat >= 0}

    def note(self, key: str) -> str | None:
        # What is read here is what is going to be changed.
        self._all("guard_note", lock=NOTES, key=key)
        return super().note(key)

    def clock(self) -> Millis:
        return int(super().note(CLOCK) or 0)

    def set_clock(self, at: Millis) -> None:
        self._run("set_clock", at=str(at))

    def put_policy(
        self, kind: str, name: str, body: Mapping[str, Any] | None, at: Millis, author: str
    ) -> int:
        self.alone()
        return super().put_policy(kind, name, body, at, author)

    def put_recipients(self, rows: Sequence[Recipient]) -> int:
        self.alone()
        return super().put_recipients(rows)

    def _take_over(self, taken: Sequence[tuple[str, str]]) -> int:
        attempts = super()._take_over(taken)
        if attempts:
            self._next_editions(chain.from_iterable(taken))
        return attempts

    def remove_recipient(self, key: str) -> bool:
        self.alone()
        return super().remove_recipient(key)

    def turn_back(self, to: Millis, *, ahead_ms: Millis = 0) -> int:
        self.alone()
        self._weeks.prepare([to])
        changed = super().turn_back(to, ahead_ms=ahead_ms)
        self._run("next_editions", shards=list(_SHARDS))
        return changed


class PostgresTx(Guarded):
    """`ports.Tx` on a connection of its own.

    Events are kept until the end: the lock that orders them is held for the commit alone.
    `left_queue` counts the deliveries that it has taken off the queue; attempts before
    `history_before`, if that is set, are to go by weeks after the commit.
    """

    def __init__(self, connection: Connection, sql: Mapping[str, str], weeks: Weeks) -> None:
        super().__init__(connection, sql)
        self._weeks = weeks
        self.left_queue = 0
        self.history_before: Millis | None = None
        self._events: list[Event] = []
        self._stirred = False
        self._news: set[int] = set()

    def commit(self) -> None:
        """Write what was kept back and commit, on one way to the server.

        Everybody else's commit waits for the lock of the events: while it is held, nothing is
        waited for that this process still has to say.
        """
        if not (self._events or self._stirred or self._news):
            self._cursor.execute("COMMIT")
            return
        with self._cursor.connection.pipeline() as line:
            self._write_events()
            # The server bounds how long it waits for what comes next only from a sync on. Without
            # one, whoever stands still here keeps the lock of the events for as long.
            line.sync()
            if self._stirred or self._news:
                highest = "" if self._stirred else str(max(self._news))
                self._cursor.execute("SELECT pg_notify(%s, %s)", (CHANNEL, highest))
            self._cursor.execute("COMMIT")

    def add_notifications(self, rows: Sequence[Notification]) -> None:
        self._stirred = self._stirred or any(row.cursor is not None for row in rows)
        super().add_notifications(rows)

    def add_deliveries(self, rows: Sequence[Delivery]) -> None:
        self._news.update(row.priority for row in rows)
        super().add_deliveries(rows)

    def wake(self, now: Millis, recipients: Sequence[str], *, anew: int | None = None) -> int:
        woken = super().wake(now, recipients, anew=anew)
        self._stirred = self._stirred or woken > 0
        return woken

    def resume_notification(self, notification_id: str, to: str | None) -> None:
        self._stirred = True
        super().resume_notification(notification_id, to)

    def release(
        self,
        now: Millis,
        *,
        doubt: bool = False,
        owners: Collection[str] | None = None,
        keep: Sequence[str] = (),
    ) -> int:
        self._stirred = True
        return super().release(now, doubt=doubt, owners=owners, keep=keep)

    def add_events(self, events: Sequence[Event]) -> None:
        self._events += events

    def events(self, **wanted: Any) -> list[Event]:
        self._write_events()
        return super().events(**wanted)

    def last_event(self) -> int:
        self._write_events()
        return super().last_event()

    def _many(self, name: str, rows: Sequence[Row]) -> int:
        changed = super()._many(name, rows)
        if name == "leave_queue":
            self.left_queue += changed
        return changed

    def _finish_held(self, results: Sequence[Result]) -> set[str]:
        done = super()._finish_held(results)
        self.left_queue += len(done)
        return done

    def lease(self, leases: Sequence[Lease]) -> None:
        self._weeks.prepare({lease.attempt.at for lease in leases})
        super().lease(leases)

    def _prune_attempts(self, before: Millis, limit: int) -> int:
        """Row by row only where a week has also younger ones; the others go as a whole.

        What goes as a whole is counted up to `limit`, and as nothing while it cannot go.
        """
        gone = 0
        since = whole_before(parts_of(self._cursor.connection), before)
        if since is not None:
            self.history_before = before
            if not self._weeks.stuck:
                gone = int(self._one("attempts_before", before=since, most=limit)[0])
        return gone + self._run("prune_attempts", since=since or 0, before=before, most=limit)

    def _write_events(self) -> None:
        if self._events:
            values = [EVENTS, *_columns(list(map(event_row, self._events)))]
            self._cursor.execute(self._sql["add_event"].encode(), values)
            self._events = []


def _columns(rows: Sequence[Row]) -> list[str]:
    """An array for each column."""
    return [array(column) for column in zip(*rows, strict=True)]
