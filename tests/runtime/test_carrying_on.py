"""A worker carries broadcasts on, whoever submits them."""

from __future__ import annotations

import threading
from pathlib import Path

from tactful import Message, Settings, Tactful
from tactful.testing import CaptureChannel

PATIENCE_S = 8


def test_a_broadcast_larger_than_a_batch_is_drained_whole() -> None:
    post = CaptureChannel("post")
    app = Tactful("memory://", channels=[post], settings=Settings(batch=7))
    for n in range(60):
        app.recipients.register(f"p{n}")
    with app:
        app.broadcast(type="news", text="all")
        assert app.drain(PATIENCE_S)
    app.close()

    assert len({message.recipient for message in post.messages}) == len(post.messages) == 60


def test_a_broadcast_of_which_nobody_tells_reaches_its_audience_beside_other_work(
    tmp_path: Path,
) -> None:
    """On SQLite no process hears of what another one has taken."""
    arrived, sent = threading.Event(), threading.Semaphore(0)

    def met(message: Message) -> None:
        sent.release()
        if message.type == "offer":
            arrived.set()

    url = f"sqlite:///{tmp_path / 'shared.db'}"
    working = Tactful(url, channels=[CaptureChannel("post", met)])
    asking = Tactful(url, channels=[CaptureChannel("post")])
    working.recipients.register("ann")
    with working:
        asking.send(type="news", to="ann", text="first")
        assert sent.acquire(timeout=PATIENCE_S)
        asking.broadcast(type="offer", text="all")
        for _ in range(2):
            asking.send(type="news", to="ann", text="more")
            assert sent.acquire(timeout=PATIENCE_S)
        assert arrived.wait(PATIENCE_S)
        assert working.drain(PATIENCE_S)
    for app in (asking, working):
        app.close()
