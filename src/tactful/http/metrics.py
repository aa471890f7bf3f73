"""`/metrics` in the text format of Prometheus.

Everything is worked out when it is asked for, in a registry of this engine alone: two engines in
one process do not mix. While the store cannot be reached the answer is `tactful_store_up 0`, what
was counted before, and what this process knows by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Final

from fastapi import APIRouter, Depends, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from tactful import __version__
from tactful.app import Tactful
from tactful.channels.breaker import Health
from tactful.channels.failover import FailoverChannel
from tactful.core.errors import Unavailable
from tactful.core.model import SECOND, State
from tactful.http.keyring import Access
from tactful.runtime.outbox import behind
from tactful.telemetry.catalogue import CATALOGUE
from tactful.telemetry.samples import Samples
from tactful.telemetry.tally import Tally
from tactful.telemetry.timings import Timings

log = logging.getLogger("tactful.metrics")

ACCESSES: Final = ("open", "key", "off")
"""Who may read the metrics: anybody, who has a key with the scope read, or nobody."""

QUEUED: Final = (State.QUEUED, State.DEFERRED, State.SENDING)


class Exporter:
    """Samples of one engine; a collector of `prometheus_client`.

    What its steps take is known where the engine was made with `Timings` as its probe. Raises
    Unavailable.
    """

    def __init__(self, app: Tactful) -> None:
        self._app = app
        self._timings = app.probe if isinstance(app.probe, Timings) else None
        self._tally = Tally(app.store, app.channels, app.clock.now)
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)

    def text(self) -> bytes:
        """Everything there is to say, as Prometheus reads it."""
        return generate_latest(self.registry)

    def samples(self) -> Samples:
        """Everything there is to say."""
        found = Samples()
        try:
            self._tally.look()
            self._ask(found)
        except Unavailable as error:
            log.warning("metrics without the store: %s", error)
            found.put("tactful_store_up", 0)
        self._tally.tell(found)
        if self._timings is not None:
            self._timings.tell(found)
        self._look_around(found)
        return found

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        found = self.samples()
        for one in CATALOGUE:
            family = _FAMILIES[one.sort](one.name, one.text, labels=one.labels)
            for labels, value in sorted(found.values.get(one.name, {}).items()):
                family.add_metric(labels, value)
            for labels, histogram in sorted(found.histograms.get(one.name, {}).items()):
                family.add_metric(labels, histogram.buckets, histogram.sum)
            yield family

    def describe(self) -> Iterator[Metric]:
        """No metric is known to the registry before it is asked for."""
        return iter(())

    def _ask(self, found: Samples) -> None:
        """What the store says now."""
        now = self._app.clock.now()
        with self._app.store.reading() as reader:
            backlog = reader.backlog()
            due = reader.next_due()
            broadcasts = len(reader.unfinished_broadcasts())
            epoch = reader.epoch()
            unpublished = behind(reader)
        for state in QUEUED:
            found.put("tactful_queue_deliveries", backlog.get(state, 0), state.value)
        overdue_ms = max(0, now - due) if due is not None else 0
        found.put("tactful_queue_overdue_seconds", overdue_ms / SECOND)
        found.put("tactful_broadcasts_unfinished", broadcasts)
        found.put("tactful_policy_version", epoch)
        if unpublished is not None:
            found.put("tactful_broker_lag_events", unpublished)
        for name, count in self._app.listeners_behind().items():
            found.put("tactful_listener_lag_events", count, name)
        found.put("tactful_store_up", 1)

    def _look_around(self, found: Samples) -> None:
        """What this process knows by itself."""
        found.put("tactful_clock_seconds", self._app.clock.now() / SECOND)
        found.put("tactful_worker_running", float(self._app.working))
        found.put("tactful_build_info", 1, __version__)
        for name, channel in self._app.channels.items():
            found.put("tactful_lane_size", channel.concurrency, name)
            inner = getattr(channel, "inner", channel)
            if isinstance(inner, FailoverChannel):
                for provider, health in inner.health.items():
                    found.put("tactful_provider_up", health is Health.CLOSED, name, provider)


_FAMILIES: Final = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}


def router_of(app: Tactful, access: str) -> APIRouter:
    """The route, for those who may read it: one of ACCESSES."""
    router = APIRouter()
    if access == "off":
        return router
    exporter = Exporter(app)
    asked = [Depends(Access("read"))] if access == "key" else []

    @router.get("/metrics", dependencies=asked, include_in_schema=False)
    def metrics() -> Response:
        """What there is to count and measure, for Prometheus."""
        return Response(exporter.text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return router
