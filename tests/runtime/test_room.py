"""Each channel has room of its own for what is under way."""

from __future__ import annotations

import threading

from tactful import Message, State, Tactful
from tactful.testing import CaptureChannel

PATIENCE_S = 8
MANY = 1_200
"""More than any channel here may have under way."""


def test_a_channel_that_stands_still_with_a_long_queue_keeps_no_other_waiting() -> None:
    """What waits for it is passed over, although it is older and there is more of it."""
    inside, opened, all_passed = threading.Event(), threading.Event(), threading.Event()
    left = iter(range(MANY, 0, -1))

    def stands_still(message: Message) -> None:
        inside.set()
        assert opened.wait(PATIENCE_S)

    def passes(message: Message) -> None:
        if next(left) == 1:
            all_passed.set()

    slow = CaptureChannel("slow", stands_still, concurrency=1, batch=1)
    post = CaptureChannel("post", passes, concurrency=1)
    app = Tactful("memory://", channels=[slow, post])

    def say(channel: str) -> None:
        people = [f"p{number}" for number in range(MANY)]
        app.send_many(
            {"type": "news", "to": to, "text": "hello", "channels": channel} for to in people
        )

    say("slow")
    with app:
        assert inside.wait(PATIENCE_S)
        say("post")
        assert all_passed.wait(PATIENCE_S)
        opened.set()
        assert app.drain(PATIENCE_S)
    assert app.counts() == {State.DELIVERED: 2 * MANY}
    app.close()
