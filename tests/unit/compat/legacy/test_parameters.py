from __future__ import annotations

import numpy as np
import pytest

from umbel.compat.flwr.legacy.typing import NDArray, ndarrays_to_parameters, parameters_to_ndarrays

ARRAYS: list[NDArray] = [
    np.array([1.5, np.nan, -0.0, np.inf], dtype=np.float32),
    np.arange(6, dtype=np.float64).reshape(2, 3).T,
    np.array(7, dtype=np.int64),
    np.zeros((0, 3), dtype=np.float16),
    np.array([True, False]),
    np.array([1.0, 2.0], dtype=">f4"),
    np.array(["a", "bc"]),
]


@pytest.mark.parametrize("array", ARRAYS, ids=[f"{each.dtype.str}{each.shape}" for each in ARRAYS])
def test_a_model_keeps_its_bits(array: NDArray) -> None:
    """Type, shape and every bit of an array are the same after it was made bytes and back."""
    (back,) = parameters_to_ndarrays(ndarrays_to_parameters([array]))
    assert (back.dtype, back.shape, back.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_objects_are_refused() -> None:
    """An array of objects would need pickle."""
    with pytest.raises(ValueError, match="pickle"):
        ndarrays_to_parameters([np.array([{}], dtype=object)])


def test_the_arrays_may_be_written_to() -> None:
    """A client trains in the arrays that came."""
    (back,) = parameters_to_ndarrays(ndarrays_to_parameters([np.zeros(2)]))
    back += 1
    assert back.tolist() == [1, 1]
