"""Unsubscribing with one click (RFC 2369 and RFC 8058).

The link carries a token (`engine.links.tokens`) that names the recipient and the category: nobody
can unsubscribe somebody else, and no log-in is needed.
"""

from __future__ import annotations

from typing import Final

from tactful.core.errors import ConfigError
from tactful.engine.context import Context
from tactful.engine.links.preferences import change_mutes
from tactful.engine.links.tokens import Tokens
from tactful.ports import Delivery

PURPOSE: Final = "unsubscribe"


class Unsubscribe:
    """Makes and honours unsubscribe links; `url` holds `{token}` where the token goes.

    Without a URL there are no links. Raises ConfigError if it is none.
    """

    def __init__(self, context: Context, tokens: Tokens, url: str | None = None) -> None:
        if url is not None and not (
            url.startswith("https://") and "{token}" in url and url.isascii()
        ):
            raise ConfigError("unsubscribe: must be an https URL with {token} in it")
        self._context = context
        self._tokens = tokens
        self.pattern = url

    def headers(self, delivery: Delivery) -> tuple[tuple[str, str], ...]:
        """`List-Unsubscribe` and `List-Unsubscribe-Post` for one delivery."""
        if self.pattern is None:
            return ()
        return (
            ("List-Unsubscribe", f"<{self.url(delivery.recipient, delivery.category)}>"),
            ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        )

    def url(self, recipient: str, category: str) -> str:
        """The link for one person, by id, and category; raises ConfigError without a URL."""
        if self.pattern is None:
            raise ConfigError("unsubscribe: no URL is configured")
        return self.pattern.replace("{token}", self.token(recipient, category))

    def token(self, recipient: str, category: str) -> str:
        """The token for one person, by id, and category."""
        return self._tokens.make(PURPOSE, f"{category}\n{recipient}".encode())

    def read(self, token: str) -> tuple[str, str]:
        """The (recipient, category) of a token; raises RequestError if we did not make it."""
        category, _, recipient = self._tokens.read(PURPOSE, token).decode().partition("\n")
        return recipient, category

    def redeem(self, token: str) -> tuple[str, str]:
        """Mute the category for the person; gives (recipient, category).

        Raises RequestError for a token that was not made here.
        """
        recipient, category = self.read(token)
        change_mutes(self._context, recipient, lambda mute: mute | {f"category:{category}"})
        return recipient, category
