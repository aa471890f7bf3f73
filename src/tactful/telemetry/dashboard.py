"""The Grafana dashboard, made of the catalogue: one panel for each metric, in its order.

    python -m tactful.telemetry.dashboard deploy/grafana/tactful.json docs/metrics.md

writes both files anew: the dashboard, and the table of metrics in the page between its markers.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from tactful.telemetry.catalogue import CATALOGUE, Metric, table

BEGIN: Final = "<!-- metrics: begin -->\n"
END: Final = "<!-- metrics: end -->\n"
SOURCES: Final = {
    "events": "What happens to deliveries",
    "store": "The queue and the store",
    "process": "This process",
}
QUANTILES: Final = (0.5, 0.95, 0.99)
FROM: Final = '{instance=~"$instance"}'
SPAN: Final = "$__rate_interval"
SPECIAL: Final = {
    "tactful_clock_seconds": f"tactful_clock_seconds{FROM} - timestamp(tactful_clock_seconds{FROM})"
}
"""Metrics that are shown otherwise than by their kind."""

_UNITS: Final = {"seconds": "s", "messages": "short"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 7, 3
_SOURCE: Final = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}


def queries(metric: Metric) -> list[tuple[str, str]]:
    """What a panel asks, each with its legend."""
    name = metric.name
    by = ", ".join(("instance", *metric.labels))
    legend = " ".join(f"{{{{{label}}}}}" for label in metric.labels or ("instance",))
    if name in SPECIAL:
        return [(SPECIAL[name], legend)]
    if metric.sort == "gauge":
        return [(f"{name}{FROM}", legend)]
    if metric.sort == "counter":
        return [(f"sum by ({by}) (rate({name}{FROM}[{SPAN}]))", legend)]
    found = []
    for quantile in QUANTILES:
        inner = f"sum by (le, {by}) (rate({name}_bucket{FROM}[{SPAN}]))"
        found.append((f"histogram_quantile({quantile}, {inner})", f"{legend} {quantile}"))
    return found


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana imports it; it asks for its data source, `DS_PROMETHEUS`."""
    panels: list[dict[str, Any]] = []
    line = 0
    for source, title in SOURCES.items():
        panels.append(_row(title, line))
        line += 1
        metrics = [one for one in CATALOGUE if one.source == source]
        for place, metric in enumerate(metrics):
            left = place % _COLUMNS * _WIDTH
            panels.append(_panel(metric, left, line + place // _COLUMNS * _HEIGHT))
        line += -(-len(metrics) // _COLUMNS) * _HEIGHT
    for number, panel in enumerate(panels, 1):
        panel["id"] = number
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
                "pluginName": "Prometheus",
            }
        ],
        "uid": "tactful",
        "title": "Tactful",
        "tags": ["tactful"],
        "schemaVersion": 36,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [_instances()]},
        "panels": panels,
    }


def _row(title: str, line: int) -> dict[str, Any]:
    place = {"x": 0, "y": line, "w": _WIDTH * _COLUMNS, "h": 1}
    return {"type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _panel(metric: Metric, left: int, line: int) -> dict[str, Any]:
    unit = "cps" if metric.sort == "counter" else _UNITS.get(metric.unit, "short")
    targets = [
        {
            "refId": chr(ord("A") + place),
            "datasource": _SOURCE,
            "expr": expr,
            "legendFormat": legend,
        }
        for place, (expr, legend) in enumerate(queries(metric))
    ]
    return {
        "type": "timeseries",
        "title": _title(metric),
        "description": f"{metric.text} ({metric.name})",
        "datasource": _SOURCE,
        "gridPos": {"x": left, "y": line, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": targets,
    }


def _title(metric: Metric) -> str:
    words = metric.name.removeprefix("tactful_").removesuffix("_total").replace("_", " ")
    return words.capitalize() + (" per second" if metric.sort == "counter" else "")


def _instances() -> dict[str, Any]:
    query = "label_values(tactful_build_info, instance)"
    return {
        "name": "instance",
        "label": "Instance",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": "instances"},
        "definition": query,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "refresh": 2,
        "current": {"text": "All", "value": "$__all"},
    }


def text() -> str:
    """The dashboard as the file that is shipped."""
    return json.dumps(dashboard(), indent=2) + "\n"


def page(old: str) -> str:
    """A page with the table of metrics, in place of the one that stands there."""
    head, rest = old.split(BEGIN)
    return head + BEGIN + "".join(f"{line}\n" for line in table()) + END + rest.split(END)[1]


def main() -> None:
    """Write the dashboard to the first file, and the table into the second."""
    board, document = (Path(name) for name in sys.argv[1:])
    board.write_text(text(), encoding="utf-8")
    document.write_text(page(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
