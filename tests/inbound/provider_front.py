"""A desk whose certificates come from here, and how each provider reports a hard bounce."""

from __future__ import annotations

from inbound_world import World
from provider_calls import (
    CERTIFICATE,
    PATH,
    Made,
    certificate,
    mailgun,
    mailgun_failed,
    postmark,
    postmark_bounce,
    receipts,
    sendgrid,
    sendgrid_bounce,
    ses_bounce,
    sns,
    twilio,
    twilio_status,
)

from tactful.core.errors import Unavailable
from tactful.engine.feedback.reports import Taken
from tactful.inbound.desk import Desk
from tactful.inbound.providers.ses import Ses

REF = "0102-000001"


class Front:
    """A desk whose certificates come from here, and how each provider reports a hard bounce."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[str] = []
        self.answers: dict[str, bytes] = {CERTIFICATE: certificate()}
        self.desk = Desk(world.app, receipts())
        self.desk._providers["ses"] = Ses(receipts().topics, self.fetch)

    def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.answers:
            raise Unavailable("no answer")
        return self.answers[url]

    def take(self, provider: str, made: Made, path: str = "") -> Taken:
        return self.desk.take(provider, *made, path or PATH + provider)

    def bounce(self, provider: str, delivery_id: str, now: int | None = None) -> Made:
        at = self.world.clock.now() if now is None else now
        match provider:
            case "sendgrid":
                return sendgrid([sendgrid_bounce(delivery_id)], at)
            case "mailgun":
                return mailgun(mailgun_failed(delivery_id), at)
            case "postmark":
                return postmark(postmark_bounce(delivery_id), at)
            case "twilio":
                return twilio(twilio_status(REF, ErrorCode="30005"), PATH + provider)
            case _:
                return sns(ses_bounce(REF), at)


PROVIDERS = ("ses", "sendgrid", "mailgun", "postmark", "twilio")
STAMPED = ("ses", "sendgrid", "mailgun")
