"""The links that lead from a mail back to us: what makes them, and what reads them.

/t/o/TOKEN   the open pixel
/t/c/TOKEN   a link that is counted
/t/u/TOKEN   unsubscribing from a category
/t/p/TOKEN   the preference page
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tactful.engine.context import Context
from tactful.engine.links.preferences import Preferences
from tactful.engine.links.tokens import Tokens, change_secret, known_secrets, sure_secrets
from tactful.engine.links.tracking import Tracking, checked_base
from tactful.engine.links.unsubscribe import Unsubscribe

_PAGE: Final = "/t/u/{token}"


@dataclass(frozen=True, slots=True)
class Links:
    """The parts; `tracking` is None where nothing is tracked."""

    tokens: Tokens
    unsubscribe: Unsubscribe
    preferences: Preferences
    tracking: Tracking | None
    _context: Context
    _new_secret: Callable[[], str]

    def change_secret(self, *, forget: bool = False) -> None:
        """Sign the links of new mails with a new secret; those of earlier mails go on to work.

        With `forget` they do not. A process that runs signs with the old secret until it meets a
        link made with the new one, or is started again.
        """
        change_secret(self._context.store, self._new_secret(), forget=forget)
        self.tokens.look_again()


def links_of(
    context: Context,
    new_secret: Callable[[], str],
    unsubscribe: str | None = None,
    tracking: str | None = None,
) -> Links:
    """The links of an engine; `unsubscribe` and `tracking` are the settings of these names.

    Raises ConfigError, Unavailable.
    """
    base = checked_base(tracking) if tracking is not None else None
    if unsubscribe is None and base is not None and base.startswith("https:"):
        unsubscribe = base + _PAGE
    site = base
    if site is None and unsubscribe is not None and unsubscribe.endswith(_PAGE):
        site = unsubscribe.removesuffix(_PAGE)
    makes = unsubscribe is not None or base is not None
    secrets = sure_secrets(context.store, new_secret()) if makes else ()
    tokens = Tokens(secrets, lambda: known_secrets(context.store), context.running)
    way_out = Unsubscribe(context, tokens, unsubscribe)
    tracked = None
    if base is not None:
        mails = [name for name, way in context.channels.items() if way.address_kind == "email"]
        stem = (unsubscribe or "").partition("{token}")[0]
        tracked = Tracking(base, tokens, mails, [stem] if stem else [])
    return Links(tokens, way_out, Preferences(context, tokens, site), tracked, context, new_secret)
