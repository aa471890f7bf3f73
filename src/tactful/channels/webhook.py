"""Signed webhooks: each delivery is one POST with a JSON body, as Standard Webhooks describes it.

https://www.standardwebhooks.com says what the three headers hold: `webhook-id`, the delivery's id
and the same at every attempt, so that a receiver can drop a second copy; `webhook-timestamp`, the
seconds at which this attempt was made; and `webhook-signature`, an HMAC-SHA256 over both and the
body, once for each secret while secrets are changed over. Receivers verify with any library for
that standard, or with `verify_signature`.

A delivery goes to the recipient's address of the kind `webhook`, or to the one URL that the channel
was made with. In the first case each URL has secrets of its own, made out of the channel's: HMAC is
symmetric, and with a common secret one recipient could write to another in our name.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from tactful.channels.egress import (
    Answer,
    Egress,
    ForbiddenError,
    LostError,
    Session,
    Target,
    UnreachableError,
    WithheldError,
    wall_clock,
)
from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import (
    DAY,
    MINUTE,
    PERMIT_ENDED,
    SECOND,
    Accepted,
    Message,
    Millis,
    Outcome,
    Rejected,
    Retry,
    Unknown,
)

BODY_VERSION: Final = 1
"""Raised when a field of the body changes its meaning or goes away; new fields do not raise it."""

PREFIX: Final = "whsec_"
KEY_BYTES: Final = (24, 64)
"""The shortest and the longest key that the standard allows."""

TOLERANCE_MS: Final = 5 * MINUTE
RETRY_AFTER_MAX_MS: Final = DAY

_LATER: Final = (408, 425, 429)
_GONE: Final = 410


class WebhookChannel:
    """Posts messages as signed JSON. Any thread may use it.

    `secrets` are `whsec_` and 24 to 64 bytes in base64; each gives a signature, the first of them
    first. With `url` everything goes there; without, to the recipients' addresses of the kind
    `webhook`, and `secrets_for` tells the secrets of each. `egress` decides what may be reached and
    for how long. `connections` calls of `send` may run at once, each with about `batch` messages;
    within a call, connections are used again. `clock` gives `webhook-timestamp`.

    Raises ConfigError for a secret that is none, RequestError for a URL that may not be asked.
    """

    def __init__(
        self,
        *,
        secrets: str | Sequence[str],
        url: str | None = None,
        egress: Egress | None = None,
        connections: int = 8,
        batch: int = 10,
        clock: Callable[[], Millis] = wall_clock,
        name: str = "webhook",
    ) -> None:
        if connections < 1 or batch < 1:
            raise ConfigError("webhook: connections and batch must be at least 1")
        self.name = name
        self.address_kind: str | None = "webhook" if url is None else None
        self.concurrency = connections
        self.batch = batch
        self._keys = signing_keys(secrets)
        self._egress = egress if egress is not None else Egress()
        self._target = self._egress.target(url) if url is not None else None
        self._clock = clock

    def send(self, messages: Sequence[Message]) -> list[Outcome]:
        """Post each message, one after the other; see `ports.Channel.send`."""
        with self._egress.session() as session:
            return [self._post(message, session) for message in messages]

    def close(self) -> None:
        """Nothing is open between calls."""

    def secrets_for(self, url: str) -> list[str]:
        """The secrets that a receiver at `url` verifies with; the first is the newest.

        Raises RequestError for a URL that may not be asked.
        """
        keys = self._keys_for(self._egress.target(url))
        return [PREFIX + base64.b64encode(key).decode() for key in keys]

    @property
    def where(self) -> str:
        """Where messages go, as far as it is no secret."""
        return self._target.origin if self._target is not None else "the recipients' own URLs"

    def __repr__(self) -> str:
        return f"<WebhookChannel {self.name} to {self.where}>"

    def _post(self, message: Message, session: Session) -> Outcome:
        # Where nobody answers at the one URL, that says nothing about this message.
        about_message = self._target is None
        try:
            target = self._target or self._egress.target(message.address.strip(), "address")
            body = body_of(message)
            headers = self._headers(message, target, body)
            answer = session.post(target, headers, body, message.may_go)
        except RequestError as error:
            # Not the value: an outcome is stored and shown, and a URL may be a secret.
            return Rejected(f"{error.field}: {error.bound}")
        except WithheldError:
            return PERMIT_ENDED
        except ForbiddenError as error:
            return Rejected(str(error))
        except UnreachableError as error:
            return Retry(str(error), counted=about_message)
        except LostError as error:
            return Unknown(str(error))
        return outcome_of(answer, self._clock())

    def _headers(self, message: Message, target: Target, body: bytes) -> dict[str, str]:
        return signed_headers(self._keys_for(target), message.id, self._clock() // SECOND, body)

    def _keys_for(self, target: Target) -> list[bytes]:
        if self._target is not None:
            return self._keys
        return [hmac.digest(key, b"webhook:" + target.url.encode(), "sha256") for key in self._keys]


def body_of(message: Message) -> bytes:
    """The JSON object for one delivery: the same bytes at every attempt.

    So nothing of the attempt is in it. A receiver knows a second copy by `webhook-id`.
    """
    return json.dumps(
        {
            "version": BODY_VERSION,
            "id": message.id,
            "notification_id": message.notification_id,
            "type": message.type,
            "recipient": message.recipient,
            "name": message.name,
            "address": message.address,
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
        },
        separators=(",", ":"),
    ).encode()


def signed_headers(
    keys: Sequence[bytes], id_: str, seconds: int, body: bytes, kind: str = "application/json"
) -> dict[str, str]:
    """The headers of a request that carries `body`, of a media type, with a signature per key."""
    return {
        "Content-Type": kind,
        "User-Agent": "Tactful",
        "webhook-id": id_,
        "webhook-timestamp": str(seconds),
        "webhook-signature": " ".join(_signature(key, id_, seconds, body) for key in keys),
    }


def outcome_of(answer: Answer, now: Millis) -> Outcome:
    """What an answer means for the delivery; what its body says is not looked at."""
    status = answer.status
    why = f"the endpoint answered {status}"
    if 200 <= status < 300:
        return Accepted()
    if status >= 500 or status in _LATER:
        return Retry(why, after_ms=retry_after_ms(answer.headers.get("retry-after"), now))
    if status < 400:
        return Rejected(f"{why}, a redirect, which is not followed")
    return Rejected(f"{why}: it is gone for good" if status == _GONE else why)


def retry_after_ms(value: str | None, now: Millis) -> Millis | None:
    """What Retry-After asks to wait from `now`, seconds or date (RFC 9110 section 10.2.3).

    Never more than a day, for nobody else decides how long we hold on. None for what is neither.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(int(value[:10]) * SECOND, RETRY_AFTER_MAX_MS)
    try:
        instant = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):  # the last: an offset of a million years
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return min(max(0, math.ceil(instant.timestamp() * SECOND) - now), RETRY_AFTER_MAX_MS)


