"""A run's metric points as the lines of charts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from umbel.wire.api import MetricPoint

COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2")  # one for each line of a chart


@dataclass(frozen=True)
class Series:
    """One line: the aggregate values of a metric over the rounds (both of the same length, in order; NaN where there is none)."""

    label: str
    rounds: list[int]
    values: list[float]


@dataclass(frozen=True)
class Panel:
    """One chart: the lines that share a metric's key, over all phases and, if asked for, nodes."""

    key: str
    series: list[Series]


def panels(points: Iterable[MetricPoint], *, nodes: bool = False) -> list[Panel]:
    """One panel for each key in order of appearance; a later point of the same round replaces an earlier one."""
    lines: dict[str, dict[str, dict[int, float]]] = {}
    for point in points:
        if point.node_id is None or nodes:
            label = point.phase if point.node_id is None else f"{point.phase} node {point.node_id}"
            lines.setdefault(point.key, {}).setdefault(label, {})[point.round] = _number(point.value)
    return [Panel(key, [_series(label, values) for label, values in group.items()]) for key, group in lines.items()]


def _series(label: str, values: dict[int, float]) -> Series:
    rounds = sorted(values)
    return Series(label, rounds, [values[number] for number in rounds])


def _number(value: float | None) -> float:
    return math.nan if value is None else value
