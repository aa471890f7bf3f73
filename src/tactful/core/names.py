"""One spelling for every name, so that a misspelling is no way round a limit.

Types, categories, channels, rules and recipients are compared by their normal form: Unicode NFKC,
case-folded, no blanks around. "News", "news " and "NEWS" are one type.
"""

from __future__ import annotations

import re
import unicodedata

from tactful.core.errors import RequestError
from tactful.core.model import Recipient

NAME_LENGTH_MAX = 100
RECIPIENT_LENGTH_MAX = 320

_PLAIN_NAME = re.compile(r"[a-z0-9][a-z0-9_.:/-]*\Z")


def _normal(text: str) -> str:
    if text.isascii():  # the common case, for which all of the below means just this
        return text.lower().strip()
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # Format characters are invisible: two names that look alike are one name.
    return "".join(c for c in folded if unicodedata.category(c) != "Cf").strip()


def has_control(text: str) -> bool:
    """Whether the text holds a control, format-breaking or unpaired surrogate character."""
    if text.isascii() and text.isprintable():
        return False
    return any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text)


def name_key(value: object, field: str) -> str:
    """The normal form of a type, category, channel or rule name.

    Inner blanks become `_`. Raises RequestError for anything but a text of 1 to 100 characters
    without control characters.
    """
    if isinstance(value, str):
        if len(value) <= NAME_LENGTH_MAX and _PLAIN_NAME.match(value):
            return value
        name = "_".join(_normal(value).split()) if len(value) <= 4 * NAME_LENGTH_MAX else ""
        if 0 < len(name) <= NAME_LENGTH_MAX and not has_control(name):
            return name
    raise RequestError(field, value, f"must be a text of 1 to {NAME_LENGTH_MAX} characters")


def recipient_key(value: object, field: str = "to") -> str:
    """The normal form of a recipient's id or address.

    Raises RequestError for anything but a text of 1 to 320 characters without control characters.
    """
    if isinstance(value, str) and len(value) <= RECIPIENT_LENGTH_MAX:
        key = _normal(value)
        if 0 < len(key) <= RECIPIENT_LENGTH_MAX and not has_control(key):
            return key
    raise RequestError(field, value, f"must be a text of 1 to {RECIPIENT_LENGTH_MAX} characters")


def address_keys(person: Recipient) -> list[str]:
    """The normal forms of all addresses of a person, each once."""
    given = [*person.addresses.values(), *filter(None, (person.email,))]
    return list(dict.fromkeys(recipient_key(address, "address") for address in given))
