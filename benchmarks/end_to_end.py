"""Notifications per second from submission to the SMTP server's 250, on SQLite in one process.

Every notification is submitted with its own data, decided under three rules, rendered from a
template (subject, text and html), written as MIME, sent over SMTP to Postfix's C `smtp-sink`, and
recorded. Commits of admission and claims are durable (`synchronous=FULL`).

    python -m benchmarks.end_to_end [--count 20000] [--recipients 5000] [--sink python]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from tactful import Rule, Tactful, Template
from tactful.channels.smtp import SmtpChannel
from tactful.ports import Probe
from tactful.testing.servers.process import free_port
from tactful.testing.smtp_sink import SmtpSink

HTML = (
    "<html><body><h1>Hello {{ name }}</h1><p>Order <b>{{ order }}</b> has left our warehouse.</p>"
    "<ul>{% for item in items %}<li>{{ item }}</li>{% endfor %}</ul>"
    "<p><a href='https://shop.example/orders/{{ order }}'>Follow it</a></p></body></html>"
)
TEXT = (
    "Hello {{ name }},\n\norder {{ order }} has left our warehouse.\n"
    "{% for item in items %}* {{ item }}\n{% endfor %}\n"
    "Follow it: https://shop.example/orders/{{ order }}\n"
)


SLOW_S = 0.05


@contextmanager
def smtp_sink(kind: str) -> Iterator[int]:
    """A server that takes mail and forgets it; Postfix's C sink where it is installed.

    A `slow` one takes 50 ms over each mail, on as many connections as it is given.
    """
    if kind == "slow":
        with SmtpSink(on_message=lambda _: time.sleep(SLOW_S)) as sink:
            yield sink.port
        return
    program = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    if kind == "python" or program is None:
        with SmtpSink() as sink:
            yield sink.port
        return
    port = free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "512"])
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait()


def items(count: int, recipients: int) -> Iterator[list[dict[str, Any]]]:
    """The submissions, in portions of 500."""
    for start in range(0, count, 500):
        yield [
            {
                "type": "shipping",
                "to": f"person{n % recipients}@example.com",
                "template": "shipped",
                "data": {"name": f"Person {n}", "order": f"A-{n}", "items": ["cup", "plate"]},
            }
            for n in range(start, min(start + 500, count))
        ]


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def engine(
    port: int,
    folder: Path,
    store: str | None = None,
    probe: Probe | None = None,
    connections: int = 2,
) -> tuple[Tactful, SmtpChannel]:
    """An engine with a template and three rules, on SQLite by default, and its SMTP channel."""
    channel = SmtpChannel(
        host="127.0.0.1",
        port=port,
        sender="Shop <shop@example.com>",
        connections=connections,
        batch=100,
    )
    app = Tactful(store or f"sqlite:///{folder}/bench.db", channels=[channel], probe=probe)
    app.templates.put(
        Template("shipped", subject="Order {{ order }} is on its way", text=TEXT, html=HTML)
    )
    app.rules.put(
        Rule("per-type", types=["shipping"], limit="100/hour"),
        Rule("per-day", limit="500/day"),
        Rule("per-channel", per="recipient+channel", limit="300/day calendar"),
    )
    return app, channel


def run(count: int, recipients: int, kind: str, folder: Path) -> dict[str, Any]:
    with smtp_sink(kind) as port:
        app, _ = engine(port, folder)
        portions = list(items(count, recipients))
        started, cpu = time.perf_counter(), time.process_time()
        with app:
            for portion in portions:
                app.send_many(portion)
            admitted = time.perf_counter() - started
            app.drain()
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
        states = app.status()["states"]
        app.close()
    assert states == {"sent": count}, states
    return {
        "notifications": count,
        "per_second": round(count / wall),
        "admitted_per_second": round(count / admitted),
        "cpu_us_each": round(cpu / count * 1e6),
        "wall_s": round(wall, 2),
        "peak_mib": round(peak_mib()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--recipients", type=int, default=5_000)
    parser.add_argument("--sink", choices=("c", "python"), default="c")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(options.count, options.recipients, options.sink, Path(folder))
    result |= {"python": platform.python_version(), "sqlite": apsw.sqlite_lib_version()}
    json.dump(result, sys.stdout)
    print()


if __name__ == "__main__":
    main()
