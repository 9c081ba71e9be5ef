"""What the mods that change an update share: they look at train messages only, and say by an error reply what they lack."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
from umbel.app.elements import Floats
from umbel.app.error import Error, ErrorCode
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.clientapp.clientapp import ClientFn
from umbel.privacy.clipping import clip
from umbel.privacy.update import moved, numbers, update_of

Change = Callable[[list[Floats], RecordDict], bool]


def is_train(message: Message) -> bool:
    """Whether it asks to train."""
    return message.metadata.message_type.partition(".")[0] == "train"


def the_one(content: RecordDict, kind: type[Any], whose: str) -> Any:
    """The one record of type `kind`. Raises ValueError when there is none or more than one."""
    found = [record for record in content.values() if isinstance(record, kind)]
    if len(found) != 1:
        raise ValueError(f"{whose} must hold exactly one {kind.__name__}, this one holds {len(found)}.")
    return found[0]


def refused(message: Message, mod: str, reason: ValueError) -> Message:
    """The reply that says what a mod lacks."""
    return Message(Error(ErrorCode.MOD_FAILED_PRECONDITION, f"{mod}: {reason}"), reply_to=message)


def change_update(message: Message, context: Context, call_next: ClientFn, change: Change) -> Message:
    """The reply with its update changed in place by `change(update, content)`, which says whether it did anything.

    Raises ValueError when message or reply do not hold one ArrayRecord each, of the same tensors.
    """
    sent = the_one(message.content, ArrayRecord, "The message")
    before = numbers(sent)  # the app may train in the memory that it got
    reply = call_next(message, context)
    if reply.has_error():
        return reply
    content = reply.content
    trained = the_one(content, ArrayRecord, "The reply")
    update = update_of(trained, sent, before)
    if change(update, content):
        key = next(key for key, record in content.items() if record is trained)
        content[key] = moved(sent, before, update)
    return reply


def clipped(update: list[Floats], bound: float) -> bool:
    """Clip the update in place; whether it was longer. Raises ValueError when its length is not finite."""
    return clip(update, bound) > bound
