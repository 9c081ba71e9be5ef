"""The records: what they hold, refuse, copy and count."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from umbel.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from umbel.app.records import Record

ARRAY = Array(np.zeros(2))


@pytest.mark.parametrize(
    "value", [1, 1.5, -(2**63), 2**64 - 1, [1, 2], [1.0, float("nan")], [], np.float32(0.5), np.int8(3)]
)
def test_what_a_metric_can_be(value: Any) -> None:
    """Numbers and lists of them; NumPy's become plain ones."""
    kept = MetricRecord({"m": value})["m"]
    assert kept == value or kept != kept  # noqa: PLR0124 - NaN
    assert type(kept) in {int, float, list}


@pytest.mark.parametrize(
    "value",
    [
        True,
        "1",
        b"",
        None,
        1j,
        2**64,
        -(2**63) - 1,
        [1, 2.0],
        [True],
        ["a"],
        [[1]],
        [2**64],
        (1, 2),
        np.zeros(2),
        np.bool_(True),
        {},
    ],
)
def test_what_no_metric_can_be(value: Any) -> None:
    """Booleans, texts, mixed lists, arrays, ints beyond 64 bits: the error names the key."""
    with pytest.raises(TypeError, match="'m'"):
        MetricRecord({"m": value})


@pytest.mark.parametrize(
    "value",
    [
        True,
        1,
        1.5,
        "text",
        b"\x00",
        [True, False],
        [1],
        [1.0],
        ["a"],
        [b"a"],
        [],
        np.float64(1),
        np.bool_(False),
        np.str_("a"),
    ],
)
def test_what_a_setting_can_be(value: Any) -> None:
    """Booleans, numbers, texts, bytes and lists of one of them."""
    kept = ConfigRecord({"c": value})["c"]
    assert kept == value
    assert type(kept) in {bool, int, float, str, bytes, list}


@pytest.mark.parametrize(
    "value", [None, 1j, 2**64, [1, "a"], [1, True], [None], [[1]], {"a": 1}, (1,), np.zeros(1), object()]
)
def test_what_no_setting_can_be(value: Any) -> None:
    """Everything else: the error names the key."""
    with pytest.raises(TypeError, match="'c'"):
        ConfigRecord({"c": value})


EXAMPLES: list[Record[Any]] = [
    ArrayRecord({"a": ARRAY, "b": ARRAY}),
    MetricRecord({"a": 1, "b": [2.0]}),
    ConfigRecord({"a": True, "b": "x"}),
    RecordDict({"a": MetricRecord(), "b": ConfigRecord()}),
]


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_every_way_in_is_checked(record: Record[Any]) -> None:
    """Item, update, setdefault, `|=` and the constructor refuse a wrong value or key, and leave the record as it was."""
    before = dict(record)
    wrong = object()
    with pytest.raises(TypeError):
        record["x"] = wrong
    with pytest.raises(TypeError):
        record.update({"x": wrong})
    with pytest.raises(TypeError):
        record.update(x=wrong)
    with pytest.raises(TypeError):
        record.setdefault("x", wrong)
    with pytest.raises(TypeError):
        record |= {"x": wrong}
    with pytest.raises(TypeError, match="must be a str, not int"):
        record[1] = record["a"]  # type: ignore[index]
    with pytest.raises(TypeError):
        type(record)({"x": wrong})
    assert dict(record) == before


@pytest.mark.parametrize("record", EXAMPLES, ids=lambda record: type(record).__name__)
def test_it_is_a_dict(record: Record[Any]) -> None:
    """Equal to a dict of the same items, shown with its name, in order; copies are shallow and of the same type."""
    assert record == dict(record)
    assert list(record) == ["a", "b"]
    assert repr(record) == f"{type(record).__name__}({dict(record)!r})"
    for same in (record.copy(), copy.copy(record)):
        assert type(same) is type(record)
        assert same == record
        same["c"] = same.pop("a")
        assert "a" in record
    assert record.setdefault("a", record["b"]) == record["a"]
    merged = record.copy()
    merged |= {"c": record["b"]}
    merged.update([("d", record["b"])])
    assert list(merged) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("kind", [MetricRecord, ConfigRecord])
def test_keep_input(kind: type[MetricRecord | ConfigRecord]) -> None:
    """The given mapping is emptied when it need not be kept."""
    given = {"a": 1}
    assert kind(given) == {"a": 1} == given
    assert kind(given, keep_input=False) == {"a": 1}
    assert given == {}


