"""Message: a content, or an error, on its way between the ServerApp and one node."""

from __future__ import annotations

import time
import warnings

from umbel.app.error import Error
from umbel.app.metadata import Metadata
from umbel.app.recorddict import RecordDict

DEFAULT_TTL = 43_200.0  # seconds: 12 hours
_TTL_TOLERANCE = 0.1  # seconds a reply may outlive what it answers


class MessageInitializationError(TypeError):
    """A Message is made from content, dst_node_id and message_type, or from content or error and reply_to."""

    def __init__(self) -> None:
        """The message is the class's docstring."""
        super().__init__(type(self).__doc__)


class Message:
    """An instruction for one node, or the reply to one.

    `Message(content, dst_node_id, message_type)` is an instruction; `Message(content, reply_to=msg)` or
    `Message(error, reply_to=msg)` a reply. `ttl` is in seconds (default 43,200 for an instruction; what is left of the
    instruction's for a reply). Raises MessageInitializationError (a TypeError) for any other combination, ValueError
    for a bad message type or ttl.
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
        """See the class."""
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
                group_id=group_id or "",
                created_at=time.time(),
            )

    @classmethod
    def from_parts(cls, metadata: Metadata, content: RecordDict | None, error: Error | None = None) -> Message:
        """A Message with this very metadata: for those who carry messages, not for those who write them."""
        message = cls.__new__(cls)
        message.metadata = metadata
        message._content = content  # noqa: SLF001 - its own class
        message._error = error  # noqa: SLF001
        return message

    @property
    def content(self) -> RecordDict:
        """The content. Raises ValueError when the message carries an error instead."""
        if self._content is None:
            raise ValueError("This message has no content but an error: look at `message.error`.")
        return self._content

    @content.setter
    def content(self, value: RecordDict) -> None:
        if self._error is not None:
            raise ValueError("A message that carries an error can have no content.")
        self._content = value

    @property
    def error(self) -> Error:
        """The error. Raises ValueError when there is none."""
        if self._error is None:
            raise ValueError("This message has no error: look at `message.content`.")
        return self._error

    @error.setter
    def error(self, value: Error) -> None:
        if self._content is not None:
            raise ValueError("A message that has a content can carry no error.")
        self._error = value

    def has_content(self) -> bool:
        """Whether there is a content."""
        return self._content is not None

    def has_error(self) -> bool:
        """Whether there is an error."""
        return self._error is not None

    def __repr__(self) -> str:
        return f"Message({self._error or self._content!r}, {self.metadata!r})"


def failure(asked: Message, error: Error) -> Message:
    """The error reply of whoever answers in a client's place: also to a message whose time has run out, to which there is no other."""
    metadata = asked.metadata
    return Message.from_parts(metadata.of_reply(metadata.ttl, metadata.created_at), None, error)


def _reply_metadata(asked: Metadata, ttl: float | None) -> Metadata:
    now = time.time()
    left = asked.ttl - (now - asked.created_at)
    if ttl is not None and ttl > left + _TTL_TOLERANCE:
        warnings.warn(f"The reply's ttl of {ttl} s is cut to the {left:.1f} s left of the message's.", stacklevel=3)
    return asked.of_reply(left if ttl is None else min(ttl, left), now)
