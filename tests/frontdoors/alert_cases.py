"""Webhooks as Alertmanager sends them, version 4 of its format."""

from __future__ import annotations

from typing import Any


def alert(number: int = 0, status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "HighLatency", "instance": f"web-{number}", **labels},
        "annotations": {
            "summary": f"web-{number} is slow",
            "description": "p99 above 2 s\nfor ten minutes",
            "runbook_url": "https://runbooks.example.com/latency",
        },
        "startsAt": "2027-01-15T07:58:21.017Z",
        "endsAt": "0001-01-01T00:00:00Z" if status == "firing" else "2027-01-15T08:10:00Z",
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up&g0.tab=1",
        "fingerprint": f"{number:016x}",
    }


def webhook(*alerts: dict[str, Any], group: str = "web", **changes: Any) -> dict[str, Any]:
    given = list(alerts) or [alert()]
    firing = any(one["status"] == "firing" for one in given)
    return {
        "version": "4",
        "groupKey": f'{{}}:{{alertname="HighLatency", job="{group}"}}',
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": "on-call",
        "groupLabels": {"alertname": "HighLatency", "job": group},
        "commonLabels": {"alertname": "HighLatency", "job": group},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com:9093",
        "alerts": given,
        **changes,
    }
