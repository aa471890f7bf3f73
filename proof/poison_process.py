"""A sender that some messages kill: with a segmentation fault, where no handler helps.

Started as `python poison_process.py URL PORT WHERE`. Whoever is named `poison` kills it while its
message is rendered (`render`), or in a channel (`channel`). It ends when nothing is open.
"""

import ctypes
import sys
from collections.abc import Sequence

from proof.mortal_process import OPEN
from tactful import Settings, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.model import Message, Outcome
from tactful.core.retry import RetryPolicy
from tactful.engine.compose import Composer, Unfit
from tactful.engine.dispatch import Job
from tactful.engine.rulebook import Book

SETTINGS = Settings(retry=RetryPolicy(base_ms=20, cap_ms=50))
message_of = Composer.message


def swallow(recipient: str) -> None:
    if recipient.startswith("poison"):
        ctypes.string_at(0)


def deadly_message(composer: Composer, job: Job, book: Book) -> Message | Unfit:
    swallow(job.delivery.recipient)
    return message_of(composer, job, book)


class DeadlyMail(SmtpChannel):
    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        for message in messages:
            swallow(message.recipient)
        return super().send(messages)


def main(url: str, port: str, where: str) -> None:
    kind = DeadlyMail if where == "channel" else SmtpChannel
    if where == "render":
        # No template can do that, which is why it takes a program that is changed.
        Composer.message = deadly_message  # type: ignore[method-assign, assignment]
    mail = kind(
        host="127.0.0.1", port=int(port), sender="tactful@example.org", connections=2, batch=10
    )
    app = Tactful(url, channels=[mail], settings=SETTINGS)
    with app:
        while any(app.counts().get(state) for state in OPEN):
            app.drain()
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
