"""The coordinate-wise median."""

from __future__ import annotations

import statistics
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.clients import answer, asked, bits, failure, model, reply
from tests.support.fake_grid import FakeGrid
from umbel.app import Array, ArrayRecord, Message, MetricRecord, RecordDict
from umbel.app.array import float32_to_bfloat16
from umbel.errors import InconsistentReplies
from umbel.serverapp.strategy import FedMedian
from umbel.serverapp.strategy.robust import coordinate_median


def median(*values: object, dtype: str = "float32") -> Array:
    """The median of tensors of these values."""
    return coordinate_median([ArrayRecord([np.array(value, dtype)]) for value in values])["0"]


def test_by_hand() -> None:
    """Each element by itself; of an even number the mean of the middle two; weights do not count."""
    assert median([1, 50, 3], [2, 10, 30], [900, 20, 1]).numpy().tolist() == [2, 20, 3]
    assert median([1.0], [2.0], [4.0], [9.0]).numpy().tolist() == [3]
    replies = [reply(1, model(1), num_examples=100), reply(2, model(5)), reply(3, model(6))]
    arrays, metrics = FedMedian().aggregate_train(1, replies)
    assert arrays == model(5)
    assert metrics == {}


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        ("int64", [[1, 1], [2, 2], [4, 5], [9, 9]], [3, 4]),
        ("uint8", [[255], [255]], [255]),
        ("float16", [[60000.0], [60000.0]], [60000.0]),
        ("float64", [[0.1], [0.3]], [0.2]),
        ("bool", [[True], [True], [False]], [True]),
        ("complex64", [[1 + 9j], [2 + 5j], [8 + 1j]], [2 + 5j]),
    ],
)
def test_each_type(dtype: str, values: list[object], expected: list[object]) -> None:
    """The median has the type of the models; whole numbers are rounded, complex numbers taken part by part."""
    result = median(*values, dtype=dtype)
    assert result.dtype == dtype
    assert result.numpy().tolist() == pytest.approx(expected)


def test_bfloat16_and_scalars() -> None:
    """bfloat16 is widened and rounded back; a 0-d tensor stays one; one without elements stays so."""
    patterns = [Array.from_storage("bfloat16", float32_to_bfloat16(np.array(v, np.float32))) for v in (1.0, 3.0, 2.0)]
    result = coordinate_median([ArrayRecord({"w": array}) for array in patterns])["w"]
    assert (result.dtype, result.shape, result.numpy().item()) == ("bfloat16", (), 2.0)
    assert median(np.zeros((2, 0))).shape == (2, 0)


@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), min_size=4, max_size=4), min_size=1, max_size=9), st.data())
def test_the_median_of_any_models(values: list[list[float]], data: st.DataObject) -> None:
    """It is Python's median of each column, for any order of the models."""
    order = data.draw(st.permutations(values))
    assert bits(ArrayRecord({"0": median(*order)})) == bits(ArrayRecord({"0": median(*values)}))
    expected = [statistics.median(column) for column in zip(*values, strict=True)]
    assert median(*values).numpy().tolist() == pytest.approx(expected)


def test_fewer_than_half_cannot_move_it_at_will() -> None:
    """Two of five clients send 10^30: the outcome stays among what the others sent."""
    replies = [reply(node, model(node)) for node in (1, 2, 3)] + [reply(node, model(1e30)) for node in (4, 5)]
    arrays, _ = FedMedian().aggregate_train(1, replies)
    assert arrays == model(3)


def test_what_does_not_fit_is_left_out() -> None:
    """Errors, NaN, other tensors: dropped and named as in FedAvg; without a usable reply the arrays stay."""
    replies = [failure(2), reply(3, model(float("nan"))), reply(4, model(1, 2)), reply(5, model(7)), reply(6, model(9))]
    strategy = FedMedian()
    arrays, _ = strategy.aggregate_train(1, replies)
    assert arrays == model(8)
    assert strategy.dropped.keys() == {3, 4}
    assert strategy.aggregate_train(1, [failure(1)]) == (None, None)
    with pytest.raises(InconsistentReplies, match="Node 3"):
        strategy.aggregate_train(1, replies[1:2])


def test_in_rounds() -> None:
    """The grid hands over the replies, not a sum; custom metrics get contents without arrays, as in FedAvg."""

    def count(contents: list[RecordDict], weighted_by_key: str) -> MetricRecord:
        return MetricRecord({"arrays": sum(len(content.array_records) for content in contents)})

    grid = FakeGrid(answer, [2, 3, 4])
    result = FedMedian(train_metrics_aggr_fn=count).start(grid, model(0), num_rounds=1)
    assert grid.reduced == 0
    assert result.arrays == model(3)
    assert result.train_metrics_clientapp == {1: {"arrays": 0}}


def test_the_memory_it_needs() -> None:
    """Beside the models it needs one model and blocks of a few megabytes."""
    size = 2_000_000
    replies = [
        Message(
            RecordDict({"a": ArrayRecord([np.full(size, node, np.float32)]), "m": MetricRecord({"num-examples": 1})}),
            reply_to=asked(node),
        )
        for node in range(8)
    ]
    strategy = FedMedian()
    tracemalloc.start()
    strategy.aggregate_train(1, replies)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * size + 10_000_000


def test_the_largest_floats() -> None:
    """The mean of the middle two does not overflow, though their sum would."""
    assert median([3e38], [3e38]).numpy().tolist() == [np.float32(3e38)]
