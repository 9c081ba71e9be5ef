"""Array records as safetensors files: a JSON header with names, types, shapes and offsets, then the raw elements.

https://github.com/huggingface/safetensors describes the format. It is written here, in a few lines, because the library copies
every tensor: this encoder returns the tensors' own buffers, and the decoder views into the file's.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import NAMES_BY_SAFETENSORS, SAFETENSORS_NAMES, Array, storage_dtype
from umbel.app.arrayrecord import ArrayRecord
from umbel.errors import ObjectInvalid

Part = bytes | memoryview
_MAX_HEADER = 100_000_000  # bytes; the format's own limit
_METADATA = "__metadata__"


def encode(record: ArrayRecord, metadata: Mapping[str, str] | None = None) -> list[Part]:
    """The file as a sequence of buffers to write. Tensor buffers are views of the tensors' memory."""
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    for name in record:
        if name == _METADATA:
            raise ValueError(f"An array cannot be named {_METADATA!r}: safetensors keeps that name for itself.")
        header[name] = None  # the header keeps the record's order, the elements lie in order of alignment
    parts: list[Part] = []
    end = 0
    for name, array in sorted(record.items(), key=lambda item: -item[1].storage.itemsize):
        start, end = end, end + array.nbytes
        header[name] = {
            "dtype": SAFETENSORS_NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [start, end],
        }
        parts.append(_elements(array.storage))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little") + text, *parts]


def _elements(values: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8).data if values.size else memoryview(b"")


def decode(data: bytes | bytearray | memoryview) -> tuple[ArrayRecord, dict[str, str]]:
    """The record and the metadata in a file. The Arrays view into `data` and are writable if it is.

    Raises ObjectInvalid for anything that is not a well-formed file: overlapping, missing or left-over bytes, unknown types,
    shapes that do not fit their bytes.
    """
    view = memoryview(data).cast("B")
    header, body = _split(view)
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ObjectInvalid("The safetensors metadata must map strings to strings.")
    _check_coverage(header, len(body))
    record = ArrayRecord()
    for name, entry in header.items():
        record[name] = _array(name, entry, body)
    return record, metadata


def _split(view: memoryview) -> tuple[dict[str, Any], memoryview]:
    length = int.from_bytes(view[:8], "little")
    if len(view) < 8 or length > min(len(view) - 8, _MAX_HEADER):
        raise ObjectInvalid("Not a safetensors file: the header is truncated.")
    try:
        header = json.loads(bytes(view[8 : 8 + length]), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ObjectInvalid(f"Not a safetensors file: the header is not valid JSON ({error}).") from None
    if not isinstance(header, dict):
        raise ObjectInvalid("Not a safetensors file: the header is not a JSON object.")
    return header, view[8 + length :]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a name occurs twice")
    return table


def _check_coverage(header: dict[str, Any], size: int) -> None:
    end = 0
    for name, entry in sorted(_with_offsets(header), key=lambda item: item[1]):
        if entry[0] != end or entry[1] < entry[0]:
            raise ObjectInvalid(f"The bytes of tensor {name!r} overlap with another tensor or leave a gap.")
        end = entry[1]
    if end != size:
        raise ObjectInvalid(f"The safetensors header describes {end} bytes of tensors, but the file contains {size}.")


def _with_offsets(header: dict[str, Any]) -> Iterator[tuple[str, tuple[int, int]]]:
    for name, entry in header.items():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (
            isinstance(offsets, list)
            and len(offsets) == 2
            and all(type(offset) is int and offset >= 0 for offset in offsets)
        ):
            raise ObjectInvalid(f"Tensor {name!r} has no valid data_offsets.")
        yield name, (offsets[0], offsets[1])


def _array(name: str, entry: dict[str, Any], body: memoryview) -> Array:
    theirs, shape = entry.get("dtype"), entry.get("shape")
    dtype = NAMES_BY_SAFETENSORS.get(theirs) if isinstance(theirs, str) else None
    if dtype is None or not isinstance(shape, list) or not all(type(length) is int and length >= 0 for length in shape):
        raise ObjectInvalid(f"Tensor {name!r} has an unknown type or no valid shape.")
    start, stop = entry["data_offsets"]
    storage = storage_dtype(dtype)
    if stop - start != math.prod(shape) * storage.itemsize:
        raise ObjectInvalid(
            f"Tensor {name!r} has {stop - start} bytes, which does not match its shape {shape} of {dtype}."
        )
    try:
        values = np.frombuffer(body[start:stop], dtype=storage).reshape(shape)
    except ValueError as error:  # more dimensions, or, beside a length of 0, longer ones than NumPy has
        raise ObjectInvalid(f"Tensor {name!r} has a shape that NumPy does not support ({error}).") from None
    return Array.from_storage(dtype, values)
