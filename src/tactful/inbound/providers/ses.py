"""Amazon SES: JSON, published to an SNS topic, which calls us and signs with its certificate.

SNS signs some of the fields, each name and value on a line of its own, with RSA: over SHA-1 in
version 1, over SHA-256 in version 2. The certificate is named by URL in the message itself, so that
URL has to be one of Amazon's; and since anybody can have a topic at Amazon, the topic has to be one
that is configured. A topic asks once whether it may call (`SubscriptionConfirmation`); for a
configured one the answer is yes.

A message is retried for an hour, under the same timestamp: so long it is taken. Its id sees to it
that it is taken once.
"""

from __future__ import annotations

import binascii
import re
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from tactful.core.errors import ConfigError, RequestError, Unavailable
from tactful.core.model import HOUR, Millis
from tactful.core.statuses import HARD, SOFT
from tactful.engine.feedback.bounces import BOUNCE
from tactful.engine.feedback.reports import Report
from tactful.inbound.signed import (
    Call,
    ForgedError,
    UnreadableError,
    Verified,
    check_fresh,
    json_in,
    key_of,
    names_of,
    rows_at,
    text_at,
)

NAME: Final = "ses"
WINDOW_MS: Final = HOUR
CERTIFICATES_MAX: Final = 20

Fetch: TypeAlias = Callable[[str], bytes]
"""Gets what is at a URL; raises Unavailable, RequestError."""

_HOST = r"https://sns\.[a-z0-9-]{1,40}\.amazonaws\.com(?:\.cn)?"
_CERTIFICATE = re.compile(rf"{_HOST}/SimpleNotificationService-[A-Za-z0-9]{{1,64}}\.pem")
_SUBSCRIBE = re.compile(rf"{_HOST}/\?Action=ConfirmSubscription&[A-Za-z0-9=&%:._~-]{{1,2000}}")
_SIGNED: Final[Mapping[str, Sequence[str]]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
    "UnsubscribeConfirmation": (
        *("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}


class Ses:
    """Reads the calls of SNS topics that SES publishes to; safe to use from many threads."""

    def __init__(self, topics: Sequence[str], fetch: Fetch) -> None:
        try:
            from cryptography import x509  # noqa: PLC0415
            from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
            from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
            from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
        except ImportError:
            raise ConfigError("receipts.ses: needs `pip install 'tactful[inbound]'`") from None
        self._topics = frozenset(topics)
        self._fetch = fetch
        self._load = x509.load_pem_x509_certificate
        self._padding = padding.PKCS1v15()
        self._hashes = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303 - SNS's version 1
        self._invalid = InvalidSignature
        self._rsa = rsa.RSAPublicKey
        self._lock = threading.Lock()
        self._keys: dict[str, Any] = {}

    def read(self, call: Call) -> Verified:
        """See `Provider.read`; a subscription is confirmed."""
        document = json_in(call.body)
        kind = text_at(document, "Type")
        if kind not in _SIGNED:
            raise ForgedError("this is no message of SNS")
        if text_at(document, "TopicArn") not in self._topics:
            raise ForgedError("the topic is not one of those that are configured")
        check_fresh(_instant(text_at(document, "Timestamp")), call.now, WINDOW_MS)
        self._check(document, kind)
        if kind == "SubscriptionConfirmation":
            url = text_at(document, "SubscribeURL")
            if _SUBSCRIBE.fullmatch(url) is None:
                raise ForgedError("SubscribeURL: is not Amazon's")
            self._fetch(url)
        if kind != "Notification":
            return Verified([])
        try:
            message = json_in(text_at(document, "Message"))
        except UnreadableError:  # a few words of greeting, when SES is told of the topic
            return Verified([])
        return Verified(_reports(message))

    def _check(self, document: Any, kind: str) -> None:
        lines = [
            f"{name}\n{text_at(document, name)}\n" for name in _SIGNED[kind] if name in document
        ]
        how = self._hashes.get(text_at(document, "SignatureVersion"))
        key = self._key(text_at(document, "SigningCertURL"))
        if how is None:
            raise ForgedError("SignatureVersion: is not 1 or 2")
        try:
            signature = b64decode(text_at(document, "Signature"), validate=True)
            key.verify(signature, "".join(lines).encode(), self._padding, how)
        except (self._invalid, ValueError, binascii.Error):
            raise ForgedError("the signature is not that of SNS") from None

    def _key(self, url: str) -> Any:
        """The public key of a certificate, which is fetched once."""
        if _CERTIFICATE.fullmatch(url) is None:
            raise ForgedError("SigningCertURL: is not Amazon's")
        with self._lock:
            known = self._keys.get(url)
        if known is not None:
            return known
        try:
            found = self._load(self._fetch(url)).public_key()
        except ValueError:
            raise Unavailable("the certificate of SNS cannot be read") from None
        except RequestError:
            raise ForgedError("SigningCertURL: may not be asked") from None
        if not isinstance(found, self._rsa):
            raise ForgedError("the certificate has no RSA key")
        with self._lock:
            if len(self._keys) >= CERTIFICATES_MAX:
                self._keys.clear()
            self._keys[url] = found
        return found


def _instant(text: str) -> Millis:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        raise ForgedError("Timestamp: is no instant") from None


def _reports(message: Any) -> list[Report]:
    """What SES says in a notification (`notificationType`), or in an event (`eventType`)."""
    word = text_at(message, "notificationType") or text_at(message, "eventType")
    ref = text_at(message, "mail", "messageId")
    headers = [h for h in rows_at(message, "mail", "headers") if isinstance(h, dict)]
    ids = [text_at(h, "value") for h in headers if text_at(h, "name").lower() == "message-id"]
    ids.append(text_at(message, "mail", "commonHeaders", "messageId"))
    names = tuple(dict.fromkeys(name for one in ids for name in names_of(one)))
    own = text_at(message, word.lower(), "feedbackId") or text_at(
        message, word.lower(), "timestamp"
    )
    found = []
    for address, kind, data in _told(word, message):
        key = key_of(word, ref, own, address)
        found.append(Report(NAME, key, kind, address, names, ref, data))
    return found


def _told(word: str, message: Any) -> list[tuple[str, str, dict[str, str]]]:
    """Address, kind and data of each recipient that a message of SES speaks of."""
    if word == "Bounce":
        kind = HARD if text_at(message, "bounce", "bounceType") == "Permanent" else SOFT
        sub = text_at(message, "bounce", "bounceSubType")
        return [
            (
                text_at(row, "emailAddress"),
                "bounced",
                {
                    "status": text_at(row, "status"),
                    "reason": text_at(row, "diagnosticCode") or sub,
                    BOUNCE: kind,
                },
            )
            for row in rows_at(message, "bounce", "bouncedRecipients")
        ]
    if word == "Complaint":
        cause = text_at(message, "complaint", "complaintFeedbackType")
        if cause == "not-spam":
            return []
        rows = rows_at(message, "complaint", "complainedRecipients")
        return [(text_at(row, "emailAddress"), "complained", {"reason": cause}) for row in rows]
    if word == "Delivery":
        rows = rows_at(message, "delivery", "recipients")
        why = text_at(message, "delivery", "smtpResponse")
        return [(row, "delivered", {"reason": why}) for row in rows if isinstance(row, str)]
    simple = {"Open": "opened", "Click": "clicked"}
    if word in simple:
        rows = rows_at(message, "mail", "destination")[:1]
        return [(row, simple[word], {}) for row in rows if isinstance(row, str)]
    return []
