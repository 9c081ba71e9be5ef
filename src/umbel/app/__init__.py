"""What every app imports: records, messages and the context."""

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.context import Context, UserConfig, UserConfigValue
from umbel.app.error import Error, ErrorCode
from umbel.app.message import Message, MessageInitializationError
from umbel.app.metadata import MessageType, Metadata
from umbel.app.metricrecord import MetricRecord
from umbel.app.recorddict import RecordDict

__all__ = [
    "Array",
    "ArrayRecord",
    "ConfigRecord",
    "Context",
    "Error",
    "ErrorCode",
    "Message",
    "MessageInitializationError",
    "MessageType",
    "Metadata",
    "MetricRecord",
    "RecordDict",
    "UserConfig",
    "UserConfigValue",
]
