"""A worker of a fleet: it submits nothing, and sends until the end of its standard input.

Started as `python -m proof.fleet_process URL HOST PORT OWNER [LEDGER]`. While its store is away it
asks again and again, also at its start. It says how far its own clock is from that of its store, in
seconds, when it has begun; and in the end, as JSON, how often it has read histories from where.
"""

import json
import sys
import time
from collections import Counter
from functools import partial

from proof.mortal_process import ask
from tactful import Settings, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.retry import RetryPolicy
from tactful.ledgers.settled import SettledHistories
from tactful.ports import Unwatched

SETTINGS = Settings(
    lease_ms=15_000,
    permit_ms=2_000,
    retry=RetryPolicy(base_ms=100, cap_ms=2_000, tries_max=500, crashes_max=500),
)


class Counted(Unwatched):
    """A probe that counts what happened about ledgers."""

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        if about == "ledger":
            self.found[what] += times


def main(url: str, host: str, port: str, owner: str, ledger: str = "") -> None:
    mail = SmtpChannel(
        host=host, port=int(port), sender="tactful@example.org", connections=2, batch=10
    )
    counted = Counted()
    app = ask(
        partial(
            Tactful,
            url,
            channels=[mail],
            settings=SETTINGS,
            owner=owner,
            probe=counted,
            ledger=SettledHistories(ledger) if ledger else None,
        )
    )
    with app:
        print(round(time.time() - app.clock.now() / 1_000), flush=True)
        sys.stdin.read()
    app.close()
    print(json.dumps(counted.found), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
