"""A process that accepts and sends over SMTP, for tests that kill it or its store.

Started as `python mortal_process.py URL PORT UNTIL OWNER [HABITS]`; the first line of the standard
input is JSON, a list of fields for `send`. Each receipt is one line of JSON on the standard output,
written when the caller has it. It ends by itself when nothing is `due`, or when nothing is `open`:
when every delivery is in its final state; or when it is `told` so by the end of its standard input.

While its store is away it asks again and again. Its habits are `patient`, or those of `anybody`,
who submits everything before the first hand-over, and says nothing of it.
"""

import json
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from tactful import Settings, State, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.retry import RetryPolicy
from tactful.errors import Unavailable

T = TypeVar("T")

PATIENT = RetryPolicy(base_ms=50, cap_ms=200, tries_max=500, crashes_max=500)
"""Never gives up: whatever is given up in spite of that has been refused, or is lost."""

OPEN = (State.QUEUED, State.DEFERRED, State.SENDING)
AGAIN_S = 0.05


def ask(question: Callable[[], T]) -> T:
    never = threading.Event()
    while True:
        try:
            return question()
        except Unavailable:
            never.wait(AGAIN_S)


def main(url: str, port: str, until: str, owner: str, habits: str = "patient") -> None:
    wanted = json.loads(sys.stdin.readline())
    patient = habits == "patient"
    options: dict[str, Any] = {"connections": 2, "batch": 4} if patient else {}
    mail = SmtpChannel(host="127.0.0.1", port=int(port), sender="tactful@example.org", **options)
    settings = Settings(retry=PATIENT) if patient else Settings()
    app = Tactful(url, channels=[mail], settings=settings, owner=owner)
    changed = threading.Event()
    app.listen(lambda _: changed.set())
    if not patient:
        app.send_many(wanted)
        wanted = []
    with app:
        for fields in wanted:
            receipt = ask(partial(app.send, **fields))
            print(json.dumps([fields.get("idempotency_key"), receipt.to_dict()]), flush=True)
        if until == "told":
            sys.stdin.read()
        else:
            ask(app.drain)
        while until == "open" and any(ask(app.counts).get(state) for state in OPEN):
            changed.wait()
            changed.clear()
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
