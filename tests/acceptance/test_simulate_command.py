"""SIM-9 to 13, 20 and 21: the simulator as a person uses it, in processes of its own."""

from __future__ import annotations

import cProfile
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tactful import Recipient, Tactful
from tactful.sim.draws import Draws
from tactful.sim.exercise import EXERCISE, adjusted
from tactful.sim.reading import read_scenario
from tactful.sim.run import simulate
from tactful.sim.traffic import Everyone, arrivals
from tactful.testing import CaptureChannel, ManualClock

EXERCISE_FILE = Path(__file__).parents[2] / "examples" / "exercise.toml"
RATES = Path(__file__).parents[2] / "examples" / "rate_limited.toml"


def tactful(*words: str | Path) -> bytes:
    command = [sys.executable, "-m", "tactful", "simulate", *map(str, words)]
    return subprocess.run(command, check=True, capture_output=True).stdout


def figures(*words: str | Path) -> Any:
    return json.loads(tactful(*words, "--json"))


def test_sim_11_one_command_runs_the_exercise() -> None:
    """1,000 people, 5 messages, a tenth is lost: 900 +- 4 deviations, 0.72 opened."""
    found = figures(EXERCISE_FILE, "--seed", "1")

    assert [one["number"] for one in found["messages"]] == [1, 2, 3, 4, 5]
    for one in found["messages"]:
        assert one["sent"] == 1_000
        assert abs(one["received"] - 900) <= 38
        assert one["received"] + one["lost"] == 1_000
        assert one["received_ratio"] == one["received"] / 1_000
        assert abs(one["opened_ratio"] - 0.72) <= 0.05
        assert one["body"] == f"Message {one['number']} to everybody."


def test_sim_13_two_processes_with_one_seed_give_the_same_bytes() -> None:
    words = (EXERCISE_FILE, "--seed", "1", "--json")
    first = tactful(*words)
    assert first == tactful(*words)
    assert len({one["id"] for one in json.loads(first)["messages"]}) == 5


@pytest.mark.parametrize(("loss", "received"), [("0", 500), ("1", 0)])
def test_sim_9_no_loss_and_full_loss_are_exact(loss: str, received: int) -> None:
    found = figures("--users", "100", "--loss", loss)["total"]
    assert (found["sent"], found["received"], found["lost"]) == (500, received, 500 - received)
    assert (found["opened_ratio"] is None) == (received == 0)


@pytest.mark.parametrize(("chance", "part"), [("0", 0.0), ("1", 1.0), ("0.3", 0.3)])
def test_sim_10_the_chance_to_open_is_a_parameter(chance: str, part: float) -> None:
    found = figures("--users", "400", "--open", chance)["total"]
    spread = 4 * math.sqrt(part * (1 - part) / found["received"])
    assert abs(found["opened"] / found["received"] - part) <= spread


def test_sim_10_habits_make_people_differ() -> None:
    """Some open nothing, some everything, the rest as it comes."""
    run = simulate(adjusted(EXERCISE, users=600, messages=12, loss=0.0))
    opened = dict.fromkeys((d.recipient for d in run.deliveries), 0)
    for delivery in run.deliveries:
        opened[delivery.recipient] += delivery.opened_at is not None
    always = sum(count == 12 for count in opened.values())
    never = sum(count == 0 for count in opened.values())
    assert abs(always / 600 - 33 / 101) < 0.08
    assert 0 < never / 600 < 0.06


def test_sim_12_users_messages_loss_open_and_output_are_options(tmp_path: Path) -> None:
    table = tmp_path / "figures.csv"
    words = ("--users", "10", "--messages", "2", "--loss", "0.5", "--open", "1", "--csv", table)
    shown = tactful(*words).decode()
    assert "submitted" in shown
    assert table.read_text("utf-8").count("\n") == 5


@pytest.mark.parametrize(("users", "messages"), [(400, 5), (200, 10)])
def test_sim_20_twice_the_people_or_messages_are_twice_the_work(users: int, messages: int) -> None:
    """Counted in calls of functions, since clocks tell about the machine."""

    def calls(users: int, messages: int) -> int:
        profile = cProfile.Profile()
        profile.runcall(simulate, adjusted(EXERCISE, users=users, messages=messages))
        return sum(entry.callcount for entry in profile.getstats())

    calls(10, 1)  # what is only done once in a process
    assert 1.7 < calls(users, messages) / calls(200, 5) < 2.2


def test_sim_21_the_engine_outside_decides_the_same() -> None:
    """The same traffic, submitted to an engine of our own: decision by decision."""
    scenario = read_scenario(RATES)
    scenario = adjusted(scenario, users=25)
    run = simulate(scenario)
    clock = ManualClock(scenario.start)
    app = Tactful("memory://", channels=[CaptureChannel("inbox")], clock=clock, seed=scenario.seed)
    app.rules.put(*scenario.policies.rules)
    everyone = Everyone([Recipient(f"user-{n}") for n in range(1, 26)], {})
    app.recipients.put_many(everyone.people)
    decided = []
    for arrival in arrivals(scenario, everyone, Draws(scenario.seed)):
        clock.set(arrival.at)
        receipt = app.send(to=arrival.to or "", **arrival.fields)
        app.tick()
        decided.append((receipt.decision, receipt.rule, receipt.deliver_at, receipt.retry_at))

    assert len(decided) > 1_000
    assert decided == [
        (r.decision, r.rule, r.deliver_at, r.retry_at)
        for r in (one.receipt for one in run.submitted)
    ]
    app.close()
