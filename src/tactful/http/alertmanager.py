"""Alerts of Prometheus: a receiver for the webhooks of Alertmanager.

    receivers:
      - name: on-call
        webhook_configs:
          - url: http://127.0.0.1:8700/v1/alertmanager?type=alert&to=ada@example.com
            http_config: {authorization: {credentials: tk_live_...}}

A webhook is about one group of alerts, and becomes one notification to each recipient. The collapse
key is a fingerprint of the group, so with `on_limit = "collapse"` only the newest state of a group
waits; the priority follows the worst `severity` in it. What the labels say is text and nothing
else, and what a notification may not hold, such as control characters, is taken out: Alertmanager
drops an alert that is refused, and would say so only in its log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from html import escape
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tactful.core.errors import RequestError
from tactful.engine.keys import ApiKey
from tactful.engine.requests import SUBJECT_MAX, Receipt, Submission
from tactful.http.answers import Decision
from tactful.http.intake import BulkRoute
from tactful.http.keyring import Access
from tactful.http.problems import Problem
from tactful.http.worlds import Both

# With these, a notification stays below what the engine takes, whatever an alert says.
SHOWN_MAX: Final = 50
SIZE_MAX: Final = 400_000
PAIRS_MAX: Final = 20
LINES_MAX: Final = 50
VALUE_MAX: Final = 1_000
TO_MAX: Final = 100
PRIORITIES: Final = {
    "critical": "critical",
    "page": "critical",
    "emergency": "critical",
    "error": "high",
    "high": "high",
    "warning": "normal",
    "info": "low",
    "none": "low",
}
"""Values of the label `severity`, and the priorities that they mean; any other is normal."""
_WORST_FIRST: Final = ("critical", "high", "normal", "low")

router = APIRouter(tags=["alertmanager"], route_class=BulkRoute)


class Insistent(Access):
    """A key with a scope, whose holder asks too often: Alertmanager repeats after 503, not 429."""

    async def admit(self, request: Request) -> ApiKey:
        """See `Access.admit`."""
        try:
            return await super().admit(request)
        except Problem as problem:
            if problem.status_code != 429:
                raise
            raise Problem(503, problem.code, problem.detail, headers=problem.headers) from None


Sender = Annotated[ApiKey, Depends(Insistent("send"))]


def _name_in_json(name: str) -> str:
    return to_camel(name).replace("Url", "URL")


class Alert(BaseModel):
    """One alert of a group."""

    model_config = ConfigDict(alias_generator=_name_in_json, strict=True)

    status: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    starts_at: str = ""
    ends_at: str = ""
    generator_url: str = ""


class Group(BaseModel):
    """The body of a webhook, version 4; what else is in it is not looked at."""

    model_config = ConfigDict(alias_generator=_name_in_json, strict=True)

    status: str
    group_key: str
    alerts: list[Alert] = Field(min_length=1)
    group_labels: dict[str, str] = {}
    common_labels: dict[str, str] = {}
    external_url: str = ""
    truncated_alerts: int = 0


class Taken(BaseModel):
    """What was decided for each recipient, in order."""

    results: list[Decision]


@router.post("/alertmanager", status_code=202, response_model=Taken)
def alertmanager(
    body: Group,
    key: Sender,
    worlds: Both,
    kind: Annotated[str, Query(alias="type", description="The type of notification.")],
    to: Annotated[str, Query(description="Who gets it, by id or address; with commas between.")],
) -> dict[str, Any]:
    """Take one group of alerts from Alertmanager; one notification for each of `to`.

    All of it is stored or nothing. What a rule rejects is told in the answer, not as an error:
    Alertmanager would drop the whole.
    """
    people = dict.fromkeys(person.strip() for person in to.split(","))
    if len(people) > TO_MAX:
        raise RequestError("to", len(people), f"must name at most {TO_MAX}")
    receipts: list[Receipt] = worlds.of(key).send_many(
        submission_of(body, kind, person) for person in people
    )
    return {"results": [receipt.to_dict() for receipt in receipts]}


def submission_of(group: Group, kind: str, to: str) -> Submission:
    """The notification about a group."""
    text, html = _told(group)
    return {
        "type": kind,
        "to": to,
        "subject": _headline(group),
        "text": text,
        "html": html,
        "priority": _priority(group),
        "collapse_key": hashlib.sha256(group.group_key.encode("utf-8", "replace")).hexdigest()[:32],
    }


# What it says ---------------------------------------------------------------------------------


def _headline(group: Group) -> str:
    firing = sum(alert.status == "firing" for alert in group.alerts) + group.truncated_alerts
    state = f"FIRING:{firing}" if group.status == "firing" else "RESOLVED"
    name = group.common_labels.get("alertname") or "Alerts"
    others = " ".join(v for n, v in sorted(group.group_labels.items()) if n != "alertname")
    about = _clean(f"{name} ({others})" if others else name)
    return f"[{state}] {about}"[:SUBJECT_MAX]


def _priority(group: Group) -> str:
    found = {PRIORITIES.get(a.labels.get("severity", "").lower(), "normal") for a in group.alerts}
    return next(priority for priority in _WORST_FIRST if priority in found)


def _told(group: Group) -> tuple[str, str]:
    """The group in words and as HTML: as many of its alerts as are read, and how many there are."""
    texts: list[str] = []
    pages = [f"<h2>{escape(_headline(group))}</h2>"]
    size = shown = 0
    for alert in group.alerts[:SHOWN_MAX]:
        if size > SIZE_MAX:
            break
        texts.append(_text(alert))
        pages.append(_html(alert))
        size += len(pages[-1])
        shown += 1
    more = len(group.alerts) - shown + max(0, group.truncated_alerts)
    if more:
        texts.append(f"and {more} more")
        pages.append(f"<p>and {more} more</p>")
    if link := _link(group.external_url):
        texts.append(link)
        pages.append(_anchor(link, "Alertmanager"))
    return "\n\n".join(texts), "\n".join(pages)


def _text(alert: Alert) -> str:
    lines = [f"{_clean(alert.status.upper())}  {_name(alert)}"]
    lines += [f"  {line}" for text in _annotations(alert) for line in text]
    lines += [f"  {name} = {value}" for name, value in _labels(alert)]
    lines += [f"  {words}" for words in _instants(alert)]
    if link := _link(alert.generator_url):
        lines.append(f"  {link}")
    return "\n".join(lines)


def _html(alert: Alert) -> str:
    parts = [f"<h3>{escape(_clean(alert.status.upper()))} {escape(_name(alert))}</h3>"]
    parts += [f"<p>{'<br>'.join(map(escape, lines))}</p>" for lines in _annotations(alert)]
    rows = [f"<tr><td>{escape(n)}</td><td>{escape(v)}</td></tr>" for n, v in _labels(alert)]
    parts.append(f"<table>{''.join(rows)}</table>")
    parts += [f"<p>{escape(words)}</p>" for words in _instants(alert)]
    if link := _link(alert.generator_url):
        parts.append(_anchor(link, "Source"))
    return "\n".join(parts)


def _anchor(link: str, words: str) -> str:
    return f'<p><a href="{escape(link)}">{words}</a></p>'


def _name(alert: Alert) -> str:
    return _clean(alert.labels.get("alertname") or "an alert without a name")


def _annotations(alert: Alert) -> Iterable[list[str]]:
    """The lines of the summary, of the description, then of all others with their names."""
    given = {name: value for name, value in alert.annotations.items() if value}
    first = [name for name in ("summary", "description") if name in given]
    others = sorted(given.keys() - set(first))
    for name in [*first, *others][:PAIRS_MAX]:
        words = given[name] if name in first else f"{name}: {given[name]}"
        yield [_clean(line) for line in words[:VALUE_MAX].splitlines()[:LINES_MAX]]


def _labels(alert: Alert) -> Iterable[tuple[str, str]]:
    named = sorted((name, value) for name, value in alert.labels.items() if name != "alertname")
    return ((_clean(name), _clean(value)) for name, value in named[:PAIRS_MAX])


def _instants(alert: Alert) -> Iterable[str]:
    if alert.starts_at:
        yield f"since {_clean(alert.starts_at)}"
    if alert.ends_at and alert.status == "resolved":
        yield f"until {_clean(alert.ends_at)}"


def _link(url: str) -> str:
    """The link, if it is one that a person may be sent to."""
    return _clean(url) if url.startswith(("http://", "https://")) else ""


def _clean(text: str) -> str:
    """Visible text in one line, of bounded length."""
    return "".join(char if char.isprintable() else " " for char in text[:VALUE_MAX]).strip()
