"""Typed messages of the older API, and conversion of ndarrays to parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt

from umbel.app.array import STYPE
from umbel.app.context import UserConfig, UserConfigValue

__all__ = [
    "ClientMessage",
    "Code",
    "Config",
    "DisconnectRes",
    "EvaluateIns",
    "EvaluateRes",
    "FitIns",
    "FitRes",
    "GetParametersIns",
    "GetParametersRes",
    "GetPropertiesIns",
    "GetPropertiesRes",
    "Metrics",
    "MetricsAggregationFn",
    "NDArray",
    "NDArrayFloat",
    "NDArrayInt",
    "NDArrays",
    "Parameters",
    "Properties",
    "ReconnectIns",
    "Scalar",
    "ServerMessage",
    "Status",
    "UserConfig",
    "UserConfigValue",
    "Value",
    "bytes_to_ndarray",
    "ndarray_to_bytes",
    "ndarrays_to_parameters",
    "parameters_to_ndarrays",
]


def ndarrays_to_parameters(ndarrays: NDArrays) -> Parameters:
    """Serialise ndarrays, each as the bytes of a `.npy` file."""
    return Parameters([ndarray_to_bytes(ndarray) for ndarray in ndarrays], STYPE)


def parameters_to_ndarrays(parameters: Parameters) -> NDArrays:
    """Deserialise ndarrays. Raises ValueError for a tensor that is not a `.npy` file or contains objects."""
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


NDArray = npt.NDArray[Any]
NDArrayInt = npt.NDArray[np.int_]
NDArrayFloat = npt.NDArray[np.float64]
NDArrays = list[NDArray]
Scalar = bool | bytes | float | int | str
Value = Scalar | list[bool] | list[bytes] | list[float] | list[int] | list[str]
Config = dict[str, Scalar]
Metrics = dict[str, Scalar]
Properties = dict[str, Scalar]
MetricsAggregationFn = Callable[[list[tuple[int, Metrics]]], Metrics]
"""From each client's number of examples and metrics to the metrics of all."""


class Code(Enum):
    """Status codes of a request."""

    OK = 0
    GET_PROPERTIES_NOT_IMPLEMENTED = 1
    GET_PARAMETERS_NOT_IMPLEMENTED = 2
    FIT_NOT_IMPLEMENTED = 3
    EVALUATE_NOT_IMPLEMENTED = 4


@dataclass
class Status:
    """The outcome of a request, with an explanation."""

    code: Code
    message: str


@dataclass
class Parameters:
    """A model: one `bytes` per tensor in the format `tensor_type` ("numpy.ndarray" means a `.npy` file)."""

    tensors: list[bytes]
    tensor_type: str


@dataclass
class GetParametersIns:
    """Request for the model of a client."""

    config: Config


@dataclass
class GetParametersRes:
    """A client's model."""

    status: Status
    parameters: Parameters


@dataclass
class FitIns:
    """Request to train a model."""

    parameters: Parameters
    config: Config


@dataclass
class FitRes:
    """A trained model and the number of training examples."""

    status: Status
    parameters: Parameters
    num_examples: int
    metrics: Metrics


@dataclass
class EvaluateIns:
    """Request to evaluate a model."""

    parameters: Parameters
    config: Config


@dataclass
class EvaluateRes:
    """The loss of a model and the number of evaluated examples."""

    status: Status
    loss: float
    num_examples: int
    metrics: Metrics


@dataclass
class GetPropertiesIns:
    """Request for the properties of a client."""

    config: Config


@dataclass
class GetPropertiesRes:
    """A client's properties."""

    status: Status
    properties: Properties


@dataclass
class ReconnectIns:
    """Request to reconnect after a number of seconds; None means not at all."""

    seconds: int | None


@dataclass
class DisconnectRes:
    """The reason of a disconnection."""

    reason: str


@dataclass
class ServerMessage:
    """Any of the requests."""

    get_properties_ins: GetPropertiesIns | None = None
    get_parameters_ins: GetParametersIns | None = None
    fit_ins: FitIns | None = None
    evaluate_ins: EvaluateIns | None = None


@dataclass
class ClientMessage:
    """Any of the responses."""

    get_properties_res: GetPropertiesRes | None = None
    get_parameters_res: GetParametersRes | None = None
    fit_res: FitRes | None = None
    evaluate_res: EvaluateRes | None = None
