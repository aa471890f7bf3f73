"""The histories that limits are decided on: from the store, or from it and a ledger beside it.

With a ledger the settled part (`ports.ledger`) is asked for there, for all recipients of a claim
at once, and the store for what came later. Whoever is not found there is read from the store as a
whole, and kept afterwards if it is worth it. So a ledger that has lost everything fills itself
again, and one that is out of reach costs the time that its question may take, once in `REST_MS`.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from tactful.core.errors import Contended, Unavailable
from tactful.core.model import SECOND, Entry, Millis
from tactful.engine.timekeeper import TOLERANCE_MS
from tactful.ports import SETTLED_MS, Ledger, Probe, Settled, Tx, Unwatched

LEAST: Final = 16
"""So many attempts are worth keeping, or keeping anew: fewer are read as quickly from the store."""

MOST: Final = 20_000
"""About so many attempts are kept after one claim: the others' turn comes with the next."""

REST_MS: Final = 5 * SECOND
"""How long a ledger that was out of reach is not asked."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Histories:
    """What was read for one decision: the history of each recipient that has any.

    `worth_keeping` are settled parts with their editions, for the ledger.
    """

    of: dict[str, list[Entry]] = field(default_factory=dict)
    worth_keeping: dict[str, tuple[int, Settled]] = field(default_factory=dict)


class Past:
    """Reads histories; safe to use from many threads. `running` is a clock that only runs."""

    def __init__(
        self,
        ledger: Ledger | None = None,
        running: Callable[[], Millis] = lambda: 0,
        probe: Probe | None = None,
        least: int = LEAST,
    ) -> None:
        self._ledger = ledger
        self._running = running
        self._probe = probe if probe is not None else Unwatched()
        self._least = least
        self._asked_from: Millis = 0

    def read(
        self, tx: Tx, recipients: Sequence[str], now: Millis, reach: Millis, longest: Millis
    ) -> Histories:
        """What counts of the last `reach` ms before `now`, and perhaps some that is older.

        `longest` is how far back any limit looks. Raises Contended if the clock was set forward
        while this transaction ran: it may not write down what others take for settled.
        """
        ledger = self._ledger
        editions = tx.editions(recipients) if ledger is not None else {}
        if ledger is None or not editions:
            return Histories(tx.history(recipients, now - reach))
        if tx.clock() > now + TOLERANCE_MS:
            raise Contended("ledger: the clock was set forward in the middle of a decision")
        since = now - longest
        known = {who: one for who, one in self._load(ledger, editions) if one.since <= since}
        unknown = [who for who in recipients if who not in known]
        found = Histories(tx.history(unknown, since) if unknown else {})
        parts = {who: Settled(since, since, ()) for who in found.of}
        if known:
            late = tx.history(list(known), min(one.until for one in known.values()))
            for who, one in known.items():
                entries = [*_after(one.entries, since), *_after(late.get(who, ()), one.until)]
                found.of[who] = entries
                parts[who] = one
        self._choose(found, editions, parts, since, now - SETTLED_MS)
        self._probe.happened("remembered", len(known), "ledger")
        self._probe.happened("looked_up", len(unknown), "ledger")
        return found

    def keep(self, found: Histories, for_ms: Millis) -> None:
        """Give the ledger what it did not have; to be called when nothing is locked any more."""
        if self._ledger is not None and found.worth_keeping and self._is_asked():
            try:
                self._ledger.keep(found.worth_keeping, for_ms)
            except Unavailable as error:
                self._rest(error)

    def close(self) -> None:
        """Let go of the ledger; harmless when repeated."""
        if self._ledger is not None:
            self._ledger.close()

    def _load(self, ledger: Ledger, editions: Mapping[str, int]) -> Sequence[tuple[str, Settled]]:
        if not self._is_asked():
            return ()
        try:
            return list(ledger.load(editions).items())
        except Unavailable as error:
            self._rest(error)
            return ()

    def _choose(
        self,
        found: Histories,
        editions: Mapping[str, int],
        parts: Mapping[str, Settled],
        since: Millis,
        until: Millis,
    ) -> None:
        """Note those of whom enough has settled since it was kept."""
        noted = 0
        for who, part in parts.items():
            entries = found.of[who]
            if len(entries) < self._least or noted > MOST:
                continue
            settled = bisect_left(entries, _edge(until))
            kept = bisect_left(entries, _edge(part.until))
            if settled - kept >= self._least:
                kept_now = Settled(since, until, entries[:settled])
                found.worth_keeping[who] = (editions[who], kept_now)
                noted += settled

    def _is_asked(self) -> bool:
        return self._running() >= self._asked_from

    def _rest(self, error: Unavailable) -> None:
        self._asked_from = self._running() + REST_MS
        self._probe.happened("out_of_reach", 1, "ledger")
        log.warning("%s; histories are read from the store for %d s", error, REST_MS // SECOND)


def _edge(after: Millis) -> Entry:
    """Sorts behind all entries up to an instant, and before all later ones."""
    return cast("Entry", (after + 1,))


def _after(entries: Sequence[Entry], since: Millis) -> Sequence[Entry]:
    return entries[bisect_left(entries, _edge(since)) :]