def test_how_bytes_are_counted() -> None:
    """8 for a number, 1 for a bool, lengths of texts in UTF-8, elements of tensors; plus the keys; empty values count nothing."""
    assert MetricRecord({"ab": 1, "c": [1.0, 2.0], "d": []}).count_bytes() == 2 + 8 + 1 + 16 + 1
    config = ConfigRecord({"a": True, "b": 2, "c": "é", "d": b"xyz", "e": ["ab", ""], "f": [], "g": "", "h": b""})
    assert config.count_bytes() == 8 + 1 + 8 + 2 + 3 + 2
    assert ArrayRecord({"é": Array(np.zeros((2, 3), np.float32)), "e": Array(np.zeros(0))}).count_bytes() == 2 + 24 + 1


def test_an_array_record_copies_nothing() -> None:
    """Neither on the way in nor on the way out."""
    given: list[np.ndarray] = [np.zeros(3, np.float32), np.ones((2, 2))]
    record = ArrayRecord(given)
    assert list(record) == ["0", "1"]
    assert all(one is two for one, two in zip(record.to_numpy_ndarrays(), given, strict=True))
    assert np.shares_memory(record.copy()["0"].storage, given[0])


def test_each_way_to_make_an_array_record() -> None:
    """Empty, from Arrays, from ndarrays, positional, by name or by class method; a NumPy scalar becomes 0-d."""
    values: list[np.ndarray] = [np.zeros(2)]
    arrays = {"0": Array(np.zeros(2))}
    made = [
        ArrayRecord(values),
        ArrayRecord(numpy_ndarrays=values),
        ArrayRecord.from_numpy_ndarrays(values),
        ArrayRecord(arrays),
        ArrayRecord(array_dict=arrays),
        ArrayRecord.from_array_dict(arrays),
    ]
    assert all(record == made[0] for record in made)
    assert ArrayRecord() == {}
    assert ArrayRecord([np.float32(2)])["0"].shape == ()  # type: ignore[list-item]


def test_an_array_record_without_keeping_the_input() -> None:
    """The container is emptied; `to_numpy_ndarrays(keep_input=False)` empties the record."""
    values = [np.zeros(2)]
    record = ArrayRecord(values, keep_input=False)
    assert values == []
    assert len(record.to_numpy_ndarrays(keep_input=False)) == 1
    assert record == {}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((np.zeros(2),), {}),
        (((np.zeros(2),),), {}),
        (([[1.0]],), {}),
        (({"a": [1.0]},), {}),
        (({1: ARRAY},), {}),
        (([ARRAY.numpy()], {"a": ARRAY}), {}),
        (([ARRAY.numpy()],), {"array_dict": {}}),
        ((), {"arrays": {}}),
        (("text",), {}),
    ],
)
def test_other_ways_are_type_errors(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """A bare array, a tuple, lists of lists, two containers, an unknown name."""
    with pytest.raises(TypeError):
        ArrayRecord(*args, **kwargs)


def test_the_schema() -> None:
    """Name, type and shape of each tensor, in order."""
    record = ArrayRecord({"w": Array(np.zeros((2, 3), np.float32)), "b": Array(np.array(1))})
    assert record.schema() == (("w", "float32", (2, 3)), ("b", "int64", ()))


def test_views_of_a_record_dict() -> None:
    """Each shows the records of one kind, live; what is written or deleted there is so in the RecordDict."""
    records = RecordDict({"w": ArrayRecord(), "m": MetricRecord({"a": 1}), "c": ConfigRecord(), "n": MetricRecord()})
    metrics = records.metric_records
    assert list(metrics) == ["m", "n"]
    assert (len(metrics), len(records.array_records), len(records.config_records)) == (2, 1, 1)
    assert metrics["m"] is records["m"]
    assert repr(metrics) == "{'m': MetricRecord({'a': 1}), 'n': MetricRecord({})}"
    del metrics["m"]
    metrics["x"] = MetricRecord({"b": 2})
    records["y"] = MetricRecord()
    assert list(metrics) == ["n", "x", "y"]
    assert "m" not in records
    for missing in ("w", "nothing"):
        with pytest.raises(KeyError):
            metrics[missing]
        with pytest.raises(KeyError):
            del metrics[missing]
        assert missing not in metrics
    assert "w" in records
    with pytest.raises(TypeError, match="must be of type MetricRecord here, not ConfigRecord"):
        metrics["z"] = ConfigRecord()  # type: ignore[assignment]


def test_a_record_that_changes_its_type_is_warned_of() -> None:
    """It is most likely a mistake: replacing metrics by a configuration under the same name."""
    records = RecordDict({"a": MetricRecord()})
    records["a"] = MetricRecord({"b": 1})
    with pytest.warns(UserWarning, match="'a'.* changed from MetricRecord to ConfigRecord"):
        records["a"] = ConfigRecord()
