"""Mods that say how large what comes and goes is."""

from __future__ import annotations

import math
import sys

from umbel.app.context import Context
from umbel.app.message import Message
from umbel.clientapp.clientapp import ClientFn


def message_size_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Write to the run's log how many bytes the content of the message and of its reply has."""
    reply = call_next(message, context)
    _say(f"Message size: {_bytes(message)} bytes came, {_bytes(reply)} bytes go.")
    return reply


def arrays_size_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Write to the run's log how many elements and bytes the arrays of the message and of its reply have."""
    reply = call_next(message, context)
    _say(f"Arrays: {_arrays(message)} came, {_arrays(reply)} go.")
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
