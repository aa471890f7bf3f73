"""One store and the senders that live and die on it: what they are asked, and when they die."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from proof.mail_room import Death, Event, MailRoom
from tactful import Rule, Tactful, Template
from tactful.ledgers.settled import SettledHistories
from tactful.testing import CaptureChannel

SUBMISSIONS = 40
PEOPLE = [f"p{number}@example.org" for number in range(6)]

RULES = (
    Rule(name="pace", types=["news"], limit="2/2s"),
    Rule(name="bundle", types=["like"], limit="1/2s", on_limit="digest"),
    Rule(name="flow", channels=["email"], per="channel", limit="50/s", burst=10),
)
WINDOW_MS = 2_000
EVENTS: tuple[Event, ...] = ("receipt", "envelope", "taken", "later", "later")
DIGEST = Template(name="digest", text="{% for item in items %}{{ item.text }} {% endfor %}")


def open_app(url: str, ledger: str = "") -> Tactful:
    """Somebody who looks at the store, and at a ledger beside it, and sends nothing."""
    return Tactful(
        url,
        channels=[CaptureChannel("email", address_kind="email")],
        ledger=SettledHistories(ledger) if ledger else None,
    )


def prepare(url: str) -> None:
    """The rules, on a store that is made if there is none."""
    app = open_app(url)
    app.rules.put(*RULES)
    app.templates.put(DIGEST)
    app.close()


@dataclass
class Case:
    """One store, its senders' lives, and what they told their callers."""

    url: str
    room: MailRoom
    wanted: Sequence[dict[str, Any]]
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)

    def live(self, death: Death | None = None, *, url: str | None = None, owner: str = "") -> None:
        """One sender: it is asked again for all that nobody has a receipt for."""
        rest = [item for item in self.wanted if item["idempotency_key"] not in self.receipts]
        self.receipts |= self.room.run(url or self.url, rest, death, owner=owner)
        for item in rest:
            key = item["idempotency_key"]
            self.tries[key] = self.tries.get(key, 0) + 1


def submissions(draw: Random) -> list[dict[str, Any]]:
    found = []
    for number in range(SUBMISSIONS):
        type_ = draw.choice(("news", "like", "note"))
        key = f"{type_}{number}"
        to = draw.choice(PEOPLE)
        found.append({"type": type_, "to": to, "text": f"<{key}>", "idempotency_key": key})
    return found


def draw_death(draw: Random) -> Death:
    return Death(draw.choice(EVENTS), draw.randint(1, 7), draw.random() * 0.03)
