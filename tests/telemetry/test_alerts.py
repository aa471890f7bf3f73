"""The alert rules and the dashboard, tried with a real Prometheus that scrapes a real service.

Run by `make alerts`; the programs `prometheus` and `promtool` have to be on the PATH, and without
them these tests fail and say so (CONTRIBUTING.md).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml
from prometheus_server import ROOT, RULES, PrometheusServer, promtool
from running import until as ask_until

from tactful import Event, Rule, Settings, Tactful
from tactful.channels.capture import CaptureChannel
from tactful.core.model import MINUTE
from tactful.runtime.clock import ManualClock, SystemClock
from tactful.telemetry.dashboard import dashboard
from tactful.testing.servers.postgres import PostgresServer
from tactful.testing.servers.process import free_port

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(600)]

until = partial(ask_until, patience_s=240.0)
RANGES = {"$__rate_interval": "5m", "$instance": ".*"}
ABSENT = (  # there is neither a listener in this process nor a broker
    "tactful_listener_lag_events",
    "tactful_broker_lag_events",
)


def alerts(path: Path) -> set[str]:
    """The names of the alerts in a file of rules."""
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"]}


SYSTEM = alerts(ROOT / "deploy/prometheus/system.rules.yml")
SPAM = alerts(ROOT / "deploy/prometheus/spam.rules.yml")


# Without a server -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_rules_are_well_formed(path: Path) -> None:
    done = promtool("check", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_is_well_formed() -> None:
    done = promtool("check", "config", ROOT / "deploy/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "path", sorted((ROOT / "deploy/prometheus/tests").glob("*.yml")), ids=lambda path: path.name
)
def test_rules_fire_when_they_should_and_not_before(path: Path) -> None:
    """In virtual time: what is ordinary is quiet, what lasts too short is quiet, the rest fires."""
    done = promtool("test", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr


# With one -------------------------------------------------------------------------------------


@contextmanager
def serving(folder: Path, port: int, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`tactful serve`, from the configuration in a folder, once it answers."""
    command = [sys.executable, "-m", "tactful", "serve", "--port", str(port), *options]
    with (folder / "serve.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        until(lambda: _answers(process, port), "the service does not answer")
        yield process
    finally:
        process.terminate()
        process.wait(60)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    assert process.poll() is None, "the service has ended"
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def engine(url: str, now: int | None = None, **more: Any) -> Tactful:
    """Somebody else on the same store, who only submits; with a clock of their own, if need be."""
    clock = SystemClock() if now is None else ManualClock(now)
    mail = CaptureChannel("email", address_kind="email")
    link = "https://example.org/u/{token}"
    return Tactful(url, channels=[mail], clock=clock, unsubscribe=link, **more)


def submit(app: Tactful, kind: str, addresses: list[str]) -> list[str]:
    """One notification for each address; gives the deliveries."""
    items = [{"type": kind, "to": to, "text": "x"} for to in addresses]
    return [receipt.delivery_id for receipt in app.send_many(items)]  # type: ignore[arg-type]


def people(name: str, count: int) -> list[str]:
    return [f"{name}{number}@tactful.test" for number in range(count)]


def test_a_fault_and_a_flood_fire_the_alerts_that_say_so(tmp_path: Path) -> None:
    """Every alert but two: of those that a real service can be brought to in a minute."""
    port, nobody = free_port(), free_port()
    with PostgresServer() as postgres, PrometheusServer(port) as prometheus:
        url = postgres.url()
        (tmp_path / "tactful.toml").write_text(
            f'store = "{url}"\n[smtp]\nhost = "127.0.0.1"\nport = {nobody}\n'
            'sender = "me@example.org"\n'
            f'[smtp.backup]\nhost = "127.0.0.1"\nport = {nobody}\n',
            encoding="utf-8",
        )

        def fires(*names: str, meanwhile: Callable[[], object] = lambda: None) -> None:
            def fired() -> bool:
                meanwhile()
                return prometheus.firing() >= set(names)

            until(fired, lambda: f"{set(names) - prometheus.firing()} do not fire")

        until(lambda: "TactfulDown" in prometheus.firing(), "nobody is there, and none says so")
        old = SystemClock().now() - 5 * MINUTE
        with closing(engine(url, old)) as app:
            app.rules.put(
                Rule("codes", types=["code"], limit="1/day", on_limit="reject"),
                Rule("offers", types=["promo"], limit="100/day"),
            )
            submit(app, "promo", people("late", 300))
        with serving(tmp_path, port, "--no-worker"):
            fires("TactfulQueueOverdue", "TactfulNoProgress")
            assert not prometheus.firing() & SPAM
        with serving(tmp_path, port):
            fires("TactfulSlow")
            assert not prometheus.firing() & {"TactfulDown", "TactfulStoreUnreachable"}
            with closing(engine(url)) as app:
                spam(app)
                trouble(app, url)
                fires(
                    *SPAM,
                    "TactfulFailedRatio",
                    "TactfulRetriesSurge",
                    "TactfulListenerStuck",
                    "TactfulClockWrong",
                    "TactfulProviderDown",
                    meanwhile=lambda: go_on(app),
                )
            every_panel_shows_something(prometheus)
            postgres.stop()
            fires("TactfulStoreUnreachable")
        fires("TactfulDown")


def spam(app: Tactful) -> None:
    """One person gets far too much, many get much, and they say what they think of it."""
    submit(app, "made-up", ["victim@tactful.test"] * 40)
    submit(app, "made-up", people("many", 30) * 12)
    submit(app, "promo", people("promo", 600))
    submit(app, "code", ["locked-out@tactful.test"] * 400)
    loud = submit(app, "promo", ["delivered@tactful.test"] * 20)
    until(lambda: all(app.delivery(id_).state == "delivered" for id_ in loud), "not delivered")  # type: ignore[union-attr]
    app.record_many([Event("complained", id_, 0) for id_ in loud])
    for number in range(40):
        app.unsubscribe(app.links.unsubscribe.token(f"promo{number}@tactful.test", "default"))


def trouble(app: Tactful, url: str) -> None:
    """What is sent fails, a listener fails, and a clock is wrong for a moment."""
    with closing(engine(url, settings=Settings(listener_tries=1))) as listening:
        listening.listen(refuse)
        submit(listening, "promo", ["heard@tactful.test"])
        listening.tick()
    submit(app, "promo", ["perm-fail@tactful.test"] * 300)
    for _ in range(5):
        submit(app, "alarm", ["temp-fail@tactful.test"] * 300)
    with closing(engine(url, SystemClock().now() + MINUTE)) as ahead:

        def corrected() -> bool:
            # When several say how late it is at the same time, one of them counts.
            submit(ahead, "promo", ["early@tactful.test"])
            return bool(app.events(name="clock.corrected"))

        until(corrected, "nobody puts the clock right")


def go_on(app: Tactful) -> None:
    """More of what takes a while to add up: refusals, and mails to servers that are not there."""
    submit(app, "code", ["locked-out@tactful.test"] * 20)
    submit(app, "promo", ["somebody@example.org"])


def refuse(event: Event) -> None:
    raise RuntimeError(event.name)


def every_panel_shows_something(prometheus: PrometheusServer) -> None:
    """Each query of the dashboard finds values in what was scraped."""
    empty = set()
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            expr = target["expr"]
            for name, value in RANGES.items():
                expr = expr.replace(name, value)
            if not prometheus.query(expr):
                empty.add(panel["description"])
    assert {text for text in empty if all(name not in text for name in ABSENT)} == set()
