"""A worker that takes submissions from a broker, sends, and publishes what happens.

Started as `python -m proof.broker_process URL PORT BROKER_URL`; it ends at the end of its standard
input, or when it is killed.
"""

import sys
from functools import partial

from proof.fleet_process import SETTINGS
from proof.mortal_process import ask
from tactful import Tactful
from tactful.brokers.settings import Places, open_broker
from tactful.channels.smtp import SmtpChannel
from tactful.frontdoors.broker import BrokerDoor
from tactful.runtime.outbox import Outbox

PLACES = Places(settled_within_ms=2_000)


def main(url: str, port: str, broker_url: str) -> None:
    mail = SmtpChannel(
        host="127.0.0.1", port=int(port), sender="tactful@example.org", connections=2, batch=10
    )
    app = ask(partial(Tactful, url, channels=[mail], settings=SETTINGS))
    broker = open_broker(broker_url, PLACES)
    with app, Outbox(app.store, app.clock, broker, app.probe), BrokerDoor(app, broker):
        print("begun", flush=True)
        sys.stdin.read()
    broker.close()
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
