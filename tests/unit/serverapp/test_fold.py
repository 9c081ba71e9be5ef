"""Replies folded into one sum: worked examples, and what must hold for any replies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.support.clients import asked, bits, failure, model, reply
from umbel.app import Array, ArrayRecord, ConfigRecord, Message, RecordDict
from umbel.app.array import float32_to_bfloat16
from umbel.serverapp.aggregation.reduction import Fold, Reduced, Reduction, WeightedMean, fold, from_spec
from umbel.serverapp.aggregation.weighted_sum import subtree

MEAN = WeightedMean()


def mean(*replies: Message) -> ArrayRecord:
    """The weighted mean of the replies."""
    reduced = fold(MEAN, replies)
    assert reduced.sum is not None
    return reduced.sum.mean()


def weighted(values: NDArray[np.generic] | Array, weight: float, node_id: int = 1) -> Message:
    """The reply of a node with one tensor, "w"."""
    return reply(
        node_id, ArrayRecord({"w": values if isinstance(values, Array) else Array(values)}), num_examples=weight
    )


def test_by_hand() -> None:
    """(1·[1, 2] + 3·[3, 6]) / 4 = [2.5, 5]."""
    assert mean(reply(1, model(1, 2)), reply(2, model(3, 6), num_examples=3)) == model(2.5, 5)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_keep_their_type(dtype: str) -> None:
    """The mean of floats is of their type; float16 is summed in 32 bits, beyond its own largest number."""
    result = mean(weighted(np.array([57344, 1], dtype), 2), weighted(np.array([32768, 4], dtype), 1))
    assert result["w"].dtype == dtype
    assert result["w"].numpy().tolist() == [49152, 2]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
def test_whole_numbers_are_rounded(dtype: str) -> None:
    """To the nearest, halves to even, in their own type."""
    result = mean(weighted(np.array([1, 2, 3, 7], dtype), 1), weighted(np.array([2, 2, 4, 8], dtype), 1))
    assert result["w"].dtype == dtype
    assert result["w"].numpy().tolist() == [2, 2, 4, 8]


def test_truth_values_are_voted_on() -> None:
    """The mean of booleans is what most of the weight says."""
    votes = mean(weighted(np.array([True, False, True]), 2), weighted(np.array([False, False, True]), 1))
    assert votes["w"].numpy().tolist() == [True, False, True]


def test_complex_numbers() -> None:
    """Both parts are averaged."""
    result = mean(weighted(np.array([[2 + 4j]], np.complex64), 1), weighted(np.array([[4 + 0j]], np.complex64), 1))
    assert result["w"].dtype == "complex64"
    assert result["w"].numpy().tolist() == [[3 + 2j]]


def test_bfloat16() -> None:
    """Widened, averaged in 32 bits, rounded back."""
    one, two = (
        Array.from_storage("bfloat16", float32_to_bfloat16(np.array(v, np.float32))) for v in ([1.0, 3.0], [2.0, 5.0])
    )
    result = mean(weighted(one, 1), weighted(two, 1))
    assert result["w"].dtype == "bfloat16"
    assert result["w"].numpy().tolist() == [1.5, 4.0]


def test_scalars_empty_tensors_and_empty_records() -> None:
    """A 0-d tensor stays 0-d, one without elements stays so, and records without tensors average to one without tensors."""
    result = mean(weighted(np.array(1.0), 1), weighted(np.array(2.0), 1))
    assert (result["w"].shape, result["w"].numpy().item()) == ((), 1.5)
    assert mean(weighted(np.zeros((0, 3), np.float32), 1))["w"].shape == (0, 3)
    assert mean(reply(1, ArrayRecord()), reply(2, ArrayRecord())) == {}


def test_views_are_summed_as_they_look() -> None:
    """A transposed or reversed array counts by its elements, not by how they lie in memory."""
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    result = mean(weighted(values.T, 1), weighted(np.ascontiguousarray(values.T)[::-1][::-1], 1))
    assert result["w"].numpy().tolist() == values.T.tolist()


def test_many_elements() -> None:
    """More elements than one block holds."""
    values = np.arange(100_000, dtype=np.float32)
    assert (mean(weighted(values, 3), weighted(values, 5))["w"].numpy() == values).all()
    last = values.copy()
    last[-1] = np.inf
    assert fold(MEAN, [weighted(last, 1)]).sum is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_what_is_not_finite_is_dropped(bad: float, dtype: str) -> None:
    """A reply with NaN or infinity does not spoil the sum; it is named with its tensor."""
    reduced = fold(MEAN, [weighted(np.array([1, bad], dtype), 1, node_id=7), weighted(np.array([1, 2], dtype), 1)])
    assert reduced.sum is not None
    assert reduced.sum.count == 1
    (dropped,) = reduced.failures()
    assert dropped.node_id == 7
    assert dropped.error is not None
    assert dropped.error.code == 20
    assert "Array 'w' contains NaN or infinity" in (dropped.error.reason or "")


def test_a_finite_model_whose_sum_overflows_is_dropped() -> None:
    """A model that its weight takes beyond the largest float is dropped, without a warning from NumPy."""
    assert fold(MEAN, [weighted(np.array([3e38, 3e38], np.float32), 100)]).sum is None


def test_infinity_with_weight_0_is_dropped() -> None:
    """0 · infinity is no number."""
    assert fold(MEAN, [weighted(np.array([np.inf]), 0)]).sum is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RecordDict(), "exactly one ArrayRecord, but this one contains 0"),
        (RecordDict({"a": model(1), "b": model(1)}), "exactly one ArrayRecord, but this one contains 2"),
        (RecordDict({"a": model(1)}), "exactly one MetricRecord, but this one contains 0"),
        (RecordDict({"a": model(1), "c": ConfigRecord({"num-examples": 1})}), "exactly one MetricRecord"),
    ],
)
def test_records_that_are_missing(content: RecordDict, reason: str) -> None:
    """A reply must hold one ArrayRecord and one MetricRecord."""
    (dropped,) = fold(MEAN, [Message(content, reply_to=asked(1))]).failures()
    assert reason in str(dropped.error)


def test_a_weight_that_is_missing_or_a_list() -> None:
    """The weight must be one number."""
    for key, extra in (("size", {}), ("curve", {"curve": [1.0]})):
        (dropped,) = fold(WeightedMean(key), [reply(1, model(1), **extra)]).failures()
        assert "Its MetricRecord lacks the weight" in str(dropped.error)


def test_the_tensors_that_most_have() -> None:
    """Three replies of one form and one of another: the majority is averaged, the other named with what differs."""
    replies = [reply(1, model(9, 9)), *(reply(node, model(node)) for node in (2, 3, 4))]
    reduced = fold(MEAN, replies)
    assert reduced.sum is not None
    assert reduced.sum.mean() == model(3)
    (dropped,) = reduced.failures()
    assert dropped.node_id == 1
    assert "it has '0' of type float32 and shape (2,)" in str(dropped.error)


def test_of_two_equally_frequent_forms_the_first_counts() -> None:
    """By dispatch order, not by arrival."""
    replies = [reply(1, model(1)), reply(2, model(2, 2)), reply(3, model(3, 3)), reply(4, model(4))]
    late = Fold(MEAN)
    for index in (2, 1, 3, 0):
        late.add(index, replies[index])
    for reduced in (late.result(), fold(MEAN, replies)):
        assert reduced.sum is not None
        assert reduced.sum.mean() == model(2.5)


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (["a"], "it lacks 'b'"),
        (["a", "b", "c"], "it has 'c'"),
        (["b", "a"], "they are in a different order"),
        ([], "it lacks 'a'"),
    ],
)
def test_how_forms_differ(other: list[str], text: str) -> None:
    """A tensor too few, one too many, or another order."""
    forms = [["a", "b"], ["a", "b"], other]
    replies = [
        reply(node, ArrayRecord({name: Array(np.ones(2)) for name in names})) for node, names in enumerate(forms)
    ]
    assert text in str(fold(MEAN, replies).failures()[0].error)


def test_what_is_kept_of_a_reply() -> None:
    """Its content without the arrays, which are in the sum; errors and drops in their places; all in dispatch order."""
    replies = [reply(1, model(1), loss=0.5), failure(2), reply(3), reply(4, model(3))]
    reduced = fold(MEAN, replies)
    assert [kept.node_id for kept in reduced.replies] == [1, 2, 3, 4]
    assert reduced.contents() == [
        {"metrics": {"num-examples": 1, "loss": 0.5}},
        {"metrics": {"num-examples": 1}},
    ]
    assert [kept.error and kept.error.code for kept in reduced.replies] == [None, 2, 20, None]
    assert "arrays" in replies[0].content, "the reply itself is not changed"


def test_no_usable_reply() -> None:
    """No replies, or none without an error: no sum."""
    assert fold(MEAN, []) == Reduced(None, [])
    assert fold(MEAN, [failure(1), failure(2)]).sum is None


def test_a_reduction_is_found_by_its_name() -> None:
    """What goes to another process is a name and plain values; a name of something else is refused."""
    reduction = WeightedMean("size")
    assert from_spec(*reduction.spec()) == reduction
    with pytest.raises(TypeError, match="is not a Reduction"):
        from_spec("os:path", {})
    with pytest.raises(TypeError, match="is not a Reduction"):
        from_spec("subprocess:Popen", {"args": ["true"]})
    with pytest.raises(TypeError):
        from_spec(f"{Reduction.__module__}:Reduction", {})


# What must hold for any replies. A float is drawn as an eighth of a whole number, so that sums are exact.

eighths = st.integers(-8000, 8000).map(lambda number: number / 8)
models = st.lists(eighths, min_size=3, max_size=3).map(lambda values: model(*values))
replies_of = st.lists(
    st.one_of(
        st.builds(lambda arrays, weight: reply(1, arrays, num_examples=weight), models, st.integers(1, 50)),
        st.builds(lambda weight: reply(1, model(0.1, 0.7, 1e-3), num_examples=weight), st.floats(0, 10)),
        st.just(failure(1)),
        st.just(reply(1, model(float("nan"), 0, 0))),
        st.just(reply(1, model(1, 2))),
    ),
    max_size=20,
)


def outcome(reduced: Reduced) -> tuple[object, ...]:
    """The sum to the last bit, and what became of each reply."""
    total = reduced.sum
    sums = None if total is None else (total.buffer.tobytes(), total.weight, total.count, total.schema)
    return sums, [(kept.content, kept.error) for kept in reduced.replies]


@given(replies_of, st.data())
def test_the_same_bits_whoever_folds(replies: list[Message], data: st.DataObject) -> None:
    """In any order of arrival, and divided among processes in any way along the tree: the same bits, the same drops."""
    expected = outcome(fold(MEAN, replies))
    shuffled = Fold(MEAN)
    for index in data.draw(st.permutations(range(len(replies)))):
        shuffled.add(index, replies[index])
    assert outcome(shuffled.result()) == expected
    units, index = [], 0
    while index < len(replies):
        level = subtree(index, len(replies) - index, data.draw(st.integers(0, 4)))
        worker = Fold(MEAN)
        for leaf in range(index, index + (1 << level)):
            worker.add(leaf, replies[leaf])
        units.append(worker.parts())
        index += 1 << level
    whole = Fold(MEAN)
    for unit in data.draw(st.permutations(units)):
        whole.merge(*unit)
    assert outcome(whole.result()) == expected


@given(st.lists(st.tuples(models, st.integers(1, 50)), min_size=1, max_size=8), st.data())
def test_dispatch_order_changes_nothing_but_rounding(pairs: list[tuple[ArrayRecord, int]], data: st.DataObject) -> None:
    """Where the sums are exact, the mean is the same for any order of the replies; so is it with silent nodes between."""
    replies = [reply(1, arrays, num_examples=weight) for arrays, weight in pairs]
    expected = bits(mean(*replies))
    shuffled = data.draw(st.permutations(replies))
    gaps = data.draw(st.integers(0, 5))
    assert bits(mean(*[failure(1)] * gaps, *shuffled)) == expected


@given(models, st.lists(st.integers(1, 64), min_size=1, max_size=8))
def test_the_mean_of_one_model(arrays: ArrayRecord, weights: list[int]) -> None:
    """However often and with whatever weights the same model comes, the mean is that model."""
    assert mean(*(reply(1, arrays, num_examples=weight) for weight in weights)) == arrays


@given(st.lists(st.tuples(models, st.integers(1, 50)), min_size=1, max_size=8), st.sampled_from([2, 4, 0.5]))
def test_the_scale_of_the_weights(pairs: list[tuple[ArrayRecord, int]], scale: float) -> None:
    """All weights times a power of two: the same bits."""
    plain = mean(*(reply(1, arrays, num_examples=weight) for arrays, weight in pairs))
    scaled = mean(*(reply(1, arrays, num_examples=weight * scale) for arrays, weight in pairs))
    assert bits(plain) == bits(scaled)
