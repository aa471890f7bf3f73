"""What comes at once is admitted together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from tactful.http.gather import PORTION, Gathering


class Desk:
    """Takes portions of numbers and doubles them; the first portion waits until `opened`."""

    def __init__(self) -> None:
        self.portions: list[list[int]] = []
        self.began, self.opened = threading.Event(), threading.Event()

    def admit(self, items: Sequence[int]) -> list[int | Exception]:
        self.portions.append(list(items))
        self.began.set()
        assert self.opened.wait(30)
        return [ValueError(f"{item} is odd") if item % 2 else 2 * item for item in items]


def test_what_comes_while_one_is_being_admitted_is_the_next_portion() -> None:
    desk = Desk()

    async def main() -> list[int | BaseException]:
        gathering: Gathering[int, int] = Gathering(desk.admit)
        first = asyncio.create_task(gathering.submit(0))
        assert await asyncio.to_thread(desk.began.wait, 30)
        others = [asyncio.create_task(gathering.submit(n)) for n in range(2, 2 * PORTION + 6, 2)]
        asyncio.get_running_loop().call_soon(desk.opened.set)  # when the others have asked
        return await asyncio.gather(first, *others)

    assert asyncio.run(main()) == [0, *range(4, 4 * PORTION + 12, 4)]
    assert [len(portion) for portion in desk.portions] == [1, PORTION, 2]


def test_what_is_wrong_with_one_is_told_to_whoever_asked_for_it() -> None:
    desk = Desk()
    desk.opened.set()

    async def main() -> list[int | BaseException]:
        gathering: Gathering[int, int] = Gathering(desk.admit)
        asked = [gathering.submit(n) for n in (4, 5, 6)]
        return await asyncio.gather(*asked, return_exceptions=True)

    good, bad, also = asyncio.run(main())
    assert (good, also) == (8, 12)
    assert isinstance(bad, ValueError)


def test_when_nothing_can_be_admitted_everybody_hears_it_and_the_next_are_tried() -> None:
    def admit(items: Sequence[int]) -> list[int | Exception]:
        if 1 in items:
            raise OSError("out of reach")
        return list(items)

    async def main() -> int:
        gathering: Gathering[int, int] = Gathering(admit)
        for found in await asyncio.gather(
            gathering.submit(1), gathering.submit(2), return_exceptions=True
        ):
            assert isinstance(found, OSError)
        return await gathering.submit(3)

    assert asyncio.run(main()) == 3


def test_who_goes_away_takes_nobody_down() -> None:
    desk = Desk()

    async def main() -> int:
        gathering: Gathering[int, int] = Gathering(desk.admit)
        gone = asyncio.create_task(gathering.submit(2))
        assert await asyncio.to_thread(desk.began.wait, 30)
        stays = asyncio.create_task(gathering.submit(4))
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        desk.opened.set()
        return await stays

    assert asyncio.run(main()) == 8
