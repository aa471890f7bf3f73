"""Celery tasks that tell people what became of them, and people that are not told twice.

    TACTFUL_URL=http://127.0.0.1:8700 TACTFUL_KEY=tk_live_... celery -A celery_tasks worker

The id of a task is the same each time that it is tried, so it is the idempotency key: a worker that
was killed behind the send, and whose task runs once more, stores nothing twice. Whoever is told
about failures is told so often as the rules for the type `failure` allow.
"""

import os
from typing import Any

from celery import Celery, Task
from celery.signals import task_failure

from tactful import Client, errors

app = Celery("shop", broker=os.environ.get("BROKER_URL", "memory://"))
app.conf.task_acks_late = True

tactful = Client(os.environ["TACTFUL_URL"], os.environ["TACTFUL_KEY"])


@app.task(bind=True, autoretry_for=(errors.Unavailable,), retry_backoff=True, max_retries=10)
def ship(self: Task, order: str, buyer: str) -> str:
    """Ship an order and tell the buyer, once."""
    if not order.isdigit():
        raise ValueError(f"order {order!r} is no number")
    receipt = tactful.send(
        type="shipped",
        to=buyer,
        subject=f"Your order {order}",
        text="It is on its way.",
        idempotency_key=f"celery-{self.request.id}",
    )
    return receipt.decision


@task_failure.connect
def tell_operators(task_id: str, exception: BaseException, sender: Task, **_: Any) -> None:
    """Tell operators that a task has failed for good."""
    tactful.send(
        type="failure",
        to=os.environ.get("OPERATORS", "operators@example.com"),
        subject=f"{sender.name} failed",
        text=f"{type(exception).__name__}: {exception}",
        collapse_key=sender.name,
        idempotency_key=f"celery-failure-{task_id}",
    )
