"""What is submitted together is decided as it would be one after the other."""

from __future__ import annotations

from random import Random

import pytest
from engine_bench import START

from tactful import NotificationType, Recipient, Rule, Tactful
from tactful.core.errors import RequestError
from tactful.engine.requests import Receipt, Submission
from tactful.testing import CaptureChannel, ManualClock

TYPES = ("news", "status", "alarm", "stray", "chat")


def engine() -> Tactful:
    channels = [CaptureChannel("email", address_kind="email"), CaptureChannel("sms")]
    app = Tactful("memory://", channels=channels, clock=ManualClock(START), seed=7)
    app.rules.put(
        Rule("calm", "3/hour", reserve={"high": 1}),
        Rule("each", "2/day calendar", types=["status", "chat"], per="recipient+type"),
        Rule("bulletin", "1/hour", types=["news"], on_limit="digest"),
        Rule("chatter", "1/minute", types=["chat"], on_limit="collapse"),
        Rule("once", "1/day", types=["alarm"], channels=["sms"], on_limit="reject"),
    )
    app.types.put(
        NotificationType("alarm", category="safety", channels=("sms", "email"), priority="high"),
        NotificationType("news", category="offers"),
        NotificationType("status"),
    )
    app.recipients.put(Recipient("p1", email="p1@example.com", mute=("category:offers",)))
    app.recipients.put(Recipient("p2", timezone="Europe/Vienna"))
    app.recipients.suppress("p3", channel="sms")
    return app


def submissions(random: Random) -> list[Submission]:
    found: list[Submission] = []
    for number in range(120):
        one: Submission = {
            "type": random.choice(TYPES),
            "to": f"p{random.randrange(8)}",
            "text": str(number),
        }
        if random.random() < 0.3:
            one["priority"] = random.choice(("low", "normal", "high", "critical"))
        if random.random() < 0.2:
            one["channels"] = random.choice((["sms"], ["email", "sms"], ["fax"]))
        if random.random() < 0.2:
            one["deliver_at"] = START + random.randrange(3_600_000)
        if random.random() < 0.2:
            one["ttl"] = "30m"
        if random.random() < 0.2:
            one["idempotency_key"] = f"k{random.randrange(12)}"
        found.append(one)
    return found


def told(receipt: Receipt | RequestError) -> object:
    """All that a caller hears."""
    return receipt.to_dict() if isinstance(receipt, Receipt) else str(receipt)


@pytest.mark.parametrize("seed", range(12))
def test_a_receipt_is_the_same_whoever_else_is_in_the_batch(seed: int) -> None:
    together, apart = engine(), engine()
    asked = submissions(Random(seed))

    for start in range(0, len(asked), 40):
        portion = asked[start : start + 40]
        found = [told(one) for one in together.send_each(portion)]
        alone = [told(one) for item in portion for one in apart.send_each([item])]

        assert found == alone, f"seed {seed}"
        assert together.deliveries() == apart.deliveries()
