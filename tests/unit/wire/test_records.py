"""The content of a message as bytes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from umbel.errors import ObjectInvalid
from umbel.wire.records import ALIGNMENT, from_plain, pack, to_plain, unpack

INTS = st.integers(-(2**63), 2**64 - 1)
METRICS = st.one_of(INTS, st.floats(), st.lists(INTS, max_size=3), st.lists(st.floats(), max_size=3))
CONFIGS = st.one_of(METRICS, st.booleans(), st.text(), st.binary(), st.lists(st.binary(), max_size=2))
DTYPES = ["float32", "float64", "int8", "uint64", "bool", "float16", "complex64"]
ARRAYS = st.builds(lambda dtype, size: Array(np.arange(size).astype(dtype)), st.sampled_from(DTYPES), st.integers(0, 9))
CONTENTS = st.dictionaries(
    st.text(max_size=5),
    st.one_of(
        st.dictionaries(st.text(max_size=5), METRICS, max_size=3).map(MetricRecord),
        st.dictionaries(st.text(max_size=5), CONFIGS, max_size=3).map(ConfigRecord),
        st.dictionaries(st.text(max_size=5), ARRAYS, max_size=3).map(ArrayRecord),
    ),
    max_size=4,
).map(RecordDict)


@given(CONTENTS)
def test_a_content_comes_back_as_it_was(content: RecordDict) -> None:
    """Names, order, types and every bit, NaN and bytes too."""
    back = unpack(b"".join(pack(content)))
    assert [(key, type(record)) for key, record in back.items()] == [
        (key, type(record)) for key, record in content.items()
    ]
    assert repr(back) == repr(content)
    assert all(back[key] == record for key, record in content.items() if isinstance(record, ArrayRecord))


def test_nothing_is_copied_on_the_way_out_nor_in() -> None:
    """The parts are the arrays' own memory; the arrays are views of the bytes, aligned."""
    values = np.arange(1000.0)
    parts = pack(RecordDict({"m": MetricRecord({"x": math.nan}), "a": ArrayRecord([values])}))
    assert any(np.shares_memory(np.frombuffer(part, np.uint8), values) for part in parts if len(part) == values.nbytes)
    data = bytearray(b"".join(parts))
    array = unpack(data).array_records["a"]["0"].numpy()
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))
    assert (array.ctypes.data - np.frombuffer(data, np.uint8).ctypes.data) % 8 == 0
    assert ALIGNMENT % 8 == 0


def test_a_model_begins_with_the_same_bytes_whatever_goes_with_it() -> None:
    """So that its chunks are known when it comes again with other settings."""
    model = ArrayRecord([np.arange(1000.0), np.arange(3.0)])
    one = b"".join(pack(RecordDict({"config": ConfigRecord({"lr": 0.1, "round": 1}), "arrays": model})))
    other = b"".join(pack(RecordDict({"arrays": model, "config": ConfigRecord({"to-evaluate": "a" * 500})})))
    assert one[:8000] == other[:8000]
    assert one[-100:] != other[-100:]


def test_records_without_arrays_travel_as_plain_values() -> None:
    """What goes beside folded arrays."""
    content = RecordDict({"m": MetricRecord({"x": 1.5}), "c": ConfigRecord({"b": b"\x00"})})
    assert from_plain(to_plain(content)) == content


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_with_one_kind_of_error(data: bytes) -> None:
    """Garbage raises ObjectInvalid and nothing else."""
    try:
        content = unpack(data)
    except ObjectInvalid:
        return
    assert isinstance(content, RecordDict)


@given(st.data())
def test_damage_is_refused_with_one_kind_of_error(data: st.DataObject) -> None:
    """A packed content with bytes changed or cut off gives a content or ObjectInvalid, never anything else."""
    packed = bytearray(b"".join(pack(RecordDict({"a": ArrayRecord([np.arange(4.0)]), "m": MetricRecord({"x": 1})}))))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        content = unpack(packed[: data.draw(st.integers(0, len(packed)))])
    except ObjectInvalid:
        return
    assert isinstance(content, RecordDict)


@pytest.mark.parametrize("plain", [[("a", "x", {})], [("a", "m", {"k": "text"})], [("a", "c", 5)], [("a", "", {})]])
def test_plain_values_that_are_no_record_are_refused(plain: list[tuple[str, str, object]]) -> None:
    """Also from a worker nothing is taken for granted."""
    with pytest.raises(ObjectInvalid):
        from_plain(plain)
