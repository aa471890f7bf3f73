"""Catalogue, dashboard, rules and pages say the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from tactful.telemetry.catalogue import BY_NAME, CATALOGUE
from tactful.telemetry.dashboard import BEGIN, END, dashboard, page, queries, text

ROOT = Path(__file__).resolve().parents[2]
RULES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yml"))
SUFFIXES = re.compile("_(bucket|count|sum)$")


def names_in(expr: str) -> set[str]:
    """The metrics of ours that a query asks for."""
    found = re.findall(r"\btactful_\w+", expr)
    return {name if name in BY_NAME else SUFFIXES.sub("", name) for name in found}


def rules() -> list[dict[str, Any]]:
    groups = [g for path in RULES for g in yaml.safe_load(path.read_text("utf-8"))["groups"]]
    return [{**rule, "group": group["name"]} for group in groups for rule in group["rules"]]


def test_the_dashboard_that_is_shipped_is_the_one_that_is_made() -> None:
    """`make dashboard` writes it anew."""
    assert (ROOT / "deploy/grafana/tactful.json").read_text("utf-8") == text()
    assert json.loads(text()) == dashboard()


def test_the_page_has_the_table_that_is_made() -> None:
    """Every metric is documented, and nothing that is none."""
    shipped = (ROOT / "docs/metrics.md").read_text("utf-8")
    table = shipped.split(BEGIN)[1].split(END)[0]

    assert page(shipped) == shipped
    assert re.findall(r"^\| `(tactful_\w+)` \|", table, re.M) == list(BY_NAME)


def test_the_dashboard_asks_for_its_source() -> None:
    """Each panel and each query names the data source that is chosen when it is imported."""
    board = dashboard()

    assert [one["name"] for one in board["__inputs"]] == ["DS_PROMETHEUS"]
    for panel in board["panels"]:
        for part in (panel, *panel.get("targets", ())):
            if part.get("type") != "row":
                assert part["datasource"]["uid"] == "${DS_PROMETHEUS}"


def test_every_metric_has_a_panel_and_no_two_panels_share_a_place() -> None:
    board = dashboard()
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert [names_in(panel["targets"][0]["expr"]) for panel in shown] == [
        {metric.name} for metric in CATALOGUE
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_queries_of_the_dashboard_are_promql(metric: Any) -> None:
    """After Grafana has put in its interval."""
    for expr, _ in queries(metric):
        promql_parser.parse(expr.replace("$__rate_interval", "5m"))


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_alerts_are_promql_about_metrics_that_there_are(rule: dict[str, Any]) -> None:
    """And say how severe they are and where to read on."""
    promql_parser.parse(rule["expr"])
    asked = names_in(rule["expr"])

    assert asked <= set(BY_NAME)
    assert asked or rule["alert"] == "TactfulDown"
    assert rule["labels"]["severity"] in ("page", "warn", "info")
    assert rule["group"] == f"tactful-{rule['labels']['kind']}"
    assert rule["annotations"]["runbook"] == f"docs/alerts.md#{rule['alert'].lower()}"
    assert rule["annotations"]["summary"]


def test_every_alert_is_explained_and_none_that_there_is_not() -> None:
    """docs/alerts.md has a heading for each, in the order of the files."""
    headings = re.findall(r"^### (Tactful\w+)$", (ROOT / "docs/alerts.md").read_text("utf-8"), re.M)

    assert sorted(headings) == sorted(rule["alert"] for rule in rules())


def test_names_follow_the_conventions() -> None:
    """Counters end in _total, spans in _seconds, and every metric has words and a unit or none."""
    for one in CATALOGUE:
        assert re.fullmatch("tactful_[a-z_]+", one.name)
        assert one.name.endswith("_total") == (one.sort == "counter"), one.name
        if one.unit == "seconds":
            assert one.name.endswith("_seconds"), one.name
        assert one.text.endswith("."), one.name
        assert not {"recipient", "address", "person", "id"} & set(one.labels)
