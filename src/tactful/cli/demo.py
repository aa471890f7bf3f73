"""`tactful demo`: the whole thing on this machine, over real SMTP and a real SQLite file.

Three acts on one database and one mail server of our own on loopback: a broadcast to people who
lose and open mail as people do; five calls against a daily limit; and a marketing burst that is
over its limit, of which nothing is lost.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, TypedDict

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from tactful.app import Tactful
from tactful.channels.smtp import SmtpChannel
from tactful.cli.options import shared, show, wanted
from tactful.core.model import Event, Recipient
from tactful.core.rules import Rule
from tactful.engine.zones import iso
from tactful.runtime.clock import ManualClock, SystemClock
from tactful.sim.people import People
from tactful.testing.smtp_sink import SmtpSink

LOSS = 0.1
BODIES = (
    "The bakery opens at six now.",
    "Your library books are due.",
    "A seat in the course is free.",
    "The bridge is closed today.",
    "Somebody answered you.",
)
CALLS = (
    ("news", "ada@example.com", "news 1"),
    ("news", "ada@example.com", "news 2"),
    ("news", "ada@example.com", "news 3"),
    ("news", "grace@example.com", "news 1"),
    ("update", "ada@example.com", "update 1"),
)


class Result(TypedDict):
    """What `--json` prints."""

    messages: list[dict[str, Any]]
    limited: list[dict[str, Any]]
    marketing: dict[str, int]


class Demo:
    """The three acts on one engine; `say` shows progress to a person."""

    def __init__(self, app: Tactful, clock: ManualClock, sink: SmtpSink, seed: int) -> None:
        self._app = app
        self._clock = clock
        self._sink = sink
        self._people = People(seed, LOSS)
        self.slots: Counter[int] = Counter()

    def register(self, count: int) -> None:
        """Make everybody known."""
        self._app.recipients.put_many(
            Recipient(f"user-{n:04}", f"User {n}", f"user{n:04}@example.com") for n in range(count)
        )

    def broadcasts(self) -> list[dict[str, Any]]:
        """Act one: everyone gets every message, less what gets lost."""
        ids = [
            self._app.broadcast(type="bulletin", subject=f"Bulletin {n}", text=body).notification_id
            for n, body in enumerate(BODIES, start=1)
        ]
        self._app.tick()
        for number, notification_id in enumerate(ids, start=1):
            self._live(notification_id, str(number))
        return [
            {"number": number, "body": body, **_figures(self._app, notification_id)}
            for number, (body, notification_id) in enumerate(zip(BODIES, ids, strict=True), start=1)
        ]

    def _live(self, notification_id: str, message: str) -> None:
        """What the world does with one message: it is lost or arrives, and is opened or not."""
        facts: list[Event] = []
        for delivery in self._app.deliveries(notification_id=notification_id, limit=1_000_000):
            person = delivery.recipient
            if self._people.loses(person, message):
                facts.append(Event("lost", delivery.id, self._clock.now()))
                continue
            facts.append(Event("delivered", delivery.id, self._clock.now()))
            if self._people.opens(person, message):
                facts.append(Event("opened", delivery.id, self._clock.now()))
        self._app.record_many(facts)

    def five_calls(self) -> list[dict[str, Any]]:
        """Act two: one news a day, refused if there are more; update has no rule."""
        self._app.rules.put(Rule("news", types=["news"], limit="1/day", on_limit="reject"))
        receipts = [
            (kind, to, self._app.send(type=kind, to=to, subject=text, text=text))
            for kind, to, text in CALLS
        ]
        self._app.tick()
        return [
            {"type": kind, "to": to, "decision": receipt.decision, "rule": receipt.rule}
            for kind, to, receipt in receipts
        ]

    def marketing(self, count: int) -> dict[str, int]:
        """Act three: five each where three an hour are allowed; the rest waits for its slot."""
        self._app.rules.put(Rule("marketing", types=["marketing"], limit="3/hour"))
        before = len(self._sink.messages)
        receipts = self._app.send_many(
            {
                "type": "marketing",
                "to": f"user-{n:04}",
                "subject": f"Offer {offer}",
                "text": f"Offer {offer} of 5, only for you.",
            }
            for offer in range(1, 6)
            for n in range(count)
        )
        waiting = [r.deliver_at for r in receipts if r.decision == "defer" and r.deliver_at]
        self.slots = Counter(waiting)
        self._app.tick()
        sent_now = len(self._sink.messages) - before
        for slot in sorted(self.slots):
            self._clock.set(slot - 1)
            early = self._app.tick()
            assert not early, "nothing goes before its slot"
            self._clock.set(slot)
            self._app.tick()
        sent_later = len(self._sink.messages) - before - sent_now
        return {
            "sent_now": sent_now,
            "deferred": len(waiting),
            "sent_later": sent_later,
            "lost": len(receipts) - sent_now - sent_later,
        }


def _figures(app: Tactful, notification_id: str) -> dict[str, Any]:
    figures = app.stats(notification_id).to_dict()
    names = ("sent", "received", "lost", "opened", "received_ratio", "opened_ratio")
    return {name: figures[name] for name in names}


@click.command("demo")
@click.option("--seed", type=int, default=None, help="Decides every draw; the same, the same run.")
@click.option("--users", type=click.IntRange(1, 100_000), default=1000, show_default=True)
@shared
def command(seed: int | None, users: int) -> None:
    """Show the whole thing on this machine in seconds.

    It makes a database and a mail server of its own and leaves nothing behind.
    """
    as_json = wanted().json
    console = Console(stderr=True, quiet=as_json)
    wall = SystemClock()
    started = wall.now()
    clock = ManualClock(started)
    chosen = clock.now() % 1_000_000 if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="tactful-demo-") as folder, SmtpSink() as sink:
        channel = SmtpChannel(
            host=sink.host, port=sink.port, sender="Tactful <demo@example.com>", batch=500
        )
        path = Path(folder) / "demo.db"
        app = Tactful(f"sqlite:///{path}", channels=[channel], clock=clock, seed=chosen)
        console.print(f"SMTP server {sink.host}:{sink.port}, seed {chosen}, database {path}")
        try:
            demo = Demo(app, clock, sink, chosen)
            demo.register(users)
            with console.status(f"5 messages to {users:,} people ..."):
                messages = demo.broadcasts()
            _show_messages(console, messages, users)
            limited = demo.five_calls()
            _show_calls(console, limited)
            asked_at = clock.now()
            with console.status(f"5 offers to {users:,} people, 3 an hour allowed ..."):
                marketing = demo.marketing(users)
            _show_marketing(console, marketing, demo.slots, asked_at)
        finally:
            app.close()
        mails = len(sink.messages)
    if as_json:
        show(Result(messages=messages, limited=limited, marketing=marketing), ())
    console.print(f"\n{mails:,} mails over SMTP in {(wall.now() - started) / 1000:.1f} s.")


def _table(console: Console, title: str) -> Table:
    console.print(f"\n[bold]{title}[/]")
    return Table(box=SIMPLE_HEAD, padding=(0, 0), pad_edge=False)


def _show_messages(console: Console, messages: list[dict[str, Any]], users: int) -> None:
    table = _table(console, f"1. Five messages to {users:,} people over SMTP, {LOSS:.0%} get lost")
    table.add_column("#", justify="right", min_width=1)
    table.add_column("body", no_wrap=True)
    for name in ("sent", "received", "lost", "opened", "rec./sent", "op./rec."):
        table.add_column(name, justify="right", no_wrap=True)
    for row in messages:
        numbers = [str(row[name]) for name in ("sent", "received", "lost", "opened")]
        ratios = [f"{row[name]:.2f}" for name in ("received_ratio", "opened_ratio")]
        table.add_row(str(row["number"]), row["body"], *numbers, *ratios)
    console.print(table)


def _show_calls(console: Console, limited: list[dict[str, Any]]) -> None:
    table = _table(console, "2. Five calls; rule news: 1/day for each recipient, on_limit = reject")
    for name in ("call", "type", "to", "decision", "rule"):
        table.add_column(name)
    for number, row in enumerate(limited, start=1):
        colour = "green" if row["decision"] == "send" else "red"
        decision = f"[{colour}]{row['decision']}[/]"
        table.add_row(str(number), row["type"], row["to"], decision, row["rule"] or "-")
    console.print(table)


def _show_marketing(
    console: Console, marketing: dict[str, int], slots: Counter[int], asked_at: int
) -> None:
    table = _table(console, "3. Five offers to everyone; rule marketing: 3/hour for each recipient")
    table.add_column("when")
    table.add_column("mails", justify="right")
    table.add_column("what")
    table.add_row(iso(asked_at), f"{marketing['sent_now']:,}", "[green]sent at once[/]")
    for slot, count in sorted(slots.items()):
        table.add_row(iso(slot - 1), "0", "a millisecond early: nothing moves")
        table.add_row(iso(slot), f"{count:,}", "deferred to exactly here, now [green]sent[/]")
    table.add_row("", f"{marketing['lost']:,}", "lost")
    console.print(table)
