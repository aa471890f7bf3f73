"""CPU microseconds per notification, stage by stage, of the same work as `end_to_end`.

The stages run one after the other in one thread, so that each one's processor time is its own.

    python -m benchmarks.stages [--count 5000] [--watched]

With `--watched` the engine has the probe that `tactful serve` gives it, and what was counted is
read for the metrics in the end: a stage of its own.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from benchmarks.end_to_end import engine, items, smtp_sink

from tactful.channels.address import parse_email
from tactful.channels.mime import MailWriter
from tactful.core.model import Message
from tactful.engine.compose import Composer
from tactful.engine.delivering import Sent
from tactful.engine.dispatch import Dispatch, Job
from tactful.engine.recording import Recording
from tactful.engine.rulebook import Book
from tactful.telemetry.tally import Tally
from tactful.telemetry.timings import Timings

T = TypeVar("T")


def measure(count: int, folder: Path, *, watched: bool = False) -> dict[str, float]:
    """Stage -> microseconds of processor time per notification."""
    spent: Counter[str] = Counter()

    def timed(stage: str, work: Callable[[], T]) -> T:
        started = time.process_time()
        result = work()
        spent[stage] += int((time.process_time() - started) * 1e9)
        return result

    with smtp_sink("c") as port:
        app, _ = engine(port, folder, probe=Timings() if watched else None)
        counted = Tally(app.store, app.channels, app.clock.now) if watched else None
        for portion in items(count, count // 2):
            timed("submit", partial(app.send_many, portion))
        context = app._context
        channel = context.channels[context.default_channel]
        dispatch, recording, composer = Dispatch(context), Recording(context), Composer()
        writer = MailWriter("Shop <shop@example.com>")
        with app.store.reading() as reader:
            book = context.rulebook.current(reader)
        while claim := timed("decide and claim", dispatch.claim).jobs:
            made = timed("render", partial(rendered, composer, claim, book))
            messages = [message for message in made if isinstance(message, Message)]
            timed("of send: write MIME", partial(written, writer, messages))
            outcomes = timed("send", partial(channel.send, messages))
            sent = [Sent(job, outcome) for job, outcome in zip(claim, outcomes, strict=True)]
            timed("record", partial(recording.record, sent))
        if counted is not None:
            timed("metrics", counted.look)
        app.close()
    return {stage: round(nanoseconds / count / 1e3, 1) for stage, nanoseconds in spent.items()}


def rendered(composer: Composer, jobs: Sequence[Job], book: Book) -> list[object]:
    """Their messages, as far as they can be rendered."""
    return [composer.message(job, book) for job in jobs]


def written(writer: MailWriter, messages: Sequence[Message]) -> list[bytes]:
    """The messages as mail."""
    return [writer.write(message, parse_email(message.address)) for message in messages]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    parser.add_argument("--watched", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(given.count, Path(folder), watched=given.watched)))


if __name__ == "__main__":
    main()
