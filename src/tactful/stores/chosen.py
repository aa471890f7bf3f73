"""Which store a URL names, and what can be asked of it before it is opened."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pkgutil import resolve_name
from typing import Any

from tactful.core.errors import ConfigError
from tactful.ports import Reader, Store
from tactful.stores.memory import MemoryStore
from tactful.stores.named_sql import Schema
from tactful.stores.sqlite.connection import schema_of as sqlite_schema_of
from tactful.stores.sqlite.store import SqliteStore
from tactful.stores.sqlite.viewing import viewing as sqlite_viewing

POSTGRES = ("postgresql:", "postgres:")


def postgres(name: str) -> Any:
    """Something of the PostgreSQL store, as `module:name`; raises ConfigError without its extra.

    It is loaded when it is asked for: its driver takes a while, and may not be installed.
    """
    try:
        return resolve_name(f"tactful.stores.postgres.{name}")
    except ImportError:
        raise ConfigError("store: PostgreSQL needs `pip install 'tactful[postgres]'`") from None


def schema_of(url: str) -> Schema | None:
    """How far the schema of a store is, None for what has none; makes and changes nothing.

    Raises ConfigError, Unavailable.
    """
    if url.startswith("memory:"):
        return None
    if url.startswith(POSTGRES):
        found: Schema = postgres("connection:schema_of")(url)
        return found
    return sqlite_schema_of(url)


def viewing(url: str) -> AbstractContextManager[Reader]:
    """A consistent view of the store that a URL names, of which nothing is changed, nor can be.

    The store may be in use. Raises ConfigError, also where no store is yet; Unavailable.
    """
    if url.startswith("memory:"):
        raise ConfigError("store: one in memory is gone with its process; name a file or a server")
    view: AbstractContextManager[Reader]
    view = postgres("viewing:viewing")(url) if url.startswith(POSTGRES) else sqlite_viewing(url)
    return view


def open_store(url: str, *, migrated: bool = False, pool: str = "", connections: int = 16) -> Store:
    """The store that a URL names; raises ConfigError, Unavailable.

    `sqlite:///file.db`, `memory://`, or `postgresql://user@host/database` with the extra
    `tactful[postgres]`, which is brought up to date only with `migrated`; `pool` is the URL of the
    same database behind a pool of connections, of which at most `connections` are used at once.
    """
    if not isinstance(url, str):
        raise ConfigError(f"store: must be a URL such as sqlite:///notify.db, not {url!r}")
    if pool and not url.startswith(POSTGRES):
        raise ConfigError("store_pool: is for PostgreSQL, and store names something else")
    if url.startswith("memory:"):
        return MemoryStore(url)
    if url.startswith(POSTGRES):
        kind = postgres("store:PostgresStore")
        store: Store = kind(url, migrated=migrated, pool=pool, connections=connections)
        return store
    return SqliteStore(url)


def view_of(store: Store) -> AbstractContextManager[Reader]:
    """A consistent view of an open store for questions that take seconds.

    On a file or a server it has a connection of its own, so that no other reading waits for it.
    Raises Unavailable.
    """
    return store.reading() if store.url.startswith("memory:") else viewing(store.url)
