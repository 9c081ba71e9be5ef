"""The coordinate-wise median of models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

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
    return np.asarray(np.median(values, axis=0, overwrite_input=True))