def verify_signature(
    body: bytes,
    headers: Mapping[str, str],
    secrets: str | Sequence[str],
    now: Millis,
    tolerance_ms: Millis = TOLERANCE_MS,
) -> None:
    """For receivers: check that a request comes from who has one of `secrets`, and is fresh.

    `body` are the bytes as they came, `now` is the receiver's clock. Takes the same time for every
    signature that is wrong. A request that passes may still be a copy: compare `webhook-id` with
    those of the last minutes. Raises RequestError naming the header, ConfigError for a secret.
    """
    given = {name.lower(): value for name, value in headers.items()}
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not given.get(name):
            raise RequestError(name, given.get(name), "is missing")
    stamp = given["webhook-timestamp"]
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        raise RequestError("webhook-timestamp", stamp, "must be seconds since the epoch")
    if abs(now - int(stamp) * SECOND) > tolerance_ms:
        raise RequestError("webhook-timestamp", stamp, f"must be within {tolerance_ms} ms of now")
    found = [text.encode() for text in given["webhook-signature"].split()]
    good = False
    for key in signing_keys(secrets):
        wanted = _signature(key, given["webhook-id"], int(stamp), body).encode()
        for signature in found:
            good |= hmac.compare_digest(wanted, signature)
    if not good:
        raise RequestError("webhook-signature", "...", "must be made with one of the secrets")


def _signature(key: bytes, message_id: str, seconds: int, body: bytes) -> str:
    signed = b"%b.%d.%b" % (message_id.encode(), seconds, body)
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def signing_keys(secrets: str | Sequence[str]) -> list[bytes]:
    """The keys that secrets stand for; raises ConfigError for one that is none."""
    texts = [secrets] if isinstance(secrets, str) else list(secrets)
    if not texts:
        raise ConfigError("webhook: secrets must hold at least one")
    return [_key(text) for text in texts]


def _key(secret: str) -> bytes:
    least, most = KEY_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not least <= len(key) <= most:
        raise ConfigError(
            f"webhook: a secret must be {PREFIX} and {least} to {most} bytes in base64"
        )
    return key
