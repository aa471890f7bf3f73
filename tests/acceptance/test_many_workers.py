"""CON-6: many workers on PostgreSQL under rules that change every second, judged afterwards."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tactful import Rule, Tactful
from tactful.testing import CaptureChannel

PROGRAM = Path(__file__).with_name("working_process.py")


def change_rules(app: Tactful, window: str, tight: bool) -> None:
    """Three rules, two of which become tighter and looser by turns."""
    person, news = (10, 6) if tight else (14, 8)
    app.rules.put(
        Rule("person", limit=f"{person}/{window}"),
        Rule("type", per="recipient+type", types=["news"], limit=f"{news}/{window}"),
        Rule("day", limit="5000/day"),
    )


def judged(url: str) -> dict[str, Any]:
    """What `tactful verify` says of a store."""
    command = [sys.executable, "-m", "tactful", "--store", url, "verify", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def run(url: str, workers: int, people: int, each: int, window: str) -> dict[str, Any]:
    """Send `each` messages to every one of `people`; gives the judge's report."""
    app = Tactful(url, channels=[CaptureChannel("post")])
    change_rules(app, window, tight=False)
    made = [
        subprocess.Popen(
            [sys.executable, str(PROGRAM), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]
    for process in made:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for number in range(each):
        app.send_many(
            {"type": "news" if number % 2 else "offers", "to": f"user{n}", "text": "x"}
            for n in range(people)
        )
    second = threading.Event()
    tight = False
    while app.status()["states"].get("delivered", 0) < people * each:
        tight = not tight
        change_rules(app, window, tight)
        second.wait(1)
    app.close()
    sent = [int(process.communicate()[0]) for process in made]
    assert sum(sent) == people * each
    assert all(sent), "every worker has had its share"
    return judged(url)


def check(report: dict[str, Any], deliveries: int, used: float) -> None:
    assert report["attempts"] == report["ok"] == report["out"] == deliveries
    assert report["violations"] == 0
    assert (report["lost"], report["unexpected"]) == ([], [])
    assert report["duplicated"] == {"explained": [], "unexplained": []}
    print(report["rules"])  # how much of each limit was used, for whoever runs the long ones
    shares = [rule["used"] for rule in report["rules"].values() if rule["used"] is not None]
    assert max(shares) >= used, shares


def test_con_6_workers_share_limits_that_change_every_second(postgres_store_url: str) -> None:
    check(run(postgres_store_url, workers=2, people=40, each=40, window="4s"), 1_600, used=0.9)


@pytest.mark.soak
def test_con_6_eight_workers_and_20_000_deliveries(postgres_store_url: str) -> None:
    report = run(postgres_store_url, workers=8, people=500, each=40, window="1m")
    check(report, 20_000, used=0.9)
