"""The pytest plugin as its users run it: in a pytest of its own, with nothing but its name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROJECT = """
from tactful import Rule


class Shop:
    def __init__(self, tactful):
        self._tactful = tactful

    def offer(self, to, what):
        return self._tactful.send(type="offer", to=to, subject=what, text=f"Buy {what}.")


def test_the_second_offer_of_a_day_waits(tactful_app, outbox):
    tactful_app.rules.put(Rule("offers", types=["offer"], limit="1/day"))
    shop = Shop(tactful_app)
    for what in ("shoes", "hats", "gloves"):
        shop.offer("ada@example.com", what)

    assert [message.subject for message in outbox] == ["shoes"]
    outbox.advance(hours=23, minutes=59, seconds=59, ms=999)
    assert len(outbox) == 1
    outbox.advance(ms=1)
    assert [message.subject for message in outbox] == ["shoes", "hats"]
    outbox.advance(days=10)
    first, second, third = [message.at for message in outbox]
    assert third - second == second - first == 86_400_000
    assert outbox[-1].subject == "gloves"
    assert outbox.to("nobody@example.com") == []


def test_each_test_begins_with_nothing(tactful_app, outbox, tactful_clock):
    assert len(outbox) == 0
    assert tactful_app.rules.list() == []
    assert tactful_clock.now() == 1_800_000_000_000


def test_what_was_forgotten_still_counts(tactful_app, outbox):
    tactful_app.rules.put(Rule("offers", types=["offer"], limit="1/day"))
    Shop(tactful_app).offer("ada@example.com", "shoes")
    outbox.clear()
    assert Shop(tactful_app).offer("ada@example.com", "hats").decision == "defer"
    assert len(outbox) == 0
    assert repr(outbox) == "Outbox()"
"""


def test_a_project_uses_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_shop.py").write_text(PROJECT, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tactful.testing.plugin", "-p", "no:valkey"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
