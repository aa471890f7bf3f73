"""A process that accepts and sends over SMTP, for tests that kill it.

Started as `python mortal_process.py URL PORT JSON UNTIL`; the JSON is a list of fields for `send`.
Each receipt is one line of JSON on the standard output, written when the caller has it. It ends by
itself when nothing is `due`, or when nothing is `open`: when every delivery is in its final state.
"""

import json
import sys
import threading

from tactful import Settings, State, Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.core.retry import RetryPolicy

PATIENT = RetryPolicy(base_ms=50, cap_ms=200, tries_max=500, crashes_max=500)
"""Never gives up: whatever is given up in spite of that has been refused, or is lost."""

OPEN = (State.QUEUED, State.DEFERRED, State.SENDING)


def main(url: str, port: str, wanted: str, until: str) -> None:
    mail = SmtpChannel(
        host="127.0.0.1", port=int(port), sender="tactful@example.org", connections=2, batch=4
    )
    app = Tactful(url, channels=[mail], settings=Settings(retry=PATIENT))
    changed = threading.Event()
    app.listen(lambda _: changed.set())
    with app:
        for fields in json.loads(wanted):
            receipt = app.send(**fields)
            print(json.dumps([fields["idempotency_key"], receipt.to_dict()]), flush=True)
        app.drain()
        while until == "open" and sum(app.counts().get(state, 0) for state in OPEN):
            changed.wait()
            changed.clear()
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
