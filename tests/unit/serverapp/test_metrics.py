"""The weighted mean of metrics."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.app import MetricRecord, RecordDict
from umbel.app.records import MetricValue
from umbel.errors import AggregationFailed
from umbel.serverapp.aggregation.metrics import mismatched_metrics, weighted_mean


def contents(*metrics: dict[str, MetricValue]) -> list[RecordDict]:
    """One content with one MetricRecord each."""
    return [RecordDict({"metrics": MetricRecord(each)}) for each in metrics]


def test_by_hand() -> None:
    """(1·10 + 3·20) / 4; lists element by element; a metric over those that have it; the weight is not reported."""
    mean = weighted_mean(
        contents({"n": 1, "loss": 10, "curve": [1, 2]}, {"n": 3, "loss": 20, "curve": [5, 6], "extra": 7.0}), "n"
    )
    assert mean == {"loss": 17.5, "curve": [4.0, 5.0], "extra": 7.0}
    assert list(mean) == ["loss", "curve", "extra"]


def test_nothing_to_average() -> None:
    """No contents, or none with a metric besides the weight: no metrics."""
    assert weighted_mean([], "n") == {}
    assert weighted_mean(contents({"n": 2}), "n") == {}


def test_a_metric_that_only_clients_without_examples_have_is_left_out() -> None:
    """It has no mean; the others have."""
    assert weighted_mean(contents({"n": 0, "a": 1, "b": 9}, {"n": 2, "b": 1}), "n") == {"b": 1.0}


def test_weights_that_sum_to_0() -> None:
    """There is no mean at all."""
    with pytest.raises(AggregationFailed, match="'n' of all 2 replies sum to 0"):
        weighted_mean(contents({"n": 0, "a": 1}, {"n": 0, "a": 2}), "n")


def test_nan_and_infinity_are_told() -> None:
    """A client whose metric is not a number makes the mean not a number; it moves no other metric."""
    mean = weighted_mean(
        contents(
            {"n": 1, "a": math.nan, "b": math.inf, "c": -math.inf, "d": 1},
            {"n": 1, "a": 1, "b": 1, "c": math.inf, "d": 2},
        ),
        "n",
    )
    assert math.isnan(float(mean["a"]))  # type: ignore[arg-type]
    assert mean["b"] == math.inf
    assert math.isnan(float(mean["c"]))  # type: ignore[arg-type]
    assert mean["d"] == 1.5


def test_lengths_that_differ() -> None:
    """The most frequent length counts, the first of equally frequent ones; a number is no list of one; who differs is named."""
    records = [
        MetricRecord({"n": 1, "a": [1.0, 2.0]}),
        MetricRecord({"n": 1, "a": [1.0]}),
        MetricRecord({"n": 1, "a": [3.0, 4.0]}),
        MetricRecord({"n": 1, "a": 5.0}),
        MetricRecord({"n": 1}),
    ]
    assert mismatched_metrics(records) == {
        1: "Its metric 'a' differs in length from that of the other replies.",
        3: "Its metric 'a' differs in length from that of the other replies.",
    }
    assert list(mismatched_metrics(records[:2])) == [1]
    assert mismatched_metrics(records[2:3]) == {}
    assert weighted_mean([RecordDict({"m": record}) for record in records], "n") == {"a": [2.0, 3.0]}


weights = st.integers(0, 1000)
values = st.floats(-1e6, 1e6)
replies = st.lists(
    st.builds(
        lambda n, loss, rest, curve: {"n": n, "loss": loss, "curve": curve, **rest},
        weights,
        values,
        st.dictionaries(st.sampled_from("xyz"), values, max_size=2),
        st.tuples(values, values).map(list),
    ),
    min_size=1,
    max_size=8,
).filter(lambda metrics: any(each["n"] for each in metrics))


@given(replies, st.randoms(use_true_random=False))
def test_the_order_does_not_matter(metrics: list[dict[str, MetricValue]], shuffle: random.Random) -> None:
    """The same bits in any order of the replies."""
    mean = weighted_mean(contents(*metrics), "n")
    shuffle.shuffle(metrics)
    assert weighted_mean(contents(*metrics), "n") == mean


@given(replies, st.sampled_from([2, 4, 0.5]))
def test_the_scale_of_the_weights_does_not_matter(metrics: list[dict[str, MetricValue]], scale: float) -> None:
    """All weights times a power of two: the same mean."""
    scaled = [{**each, "n": each["n"] * scale} for each in metrics]  # type: ignore[operator]
    assert weighted_mean(contents(*scaled), "n") == weighted_mean(contents(*metrics), "n")


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=8), st.integers(-1000, 1000))
def test_the_mean_of_equal_values(numbers: list[int], value: int) -> None:
    """However they are weighted, the mean of equal values is that value."""
    metrics: list[dict[str, MetricValue]] = [{"n": number, "a": value} for number in numbers]
    assert weighted_mean(contents(*metrics), "n") == {"a": value}
