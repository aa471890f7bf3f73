# /// script
# requires-python = ">=3.11"
# dependencies = ["hiredis==3.5.0", "pyrate-limiter==4.5.1", "redis==8.1.0"]
# ///
"""pyrate-limiter: a bucket for each person and rule.

One of its buckets can hold several rates, but only over the same events. Rules that count per
type, per channel and over everything need a bucket each. Buckets are made without the thread that
empties them now and then, which would only cost time here.
"""

from __future__ import annotations

from collections.abc import Callable

import measuring
from pyrate_limiter import (
    AbstractBucket,
    BucketFactory,
    Duration,
    InMemoryBucket,
    Limiter,
    Rate,
    RateItem,
    RedisBucket,
)
from pyrate_limiter.clocks import WallClock
from redis import Redis


class BucketPerPerson(BucketFactory):
    """Makes the bucket of a person when it is first asked for."""

    def __init__(self, make: Callable[[str], AbstractBucket]) -> None:
        self._make = make
        self._now = WallClock().now
        self._buckets: dict[str, AbstractBucket] = {}

    def wrap_item(self, name: str, weight: int = 1) -> RateItem:
        return RateItem(name, self._now(), weight=weight)

    def get(self, item: RateItem) -> AbstractBucket:
        found = self._buckets.get(item.name)
        if found is None:
            found = self._buckets[item.name] = self._make(item.name)
        return found


def main() -> None:
    job = measuring.job()
    server = Redis.from_url(job["broker"]) if job["store"] == "valkey" else None
    script = RedisBucket.init([Rate(1, 1)], server, "any").script_hash if server else ""

    def factory(what: str, rate: Rate) -> BucketFactory:
        if server is None:
            return BucketPerPerson(lambda _: InMemoryBucket([rate]))
        return BucketPerPerson(
            lambda person: RedisBucket([rate], server, f"{what}:{person}", script)
        )

    rules = [
        Limiter(factory(what, Rate(count, window)))
        for what, count, window in (
            ("shipping", 100, Duration.HOUR),
            ("email", 300, Duration.DAY),
            ("all", 500, Duration.DAY),
        )[: job["rules"]]
    ]

    def hit(person: str) -> bool:
        return all(rule.try_acquire(person, blocking=False) for rule in rules)

    measuring.report(measuring.decisions(hit, job))


if __name__ == "__main__":
    main()
