"""Questions to the SQLite store; see `ports.Reader` for what each promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import apsw
import orjson

from tactful.core.model import Millis
from tactful.stores.relational.reading import Reading
from tactful.stores.relational.rows import dumps

LATEST_ATTEMPT: Final = "latest_attempt"

# How many columns the queries have that give many rows.
_COLUMNS: Final = {
    "due": 30,
    "lines": 30,
    "line_end": 30,
    "held": 1,
    "line_lengths": 2,
    "deliveries_of_notification": 30,
    "history": 6,
    "records": 16,
    "notifications": 17,
    "where_they_are": 4,
    "recipients_by_key": 8,
    "owners": 2,
    "suppressions": 5,
    "facts": 11,
}


class SqliteReader(Reading):
    """`ports.Reader` on a connection in a transaction that somebody else ends."""

    def __init__(self, connection: apsw.Connection, sql: Mapping[str, str]) -> None:
        self._connection = connection
        self._sql = sql

    def latest_attempt(self) -> Millis | None:
        value = self.note(LATEST_ATTEMPT)
        return None if value is None else int(value)

    def _all(self, name: str, /, **values: Any) -> list[Any]:
        """All rows of a query; lists go in as JSON.

        Those of `_COLUMNS` come as one JSON array in a single step: every step of a statement lets
        other threads run, and with a step for each row a busy thread would be waited for at each.
        """
        encode_lists(values)
        width = _COLUMNS.get(name)
        if width is None:
            return self._connection.execute(self._sql[name], values).fetchall()
        names = ", ".join(f"c{place}" for place in range(width))
        sql = (
            f"WITH found({names}) AS ({self._sql[name]})"
            f" SELECT json_group_array(json_array({names})) FROM found"
        )
        ((rows,),) = self._connection.execute(sql, values).fetchall()
        found: list[Any] = orjson.loads(str(rows))
        return found


def encode_lists(values: dict[str, Any]) -> None:
    """Turns lists into JSON texts, which `json_each` takes apart."""
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = dumps(value)
