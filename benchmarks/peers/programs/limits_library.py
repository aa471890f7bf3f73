# /// script
# requires-python = ">=3.11"
# dependencies = ["hiredis==3.5.0", "limits==5.8.0", "redis==8.1.0"]
# ///
"""The library `limits`: one moving window for each rule, asked one after the other.

`RedisStorage` runs one script for each rule. What an earlier rule has taken is not given back
when a later one refuses.
"""

from __future__ import annotations

import measuring
from limits import RateLimitItemPerDay, RateLimitItemPerHour
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter


def main() -> None:
    job = measuring.job()
    storage = RedisStorage(job["broker"]) if job["store"] == "valkey" else MemoryStorage()
    limiter = MovingWindowRateLimiter(storage)
    rules = [
        (RateLimitItemPerHour(100, namespace="type"), "shipping"),
        (RateLimitItemPerDay(300, namespace="channel"), "email"),
        (RateLimitItemPerDay(500, namespace="all"), "all"),
    ][: job["rules"]]

    def hit(person: str) -> bool:
        return all(limiter.hit(rule, person, what) for rule, what in rules)

    measuring.report(measuring.decisions(hit, job))


if __name__ == "__main__":
    main()
