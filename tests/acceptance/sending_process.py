"""A process that sends over SMTP until nothing is due, for tests that kill it.

Started as `python sending_process.py URL PORT [JSON]`: the JSON is a list of fields for `send`.
Says `ready` once what it was given is stored, and `done` when nothing is due.
"""

import json
import sys

from tactful import Tactful
from tactful.channels.smtp import SmtpChannel


def main(url: str, port: str, wanted: str = "[]") -> None:
    mail = SmtpChannel(host="127.0.0.1", port=int(port), sender="tactful@example.org")
    app = Tactful(url, channels=[mail])
    app.send_many(json.loads(wanted))
    print("ready", flush=True)
    with app:
        app.drain()
    print("done", flush=True)
    app.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
