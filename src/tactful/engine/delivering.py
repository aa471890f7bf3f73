"""The slow part: jobs become messages, messages go to their channel, outcomes come back.

Runs without any transaction, in whatever thread the runtime gives it. Nothing here raises for a
job's trouble: what cannot be rendered comes back as unfit, an exception of a channel leaves its
messages Unknown, because nobody can say how far it came.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from tactful.core.errors import Unavailable
from tactful.core.model import PERMIT_ENDED, Message, Outcome, Rejected, Retry, Unknown
from tactful.engine.compose import Composer
from tactful.engine.dispatch import Job
from tactful.engine.rulebook import Book
from tactful.ports import Channel, Store

log = logging.getLogger("tactful.delivering")

SHARE_LEAST: Final = 5
"""So few messages are not worth another connection."""

AGAIN = Retry("made anew without what cannot be rendered", after_ms=0, counted=False)

LOST_CLAIM = Retry("another worker has taken it over", after_ms=0, counted=False)


class Sent(NamedTuple):
    """A job and what became of its hand-over.

    `unfit` says which of its deliveries could not be rendered; then nothing was handed over, and
    the others are to be tried again without them.
    """

    job: Job
    outcome: Outcome
    unfit: Mapping[str, str] = MappingProxyType({})


def batches(jobs: Sequence[Job], channel: Channel) -> list[list[Job]]:
    """Jobs in portions for one call of a channel each; few jobs are shared out among its lanes.

    What has been left without an answer before goes alone and last, so that a message that breaks
    its channel takes no other down with it. What must not be sent twice goes alone, too: only what
    has begun is in doubt after a crash, and that is said of a portion as a whole. What comes back
    from a worker that vanished before it had begun goes alone as well: it may be what killed it.
    """
    calm = [job for job in jobs if not (job.wary or job.alone)]
    single = [job for job in jobs if (job.alone or job.returned) and not job.crashes]
    suspect = sorted((job for job in jobs if job.crashes), key=lambda job: job.crashes)
    share = max(SHARE_LEAST, math.ceil(len(calm) / channel.concurrency))
    size = max(1, min(channel.batch, share))
    portions = [calm[at : at + size] for at in range(0, len(calm), size)]
    return [*portions, *([job] for job in (*single, *suspect))]


def deliver(
    jobs: Sequence[Job], channel: Channel, composer: Composer, book: Book, store: Store
) -> list[Sent]:
    """Compose and hand over jobs of one channel; one outcome each, in order.

    That the hand-over begins is written down first. It need not reach the disk: it tells what a
    process that died had in its hands; after a power cut everything claimed counts as begun. Of
    what may have taken a worker down it is written before it is composed: that can kill, too.
    """
    try:
        ours = _begin([job for job in jobs if job.wary], store)
        made = [_made(job, composer, book) for job in jobs]
        going = zip(jobs, made, strict=True)
        ours |= _begin([job for job, m in going if _goes(m) and not job.wary], store)
    except Unavailable as error:
        return [Sent(job, Retry(f"not begun: {error}", counted=False)) for job in jobs]
    ready = [
        Sent(job, LOST_CLAIM) if _goes(m) and not _holds(job, ours) else m
        for job, m in zip(jobs, made, strict=True)
    ]
    outcomes = iter(_send([m for m in ready if isinstance(m, Message)], channel))
    return [
        Sent(job, next(outcomes)) if isinstance(m, Message) else m
        for job, m in zip(jobs, ready, strict=True)
    ]


def _made(job: Job, composer: Composer, book: Book) -> Message | Sent:
    """The message of a job, or why it does not go."""
    if not job.may_go():
        return Sent(job, PERMIT_ENDED)
    message = composer.message(job, book)
    if isinstance(message, Message):
        return message
    why = message.reasons.get(job.delivery.id)
    return Sent(job, AGAIN if why is None else Rejected(why), message.reasons)


def _goes(made: Message | Sent) -> bool:
    return isinstance(made, Message)


def _begin(jobs: Sequence[Job], store: Store) -> frozenset[str]:
    """Write down that the hand-over of these jobs begins; gives the deliveries still claimed."""
    if not jobs:
        return frozenset()
    claims = [claim for job in jobs for claim in job.claims]
    with store.transaction(durable=False) as tx:
        return frozenset(tx.begin(claims))


def _holds(job: Job, ours: frozenset[str]) -> bool:
    """Whether nobody took a job over while this worker stood still."""
    return all(delivery_id in ours for delivery_id, _ in job.claims)


def _send(messages: Sequence[Message], channel: Channel) -> Sequence[Outcome]:
    if not messages:
        return ()
    try:
        outcomes = list(channel.send(messages))
    except Exception as error:
        log.exception("channel %s raised", channel.name)
        return [Unknown(f"channel raised {type(error).__name__}: {error}")] * len(messages)
    if len(outcomes) != len(messages):
        why = f"channel answered {len(outcomes)} outcomes for {len(messages)} messages"
        log.error("channel %s: %s", channel.name, why)
        return [Unknown(why)] * len(messages)
    return [
        outcome
        if isinstance(outcome, Outcome)
        else Unknown(f"channel answered {type(outcome).__name__}, which is no outcome")
        for outcome in outcomes
    ]
