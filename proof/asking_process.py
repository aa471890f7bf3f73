"""One of many who ask the limiter, as those do who have something to send to each recipient.

Started as `python -m proof.asking_process URL SEED`. Of each type there is always one wish for each
recipient. All that are due are asked for together; what is refused is asked for again when the
answer says that there is room, and when the rules have changed. The number of a version of the
rules comes as a line on the standard input, and its end is the end.

It says first how far its own clock is from that of the server, in seconds. Then each call is a line
of JSON: the version, how long it took in milliseconds, and for each wish its number, recipient,
type, channel, priority, whether it was granted, the instant on the server's clock and the rule that
refused. What got no answer has only the first five.
"""

import heapq
import json
import math
import os
import select
import sys
import time
from collections.abc import Iterator
from itertools import count
from random import Random

from tactful import Ask, Limiter, Rule
from tactful.errors import Unavailable
from tactful.verify.rules import LEVELS

RULES = (
    Rule("all", "8/s", exempt=["critical"], reserve={"high": 2}),
    Rule("news", "2/s", types=["news"]),
    Rule("offers", "3/2s", types=["offer"], on_limit="reject"),
    Rule("lane", "5/s", per="recipient+channel"),
    Rule("status", "12/minute calendar", types=["status"]),
)
OTHERS = (
    Rule("all", "7/s", exempt=["critical"], reserve={"high": 2}),
    Rule("news", "1/500ms", types=["news"]),
    Rule("offers", "2/2s", types=["offer"], on_limit="reject"),
    Rule("lane", "4/s", per="recipient+channel"),
    Rule("status", "9/minute calendar", types=["status"]),
)
PEOPLE = 100
TYPES = ("news", "offer", "like", "status", "alert")
CHANNELS = ("email", "push")
PRIORITIES = ("low", "normal", "normal", "high", "critical")
TIMEOUT_MS = 500
CALL = 256
"""So many wishes go into one call."""

PAUSE_S = 0.1
"""After a call without an answer."""


def _versions() -> Iterator[tuple[Rule, ...]]:
    rules = {rule.name: rule for rule in RULES}
    for changed in (*OTHERS, *RULES):
        yield tuple(rules.values())
        rules[changed.name] = changed


VERSIONS = tuple(_versions())
"""One rule is another with each version; after the last comes the first."""


class Asker:
    """`due` are wishes: when to ask for it (of the clock that only runs), its number, and it."""

    def __init__(self, url: str, seed: str) -> None:
        self.version = 0
        self._url = url
        self._draw = Random(seed)
        self._numbers = count()
        self._limiter = self._made()
        self.due = [self._wish(f"p{n}", type_) for n in range(PEOPLE) for type_ in TYPES]

    def offset_s(self) -> int:
        """How far the clock of this process is from the server's."""
        return round(time.time() - self._limiter.acquire("nobody", "clock").at / 1_000)

    def change(self, version: int) -> None:
        """From now on ask under this version of the rules; all that waits is asked for anew."""
        self._limiter.close()
        self.version = version
        self._limiter = self._made()
        self.due = sorted((0.0, number, ask) for _, number, ask in self.due)

    def ask(self) -> list[object] | None:
        """Ask for what is due, in one call, and give what it said; None if nothing is due."""
        now = time.monotonic()
        wishes: list[tuple[float, int, Ask]] = []
        while self.due and self.due[0][0] <= now and len(wishes) < CALL:
            wishes.append(heapq.heappop(self.due))
        if not wishes:
            return None
        try:
            answers = self._limiter.acquire_many(ask for _, _, ask in wishes)
        except Unavailable:
            answers = []
        heard = time.monotonic()
        told: list[list[object]] = []
        for place, (_, number, ask) in enumerate(wishes):
            what = [number, ask.recipient, ask.type, ask.channel, LEVELS.index(str(ask.priority))]
            again = (heard + PAUSE_S, number, ask)
            if answers:
                answer = answers[place]
                what += [answer.granted, answer.at, None if answer.granted else answer.rule]
                if answer.granted:
                    again = self._wish(ask.recipient, ask.type)
                elif answer.retry_after_ms is not None:
                    again = (heard + answer.retry_after_ms / 1_000, number, ask)
            heapq.heappush(self.due, again)
            told.append(what)
        return [self.version, math.ceil((heard - now) * 1_000), told]

    def _made(self) -> Limiter:
        return Limiter(self._url, VERSIONS[self.version % len(VERSIONS)], timeout_ms=TIMEOUT_MS)

    def _wish(self, recipient: str, type_: str) -> tuple[float, int, Ask]:
        choice = self._draw.choice
        return 0.0, next(self._numbers), Ask(recipient, type_, choice(PRIORITIES), choice(CHANNELS))


def main(url: str, seed: str) -> None:
    asker = Asker(url, seed)
    print(asker.offset_s(), flush=True)
    while True:
        wait_s = max(0.0, asker.due[0][0] - time.monotonic())
        if select.select((0,), (), (), wait_s)[0]:
            told = os.read(0, 4_096).split()
            if not told:
                return
            asker.change(int(told[-1]))
        if call := asker.ask():
            print(json.dumps(call), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
