"""The benchmarks beside peers: what is published is what was measured, and nobody is left out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from benchmarks.peers import environments, page, tables, trials


def test_the_tables_of_the_page_are_those_of_the_committed_run() -> None:
    """docs/benchmarks.md shows exactly the figures of benchmarks/results/peers.json."""
    figures = json.loads(page.RESULTS.read_text("utf-8"))

    _, shown, _ = page.parts(page.PAGE.read_text("utf-8"))

    assert shown.strip() == tables.for_the_page(figures)


def test_the_committed_run_has_every_trial_and_no_failure() -> None:
    """What is published is a whole run: each trial has a row, or a line that says why not."""
    figures = json.loads(page.RESULTS.read_text("utf-8"))
    count = trials.FULL_COUNT

    entries = [*figures["runs"], *figures["missing"]]

    assert [(entry["name"], entry["where"], entry["rules"]) for entry in entries] == [
        (trial.name, trial.where, trial.rules)
        for trial in (*trials.pipelines(count), *trials.decisions(count))
    ]
    assert not any(entry["failed"] for entry in figures["missing"])


@pytest.mark.parametrize(
    "program", sorted(environments.PROGRAMS.glob("*.py")), ids=lambda p: p.stem
)
def test_every_peer_is_pinned(program: Path) -> None:
    """A peer's program names its Python and exact versions; only what they share needs nothing."""
    if program.stem == "measuring":
        with pytest.raises(ValueError, match="no inline script metadata"):
            environments.metadata(program)
        return

    needs = environments.metadata(program)

    assert re.fullmatch(r">=3\.\d+", needs["requires-python"])
    assert needs["dependencies"]
    assert [name for name in needs["dependencies"] if not re.search(r"==\d[\w.]*$", name)] == []


def test_a_peer_that_cannot_be_had_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the Python that it needs, a peer is unavailable, and the tables say so."""
    (tmp_path / "peer.py").write_text(
        '# /// script\n# requires-python = ">=3.99"\n# dependencies = ["peer==1.0"]\n# ///\n'
    )
    monkeypatch.setattr(environments, "PROGRAMS", tmp_path)

    with pytest.raises(environments.Unavailable) as caught:
        environments.prepare("peer")

    reason = str(caught.value)
    assert reason == "needs Python 3.99 or newer, which is not on this machine"
    missing = {"name": "Peer", "where": "memory", "rules": 3, "reason": reason, "failed": False}
    assert tables.absent({"missing": [missing]}) == [
        f"not measured: Peer, memory (3 rules): {reason}"
    ]


def test_ratios_are_those_of_rates_and_processor_time() -> None:
    """A peer at half the rate and thrice the processor time, its servers' included, says so."""
    own = {"peer": "tactful", "name": "Tactful", "where": "SQLite", "processes": 1, "count": 10}
    own |= {"per_second": 2_000, "cpu_us_each": {"workers": 400}}
    peer = {"peer": "other", "name": "Other", "where": "PostgreSQL", "processes": 2, "count": 10}
    peer |= {"per_second": 1_000}
    peer |= {"cpu_us_each": {"producer": 100, "workers": 900, "broker": 150, "database": 50}}

    row = tables.pipelines([own, peer]).rows[1]

    assert row[5:] == ("1,000", "200", "2.0 x", "3.0 x")
