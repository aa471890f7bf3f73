"""A ledger beside the store: histories that were read once, kept close at hand.

The store is the truth, and what counts is read from it. But the attempts of weeks change no more,
and reading hundreds of them row by row at each decision is dear. So their history up to some
instant, the settled part, may be kept somewhere cheaper under the edition (`Tx.editions`) that it
was read in, and only what came later is read from the store. The edition is read in the very
transaction that decides: where the settled part has changed it is another one, and what is kept
under the old one is not found any more. A ledger may forget anything at any time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from tactful.core.model import MINUTE, Entry, Millis

SETTLED_MS: Final = 2 * MINUTE
"""How old an attempt must be to belong to the settled part.

Nobody writes down a new one that is as old: what stood still for so long between its decision and
its commit has no permit left.
"""


class Settled(NamedTuple):
    """The attempts that count after `since` and until `until` (included), ascending."""

    since: Millis
    until: Millis
    entries: Sequence[Entry]


class Editions(Protocol):
    """What a store says about the settled parts of histories."""

    def editions(self, recipients: Sequence[str]) -> dict[str, int]:
        """Of guarded recipients: the edition that what is settled of their history is in.

        It is another one once an attempt that is older than `SETTLED_MS` counts no more, or has
        become somebody else's, or was restamped; and no other store has the same. Empty where the
        store keeps none.
        """
        ...


class Ledger(Protocol):
    """Keeps settled histories. Safe to use from many threads.

    `where` is for people to see: without a password.
    """

    where: str

    def load(self, editions: Mapping[str, int]) -> dict[str, Settled]:
        """What is kept for these recipients under these editions. Raises Unavailable."""
        ...

    def keep(self, histories: Mapping[str, tuple[int, Settled]], for_ms: Millis) -> None:
        """Keep each recipient's settled part under its edition, for so long. Raises Unavailable."""
        ...

    def close(self) -> None:
        """Let go of it; harmless when repeated."""
        ...
