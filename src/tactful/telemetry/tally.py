"""What is recorded in the store, counted from the moment this began, whoever did it.

The facts are read on in their order, by sequence number, whenever somebody asks: nothing is counted
twice, nothing is missed, and nothing is paid while nobody looks. A look reads at most `look_max`
facts; what is left is said (`tactful_events_unread`) and read by the next one.

How much one person gets is asked of the attempts themselves, for those who got something since the
last look: of more than `PEOPLE_MAX`, for those who got most. Whoever has had most stays under watch
until it is over an hour ago. Who they are is never told.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import product
from typing import Final

from tactful.core.lifecycle import WENT_OUT
from tactful.core.model import HOUR, SECOND, Millis
from tactful.ports import Fact, Store
from tactful.telemetry.catalogue import BY_RULE, COUNTED, OTHER
from tactful.telemetry.declared import Declared, Names
from tactful.telemetry.histograms import LONG_S, MESSAGES, Histogram
from tactful.telemetry.samples import Labels, Samples

PAGE: Final = 2_000
LOOK_MAX: Final = 100_000
PEOPLE_MAX: Final = 1_000
WATCHED_MAX: Final = 100

WORDS: Final = {
    "digested": "digested",
    "superseded": "collapsed",
    "deferred": "deferred",
    "rejected": "rejected",
    "suppressed": "suppressed",
    "expired": "expired",
    "cancelled": "cancelled",
    "retry": "retried",
    "unanswered": "retried",
    "failed": "failed",
    "quarantined": "failed",
    "unknown": "unknown",
    "delivered": "delivered",
    "lost": "lost",
    "bounced": "bounced",
    "complained": "complained",
    "opened": "opened",
    "clicked": "clicked",
}
"""Name of an event -> the word it is counted under; `admitted` and `sent` are worked out."""

ALONE: Final = {
    "unsubscribed": "tactful_unsubscribed_total",
    "listener.failed": "tactful_listener_failures_total",
    "endpoint.failed": "tactful_endpoint_failures_total",
    "clock.corrected": "tactful_clock_corrections_total",
}
"""Name of an event -> the metric without labels that counts it."""

CHANGED: Final = ".changed"
WAITED: Final = ("false", "true")
_ENGAGED: Final = frozenset({"opened", "clicked"})
_PEOPLE: Final = (None, "person")
_WENT_OUT: Final = frozenset(state.value for state in WENT_OUT)
_MAY_HAVE_REACHED: Final = frozenset({"unanswered", "unknown", "quarantined"})


class Tally:
    """Counts what happens in one store; safe to use from many threads.

    `channels` are the names of those that there are, `now` gives the instant for questions. One
    look reads at most `look_max` facts, `page` at a time. Raises Unavailable.
    """

    def __init__(
        self,
        store: Store,
        channels: Collection[str],
        now: Callable[[], Millis],
        *,
        look_max: int = LOOK_MAX,
        page: int = PAGE,
    ) -> None:
        self._look_max = look_max
        self._page = page
        self._store = store
        self._declared = Declared(channels)
        self._names = Names(frozenset(), frozenset(), frozenset(channels))
        self._now = now
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[Labels]] = {word: Counter() for word in COUNTED}
        self._alone = dict.fromkeys(ALONE.values(), 0)
        self._changes: Counter[Labels] = Counter()
        self._delays: dict[Labels, Histogram] = {
            pair: Histogram(LONG_S) for pair in product((*channels, OTHER), WAITED)
        }
        self._people = Histogram(MESSAGES)
        self._watched: list[str] = []
        self._most = 0
        self._unread = 0
        with store.reading() as reader:
            self._after = reader.last_event()

    def look(self) -> None:
        """Read on from where the last look ended."""
        with self._lock:
            reached: Counter[str] = Counter()
            left = self._look_max
            while left > 0:
                with self._store.reading() as reader:
                    names = self._names = self._declared.names(reader)
                    page = reader.facts(after=self._after, limit=min(self._page, left))
                    self._unread = reader.last_event() - self._after
                if not page:
                    break
                reached.update(fact.recipient for fact in page if self._count(fact, names))
                self._after = page[-1].seq
                self._unread = max(0, self._unread - len(page))
                left -= len(page)
            self._ask_for([who for who, _ in reached.most_common(PEOPLE_MAX)])

    def tell(self, samples: Samples) -> None:
        """Say what has been counted so far."""
        with self._lock:
            for word, counts in self._counts.items():
                samples.put_all(f"tactful_{word}_total", self._nothing(word) | dict(counts))
            for name, count in self._alone.items():
                samples.put(name, count)
            samples.put_all("tactful_policy_changes_total", self._changes)
            samples.put_histograms("tactful_end_to_end_seconds", self._delays)
            samples.put_histograms("tactful_messages_per_person_last_hour", {(): self._people})
            samples.put("tactful_messages_per_person_last_hour_max", self._most)
            samples.put("tactful_events_unread", self._unread)

    def _nothing(self, word: str) -> dict[Labels, float]:
        """Zeros from the beginning: no rate sees the first step of a series that begins with it."""
        rule = ("",) if word in BY_RULE else ()
        pairs = product({*self._names.types, OTHER}, self._names.channels)
        return {(*pair, *rule): 0.0 for pair in pairs}

    def _count(self, fact: Fact, names: Names) -> bool:
        """Count one fact; whether somebody has, or may have, got a message by it."""
        alone = ALONE.get(fact.name)
        if alone is not None:
            self._alone[alone] += 1
            return False
        if not fact.delivery_id:
            if fact.name.endswith(CHANGED):
                self._changes[fact.name.removesuffix(CHANGED),] += 1
            return False
        terms = names.terms(fact)
        words = _words(fact)
        for word in words:
            self._counts[word][terms if word in BY_RULE else terms[:2]] += 1
        if "sent" not in words:
            return fact.name in _MAY_HAVE_REACHED
        waited = WAITED["deferred" in fact.earlier]
        delay_s = max(0, fact.at - fact.created_at) / SECOND
        self._delays[terms[1], waited].observe(delay_s)
        return True

    def _ask_for(self, people: Iterable[str]) -> None:
        """Ask how much these and those under watch have had."""
        fresh = list(people)
        wanted = list({*fresh, *self._watched})
        had: dict[str, int] = {}
        if wanted:
            with self._store.reading() as reader:
                found = reader.history(wanted, self._now() - HOUR)
            had = {who: len(entries) for who, entries in found.items()}
        for who in fresh:
            if who in had:
                self._people.observe(had[who])
        ranked = sorted(had, key=lambda who: had[who], reverse=True)
        self._watched = ranked[:WATCHED_MAX]
        self._most = had[ranked[0]] if ranked else 0


def _words(fact: Fact) -> list[str]:
    """What one fact is counted as: its own word, and what it says by being the first of its kind.

    A channel that knows of the arrival at once makes a delivery `delivered` without any `sent`.
    What a program opened (`by`) is not counted.
    """
    words = [WORDS[fact.name]] if fact.name in WORDS else []
    if fact.name in _ENGAGED and fact.by not in _PEOPLE:
        return []
    if not fact.earlier:
        words.append("admitted")
    if fact.name in _WENT_OUT and _WENT_OUT.isdisjoint(fact.earlier):
        words.append("sent")
    return words
