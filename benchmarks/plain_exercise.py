"""The simulated exercise in plain Python: an event list, one rolling limit, no engine.

python -m benchmarks.plain_exercise USERS MESSAGES
"""

from __future__ import annotations

import heapq
import json
import random
import sys
import time
from collections import deque


def main() -> None:
    users, messages = map(int, sys.argv[1:])
    draw = random.Random(1)
    received = [0] * messages
    opened = [0] * messages
    history: list[deque[float]] = [deque() for _ in range(users)]
    events: list[tuple[float, int, int, int, bool]] = []
    started = time.perf_counter()
    number = 0
    for message in range(messages):
        for user in range(users):
            number += 1
            heapq.heappush(events, (600.0 * message, number, user, message, False))
    while events:
        now, _, user, message, arrived = heapq.heappop(events)
        if arrived:
            opened[message] += draw.random() < 0.72
            continue
        past = history[user]
        number += 1
        if len(past) >= 100 and past[0] > now - 3600:
            heapq.heappush(events, (past[0] + 3600, number, user, message, False))
            continue
        past.append(now)
        if len(past) > 100:
            past.popleft()
        if draw.random() >= 0.1:
            received[message] += 1
            heapq.heappush(events, (now + 60, number, user, message, True))
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "received": sum(received), "opened": sum(opened)}))


if __name__ == "__main__":
    main()
