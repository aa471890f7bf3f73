"""Our SMTP client beside smtplib, both with one kept connection, against Postfix's smtp-sink.

    python benchmarks/smtp_client.py [--messages 20000] [--size 1000] [--rounds 3]

Prints messages a second and CPU microseconds of this process per message. The rounds of the
clients take turns, so that a busy machine hurts them alike; the best round of each counts.
Needs `smtp-sink` (Debian: postfix).
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import shutil
import smtplib
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from tactful.channels.smtp import SmtpChannel
from tactful.channels.smtp.delivery import Mail, deliver
from tactful.channels.smtp.protocol import Server, connect
from tactful.core.model import Accepted, Message
from tactful.testing.servers.process import free_port

HOST = "127.0.0.1"
BATCH = 50


@contextlib.contextmanager
def smtp_sink(*options: str) -> Iterator[int]:
    """A running smtp-sink; gives its port."""
    program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if program is None:
        sys.exit("smtp-sink is not installed (Debian: apt-get install postfix)")
    port = free_port()
    user = ["-u", "nobody"] if getpass.getuser() == "root" else []
    process = subprocess.Popen([program, *user, *options, f"{HOST}:{port}", "200"])
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection((HOST, port), timeout=1).close()
                break
            except OSError:
                if time.monotonic() > deadline or process.poll() is not None:
                    sys.exit("smtp-sink did not start")
                time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def pipelined(port: int, count: int, data: bytes) -> None:
    session = connect(Server(HOST, port))
    mails = [Mail("me@example.org", f"u{n}@example.org", data) for n in range(BATCH)]
    for _ in range(count // BATCH):
        assert all(isinstance(found, Accepted) for found in deliver(session, mails))
    session.close()


def channel(port: int, count: int, data: bytes) -> None:
    text = data.decode()[: max(len(data) - 400, 1)].replace("\r\n", "\n")
    sender = SmtpChannel(host=HOST, port=port, sender="Me <me@example.org>")
    for batch in range(count // BATCH):
        found = sender.send(
            [
                Message(
                    id=f"m-{batch}-{n}",
                    notification_id="n",
                    recipient=f"u{n}",
                    address=f"u{n}@example.org",
                    type="status",
                    subject=f"Message {n}",
                    text=text,
                    html=None,
                    at=1_700_000_000_000,
                )
                for n in range(BATCH)
            ]
        )
        assert all(isinstance(outcome, Accepted) for outcome in found)
    sender.close()


def standard(port: int, count: int, data: bytes) -> None:
    with smtplib.SMTP(HOST, port) as client:
        for n in range(count):
            client.sendmail("me@example.org", [f"u{n % BATCH}@example.org"], data)


CLIENTS: dict[str, Callable[[int, int, bytes], None]] = {
    "tactful, ready bytes": pipelined,
    "tactful, whole channel (writes the mail too)": channel,
    "smtplib, ready bytes": standard,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=1_000, help="octets of a message")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    head = b"From: me@example.org\r\nTo: you@example.org\r\nSubject: measured\r\n\r\n"
    line = b"All work and no play makes a dull message.\r\n"
    data = head + line * max((asked.size - len(head)) // len(line), 1)
    count = asked.messages // BATCH * BATCH
    best: dict[str, tuple[float, float]] = {}
    with smtp_sink() as port:
        for number in range(asked.rounds):
            for name, run in CLIENTS.items():
                wall, cpu = time.perf_counter(), time.process_time()
                run(port, count, data)
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                print(f"round {number + 1}  {name:<46}{count / wall:>10,.0f}/s", flush=True)
                best[name] = min(best.get(name, (wall, cpu)), (wall, cpu))
    print(f"\n{count:,} messages of {len(data):,} octets, one connection, {os.cpu_count()} cores")
    for name, (wall, cpu) in best.items():
        print(f"{name:<46}{count / wall:>10,.0f}/s {cpu / count * 1e6:>8.1f} us CPU")


if __name__ == "__main__":
    main()
