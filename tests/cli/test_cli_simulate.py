"""`tactful simulate`: files in, tables, documents and an exit code out."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tactful.cli.main import tactful

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = """
seed = 3
horizon = "2d"
[population]
count = 30
[[traffic]]
kind = "stream"
type = "offer"
rate = "6/day"
[[traffic]]
kind = "broadcast"
type = "news"
count = 2
[rules.offers]
types = ["offer"]
limit = "2/day"
on_limit = "reject"
[behaviour.fatigue]
opens = 0.1
unsubscribes = 0.002
"""


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(tactful, ["simulate", *map(str, words)])


def answer(*words: str | Path) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.toml"
    file.write_text(SMALL, "utf-8")
    return file


def test_without_a_file_it_runs_the_exercise() -> None:
    shown = run("--users", "100")
    assert shown.exit_code == 0
    assert re.search(r"5\s+Message 5 to everybody\.\s+100", shown.stdout)
    assert "received ratio" in shown.stdout


def test_a_file_is_run_and_its_numbers_add_up(small: Path) -> None:
    found = answer(small)
    assert found["people"] == 30
    assert set(found["types"]) == {"news", "offer"}
    assert found["types"]["news"]["submitted"] == 60
    offers = found["types"]["offer"]
    assert offers["submitted"] == offers["sent"] + offers["rejected"] + offers["suppressed"]
    assert found["rules"] == {"offers": offers["rejected"]}
    assert len(found["worst"]) == 5


def test_options_overrule_the_file(small: Path) -> None:
    words = (small, "--users", "7", "--messages", "4", "--loss", "1", "--seed", "9")
    found = answer(*words)
    assert (found["people"], found["seed"], len(found["messages"])) == (7, 9, 4)
    assert found["total"]["received"] == 0
    assert found["total"]["lost"] == found["total"]["sent"] > 0


@pytest.mark.parametrize("option", ["loss", "open"])
@pytest.mark.parametrize("value", ["7", "-1", "nan", "x"])
def test_sim_9_what_is_no_ratio_is_refused_by_name(option: str, value: str) -> None:
    result = run(f"--{option}={value}")
    assert result.exit_code == 1
    assert result.stderr == f"error: {option}: must be a number from 0 to 1 (got {value!r})\n"


@pytest.mark.parametrize("option", ["users", "messages", "seed"])
@pytest.mark.parametrize("value", ["-1", "1.5", "nan", "x"])
def test_what_is_no_whole_number_is_refused_by_name(option: str, value: str) -> None:
    result = run(f"--{option}={value}")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {option}: must be a whole number of at least 0")


def test_a_wrong_scenario_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[channels.sms]\nloss = 2\n", "utf-8")
    result = run(file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "channels.sms.loss: must be a number from 0 to 1 (got 2)" in result.stderr
    assert run(tmp_path / "none.toml").exit_code == 2


def test_an_assertion_decides_about_the_exit_code(small: Path) -> None:
    assert run(small, "--assert", "lost == 0 and p99_delay < 2h").exit_code == 0
    failed = run(small, "--assert", "sent > 0", "--assert", "offer.rejected == 0")
    assert failed.exit_code == 1
    assert "failed: offer.rejected == 0" in failed.stderr
    assert "sent > 0" not in failed.stderr


def test_an_assertion_that_cannot_be_read_is_refused_before_the_run(small: Path) -> None:
    result = run(small, "--assert", "print(1)")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "cannot hold 'print(1)'" in result.stderr


@pytest.mark.usefixtures("scale_compiled")
def test_scale_mode_gives_the_same_tables_on_any_number_of_cores(small: Path) -> None:
    found = answer(small, "--scale", "--users", "2000", "--cores", "1")
    assert answer(small, "--scale", "--users", "2000", "--cores", "2") == found
    assert found["people"] == 2000
    ends = [found["total"][name] for name in ("sent", "rejected", "suppressed")]
    assert found["total"]["submitted"] == sum(ends)
    assert min(ends) > 0
    shown = run(small, "--scale", "--assert", "lost == 0 and rejected > 0")
    assert shown.exit_code == 0
    assert "hit worst" in shown.stdout


def test_scale_mode_refuses_what_it_does_not_cover(small: Path, tmp_path: Path) -> None:
    assert run(small, "--scale", "--trace", tmp_path / "t").exit_code == 2
    small.write_text(SMALL.replace('"reject"', '"digest"'), "utf-8")
    result = run(small, "--scale")
    assert result.exit_code == 1
    assert "scale mode does not cover digests" in result.stderr


def test_two_rule_sets_are_compared_in_the_same_world(small: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[rules.offers]\ntypes = ['offer']\nlimit = '1/day'\non_limit = 'reject'\n")
    found = answer(small, "--compare", other, "--runs", "3")
    by_name = {one["name"]: one for one in found["differences"]}
    assert found["seeds"] == [3, 4, 5]
    assert by_name["offer.sent"]["high"] < 0
    assert by_name["offer.sent"]["clear"]
    assert by_name["submitted"]["change"] == 0

    shown = run(small, "--compare", other, "--runs", "3").stdout
    assert "offer.sent" in shown
    assert "offer.submitted" not in shown, "what does not differ is left out"
    same = run(small, "--compare", small, "--runs", "1").stdout
    assert "no figure differs" in same


def test_a_rule_is_swept(small: Path) -> None:
    found = answer(small, "--sweep", "rules.offers.limit=1/day,3/day,9/day")
    assert [point["value"] for point in found["points"]] == ["1/day", "3/day", "9/day"]
    sent = [point["types"]["offer"]["sent"] for point in found["points"]]
    assert sent == sorted(sent)
    shown = run(small, "--sweep", "rules.offers.limit=1/day,9/day")
    assert "9/day" in shown.stdout
    wrong = run(small, "--sweep", "rules.none.limit=1/day")
    assert (wrong.exit_code, "rules.none" in wrong.stderr) == (1, True)


def test_figures_become_a_table_and_a_page_and_decisions_a_trace(
    small: Path, tmp_path: Path
) -> None:
    table, page, trace = (tmp_path / name for name in ("a.csv", "a.html", "a.jsonl"))
    done = run(small, "--csv", table, "--html", page, "--trace", trace)
    assert done.exit_code == 0

    with table.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["kind"], row["name"]) for row in rows] == [
        ("total", ""),
        ("type", "news"),
        ("type", "offer"),
        ("message", "1"),
        ("message", "2"),
    ]
    assert "<svg" in page.read_text("utf-8")
    whats = [json.loads(line)["what"] for line in trace.read_text("utf-8").splitlines()]
    assert set(whats) == {"submitted", "sent", "ended"}
    assert run(small, "--csv", tmp_path / "no" / "a.csv").exit_code == 2


def test_the_schema_is_printed_for_editors() -> None:
    printed = json.loads(run("--schema").stdout)
    assert printed["title"] == "Tactful scenario"


def test_sim_13_the_same_seed_gives_the_same_bytes() -> None:
    words = (EXAMPLES / "exercise.toml", "--users", "200", "--seed", "1", "--json")
    first = run(*words)
    assert first.stdout == run(*words).stdout
    assert first.stdout != run(*words[:-2], "2", "--json").stdout
