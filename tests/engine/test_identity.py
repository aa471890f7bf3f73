"""Ids: version 7 UUIDs that only ever ascend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from uuid import RFC_4122, UUID

from engine_bench import DAY, START

from tactful.engine.identity import Ids
from tactful.runtime.entropy import random_bits


def ascend(ids: list[str]) -> bool:
    return all(one < other for one, other in pairwise(ids))


def test_ids_are_uuids_of_version_7_with_their_instant_in_front() -> None:
    made = Ids(random_bits()).new(START)
    uuid = UUID(hex=made)

    assert made == uuid.hex
    assert (uuid.version, uuid.variant) == (7, RFC_4122)
    assert int(made[:12], 16) == START


def test_ten_thousand_ids_of_one_millisecond_ascend() -> None:
    """More than the counter holds: the instant in the id then runs ahead a little."""
    source = Ids(random_bits(1))
    ids = [source.new(START) for _ in range(10_000)]

    assert ascend(ids)
    assert int(ids[-1][:12], 16) - START == 10_000 // 4096


def test_ids_ascend_when_time_catches_up_with_a_crowded_millisecond() -> None:
    source = Ids(random_bits(1))
    ids = [source.new(START) for _ in range(5_000)]
    ids += [source.new(START + 1), source.new(START + 2)]

    assert ascend(ids)


def test_ids_ascend_while_the_clock_goes_back() -> None:
    source = Ids(random_bits(1))
    ids = [source.new(START + step) for step in (0, -1, -DAY, 0, 1, -5_000, 2)]

    assert ascend(ids)


def test_a_seed_decides_every_id() -> None:
    def some(seed: int | None) -> list[str]:
        source = Ids(random_bits(seed))
        return [source.new(START + n // 3) for n in range(10)]

    assert some(5) == some(5)
    assert some(5) != some(6)
    assert some(None) != some(None)


def test_all_random_bits_are_used_and_none_spills_over() -> None:
    """The largest draw leaves version and variant alone."""
    assert UUID(hex=Ids(lambda bits: (1 << bits) - 1).new(START)).variant == RFC_4122
    assert Ids(lambda bits: 0).new(START)[16:] == "8" + 15 * "0"


def test_threads_get_different_ascending_ids() -> None:
    source = Ids(random_bits())

    def some(_: int) -> list[str]:
        return [source.new(START) for _ in range(500)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(some, range(8)))

    assert all(ascend(ids) for ids in found)
    assert len({made for ids in found for made in ids}) == 8 * 500
