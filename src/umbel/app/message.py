"""Message, Metadata and Error."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from numbers import Integral
from typing import NamedTuple

from umbel.app.recorddict import RecordDict


class ErrorCode(IntEnum):
    """Kinds of failures that an error reply reports."""

    UNKNOWN = 0
    LOAD_CLIENT_APP_EXCEPTION = 1
    CLIENT_APP_RAISED_EXCEPTION = 2
    MESSAGE_UNAVAILABLE = 3
    REPLY_MESSAGE_UNAVAILABLE = 4
    NODE_UNAVAILABLE = 5
    MOD_FAILED_PRECONDITION = 6
    INVALID_FAB = 7
    CLIENT_APP_CRASHED = 8
    MALFORMED_REPLY = 20
    TIMED_OUT = 21


class Error(NamedTuple):
    """The reason for a failed message: `code` is one of ErrorCode, `reason` a text, often a traceback."""

    code: int
    reason: str | None = None


SUPERLINK_NODE_ID = 1


class MessageType(StrEnum):
    """The categories of messages; each may be followed by `.action`, as in "train.finetune"."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    QUERY = "query"
    SYSTEM = "system"


_LEGACY_TYPES = frozenset({"get_parameters", "get_properties", "reconnect"})
_VALID: set[str] = {*MessageType, *_LEGACY_TYPES}  # a cache: valid types are added


def check_message_type(message_type: str) -> str:
    """`message_type`. Raises ValueError unless it is a category, or a category, a dot and a Python identifier."""
    if message_type not in _VALID:
        category, _, action = message_type.partition(".")
        if category not in set(MessageType) or not action.isidentifier():
            raise ValueError(
                f"Invalid message type {message_type!r}: it must be one of {', '.join(MessageType)}, "
                "or one of them followed by a dot and an action that is a Python identifier."
            )
        _VALID.add(message_type)
    return message_type


@dataclass(slots=True)
class Metadata:
    """Source, destination, type and lifetime of a message.

    `created_at` is in seconds since the epoch (UTC), `ttl` in seconds and above 0. Raises ValueError for an invalid message
    type or ttl, TypeError for node IDs that are not integers and a group ID that is not a str.
    """

    message_type: str
    dst_node_id: int
    ttl: float
    created_at: float
    run_id: int = 0
    message_id: str = ""
    src_node_id: int = SUPERLINK_NODE_ID
    reply_to_message_id: str = ""
    group_id: str = ""
    delivered_at: str = ""

    def __post_init__(self) -> None:
        """Validate the message type, the ttl and the types of IDs."""
        check_message_type(self.message_type)
        for name in ("dst_node_id", "src_node_id"):
            node_id = getattr(self, name)
            if not isinstance(node_id, Integral):
                raise TypeError(f"`{name}` must be an int, not {type(node_id).__name__}.")
        if not isinstance(self.group_id, str):
            raise TypeError(f"`group_id` must be a str, not {type(self.group_id).__name__}.")
        if self.ttl <= 0:
            raise ValueError(
                f"The ttl of a message must be greater than 0 seconds, not {self.ttl}: the message may have expired."
            )

    def of_reply(self, ttl: float, created_at: float) -> Metadata:
        """The metadata of a reply to this message, with source and destination exchanged."""
        return Metadata(
            message_type=self.message_type,
            dst_node_id=self.src_node_id,
            ttl=ttl,
            created_at=created_at,
            run_id=self.run_id,
            src_node_id=self.dst_node_id,
            reply_to_message_id=self.message_id,
            group_id=self.group_id,
        )


DEFAULT_TTL = 43_200.0  # seconds: 12 hours
_TTL_TOLERANCE = 0.1  # seconds by which a reply may outlive its instruction


class MessageInitializationError(TypeError):
    """A Message is made from content, dst_node_id and message_type, or from content or error and reply_to."""

    def __init__(self) -> None:
        """Use the docstring of the class as the message."""
        super().__init__(type(self).__doc__)


