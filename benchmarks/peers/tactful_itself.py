"""Tactful, measured like its peers: the same mails, rules and templates.

A pipeline is a function from the workshop (which has servers) and a number of mails to figures. To
measure another store, or more workers, write one and enter it in `PIPELINES`; `cpu_us_each` may
then name the processes and servers one by one, as the peers' figures do.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Any

from benchmarks import end_to_end, on_postgres
from benchmarks.peers.programs import measuring
from benchmarks.peers.workshop import PER_RECIPIENT, WARM_UP, Workshop

from tactful import Rule, Tactful
from tactful.core.checks import compile_checks
from tactful.core.decide import Subject, decide
from tactful.core.model import Entry, Kind, Priority, Send

Figures = dict[str, Any]

RULES = (
    Rule("per-type", types=["shipping"], limit="100/hour"),
    Rule("per-channel", per="recipient+channel", limit="300/day"),
    Rule("per-day", limit="500/day"),
)
PORTION = 500


def on_sqlite(_: Workshop, count: int) -> Figures:
    """One process admits, decides, renders, sends and records."""
    for mails in (WARM_UP, count):
        with tempfile.TemporaryDirectory() as folder:
            found = end_to_end.run(mails, mails // PER_RECIPIENT, "c", Path(folder))
    return {
        "count": count,
        "processes": 1,
        "wall_s": found["wall_s"],
        "per_second": found["per_second"],
        "cpu_us_each": {"workers": found["cpu_us_each"]},
    }


def on_two_workers(_: Workshop, count: int) -> Figures:
    """One process admits, two decide, render, send and record; PostgreSQL waits for its disk."""
    with tempfile.TemporaryDirectory() as folder:
        found = on_postgres.run(count, count // PER_RECIPIENT, 2, Path(folder))
    return {
        "count": count,
        "processes": 2,
        "wall_s": found["wall_s"],
        "per_second": found["per_second"],
        "cpu_us_each": {
            "producer": found["submitter_us_each"],
            "workers": found["workers_us_each"],
            "database": found["postgresql_us_each"],
        },
    }


PIPELINES: dict[str, Callable[..., Figures]] = {"SQLite": on_sqlite, "PostgreSQL": on_two_workers}
"""By the name of the database: what is called with the workshop and `count`."""


def decide_in_memory(_: Workshop, rules: int, work: dict[str, int]) -> Figures:
    """The decision alone, and the attempt noted in a list: what a limiter in memory does."""
    kind = Kind("shipping", "default", "email", Priority.NORMAL)
    checks = compile_checks(RULES[:rules], kind)
    subject = Subject(kind, UTC)
    histories: dict[str, list[Entry]] = {}

    def hit(person: str) -> bool:
        now = time.time_ns() // 1_000_000
        history = histories.setdefault(person, [])
        if type(decide(subject, history, (), checks, now)) is not Send:
            return False
        history.append(Entry(now, kind))
        return True

    return measuring.decisions(hit, work)


def submit_one_by_one(_: Workshop, rules: int, work: dict[str, int]) -> Figures:
    """`send`: the decision, the delivery and its history are on disk when it returns."""
    with _engine(rules) as app:

        def hit(person: str) -> bool:
            receipt = app.send(type="shipping", to=person, subject="Shipped", text="On its way.")
            return bool(receipt.decision == "send")

        return measuring.decisions(hit, work)


def submit_in_bulk(_: Workshop, rules: int, work: dict[str, int]) -> Figures:
    """`send_many` with 500 at a time: the same, with one commit for all of them."""
    rates = []
    with _engine(rules) as app:
        for number in range(measuring.ROUNDS + 1):
            asked: list[Any] = [
                {
                    "type": "shipping",
                    "to": f"round{number}-person{n % work['people']}@example.com",
                    "subject": "Shipped",
                    "text": "On its way.",
                }
                for n in range(work["count"])
            ]
            began = time.perf_counter()
            receipts = [
                receipt
                for start in range(0, len(asked), PORTION)
                for receipt in app.send_many(asked[start : start + PORTION])
            ]
            rates.append(len(asked) / (time.perf_counter() - began))
            assert all(receipt.decision == "send" for receipt in receipts)
    return {"per_second": round(statistics.median(rates[1:]))}


@contextmanager
def _engine(rules: int) -> Iterator[Tactful]:
    """An engine on a SQLite file that admits and decides, and sends nothing."""
    with tempfile.TemporaryDirectory() as folder:
        app = Tactful(f"sqlite:///{folder}/decisions.db")
        for rule in RULES[:rules]:
            app.rules.put(rule)
        try:
            yield app
        finally:
            app.close()
