"""The content of a message as bytes: a short head, then each ArrayRecord as a safetensors file.

    8 bytes   length of the head, little-endian
    head      MessagePack: [[key, kind, value], …] where kind "a" has value [offset, size] of its safetensors file,
              counted from the start, and "m" and "c" have the metrics or the settings themselves
    files     each at a multiple of 64 bytes

MessagePack and not JSON, because settings may be bytes and metrics may be NaN. Arrays are neither copied on the way out (the parts
are views of their memory) nor on the way in (the record views into the given buffer).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from umbel.app import safetensors
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.metricrecord import MetricRecord
from umbel.app.recorddict import RecordDict, kind_of
from umbel.app.safetensors import Part
from umbel.errors import ObjectInvalid
from umbel.wire.api import UNDECODABLE

ALIGNMENT = 64
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
        raise ObjectInvalid(f"Unknown kind of record {kind!r}.")
    try:
        return MetricRecord(value) if kind == "m" else ConfigRecord(value)
    except TypeError as error:
        raise ObjectInvalid(f"A record holds what it must not: {error}") from None


def pack(content: RecordDict) -> list[Part]:
    """`content` as parts to be written one after another. Raises OverflowError for an int that does not fit 64 bits."""
    files = {key: safetensors.encode(record) for key, record in content.items() if isinstance(record, ArrayRecord)}
    sizes = {key: sum(len(part) for part in parts) for key, parts in files.items()}
    # Offsets depend on the head's length and the head on the offsets: reserve the room the head needs with the largest offsets.
    room = 8 + len(_encoder.encode(_head(content, {key: (2**63, size) for key, size in sizes.items()})))
    offset = _aligned(room)
    places = {}
    for key, size in sizes.items():
        places[key] = (offset, size)
        offset = _aligned(offset + size)
    head = _encoder.encode(_head(content, places))
    out: list[Part] = [len(head).to_bytes(8, "little") + head]
    end = 8 + len(head)
    for key, parts in files.items():
        out.append(bytes(places[key][0] - end))
        out.extend(parts)
        end = sum(places[key])
    return out


def _aligned(offset: int) -> int:
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _head(content: RecordDict, places: Mapping[str, tuple[int, int]]) -> Plain:
    return [
        (key, _KINDS[kind_of(record)], places[key] if key in places else dict(record)) for key, record in content.items()
    ]


def unpack(data: bytes | bytearray | memoryview) -> RecordDict:
    """The content that `pack` gave. Its arrays view into `data`. Raises ObjectInvalid for bytes that are no packed content."""
    view = memoryview(data).cast("B")
    length = int.from_bytes(view[:8], "little")
    try:
        head = _decoder.decode(view[8 : 8 + length])
    except UNDECODABLE as error:
        raise ObjectInvalid(f"This is not the content of a message: {error}.") from None
    content = RecordDict()
    for key, kind, value in head:
        dict.__setitem__(content, key, _arrays(view, value) if kind == "a" else _record(kind, value))
    return content


def _arrays(view: memoryview, place: Any) -> ArrayRecord:
    if not (
        isinstance(place, list) and len(place) == 2 and all(type(number) is int and number >= 0 for number in place)
    ):
        raise ObjectInvalid("The content of a message does not say where its arrays are.")
    offset, size = place
    if offset + size > len(view):
        raise ObjectInvalid("The content of a message is cut off.")
    return safetensors.decode(view[offset : offset + size])[0]
