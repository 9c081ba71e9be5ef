"""The coordinate-wise median of models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.dtypes import BFLOAT16, bfloat16_to_float32, float32_to_bfloat16

_BLOCK = 1 << 18  # numbers held at a time, beside the models themselves


def coordinate_median(models: Sequence[ArrayRecord]) -> ArrayRecord:
    """The median of each element over the models, which share one schema; at least one model.

    Of an even number it is the mean of the two in the middle. Whole numbers are rounded to nearest; complex numbers have the median
    of their real and of their imaginary parts.
    """
    return ArrayRecord({name: _median([model[name] for model in models]) for name in models[0]})


def _median(arrays: Sequence[Array]) -> Array:
    first = arrays[0]
    columns = [_numbers(array) for array in arrays]
    result = np.empty_like(columns[0])
    step = max(1, _BLOCK // len(columns))
    for start in range(0, result.size, step):
        block = np.stack([_widened(first.dtype, column[start : start + step]) for column in columns])
        result[start : start + step] = _narrowed(first.dtype, np.median(block, axis=0, overwrite_input=True))
    return Array.from_storage(first.dtype, result.view(first.storage.dtype).reshape(first.shape))


def _numbers(array: Array) -> NDArray[Any]:
    flat = array.storage.reshape(-1)
    return flat.view(np.float32) if array.dtype == "complex64" else flat


def _widened(dtype: str, values: NDArray[Any]) -> NDArray[Any]:
    if dtype == BFLOAT16:
        return bfloat16_to_float32(values)
    return values if dtype in {"float32", "complex64"} else values.astype(np.float64)


def _narrowed(dtype: str, values: NDArray[Any]) -> NDArray[Any]:
    if dtype == BFLOAT16:
        return float32_to_bfloat16(values)
    return values if dtype.startswith(("float", "complex")) else np.rint(values)
