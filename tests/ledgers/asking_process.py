"""Ask for one recipient again and again: a program, for tests that run several of it.

    python asking_process.py URL NAMESPACE TRIES STEP_S RULE...

Its own clock is off by STEP_S seconds, and jumps on in the middle. RULE is a limit. Prints the
instants of what was granted and the number of refusals, as JSON.
"""

from __future__ import annotations

import json
import sys
import time

from tactful import Ask, Limiter, Rule


def main(url: str, namespace: str, tries: int, step_s: float, limits: list[str]) -> None:
    rules = [Rule(f"rule{number}", limit) for number, limit in enumerate(limits)]
    true, true_ns, off = time.time, time.time_ns, [step_s]
    time.time = lambda: true() + off[0]
    time.time_ns = lambda: true_ns() + int(off[0] * 1e9)
    granted, refused = [], 0
    with Limiter(url, rules, namespace=namespace, timeout_ms=30_000) as limiter:
        print("ready", flush=True)
        sys.stdin.readline()
        for number in range(tries):
            off[0] += step_s * (number == tries // 2)
            for answer in limiter.acquire_many([Ask("ada", "news")] * (1 + number % 3)):
                if answer.granted:
                    granted.append(answer.at)
                else:
                    refused += 1
    print(json.dumps({"granted": granted, "refused": refused}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5:])
