"""Who is measured, at what, and in which order: one after the other, never two at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import Any, NamedTuple

from benchmarks.peers import tactful_itself
from benchmarks.peers.environments import Unavailable
from benchmarks.peers.workshop import Failed, Workshop

PEERS = ("tactful", "celery", "post-office", "cue", "limits", "throttled", "pyrate")
FULL_COUNT = 20_000
LEAST_COUNT = 200

MAILS_OF_PEERS = 1_500
ASKED = {"memory": 50_000, "Valkey": 4_000, "SQLite": 2_000}
"""Decisions in a round at full count, by where the limiter keeps its state."""
ASKED_OF_EACH = 10

CELERY = {
    "connect": "Celery, a connection for each mail",
    "keep": "Celery, connection kept",
    "lean": "Celery, connection kept, older email classes",
}
OWN_DECISIONS = (
    (tactful_itself.decide_in_memory, "Tactful, decide", "memory", ASKED["memory"]),
    (tactful_itself.submit_one_by_one, "Tactful, send", "SQLite", ASKED["SQLite"]),
    (tactful_itself.submit_in_bulk, "Tactful, send_many", "SQLite", 5 * ASKED["SQLite"]),
)
LIBRARIES = {
    "limits": ("limits_library", "limits, moving window"),
    "throttled": ("throttled_library", "throttled-py, GCRA"),
    "pyrate": ("pyrate_library", "pyrate-limiter, log"),
}

Figures = dict[str, Any]


class Trial(NamedTuple):
    """One row to measure. `where` is the database, or where a limiter keeps its state."""

    peer: str
    kind: str
    name: str
    where: str
    rules: int
    measure: Callable[[Workshop], Figures]


def run(chosen: Collection[str], count: int) -> tuple[list[Figures], list[Figures], dict[str, str]]:
    """The figures of the chosen peers, what is missing and why, and the versions of servers."""
    runs: list[Figures] = []
    missing: list[Figures] = []
    with Workshop() as workshop:
        for trial in (*pipelines(count), *decisions(count)):
            if trial.peer not in chosen:
                continue
            head: Figures = trial._asdict()
            measure = head.pop("measure")
            print(*head.values(), sep="  ", file=sys.stderr, flush=True)
            try:
                runs.append(head | measure(workshop))
            except (Unavailable, Failed) as error:
                failed = isinstance(error, Failed)
                missing.append(head | {"reason": str(error), "failed": failed})
        return runs, missing, workshop.versions


def pipelines(count: int) -> Iterator[Trial]:
    """From submission to the record of the last mail's acceptance."""
    for database, pipeline in tactful_itself.PIPELINES.items():
        own = partial(pipeline, count=count)
        yield Trial("tactful", "pipeline", "Tactful", database, 3, own)
    mails = max(20, count * MAILS_OF_PEERS // FULL_COUNT)
    celery = partial(Workshop.pipeline, program="celery_pipeline", broker=True, count=mails)
    django = partial(Workshop.pipeline, program="django_queue", count=mails)
    for database in ("SQLite", "PostgreSQL"):
        for variant, name in CELERY.items():
            measure = partial(celery, variant=variant, database=database)
            yield Trial("celery", "pipeline", name, database, 3, measure)
    for database in ("SQLite", "PostgreSQL"):
        measure = partial(django, database=database)
        yield Trial(
            "post-office", "pipeline", "django-post_office, no limits", database, 0, measure
        )


def decisions(count: int) -> Iterator[Trial]:
    """Whether a person may get one more: asked, and remembered. Who is compared comes together."""

    def work(asked: int) -> Figures:
        asked = max(100, asked * count // FULL_COUNT)
        return {"count": asked, "people": asked // ASKED_OF_EACH}

    def library(peer: str, where: str, rules: int) -> Trial:
        program, name = LIBRARIES[peer]
        job = work(ASKED[where]) | {"store": where.lower(), "rules": rules}
        measure = partial(Workshop.decisions, program=program, job=job)
        return Trial(peer, "decisions", name, where, rules, measure)

    for rules in (1, 3):
        for own, name, where, asked in OWN_DECISIONS:
            measure = partial(own, rules=rules, work=work(asked))
            yield Trial("tactful", "decisions", name, where, rules, measure)
            if where == "memory":
                yield from (library(peer, where, rules) for peer in LIBRARIES)
        yield from (library(peer, "Valkey", rules) for peer in LIBRARIES)
        job = work(ASKED["SQLite"]) | {"store": "sqlite", "rules": rules}
        measure = partial(Workshop.decisions, program="cue_gate", job=job)
        yield Trial("cue", "decisions", "cue-notify, Gate.check", "SQLite", rules, measure)
