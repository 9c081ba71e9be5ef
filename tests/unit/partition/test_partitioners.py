"""The promises that every partitioner keeps, and those of each one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.errors import PartitionInvalid
from umbel.partition import Partitions, by_id, dirichlet, dirichlet_equal, iid, quantity, shards

Divide = Callable[[np.ndarray, int, int], Partitions]
DIVISIONS: dict[str, Divide] = {
    "iid": lambda labels, num, seed: iid(len(labels), num, seed=seed),
    "quantity": lambda labels, num, seed: quantity(len(labels), num, alpha=0.3, seed=seed),
    "dirichlet": lambda labels, num, seed: dirichlet(labels, num, 0.1, seed=seed, min_size=2),
    "dirichlet_equal": lambda labels, num, seed: dirichlet_equal(labels, num, 0.05, seed=seed),
    "shards": lambda labels, num, seed: shards(labels, num, 2, seed=seed),
    "by_id": lambda labels, num, _: by_id(np.arange(len(labels)) % num),
}
LABELS = np.random.default_rng(0).integers(0, 10, 6_000)


@pytest.mark.parametrize("name", DIVISIONS)
@given(
    num_partitions=st.integers(1, 30),
    per_client=st.integers(2, 9),
    num_classes=st.integers(1, 8),
    seed=st.integers(0, 2**40),
)
def test_every_index_lands_in_exactly_one_partition(
    name: str, num_partitions: int, per_client: int, num_classes: int, seed: int
) -> None:
    """Whatever the sizes, the partitions are sorted int64 arrays that together hold each index once."""
    labels = np.random.default_rng(seed).integers(0, num_classes, num_partitions * per_client)
    parts = DIVISIONS[name](labels, num_partitions, seed)
    assert len(parts) == len(list(parts)) == num_partitions
    assert all(p.dtype == np.int64 and (np.diff(p) > 0).all() for p in parts)
    assert sorted(np.concatenate(list(parts))) == list(range(len(labels)))
    assert parts.sizes.tolist() == [len(p) for p in parts]
    assert parts.sizes.min() >= 1


@pytest.mark.parametrize("name", sorted(set(DIVISIONS) - {"by_id"}))
def test_the_seed_decides(name: str) -> None:
    """The same seed gives the same partitions, another seed gives others."""
    first, again, other = (DIVISIONS[name](LABELS, 20, seed) for seed in (7, 7, 8))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(first, other, strict=True))


@given(num_samples=st.integers(1, 500), num_partitions=st.integers(1, 40))
def test_iid_sizes_differ_by_at_most_one(num_samples: int, num_partitions: int) -> None:
    """IID clients are as equal in size as whole samples allow, or the division is refused."""
    if num_samples < num_partitions:
        with pytest.raises(PartitionInvalid, match="fewer partitions"):
            iid(num_samples, num_partitions, seed=0)
    else:
        sizes = iid(num_samples, num_partitions, seed=0).sizes
        assert sizes.max() - sizes.min() <= 1


def test_dirichlet_alpha_sets_the_skew() -> None:
    """A small alpha gives clients of one dominant class, a large one gives each client the mix of the whole."""
    skewed = [_largest_share(p) for p in dirichlet(LABELS, 20, 0.05, seed=1)]
    even = [_largest_share(p) for p in dirichlet(LABELS, 20, 1e4, seed=1)]
    assert np.median(skewed) > 0.6
    assert max(even) < 0.16


@given(min_size=st.integers(0, 100), alpha=st.floats(0.001, 100), seed=st.integers(0, 100))
def test_dirichlet_keeps_min_size(min_size: int, alpha: float, seed: int) -> None:
    """No client has fewer than `min_size` samples, even where the draw leaves most clients without any."""
    labels = LABELS[:1_000]
    assert dirichlet(labels, 10, alpha, seed=seed, min_size=min_size).sizes.min() >= min_size


def test_dirichlet_only_tops_up_those_that_need_it() -> None:
    """`min_size` leaves a client that is large enough, and gives nothing, as it was drawn."""
    drawn = dirichlet(LABELS, 20, 0.1, seed=3, min_size=0)
    filled = dirichlet(LABELS, 20, 0.1, seed=3, min_size=50)
    assert drawn.sizes.min() < 50
    for before, after in zip(drawn, filled, strict=True):
        if len(before) < 50:
            assert len(after) == 50
            assert set(before) <= set(after)
        else:
            assert set(after) <= set(before)


@given(num_partitions=st.integers(1, 60), alpha=st.floats(1e-4, 1e4), seed=st.integers(0, 100))
def test_dirichlet_equal_gives_equal_sizes(num_partitions: int, alpha: float, seed: int) -> None:
    """Hsu's clients differ in their mix and not in their size."""
    sizes = dirichlet_equal(LABELS[:300], num_partitions, alpha, seed=seed).sizes
    assert sizes.max() - sizes.min() <= 1


