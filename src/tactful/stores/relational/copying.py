"""Tables as they are, out of one SQL store and into another.

What is copied is every column of every row: a rewrite through the verbs of the engine would decide
anew, and stamp what has its time already. The dialects have the same tables and columns, which a
test compares with both schemas; what only one of them keeps for itself stays where it is. Between
them travel integers, texts and None, so a row has the same bytes on both sides, and the sum of the
rows' hashes tells whether two tables hold the same, in whatever order.

Rows are passed on one by one. Nothing is seen of a copy before all of it has been read back and
compared, in the transaction that wrote it.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from tactful.core.errors import ConfigError, TactfulError
from tactful.ports import Store
from tactful.stores.relational.rows import dumps

Row: TypeAlias = tuple[Any, ...]
Rows: TypeAlias = Generator[Row, None, None]

_REPORT_EVERY: Final = 1_000
_HASHES: Final = 1 << 128


class Table(NamedTuple):
    """A table that both dialects have; `flags` are the columns that hold yes or no."""

    name: str
    columns: tuple[str, ...]
    flags: frozenset[str]


def _table(name: str, columns: str, flags: str = "") -> Table:
    return Table(name, tuple(columns.split()), frozenset(flags.split()))


TABLES: Final = (
    _table(
        "notifications",
        "id type category priority content created_at channels expires_at not_before cursor"
        " audience_end audience cancelled trace paused_at paused_by resumed_to",
        "cancelled",
    ),
    _table(
        "deliveries",
        "id notification_id recipient channel address type category priority created_at"
        " expires_at state rule reason attempts tries crashes updated_at opened_at clicked_at"
        " digest_id ref",
    ),
    _table(
        "due",
        "delivery_id recipient priority due_at not_before state promised decided held grp rule"
        " reason attempts tries crashes begun owner paused channel",
        "promised decided held begun paused",
    ),
    _table(
        "attempts",
        "recipient at delivery_id number type category channel priority counts outcome detail",
        "counts",
    ),
    _table("events", "seq name delivery_id at notification_id recipient data"),
    _table("recipients", "seq id name email timezone locale addresses mute"),
    _table("addresses", "address recipient"),
    _table("suppressions", "channel address scope reason at"),
    _table("policies", "version kind name body at author"),
    _table("idempotency", "key fingerprint answer expires_at"),
    _table("cells", "key tat"),
    _table("notes", "key value"),
)

NUMBERED: Final = ("events", "recipients")
"""Tables whose `seq` is given out by the database, and never twice."""


class Tables(ABC):
    """The tables of one store, inside a transaction that somebody else ends."""

    own: Mapping[str, str]
    """For some tables, which rows are meant: the others are the dialect's own affair."""

    @abstractmethod
    def ask(self, sql: str) -> Rows:
        """The rows of a query, one by one."""

    def count(self, table: Table) -> int:
        """How many rows there are."""
        ((found,),) = self.ask(f"SELECT count(*) FROM {table.name} WHERE {self._meant(table)}")
        return int(found)

    def rows(self, table: Table) -> Rows:
        """All rows in no order, a yes as 1 and a no as 0."""
        columns = ", ".join(
            f"CAST({name} AS INTEGER)" if name in table.flags else name for name in table.columns
        )
        return self.ask(f"SELECT {columns} FROM {table.name} WHERE {self._meant(table)}")

    def _meant(self, table: Table) -> str:
        return self.own.get(table.name, "TRUE")

    @abstractmethod
    def number(self, table: str) -> int:
        """The highest number that a table of `NUMBERED` has ever given."""

    @abstractmethod
    def fitting(self, value: Any) -> Any:
        """A value as this store can keep it."""

    @abstractmethod
    def put(self, table: Table, rows: Iterator[Row]) -> None:
        """Add rows to a table that is empty."""

    @abstractmethod
    def finish(self, numbers: Mapping[str, int]) -> None:
        """Give no number again that the tables of `NUMBERED` gave where these rows are from."""


@runtime_checkable
class Copyable(Store, Protocol):
    """A store whose tables can be copied."""

    def in_use(self) -> bool:
        """Whether anybody may be sending from it; raises Unavailable."""
        ...

    def outgoing(self, *, still: bool) -> AbstractContextManager[Tables]:
        """All tables as they are at one instant; with `still`, nobody else changes them so long.

        Raises Unavailable.
        """
        ...

    def incoming(self) -> AbstractContextManager[Tables]:
        """All tables, to be filled; there is all of it or nothing. Nobody else changes them.

        Raises Unavailable.
        """
        ...


class DifferentCopyError(TactfulError):
    """What was read back is not what was written; nothing of it is kept."""


class Copied(NamedTuple):
    """A table that was copied: how many rows, their checksum, how many values had to change."""

    table: str
    rows: int
    checksum: str
    changed: int


class _Checksum:
    """The number of rows, and the sum of their hashes, which no order changes."""

    def __init__(self, seen: Callable[[int], None]) -> None:
        self.count = 0
        self._sum = 0
        self._seen = seen

    def add(self, row: Row) -> None:
        digest = hashlib.blake2b(dumps(row).encode(), digest_size=16).digest()
        self._sum = (self._sum + int.from_bytes(digest)) % _HASHES
        self.count += 1
        if self.count % _REPORT_EVERY == 0:
            self._seen(_REPORT_EVERY)

    def __str__(self) -> str:
        return f"{self._sum:032x}"


def require_empty(target: Tables) -> None:
    """Raises ConfigError if there is anything that a copy would be mixed with."""
    for table in TABLES:
        found = target.count(table)
        if found:
            raise ConfigError(f"target: must be empty, but {table.name} is not ({found})")


def copy_tables(
    source: Tables, target: Tables, seen: Callable[[int], None] = lambda rows: None
) -> list[Copied]:
    """Copy every table, read it back and compare.

    `seen` hears from time to time how many rows more were written or read back. Raises
    `DifferentCopyError`; whatever is raised has to end the transaction of the target.
    """
    done = [_copy(table, source, target, seen) for table in TABLES]
    target.finish({name: source.number(name) for name in NUMBERED})
    return done


def _copy(table: Table, source: Tables, target: Tables, seen: Callable[[int], None]) -> Copied:
    written, found = _Checksum(seen), _Checksum(seen)
    changed = 0

    def passing() -> Rows:
        nonlocal changed
        with closing(source.rows(table)) as rows:
            for row in rows:
                kept = tuple(map(target.fitting, row))
                if kept != row:
                    changed += sum(new != old for new, old in zip(kept, row, strict=True))
                written.add(kept)
                yield kept

    # Closed whatever happens: a question that goes on would be in the way of the source's end.
    with closing(passing()) as rows:
        target.put(table, rows)
    for row in target.rows(table):
        found.add(row)
    if (written.count, str(written)) != (found.count, str(found)):
        raise DifferentCopyError(
            f"copy: {table.name} was written as {written.count} rows ({written}),"
            f" but has {found.count} ({found}); nothing was copied"
        )
    return Copied(table.name, found.count, str(found), changed)
