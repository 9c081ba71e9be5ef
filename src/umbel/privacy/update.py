"""The update of a model: what a client changed, as plain numbers, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.elements import Floats, as_array, floats, narrowed

NOISY_TYPES = frozenset({"float16", "bfloat16", "float32", "float64", "complex64", "int32", "int64"})
"""The element types that noise can be added to: not booleans, nor whole numbers that it may carry beyond their range."""


def numbers(arrays: ArrayRecord) -> list[Floats]:
    """Copies of the elements of each tensor, in float32 or float64, one dimension."""
    return [np.array(floats(array)) for array in arrays.values()]


def update_of(reply: ArrayRecord, sent: ArrayRecord, before: Sequence[Floats]) -> list[Floats]:
    """Reply - sent, tensor by tensor; `before` are the `numbers` of `sent`, in case the app has changed it since.

    Raises ValueError when the reply's tensors are not those that were sent.
    """
    if reply.schema() != sent.schema():
        raise ValueError("Its arrays differ in name, type, shape or order from those it was sent.")
    with np.errstate(over="ignore", invalid="ignore"):  # an update whose length is not finite is refused
        return [floats(array) - was for array, was in zip(reply.values(), before, strict=True)]


def moved(sent: ArrayRecord, before: Sequence[Floats], update: Sequence[Floats]) -> ArrayRecord:
    """Sent + update, each tensor rounded to its own type."""
    return ArrayRecord(
        {
            name: _added(array, was, change)
            for (name, array), was, change in zip(sent.items(), before, update, strict=True)
        }
    )


def _added(like: Array, before: Floats, change: Floats) -> Array:
    return as_array(narrowed(like.dtype, before + change), like)
