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
    "action background cite data formaction href longdesc poster src xlink:href".split()
)
_URL_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel"})
_URL_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\xa0\"'<>`{}|\\^]")

_TAG: Final = re.compile(r"<(/?[a-zA-Z][^\s/>]*)")
_IN_TAG: Final = re.compile(r"[^\s/>=\"']+|[>=\"']")
_BARE: Final = re.compile(r"(\s*)([^\s>\"']*)")


class Place(NamedTuple):
    """A place between two characters of a document.

    `tag` is "" in text, else the lower-case name of the tag it is in, or of the script or style
    whose content it is in (`raw`). `attribute` is the name that was read last, `equals` whether its
    value comes next, `quote` the quote it is enclosed in, `begun` whether literal text of the value
    has been read (in text: whether a `<` has been read and no name yet).
    """

    tag: str = ""
    raw: bool = False
    attribute: str = ""
    equals: bool = False
    quote: str = ""
    begun: bool = False

    def after(self, text: str) -> Place:
        """The place behind `text`; linear in its length."""
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

    @property
    def problem(self) -> str | None:
        """Why no value can stand here, or None if one can."""
        if self.raw:
            return "a value cannot stand in a script" if self.tag == "script" else None
        if self.begun and not self.tag:
            return "a `<` must be followed by the name of its tag, or be written as `&lt;`"
        if self.tag and not self.quote:
            if self.equals:
                return f"put the value of the attribute {self.attribute!r} into quotes"
            return f"a value inside of the tag <{self.tag}> must stand in a quoted attribute"
        if self.attribute.startswith("on"):
            return f"a value cannot stand in the script of the attribute {self.attribute!r}"
        if self.attribute in {"srcdoc", "srcset"}:
            return f"a value cannot stand in the attribute {self.attribute!r}"
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
            return self, len(text)
        word = found[0]
        if word == ">":
            inside = self.tag if self.tag in {"script", "style"} else ""
            return Place(inside, raw=bool(inside)), found.end()
        if word == "=":
            return self._replace(equals=True), found.end()
        return Place(self.tag, attribute=word.lower()), found.end()

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
    return Place(found[1].lower()), found.end()


def safe_url(value: object) -> str:
    """`value` if it is an http, https, mailto, tel or relative URL, otherwise "#".

    What browsers skip inside of a scheme (controls, line ends) is removed before looking, what
    could end an attribute is percent-encoded.
    """
    text = "" if value is None else str(value)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", "", text).strip()
    colon = text.find(":")
    if colon >= 0 and not any(stop in text[:colon] for stop in "/?#"):
        if text[:colon].lower() not in _URL_SCHEMES:
            return "#"
    return _URL_UNSAFE.sub(lambda match: _percent(match[0]), text)


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())
