"""`flwr.common`: names that client and server apps share, current and earlier ones."""

from datetime import UTC, datetime

from umbel.app.context import Context
from umbel.app.message import DEFAULT_TTL, Error, MessageType, Metadata
from umbel.app.records import ConfigRecord, ConfigValue, MetricRecord, MetricValue
from umbel.compat.flwr.common.constant import MessageTypeLegacy
from umbel.compat.flwr.common.logger import configure, log, logger
from umbel.compat.flwr.legacy.typing import (
    ClientMessage,
    Code,
    Config,
    DisconnectRes,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Metrics,
    MetricsAggregationFn,
    NDArray,
    NDArrayFloat,
    NDArrayInt,
    NDArrays,
    Parameters,
    Properties,
    ReconnectIns,
    Scalar,
    ServerMessage,
    Status,
    UserConfig,
    Value,
    bytes_to_ndarray,
    ndarray_to_bytes,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from umbel.compat.flwr.records import Array, ArrayRecord, Message, RecordDict

ConfigRecordValues = ConfigValue
MetricRecordValues = MetricValue

# The names that records had before.
ConfigsRecord = ConfigRecord
MetricsRecord = MetricRecord
ParametersRecord = ArrayRecord
RecordSet = RecordDict
array_from_numpy = Array.from_numpy_ndarray


def now() -> datetime:
    """The current time in UTC."""
    return datetime.now(tz=UTC)


__all__ = [
    "DEFAULT_TTL",
    "Array",
    "ArrayRecord",
    "ClientMessage",
    "Code",
    "Config",
    "ConfigRecord",
    "ConfigRecordValues",
    "ConfigsRecord",
    "Context",
    "DisconnectRes",
    "Error",
    "EvaluateIns",
    "EvaluateRes",
    "FitIns",
    "FitRes",
    "GetParametersIns",
    "GetParametersRes",
    "GetPropertiesIns",
    "GetPropertiesRes",
    "Message",
    "MessageType",
    "MessageTypeLegacy",
    "Metadata",
    "MetricRecord",
    "MetricRecordValues",
    "Metrics",
    "MetricsAggregationFn",
    "MetricsRecord",
    "NDArray",
    "NDArrayFloat",
    "NDArrayInt",
    "NDArrays",
    "Parameters",
    "ParametersRecord",
    "Properties",
    "ReconnectIns",
    "RecordDict",
    "RecordSet",
    "Scalar",
    "ServerMessage",
    "Status",
    "UserConfig",
    "Value",
    "array_from_numpy",
    "bytes_to_ndarray",
    "configure",
    "log",
    "logger",
    "ndarray_to_bytes",
    "ndarrays_to_parameters",
    "now",
    "parameters_to_ndarrays",
]

MISSING = {
    "EventType": "there is no telemetry.",
    "GRPC_MAX_MESSAGE_LENGTH": "Umbel does not use gRPC, and message size is limited only by disk space.",
    "event": "there is no telemetry.",
}
