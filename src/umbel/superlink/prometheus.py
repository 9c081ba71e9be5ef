"""Prometheus metrics."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

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


def family(name: str, kind: Kind, about: str, values: Mapping[Labels, float]) -> str:
    """The lines of one metric."""
    lines = [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]
    lines += [_line(name, labels, value) for labels, value in sorted(values.items())]
    return "\n".join(lines) + "\n"


def histogram(name: str, about: str, measured: Histogram) -> str:
    """The lines of a histogram."""
    counts, total = measured.read()
    lines = [f"# HELP {name} {about}", f"# TYPE {name} histogram"]
    bounds = ["+Inf" if bound == math.inf else f"{bound:g}" for bound in measured.bounds]
    lines += [_line(f"{name}_bucket", (("le", bound),), count) for bound, count in zip(bounds, counts, strict=True)]
    lines += [_line(f"{name}_sum", (), total), _line(f"{name}_count", (), counts[-1])]
    return "\n".join(lines) + "\n"


def by(label: str, counts: Iterable[tuple[str, int]]) -> dict[Labels, float]:
    """Values with one label."""
    return {((label, value),): count for value, count in counts}


def _line(name: str, labels: Labels, value: float) -> str:
    inside = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels)
    return f"{name}{{{inside}}} {value:.12g}" if inside else f"{name} {value:.12g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
