"""Engines that are broken on purpose: each has one verb of its store that does something else.

The engine cannot tell; the judges look at the store itself and at the other end of the channels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

from tactful.core.model import Entry, Millis, Recipient, State
from tactful.ports import Hear, Lease, Reader, Result, Store, Tx, Verdict

Verb = Callable[..., Any]
Bends = Mapping[str, Callable[..., Any]]
"""By the name of a verb: what is done instead, given the verb and its arguments."""


class Bent:
    """A reading or a transaction of which some verbs are bent."""

    def __init__(self, inner: Reader, bends: Bends) -> None:
        self._inner = inner
        self._bends = bends

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._inner, name)
        bend = self._bends.get(name)
        return verb if bend is None else partial(bend, verb)


class BentStore:
    """A store whose readings and transactions are bent."""

    def __init__(self, store: Store, bends: Bends) -> None:
        self.url = store.url
        self._store = store
        self._bends = bends

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Tx]:
        with self._store.transaction(durable=durable) as tx:
            yield cast("Tx", Bent(tx, self._bends))

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        with self._store.reading() as reader:
            yield cast("Reader", Bent(reader, self._bends))

    def time(self) -> Millis | None:
        return self._store.time()

    def listen(self, hear: Hear) -> None:
        self._store.listen(hear)

    def join(self, alone: Callable[[], None] | None = None) -> bool:
        return self._store.join(alone)

    def close(self) -> None:
        self._store.close()


# Bugs -----------------------------------------------------------------------------------------


def forgets_the_newest_attempt() -> Bends:
    def history(verb: Verb, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        return {key: entries[:-1] for key, entries in verb(recipients, since).items()}

    return {"history": history}


def ends_each_window_a_millisecond_early() -> Bends:
    def history(verb: Verb, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        found = verb(recipients, since)
        return {key: [Entry(e.at - 1, e.kind) for e in entries] for key, entries in found.items()}

    return {"history": history}


def does_not_see_who_waits() -> Bends:
    return {"lines": lambda verb, recipients, view: {}}


def claims_only_the_first_of_a_digest() -> Bends:
    def begin(verb: Verb, claims: Sequence[tuple[str, int]]) -> list[str]:
        verb(claims)
        return [delivery_id for delivery_id, _ in claims]

    return {"extend": lambda verb, *arguments: None, "begin": begin}


def lets_leases_end_at_once() -> Bends:
    def lease(verb: Verb, leases: Sequence[Lease]) -> None:
        verb([lease._replace(until=lease.attempt.at) for lease in leases])

    return {"lease": lease}


def counts_an_attempt_only_after_its_answer() -> Bends:
    pending: dict[tuple[str, int], tuple[str, Entry]] = {}

    def lease(verb: Verb, leases: Sequence[Lease]) -> None:
        verb(leases)
        for one in (lease.attempt for lease in leases):
            pending[one.delivery_id, one.number] = (one.recipient, Entry(one.at, one.kind))

    def settle(verb: Verb, results: Sequence[Result], verdicts: Sequence[Verdict]) -> Any:
        for verdict in verdicts:
            pending.pop((verdict.delivery_id, verdict.number), None)
        return verb(results, verdicts)

    def history(verb: Verb, recipients: Sequence[str], since: Millis) -> dict[str, list[Entry]]:
        hidden = set(pending.values())
        found = verb(recipients, since)
        return {
            key: [entry for entry in entries if (key, entry) not in hidden]
            for key, entries in found.items()
        }

    return {"lease": lease, "settle": settle, "history": history}


def does_not_write_down_that_a_hand_over_begins() -> Bends:
    return {"begin": lambda verb, claims: [delivery_id for delivery_id, _ in claims]}


def forgets_the_answer_to_a_key() -> Bends:
    return {"remembered": lambda verb, keys: {}}


def has_its_days_in_utc() -> Bends:
    def recipients_by_key(verb: Verb, keys: Sequence[str]) -> dict[str, Recipient]:
        return {key: replace(person, timezone="UTC") for key, person in verb(keys).items()}

    return {"recipients_by_key": recipients_by_key}


def gives_a_slot_back_without_proof() -> Bends:
    def settle(verb: Verb, results: Sequence[Result], verdicts: Sequence[Verdict]) -> Any:
        return verb(results, [v._replace(counts=v.outcome == "accepted") for v in verdicts])

    return {"settle": settle}


def collapses_into_the_oldest() -> Bends:
    def settle(verb: Verb, results: Sequence[Result], verdicts: Sequence[Verdict]) -> Any:
        swapped = [
            result._replace(
                delivery_id=(result.reason or "").removeprefix("superseded by "),
                reason=f"superseded by {result.delivery_id}",
            )
            if result.state is State.SUPERSEDED
            else result
            for result in results
        ]
        return verb(swapped, verdicts)

    return {"settle": settle}


def does_not_keep_its_throughput() -> Bends:
    return {"set_cells": lambda verb, cells: None}


def reads_its_rules_once() -> Bends:
    first: list[int] = []

    def policies(verb: Verb, kind: str) -> Any:
        found = verb(kind)
        if kind == "rule" and found and not first:
            first.append(max(policy.version for policy in found))
        return found

    def epoch(verb: Verb) -> int:
        return first[0] if first else verb()

    return {"policies": policies, "epoch": epoch}


def forgets_who_does_not_want_it() -> Bends:
    def recipients_by_key(verb: Verb, keys: Sequence[str]) -> dict[str, Recipient]:
        return {key: replace(person, mute=()) for key, person in verb(keys).items()}

    return {"recipients_by_key": recipients_by_key}


def loses_what_failed() -> Bends:
    """What is to be tried again never becomes due; like a row that fell out of the queue."""

    def settle(verb: Verb, results: Sequence[Result], verdicts: Sequence[Verdict]) -> Any:
        failed = {verdict.delivery_id for verdict in verdicts if verdict.outcome == "retry"}
        never = 1 << 61
        return verb(
            [
                r._replace(due_at=never) if r.delivery_id in failed and r.due_at else r
                for r in results
            ],
            verdicts,
        )

    return {"settle": settle}


BUGS: Mapping[str, Callable[[], Bends]] = {
    make.__name__.replace("_", " "): make
    for make in (
        forgets_the_newest_attempt,
        ends_each_window_a_millisecond_early,
        does_not_see_who_waits,
        claims_only_the_first_of_a_digest,
        lets_leases_end_at_once,
        counts_an_attempt_only_after_its_answer,
        does_not_write_down_that_a_hand_over_begins,
        forgets_the_answer_to_a_key,
        has_its_days_in_utc,
        gives_a_slot_back_without_proof,
        collapses_into_the_oldest,
        does_not_keep_its_throughput,
        reads_its_rules_once,
        forgets_who_does_not_want_it,
        loses_what_failed,
    )
}
