"""A backtest of a million recorded deliveries on SQLite: how long, and how much memory.

    python -m benchmarks.backtest [--count 1000000] [--people 20000] [--keep FILE] [--json FILE]

The database holds what 30 days of traffic leave behind: a notification, a delivery, an attempt and
three events each, 50 for each person on average and five times as many for some, in bursts, from 6
in the morning to midnight where they live. It is written through the tables that `tactful copy`
fills, and not timed. Then `tactful backtest` runs once, as a process of its own, with two rules in
force and four proposed.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any, Final

from tactful import Recipient, Rule, Tactful
from tactful.core.model import DAY, HOUR, MINUTE
from tactful.stores.relational.copying import TABLES
from tactful.stores.sqlite.store import SqliteStore

SEED: Final = 20_260_601
DAYS: Final = 30
TARGET_S: Final = 60
KINDS: Final = (
    ("comment", "social", "inbox", 1, 50),
    ("like", "social", "inbox", 0, 25),
    ("news", "default", "email", 1, 15),
    ("offer", "marketing", "email", 0, 8),
    ("security", "account", "email", 3, 2),
)
ZONES: Final = (("Europe/Berlin", 2), ("America/New_York", -4), ("Asia/Kolkata", 5.5), ("UTC", 0))
IN_FORCE: Final = (
    Rule("social", "20/hour", categories=["social"], exempt=["critical"]),
    Rule("offers", "1/day", types=["offer"], on_limit="collapse"),
)
PROPOSED: Final = """
[rules.social]
limit = "5/hour"
categories = ["social"]
on_limit = "digest"

[rules.daily]
limit = "6/day calendar"
exempt = ["critical"]

[rules.offers]
limit = "2/7d"
types = ["offer"]
on_limit = "reject"

[rules.night]
quiet = "22:00-07:00"
exempt = ["critical"]
"""

Row = tuple[Any, ...]


def deliveries(count: int, people: int, start: int) -> list[tuple[int, int, int]]:
    """Who got what when, in the order of time: (instant, person, kind)."""
    random = Random(SEED)
    kinds = [weight for *_, weight in KINDS]
    shares = list(accumulate(random.lognormvariate(0, 0.7) for _ in range(people)))
    drawn: list[tuple[int, int, int]] = []
    while len(drawn) < count:
        person = bisect(shares, random.random() * shares[-1])
        hour = random.triangular(6, 24, 15) - ZONES[person % len(ZONES)][1]
        at = start + random.randrange(1, DAYS - 1) * DAY + int(hour * HOUR)
        for _ in range(min(int(random.expovariate(0.7)) + 1, count - len(drawn))):
            drawn.append((at, person, random.choices(range(len(KINDS)), kinds)[0]))
            at += random.randrange(10 * MINUTE)
    return sorted(drawn)


def fill(path: Path, count: int, people: int, now: int) -> None:
    """Write the database."""
    url = f"sqlite:///{path}"
    app = Tactful(url)
    app.rules.put(*IN_FORCE)
    app.recipients.put_many(
        Recipient(f"p{n}", email=f"p{n}@example.com", timezone=ZONES[n % len(ZONES)][0])
        for n in range(people)
    )
    app.close()
    start = now - DAYS * DAY
    drawn = deliveries(count, people, start)
    store = SqliteStore(url)
    by_name = {table.name: table for table in TABLES}
    with store.incoming() as tables:
        for name, row in (
            ("notifications", _notification),
            ("deliveries", _delivery),
            ("attempts", _attempt),
        ):
            tables.put(by_name[name], (row(*one) for one in enumerate(drawn)))
        tables.put(by_name["events"], _events(drawn))
    store.close()


def _id(number: int, at: int, kind: int) -> str:
    return f"{at:012x}7{kind:03x}8{number:015x}"


def _notification(number: int, one: Row) -> Row:
    at, _, kind = one
    type_, category, _, priority, _ = KINDS[kind]
    content = '{"subject":"Something has happened","text":"Somebody has said something new."}'
    end = at + 60 * DAY
    return (
        *(_id(number, at, 0), type_, category, priority, content, at, "[]", end, 0),
        *(None, 0, "{}", 0),
    )


def _delivery(number: int, one: Row) -> Row:
    at, person, kind = one
    type_, category, channel, priority, _ = KINDS[kind]
    key, name = _id(number, at, 1), f"p{person}"
    return (
        *(key, _id(number, at, 0), name, channel, f"{name}@example.com", type_, category),
        *(priority, at, at + 60 * DAY, "delivered", None, None, 1, 0, 0, at + 90),
        *(None, None, None, None),
    )


def _attempt(number: int, one: Row) -> Row:
    at, person, kind = one
    type_, category, channel, priority, _ = KINDS[kind]
    key = _id(number, at, 1)
    return (
        *(f"p{person}", at + 40, key, 1, type_, category, channel, priority, 1),
        *("accepted", None),
    )


def _events(drawn: Sequence[Row]) -> Iterator[Row]:
    seq = 1_000
    for number, (at, _, _) in enumerate(drawn):
        key = _id(number, at, 1)
        for later, name in ((0, "accepted"), (60, "sent"), (90, "delivered")):
            seq += 1
            yield seq, name, key, at + later, None, None, None


def measure(path: Path) -> dict[str, Any]:
    """One run of the command."""
    rules = path.with_name("proposed.toml")
    rules.write_text(PROPOSED, encoding="utf-8")
    store = f"sqlite:///{path}"
    words = ["backtest", "--rules", str(rules), "--since", f"{DAYS}d", "--store", store, "--json"]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tactful", *words], check=True, capture_output=True
    )
    wall = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    return {
        "benchmark": "backtest",
        "deliveries": sum(found["recorded"]["outcomes"].values()),
        "people": found["people"],
        "in_force": found["in_force"]["outcomes"],
        "proposed": found["proposed"]["outcomes"],
        "database_mib": round(path.stat().st_size / 2**20),
        "wall_s": round(wall, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "target_s": TARGET_S,
        "resident_mib": used.ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="A backtest of many recorded deliveries.")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--keep", type=Path, help="keep the database here; used if it is there")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    now = int(time.time() * 1000)
    with tempfile.TemporaryDirectory() as folder:
        path = options.keep or Path(folder, "notify.db")
        if not path.exists():
            fill(path, options.count, options.people, now)
        figures = json.dumps(measure(path))
    print(figures)
    if options.json is not None:
        options.json.write_text(figures + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
