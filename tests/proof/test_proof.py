"""The frame of `make prove`: what it says, and when it fails. The scenarios prove themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from proof.catalogue import SCENARIOS
from proof.trial import Need, Scenario, Tally, Trial

from proof import __main__ as program
from proof import page

SIZES = {"small": 1, "full": 2, "soak": 3}


def kept(trial: Trial, tally: Tally) -> None:
    tally.points += trial.size


def broken(_: Trial, tally: Tally) -> None:
    tally.points += 1
    tally.find("a message is lost")


def ended(_: Trial, tally: Tally) -> None:
    tally.points += 1
    raise AssertionError("the server did not start")


def loud(trial: Trial, tally: Tally) -> None:
    subprocess.run(
        [sys.executable, "-c", "import os; os.write(2, b'no route to it\\n')"], check=True
    )
    kept(trial, tally)


def loud_and_broken(trial: Trial, tally: Tally) -> None:
    loud(trial, tally)
    broken(trial, tally)


def nothing(_: Trial, tally: Tally) -> None:
    tally.visit("poll 9", reached=False)


def all_but_one(_: Trial, tally: Tally) -> None:
    tally.visit("poll 8", reached=True)
    tally.visit("poll 9", reached=False)


@pytest.fixture
def prove(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> object:
    def run(scenario: Scenario, *words: str) -> tuple[int, str, dict[str, object]]:
        monkeypatch.setitem(SCENARIOS, scenario.name, scenario)
        file = tmp_path / "proof.json"
        given = ["proof", "--only", scenario.name, "--json", str(file), *words]
        monkeypatch.setattr("sys.argv", given)
        code = program.main()
        return code, capsys.readouterr().out, json.loads(file.read_text("utf-8"))

    return run


def test_what_holds_is_shown_with_its_figures(prove) -> None:
    code, out, document = prove(Scenario("calm", "All is well.", SIZES, kept), "--tier", "full")

    assert (code, document["broken"]) == (0, 0)
    assert "Every promise that was tried held." in out
    assert [one["points"] for one in document["scenarios"]] == [2]


@pytest.mark.parametrize(
    ("play", "says"),
    [
        (broken, "a message is lost"),
        (ended, "the server did not start"),
        (nothing, "nothing was tried"),
    ],
)
def test_a_broken_promise_or_a_proof_that_proves_nothing_is_a_failure(play, says, prove) -> None:
    code, out, document = prove(Scenario("storm", "All is well.", SIZES, play))

    assert (code, document["broken"]) == (1, 1)
    assert says in out
    assert "Every promise" not in out


def test_a_point_at_which_nothing_broke_is_named_and_does_not_count(prove) -> None:
    code, out, document = prove(Scenario("calm", "All is well.", SIZES, all_but_one))

    assert code == 0
    assert "calm: poll 9: no run came so far" in out
    assert [(one["points"], one["unreached"]) for one in document["scenarios"]] == [(1, 1)]


def test_what_its_processes_say_is_shown_only_where_a_promise_was_broken(prove) -> None:
    assert "no route to it" not in prove(Scenario("calm", "All is well.", SIZES, loud))[1]
    assert "no route to it" in prove(Scenario("storm", "All is well.", SIZES, loud_and_broken))[1]


def test_what_this_machine_cannot_do_is_named_and_fails_nothing(prove) -> None:
    need = Need("a lighthouse", lambda: False)
    code, out, document = prove(Scenario("night", "All is well.", SIZES, kept, (need,)))

    assert code == 0
    assert "night: NOT RUN, it needs a lighthouse" in out
    assert document["scenarios"][0]["not_run"] == ["a lighthouse"]


def test_the_page_shows_what_was_found_last() -> None:
    """docs/guarantees.md has exactly the figures of proof/results, and every scenario."""
    documents = page.results()
    text = page.PAGE.read_text("utf-8")

    assert page.rewritten(text, page.table(documents)) == text
    assert [name for name in SCENARIOS if f"--only {name}`" not in text] == []


def test_every_scenario_has_a_size_for_each_tier() -> None:
    assert {frozenset(one.sizes) for one in SCENARIOS.values()} == {frozenset(program.TIERS)}
