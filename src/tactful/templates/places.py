"""Where in the HTML a value stands, and what is safe to put there.

Escaping `& < > " '` protects text and quoted attributes, and nothing else: a value without quotes
may add attributes, a value inside of a tag may be one, a script reads what the HTML parser has
unescaped again, and `javascript:` needs no special character at all. So the literal parts of an
HTML template are followed just closely enough to know the place of every value. Text and quoted
attributes are free, URL attributes get `safe_url`, the rest is refused when the template is
compiled.

A `Place` is a value: a branch starts where its `if` stands, and all branches have to end at one
and the same place.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_URL_ATTRIBUTES: Final = frozenset(
    {"action", "background", "cite", "data", "formaction", "href", "poster", "src", "xlink:href"}
)
_URL_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
_URL_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\"'<>`{}|\\^]")

_TAG: Final = re.compile(r"<(/?[a-zA-Z][^\s/>]*)")
_IN_TAG: Final = re.compile(r"[^\s/>=\"']+|[>=\"']")
_BARE: Final = re.compile(r"(\s*)([^\s>\"']*)")


class Place(NamedTuple):
    """A place between two characters of a document.

    `tag` is "" in text, else the lower-case name of the tag it is in, or of the script or style
    whose content it is in (`raw`). `attribute` is the name that was read last ("?" if it depends),
    `equals` whether its value comes next, `quote` the quote it is enclosed in. `begun` is whether
    something has been read of what comes here: of a value or a name; in text, a lone `<`.
    """

    tag: str = ""
    raw: bool = False
    attribute: str = ""
    equals: bool = False
    quote: str = ""
    begun: bool = False

    def after(self, text: str) -> Place:
        """The place behind `text`; linear in its length.

        Raises ValueError if `text` goes on with a name that other text has begun: which tag or
        attribute that makes cannot be told.
        """
        if self._in_name and text[:1].strip("/>=") and not text[0].isspace():
            raise ValueError("the name of a tag or an attribute must be written in one piece")
        place, at = self, 0
        while at < len(text):
            if place.raw:
                place, at = place._in_raw(text, at)
            elif not place.tag:
                place, at = _in_text(text, at)
            elif place.quote:
                place, at = place._in_quotes(text, at)
            else:
                place, at = place._in_tag(text, at)
        return place

    def joined(self, other: Place) -> Place:
        """The place where two ways meet. Raises ValueError if no place can stand for both."""
        if self._settled != other._settled:
            raise ValueError("all ways through this must end at the same place of the HTML")
        # With a value without quotes under way, no other value is let in: the stricter one.
        place = other if other.equals else self
        name = place.attribute if self.attribute == other.attribute else "?"
        return place._replace(attribute=name, begun=self.begun or other.begun)

    @property
    def _in_name(self) -> bool:
        return bool(self.tag and self.begun and not (self.raw or self.quote or self.equals))

    @property
    def _settled(self) -> tuple[object, ...]:
        awaited = self.equals and not self.begun
        name = self.attribute if self.quote or awaited else ""
        return self.tag, self.raw, self.quote, awaited, name

    @property
    def problem(self) -> str | None:
        """Why no value can stand here, or None if one can."""
        name = self.attribute
        if self.raw:
            return "a value cannot stand in a script" if self.tag == "script" else None
        if not self.tag:
            lone = "a `<` must be followed by the name of its tag, or be written as `&lt;`"
            return lone if self.begun else None
        if self.equals:
            return f"put the value of the attribute {name!r} into quotes"
        if not self.quote:
            return f"a value inside of the tag <{self.tag}> must stand in a quoted attribute"
        if name.startswith("on") or name in {"srcdoc", "srcset", "?"}:
            return f"a value cannot stand in the attribute {name!r}"
        return None

    @property
    def is_url(self) -> bool:
        """Whether a value here is the start of a URL."""
        return bool(self.quote) and not self.begun and self.attribute in _URL_ATTRIBUTES

    def _in_raw(self, text: str, at: int) -> tuple[Place, int]:
        end = re.compile(rf"</{self.tag}", re.IGNORECASE).search(text, at)
        return (Place("/" + self.tag), end.end()) if end else (self, len(text))

    def _in_quotes(self, text: str, at: int) -> tuple[Place, int]:
        end = text.find(self.quote, at)
        if end >= 0:
            return Place(self.tag), end + 1
        return self._replace(begun=self.begun or not text[at:].isspace()), len(text)

    def _in_tag(self, text: str, at: int) -> tuple[Place, int]:
        if self.equals:
            return self._in_value(text, at)
        found = _IN_TAG.search(text, at)
        if not found:
            return self._replace(begun=False), len(text)
        word = found[0]
        if word == ">":
            inside = self.tag if self.tag in {"script", "style"} else ""
            return Place(inside, raw=bool(inside)), found.end()
        if word == "=":
            return self._replace(equals=True, begun=False), found.end()
        begun = found.end() == len(text)
        return Place(self.tag, attribute=word.lower(), begun=begun), found.end()

    def _in_value(self, text: str, at: int) -> tuple[Place, int]:
        if self.begun and text[at].isspace():
            return Place(self.tag), at
        skipped, value = _BARE.match(text, at).groups()  # type: ignore[union-attr]
        begun = self.begun or bool(value)
        at += len(skipped) + len(value)
        if at == len(text):
            return self._replace(begun=begun), at
        if text[at] == ">" or begun:
            return Place(self.tag), at
        return self._replace(equals=False, quote=text[at]), at + 1


def _in_text(text: str, at: int) -> tuple[Place, int]:
    found = _TAG.search(text, at)
    if not found:
        return Place(begun=text.endswith(("<", "</"))), len(text)
    return Place(found[1].lower(), begun=found.end() == len(text)), found.end()


def safe_url(value: object) -> str:
    """`value` if it is an http, https, mailto, tel or relative URL, otherwise "#".

    What browsers skip inside of a scheme (controls, line ends) is removed before looking, what
    could end an attribute is percent-encoded.
    """
    text = "" if value is None else str(value)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text).strip()
    colon = text.find(":")
    scheme = text[: max(0, colon)]
    # A colon behind one of these is part of a path, a query or a fragment.
    relative = colon < 0 or any(stop in scheme for stop in "/?#")
    if not relative and scheme.lower() not in _URL_SCHEMES:
        return "#"
    return _URL_UNSAFE.sub(lambda match: _percent(match[0]), text)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
