"""The content of a message as bytes: each ArrayRecord as a safetensors file, then what else there is.

    files     each at a multiple of 64 bytes
    head      MessagePack: [[key, kind, value], …] where kind "a" has value [offset, size] of its safetensors file,
              counted from the start, and "m" and "c" have the metrics or the settings themselves
    8 bytes   length of the head, little-endian

The files come first, so that a model has the same chunks whatever settings it travels with: it is sent and kept once. MessagePack and
not JSON, because settings may be bytes and metrics may be NaN. Arrays are neither copied on the way out (the parts are views of their
memory) nor on the way in (the record views into the given buffer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from umbel.app import safetensors
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict, kind_of
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.app.safetensors import Part
from umbel.errors import ObjectInvalid
from umbel.wire.api import UNDECODABLE

ALIGNMENT = 64
_LENGTH = 8  # bytes of the head's length
Plain = list[tuple[str, str, Any]]
_KINDS: Mapping[type, str] = {ArrayRecord: "a", MetricRecord: "m", ConfigRecord: "c"}
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(list[tuple[str, str, Any]])


def to_plain(content: RecordDict) -> Plain:
    """`content`, which holds no arrays, as plain lists and dicts."""
    return [(key, _KINDS[kind_of(record)], dict(record)) for key, record in content.items()]


def from_plain(plain: Plain) -> RecordDict:
    """The RecordDict that `to_plain` described. Raises ObjectInvalid when it is none."""
    content = RecordDict()
    for key, kind, value in plain:
        dict.__setitem__(content, key, _record(kind, value))
    return content


def _record(kind: str, value: Any) -> MetricRecord | ConfigRecord:
    if kind not in {"m", "c"} or not isinstance(value, dict):
        raise ObjectInvalid(f"Unknown record type {kind!r}.")
    try:
        return MetricRecord(value) if kind == "m" else ConfigRecord(value)
    except TypeError as error:
        raise ObjectInvalid(f"Invalid record: {error}") from None


def pack(content: RecordDict) -> list[Part]:
    """`content` as parts to be written one after another. Raises OverflowError for an int that does not fit 64 bits."""
    out: list[Part] = []
    places = {}
    end = 0
    for key, record in content.items():
        if not isinstance(record, ArrayRecord):
            continue
        parts = safetensors.encode(record)
        offset, size = _aligned(end), sum(len(part) for part in parts)
        out += [bytes(offset - end), *parts]
        places[key] = (offset, size)
        end = offset + size
    head = _encoder.encode(_head(content, places))
    return [*out, head + len(head).to_bytes(_LENGTH, "little")]


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _head(content: RecordDict, places: Mapping[str, tuple[int, int]]) -> Plain:
    return [
        (key, _KINDS[kind_of(record)], places[key] if key in places else dict(record))
        for key, record in content.items()
    ]


def unpack(data: bytes | bytearray | memoryview) -> RecordDict:
    """The content that `pack` gave. Its arrays view into `data`. Raises ObjectInvalid for bytes that are no packed content."""
    view = memoryview(data).cast("B")
    length = int.from_bytes(view[-_LENGTH:], "little")
    start = len(view) - _LENGTH - length
    if start < 0:
        raise ObjectInvalid("The message content is truncated.")
    try:
        head = _decoder.decode(view[start : start + length])
    except UNDECODABLE as error:
        raise ObjectInvalid(f"Invalid message content: {error}.") from None
    content = RecordDict()
    for key, kind, value in head:
        dict.__setitem__(content, key, _arrays(view[:start], value) if kind == "a" else _record(kind, value))
    return content


def _arrays(view: memoryview, place: Any) -> ArrayRecord:
    if not (
        isinstance(place, list) and len(place) == 2 and all(type(number) is int and number >= 0 for number in place)
    ):
        raise ObjectInvalid("Invalid message content: the positions of its arrays are missing.")
    offset, size = place
    if offset + size > len(view):
        raise ObjectInvalid("The message content is truncated.")
    return safetensors.decode(view[offset : offset + size])[0]
