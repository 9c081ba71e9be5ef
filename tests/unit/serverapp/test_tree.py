"""The summation tree: one shape for any division of the work."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.serverapp.aggregation.weighted_sum import SumTree, subtree


def parenthesised(left: str, right: str) -> str:
    """Shows which sum was made of what."""
    return f"({left}{right})"


def shape(leaves: dict[int, str | None]) -> str | None:
    """The sum of leaves put in the given order."""
    tree: SumTree[str] = SumTree(parenthesised)
    for index, leaf in leaves.items():
        tree.put(0, index, leaf)
    return tree.result()


@pytest.mark.parametrize(
    ("leaves", "expected"),
    [
        ("", None),
        ("a", "a"),
        ("ab", "(ab)"),
        ("abc", "((ab)c)"),
        ("abcd", "((ab)(cd))"),
        ("abcde", "(((ab)(cd))e)"),
        ("abcdefg", "(((ab)(cd))((ef)g))"),
        ("a.cd", "(a(cd))"),
        ("a..d.fgh", "((ad)(f(gh)))"),
        ("....", None),
        ("...d", "d"),
    ],
)
@pytest.mark.parametrize("told", [True, False], ids=["None for the missing", "nothing for the missing"])
def test_the_shape(leaves: str, expected: str | None, told: bool) -> None:
    """An inner node sums its two halves, and a missing leaf (a dot) is left out, whether or not it is passed to the tree."""
    named = {index: None if leaf == "." else leaf for index, leaf in enumerate(leaves)}
    assert shape(named if told else {index: leaf for index, leaf in named.items() if leaf is not None}) == expected


@given(st.lists(st.sampled_from([*"abcdefgh", None]), max_size=40), st.data())
def test_the_order_does_not_matter(leaves: list[str | None], data: st.DataObject) -> None:
    """Whatever leaf comes first, the same sums are made; and those of a process that sums whole subtrees are the same."""
    expected = shape(dict(enumerate(leaves)))
    order = data.draw(st.permutations(range(len(leaves))))
    assert shape({index: leaves[index] for index in order}) == expected
    units, index = [], 0
    while index < len(leaves):
        level = subtree(index, len(leaves) - index, data.draw(st.integers(0, 5)))
        units.append(
            (level, index >> level, shape({leaf: leaves[leaf] for leaf in range(index, index + (1 << level))}))
        )
        index += 1 << level
    tree: SumTree[str] = SumTree(parenthesised)
    for unit in data.draw(st.permutations(units)):
        tree.put(*unit)
    assert tree.result() == expected


def test_in_order_it_holds_few_sums() -> None:
    """Of 10,000 leaves in order never more than log2(n) + 1 partial sums are held, every third leaf missing."""
    tree: SumTree[int] = SumTree(int.__add__)
    most = 0
    for index in range(10_000):
        tree.put(0, index, None if index % 3 == 0 else 1)
        most = max(most, len(tree._pending))
    assert most <= 14
    assert tree.result() == 6666
    assert tree.result() is None


@pytest.mark.parametrize(
    ("index", "remaining", "largest", "level"),
    [
        (0, 10, 5, 3),
        (0, 10, 2, 2),
        (4, 100, 5, 2),
        (6, 100, 5, 1),
        (8, 1, 5, 0),
        (7, 9, 5, 0),
        (0, 8, 5, 3),
        (0, 1, 0, 0),
    ],
)
def test_the_largest_subtree(index: int, remaining: int, largest: int, level: int) -> None:
    """It begins at the index, ends within what remains, and is no larger than allowed."""
    assert subtree(index, remaining, largest) == level
