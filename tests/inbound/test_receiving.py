"""How feedback comes in is configured, and what is wrong is named."""

from __future__ import annotations

import pytest

from tactful.config import load
from tactful.config.service import Inbound
from tactful.core.errors import ConfigError


def test_everything_can_be_set() -> None:
    found = load(
        None,
        {
            "TACTFUL_INBOUND_ADDRESS": "bounces@shop.example",
            "TACTFUL_INBOUND_PORT": "8724",
            "TACTFUL_INBOUND_PROTOCOL": "LMTP",
            "TACTFUL_RECEIPTS_TWILIO_KEY": "token",
            "TACTFUL_RECEIPTS_URL": "https://notify.shop.example/",
            "TACTFUL_RECEIPTS_SES_TOPICS": "arn:aws:sns:a arn:aws:sns:b",
            "TACTFUL_FEEDBACK_SOFT_WINDOW": "2d",
            "TACTFUL_FEEDBACK_BREAKER": "stop",
        },
    )

    assert found.inbound == Inbound("bounces@shop.example", port=8724, protocol="lmtp")
    assert found.receipts.keys == {"twilio": "token"}
    assert found.receipts.topics == ("arn:aws:sns:a", "arn:aws:sns:b")
    assert found.receipts.url == "https://notify.shop.example"
    assert (found.engine.feedback.breaker, found.engine.feedback.soft_window_ms) == (
        "stop",
        172_800_000,
    )
    assert "token" not in repr(found)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("INBOUND_PORT", "8724", "inbound.address: is missing"),
        ("INBOUND_ADDRESS", "nobody", "inbound.address: "),
        ("RECEIPTS_TWILIO_KEY", "hush", "receipts.url: is missing"),
        ("RECEIPTS_URL", "notify.shop.example", "receipts.url: must begin with https://"),
        ("RECEIPTS_SES_TOPICS", "feedback", "receipts.ses.topics: must be ARNs"),
        ("FEEDBACK_BREAKER", "off", "feedback.breaker: must be one of warn, stop"),
        ("FEEDBACK_VOLUME", "0", "feedback.volume: must be a whole number"),
    ],
)
def test_what_cannot_be_is_named(name: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load(None, {f"TACTFUL_{name}": value})

    assert str(refused.value).startswith(said)
    assert "hush" not in str(refused.value)
