"""A message that kills its worker before its hand-over has begun, while it is being rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tactful import Message, State, Tactful
from tactful.engine.compose import Composer, Unfit
from tactful.engine.dispatch import Job
from tactful.engine.rulebook import Book
from tactful.testing import CaptureChannel, ManualClock

OTHERS = 30


class Died(BaseException):
    """The end of a process, as far as the store can tell."""


def test_it_is_set_aside_and_all_others_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first death tells nothing; then it is on file that its hand-over begins."""
    url, clock, message_of = f"sqlite:///{tmp_path / 'a.db'}", ManualClock(), Composer.message

    def deadly(composer: Composer, job: Job, book: Book) -> Message | Unfit:
        if job.delivery.recipient == "poison":
            raise Died
        return message_of(composer, job, book)

    monkeypatch.setattr(Composer, "message", deadly)
    app = Tactful(url, channels=[CaptureChannel("post")], clock=clock)
    people = [f"p{number}" for number in range(OTHERS)]
    app.send_many({"type": "news", "to": to, "text": "x"} for to in ("poison", *people))
    app.close()
    deaths, alive = 0, False
    while not alive and deaths < 20:
        app = Tactful(url, channels=[CaptureChannel("post")], clock=clock)
        try:
            app.tick()
            alive = True
        except Died:
            deaths += 1
            clock.advance(3_600_000)
        states = app.counts()
        (poison,) = app.deliveries(recipient="poison")
        app.close()

    assert (alive, deaths) == (True, 6)
    assert states == {State.FAILED: 1, State.DELIVERED: OTHERS}
    assert poison.reason == "quarantined: 5 attempts without an answer"
