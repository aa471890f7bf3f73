"""CPU microseconds per notification, stage by stage, of the same work as `end_to_end`.

The stages run one after the other in one thread, so that each one's processor time is its own.

    python -m benchmarks.stages [--count 5000]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.end_to_end import engine, items, smtp_sink

from tactful.channels.address import parse_email
from tactful.channels.mime import MailWriter
from tactful.core.model import Message
from tactful.engine.compose import Composer
from tactful.engine.delivering import Sent
from tactful.engine.dispatch import Dispatch
from tactful.engine.recording import Recording

T = TypeVar("T")


def measure(count: int, folder: Path) -> dict[str, float]:
    """Stage -> microseconds of processor time per notification."""
    spent: Counter[str] = Counter()

    def timed(stage: str, work: Callable[[], T]) -> T:
        started = time.process_time()
        result = work()
        spent[stage] += int((time.process_time() - started) * 1e9)
        return result

    with smtp_sink("c") as port:
        app, channel = engine(port, folder)
        for portion in items(count, count // 2):
            timed("submit", lambda portion=portion: app.send_many(portion))  # type: ignore[misc]
        context = app._context
        dispatch, recording, composer = Dispatch(context), Recording(context), Composer()
        writer = MailWriter("Shop <shop@example.com>")
        with app.store.reading() as reader:
            book = context.rulebook.current(reader)
        while claim := timed("decide and claim", dispatch.claim).jobs:
            made = timed("render", lambda c=claim: [composer.message(j, book) for j in c])  # type: ignore[misc]
            messages = [message for message in made if isinstance(message, Message)]
            timed(
                "of send: write MIME",
                lambda m=messages: [writer.write(x, parse_email(x.address)) for x in m],  # type: ignore[misc]
            )
            outcomes = timed("send", lambda m=messages: channel.send(m))  # type: ignore[misc]
            sent = [Sent(job, outcome) for job, outcome in zip(claim, outcomes, strict=True)]
            timed("record", lambda s=sent: recording.record(s))  # type: ignore[misc]
        app.close()
    return {stage: round(nanoseconds / count / 1e3, 1) for stage, nanoseconds in spent.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5_000)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args().count, Path(folder))))


if __name__ == "__main__":
    main()
