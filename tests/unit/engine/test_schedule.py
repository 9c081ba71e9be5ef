"""Division of an exchange into units."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from umbel.engine.scheduling import UNIT_SECONDS, Work, unit_size


@given(
    count=st.integers(1, 300), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=20), largest=st.integers(0, 8)
)
def test_every_index_is_handed_out_once_in_whole_subtrees(count: int, sizes: list[int], largest: int) -> None:
    """Units are aligned ranges of 2^k indices, none larger than asked for, and together they are all indices."""
    work = Work([(0, count)], largest)
    seen: list[int] = []
    while work.remaining:
        size = sizes[len(seen) % len(sizes)]
        start, stop = work.take(size)
        length = stop - start
        assert length & (length - 1) == 0
        assert start % length == 0
        assert length <= min(size, 2**largest)
        seen += range(start, stop)
    assert seen == list(range(count))


def test_what_is_given_back_is_handed_out_again_first() -> None:
    """The indices of a worker that died are the next to be served, and only they are served twice."""
    work = Work([(0, 16)], 30)
    assert work.take(8) == (0, 8)
    work.give_back(0, 3)
    work.give_back(4, 8)
    units = []
    while work.remaining:
        units.append(work.take(16))
    assert units == [(0, 2), (2, 3), (4, 8), (8, 16)]


def test_units_are_as_long_as_they_should_be() -> None:
    """A unit lasts about UNIT_SECONDS, but leaves units for every worker; one client while nothing is known."""
    assert unit_size(1000, 2, None) == 1
    assert unit_size(100_000, 2, UNIT_SECONDS / 100) == 100
    assert unit_size(60, 2, UNIT_SECONDS / 20) == 10
    assert unit_size(60, 2, UNIT_SECONDS / 1000) == 80
    assert unit_size(60, 2, 10 * UNIT_SECONDS) == 0
