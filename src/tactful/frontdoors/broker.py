"""Submissions from a message broker: taken in portions, admitted together, settled afterwards.

A message is settled when the transaction that admits it has been committed; whoever is killed in
between finds it again, and its key tells that it is known. So each is admitted exactly once, for as
long as keys are remembered (`engine.idempotency`).

What cannot be read, or is refused, is kept as a problem (RFC 9457) that holds the message, too.
What the store cannot take now comes again, after pauses that grow. A rule that rejects a submission
decides about it: that is no refusal, and its event says so.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from tactful.app import Tactful
from tactful.core.errors import RequestError, Unavailable
from tactful.core.model import SECOND, Millis
from tactful.engine.documents import UnreadableError
from tactful.engine.problems import MEDIA_TYPE, details, wrong
from tactful.engine.requests import Receipt
from tactful.frontdoors.messages import submission_of
from tactful.ports import Broker, Incoming, Outgoing, Probe
from tactful.runtime.background import Background

log = logging.getLogger("tactful.broker")

PORTION: Final = 200
WAIT_S: Final = 1.0
AGAIN_MS: Final = SECOND
AGAIN_MAX_MS: Final = 30 * SECOND
TRIES_MAX: Final = 5
"""How often a message may meet a bug before it is refused."""
KEPT_MAX: Final = 128_000
"""Bytes of a refused message that are kept: with the problem around them brokers still take it."""


class BrokerDoor(Background):
    """Takes submissions from one broker; in the background between `start` and `stop`.

    `again_ms` is the first pause after a failure; pauses double up to half a minute.
    """

    def __init__(self, app: Tactful, broker: Broker, *, again_ms: Millis = AGAIN_MS) -> None:
        super().__init__("door", pause_ms=again_ms, longest_ms=AGAIN_MAX_MS)
        self._app = app
        self._broker = broker
        self._again_ms = again_ms

    def pump(self, wait_s: float = 0.0) -> int:
        """Take one portion in, waiting for it that long; gives how many messages were settled.

        Raises Unavailable: for the broker's sake, or for the store's; then they come again.
        """
        messages = self._broker.take(PORTION, wait_s)
        if not messages:
            return 0
        found = self._admitted(messages)
        done = [m for m, result in found if isinstance(result, Receipt)]
        news = sum(not result.replayed for _, result in found if isinstance(result, Receipt))
        again = [m for m, result in found if result is None]
        refused = [(m, _told(m, result)) for m, result in found if isinstance(result, dict)]
        self._broker.done(done)
        if again:
            self._put_back(again)
        if refused:
            self._broker.refuse(refused)
            log.warning("%d messages of the broker were refused", len(refused))
        self._count("admitted", news)
        self._count("repeated", len(done) - news)
        self._count("refused", len(refused))
        return len(done) + len(refused)

    def piece(self) -> None:
        """See `Background.piece`."""
        self.pump(WAIT_S)

    # One portion ------------------------------------------------------------------------------

    def _admitted(
        self, messages: Sequence[Incoming]
    ) -> list[tuple[Incoming, Receipt | dict[str, Any] | None]]:
        """What became of each: a receipt, a problem, or None for what is to come again."""
        found: list[tuple[Incoming, Receipt | dict[str, Any] | None]] = []
        items: list[Any] = []
        readable: list[Incoming] = []
        for message in messages:
            try:
                items.append(submission_of(message))
                readable.append(message)
            except UnreadableError as error:
                found.append((message, details(400, "unreadable", str(error))))
            except RequestError as error:
                found.append((message, _problem(error)))
        try:
            results: Sequence[Receipt | RequestError | Exception] = self._app.send_each(items)
        except Unavailable:
            self._put_back(messages)
            raise
        except Exception:
            log.exception("a message met a bug; each is tried alone")
            results = [self._alone(item) for item in items]
        for message, result in zip(readable, results, strict=True):
            found.append((message, _settled(message, result)))
        return found

    def _alone(self, item: Any) -> Receipt | Exception:
        try:
            (result,) = self._app.send_each([item])
        except Exception as error:
            return error
        return result

    def _put_back(self, messages: Sequence[Incoming]) -> None:
        tries = max(message.tries for message in messages)
        self._broker.later(messages, min(self._again_ms << min(tries - 1, 20), AGAIN_MAX_MS))
        self._count("put_back", len(messages))

    def _count(self, what: str, times: int) -> None:
        probe: Probe = self._app.probe
        if times:
            probe.happened(what, times)


def _settled(
    message: Incoming, result: Receipt | RequestError | Exception
) -> Receipt | dict[str, Any] | None:
    if isinstance(result, Receipt):
        return result
    if isinstance(result, RequestError):
        return _problem(result)
    if isinstance(result, Unavailable) or message.tries < TRIES_MAX:
        return None
    return details(500, "internal", f"a bug: {type(result).__name__}")


def _problem(error: RequestError) -> dict[str, Any]:
    return details(422, error.code, str(error), errors=[wrong(error)])


def _told(message: Incoming, problem: dict[str, Any]) -> Outgoing:
    """A problem with the message that has it."""
    kept = message.body[:KEPT_MAX]
    original: dict[str, Any] = {"headers": dict(message.headers)}
    if message.name is not None:
        original["name"] = message.name
    try:
        original["body"] = kept.decode()
    except UnicodeDecodeError:
        original["body_base64"] = base64.b64encode(kept).decode()
    if len(kept) < len(message.body):
        original["cut"] = len(message.body)
    name = message.name or hashlib.sha256(message.body).hexdigest()
    body = json.dumps({**problem, "message": original}, separators=(",", ":")).encode()
    return Outgoing(f"refused:{name}", problem["code"], body, MEDIA_TYPE)
