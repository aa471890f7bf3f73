"""A worker of a fleet: it submits nothing, and sends until the end of its standard input.

Started as `python -m proof.fleet_process URL HOST PORT OWNER`. While its store is away it asks
again and again, also at its start. It says how far its own clock is from that of its store, in
seconds, when it has begun.
"""

import sys
import time
from functools import partial

from proof.mortal_process import ask
from tactful import Settings, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.retry import RetryPolicy

SETTINGS = Settings(
    lease_ms=15_000,
    permit_ms=2_000,
    retry=RetryPolicy(base_ms=100, cap_ms=2_000, tries_max=500, crashes_max=500),
)


def main(url: str, host: str, port: str, owner: str) -> None:
    mail = SmtpChannel(
        host=host, port=int(port), sender="tactful@example.org", connections=2, batch=10
    )
    app = ask(partial(Tactful, url, channels=[mail], settings=SETTINGS, owner=owner))
    with app:
        print(round(time.time() - app.clock.now() / 1_000), flush=True)
        sys.stdin.read()
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
