"""Where randomness comes from."""

from __future__ import annotations

import pytest

from tactful.runtime.entropy import new_secret, random_bits


def test_a_seed_gives_the_same_bits_on_every_run() -> None:
    one, again, other = random_bits(3), random_bits(3), random_bits(4)
    drawn = [one(62) for _ in range(5)]

    assert drawn == [again(62) for _ in range(5)]
    assert drawn != [other(62) for _ in range(5)]


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_as_many_bits_come_as_were_asked_for(seed: int | None) -> None:
    source = random_bits(seed)

    assert all(0 <= source(8) < 256 for _ in range(1_000))
    assert max(source(62) for _ in range(100)) > 1 << 55


def test_a_secret_is_256_bits_and_never_the_same() -> None:
    one, other = new_secret(), new_secret()

    assert len(bytes.fromhex(one)) == 32
    assert one != other
