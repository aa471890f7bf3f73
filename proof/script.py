"""The scripted scenario: everything that changes a store, in one thread.

Admission, a deferral, a digest, a retry after a refusal, a signed webhook, and rules that change
in the middle. Whoever follows it again after a crash asks for all of it once more, with the same
idempotency keys, and goes on until nothing is open. In one thread, so that its system calls come
in the same order each time. One message is handed over at a time (`batch` times `connections`), so
one at most is in doubt when it breaks off.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from proof.mortal_process import OPEN
from proof.mortal_process import ask as ask_again
from proof.wire import BUSY
from tactful import Rule, Settings, Tactful, Template
from tactful.channels.egress import Egress
from tactful.channels.smtp import SmtpChannel
from tactful.channels.webhook import WebhookChannel
from tactful.core.retry import RetryPolicy
from tactful.engine.requests import Submission

T = TypeVar("T")


class Ask(Protocol):
    """What asks the store, and what it does while the store is away."""

    def __call__(self, question: Callable[[], T], /) -> T: ...


def ask_once(question: Callable[[], T]) -> T:
    return question()


SETTINGS = Settings(
    lease_ms=10_000, permit_ms=2_000, retry=RetryPolicy(base_ms=20, cap_ms=50, tries_max=50)
)
SECRET = "whsec_" + "YWJj" * 8
RULES = (
    Rule("pace", types=["news"], limit="1/250ms"),
    Rule("bundle", types=["like"], limit="1/250ms", on_limit="digest"),
)
FASTER = Rule("pace", types=["news"], limit="2/250ms")
DIGEST = Template(name="digest", text="{% for item in items %}{{ item.text }} {% endfor %}")
ANN, BOB = "ann@example.org", "bob@example.org"


def item(type_: str, to: str, text: str, channel: str = "email") -> Submission:
    return {
        "type": type_,
        "to": to,
        "text": text,
        "idempotency_key": text,
        "channels": [channel],
    }


FIRST = [
    item("news", ANN, "one"),
    item("news", ANN, "two"),
    item("note", BUSY, "three"),
    item("hook", BOB, "four", "webhook"),
    item("like", BOB, "five"),
    item("like", BOB, "six"),
    item("like", BOB, "seven"),
]
THEN = [item("news", ANN, "eight")]
WANTED = len(FIRST) + len(THEN)


def follow(url: str, ports: tuple[int, int], receipts: Path, *, patient: bool = True) -> None:
    """Play it to the end; each receipt is a line of that file as soon as the caller has it.

    Who is patient asks again and again while the store is away; others raise Unavailable.
    """
    ask: Ask = ask_again if patient else ask_once
    app = ask(partial(engine, url, ports))
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    file = os.open(receipts, flags, 0o644)
    try:
        ask(lambda: app.rules.put(*RULES))
        ask(lambda: app.templates.put(DIGEST))
        submit(app, FIRST, file, ask)
        ask(app.tick)
        ask(lambda: app.rules.put(FASTER))
        submit(app, THEN, file, ask)
        finish(app, ask)
    finally:
        os.close(file)
        app.close()


def engine(url: str, ports: tuple[int, int]) -> Tactful:
    """One that sends, over one connection to each wire."""
    mail_port, hook_port = ports
    egress = Egress(allow_networks=["127.0.0.1"], allow_http=True, ports=[hook_port])
    return Tactful(
        url,
        channels=[
            SmtpChannel(
                host="127.0.0.1",
                port=mail_port,
                sender="tactful@example.org",
                connections=1,
                batch=1,
            ),
            WebhookChannel(
                secrets=SECRET,
                url=f"http://127.0.0.1:{hook_port}/",
                egress=egress,
                connections=1,
                batch=1,
            ),
        ],
        settings=SETTINGS,
    )


def submit(app: Tactful, items: list[Submission], receipts: int, ask: Ask) -> None:
    for fields in items:
        receipt = ask(partial(app.send, **fields))
        os.write(receipts, json.dumps(receipt.to_dict()).encode() + b"\n")


def finish(app: Tactful, ask: Ask) -> None:
    """Until nothing is open; waits for what is due next."""
    never = threading.Event()
    while True:
        ask(app.tick)
        if not any(ask(app.counts).get(state) for state in OPEN):
            return
        with app.store.reading() as reader:
            due = reader.next_due()
        if due is not None:
            never.wait(min(max(due - app.clock.now(), 1), 1_000) / 1_000)
