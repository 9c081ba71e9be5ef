"""Array records as safetensors files, held against the safetensors library and against what is no such file."""

from __future__ import annotations

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from umbel.app import Array, ArrayRecord
from umbel.app.array import SAFETENSORS_NAMES
from umbel.app.safetensors import decode, encode
from umbel.errors import ObjectInvalid

NUMPY_TYPES = sorted(set(SAFETENSORS_NAMES) - {"bfloat16"})


def joined(record: ArrayRecord, metadata: dict[str, str] | None = None) -> bytes:
    """The file as one piece."""
    return b"".join(encode(record, metadata))


def file(header: Any, body: bytes = b"") -> bytes:
    """A file with this header, right or wrong."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


arrays = st.one_of(
    st.sampled_from(NUMPY_TYPES)
    .flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
    .map(Array),
    hnp.arrays(np.uint16, 3).map(lambda patterns: Array.from_storage("bfloat16", patterns)),
)
names = st.text(max_size=8).filter(lambda name: name != "__metadata__" and name.isprintable())
records = st.dictionaries(names, arrays, max_size=5).map(ArrayRecord)
metadata_tables = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5), min_size=1, max_size=3)
generous = settings(suppress_health_check=[HealthCheck.too_slow])


@generous
@given(records, metadata_tables)
def test_there_and_back(record: ArrayRecord, metadata: dict[str, str] | None) -> None:
    """Any record comes back with its order, types, shapes and bits, and so does the metadata."""
    back, table = decode(joined(record, metadata))
    assert back == record
    assert list(back) == list(record)
    assert table == (metadata or {})


@generous
@given(records)
def test_the_library_reads_what_is_written(record: ArrayRecord) -> None:
    """The safetensors library finds the same tensors (NumPy has no bfloat16, so without those)."""
    plain = ArrayRecord({name: array for name, array in record.items() if array.dtype != "bfloat16"})
    theirs = safetensors.numpy.load(joined(plain))
    assert theirs.keys() == plain.keys()
    assert all(Array(theirs[name]) == array for name, array in plain.items())


@generous
@given(records, metadata_tables)
def test_what_the_library_writes_is_read(record: ArrayRecord, metadata: dict[str, str] | None) -> None:
    """And the other way round; the library orders tensors by itself."""
    plain = {
        name: np.ascontiguousarray(array.numpy()).reshape(array.shape)
        for name, array in record.items()
        if array.dtype != "bfloat16"
    }
    back, table = decode(safetensors.numpy.save(plain, metadata))
    assert back == {name: Array(values) for name, values in plain.items()}
    assert table == (metadata or {})


def test_writing_copies_nothing() -> None:
    """The parts are views of the tensors' own memory; the header's length is a multiple of 8."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    header, part = encode(ArrayRecord({"w": Array(values)}))
    assert np.shares_memory(np.frombuffer(part, np.uint8), values)
    assert len(header) % 8 == 0


def test_views_are_written_as_they_look() -> None:
    """A transposed array is written by its elements."""
    values = np.arange(6, dtype=np.int16).reshape(2, 3).T
    assert decode(joined(ArrayRecord([values])))[0]["0"].numpy().tolist() == values.tolist()


def test_reading_copies_nothing(tmp_path: Path) -> None:
    """The arrays view into the buffer: writable in a bytearray, read-only in bytes, and without reading a mapped file."""
    data = bytearray(joined(ArrayRecord([np.zeros(4, np.float32)])))
    record, _ = decode(data)
    record["0"].numpy()[0] = 1
    assert data[-16:-12] == np.float32(1).tobytes()
    assert not decode(bytes(data))[0]["0"].numpy().flags.writeable
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with path.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        view = memoryview(mapped)
        mapped_record, _ = decode(view)
        assert mapped_record == record
        del mapped_record
        view.release()


def test_tensors_lie_aligned() -> None:
    """Whatever order the names are in, wide elements come first, so that each tensor begins at a multiple of its width."""
    record = ArrayRecord(
        {"a": Array(np.ones(3, np.int8)), "b": Array(np.ones(1, np.float64)), "c": Array(np.ones(1, np.float16))}
    )
    data = joined(record)
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    assert list(header) == ["a", "b", "c"]
    assert all((start + header[name]["data_offsets"][0]) % record[name].storage.itemsize == 0 for name in record)


def test_the_name_of_the_metadata_is_taken() -> None:
    """A tensor cannot have it."""
    with pytest.raises(ValueError, match="cannot be named '__metadata__'"):
        encode(ArrayRecord({"__metadata__": Array(np.zeros(1))}))


