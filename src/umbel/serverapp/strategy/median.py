"""The coordinate-wise median of models."""

from __future__ import annotations

from collections.abc import Sequence

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.elements import Floats
from umbel.serverapp.strategy.coordinates import by_coordinate


def coordinate_median(models: Sequence[ArrayRecord]) -> ArrayRecord:
    """The median of each element over the models, which share one schema; at least one model.

    Of an even number it is the mean of the two in the middle. Whole numbers are rounded to nearest; complex numbers have the median
    of their real and of their imaginary parts.
    """
    return by_coordinate(models, _median)


def _median(values: Floats) -> Floats:
    values.sort(axis=0)
    return middle(values)


def middle(ascending: Floats) -> Floats:
    """The median of each column of values in ascending order, of shape [rows, columns]."""
    low, high = ascending[(len(ascending) - 1) // 2], ascending[len(ascending) // 2]
    median: Floats = low * 0.5 + high * 0.5 if len(ascending) % 2 == 0 else low  # halves do not overflow
    return median + 0.0  # which of a 0 and a -0 comes first depends on the order of the models
