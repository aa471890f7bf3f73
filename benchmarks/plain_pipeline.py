"""What a team writes without an engine: sqlite3, a counted limit, Jinja2, EmailMessage, smtplib.

The same notifications as `end_to_end`, sent by straight code in one thread over one kept
connection: a row for each, a count of the last hour and day, a commit for every 50, a mail built
by the standard library. No retries, no deferral, no second worker: a floor to compare with.

    python -m benchmarks.plain_pipeline [--count 2000]
"""

from __future__ import annotations

import argparse
import json
import smtplib
import sqlite3
import tempfile
import time
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path
from typing import Any

from benchmarks.end_to_end import HTML, TEXT, items, smtp_sink
from jinja2.sandbox import SandboxedEnvironment

WINDOWS_S = ((3_600, 100), (86_400, 500), (86_400, 300))


def measure(count: int, folder: Path) -> dict[str, Any]:
    """Notifications per second of the plain pipeline."""
    database = sqlite3.connect(folder / "plain.db")
    database.executescript(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
        "CREATE TABLE sent (recipient TEXT, at REAL, body TEXT);"
        "CREATE INDEX sent_recipient ON sent (recipient, at);"
    )
    plain, html = SandboxedEnvironment(), SandboxedEnvironment(autoescape=True)
    parts = plain.from_string("Order {{ order }} is on its way"), plain.from_string(TEXT)
    page = html.from_string(HTML)
    with smtp_sink("c") as port, smtplib.SMTP("127.0.0.1", port) as server:
        started, cpu = time.perf_counter(), time.process_time()
        for number, item in enumerate(row for portion in items(count, 500) for row in portion):
            now = time.time()
            for window, most in WINDOWS_S:
                used = database.execute(
                    "SELECT count(*) FROM sent WHERE recipient = ? AND at > ?",
                    (item["to"], now - window),
                ).fetchone()[0]
                assert used < most
            mail = EmailMessage()
            mail["From"], mail["To"] = "Shop <shop@example.com>", item["to"]
            mail["Subject"] = parts[0].render(item["data"])
            mail["Date"], mail["Message-ID"] = formatdate(now), make_msgid(domain="example.com")
            mail.set_content(parts[1].render(item["data"]))
            mail.add_alternative(page.render(item["data"]), subtype="html")
            server.send_message(mail)
            database.execute(
                "INSERT INTO sent VALUES (?, ?, ?)", (item["to"], now, json.dumps(item["data"]))
            )
            if number % 50 == 49:
                database.commit()
        database.commit()
        wall, cpu = time.perf_counter() - started, time.process_time() - cpu
    database.close()
    return {
        "notifications": count,
        "per_second": round(count / wall),
        "cpu_us_each": round(cpu / count * 1e6),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args().count, Path(folder))))


if __name__ == "__main__":
    main()
