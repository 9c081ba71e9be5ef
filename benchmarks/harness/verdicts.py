"""Medians, ratios, and whether a target was met. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

OURS = "umbel"


@dataclass(frozen=True)
class Target:
    """What a case must reach: Umbel's median, or its ratio to the median of the product named by `against`."""

    sense: Literal["at least", "at most"]
    bound: float
    against: Literal["flower", "limit"] | None = None

    def __str__(self) -> str:
        sign = ">=" if self.sense == "at least" else "<="
        return f"{sign} {self.bound:g}" + (f" x {self.against}" if self.against else "")

    def met_by(self, value: float) -> bool:
        """True if `value` is on the right side of the bound, or on it."""
        return value >= self.bound if self.sense == "at least" else value <= self.bound


@dataclass(frozen=True)
class Verdict:
    """What a case showed: the median of each product, and the value that the target speaks of.

    `value` and `passed` are None when a product that the target needs was not measured.
    """

    medians: Mapping[str, float]
    value: float | None
    passed: bool | None


def judge(target: Target, samples: Mapping[str, Sequence[float]]) -> Verdict:
    """Hold the samples of each product against the target.

    Raises:
        ValueError: a sample is not a positive finite number; such a measurement is broken and decides nothing.
    """
    for product, values in samples.items():
        if any(not math.isfinite(value) or value <= 0 for value in values):
            raise ValueError(f"{product} measured {list(values)}: not all positive and finite")
    medians = {product: median(values) for product, values in samples.items() if values}
    value = decisive(target, medians)
    return Verdict(medians, value, None if value is None else target.met_by(value))


def decisive(target: Target, medians: Mapping[str, float]) -> float | None:
    """The number to compare with the bound, or None if it cannot be had."""
    ours = medians.get(OURS)
    if ours is None or target.against is None:
        return ours
    theirs = medians.get(target.against)
    return None if theirs is None else ours / theirs
