"""Where the links in HTML are, so that they can be replaced and nothing else changes.

The page is cut into tags as browsers do it (HTML Living Standard, section 13.2.5), which never
fails, and in one pass: of a tag that nobody closes, everything behind it is a part. The standard
library's `html.parser` needs more than a minute for 50 KB of such tags. Of the text only the values
of `href` are ever replaced, by their place. What is not sure to be a link to a web page stays as it
is: links in comments and scripts, relative ones, other schemes, and those marked `data-no-track`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from html import unescape
from html.entities import html5
from typing import Final, NamedTuple
from urllib.parse import quote, urlsplit

URL_MAX: Final = 2000
HTML_MAX: Final = 1_000_000
_OPT_OUT: Final = "data-no-track"
_BLANKS: Final = " \t\n\r\f"
# What may begin at a `<`; anything else is text. Nothing here looks at a character twice.
_BEGIN: Final = re.compile(
    r"<(?:(?P<comment>!--)|(?P<bogus>[!?]|/[^a-zA-Z>])"
    r"|(?P<end>/)?(?P<name>[a-zA-Z][^ \t\n\f\r/>]*+))"
)
_COMMENT_END: Final = re.compile(r"--!?>")
_ATTRIBUTE: Final = re.compile(
    r"[ \t\n\f\r/]*+(?:(?P<close>>)|(?P<name>[^ \t\n\f\r/>][^ \t\n\f\r/>=]*+)"
    r"(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+"
    r"(?P<value>\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^ \t\n\f\r>\"'][^ \t\n\f\r>]*+)?+)?+)"
)
_TEXT_ONLY: Final = ("title", "textarea", "script", "style", "xmp", "iframe", "noembed", "noframes")
_REFERENCE: Final = re.compile(r"&(?:#\d+;?|#[xX][0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*;?=?)")
_SAFE: Final = "%/:?#[]@!$&'()*+,;=~-._"


class Link(NamedTuple):
    """The value of one `href`, quotes included, at `start` to `end`, and where it leads."""

    start: int
    end: int
    url: str


class Plan(NamedTuple):
    """The links of a page in their order, and where something may be put at its end."""

    links: Sequence[Link]
    foot: int


def web_url(text: str) -> str | None:
    """The text of a link as an absolute http or https URL in ASCII; None for any other one."""
    url = text.strip(_BLANKS)
    if len(url) > URL_MAX or any(ord(c) <= 0x20 or ord(c) == 0x7F or c == "\\" for c in url):
        return None
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.netloc.isascii()
        asserted = parts.port is None or parts.port > 0
        url = quote(url, safe=_SAFE)
    except ValueError:  # no port, no IPv6 address, or half a surrogate
        return None
    return url if sound and asserted and len(url) <= URL_MAX else None


def replace_links(html: str, new: Callable[[int, int, str], str | None], foot: str) -> str:
    """The page with other links, and with `foot` before the end of its body.

    `new` is given the number of a link from 1, how many there are, and its URL; it gives the URL
    to put there, or None to leave it.
    """
    if len(html) > HTML_MAX:
        return html
    plan = planned(html)
    pieces: list[str] = []
    at = 0
    for number, link in enumerate(plan.links, 1):
        other = new(number, len(plan.links), link.url)
        if other is not None:
            pieces += (html[at : link.start], f'"{other}"')
            at = link.end
    if plan.foot < at:  # an end of the body that lies before a link: nobody wrote this on purpose
        return "".join([*pieces, html[at:], foot])
    return "".join([*pieces, html[at : plan.foot], foot, html[plan.foot :]])


@lru_cache(maxsize=16)
def planned(html: str) -> Plan:
    """The plan of a page; of the same page to many people it is made once."""
    links: list[Link] = []
    foot: int | None = None
    for tag in _tags(html):
        if tag.is_end and (tag.name == "body" or (tag.name == "html" and foot is None)):
            foot = tag.start
        elif not tag.is_end and tag.name in ("a", "area") and (link := _link(tag)) is not None:
            links.append(link)
    return Plan(tuple(links), len(html) if foot is None else foot)


class _Tag(NamedTuple):
    """A whole tag; of attributes of one name the first counts, as in browsers."""

    name: str
    is_end: bool
    start: int
    attributes: dict[str, re.Match[str]]


def _tags(html: str) -> Iterator[_Tag]:
    at = 0
    while (begin := _BEGIN.search(html, at)) is not None:
        name = (begin["name"] or "").lower()
        if begin["comment"]:
            at = _end_of_comment(html, begin.end())
        elif begin["bogus"]:
            at = html.find(">", begin.end() - 1) + 1
        else:
            attributes, at = _attributes(html, begin.end())
            if at:
                yield _Tag(name, begin["end"] is not None, begin.start(), attributes)
            if at and name in _TEXT_ONLY and begin["end"] is None:
                over = re.compile(rf"</{name}(?=[ \t\n\f\r/>])", re.IGNORECASE).search(html, at)
                at = over.start() if over is not None else 0
        if not at or name == "plaintext":
            return  # what is left is part of something that nobody closes


def _end_of_comment(html: str, at: int) -> int:
    """Where a comment ends whose text begins at `at`; 0 if it does not."""
    for short in (">", "->"):
        if html.startswith(short, at):
            return at + len(short)
    over = _COMMENT_END.search(html, at)
    return over.end() if over is not None else 0


def _attributes(html: str, at: int) -> tuple[dict[str, re.Match[str]], int]:
    """The attributes of a tag from `at` on, and where it ends; 0 if it does not."""
    found: dict[str, re.Match[str]] = {}
    while (match := _ATTRIBUTE.match(html, at)) is not None:
        at = match.end()
        if match["close"]:
            return found, at
        found.setdefault(match["name"].lower(), match)
    return found, 0


def _link(tag: _Tag) -> Link | None:
    href = tag.attributes.get("href")
    if href is None or href["value"] is None or _OPT_OUT in tag.attributes:
        return None
    value = href["value"]
    url = web_url(unreferenced(value[1:-1] if value[0] in "\"'" else value))
    return Link(href.start("value"), href.end("value"), url) if url is not None else None


def unreferenced(value: str) -> str:
    """An attribute's value without character references, as browsers read it.

    In an attribute `&copy=2` is no reference but part of a query (HTML Living Standard, 13.2.5.73),
    which `html.unescape` does not know.
    """

    def one(match: re.Match[str]) -> str:
        text = match[0]
        if text[1] == "#":
            return unescape(text)
        return text if text[-1] == "=" else html5.get(text[1:], text)

    return _REFERENCE.sub(one, value)
