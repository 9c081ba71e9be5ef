"""Who masks with whom: a random graph in which all nodes have equally many neighbours (Bell et al. 2020, ePrint 2020/704, section 3.4)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence


def neighbourhoods(nodes: Sequence[int], size: int) -> dict[int, list[int]]:
    """For each node, itself and its neighbours, in ascending order: `size` nodes, or one more where an even number of neighbours takes it.

    The nodes are put on a circle in random order, and each is joined to those next to it, equally many on both sides. Nodes are
    neighbours mutually. When there are not enough, all are neighbours of all.
    """
    reach = size // 2
    count = len(nodes)
    if 2 * reach + 1 >= count:
        everyone = sorted(nodes)
        return dict.fromkeys(nodes, everyone)
    circle = list(nodes)
    secrets.SystemRandom().shuffle(circle)  # who is next to whom must be no choice of anybody's
    steps = range(-reach, reach + 1)
    return {node: sorted(circle[(place + step) % count] for step in steps) for place, node in enumerate(circle)}
