"""`flwr.app`: records, messages and the context."""

from umbel.app.context import Context, UserConfig, UserConfigValue
from umbel.app.message import DEFAULT_TTL, Error, MessageType, Metadata
from umbel.app.records import ConfigRecord, ConfigScalar, ConfigValue, MetricRecord, MetricValue
from umbel.compat.flwr.records import Array, ArrayRecord, Message, RecordDict

ConfigRecordValues = ConfigValue
ConfigScalarList = list[int] | list[float] | list[str] | list[bytes] | list[bool]
MetricRecordValues = MetricValue
MetricScalar = int | float
MetricScalarList = list[int] | list[float]

__all__ = [
    "DEFAULT_TTL",
    "Array",
    "ArrayRecord",
    "ConfigRecord",
    "ConfigRecordValues",
    "ConfigScalar",
    "ConfigScalarList",
    "Context",
    "Error",
    "Message",
    "MessageType",
    "Metadata",
    "MetricRecord",
    "MetricRecordValues",
    "MetricScalar",
    "MetricScalarList",
    "RecordDict",
    "UserConfig",
    "UserConfigValue",
]
