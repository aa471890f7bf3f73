"""Rules from the command line: every option, versions, and files."""

from pathlib import Path

import pytest


def test_set_takes_everything_that_a_rule_has(ready):
    said = ready(
        *("rules", "set", "Big Rule", "20/30min", "--types", "a, b", "--categories", "offers"),
        *("--channels", "inbox", "--per", "recipient", "--json"),
        *("--on-limit", "digest", "--exempt", "critical", "--reserve", "high=2"),
        *("--reserve", "critical=1", "--priorities", "low,normal,high"),
    )

    assert said.code == 0, said.err
    assert said.data["rule"] == {
        "name": "big_rule",
        "limit": "20/30minute",
        "types": ["a", "b"],
        "categories": ["offers"],
        "channels": ["inbox"],
        "priorities": ["low", "normal", "high"],
        "on_limit": "digest",
        "exempt": ["critical"],
        "reserve": {"high": 2, "critical": 1},
    }
    listed = ready("rules", "list").out
    assert "exempt critical; 2 reserved for high; 1 reserved for critical" in listed
    assert "types a,b categories offers channels inbox priorities low,normal,high" in listed


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (("--quiet", "22:00-08:00"), "quiet 22:00-08:00"),
        (("--window", "09:00-17:00 mon-fri"), "only 09:00-17:00 mon-fri"),
        (("1/day calendar",), "1/day calendar"),
        (("100/second", "--per", "domain", "--burst", "10"), "burst 10"),
    ],
)
def test_the_kinds_of_rules(ready, words, shown):
    assert ready("rules", "set", "one", *words).code == 0

    assert shown in ready("rules", "list").out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "limit: give exactly one of limit, quiet and window"),
        (("1/day", "--quiet", "22:00-08:00"), "limit: give exactly one"),
        (("1/day", "--per", "planet"), "per: must be one of"),
        (("1/day", "--channels", "pigeon"), "channels: must be one of inbox (got 'pigeon')"),
        (("1/day", "--reserve", "high=2"), "reserve: must add up to at most 1"),
        (("1/day", "--exempt", "urgent"), "exempt: must be low, normal, high or critical"),
    ],
)
def test_a_wrong_rule_changes_nothing(ready, words, says):
    before = ready("rules", "history").out
    said = ready("rules", "set", "one", *words)

    assert said.code == 1
    assert f"error: {says}" in said.err
    assert ready("rules", "history").out == before


def test_versions_can_be_listed_and_brought_back(ready):
    ready("rules", "set", "status", "9/minute")
    ready("rules", "remove", "news")
    history = ready("rules", "history", "--json").data["versions"]
    assert [(v["version"], v["name"]) for v in history[-2:]] == [(4, "status"), (5, "news")]
    assert history[-1]["body"] is None
    assert history[-1]["author"].startswith("cli")
    assert "removed" in ready("rules", "history", "news").out

    back = ready("rules", "revert", "3", "--json").data
    assert {rule["name"]: rule["limit"] for rule in back["rules"]} == {
        "marketing": "3/hour",
        "news": "1/day",
        "status": "2/minute",
    }


def test_apply_makes_it_so_and_a_dry_run_does_not(ready, here: Path):
    file = here / "rules.toml"
    file.write_text(
        '[rules.status]\nlimit = "2/minute"\ntypes = ["status"]\n'
        '[rules.news]\nlimit = "5/day"\ntypes = ["news"]\n'
        '[types.alarm]\npriority = "critical"\nttl = "5m"\n'
    )
    expected = {"set": ["news"], "removed": ["marketing"], "unchanged": ["status"]}

    dry = ready("rules", "apply", "rules.toml", "--dry-run", "--json").data
    assert {key: dry[key] for key in expected} == expected
    assert len(ready("rules", "list", "--json").data["rules"]) == 3

    done = ready("rules", "apply", "rules.toml", "--json").data
    assert {key: done[key] for key in expected} == expected
    assert done["types"] == ["alarm"]
    assert "set: news" not in ready("rules", "apply", "rules.toml").out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "rules: rules.toml has none"),
        ("rules = 3", "rules: must be tables [rules.NAME] (got 3), in rules.toml"),
        ("[rules]\na = 3", "rules.a: must be a table (got 3), in rules.toml"),
        ('[rules.a]\nlimit = "x"', "rules.a.limit: must read like"),
        ('[rules.a]\nlimits = "1/day"', "rules.a.limits: is no field of a rule"),
        ('[rules.a]\nlimit = "1/day"\n[types.b]\nx = 1', "types.b.x: is no key here"),
        ('[types.b]\nchannels = "email"', "types.b.channels: must be a list"),
        ('[types.b]\nmandatory = "yes"', "types.b.mandatory: must be true or false (got 'yes')"),
        ('[types.b]\nttl = "soon"', "types.b.ttl: must be like 90s"),
        ('[templates.c]\ntext = "{{ x"', "templates.c.text: line 1"),
        ("[templates.c]\ntext = 3", "templates.c.text: must be a text (got 3)"),
        ("[rules.a", "config: rules.toml is no TOML"),
    ],
)
def test_a_file_that_is_wrong_says_where(ready, here: Path, text, says):
    (here / "rules.toml").write_text(text)

    said = ready("rules", "apply", "rules.toml")

    assert said.code == 2
    assert says in said.err
    assert len(ready("rules", "list", "--json").data["rules"]) == 3
