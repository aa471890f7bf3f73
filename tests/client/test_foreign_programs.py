"""Programs that others wrote come in by the front doors: swaks, Alertmanager, Django 6.1, Celery.

They have to be installed, so these are left out of `make test`: `make foreign` runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from service_cases import Served

from tactful import Client
from tactful.testing.servers.process import free_port

pytestmark = pytest.mark.foreign
STORY = Path(__file__).with_name("django_story.py")
SOURCES = Path(__file__).parents[2] / "src"


def until(happened: Callable[[], bool], what: str) -> None:
    """Wait for something that another program does."""
    for _ in range(600):
        if happened():
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"this did not happen within a minute: {what}")


# swaks ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_hands_in_a_mail_and_is_told_what_was_decided(
    served: Served, client: Client, mechanism: str
) -> None:
    program = shutil.which("swaks")
    assert program, "install swaks (apt-get install swaks)"
    client.rules.put("swaks", types=["swaks"], limit="1/day")
    to = f"{mechanism.lower()}@example.com"

    said = []
    for _ in range(2):
        done = subprocess.run(
            [
                *(program, "--server", f"127.0.0.1:{served.smtp_port}", "--to", to),
                *("--from", "app@example.com", "--auth", mechanism, "--auth-user", "other"),
                *("--auth-password", served.key, "--header", "X-Tactful-Type: swaks"),
                *("--header", "Subject: Grüße", "--body", "It works.\n.\nReally."),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said += [line for line in done.stdout.splitlines() if " 250 2.0.0 " in line]

    assert said[0].startswith("<~  250 2.0.0 send; delivery ") or " send; delivery " in said[0]
    assert " by rule swaks; delivery " in said[1]
    assert [row.type for row in client.deliveries(recipient=to)] == ["swaks", "swaks"]


# Alertmanager ---------------------------------------------------------------------------------


@pytest.fixture
def alertmanager(served: Served, tmp_path: Path) -> Iterator[str]:
    """A real one that sends all it has to the service; its URL."""
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    assert program, "install Alertmanager (apt-get install prometheus-alertmanager)"
    (tmp_path / "alertmanager.yml").write_text(
        f"""
route:
  receiver: tactful
  group_by: [alertname, job]
  group_wait: 100ms
  group_interval: 1s
  repeat_interval: 4h
receivers:
  - name: tactful
    webhook_configs:
      - url: {served.url}/v1/alertmanager?type=alert&to=on-call@example.com
        send_resolved: true
        http_config:
          authorization:
            credentials: {served.key}
""",
        encoding="utf-8",
    )
    url = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                *(program, f"--config.file={tmp_path}/alertmanager.yml"),
                *(f"--storage.path={tmp_path}/data", f"--web.listen-address={url}"),
                "--cluster.listen-address=",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            until(lambda: answers(f"http://{url}/-/ready"), (tmp_path / "log").read_text())
            yield f"http://{url}"
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def raised(url: str, alerts: list[dict[str, object]]) -> None:
    request = urllib.request.Request(
        f"{url}/api/v2/alerts",
        json.dumps(alerts).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def test_a_storm_from_alertmanager_stays_within_the_limit_and_nothing_is_missing(
    served: Served, client: Client, alertmanager: str
) -> None:
    client.rules.put("alerts", types=["alert"], limit="3/hour", on_limit="digest")
    alerts: list[dict[str, object]] = [
        {
            "labels": {
                "alertname": "HighLatency",
                "job": f"job-{number % 250}",
                "instance": f"web-{number}",
                "severity": "warning",
            },
            "annotations": {"summary": f"web-{number} is slow"},
        }
        for number in range(1_000)
    ]
    raised(alertmanager, alerts)

    def states() -> list[str]:
        return [row.state for row in client.deliveries() if row.type == "alert"]

    until(lambda: len(states()) == 250, "a notification for each of 250 groups")
    until(lambda: states().count("delivered") == 3, "three of them are sent")
    assert states().count("deferred") == 247

    raised(alertmanager, [{**alerts[0], "endsAt": "2020-01-01T00:00:00Z"}])
    until(lambda: len(states()) == 251, "a notification that one is resolved")
    assert states().count("delivered") == 3


# Django 6.1 and Celery ------------------------------------------------------------------------


@pytest.fixture
def python() -> str:
    """A Python that has both, in an environment of its own."""
    found = os.environ.get("TACTFUL_TEST_FOREIGN_PYTHON")
    assert found, "set TACTFUL_TEST_FOREIGN_PYTHON to a Python with Django 6.1 and Celery"
    return found


@pytest.mark.parametrize("form", ["modern", "classic"])
def test_the_newest_django_sends_by_both_forms_of_its_settings(
    served: Served, client: Client, python: str, form: str
) -> None:
    client.rules.put("no", types=["no"], limit="0/day", on_limit="reject")

    done = subprocess.run(
        [python, STORY, served.url, served.key, form],
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["version"].startswith("6.")
    assert (said["send_mail"], said["html only"], said["nobody"]) == (1, 1, 0)
    assert (said["receipts"], said["again"]) == (["send", "send"], [True, True])
    assert said["over limit"].startswith("OverLimit: ")


def test_the_example_for_celery_tells_each_buyer_once(
    served: Served, client: Client, python: str
) -> None:
    here = {"TACTFUL_URL": served.url, "TACTFUL_KEY": served.key, "PYTHONPATH": str(SOURCES)}

    done = subprocess.run(
        [python, STORY.with_name("celery_story.py"), SOURCES.parent / "examples/celery_tasks.py"],
        env={**os.environ, **here},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"first": "send", "again": "send", "failed": "FAILURE"}
    told = [(row.type, row.recipient) for row in client.deliveries()]
    assert told.count(("shipped", "ada@example.com")) == 1
    assert told.count(("failure", "operators@example.com")) == 1
