"""What happens in a store, counted while it happens."""

from __future__ import annotations

from collections import Counter

from tactful.ports import Store

PAGE = 5_000


class Tally:
    """What happened since the last look, by the names of events, whoever did it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.reading() as reader:
            self._after = reader.last_event()
        self.total: Counter[str] = Counter()

    def news(self) -> Counter[str]:
        """Count on from where the last call ended."""
        found: Counter[str] = Counter()
        while True:
            with self._store.reading() as reader:
                page = reader.events(after=self._after, limit=PAGE)
            if not page:
                break
            found.update(event.name for event in page)
            self._after = page[-1].seq
        self.total += found
        return found


def in_words(counts: Counter[str]) -> str:
    """`deferred 2, sent 3`; empty if there is nothing."""
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
