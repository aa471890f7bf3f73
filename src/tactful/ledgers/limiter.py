"""Exact limits per recipient, shared by many processes, without an engine.

    limiter = Limiter("valkey://localhost:6379/0", rules=[Rule("status", "2/minute")])
    answer = limiter.acquire("ada@example.com", "status")
    if answer.granted: ...

Rules and what they mean are those of `core.rules`; the answers are those of `core.decide`. All
matching rules must agree, or nothing is written down. The server keeps one packed history for each
recipient, and one script call reads, decides and writes: no two askers come between each other.
Time is the server's, and never goes back for a recipient.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from struct import Struct
from typing import Final, NamedTuple, Self, TypeAlias

import orjson

from tactful.core.errors import ConfigError, RequestError, Unavailable
from tactful.core.model import Millis
from tactful.core.names import name_key, recipient_key
from tactful.core.rules import Rule
from tactful.ledgers.layout import SLOTS, bucket_of, prefixes
from tactful.ledgers.nodes import Call, Nodes, script
from tactful.ledgers.plan import Check, Plan

TIMEOUT_MAX_MS: Final = 60_000
BATCH: Final = 256
"""How many asks go into one call at most: more would only keep others waiting."""

_ROUNDS: Final = 16
_REFUSED, _GRANTED, _UNLIMITED = range(3)
_NOW: Final = Struct("<d")
_ANSWER: Final = Struct("<BHIdd")
_STEPS: Final = 1024
_ID: Final = re.compile(r"(\d{1,15})-(\d{1,4}):(.{1,320})", re.ASCII)

_Asked: TypeAlias = tuple[str, Check]
_Due: TypeAlias = tuple[int, Millis]


_ACQUIRE: Final = script("history.lua", "acquire.lua")
_RELEASE: Final = script("history.lua", "release.lua")


class Ask(NamedTuple):
    """What is asked for: one hand-over of this kind to this recipient.

    `zone` is the recipient's, for calendar windows.
    """

    recipient: str
    type: str
    priority: str | int = "normal"
    channel: str | None = None
    category: str = "default"
    zone: str = "UTC"


class Answer(NamedTuple):
    """What the rules say to one ask.

    If it was `granted`, `rule` is the one that leaves the least room and `remaining` how many more
    of the kind could go at once; both are None if no rule matches. If not, `rule` is the one that
    refused and `retry_at` the first instant at which all agree, None if that never comes.

    `at` is the instant of the decision on the server's clock. `id` is what `release` takes, None
    if nothing was written down. `checked` is False for an answer without the server
    (`on_down="allow"`): then `at` is 0.
    """

    granted: bool
    rule: str | None
    remaining: int | None
    at: Millis
    retry_at: Millis | None = None
    id: str | None = None
    checked: bool = True

    @property
    def retry_after_ms(self) -> Millis | None:
        """How long to wait from `at` until `retry_at`; None if granted, or if it never comes."""
        return None if self.retry_at is None else self.retry_at - self.at


_UNCHECKED: Final = Answer(granted=True, rule=None, remaining=None, at=0, checked=False)


class _Batch:
    """Asks that go into one call: their keys, and for each key what to check and for whom."""

    def __init__(self, bucket: int) -> None:
        self.bucket = bucket
        self.keys: dict[bytes, int] = {}
        self.turns: list[list[int]] = []
        self.places: list[list[int]] = []
        self.checks: dict[tuple[Check, Millis], int] = {}
        self.size = 0

    def add(self, key: bytes, place: int, check: tuple[Check, Millis]) -> None:
        number = self.keys.setdefault(key, len(self.turns))
        if number == len(self.turns):
            self.turns.append([])
            self.places.append([])
        self.turns[number].append(self.checks.setdefault(check, len(self.checks) + 1))
        self.places[number].append(place)
        self.size += 1

    def call(self, longest_ms: Millis) -> Call:
        checks = b",".join(check.text(instant) for check, instant in self.checks)
        plan = b'{"longest":%d,"checks":[%b]}' % (longest_ms, checks)
        return Call(SLOTS[self.bucket], list(self.keys), (plan, orjson.dumps(self.turns)))


class Limiter:
    """Limits on a Valkey or Redis server; may be used from many threads and processes.

    `url` is `valkey://`, `valkeys://` (TLS), `redis://` or `rediss://`, or one of them with
    `+cluster` for a cluster: `valkey+cluster://host:6379`. Limiters with one `namespace` on one
    server share their histories and should have the same rules.

    `on_down` says what happens while the server is out of reach: `raise` (Unavailable) or `allow`
    (granted, with `checked=False`). Each step on a connection takes `timeout_ms` at most.
    A server that evicts keys forgets histories and is refused, unless `evicting` is True.

    Raises ConfigError for what cannot be used, InvalidRule for rules that are no recipient's
    limits: hours, throughput limits, counts above 10,000.
    """

    def __init__(
        self,
        url: str,
        rules: Sequence[Rule],
        *,
        namespace: str = "tactful",
        on_down: str = "raise",
        timeout_ms: int = 1_000,
        evicting: bool = False,
    ) -> None:
        if on_down not in ("raise", "allow"):
            raise ConfigError(f"on_down: must be raise or allow, not {on_down!r}")
        if not isinstance(timeout_ms, int) or not 0 < timeout_ms <= TIMEOUT_MAX_MS:
            raise ConfigError(f"timeout_ms: must be 1 to {TIMEOUT_MAX_MS}, not {timeout_ms!r}")
        if "{" in name_key(namespace, "namespace"):
            raise RequestError("namespace", namespace, "must not hold a brace")
        self._plan = Plan(rules)
        self._prefixes = prefixes(name_key(namespace, "namespace"))
        self._nodes = Nodes(url, timeout_ms=timeout_ms, evicting=evicting)
        self._allow = on_down == "allow"
        self._names = [rule.name for rule in self._plan.rules]
        self._latest: Millis = 0  # the latest instant that a server has told

    def __repr__(self) -> str:
        return f"Limiter({self._nodes.shown!r}, {len(self._names)} rules)"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections; harmless when repeated, a later call opens new ones."""
        self._nodes.close()

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that it keeps."""
        return self._plan.rules

    def acquire(
        self,
        recipient: str,
        type: str,  # noqa: A002  # the word of the domain
        *,
        priority: str | int = "normal",
        channel: str | None = None,
        category: str = "default",
        zone: str = "UTC",
    ) -> Answer:
        """Ask for one hand-over now; if it is granted it counts from now on.

        Raises RequestError for a name, priority or zone that is none, Unavailable.
        """
        return self.acquire_many([Ask(recipient, type, priority, channel, category, zone)])[0]

    def acquire_many(self, asks: Iterable[Ask]) -> list[Answer]:
        """Ask for many at once: one answer each, in order; for one recipient one after the other.

        Nothing is asked if an ask is wrong. A call that is lost raises Unavailable (or its asks
        are allowed); what was granted in it or in the others then counts nevertheless.
        """
        asked = [(recipient_key(ask.recipient, "recipient"), self._check(ask)) for ask in asks]
        answers: list[Answer] = [_UNCHECKED] * len(asked)
        due = [(place, self._latest) for place in range(len(asked))]
        for _ in range(_ROUNDS):
            if not due:
                return answers
            due = self._round(asked, due, answers)
        raise Unavailable(f"{self._nodes.shown}: its clock runs from one window to the next")

    def release(self, id: str) -> bool:  # noqa: A002  # what `Answer` calls it
        """Take back what was granted: it counts no more. False if that was done before.

        Only for what surely did not happen. Raises RequestError for what is no id, Unavailable.
        """
        return self.release_many([id])[0]

    def release_many(self, ids: Iterable[str]) -> list[bool]:
        """Take back several; see `release`."""
        wanted: dict[bytes, list[tuple[int, float]]] = {}
        number = -1
        for number, one in enumerate(ids):
            recipient, stamp = _stamp_of(one)
            wanted.setdefault(recipient.encode(), []).append((number, stamp))
        calls, places = [], []
        buckets: dict[int, list[bytes]] = {}
        for recipient_bytes in wanted:
            buckets.setdefault(bucket_of(recipient_bytes), []).append(recipient_bytes)
        for bucket, recipients in buckets.items():
            keys = [self._prefixes[bucket] + recipient for recipient in recipients]
            stamps = [[stamp for _, stamp in wanted[recipient]] for recipient in recipients]
            calls.append(Call(SLOTS[bucket], keys, (orjson.dumps(stamps),)))
            places.append([place for recipient in recipients for place, _ in wanted[recipient]])
        found = [False] * (number + 1)
        for own, reply in zip(places, self._nodes.run(_RELEASE, calls), strict=True):
            if isinstance(reply, Unavailable):
                raise reply
            for place, digit in zip(own, reply, strict=True):
                found[place] = digit == ord("1")
        return found

    def _check(self, ask: Ask) -> Check:
        try:
            return self._plan.check(*ask[1:])
        except TypeError:  # something that cannot even be looked up
            raise RequestError("ask", ask, "must be an Ask of texts") from None

    def _round(
        self, asked: Sequence[_Asked], due: Sequence[_Due], answers: list[Answer]
    ) -> list[_Due]:
        """Ask for those that are due; which of them to ask again, and for which instant."""
        batches: list[_Batch] = []
        try:
            replies = self._nodes.run(_ACQUIRE, self._calls(asked, due, batches))
        except Unavailable:
            if not self._allow:
                raise
            return []
        again: list[_Due] = []
        for batch, reply in zip(batches, replies, strict=True):
            if not isinstance(reply, Unavailable):
                again += self._read(batch, reply, asked, answers)
            elif not self._allow:
                raise reply
        return sorted(again)

    def _calls(
        self, asked: Sequence[_Asked], due: Sequence[_Due], batches: list[_Batch]
    ) -> Iterator[Call]:
        """The calls to make; those of a cluster are over keys of one bucket each."""
        growing: dict[int, _Batch] = {}
        for place, instant in due:
            recipient, check = asked[place]
            name = recipient.encode()
            bucket = bucket_of(name)
            home = bucket if self._nodes.clustered else 0
            batch = growing.get(home)
            if batch is None or batch.size >= BATCH:
                if batch is not None:
                    batches.append(batch)
                    yield batch.call(self._plan.longest_ms)
                batch = growing[home] = _Batch(bucket)
            batch.add(self._prefixes[bucket] + name, place, (check, instant))
        for batch in growing.values():
            batches.append(batch)
            yield batch.call(self._plan.longest_ms)

    def _read(
        self, batch: _Batch, reply: bytes, asked: Sequence[_Asked], answers: list[Answer]
    ) -> list[_Due]:
        again: list[_Due] = []
        self._latest = int(_NOW.unpack_from(reply)[0])
        places = chain.from_iterable(batch.places)
        found = _ANSWER.iter_unpack(memoryview(reply)[_NOW.size :])
        for place, (came, rule, left, stamp, slot) in zip(places, found, strict=True):
            at = int(stamp)
            if came == _GRANTED:
                number = int((stamp - at) * _STEPS)
                id_ = f"{at}-{number}:{asked[place][0]}"
                answers[place] = Answer(True, self._names[rule], left, at, None, id_)
            elif came == _REFUSED:
                answers[place] = Answer(False, self._names[rule], 0, at, int(slot) or None)
            elif came == _UNLIMITED:
                answers[place] = Answer(True, None, None, at)
            else:
                again.append((place, at))
        return again


def _stamp_of(id_: object) -> tuple[str, float]:
    """The recipient and the stamp that an id names; raises RequestError."""
    found = _ID.fullmatch(id_) if isinstance(id_, str) else None
    if found is None:
        raise RequestError("id", id_, "must be the id of an answer that was granted")
    return found[3], int(found[1]) + int(found[2]) / _STEPS
