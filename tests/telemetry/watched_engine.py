"""An engine that sends to test addresses, by the hand of a manual clock."""

from __future__ import annotations

from typing import Any

from tactful import Rule, Settings, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.channels.rehearsal import Rehearsal
from tactful.core.model import HOUR
from tactful.core.retry import RetryPolicy
from tactful.runtime.clock import ManualClock
from tactful.telemetry.timings import Timings

NOON = 1_800_014_400_000


def engine_on(url: str, clock: ManualClock, **more: Any) -> Tactful:
    """Mail that only test addresses get, and a rule of each kind."""
    mail = Rehearsal(CaptureChannel("mail", address_kind="email"), all_of_it=True)
    app = Tactful(
        url,
        channels=[mail],
        clock=clock,
        settings=Settings(retry=RetryPolicy(tries_max=2, base_ms=HOUR)),
        probe=Timings(),
        **more,
    )
    app.rules.put(
        Rule("daily", types=["news"], limit="1/day"),
        Rule("once", types=["code"], limit="1/hour", on_limit="reject"),
        Rule("latest", types=["status"], limit="1/hour", on_limit="collapse"),
        Rule("bundle", types=["likes"], limit="1/hour", on_limit="digest"),
    )
    return app
