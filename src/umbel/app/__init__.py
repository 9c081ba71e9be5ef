"""Records, messages and the context: the classes that every app imports."""

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context, UserConfig, UserConfigValue
from umbel.app.message import Error, ErrorCode, Message, MessageInitializationError, MessageType, Metadata
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord

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
