"""The elements of a tensor as floating-point numbers to reckon with, and back as what they were."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import Array
from umbel.app.dtypes import BFLOAT16, bfloat16_to_float32, float32_to_bfloat16

Floats = NDArray[Any]
"""float32 or float64, one dimension."""

_SINGLE = frozenset({"float16", BFLOAT16, "float32", "complex64"})


def is_inexact(array: Array) -> bool:
    """Whether the elements are floating-point or complex numbers, which an optimiser may step."""
    return array.dtype.startswith(("float", "bfloat", "complex"))


def floats(array: Array) -> Floats:
    """The elements in one dimension, as float32 where that holds them all, otherwise as float64; possibly over the same memory.

    A complex number counts as two, its real and its imaginary part.
    """
    return widened(array.dtype, stored(array))


def stored(array: Array) -> NDArray[Any]:
    """The elements in one dimension as they are kept, over the same memory; a complex number counts as two."""
    flat = array.storage.reshape(-1)
    return flat.view(np.float32) if array.dtype == "complex64" else flat


def widened(dtype: str, values: NDArray[Any]) -> Floats:
    """`stored` values of this type as float32 or float64."""
    if dtype == BFLOAT16:
        return bfloat16_to_float32(values)
    return values.astype(np.float32 if dtype in _SINGLE else np.float64, copy=False)


def narrowed(dtype: str, values: Floats) -> NDArray[Any]:
    """The opposite of `widened`: rounded to the type, whole numbers to nearest."""
    if dtype == BFLOAT16:
        return float32_to_bfloat16(values)
    if dtype == "complex64":
        return values.astype(np.float32, copy=False)
    return values.astype(dtype, copy=False) if dtype.startswith("float") else np.rint(values).astype(dtype)


def as_array(values: NDArray[Any], like: Array) -> Array:
    """`stored` values as an Array of the type and shape of `like`."""
    return Array.from_storage(like.dtype, values.view(like.storage.dtype).reshape(like.shape))


def shaped(values: Floats, like: Array) -> Array:
    """Numbers as `floats` gives them as an Array of the shape of `like`, in float32, float64 or complex64."""
    return Array((values.view(np.complex64) if like.dtype == "complex64" else values).reshape(like.shape))
