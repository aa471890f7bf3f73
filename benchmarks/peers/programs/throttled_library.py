# /// script
# requires-python = ">=3.11"
# dependencies = ["hiredis==3.5.0", "redis==8.1.0", "throttled-py==3.5.0"]
# ///
"""throttled-py with its quickest algorithm, GCRA, which spaces out instead of counting a window.

Its memory store forgets people beyond 1,024 unless it is told otherwise; here it may keep all.
"""

from __future__ import annotations

import measuring
from throttled import (
    MemoryStore,
    RateLimiterType,
    RedisStore,
    Throttled,
    per_day,
    per_hour,
)


def main() -> None:
    job = measuring.job()
    if job["store"] == "valkey":
        store: MemoryStore | RedisStore = RedisStore(server=job["broker"])
    else:
        store = MemoryStore(options={"MAX_SIZE": 10_000_000})
    rules = [
        (Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=store), what)
        for quota, what in (
            (per_hour(100, burst=100), "shipping"),
            (per_day(300, burst=300), "email"),
            (per_day(500, burst=500), "all"),
        )[: job["rules"]]
    ]

    def hit(person: str) -> bool:
        return not any(rule.limit(f"{what}:{person}").limited for rule, what in rules)

    measuring.report(measuring.decisions(hit, job))


if __name__ == "__main__":
    main()
