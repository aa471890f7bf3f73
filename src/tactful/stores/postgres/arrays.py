r"""Lists as PostgreSQL writes arrays: one text for hundreds of values.

A driver converts each element by itself, in Python; that is most of what a statement on 500 rows
costs the client. PostgreSQL 18 documentation, section 8.15.6: elements are separated by commas,
quoted with `"`, with `\` before `"` and `\`; NULL stands unquoted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

_NUMBERS: Final = {int, bool}
_NOTHING: Final = {type(None)}


def array(values: Iterable[object]) -> str:
    """The literal of a one-dimensional array of texts, integers, booleans and None."""
    column: list[Any] = list(values)
    kinds = set(map(type, column))
    if kinds <= _NUMBERS:
        return "{" + ",".join(map(str, map(int, column))) + "}"
    if kinds == _NOTHING:
        return "{" + ",".join(["NULL"] * len(column)) + "}"
    return _plain(column) or "{" + ",".join(map(_element, column)) + "}"


def _plain(values: Sequence[Any]) -> str | None:
    """The same for texts alone, none of which needs care: ids and addresses, mostly."""
    try:
        inside = '","'.join(values)
    except TypeError:
        return None
    if "\\" in inside or "\0" in inside or inside.count('"') != 2 * (len(values) - 1):
        return None
    return '{"' + inside + '"}'


def _element(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(int(value))
    text = str(storable(value))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def storable(value: Any) -> Any:
    """What PostgreSQL can keep: a text cannot hold NUL, which becomes U+FFFD.

    Names and contents have none, since it is refused at the edge; what a foreign server said may.
    """
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value
