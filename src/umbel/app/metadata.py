"""Metadata: from whom, to whom and about what a message is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

SUPERLINK_NODE_ID = 1


class MessageType(StrEnum):
    """The categories of messages; each may be followed by `.action`, as in "train.finetune"."""

    TRAIN = "train"
    EVALUATE = "evaluate"
    QUERY = "query"
    SYSTEM = "system"


_LEGACY_TYPES = frozenset({"get_parameters", "get_properties", "reconnect"})
_VALID: set[str] = {*MessageType, *_LEGACY_TYPES}  # grows by what was found valid


def check_message_type(message_type: str) -> str:
    """`message_type`. Raises ValueError unless it is a category, or a category, a dot and a Python identifier."""
    if message_type not in _VALID:
        category, _, action = message_type.partition(".")
        if category not in set(MessageType) or not action.isidentifier():
            raise ValueError(
                f"Bad message type {message_type!r}: it must be one of {', '.join(MessageType)}, "
                "or one of them followed by a dot and an action that is a Python identifier."
            )
        _VALID.add(message_type)
    return message_type


@dataclass(slots=True)
class Metadata:
    """Where a message comes from and goes to. Times are seconds since the epoch, `ttl` is in seconds."""

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
        """Check what an author can get wrong."""
        check_message_type(self.message_type)
        if self.ttl <= 0:
            raise ValueError(f"A message's ttl must be above 0 seconds, not {self.ttl}: it may have expired.")

    def of_reply(self, ttl: float, created_at: float) -> Metadata:
        """The metadata of a reply to this message: back to where it came from."""
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
