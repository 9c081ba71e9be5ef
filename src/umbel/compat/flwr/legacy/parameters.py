"""Between ndarrays and the bytes of the older API's models."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from umbel.app.array import STYPE
from umbel.compat.flwr.legacy.typing import NDArray, NDArrays, Parameters

__all__ = ["bytes_to_ndarray", "ndarray_to_bytes", "ndarrays_to_parameters", "parameters_to_ndarrays"]


def ndarrays_to_parameters(ndarrays: NDArrays) -> Parameters:
    """The ndarrays, each as the bytes of a `.npy` file."""
    return Parameters([ndarray_to_bytes(ndarray) for ndarray in ndarrays], STYPE)


def parameters_to_ndarrays(parameters: Parameters) -> NDArrays:
    """New ndarrays with the same bits. Raises ValueError for a tensor that is no `.npy` file or holds objects."""
    return [bytes_to_ndarray(tensor) for tensor in parameters.tensors]


def ndarray_to_bytes(ndarray: NDArray) -> bytes:
    """The bytes of a `.npy` file."""
    buffer = BytesIO()
    np.save(buffer, ndarray, allow_pickle=False)
    return buffer.getvalue()


def bytes_to_ndarray(tensor: bytes) -> NDArray:
    """The ndarray in the bytes of a `.npy` file. Raises ValueError for anything else."""
    values: NDArray = np.load(BytesIO(tensor), allow_pickle=False)
    return values
