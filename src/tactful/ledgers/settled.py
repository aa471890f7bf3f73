"""The ledger of an engine on a Valkey server: what was read of histories, packed.

A history is a JSON array: since when and until when it is known, the kinds in it, for each attempt
the number of its kind, and the distances in ms of each attempt from the one before it (the first
from since when). The key has the edition in it, so that nothing has to be deleted: what nobody
asks for any more expires. All of a claim is asked for in one call; on a cluster that is one for
each of the `layout`'s buckets in it, sent together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, islice, pairwise
from struct import unpack_from
from typing import Final

import orjson

from tactful.core.errors import ConfigError, Unavailable
from tactful.core.model import Entry, Kind, Millis
from tactful.ledgers.layout import SLOTS, bucket_of, prefixes
from tactful.ledgers.nodes import Call, Nodes, Reply, Script, script
from tactful.ports import Settled

NAMESPACE: Final = "tactful-settled"
TIMEOUT_MS: Final = 100
TIMEOUT_MAX_MS: Final = 1_000
BATCH: Final = 256
"""So many recipients in one call at most: more would only keep others waiting."""

_entry: Final[Callable[[type[Entry], tuple[Millis, Kind]], Entry]] = tuple.__new__
_LOAD: Final = script("load.lua")
_KEEP: Final = script("keep.lua")


class SettledHistories:
    """`ports.Ledger` on a Valkey or Redis server, or on a cluster (`valkey+cluster://host:6379`).

    Each step on a connection takes `timeout_ms` at most: a decision waits for it. The server may
    evict what it likes. Raises ConfigError for what cannot be used; connects when it is asked.
    """

    def __init__(self, url: str, *, timeout_ms: int = TIMEOUT_MS) -> None:
        if not isinstance(timeout_ms, int) or not 0 < timeout_ms <= TIMEOUT_MAX_MS:
            raise ConfigError(
                f"ledger.timeout (ms): must be 1 to {TIMEOUT_MAX_MS}, not {timeout_ms!r}"
            )
        try:
            self._nodes = Nodes(url, timeout_ms=timeout_ms, evicting=True)
        except ConfigError as error:
            raise ConfigError(f"ledger.{error}") from None
        self.where = self._nodes.shown
        self._prefixes = prefixes(NAMESPACE)

    def load(self, editions: Mapping[str, int]) -> dict[str, Settled]:
        """See `ports.Ledger.load`."""
        portions = list(self._portions(editions.items()))
        calls = [Call(slot, keys, ()) for slot, keys, _ in portions]
        found: dict[str, Settled] = {}
        for (_, _, people), reply in zip(portions, self._run(_LOAD, calls), strict=True):
            place = 4 * len(people)
            for who, length in zip(people, unpack_from(f"<{len(people)}I", reply), strict=True):
                settled = _unpacked(reply[place : place + length]) if length else None
                if settled is not None:
                    found[who] = settled
                place += length
        return found

    def keep(self, histories: Mapping[str, tuple[int, Settled]], for_ms: Millis) -> None:
        """See `ports.Ledger.keep`."""
        editions = [(who, edition) for who, (edition, _) in histories.items()]
        calls = [
            Call(slot, keys, (b"%d" % for_ms, *(_packed(histories[who][1]) for who in people)))
            for slot, keys, people in self._portions(editions)
        ]
        self._run(_KEEP, calls)

    def close(self) -> None:
        """See `ports.Ledger.close`."""
        self._nodes.close()

    def _portions(
        self, editions: Iterable[tuple[str, int]]
    ) -> Iterator[tuple[int, list[bytes], list[str]]]:
        """What goes into one call: the slot, the keys, and whose they are."""
        groups: dict[int, list[tuple[bytes, str]]] = {}
        for who, edition in editions:
            bucket = bucket_of(who.encode())
            key = b"%b%d:%b" % (self._prefixes[bucket], edition, who.encode())
            groups.setdefault(bucket if self._nodes.clustered else 0, []).append((key, who))
        for bucket, members in groups.items():
            for start in range(0, len(members), BATCH):
                some = members[start : start + BATCH]
                yield SLOTS[bucket], [key for key, _ in some], [who for _, who in some]

    def _run(self, wanted: Script, calls: Sequence[Call]) -> list[bytes]:
        """The answers to all calls; raises Unavailable if one has none."""
        try:
            replies: list[Reply] = self._nodes.run(wanted, calls)
        except ConfigError as error:  # it is not let in, or no longer
            raise Unavailable(f"ledger: {error}") from None
        answers = []
        for reply in replies:
            if isinstance(reply, Unavailable):
                raise Unavailable(f"ledger: {reply}")
            answers.append(reply)
        return answers


def _packed(part: Settled) -> bytes:
    numbers: dict[Kind, int] = {}
    of = [numbers.setdefault(entry.kind, len(numbers)) for entry in part.entries]
    instants = [part.since, *(entry.at for entry in part.entries)]
    steps = [later - earlier for earlier, later in pairwise(instants)]
    return orjson.dumps([part.since, part.until, [*map(tuple, numbers)], of, steps])


def _unpacked(text: bytes) -> Settled | None:
    """The history, or None for what this version has not written."""
    try:
        since, until, several, of, steps = orjson.loads(text)
        kinds = [Kind(*one) for one in several]
        instants = islice(accumulate(steps, initial=since), 1, None)
        # Half the time that calling Entry takes, which matters for hundreds of each recipient.
        pairs = zip(instants, [kinds[number] for number in of], strict=True)
        return Settled(since, until, [_entry(Entry, pair) for pair in pairs])
    except (ValueError, TypeError, IndexError):
        return None
