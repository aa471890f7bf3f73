# /// script
# requires-python = ">=3.11"
# dependencies = ["simpy==4.1.2"]
# ///
"""The simulated exercise with SimPy: a process for each copy, one rolling limit, no engine.

python simpy_exercise.py USERS MESSAGES
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections import deque
from collections.abc import Generator
from typing import Any

import simpy


def main() -> None:
    users, messages = map(int, sys.argv[1:])
    draw = random.Random(1)
    received = [0] * messages
    opened = [0] * messages
    history: list[deque[float]] = [deque() for _ in range(users)]
    world = simpy.Environment()

    def copy(user: int, message: int) -> Generator[Any, Any, None]:
        past = history[user]
        while len(past) >= 100 and past[0] > world.now - 3600:
            yield world.timeout(past[0] + 3600 - world.now)
        past.append(world.now)
        if len(past) > 100:
            past.popleft()
        if draw.random() < 0.1:
            return
        received[message] += 1
        yield world.timeout(60)
        opened[message] += draw.random() < 0.72

    def publish() -> Generator[Any, Any, None]:
        for message in range(messages):
            for user in range(users):
                world.process(copy(user, message))
            yield world.timeout(600)

    started = time.perf_counter()
    world.process(publish())
    world.run()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "received": sum(received), "opened": sum(opened)}))


if __name__ == "__main__":
    main()
