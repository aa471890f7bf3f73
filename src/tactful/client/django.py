"""An e-mail backend for Django: what `send_mail` sends goes to the service.

    EMAIL_BACKEND = "tactful.client.django.EmailBackend"
    TACTFUL_URL = "https://tactful.example.com"
    TACTFUL_KEY = "tk_live_..."
    TACTFUL_TYPE = "mail"  # of what names no type itself; this is the default

From Django 6.1 on the same can be said for each mailer:

    MAILERS = {
        "default": {
            "BACKEND": "tactful.client.django.EmailBackend",
            "OPTIONS": {"url": "https://...", "key": "tk_live_...", "type": "mail"},
        }
    }

Each recipient of a mail, in `to`, `cc` or `bcc`, gets a notification of their own. Taken are the
subject, the body and an HTML alternative; the headers `X-Tactful-Type`, `-Priority`,
`-Collapse-Key` and `-Idempotency-Key` say the rest. The sender is the one of the service.

All backends of a process share their connections, since Django makes a backend for every mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from django.conf import settings  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured  # type: ignore[import-untyped]
from django.core.mail.backends.base import BaseEmailBackend  # type: ignore[import-untyped]
from django.core.mail.message import EmailMessage  # type: ignore[import-untyped]

from tactful.client.blocking import Client
from tactful.client.shapes import Notification, Receipt
from tactful.core.errors import OverLimit, RequestError, TactfulError

TYPE: Final = "mail"
HEADERS: Final = {
    "x-tactful-type": "type",
    "x-tactful-priority": "priority",
    "x-tactful-collapse-key": "collapse_key",
    "x-tactful-idempotency-key": "idempotency_key",
}
"""The headers that are meant for Tactful, and the fields that they fill."""


@lru_cache(maxsize=16)
def shared_client(url: str, key: str) -> Client:
    """The client of this process for a service and a key."""
    return Client(url, key)


class EmailBackend(BaseEmailBackend):  # type: ignore[misc]
    """Hands mails to the service; what is not given comes from the settings.

    Every mail that was handed over gets `tactful_receipts`, one for each recipient, in order: what
    was decided, by which rule, and when it goes.
    """

    def __init__(
        self,
        fail_silently: bool = False,
        *,
        url: str | None = None,
        key: str | None = None,
        type: str | None = None,  # noqa: A002 - the public name of the field
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.fail_silently = fail_silently
        self._type = str(type or getattr(settings, "TACTFUL_TYPE", TYPE))
        self._client = shared_client(
            url or _setting("TACTFUL_URL", "url"), key or _setting("TACTFUL_KEY", "key")
        )

    def close(self) -> None:
        """Let go of the connections of this process; the next mail makes a new one."""
        self._client.close()

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Hand over; gives how many mails were taken for all of their recipients.

        Raises RequestError before anything is sent if a mail cannot be handed over as it is, such
        as one with an attachment; OverLimit if a rule rejects one; Unavailable. With
        `fail_silently` such mails are not counted.
        """
        items: list[Notification] = []
        taken: list[tuple[EmailMessage, int]] = []
        for message in email_messages:
            try:
                found = notifications(message, self._type)
            except RequestError:
                if not self.fail_silently:
                    raise
                continue
            if found:
                items += found
                taken.append((message, len(found)))
        try:
            results = self._client.send_each(items)
        except TactfulError:
            if not self.fail_silently:
                raise
            return 0
        return self._counted(taken, results)

    def _counted(
        self, taken: Iterable[tuple[EmailMessage, int]], results: Sequence[Receipt | RequestError]
    ) -> int:
        count = at = 0
        refused: RequestError | None = None
        for message, many in taken:
            own = results[at : at + many]
            at += many
            message.tactful_receipts = [one for one in own if isinstance(one, Receipt)]
            wrong = [error for one in own if (error := _refusal(one)) is not None]
            count += not wrong
            refused = refused or (wrong[0] if wrong else None)
        if refused is not None and not self.fail_silently:
            raise refused
        return count


def notifications(message: EmailMessage, kind: str) -> list[Notification]:
    """A notification for each recipient of a mail; raises RequestError."""
    if message.attachments:
        raise RequestError("attachments", len(message.attachments), "are not taken yet")
    body, html = str(message.body or ""), None
    if message.content_subtype == "html":
        body, html = "", body
    for alternative in getattr(message, "alternatives", None) or ():
        content, mimetype = alternative[0], alternative[1]
        if mimetype != "text/html" or html is not None:
            raise RequestError("alternatives", mimetype, "must be one text/html at most")
        html = str(content)
    asked = _asked(message)
    key = asked.pop("idempotency_key", None)
    fields: dict[str, Any] = {
        "type": kind,
        "subject": str(message.subject or ""),
        "text": body,
        "html": html,
        **asked,
    }
    found: list[Notification] = []
    for address in dict.fromkeys(message.recipients()):
        item: Notification = {**fields, "to": str(address)}  # type: ignore[typeddict-item]
        if key is not None:
            text = f"{key}\0{address}".lower().encode("utf-8", "backslashreplace")
            item["idempotency_key"] = f"mail:{hashlib.sha256(text).hexdigest()}"
        found.append(item)
    return found


def _asked(message: EmailMessage) -> dict[str, str]:
    """The fields that headers fill; one of this name that is unknown is misspelt."""
    found = {}
    for name, value in (message.extra_headers or {}).items():
        if not name.lower().startswith("x-tactful-"):
            continue
        field = HEADERS.get(name.lower())
        if field is None:
            raise RequestError(name, value, f"is no header here: {', '.join(HEADERS)}")
        found[field] = str(value)
    return found


def _refusal(result: Receipt | RequestError) -> RequestError | None:
    if isinstance(result, RequestError):
        return result
    every = (result, *result.others)
    if all(one.decision == "reject" for one in every):
        return OverLimit(result.rule or "", result.retry_at)
    return None


def _setting(name: str, option: str) -> str:
    value = getattr(settings, name, None)
    if not isinstance(value, str) or not value:
        raise ImproperlyConfigured(f"{name} must be set, or the option {option!r} of the mailer")
    return value
