"""Where the webhooks of providers come in: each is read by the one whose it says it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tactful.app import Tactful
from tactful.channels.egress import Egress, EgressError
from tactful.config.service import Receipts
from tactful.core.errors import RequestError, Unavailable
from tactful.engine.feedback.reports import Taken
from tactful.inbound.providers.mailgun import Mailgun
from tactful.inbound.providers.postmark import Postmark
from tactful.inbound.providers.sendgrid import SendGrid
from tactful.inbound.providers.ses import Fetch, Ses
from tactful.inbound.providers.twilio import Twilio
from tactful.inbound.signed import Call, ForgedError, Provider

OK: Final = 200


class Desk:
    """Takes the calls of the providers that are configured; safe to use from many threads.

    `egress` is the way to Amazon's certificates. Raises ConfigError for a key that is none.
    """

    def __init__(self, app: Tactful, receipts: Receipts, egress: Egress | None = None) -> None:
        self._app = app
        self._providers = _providers(receipts, fetcher(egress if egress is not None else Egress()))

    def knows(self, provider: str) -> bool:
        """Whether the provider is configured."""
        return provider in self._providers

    def take(self, provider: str, headers: Mapping[str, str], body: bytes, path: str) -> Taken:
        """Check and apply one call; `path` is the path with the query, as it was asked for.

        Raises ForgedError and UnreadableError, and then nothing has changed; Unavailable.
        """
        call = Call(headers, body, path, self._app.clock.now())
        reports, seal = self._providers[provider].read(call)
        try:
            return self._app.reports.take(reports, seal)
        except RequestError as error:
            raise ForgedError(f"the signature {error.bound}") from None


def fetcher(egress: Egress) -> Fetch:
    """How to get what is at a URL, through the one way out."""

    def fetch(url: str) -> bytes:
        target = egress.target(url)
        try:
            with egress.session() as session:
                answer = session.get(target)
        except EgressError as error:
            raise Unavailable(str(error)) from None
        if answer.status != OK or not answer.complete:
            raise Unavailable(f"{target.host} answered {answer.status}")
        return answer.body

    return fetch


def _providers(receipts: Receipts, fetch: Fetch) -> dict[str, Provider]:
    found: dict[str, Provider] = {}
    keys = receipts.keys
    if receipts.topics:
        found["ses"] = Ses(receipts.topics, fetch)
    if "sendgrid" in keys:
        found["sendgrid"] = SendGrid(keys["sendgrid"])
    if "mailgun" in keys:
        found["mailgun"] = Mailgun(keys["mailgun"])
    if "postmark" in keys:
        found["postmark"] = Postmark(keys["postmark"])
    if "twilio" in keys:
        found["twilio"] = Twilio(keys["twilio"], receipts.url or "")
    return found