class Message:
    """An instruction for one node, or the reply to one.

    `Message(content, dst_node_id, message_type)` is an instruction; `Message(content, reply_to=msg)` or
    `Message(error, reply_to=msg)` is a reply.

    Args:
        content: the records, or an Error in a reply.
        dst_node_id: ID of the receiving node.
        message_type: a category ("train", "evaluate", "query", "system"), optionally followed by a dot and an action.
        error: the reason why a reply has no content.
        reply_to: the instruction that this message answers.
        ttl: lifetime in seconds, above 0. Defaults to 43,200 (12 hours) for an instruction and to the instruction's
            remaining lifetime for a reply, which is also the maximum for a reply.
        group_id: a label for the messages that belong together, such as those of one round.

    Raises:
        MessageInitializationError: any other combination of arguments (a TypeError).
        TypeError: a node ID that is not an integer, or a group ID that is not a str.
        ValueError: an invalid message type or ttl.

    Example:
        >>> message = Message(RecordDict({"arrays": arrays}), dst_node_id=5, message_type="train")
        >>> reply = Message(RecordDict({"metrics": MetricRecord({"loss": 0.5})}), reply_to=message)
    """

    __slots__ = ("_content", "_error", "metadata")

    metadata: Metadata

    def __init__(
        self,
        content: RecordDict | Error | None = None,
        dst_node_id: int | None = None,
        message_type: str | None = None,
        *,
        error: Error | None = None,
        reply_to: Message | None = None,
        ttl: float | None = None,
        group_id: str | None = None,
    ) -> None:
        """Create an instruction or a reply."""
        if isinstance(content, Error):
            content, error = None, content if error is None else error
        is_content = isinstance(content, RecordDict) and error is None
        is_error = content is None and isinstance(error, Error)
        if not (is_content or is_error):
            raise MessageInitializationError
        self._content = content
        self._error = error
        if reply_to is not None:
            if dst_node_id is not None or message_type is not None or group_id is not None:
                raise MessageInitializationError
            self.metadata = _reply_metadata(reply_to.metadata, ttl)
        elif dst_node_id is None or message_type is None or error is not None:
            raise MessageInitializationError
        else:
            self.metadata = Metadata(
                dst_node_id=dst_node_id,
                message_type=message_type,
                ttl=DEFAULT_TTL if ttl is None else ttl,
                group_id="" if group_id is None else group_id,
                created_at=time.time(),
            )

    @classmethod
    def from_parts(cls, metadata: Metadata, content: RecordDict | None, error: Error | None = None) -> Message:
        """A Message with existing metadata, for transports. Apps call the constructor."""
        message = cls.__new__(cls)
        message.metadata = metadata
        message._content = content  # noqa: SLF001 - its own class
        message._error = error  # noqa: SLF001
        return message

    @property
    def content(self) -> RecordDict:
        """The records. Raises ValueError if the message has an error instead."""
        if self._content is None:
            raise ValueError("This message has no content because it carries an error: see `message.error`.")
        return self._content

    @content.setter
    def content(self, value: RecordDict) -> None:
        if self._error is not None:
            raise ValueError("A message with an error cannot have content.")
        self._content = value

    @property
    def error(self) -> Error:
        """The error. Raises ValueError if the message has content instead."""
        if self._error is None:
            raise ValueError("This message has no error: see `message.content`.")
        return self._error

    @error.setter
    def error(self, value: Error) -> None:
        if self._content is not None:
            raise ValueError("A message with content cannot have an error.")
        self._error = value

    def has_content(self) -> bool:
        """Whether the message has content."""
        return self._content is not None

    def has_error(self) -> bool:
        """Whether the message has an error."""
        return self._error is not None

    def __repr__(self) -> str:
        return f"Message({self._error or self._content!r}, {self.metadata!r})"


def failure(instruction: Message, error: Error) -> Message:
    """An error reply in place of a client's own reply. It is also valid for a message that has expired, which allows no other reply."""
    metadata = instruction.metadata
    return Message.from_parts(metadata.of_reply(metadata.ttl, metadata.created_at), None, error)


def _reply_metadata(instruction: Metadata, ttl: float | None) -> Metadata:
    now = time.time()
    left = instruction.ttl - (now - instruction.created_at)
    if ttl is not None and ttl > left + _TTL_TOLERANCE:
        warnings.warn(
            f"The reply's ttl of {ttl} s exceeds the remaining {left:.1f} s of the message and was reduced to it.",
            stacklevel=3,
        )
    return instruction.of_reply(left if ttl is None else min(ttl, left), now)
