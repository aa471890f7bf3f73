"""What metrics say at one moment: numbers under names and labels of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from tactful.telemetry.catalogue import BY_NAME
from tactful.telemetry.histograms import Histogram

Labels: TypeAlias = tuple[str, ...]
"""The values of a metric's labels, in the order of the catalogue."""


@dataclass(slots=True)
class Samples:
    """Values and histograms by the name of their metric; unknown names and labels are bugs."""

    values: dict[str, dict[Labels, float]] = field(default_factory=dict)
    histograms: dict[str, dict[Labels, Histogram]] = field(default_factory=dict)

    def put(self, name: str, value: float, *labels: str) -> None:
        """One value."""
        assert len(labels) == len(BY_NAME[name].labels), name
        self.values.setdefault(name, {})[labels] = value

    def put_all(self, name: str, values: Mapping[Labels, float]) -> None:
        """The values of a metric for all its labels."""
        for labels, value in values.items():
            self.put(name, value, *labels)

    def put_histograms(self, name: str, found: Mapping[Labels, Histogram]) -> None:
        """The histograms of a metric for all its labels, as they are now."""
        assert BY_NAME[name].sort == "histogram", name
        copies = {labels: histogram.copy() for labels, histogram in found.items()}
        self.histograms.setdefault(name, {}).update(copies)
