"""What a template may be given: plain data, copied and measured once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from tactful.core.errors import RequestError

MAX_DATA: Final = 256 * 1024
"""Characters of all texts and keys of a context; every value counts 8 on top."""
MAX_DATA_DEPTH: Final = 10


def plain(data: Mapping[str, Any], field: str = "data") -> dict[str, Any]:
    """A deep copy of `data` in str, int, float, bool, None, list and dict, of exactly these types.

    Tuples become lists; subclasses become what they derive from, so that a Markup or a str with
    its own methods has no say in rendering. Raises RequestError, with the path from `field` on,
    for any other type, for keys that are no str, integers beyond 64 bits, floats that are not
    finite, lone surrogates, more than MAX_DATA_DEPTH levels, and more than MAX_DATA in size.
    """
    return weighed(data, field)[0]


def weighed(data: Mapping[str, Any], field: str = "data") -> tuple[dict[str, Any], int]:
    """What `plain` returns, and its size."""
    if not isinstance(data, Mapping):
        raise RequestError(field, type(data).__name__, "must be a mapping of names to plain values")
    copier = _Copier(field)
    copy = copier.mapping(data, field, 1)
    return copy, MAX_DATA - copier.left


class _Copier:
    """One deep copy under way; `left` is the size that may still come."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.left = MAX_DATA

    def value(self, value: Any, path: str, depth: int) -> Any:
        kind = type(value)
        if kind is str or isinstance(value, str):
            return self.text(value, path)
        self.left -= 8
        if kind is bool or value is None:
            return value
        if isinstance(value, int):
            if not -(1 << 63) <= value < 1 << 63:
                raise RequestError(path, "...", "an integer must fit into 64 bits")
            return int.__int__(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                raise RequestError(path, value, "a float must be finite")
            return float.__float__(value)
        if isinstance(value, Mapping):
            return self.mapping(value, path, depth + 1)
        if isinstance(value, (list, tuple)):
            self.check(path, depth + 1)
            return [self.value(v, f"{path}[{i}]", depth + 1) for i, v in enumerate(value)]
        raise RequestError(
            path, kind.__name__, "must be a str, int, float, bool, None, list or dict"
        )

    def text(self, value: str, path: str) -> str:
        self.left -= len(value) + 8
        if self.left < 0:
            self.check(path, 0)
        if not value.isascii():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise RequestError(path, "...", "must not hold a lone surrogate") from None
        return value if type(value) is str else str.__str__(value)

    def mapping(self, value: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        self.check(path, depth)
        copy = {}
        for key, item in value.items():
            if not isinstance(key, str):
                raise RequestError(path, key, "keys must be str")
            copy[self.text(key, path)] = self.value(item, f"{path}.{key}", depth)
        return copy

    def check(self, path: str, depth: int) -> None:
        if depth > MAX_DATA_DEPTH:
            raise RequestError(path, "...", f"nested more than {MAX_DATA_DEPTH} levels deep")
        if self.left < 0:
            raise RequestError(self.field, "...", f"larger than {MAX_DATA} characters in all")
