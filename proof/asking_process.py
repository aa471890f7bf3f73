"""One of many who ask the limiter for a few recipients, again and again.

Started as `python -m proof.asking_process URL SEED`; it ends at the end of its standard input. Each
answer is a line of JSON on the standard output: recipient, whether it was granted, the instant on
the server's clock, and how long it took in milliseconds. What got no answer is told as null.
"""

import json
import select
import sys
import time
from random import Random

from tactful import Limiter, Rule
from tactful.errors import Unavailable

RULES = (Rule("all", "5/2s"), Rule("news", "3/3s", types=["news"]))
PEOPLE = 20
TYPES = ("news", "note")
TIMEOUT_MS = 500
PAUSE_S = 0.005


def main(url: str, seed: str) -> None:
    draw = Random(seed)
    with Limiter(url, RULES, timeout_ms=TIMEOUT_MS) as limiter:
        print("begun", flush=True)
        while not select.select((sys.stdin,), (), (), PAUSE_S)[0]:
            person, type_ = f"p{draw.randrange(PEOPLE)}", draw.choice(TYPES)
            began = time.monotonic()
            try:
                answer = limiter.acquire(person, type_)
            except Unavailable:
                granted, at = None, 0
            else:
                granted, at = answer.granted, answer.at
            took_ms = round((time.monotonic() - began) * 1_000)
            print(json.dumps([person, type_, granted, at, took_ms]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
