"""Links in mails that tell what became of them: the open pixel and the click redirect.

Both carry a token (`engine.links.tokens`). Where a click leads stands inside the token and nowhere
else: there is nothing to redirect to that we did not sign, and nothing to look up.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from tactful.core.errors import ConfigError
from tactful.engine.links.markup import replace_links, web_url
from tactful.engine.links.tokens import Tokens
from tactful.ports import Delivery

OPEN: Final = "open"
CLICK: Final = "click"


class Click(NamedTuple):
    """What the token of a link says: whose mail it was in, as which of how many, and the target."""

    delivery_id: str
    number: int
    links: int
    url: str


def checked_base(url: str) -> str:
    """A base URL without the slash at its end; raises ConfigError."""
    found = web_url(url) if isinstance(url, str) else None
    parts = urlsplit(found or "")
    if found is None or found != url or parts.query or parts.fragment or "@" in parts.netloc:
        raise ConfigError("tracking: must be a URL such as https://example.com, without a query")
    return found.rstrip("/")


class Tracking:
    """Puts pixel and links into the HTML of mails; the same mail gets the same ones again.

    `base` is the URL of the service, `ways` the channels whose HTML a person sees as a mail.
    Links that begin with one of `ours` are left alone.
    """

    def __init__(
        self, base: str, tokens: Tokens, ways: Collection[str], ours: Collection[str] = ()
    ) -> None:
        self._base = base
        self._tokens = tokens
        self._ways = frozenset(ways)
        self._ours = (f"{base}/t/", *ours)

    def html(self, html: str, delivery: Delivery) -> str:
        """The HTML part of a delivery's mail, with a pixel and with links that are counted."""
        if delivery.channel not in self._ways:
            return html

        def counted(number: int, count: int, url: str) -> str | None:
            if url.startswith(self._ours):
                return None
            body = f"{delivery.id}\n{number}\n{count}\n{url}"
            return f"{self._base}/t/c/{self._tokens.make(CLICK, body.encode())}"

        source = f"{self._base}/t/o/{self._tokens.make(OPEN, delivery.id.encode())}"
        pixel = f'<img src="{source}" width="1" height="1" alt="" style="border:0">'
        return replace_links(html, counted, pixel)


def read_open(tokens: Tokens, token: str) -> str:
    """The delivery that a pixel stands for; raises RequestError if we did not make it."""
    return tokens.read(OPEN, token).decode()


def read_click(tokens: Tokens, token: str) -> Click:
    """What a link stands for; raises RequestError if we did not make it."""
    delivery_id, number, links, url = tokens.read(CLICK, token).decode().split("\n", 3)
    return Click(delivery_id, int(number), int(links), url)