def one(**changes: Any) -> dict[str, Any]:
    """The header of a file with one tensor of 8 bytes, with changes."""
    return {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


def without(key: str) -> dict[str, Any]:
    """The same with a key missing."""
    header = one()
    del header["w"][key]
    return header


EIGHT = bytes(8)


def test_a_well_formed_file() -> None:
    """What the malformed files differ from."""
    assert decode(file(one(), EIGHT))[0].schema() == (("w", "float32", (2,)),)
    assert decode(file({}))[0] == {}


MALFORMED = [
    b"",
    b"1234567",
    (100).to_bytes(8, "little") + b"{}",
    (2**64 - 1).to_bytes(8, "little") + b"{}",
    file(b""),
    file(b"{"),
    file(b"\xff\xfe{}"),
    file(b"[" * 100_000),
    file([]),
    file(1),
    file(b'{"w": NaN}'),
    file(
        b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        EIGHT,
    ),
    file({"w": 1}),
    file({"w": []}),
    file({"w": {}}),
    file({"__metadata__": 1}),
    file({"__metadata__": {"a": 1}}),
    file({"__metadata__": ["a"]}),
    file(without("dtype"), EIGHT),
    file(without("shape"), EIGHT),
    file(without("data_offsets"), EIGHT),
    file(one(dtype="F128"), EIGHT),
    file(one(dtype="float32"), EIGHT),
    file(one(dtype=["F32"]), EIGHT),
    file(one(dtype={}), EIGHT),
    file(one(dtype=None), EIGHT),
    file(one(shape=2), EIGHT),
    file(one(shape=[3]), EIGHT),
    file(one(shape=[-2]), EIGHT),
    file(one(shape=[-1, -2]), EIGHT),
    file(one(shape=[2.0]), EIGHT),
    file(one(shape=[True, 2]), EIGHT),
    file(one(shape=["2"]), EIGHT),
    file(one(shape=[2**40, 2**40]), EIGHT),
    file(one(shape=[0, 2**70], data_offsets=[0, 0])),
    file(one(shape=[0] * 100, data_offsets=[0, 0])),
    file(one(shape=[1] * 100 + [2]), EIGHT),
    file(one(data_offsets=[0, 9]), EIGHT),
    file(one(data_offsets=[8, 0]), EIGHT),
    file(one(data_offsets=[-8, 0]), EIGHT),
    file(one(data_offsets=[0]), EIGHT),
    file(one(data_offsets=[0, 8, 16]), EIGHT),
    file(one(data_offsets=[0.0, 8.0]), EIGHT),
    file(one(data_offsets="08"), EIGHT),
    file(one(data_offsets=[0, 2**80]), EIGHT),
    file(one(), EIGHT + b"\0"),
    file(one(), EIGHT[:-1]),
    file(one()),
    file(one(data_offsets=[8, 16]), bytes(16)),
    file({**one(), "v": one()["w"]}, EIGHT),
    file({**one(), "v": one(data_offsets=[4, 12])["w"]}, bytes(12)),
    file({**one(), "v": one(data_offsets=[9, 17])["w"]}, bytes(17)),
]


@pytest.mark.parametrize("data", MALFORMED, ids=[f"file {index}" for index in range(len(MALFORMED))])
def test_what_is_no_safetensors_file(data: bytes) -> None:
    """Cut off, not JSON, unknown types, odd shapes, overlaps, gaps, left-over bytes: ObjectInvalid, and nothing else."""
    with pytest.raises(ObjectInvalid):
        decode(data)


@generous
@given(records, st.data())
def test_a_damaged_file(record: ArrayRecord, data: st.DataObject) -> None:
    """Whatever bytes are changed, cut off or added, it is read or refused with ObjectInvalid."""
    damaged = bytearray(joined(record))
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=4)):
        damaged[position] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for attempt in (damaged, damaged[:cut], damaged + b"\0"):
        check_read_or_refused(bytes(attempt))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from([0, 1, 4, 8, "F32", "I8"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["dtype", "shape", "data_offsets", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "I8", "BF16", "X"]) | json_values,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 16), min_size=2, max_size=2) | json_values,
    },
)
headers = st.dictionaries(st.sampled_from(["a", "b", "__metadata__"]), entries | json_values, max_size=3) | json_values


@generous
@given(headers, st.binary(max_size=16))
def test_any_header(header: Any, body: bytes) -> None:
    """Whatever JSON the header is, the file is read or refused with ObjectInvalid."""
    check_read_or_refused(file(header, body))


@given(st.binary(max_size=40))
def test_any_bytes(data: bytes) -> None:
    """So is any string of bytes, also as a header of the right length."""
    check_read_or_refused(data)
    check_read_or_refused(file(data))


def check_read_or_refused(data: bytes) -> None:
    """Decode; whatever is read can be written again and is then the same."""
    try:
        record, metadata = decode(data)
    except ObjectInvalid:
        return
    assert decode(joined(record, metadata)) == (record, metadata)
