# /// script
# requires-python = ">=3.11"
# dependencies = ["django==5.2.19", "django-post_office==3.12.0", "psycopg[binary]==3.3.9"]
# ///
"""django-post_office: mails are queued in the database, then sent by two processes.

It knows no limits, so it has less to do than the others. Mails are queued in bulk, a batch is as
large as the queue, connections to the mail server are kept, and successes are not logged beside
the mail's own state. Django 5.2 writes mails with the older email classes of the standard library,
which cost less than those that later ones use. SQLite commits without waiting for the disk.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any
from urllib.parse import unquote, urlsplit

import django
import measuring
from django.conf import settings
from django.core.management import call_command
from django.db import connection

PROCESSES = 2
THREADS = 2
PORTION = 500


def engine(url: str) -> dict[str, Any]:
    if url.startswith("postgresql:"):
        found = urlsplit(url)
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": found.path.strip("/"),
            "HOST": found.hostname,
            "PORT": found.port,
            "USER": found.username,
            "PASSWORD": unquote(found.password or ""),
        }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": url,
        "OPTIONS": {
            "timeout": 60,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL",
        },
    }


def configure(job: dict[str, Any]) -> None:
    settings.configure(
        DATABASES={"default": engine(job["database"])},
        INSTALLED_APPS=["django.contrib.contenttypes", "post_office"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        SECRET_KEY="for this measurement only",
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=job["smtp_port"],
        DEFAULT_FROM_EMAIL="Shop <shop@example.com>",
        TEMPLATES=[
            {"BACKEND": "django.template.backends.django.DjangoTemplates", "NAME": "django"}
        ],
        POST_OFFICE={
            "BATCH_SIZE": len(job["mails"]) + 1,
            "LOG_LEVEL": 1,
            "THREADS_PER_PROCESS": THREADS,
            "BATCH_DELIVERY_TIMEOUT": 300,
        },
        LOGGING_CONFIG=None,
    )
    django.setup()
    logging.disable(logging.WARNING)
    call_command("migrate", verbosity=0)


def main() -> None:
    job = measuring.job()
    configure(job)
    # Only now: Django's models can be imported when Django is set up, and not before.
    from post_office import mail  # noqa: PLC0415
    from post_office.models import Email, EmailTemplate  # noqa: PLC0415

    template = EmailTemplate.objects.create(
        name="shipped",
        subject=job["template"]["subject"],
        content=job["template"]["text"],
        html_content=job["template"]["html"],
    )

    def queue(mails: list[dict[str, Any]]) -> None:
        for start in range(0, len(mails), PORTION):
            mail.send_many(
                [
                    {
                        "recipients": item["to"],
                        "template": template,
                        "context": item["data"],
                    }
                    for item in mails[start : start + PORTION]
                ]
            )

    def send() -> int:
        sent, _, _ = mail.send_queued(processes=PROCESSES)
        connection.close()  # as its own command does: the processes have used it up
        return int(sent)

    queue(job["warm_up"])
    send()
    meter = measuring.Meter({"workers": os.getpid()} | job["servers"])
    began, own = time.perf_counter(), time.process_time()
    queue(job["mails"])
    own = time.process_time() - own
    sent = send()
    wall, spent = time.perf_counter() - began, meter.read()
    assert sent == len(job["mails"]), f"{sent} of {len(job['mails'])} sent"
    assert not Email.objects.exclude(status=0).exists()
    spent["workers"] -= own
    measuring.report({"wall_s": wall, "cpu_s": {"producer": own} | spent, "processes": PROCESSES})


if __name__ == "__main__":
    main()
