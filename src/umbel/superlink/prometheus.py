"""Prometheus metrics: recorded at little cost, and rendered by prometheus-client, which is imported at the first scrape."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

Labels = tuple[tuple[str, str], ...]  # names and values
Kind = Literal["counter", "gauge"]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Counter:
    """Numbers that only grow, by labels. To be used in one thread."""

    def __init__(self) -> None:
        self.values: dict[Labels, float] = {}

    def add(self, amount: float = 1, **labels: str) -> None:
        """Count."""
        key = tuple(labels.items())
        self.values[key] = self.values.get(key, 0) + amount


@dataclass(slots=True)
class Traffic:
    """What has gone in and out since the start, by class of route."""

    requests: Counter = field(default_factory=Counter)  # answered, by status too
    bytes_in: Counter = field(default_factory=Counter)  # of bodies
    bytes_out: Counter = field(default_factory=Counter)


class Histogram:
    """How often something took how long, in seconds. Safe to use from several threads."""

    def __init__(self, bounds: tuple[float, ...] = SECONDS) -> None:
        self.bounds = (*bounds, math.inf)
        self._counts = [0] * len(self.bounds)
        self._sum = 0.0
        self._lock = threading.Lock()

    def observe(self, seconds: float) -> None:
        """Count one that took so long."""
        place = next(place for place, bound in enumerate(self.bounds) if seconds <= bound)
        with self._lock:
            self._counts[place] += 1
            self._sum += seconds

    def read(self) -> tuple[list[int], float]:
        """How many took at most each of the bounds, and the sum of all."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        return [sum(counts[: place + 1]) for place in range(len(counts))], total


def family(name: str, kind: Kind, about: str, values: Mapping[Labels, float]) -> Metric:
    """A metric with its values."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    labels = [label for label, _ in next(iter(values), ())]
    made = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, about, labels=labels)
    for key, value in sorted(values.items()):
        made.add_metric([text for _, text in key], value)
    return made


def histogram(name: str, about: str, measured: Histogram) -> Metric:
    """A histogram with its buckets."""
    from prometheus_client.core import HistogramMetricFamily

    counts, total = measured.read()
    bounds = ["+Inf" if bound == math.inf else f"{bound:g}" for bound in measured.bounds]
    return HistogramMetricFamily(name, about, buckets=list(zip(bounds, counts, strict=True)), sum_value=total)


def by(label: str, counts: Iterable[tuple[str, int]]) -> dict[Labels, float]:
    """Values with one label."""
    return {((label, value),): count for value, count in counts}


def exposition(families: Sequence[Metric]) -> bytes:
    """The metrics in Prometheus' text format."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(families))
    return generate_latest(registry)


class _Families:
    """A collector of metrics that have been read already."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families

    def describe(self) -> Iterable[Metric]:
        return ()
