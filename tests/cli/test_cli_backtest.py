"""`tactful backtest` as people and scripts call it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tactful import Recipient, Rule, Tactful
from tactful.runtime.clock import ManualClock, SystemClock

HOUR = 3_600_000
PROPOSED = """
[rules.calm]
limit = "1/day"
types = ["news"]

[rules.offers]
limit = "1/day"
types = ["offer"]
on_limit = "reject"
"""


@pytest.fixture
def store(here: Path) -> str:
    """Ten news and four offers to Ada within the last hours, and what is proposed."""
    clock = ManualClock(SystemClock().now() - 12 * HOUR)
    app = Tactful("sqlite:///notify.db", clock=clock)
    app.rules.put(Rule("pace", "5/hour", types=["news"]))
    app.recipients.put(Recipient("ada"))
    for number in range(10):
        clock.set(clock.now() + HOUR)
        app.send(type="news", to="ada", text="x")
        if number < 4:
            app.send(type="offer", to="ada", text="x")
        app.tick()
    app.close()
    Path("proposed.toml").write_text(PROPOSED)
    return "notify.db"


def test_a_person_reads_what_would_have_changed(run: Callable[..., Any], store: str) -> None:
    """From a real database to a table, and the database is as it was."""
    before = Path(store).read_bytes()

    done = run("backtest", "--rules", "proposed.toml")

    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("14 deliveries to 1 person, ")
    words = [" ".join(line.split()) for line in lines]
    assert "recorded in force proposed" in words
    assert "at once 14 14 2" in words
    assert "news 10 10 > 1 0 0 > 9 0 > 8 days" in words
    assert "offer 4 4 > 1 0 > 3 0 0" in words
    assert "calm 1/day 0 9 4 days 8 days 8 days" in words
    assert "9 go out later" in words
    assert "3 do not go out any more" in words
    assert "ada 14 9 3 8 days" in words
    assert Path(store).read_bytes() == before


def test_a_script_reads_all_of_it(run: Callable[..., Any], store: str) -> None:
    """One document with every figure."""
    done = run("backtest", "--rules", "proposed.toml", "--json")

    found = done.data
    assert done.code == 0
    assert found["proposed"]["types"]["offer"]["outcomes"]["rejected"] == 3
    assert found["in_force"]["outcomes"]["sent"] == found["recorded"]["outcomes"]["sent"] == 14
    assert found["moves"] == [
        {"type": "news", "from": "sent", "to": "sent", "count": 1},
        {"type": "news", "from": "sent", "to": "waiting", "count": 9},
        {"type": "offer", "from": "sent", "to": "rejected", "count": 3},
        {"type": "offer", "from": "sent", "to": "sent", "count": 1},
    ]
    assert [rule["name"] for rule in found["rules"]] == ["calm", "offers"]
    assert found["hit"][0]["recipient"] == "ada"


def test_span_type_and_people_narrow_it(run: Callable[..., Any], store: str) -> None:
    """Spans before now, or instants."""
    proposed = ("backtest", "--rules", "proposed.toml", "--json")

    assert run(*proposed, "--since", "150m").data["proposed"]["outcomes"]["waiting"] == 1
    until = str(SystemClock().now() - 7 * HOUR)
    first = run(*proposed, "--until", until, "--type", "Offer").data
    assert list(first["proposed"]["types"]) == ["offer"]
    assert run(*proposed, "--people", "0").data["hit"] == []


def test_no_traffic_is_no_error(run: Callable[..., Any], store: str) -> None:
    """An answer of one line."""
    done = run("backtest", "--rules", "proposed.toml", "--since", "1m")

    assert done.code == 0
    assert done.out.splitlines()[1] == "nothing was submitted then"


def test_what_is_not_replayed_is_said(run: Callable[..., Any], store: str) -> None:
    """Throughput, types that differ, and rules that match nothing."""
    Path("other.toml").write_text(
        '[rules.provider]\nlimit = "9/second"\nper = "channel"\n'
        '[rules.typo]\nlimit = "1/day"\ntypes = ["nwes"]\n'
        '[types.news]\npriority = "high"\n'
    )

    done = run("backtest", "--rules", "other.toml")

    assert "not replayed, since it is everybody's limit together: provider" in done.out
    assert "not replayed, since only rules are: the types news" in done.out
    assert "speaks of nothing that was submitted: typo" in done.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--rules", "missing.toml"), 2, "cannot read missing.toml"),
        (("--rules", "none.toml"), 2, "none.toml has none"),
        (("--rules", "wrong.toml"), 2, "limit"),
        (("--rules", "long.toml"), 1, "35 days"),
        (("--rules", "proposed.toml", "--since", "yesterday"), 1, "since"),
        (("--rules", "proposed.toml", "--since", "1h", "--until", "2h"), 1, "since"),
        (("--rules", "proposed.toml", "--store", "sqlite:///no.db"), 2, "no store no.db"),
        (("--rules", "proposed.toml", "--store", "memory://"), 2, "memory"),
        ((), 2, "--rules"),
    ],
)
def test_wrong_input_is_named(
    run: Callable[..., Any],
    store: str,
    arguments: tuple[str, ...],
    code: int,
    told: str,
) -> None:
    """The file, the field, or what is missing."""
    Path("none.toml").write_text("")
    Path("wrong.toml").write_text('[rules.calm]\nlimit = "many"\n')
    Path("long.toml").write_text('[rules.calm]\nlimit = "1/300d"\n')

    done = run("backtest", *arguments)

    assert done.code == code, done.err
    assert told in done.err
    assert not Path("no.db").exists()
