"""Alerts come in as Alertmanager sends them, and go out within the limits of who gets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from alert_cases import alert, webhook
from door_cases import NOON
from fastapi.testclient import TestClient

from tactful import Rule, State, Tactful
from tactful.config.service import Http
from tactful.http.service import create_service
from tactful.testing import CaptureChannel, ManualClock

HOUR = 3_600_000
Post = Callable[..., Any]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def sent() -> CaptureChannel:
    return CaptureChannel("email")


@pytest.fixture
def app(clock: ManualClock, sent: CaptureChannel) -> Iterator[Tactful]:
    made = Tactful("memory://", channels=[sent], clock=clock, seed=1)
    yield made
    made.close()


@pytest.fixture
def post(app: Tactful, sent: CaptureChannel) -> Iterator[Post]:
    """Posts a webhook; gives the answer."""
    _, token = app.keys.create("alertmanager", ("send",), author="test")
    with TestClient(create_service(app, [sent])) as client:

        def call(body: Any, *to: str, kind: str = "alert") -> Any:
            return client.post(
                "/v1/alertmanager",
                params={"type": kind, "to": ",".join(to or ["ada@example.com"])},
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )

        yield call


def test_a_group_of_alerts_is_one_notification_in_plain_words(
    post: Post, app: Tactful, sent: CaptureChannel
) -> None:
    answer = post(webhook(alert(1, severity="warning"), alert(2, "resolved", severity="critical")))
    app.tick()

    assert answer.status_code == 202
    assert [one["decision"] for one in answer.json()["results"]] == ["send"]
    (got,) = sent.messages
    assert got.subject == "[FIRING:1] HighLatency (web)"
    assert got.text.splitlines() == [
        "FIRING  HighLatency",
        "  web-1 is slow",
        "  p99 above 2 s",
        "  for ten minutes",
        "  runbook_url: https://runbooks.example.com/latency",
        "  instance = web-1",
        "  severity = warning",
        "  since 2027-01-15T07:58:21.017Z",
        "  http://prometheus.example.com/graph?g0.expr=up&g0.tab=1",
        "",
        "RESOLVED  HighLatency",
        "  web-2 is slow",
        "  p99 above 2 s",
        "  for ten minutes",
        "  runbook_url: https://runbooks.example.com/latency",
        "  instance = web-2",
        "  severity = critical",
        "  since 2027-01-15T07:58:21.017Z",
        "  until 2027-01-15T08:10:00Z",
        "  http://prometheus.example.com/graph?g0.expr=up&g0.tab=1",
        "",
        "http://alertmanager.example.com:9093",
    ]
    (row,) = app.deliveries()
    assert (row.type, row.priority) == ("alert", 3)


@pytest.mark.parametrize(
    ("severities", "priority"),
    [(["info"], 0), ([], 1), (["warning", "info"], 1), (["ERROR"], 2), (["info", "page"], 3)],
)
def test_the_worst_severity_is_the_priority(
    post: Post, app: Tactful, severities: list[str], priority: int
) -> None:
    post(webhook(*(alert(severity=severity) for severity in severities)))

    assert [row.priority for row in app.deliveries()] == [priority]


def test_of_a_group_that_waits_only_the_newest_state_goes_out(
    post: Post, app: Tactful, clock: ManualClock, sent: CaptureChannel
) -> None:
    app.rules.put(Rule("alerts", types=["alert"], limit="1/hour", on_limit="collapse"))
    post(webhook(group="other"))
    post(webhook(alert(1)))
    post(webhook(alert(1), alert(2)))
    post(webhook(alert(1, "resolved"), alert(2, "resolved")))
    app.tick()
    clock.advance(HOUR)
    app.tick()

    assert [got.subject for got in sent.messages] == [
        "[FIRING:1] HighLatency (other)",
        "[RESOLVED] HighLatency (web)",
    ]


def test_a_storm_of_a_thousand_alerts_stays_within_the_limit_and_nothing_is_lost(
    post: Post, app: Tactful, clock: ManualClock, sent: CaptureChannel
) -> None:
    app.rules.put(Rule("alerts", types=["alert"], limit="3/hour", on_limit="digest"))
    for number in range(1_000):
        answer = post(webhook(alert(number), group=f"job-{number}"))
        assert answer.status_code == 202
        assert answer.json()["results"][0]["decision"] in ("send", "digest")
        clock.advance(100)
        if number % 100 == 0:
            app.tick()
    while app.counts().keys() & {State.QUEUED, State.DEFERRED} and clock.now() < NOON + 100 * HOUR:
        app.tick()
        clock.advance(HOUR // 6)

    told = "\n".join(got.text for got in sent.messages)
    assert [n for n in range(1_000) if f"web-{n} is slow" not in told] == []
    instants = [got.at for got in sent.messages]
    for first, fourth in zip(instants, instants[3:], strict=False):
        assert fourth - first >= HOUR


def test_a_large_group_is_cut_and_says_so(post: Post, app: Tactful, sent: CaptureChannel) -> None:
    post(webhook(*(alert(n) for n in range(1_000)), truncatedAlerts=7))
    app.tick()

    (got,) = sent.messages
    assert got.subject == "[FIRING:1007] HighLatency (web)"
    assert got.text.count("is slow") == 50
    assert "and 957 more" in got.text
    assert "<p>and 957 more</p>" in str(got.html)


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, tuple[tuple[str, str | None], ...]]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add((tag, tuple(attrs)))


def test_what_labels_say_is_text_wherever_it_stands(
    post: Post, app: Tactful, sent: CaptureChannel
) -> None:
    evil = '"><script>alert(1)</script>\r\nBcc: x\x00\ud7ff\u2028' + "\U0001f600" * 5_000
    hostile: dict[str, Any] = alert(1, **{"severity": evil, evil: evil, "alertname": evil})
    hostile |= {
        "status": evil,
        "annotations": {"summary": evil, "description": evil, evil: evil},
        "startsAt": evil,
        "endsAt": evil,
        "generatorURL": "javascript:alert(1)",
    }
    body = webhook(hostile, commonLabels={"alertname": evil}, groupLabels={evil: evil})
    body |= {"externalURL": 'https://a.example/"onclick="alert(1)', "status": evil}
    assert post(body).status_code == 202
    app.tick()

    (got,) = sent.messages
    assert len(got.subject) <= 255
    assert "\n" not in got.subject
    link = (("href", 'https://a.example/"onclick="alert(1)'),)
    tags = {"h2", "h3", "p", "br", "table", "tr", "td"}
    assert Tags(str(got.html)).found <= {(tag, ()) for tag in tags} | {("a", link)}


def test_the_largest_group_of_the_largest_alerts_is_taken(post: Post, app: Tactful) -> None:
    wide = {f"label_{n}": '"' * 900 for n in range(40)}
    one = alert(1, **wide) | {"annotations": {f"a{n}": "<\n" * 900 for n in range(40)}}

    assert post(webhook(*[one] * 40)).status_code == 202


def test_each_who_is_named_gets_one(post: Post, app: Tactful) -> None:
    answer = post(webhook(), "ada@example.com", "bob@example.com", "ada@example.com")

    assert len(answer.json()["results"]) == 2
    assert [row.recipient for row in app.deliveries()] == ["ada@example.com", "bob@example.com"]


def test_who_posts_too_often_is_asked_to_come_again_and_not_turned_away(
    app: Tactful, sent: CaptureChannel
) -> None:
    """Alertmanager repeats a webhook after a 5xx, and drops it after a 429."""
    _, token = app.keys.create("alertmanager", ("send",), author="test")
    service = create_service(app, [sent], settings=Http(rate=1, burst=2))
    with TestClient(service, headers={"Authorization": f"Bearer {token}"}) as client:
        where = "/v1/alertmanager?type=alert&to=ada@example.com"
        answers = [client.post(where, json=webhook()) for _ in range(20)]

    assert {answer.status_code for answer in answers} == {202, 503}
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert refused.json()["code"] == "too_many_requests"
    assert int(refused.headers["Retry-After"]) >= 1


def test_what_cannot_be_read_is_refused_and_nothing_stored(post: Post, app: Tactful) -> None:
    assert post({"status": "firing"}).status_code == 422
    assert post(webhook(), "").status_code == 422
    assert post(webhook(), kind="").status_code == 422
    assert app.deliveries() == []
