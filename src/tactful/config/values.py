"""How the value of a configuration's key is read: as TOML gives it, or as the environment does.

A reader takes the value that was found and gives the one that is meant, or raises `WrongError` with
the bound that the value breaks. It does not know the key; `config` adds that, and the place.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from tactful.channels.egress.reach import parse_networks
from tactful.core.errors import ConfigError, RequestError
from tactful.engine.requests import parse_duration

Reader: TypeAlias = Callable[[object], Any]
_WORD: Final = re.compile(r"[A-Za-z0-9_-]{1,60}")


class WrongError(Exception):
    """A value that a reader does not take; the text is the bound."""


def text(value: object) -> str:
    """A text without the blanks around it."""
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise WrongError("must be a text that is not empty")


def secret(value: object) -> str:
    """A text as it stands."""
    if isinstance(value, str) and value:
        return value
    raise WrongError("must be a text that is not empty")


def word(value: object) -> str:
    """A name that every kind of broker can have."""
    if isinstance(value, str) and _WORD.fullmatch(value.strip()):
        return value.strip()
    raise WrongError("must be a name of ASCII letters, digits, _ and -, at most 60 of them")


def dotted(value: object) -> str:
    """Such names with dots between them."""
    if isinstance(value, str) and len(value) <= 200:
        try:
            return ".".join(word(part) for part in value.strip().split("."))
        except WrongError:
            pass
    raise WrongError("must be names of ASCII letters, digits, _ and -, with dots between them")


def whole(least: int, most: int = 1_000_000_000) -> Reader:
    """A whole number within bounds."""

    def read(value: object) -> int:
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
            value = int(value.strip()[:20])
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise WrongError(f"must be a whole number from {least} to {most}")

    return read


def one_of(*words: str) -> Reader:
    """One of some words, in any case."""

    def read(value: object) -> str:
        if isinstance(value, str) and value.strip().lower() in words:
            return value.strip().lower()
        raise WrongError(f"must be one of {', '.join(words)}")

    return read


def flag(value: object) -> bool:
    """True or false, also in letters."""
    found = value.strip().lower() if isinstance(value, str) else value
    if isinstance(found, bool) or found in ("true", "false"):
        return found in (True, "true")
    raise WrongError("must be true or false")


def duration(value: object) -> int:
    """A span in milliseconds."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    try:
        return parse_duration(value, "")
    except RequestError as error:
        raise WrongError(error.bound) from None


def several(read: Reader) -> Reader:
    """A list, or a text with blanks between its parts, each of them for another reader."""

    def read_all(value: object) -> tuple[Any, ...]:
        items = value.split() if isinstance(value, str) else value
        if isinstance(items, list) and items:
            return tuple(read(item) for item in items)
        raise WrongError("must be a list, or a text with blanks between its parts")

    return read_all


def network(value: object) -> str:
    """A network in the notation of CIDR."""
    found = text(value)
    try:
        parse_networks([found], "")
    except ConfigError as error:
        raise WrongError(str(error).removeprefix(": ")) from None
    return found


def parsed(parse: Callable[[str, str], object]) -> Reader:
    """A text that a function takes, which is given the text and the name of the field."""

    def read(value: object) -> str:
        found = text(value)
        try:
            parse(found, "")
        except RequestError as error:
            raise WrongError(error.bound) from None
        return found

    return read
