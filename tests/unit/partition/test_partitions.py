"""The list of partitions itself."""

import time

import numpy as np
import pytest

from umbel.partition import Partitions, iid


def test_it_reads_like_a_list() -> None:
    """Indexing, negative indexing, slices and the end of the list are those of a list."""
    parts = Partitions(np.array([1, 0, 1, 2]), 4)
    assert [p.tolist() for p in parts] == [[1], [0, 2], [3], []]
    assert parts[-2].tolist() == [3]
    assert [p.tolist() for p in parts[1:3]] == [[0, 2], [3]]
    assert repr(parts) == "Partitions(4 of 0 to 2 samples)"
    with pytest.raises(IndexError):
        parts[4]


def test_a_partition_cannot_be_changed() -> None:
    """The arrays share one buffer, so they are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        iid(10, 2, seed=0)[0][0] = 5


def test_a_million_clients_cost_no_million_objects() -> None:
    """Dividing among a million clients and reading one takes well under a second and 16 bytes a client."""
    begun = time.perf_counter()
    parts = iid(2_000_000, 1_000_000, seed=0)
    assert len(parts[999_999]) == 2
    assert parts._order.nbytes + parts._bounds.nbytes < 25_000_000
    assert time.perf_counter() - begun < 5
