"""Scenario files: what they may say, and how what is wrong is named."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tactful.core.errors import ConfigError, RequestError
from tactful.core.model import DAY, HOUR, MINUTE
from tactful.sim.reading import read_scenario, scenario_from
from tactful.sim.scenario import Broadcasts, Recorded, Stream
from tactful.sim.schema import schema

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.toml"))


def read(text: str, folder: Path = Path(".")) -> Any:
    return scenario_from(tomllib.loads(text), folder / "any.toml")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_is_a_scenario_and_fits_the_schema(file: Path) -> None:
    assert read_scenario(file).traffic
    jsonschema.validate(tomllib.loads(file.read_text("utf-8")), schema())


def test_nothing_said_is_a_scenario_of_its_own() -> None:
    found = read("")
    assert (found.seed, found.population.count, found.traffic) == (1, 1_000, ())
    assert [way.name for way in found.channels] == ["inbox"]


def test_everything_can_be_said() -> None:
    found = read(
        """
        seed = 9
        horizon = "2d"
        [population]
        count = 5
        [[population.segments]]
        name = "north"
        timezone = "Europe/Oslo"
        [[traffic]]
        kind = "broadcast"
        type = "news"
        count = 3
        every = "1h"
        [[traffic]]
        kind = "stream"
        type = "ping"
        rate = "12/day"
        burst = 2
        segment = "north"
        [channels.sms]
        loss = 0.5
        latency = { median = "1s", p99 = "9s" }
        outages = [{ at = "1h", for = "30m" }]
        [rules.calm]
        limit = "2/day"
        """
    )
    cast, stream = found.traffic
    assert isinstance(cast, Broadcasts)
    assert isinstance(stream, Stream)
    assert cast.at == (0, HOUR, 2 * HOUR)
    assert stream.rate == pytest.approx(12 / DAY)
    assert found.channels[0].outages == ((HOUR, HOUR + 30 * MINUTE),)
    assert [rule.name for rule in found.policies.rules] == ["calm"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("sed = 1", "sed"),
        ("seed = -1", "seed"),
        ("start = '2026-01-01'", "start"),
        ("horizon = 'soon'", "horizon"),
        ("[population]\ncount = -1", "population.count"),
        ("[population]\nusers = 1", "population.users"),
        ("[[population.segments]]\nshare = 1", "population.segments[0].name"),
        ("[[population.segments]]\nname='a'\ntimezone='Mars'", "population.segments[0].timezone"),
        ("[[population.segments]]\nname='a'\nshare=0", "population.segments"),
        ("[[traffic]]\nkind='wave'", "traffic[0].kind"),
        ("[[traffic]]\nkind='broadcast'", "traffic[0].type"),
        ("[[traffic]]\nkind='stream'\ntype='a'", "traffic[0].rate"),
        ("[[traffic]]\nkind='stream'\ntype='a'\nrate='often'", "traffic[0].rate"),
        ("[[traffic]]\nkind='stream'\ntype='a'\nrate='1/day'\nhours=[1,2]", "traffic[0].hours"),
        ("[[traffic]]\nkind='stream'\ntype='a'\nrate='1/day'\nburst=0.5", "traffic[0].burst"),
        ("[[traffic]]\nkind='broadcast'\ntype='a'\nsegment='x'", "traffic[0].segment"),
        ("[[traffic]]\nkind='broadcast'\ntype='a'\npriority='x'", "traffic[0].priority"),
        ("[[traffic]]\nkind='recorded'\nfile='none.jsonl'", "traffic[0].file"),
        ("[channels.sms]\nloss = 1.5", "channels.sms.loss"),
        ("[channels.sms]\nloss = nan", "channels.sms.loss"),
        ("[channels.sms]\nthroughput = 'much'", "channels.sms.throughput"),
        ("[channels.sms.latency]\nmedian='2s'\np99='1s'", "channels.sms.latency.p99"),
        ("[behaviour]\nopen = 'x'", "behaviour.open"),
        ("[behaviour.habits]\nnever=0.6\nalways=0.6", "behaviour.habits.always"),
        ("[behaviour.fatigue]\nopens = 2", "behaviour.fatigue.opens"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, field: str) -> None:
    with pytest.raises(RequestError) as refused:
        read(text)
    assert refused.value.field.startswith(field)


def test_a_rule_that_is_wrong_is_named_as_in_a_configuration() -> None:
    with pytest.raises(ConfigError, match=r"rules\.calm\.limit"):
        read("[rules.calm]\nlimit = 'few'")


def test_people_come_from_a_list_with_their_segments(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(
        "id,name,segment,timezone,mute\nada,Ada,b,,\nbob,,,Asia/Tokyo,type:news all\n", "utf-8"
    )
    found = read(
        """
        [population]
        csv = "people.csv"
        [[population.segments]]
        name = "a"
        [[population.segments]]
        name = "b"
        timezone = "Europe/Rome"
        """,
        tmp_path,
    ).population
    ada, bob = found.people
    assert (ada.recipient.timezone, ada.segment) == ("Europe/Rome", "b")
    assert (bob.recipient.timezone, bob.segment) == ("Asia/Tokyo", "a")
    assert set(bob.recipient.mute) == {"type:news", "all"}


@pytest.mark.parametrize(
    ("rows", "named"),
    [
        ("id,colour\na,red\n", "colour"),
        ("id\na\na\n", "line 3"),
        ("id,segment\na,z\n", "line 2"),
        ("id,timezone\na,Mars\n", "line 2: timezone"),
        ("id\n\x00\n", "line 2"),
    ],
)
def test_a_wrong_line_of_a_list_is_named(tmp_path: Path, rows: str, named: str) -> None:
    (tmp_path / "people.csv").write_text(rows, "utf-8")
    with pytest.raises(RequestError, match=re.escape(named)):
        read("[population]\ncsv = 'people.csv'", tmp_path)


def test_recorded_traffic_is_read_in_the_order_of_time(tmp_path: Path) -> None:
    lines = [
        {"at": "2026-01-01T01:00:00Z", "type": "a", "to": "ada", "text": "later"},
        {"at": 5_000, "type": "b", "text": "all"},
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, lines)), "utf-8")
    (recorded,) = read("[[traffic]]\nkind='recorded'\nfile='r.jsonl'", tmp_path).traffic

    assert isinstance(recorded, Recorded)
    assert [at for at, _ in recorded.items] == [5_000, HOUR]


@pytest.mark.parametrize(
    "line", ["{", '{"type": "a"}', '{"at": 1, "type": "a", "to": "ada", "x": 1}']
)
def test_a_wrong_line_of_recorded_traffic_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.jsonl").write_text(f"\n{line}\n", "utf-8")
    with pytest.raises(RequestError, match=r"r\.jsonl line 2"):
        read("[[traffic]]\nkind='recorded'\nfile='r.jsonl'", tmp_path)


def test_rules_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("[rules.calm]\nlimit = '1/day'\n", "utf-8")
    found = read("rules_file = 'rules.toml'", tmp_path)
    assert [rule.name for rule in found.policies.rules] == ["calm"]
    with pytest.raises(ConfigError, match="rules_file"):
        read("rules_file = 'rules.toml'\n[rules.other]\nlimit = '1/day'", tmp_path)
