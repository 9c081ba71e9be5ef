"""The summation tree: why the same round gives the same bits however its work was divided.

Floating-point addition depends on the order of its operands. So replies are summed along a binary tree over their dispatch index:
leaf i is the i-th message's reply, an inner node (level, position) the sum of its children (level - 1, 2·position) and
(level - 1, 2·position + 1), and a missing leaf is left out. The shape depends on the indices alone: not on who
answered first, nor on which process summed which subtree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

P = TypeVar("P")


class SumTree(Generic[P]):
    """Sums partial results along the tree, each as soon as its sibling is there.

    Fed in index order it holds at most log2(n) + 1 partial sums. A leaf is put at most once, alone or inside a subtree;
    None stands for one that is missing, and lets its sibling's sum move on at once.
    """

    def __init__(self, add: Callable[[P, P], P]) -> None:
        """`add(left, right)` gives their sum and may reuse the memory of either."""
        self._add = add
        self._pending: dict[tuple[int, int], P | None] = {}

    def put(self, level: int, position: int, partial: P | None) -> None:
        """The sum of leaves [position·2^level, (position + 1)·2^level) is `partial`."""
        while (level, position ^ 1) in self._pending:
            sibling = self._pending.pop((level, position ^ 1))
            partial = self._sum(sibling, partial) if position & 1 else self._sum(partial, sibling)
            level, position = level + 1, position >> 1
        self._pending[level, position] = partial

    def _sum(self, left: P | None, right: P | None) -> P | None:
        if left is None or right is None:
            return right if left is None else left
        return self._add(left, right)

    def parts(self) -> list[tuple[int, int, P | None]]:
        """The sums there are, as (level, position, sum): what another tree needs to be put to go on from here. Empties the tree."""
        parts = [(level, position, partial) for (level, position), partial in self._pending.items()]
        self._pending.clear()
        return parts

    def result(self) -> P | None:
        """The sum of all leaves, None when all are missing. What was never put is missing. Empties the tree."""
        while len(self._pending) > 1:
            level, position = min(self._pending)
            self.put(level + 1, position >> 1, self._pending.pop((level, position)))  # its sibling is missing
        _, total = self._pending.popitem() if self._pending else (None, None)
        return total


def subtree(index: int, remaining: int, largest: int) -> int:
    """Level of the largest subtree that begins at leaf `index`, has at most `remaining` leaves and at most 2^`largest`."""
    aligned = (index & -index).bit_length() - 1 if index else largest
    return min(aligned, remaining.bit_length() - 1, largest)
