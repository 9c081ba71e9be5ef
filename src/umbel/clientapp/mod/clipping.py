"""Mods that clip updates or report their size."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
from umbel.app.message import Error, ErrorCode, Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, Floats, MetricRecord
from umbel.clientapp.clientapp import ClientFn, Stage, staged
from umbel.privacy.clipping import clip, moved, numbers, update_of

Change = Callable[[list[Floats], RecordDict], bool]


def is_train(message: Message) -> bool:
    """Whether it is a train message."""
    return message.metadata.message_type.partition(".")[0] == "train"


def single_record(content: RecordDict, kind: type[Any], whose: str) -> Any:
    """The only record of type `kind`. Raises ValueError if there is none or more than one."""
    found = [record for record in content.values() if isinstance(record, kind)]
    if len(found) != 1:
        raise ValueError(f"{whose} must contain exactly one {kind.__name__}, but it contains {len(found)}.")
    return found[0]


def refused(message: Message, mod: str, reason: ValueError) -> Message:
    """An error reply for a message that does not meet the preconditions of a mod."""
    return Message(Error(ErrorCode.MOD_FAILED_PRECONDITION, f"{mod}: {reason}"), reply_to=message)


def change_update(message: Message, context: Context, call_next: ClientFn, change: Change) -> Message:
    """The reply with its update changed in place by `change(update, content)`, which says whether it did anything.

    Raises ValueError when message or reply do not hold one ArrayRecord each, of the same tensors.
    """
    sent = single_record(message.content, ArrayRecord, "The message")
    before = numbers(sent)  # the app may train in the memory that it got
    reply = call_next(message, context)
    if reply.has_error():
        return reply
    content = reply.content
    trained = single_record(content, ArrayRecord, "The reply")
    update = update_of(trained, sent, before)
    if change(update, content):
        key = next(key for key, record in content.items() if record is trained)
        content[key] = moved(sent, before, update)
    return reply


def clipped(update: list[Floats], bound: float) -> bool:
    """Clip the update in place; whether it was longer. Raises ValueError when its length is not finite."""
    return clip(update, bound) > bound


_CLIPPING_NORM = "clipping_norm"
_NORM_BIT = "norm_bit"


@staged(Stage.CLIP)
def fixedclipping_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Clip the update of a train reply to the `clipping_norm` in the message's configuration: see `umbel.privacy.clipping`.

    For DifferentialPrivacyClientSideFixedClipping. By itself it gives no privacy: it bounds what one client can do to the sum that the
    server adds noise to. Replies with an error (MOD_FAILED_PRECONDITION) unless the message holds one ArrayRecord and one ConfigRecord with
    that number, and the reply the same tensors.
    """
    if not is_train(message):
        return call_next(message, context)
    try:
        bound = _bound(message)
        return change_update(message, context, call_next, lambda update, _: clipped(update, bound))
    except ValueError as reason:
        return refused(message, "fixedclipping_mod", reason)


@staged(Stage.CLIP)
def adaptiveclipping_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """As fixedclipping_mod, and set `norm_bit` in the reply's one MetricRecord: 1 where the update was within the norm, else 0.

    For DifferentialPrivacyClientSideAdaptiveClipping, which adds noise to the sum of the bits as well.
    """
    if not is_train(message):
        return call_next(message, context)
    try:
        bound = _bound(message)
        return change_update(message, context, call_next, lambda update, content: _with_bit(update, content, bound))
    except ValueError as reason:
        return refused(message, "adaptiveclipping_mod", reason)


def _with_bit(update: list[Floats], content: RecordDict, bound: float) -> bool:
    metrics: MetricRecord = single_record(content, MetricRecord, "The reply")
    was_longer = clipped(update, bound)
    metrics[_NORM_BIT] = int(not was_longer)
    return was_longer


def _bound(message: Message) -> float:
    bound = single_record(message.content, ConfigRecord, "The message").get(_CLIPPING_NORM)
    if isinstance(bound, bool) or not isinstance(bound, (int, float)) or not 0 < bound < math.inf:
        raise ValueError(
            f"The message's configuration lacks a number {_CLIPPING_NORM!r} greater than 0: "
            "check that the ServerApp uses the client-side clipping strategy of this mod."
        )
    return float(bound)


def message_size_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Log the size in bytes of the content of the message and of its reply."""
    reply = call_next(message, context)
    _say(f"Message size: {_bytes(message)} bytes received, {_bytes(reply)} bytes sent.")
    return reply


def arrays_size_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Log the number of elements and bytes of the arrays of the message and of its reply."""
    reply = call_next(message, context)
    _say(f"Arrays: {_arrays(message)} received, {_arrays(reply)} sent.")
    return reply


def _bytes(message: Message) -> int:
    return 0 if message.has_error() else sum(record.count_bytes() for record in message.content.values())


def _arrays(message: Message) -> str:
    records = [] if message.has_error() else list(message.content.array_records.values())
    arrays = [array for record in records for array in record.values()]
    elements = sum(math.prod(array.shape) for array in arrays)
    return f"{elements} elements ({sum(array.nbytes for array in arrays)} bytes)"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
