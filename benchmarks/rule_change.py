"""What a change of the rules costs while many wait: itself, and a `send` beside it.

So many deliveries are held by a rule. One thread sends to others all the time, another one changes
the rule; then what waits is made due for a new decision, as a worker does.

    python -m benchmarks.rule_change [--held 600000] [--store sqlite|postgresql] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.on_postgres import SETTINGS

from tactful import Rule, Tactful
from tactful.core.model import DAY, Content, Millis, Priority, State
from tactful.engine.replanning import carry_on
from tactful.ports import Delivery, Notification, Tx
from tactful.testing.servers.postgres import PostgresServer

STORES: Final = ("sqlite", "postgresql")
PORTION: Final = 20_000
EACH: Final = 3
RULE: Final = "one"
REST_S: Final = 0.02


def wall_ms() -> Millis:
    return time.time_ns() // 1_000_000


def hold(app: Tactful, count: int) -> None:
    """So many wait for tomorrow, three for each person."""
    now = wall_ms()
    many = f"{now:012x}8{0:019x}"
    content = Content(text="News.")
    news = Notification(many, "news", "default", Priority.NORMAL, content, now, ("inbox",))
    with app.store.transaction() as tx:
        tx.add_notifications([news])
    for start in range(0, count, PORTION):
        rows = [
            Delivery(
                f"{now:012x}7{number:019x}",
                many,
                f"p{number // EACH:07}",
                "inbox",
                "",
                "news",
                "default",
                Priority.NORMAL,
                now,
                State.DEFERRED,
                due_at=now + DAY,
                rule=RULE,
                held=True,
                decided=True,
                updated_at=now,
            )
            for number in range(start, min(start + PORTION, count))
        ]
        with app.store.transaction() as tx:
            tx.add_deliveries(rows)


class Beside:
    """Somebody who sends all the time; `slowest_s` is the longest that a `send` took."""

    def __init__(self, app: Tactful) -> None:
        self._app = app
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._send)
        self.slowest_s = 0.0

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _send(self) -> None:
        number = 0
        while not self._done.wait(REST_S):
            began = time.perf_counter()
            self._app.send(type="other", to=f"other{number}", text="Beside it.")
            self.slowest_s = max(self.slowest_s, time.perf_counter() - began)
            number += 1


@contextmanager
def opened(store: str) -> Iterator[Tactful]:
    if store == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            app = Tactful(f"sqlite:///{folder}/notify.db")
            yield app
            app.close()
        return
    with PostgresServer(durable=True, settings=SETTINGS) as server:
        server.create_database("bench")
        app = Tactful(server.url("bench"))
        yield app
        app.close()


def run(store: str, count: int) -> dict[str, Any]:
    def clock(tx: Tx) -> Millis:
        return wall_ms()

    with opened(store) as app:
        hold(app, count)
        with Beside(app) as beside:
            time.sleep(1.0)
            began = time.perf_counter()
            app.rules.put(Rule(RULE, "1/day"))
            changing = time.perf_counter() - began
            steps: list[float] = []
            began = last = time.perf_counter()
            while carry_on(app.store, clock):
                steps.append(time.perf_counter() - last)
                last = time.perf_counter()
    return {
        "store": store,
        "held": count,
        "change_ms": round(changing * 1e3, 1),
        "slowest_send_beside_ms": round(beside.slowest_s * 1e3, 1),
        "steps": len(steps),
        "all_steps_s": round(last - began, 1),
        "slowest_step_ms": round(max(steps) * 1e3, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--held", type=int, default=600_000)
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    found = []
    for store in [options.store] if options.store else STORES:
        found.append(run(store, options.held))
        print(json.dumps(found[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(found, indent=2), "utf-8")


if __name__ == "__main__":
    main()
