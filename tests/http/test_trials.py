"""Changes of rules are tried, and scenarios simulated, before anything is live."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from api_bench import DAY, HOUR, Api, said

from tactful.core.errors import NotFound
from tactful.http.problems import Problem
from tactful.http.simulations import WAITING_MAX, Simulations

PREVIEW = "/v1/rules/preview"
SCENARIO = {
    "name": "small",
    "horizon": "1d",
    "population": {"count": 20},
    "traffic": [{"kind": "broadcast", "type": "news", "count": 3}],
    "rules": {"calm": {"limit": "1/day"}},
}


def preview(api: Api, status: int = 200, **trial: Any) -> Any:
    answer = api.client.post(PREVIEW, json=trial, headers=api.sender)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_a_preview_says_what_a_change_would_have_done(every: Api) -> None:
    every.rule("loose", "10/day")
    for _ in range(4):
        every.client.post("/v1/notifications", json=said(), headers=every.sender)
        every.app.tick()
        every.clock.advance(HOUR)

    found = preview(every, rule={"name": "tight", "limit": "1/day", "on_limit": "reject"})

    assert found["waiting"]["total"] == 0
    backtest = found["backtest"]
    assert backtest["changes"]["stopped"] == 3
    assert [rule["name"] for rule in backtest["rules"]] == ["loose", "tight"]
    assert backtest["hit"][0]["recipient"] == "ada@example.com"
    assert [rule.name for rule in every.app.rules.list()] == ["loose"]


def test_a_preview_counts_what_waits_now(every: Api) -> None:
    every.rule("daily", "1/day")
    for person in ("ada", "bob"):
        for _ in range(3):
            every.client.post("/v1/notifications", json=said(person), headers=every.sender)

    found = preview(every, remove="daily")

    assert found["waiting"] == {
        "total": 4,
        "at_least": False,
        "by_rule": {"daily": 4},
        "by_type": {"news": 4},
    }
    assert found["backtest"]["changes"]["earlier"] == 4
    assert found["backtest"]["rules"] == []


@pytest.mark.parametrize(
    ("trial", "status"),
    [
        ({}, 422),
        ({"rules": [], "remove": "x"}, 422),
        ({"remove": "x"}, 404),
        ({"rule": {"limit": "1/day"}}, 422),
        ({"rules": [{"name": "a", "limit": "1/day"}, {"name": "A", "limit": "1/day"}]}, 422),
        ({"rules": [{"name": "a", "limit": "1/90days"}]}, 422),
        ({"rules": [], "days": 91}, 422),
    ],
    ids=str,
)
def test_a_preview_of_nonsense_is_refused(api: Api, trial: dict[str, Any], status: int) -> None:
    preview(api, status, **trial)


# Simulations ----------------------------------------------------------------------------------


def test_a_scenario_is_simulated_when_its_turn_comes(api: Api) -> None:
    answer = api.client.post("/v1/simulations", json=SCENARIO, headers=api.admin)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert job["state"] in ("queued", "running")

    api.service.state.simulations.wait(job["id"], 60)

    url = f"/v1/simulations/{job['id']}"
    done = api.client.get(url, headers=api.sender).json()
    assert (done["state"], done["name"], done["error"]) == ("done", "small", None)
    assert done["result"]["total"]["submitted"] == 60
    listed = api.client.get("/v1/simulations", headers=api.sender).json()["items"]
    assert [(one["id"], one["result"]) for one in listed] == [(job["id"], None)]
    assert api.client.delete(url, headers=api.admin).status_code == 204
    assert api.client.get(url, headers=api.sender).status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"population": {"csv": "/etc/passwd"}},
        {"rules_file": "/etc/passwd"},
        {"traffic": [{"kind": "recorded", "file": "/etc/passwd"}]},
        {"population": {"count": 100_001}},
        {"traffic": [{"kind": "broadcast", "type": "news", "count": 1_000_000}]},
        {"traffic": [{"kind": "stream", "type": "news", "rate": "1000/second"}]},
        {"traffic": "all"},
        {"population": 7},
        {"rules": {"calm": {"limit": "x"}}},
        {"colour": "red"},
        {"horizon": 2**70},
    ],
    ids=str,
)
def test_a_scenario_that_is_wrong_too_large_or_names_a_file_is_refused(
    api: Api, change: dict[str, Any]
) -> None:
    answer = api.client.post("/v1/simulations", json={**SCENARIO, **change}, headers=api.admin)

    assert answer.status_code == 422, answer.text
    assert "root:" not in answer.text
    assert api.client.get("/v1/simulations", headers=api.sender).json() == {"items": []}


SLOW = [sys.executable, "-c", "import sys, time; sys.stdin.read(); time.sleep(600)"]
BROKEN = [sys.executable, "-c", "import os; os.abort()"]
WRONG = [sys.executable, "-c", "print('no such thing', end=''); raise SystemExit(1)"]


def test_the_line_is_bounded_and_ends_with_the_service() -> None:
    """What runs is stopped; closing waits for nobody."""
    started = threading.Event()
    jobs = Simulations(lambda: started.set() or SLOW)
    made = [jobs.submit("a", b"{}", 0)]
    assert started.wait(60)
    made += [jobs.submit("a", b"{}", 0) for _ in range(WAITING_MAX)]

    with pytest.raises(Problem) as refused:
        jobs.submit("a", b"{}", 0)
    assert refused.value.status_code == 429
    jobs.close()
    jobs.close()

    assert {job.state for job in made} == {"cancelled"}
    with pytest.raises(Problem):
        jobs.submit("a", b"{}", 0)


def test_one_that_is_removed_while_it_runs_makes_room_for_the_next() -> None:
    commands = iter([SLOW, WRONG])
    started = threading.Event()
    jobs = Simulations(lambda: started.set() or next(commands))
    first, second = jobs.submit("a", b"{}", 0), jobs.submit("b", b"{}", 0)
    assert started.wait(60)

    jobs.remove(first.id)

    assert jobs.wait(second.id, 60).state == "failed"
    assert second.error == "no such thing"
    assert first.state == "cancelled"
    with pytest.raises(NotFound):
        jobs.get(first.id)
    jobs.close()


def test_one_that_crashes_is_told_as_failed() -> None:
    jobs = Simulations(lambda: BROKEN)

    job = jobs.wait(jobs.submit("a", b"{}", 0).id, 60)

    assert job.state == "failed"
    assert job.error
    jobs.close()


def test_where_no_process_can_be_had_the_next_one_still_has_its_turn() -> None:
    commands = iter([["/nowhere/to/be/found"], WRONG])
    jobs = Simulations(lambda: next(commands))
    first, second = jobs.submit("a", b"{}", 0), jobs.submit("b", b"{}", 0)

    assert jobs.wait(second.id, 60).error == "no such thing"

    assert first.state == "failed"
    assert first.error
    jobs.close()


def test_a_preview_looks_back_from_the_clock_of_the_engine(tmp_path: Path) -> None:
    with Api(f"sqlite:///{tmp_path / 'a.db'}") as api:
        api.client.post("/v1/notifications", json=said(), headers=api.sender)
        api.clock.advance(8 * DAY)

        assert preview(api, rules=[], days=7)["backtest"]["people"] == 0
        assert preview(api, rules=[], days=9)["backtest"]["people"] == 1
