from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

from umbel.app import array as core_array
from umbel.app import arrayrecord as core_record
from umbel.app import message as core_message
from umbel.app import recorddict as core_content
from umbel.compat import flwr as alias
from umbel.compat.flwr.records import adopt
from umbel.wire.records import pack, unpack

with alias.active():
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
    from flwr.common import ConfigsRecord, MetricsRecord, ParametersRecord, RecordSet, array_from_numpy


def test_an_array_is_a_copy_of_what_it_was_made_from() -> None:
    """What happens to the ndarray later does not reach the record: a model may be trained after it was recorded."""
    weights = np.zeros(3)
    record, single = ArrayRecord([weights]), Array(weights)
    weights += 1
    assert record["0"].numpy().tolist() == single.numpy().tolist() == [0, 0, 0]


def test_an_array_hands_out_copies() -> None:
    """What happens to an ndarray that came out does not reach the record, and it can be written to."""
    record = ArrayRecord([np.zeros(3)])
    (weights,) = record.to_numpy_ndarrays()
    weights += 1
    record["0"].numpy()[:] = 5
    assert record["0"].numpy().tolist() == [0, 0, 0]


@pytest.mark.torch
def test_tensors_are_copies_too() -> None:
    """The same for torch state dicts, bfloat16 included."""
    import torch

    for dtype in (torch.float32, torch.bfloat16):
        weights = torch.zeros(3, dtype=dtype)
        record = ArrayRecord({"w": weights})
        weights += 1
        out = record.to_torch_state_dict()["w"]
        out += 2
        assert record.to_torch_state_dict()["w"].tolist() == [0, 0, 0]
        assert out.dtype == dtype


def test_an_array_from_the_network_is_adopted() -> None:
    """What a message brings hands out copies too, regardless of its creator, without being copied on the way."""
    model = np.zeros(3)
    content = core_content.RecordDict({"model": core_record.ArrayRecord([model])})
    message: Any = adopt(core_message.Message(content, 2, "train"))
    assert type(message) is Message
    assert type(message.content) is RecordDict
    assert type(message.content["model"]["0"]) is Array
    assert message.content["model"]["0"].storage is model
    message.content["model"]["0"].numpy()[:] = 1
    assert model.tolist() == [0, 0, 0]


def test_an_adopted_record_travels_like_any_other() -> None:
    """Records of the alias are packed to the same bytes as Umbel's own, and can be copied deeply."""
    ours = core_content.RecordDict({"a": core_record.ArrayRecord([np.arange(3)]), "m": MetricRecord({"x": 1})})
    theirs = RecordDict({"a": ArrayRecord([np.arange(3)]), "m": MetricRecord({"x": 1})})
    assert b"".join(pack(theirs)) == b"".join(pack(ours))
    assert unpack(b"".join(pack(copy.deepcopy(theirs)))) == ours
    assert type(copy.deepcopy(theirs)["a"]["0"]) is Array


def test_bytes_are_counted_as_flower_counts_them() -> None:
    """An array counts as its `.npy` file, and a key as its length; a number as 8 bytes."""
    record = ArrayRecord({"äb": Array(np.zeros((3, 4), np.float32)), "c": Array(np.array(1))})
    assert record.count_bytes() == 3 + 1 + sum(len(array.data) for array in record.values())
    assert MetricRecord({"k": [1, 2]}).count_bytes() == 17
    assert ConfigRecord({"k": "ab", "e": []}).count_bytes() == 4


def test_an_array_has_the_four_constructors() -> None:
    """From an ndarray, by its place or its name, or from dtype, shape, stype and data; a mixture is a TypeError."""
    weights = np.arange(4.0).reshape(2, 2)
    array = Array(weights)
    assert array == Array(ndarray=weights) == Array(array.dtype, array.shape, array.stype, array.data)
    assert array == Array(dtype="float64", shape=(2, 2), stype="numpy.ndarray", data=array.data)
    assert Array.from_numpy_ndarray(weights) == array_from_numpy(weights) == core_array.Array(weights)
    with pytest.raises(TypeError):
        Array("float64", (2, 2), data=array.data)
    with pytest.raises(TypeError):
        Array(weights, weights)


def test_input_can_be_given_up() -> None:
    """`keep_input=False` empties the container that a record was made from, or the record that is turned into ndarrays."""
    weights = [np.zeros(2)]
    record = ArrayRecord(weights, keep_input=False)
    assert weights == []
    assert len(record.to_numpy_ndarrays(keep_input=False)) == 1
    assert len(record) == 0


def test_records_check_what_comes_in() -> None:
    """A key that is no str, or a value of another kind, is a TypeError."""
    for record, value in (
        (ArrayRecord(), 1),
        (MetricRecord(), "text"),
        (MetricRecord(), True),
        (MetricRecord(), [1, 2.0]),
        (ConfigRecord(), None),
        (RecordDict(), 1),
    ):
        with pytest.raises(TypeError):
            record["key"] = value
        with pytest.raises(TypeError):
            record[1] = value


def test_numbers_of_numpy_are_numbers() -> None:
    """What NumPy calls a float is one, alone or in a list."""
    numbers = np.array([1.5, 2.5])
    record = MetricRecord({"min": numbers.min(), "range": [numbers.min(), numbers.max()]})
    assert record == {"min": 1.5, "range": [1.5, 2.5]}
    assert [type(number) for number in record["range"]] == [float, float]


def test_views_write_through() -> None:
    """The view of one kind of records is live: what is set or deleted in it is in the content."""
    content = RecordDict({"a": ArrayRecord(), "m": MetricRecord({"x": 1})})
    assert list(content.array_records) == ["a"]
    content.metric_records["n"] = MetricRecord({"y": 2})
    del content.metric_records["m"]
    assert list(content) == ["a", "n"]
    with pytest.raises(TypeError):
        content.metric_records["c"] = ConfigRecord()


def test_another_kind_of_record_is_warned_of() -> None:
    """A record may be replaced by one of another kind, with a warning; one of Umbel's own is of the same kind."""
    content = RecordDict({"a": ArrayRecord()})
    content["a"] = core_record.ArrayRecord()
    with pytest.warns(UserWarning, match="to MetricRecord"):
        content["a"] = MetricRecord()


def test_older_names_work() -> None:
    """RecordSet, its keywords and views, and the records' older names."""
    content = RecordSet(
        parameters_records={"p": ParametersRecord([np.zeros(1)])},
        metrics_records={"m": MetricsRecord({"x": 1})},
        configs_records={"c": ConfigsRecord({"y": "z"})},
    )
    assert list(content.parameters_records) == ["p"]
    assert content.metrics_records["m"]["x"] == 1
    assert content.configs_records["c"] == {"y": "z"}
    assert content == RecordDict({key: content[key] for key in ("p", "m", "c")})
