# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "celery==5.7.0", "hiredis==3.5.0", "jinja2==3.1.6", "limits==5.8.0", "psycopg[binary]==3.3.9",
#   "redis==8.1.0",
# ]
# ///
"""The pipeline that teams build today: Celery, `limits`, Jinja2, `email`, smtplib, one row each.

A task takes one mail through three moving windows, renders it, writes it, sends it and records
it. What is over a limit is recorded as dropped, since nothing in this pipeline can make it wait
for its turn; in this measurement nothing is over a limit.

Everything is set for speed, where a careful team would often choose otherwise: the broker keeps
nothing on disk, tasks are acknowledged before they run, no results are kept, 64 tasks are fetched
ahead, events and gossip are off, and rows are committed without waiting for the disk.
"""

from __future__ import annotations

import os
import smtplib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formatdate, make_msgid
from functools import cache
from typing import Any

import measuring
import psycopg
from celery import Celery
from jinja2 import Environment
from limits import RateLimitItemPerDay, RateLimitItemPerHour
from limits.storage import RedisStorage
from limits.strategies import MovingWindowRateLimiter

JOB = measuring.job()
SENDER = "Shop <shop@example.com>"
WORKERS = 2
PER_TYPE, PER_CHANNEL, PER_DAY = (
    RateLimitItemPerHour(100, namespace="type"),
    RateLimitItemPerDay(300, namespace="channel"),
    RateLimitItemPerDay(500, namespace="all"),
)

app = Celery("notify", broker=JOB["broker"])
app.conf.update(
    task_ignore_result=True,
    task_acks_late=False,
    worker_prefetch_multiplier=64,
    worker_disable_rate_limits=True,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
)

SUBJECT, TEXT = (Environment().from_string(JOB["template"][part]) for part in ("subject", "text"))
HTML = Environment(autoescape=True).from_string(JOB["template"]["html"])


# One of each for every process, made when it is first needed: after the fork.


@cache
def limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(RedisStorage(JOB["broker"]))


@cache
def database() -> Callable[..., Any]:
    """What runs a statement and commits it."""
    if JOB["database"].startswith("postgresql:"):
        connection = psycopg.connect(JOB["database"], autocommit=True)
        connection.execute("SET synchronous_commit = off")
        return connection.execute
    file = sqlite3.connect(JOB["database"], isolation_level=None, timeout=60)
    file.execute("PRAGMA journal_mode = WAL")
    file.execute("PRAGMA synchronous = NORMAL")
    return file.execute


def connect() -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", JOB["smtp_port"], local_hostname="localhost")


kept_connection = cache(connect)


def headers(to: str, subject: str) -> dict[str, str]:
    return {
        "Subject": subject,
        "From": SENDER,
        "To": to,
        "Date": formatdate(),
        "Message-ID": make_msgid(domain="example.com"),
    }


def modern_mail(head: dict[str, str], text: str, html: str) -> EmailMessage:
    mail = EmailMessage()
    for name, value in head.items():
        mail[name] = value
    mail.set_content(text)
    mail.add_alternative(html, subtype="html")
    return mail


def older_mail(head: dict[str, str], text: str, html: str) -> MIMEMultipart:
    """The same with the classes that `EmailMessage` was to replace, at a fraction of its cost."""
    mail = MIMEMultipart("alternative")
    for name, value in head.items():
        mail[name] = value
    mail.attach(MIMEText(text, "plain", "utf-8"))
    mail.attach(MIMEText(html, "html", "utf-8"))
    return mail


def send(to: str, head: dict[str, str], text: str, html: str) -> None:
    if JOB["variant"] == "connect":
        with connect() as client:
            client.send_message(modern_mail(head, text, html))
    elif JOB["variant"] == "keep":
        kept_connection().send_message(modern_mail(head, text, html))
    else:
        mail = older_mail(head, text, html)
        kept_connection().sendmail("shop@example.com", [to], mail.as_bytes())


def may_go(to: str) -> bool:
    hit = limiter().hit
    return hit(PER_TYPE, to, "shipping") and hit(PER_CHANNEL, to, "email") and hit(PER_DAY, to)


@app.task(name="notify")
def notify(to: str, data: dict[str, Any]) -> None:
    state = "dropped"
    if may_go(to):
        send(to, headers(to, SUBJECT.render(data)), TEXT.render(data), HTML.render(data))
        state = "sent"
    mark = "%s" if JOB["database"].startswith("postgresql:") else "?"
    row = (to, data["order"], state, time.time())
    database()(f"INSERT INTO results VALUES ({mark}, {mark}, {mark}, {mark})", row)


def recorded() -> int:
    query = "SELECT count(*) FROM results WHERE state = 'sent'"
    return int(database()(query).fetchone()[0])


def start_workers() -> subprocess.Popen[bytes]:
    options = ["--concurrency", str(WORKERS), "--pool", "prefork", "--loglevel", "ERROR"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = [sys.executable, "-m", "celery", "-A", "celery_pipeline", "worker", *options, *quiet]
    return subprocess.Popen(command, env=os.environ | {"C_FORCE_ROOT": "1"}, stdout=sys.stderr)


def main() -> None:
    types = "recipient text, order_id text, state text, at double precision"
    database()(f"CREATE TABLE results ({types})")
    mails, warm_up = JOB["mails"], JOB["warm_up"]
    workers = start_workers()
    try:
        with app.producer_or_acquire() as producer:
            for mail in warm_up:
                notify.apply_async((mail["to"], mail["data"]), producer=producer)
            measuring.wait_until(lambda: recorded() >= len(warm_up))
            meter = measuring.Meter({"workers": workers.pid} | JOB["servers"])
            began, own = time.perf_counter(), time.process_time()
            for mail in mails:
                notify.apply_async((mail["to"], mail["data"]), producer=producer)
            own = time.process_time() - own
            measuring.wait_until(lambda: recorded() >= len(warm_up) + len(mails))
            wall, spent = time.perf_counter() - began, meter.read()
    finally:
        workers.terminate()
        workers.wait()
    measuring.report({"wall_s": wall, "cpu_s": {"producer": own} | spent, "processes": WORKERS})


if __name__ == "__main__":
    main()
