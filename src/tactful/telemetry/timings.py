"""What the steps of this process took: the probe that is behind the metrics of a process."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import Final

from tactful.telemetry.histograms import SHORT_S, Histogram
from tactful.telemetry.samples import Labels, Samples

STEPS: Final = {
    "claim": "tactful_claim_seconds",
    "transaction": "tactful_transaction_seconds",
    "commit": "tactful_commit_seconds",
    "send": "tactful_send_seconds",
}
"""Step of a probe -> the metric of what it took."""

TROUBLES: Final = {
    "unavailable": "tactful_store_errors_total",
    "contended": "tactful_store_contentions_total",
    "out_of_reach": "tactful_ledger_errors_total",
}
"""What happened to a store, or to a ledger beside it -> the metric that counts it."""

BROKERED: Final = ("admitted", "repeated", "refused", "put_back")
"""What becomes of the messages of a broker."""


READ: Final = {"remembered": "ledger", "looked_up": "store"}
"""What happened to a recipient's history -> where it was read."""


class Timings:
    """`ports.Probe` that keeps histograms and counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spans: dict[tuple[str, str], Histogram] = defaultdict(lambda: Histogram(SHORT_S))
        self._under_way: Counter[str] = Counter()
        self._answers: Counter[Labels] = Counter()
        self._brokered: dict[Labels, float] = {(what,): 0 for what in BROKERED}
        self._published = 0
        self._read: dict[Labels, float] = {(where,): 0 for where in READ.values()}
        self._troubles = dict.fromkeys(TROUBLES.values(), 0)

    def began(self, step: str, about: str = "") -> None:
        """See `ports.Probe.began`."""
        with self._lock:
            self._under_way[about] += 1

    def took(self, step: str, seconds: float, about: str = "") -> None:
        """See `ports.Probe.took`."""
        with self._lock:
            self._spans[step, about].observe(seconds)
            if step == "send":
                self._under_way[about] -= 1

    def happened(self, what: str, times: int = 1, about: str = "") -> None:
        """See `ports.Probe.happened`."""
        with self._lock:
            if what in TROUBLES:
                self._troubles[TROUBLES[what]] += times
            elif what in READ:
                self._read[(READ[what],)] += times
            elif what in BROKERED:
                self._brokered[(what,)] += times
            elif what == "published":
                self._published += times
            else:
                self._answers[about, what] += times

    def tell(self, samples: Samples) -> None:
        """Say what has been measured so far."""
        with self._lock:
            for (step, about), histogram in self._spans.items():
                labels = (about,) if about else ()
                samples.put_histograms(STEPS[step], {labels: histogram})
            samples.put_all("tactful_send_messages_total", self._answers)
            samples.put_all("tactful_broker_taken_total", self._brokered)
            samples.put_all("tactful_ledger_histories_total", self._read)
            samples.put("tactful_broker_published_total", self._published)
            for name, count in self._troubles.items():
                samples.put(name, count)
            for channel, count in self._under_way.items():
                samples.put("tactful_lane_busy", count, channel)
