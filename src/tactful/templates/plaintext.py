"""The text part of a message that was only written in HTML.

The scanner is our own and reads every character once. The standard library's `HTMLParser` starts
over at each `<` that is never closed, so that a page of `<!--` costs quadratic time in most of the
Python versions we run on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Final

MAX_HTML: Final = 500_000
"""Characters of HTML that are read; the rest is left out."""
_MAX_LIST_DEPTH: Final = 8

_SKIPPED: Final = frozenset({"script", "style", "head", "title", "template"})
_RAW: Final = frozenset({"script", "style", "title"})  # their content is no markup
_PARAGRAPHS: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "dl", "table", "hr"}
)
_LINES: Final = frozenset(
    {"div", "li", "tr", "dt", "dd", "section", "article", "header", "footer", "main", "nav", "form"}
    | {"address", "aside", "figure", "figcaption", "caption", "center", "body", "html", "fieldset"}
)
_NAME: Final = re.compile(r"/?[a-zA-Z][^\s/>]*")
_TAG_STOP: Final = re.compile(r">|=\s*([\"']?)")
_ATTRIBUTE: Final = re.compile(r"([^\s=/\"']+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s\"'>]*))?")
_LINKED: Final = re.compile(r"(?:https?|mailto|tel):", re.IGNORECASE)
_HUGE: Final = re.compile(r"&#(?:[0-9]{9,}|[xX][0-9a-fA-F]{9,})")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def html_to_text(html: str) -> str:
    """What a reader of `html` sees, as plain text that ends without a line end.

    Paragraphs are set off by a blank line, list items get bullets or numbers, the cells of a table
    row share a line, links keep their address in parentheses where it is not the text itself,
    images give their alt text. Never raises; takes time linear in the length of `html`, of which
    the first MAX_HTML characters count.
    """
    writer = _Writer()
    for kind, value in _tokens(html[:MAX_HTML]):
        if kind == "text":
            writer.text(_decoded(value))
        else:
            writer.tag(kind, value)
    return writer.result()


def _tokens(html: str) -> Iterator[tuple[str, str]]:
    """("text", what it is) and (the tag's name, its attributes); "/a" is the end of an "a"."""
    at = 0
    while at < len(html):
        start = html.find("<", at)
        if start < 0:
            start = len(html)
        if start > at:
            yield "text", html[at:start]
        name = _NAME.match(html, start + 1)
        if name:
            at = _tag_end(html, name.end())
            tag = name[0].lower()
            yield tag, html[name.end() : at - 1]
            if tag in _RAW:
                close = re.compile(f"</{tag}", re.IGNORECASE).search(html, at)
                at = close.start() if close else len(html)
        elif html.startswith("<!--", start):
            at = _behind(html, "-->", start + 2)  # "<!-->" is a whole comment
        elif html.startswith(("<!", "<?", "</"), start):
            at = _behind(html, ">", start)
        else:
            yield "text", html[start : start + 1]
            at = start + 1


def _decoded(text: str) -> str:
    # `unescape` fails on a number of thousands of digits; "&#0" is unknown to it just the same.
    return unescape(_HUGE.sub("&#0", text))


def _behind(html: str, mark: str, at: int) -> int:
    end = html.find(mark, at)
    return len(html) if end < 0 else end + len(mark)


def _tag_end(html: str, at: int) -> int:
    """Behind the `>` of a tag; one in quotes does not count, a missing one is the end of all."""
    while found := _TAG_STOP.search(html, at):
        at = found.end()
        if found[0] == ">":
            return at
        if found[1]:
            at = _behind(html, found[1], at)
    return len(html) + 1


def _attributes(source: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in _ATTRIBUTE.findall(source):
        bare = value[1:-1] if value[:1] in {'"', "'"} else value
        found.setdefault(name.lower(), _decoded(bare).strip())
    return found


class _Writer:
    """Puts the text together: words by single blanks, lines and paragraphs by what stands between.

    `_gap` is what the next word must be set off by: 0 nothing, 1 a line end, 2 a blank line.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._gap = 0
        self._blank = False  # a blank is due before the next word
        self._lead = ""  # a bullet that waits for its first word
        self._skip = ""  # the tag whose content is being skipped
        self._pre = 0
        self._cells = 0
        self._lists: list[int] = []  # per open list the last number, or -1 for bullets
        self._link: tuple[str, list[str]] | None = None

    def text(self, text: str) -> None:
        """Add text as it stands in the source."""
        if self._skip:
            return
        text = _CONTROLS.sub(" ", text)
        if self._pre and "\n" in text:
            for number, line in enumerate(text.split("\n")):
                if number:
                    self._gap = max(self._gap, 1)
                self._words(line)
            return
        self._words(text)

    def tag(self, name: str, source: str) -> None:
        """Take note of a tag and its attributes."""
        end, name = name.startswith("/"), name.removeprefix("/")
        if self._skip:
            closed = end and name == self._skip
            if not closed and not (name == "body" and self._skip == "head"):
                return
            self._skip = ""
        if name in _SKIPPED:
            self._skip = "" if end else name
        elif name == "br":
            self._break()
        elif name in _PARAGRAPHS or name in _LINES:
            self._block(name, end)
        elif name in {"td", "th"} and not end:
            if self._cells and self._line:
                self._put(" | ")
            self._cells += 1
        elif name == "a":
            self._end_link()
            if not end:
                href = "".join(_CONTROLS.sub("", _attributes(source).get("href", "")).split())
                self._link = (href, [])
        elif name == "img":
            self.text(_attributes(source).get("alt", ""))

    def result(self) -> str:
        """All of the text so far."""
        self._end_link()
        self._flush()
        return "\n".join(self._lines).strip()

    def _block(self, name: str, end: bool) -> None:
        if not (name == "p" and self._lead):  # the bullet stays with its text
            self._gap = max(self._gap, 2 if name in _PARAGRAPHS else 1)
        if name == "pre":
            self._pre = max(0, self._pre + (-1 if end else 1))
        elif name == "tr":
            self._cells = 0
        elif name in {"ul", "ol"}:
            self._list(name, end)
        elif name == "li" and not end:
            self._item()

    def _list(self, name: str, end: bool) -> None:
        if end:
            if self._lists:
                self._lists.pop()
        else:
            self._lists.append(0 if name == "ol" else -1)
        if len(self._lists) > (0 if end else 1):
            self._gap = 1  # a list in a list is no paragraph of its own

    def _item(self) -> None:
        mark = "- "
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
            mark = f"{self._lists[-1]}. "
        self._lead = "  " * min(len(self._lists) - 1, _MAX_LIST_DEPTH) + mark

    def _break(self) -> None:
        if self._gap or not self._line:
            self._gap = 2
        else:
            self._gap = 1

    def _words(self, text: str) -> None:
        words = text.split()
        if not words:
            self._blank = self._blank or bool(text)
            return
        self._put(" ".join(words), before=self._blank or text[0].isspace())
        self._blank = text[-1].isspace()

    def _put(self, text: str, before: bool = False) -> None:
        if self._gap:
            self._flush()
        if self._lead:
            self._flush()
            self._line.append(self._lead)
            self._lead = ""
        elif before and self._line:
            self._line.append(" ")
        self._line.append(text)
        if self._link:
            self._link[1].append(text)

    def _end_link(self) -> None:
        if not self._link:
            return
        (href, texts), self._link = self._link, None
        shown = " ".join("".join(texts).split())
        if not _LINKED.match(href) or _bare(shown) == _bare(href):
            return
        self._put(f"({href})" if shown else href, before=True)

    def _flush(self) -> None:
        if self._line:
            self._lines.append("".join(self._line).rstrip())
        if self._gap == 2 and self._lines and self._lines[-1]:
            self._lines.append("")
        self._line, self._gap, self._blank = [], 0, False


def _bare(url: str) -> str:
    """What a reader takes for the same address: without scheme, `www.` and a last slash."""
    return re.sub(r"^(?:(?:https?://|mailto:|tel:)?(?:www\.)?)", "", url.lower()).rstrip("/")