def test_dirichlet_equal_alpha_sets_the_skew() -> None:
    """A small alpha gives clients of mostly one class, a large one gives each client nearly the mix of the whole."""
    skewed = [_largest_share(p) for p in dirichlet_equal(LABELS, 20, 0.05, seed=1)]
    even = [_largest_share(p) for p in dirichlet_equal(LABELS, 20, 1e4, seed=1)]
    assert np.median(skewed) > 0.6
    assert np.median(even) < 0.2


def test_shards_are_runs_of_one_label() -> None:
    """With two shards a client and classes that fill whole shards, no client holds more than two classes."""
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(10), 600))
    parts = shards(labels, 100, 2, seed=5)
    classes = [len(np.unique(labels[p])) for p in parts]
    assert set(parts.sizes) == {60}
    assert max(classes) == 2
    assert min(classes) == 1


def test_shards_follow_the_order_of_the_labels() -> None:
    """One shard a client, seen in the order of the classes, is the sorted data cut into equal runs."""
    parts = shards([2, 0, 1, 0, 2, 1], 3, 1, seed=0)
    assert sorted(p.tolist() for p in parts) == [[0, 4], [1, 3], [2, 5]]


def test_quantity_takes_sizes_as_given() -> None:
    """Given sizes are kept, zero included, in their order."""
    assert quantity(10, 3, sizes=[7, 0, 3], seed=0).sizes.tolist() == [7, 0, 3]


def test_quantity_alpha_sets_the_skew() -> None:
    """A small alpha gives very unequal clients, a large one nearly equal ones, and none is empty."""
    skewed = quantity(10_000, 50, alpha=0.1, seed=2).sizes
    even = quantity(10_000, 50, alpha=1e5, seed=2).sizes
    assert skewed.max() > 1_000
    assert skewed.min() >= 1
    assert even.max() < 210


def test_by_id_follows_the_sorted_ids() -> None:
    """Natural clients come in the order of their names."""
    assert [p.tolist() for p in by_id(["rome", "oslo", "rome", "bern"])] == [[3], [1], [0, 2]]


@pytest.mark.parametrize(
    ("divide", "said"),
    [
        (lambda: iid(10, 0, seed=0), "Invalid `num_partitions`: 0"),
        (lambda: quantity(10, 3, seed=0), "either"),
        (lambda: quantity(10, 3, alpha=1.0, sizes=[10, 0, 0], seed=0), "either"),
        (lambda: quantity(10, 3, sizes=[5, 5, 5], seed=0), "sum to 10"),
        (lambda: quantity(10, 3, sizes=[11, -1, 0], seed=0), "non-negative sizes that sum to"),
        (lambda: quantity(10, 3, sizes=[5, 5], seed=0), "3 non-negative sizes"),
        (lambda: quantity(2, 3, alpha=1.0, seed=0), "samples are too few for"),
        (lambda: dirichlet(LABELS, 10, 0.0, seed=0), "greater than 0"),
        (lambda: dirichlet(LABELS, 10, float("nan"), seed=0), "greater than 0"),
        (lambda: dirichlet(LABELS[:50], 10, 1.0, seed=0, min_size=6), "at least 6"),
        (lambda: dirichlet(LABELS, 10, 1.0, seed=0, min_size=-1), "not be negative"),
        (lambda: dirichlet([], 10, 1.0, seed=0), "`labels`"),
        (lambda: dirichlet_equal(np.zeros((4, 4)), 2, 1.0, seed=0), "shape"),
        (lambda: shards(LABELS[:10], 6, 2, seed=0), "samples are too few for"),
        (lambda: shards(LABELS, 6, 0, seed=0), "Invalid `shards_per_partition`: 0"),
        (lambda: by_id([]), "`ids`"),
    ],
)
def test_what_cannot_be_divided_is_refused(divide: Callable[[], object], said: str) -> None:
    """Each bad argument gives a PartitionInvalid that names it and says what would do."""
    with pytest.raises(PartitionInvalid, match=said) as caught:
        divide()
    assert caught.value.hint


def _largest_share(part: np.ndarray) -> float:
    return float(np.bincount(LABELS[part]).max() / len(part))
