"""Parameters of SecAgg+ and its communication graph."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from umbel.errors import ConfigError


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


SECRECY_BITS = 40
COMPLETION_BITS = 30
_FEW = 50  # up to this number, all nodes can mask with each other at little cost


@dataclass(frozen=True)
class Parameters:
    """`num_shares` of each secret, one of them the owner's own, of which `threshold` give it back.

    There is no sum of fewer than `fewest` nodes, nor of fewer than `threshold`.
    """

    num_shares: int
    threshold: int
    fewest: int = 0

    def __post_init__(self) -> None:
        """Check them. Raises ConfigError."""
        if not 2 <= self.threshold <= self.num_shares < 2 * self.threshold:
            raise ConfigError(
                f"A threshold of {self.threshold} is not possible with {self.num_shares} shares.",
                hint="The threshold must be at least 2, more than half of the shares, and at most their number.",
            )


def derive(num_nodes: int, dropout: float, corruption: float) -> Parameters:
    """The smallest number of shares for this number of nodes, when shares `dropout` of them drop out and `corruption` of them help the server.

    Raises ConfigError when no parameters bear that much.
    """
    for name, share in (("dropout_tolerance", dropout), ("corruption_tolerance", corruption)):
        if not 0 <= share < 1:
            raise ConfigError(f"{name} must be in [0, 1), not {share}.")
    gone, corrupted = math.floor(num_nodes * dropout + 1e-9), math.floor(num_nodes * corruption + 1e-9)
    possible = 2 * (1 - dropout) > 1 + corruption + 1e-9 and num_nodes > _FEW
    for neighbours in range(2, num_nodes - 1, 2) if possible else ():
        threshold = _threshold(num_nodes, neighbours, gone, corrupted)
        if threshold is not None:
            return Parameters(
                neighbours + 1, threshold, num_nodes - gone
            )  # with fewer, what connects them is not certain
    return _complete(num_nodes, gone, corrupted)


def _complete(num_nodes: int, gone: int, corrupted: int) -> Parameters:
    threshold = max(2, (num_nodes + corrupted) // 2 + 1)
    if threshold > num_nodes - gone:
        raise ConfigError(
            f"{num_nodes} nodes cannot tolerate {gone} drop-outs and {corrupted} corrupted nodes: {threshold} must remain.",
            hint="Lower dropout_tolerance or corruption_tolerance of SecAggPlus, or use more nodes.",
        )
    return Parameters(num_nodes, threshold)


def _threshold(num_nodes: int, neighbours: int, gone: int, corrupted: int) -> int | None:
    """The lowest threshold at which all three conditions hold for this number of neighbours, None if there is none."""
    if _log2_run(num_nodes, gone + corrupted, neighbours // 2) > -SECRECY_BITS:
        return None
    margin = math.log2(num_nodes)
    most_corrupted = _quantile(
        lambda x: _log2_draws(num_nodes - 1, corrupted, neighbours, x), neighbours, SECRECY_BITS + margin
    )
    most_gone = _quantile(
        lambda x: _log2_draws(num_nodes - 1, gone, neighbours, x), neighbours, COMPLETION_BITS + margin
    )
    threshold = (neighbours + 1 + most_corrupted) // 2 + 1
    return threshold if threshold <= neighbours - most_gone else None


def _quantile(log2_probability: Callable[[int], float], most: int, bits: float) -> int:
    """The least x whose exceeding is less probable than 2^-bits; x counts from 0 to `most`."""
    exceeded = 0.0
    for x in range(most, 0, -1):
        exceeded += 2.0 ** log2_probability(x)
        if exceeded > 2.0**-bits:
            return x
    return 0


def _log2_draws(population: int, marked: int, draws: int, hits: int) -> float:
    """log2 of the probability that `draws` without replacement hit exactly this number of the marked ones."""
    return (
        _log2_choose(marked, hits) + _log2_choose(population - marked, draws - hits) - _log2_choose(population, draws)
    )


def _log2_run(num_nodes: int, marked: int, length: int) -> float:
    """log2 of a bound on the probability that somewhere on the circle `length` nodes in a row are marked."""
    return math.log2(num_nodes) + _log2_choose(num_nodes - length, marked - length) - _log2_choose(num_nodes, marked)


def _log2_choose(n: int, k: int) -> float:
    if not 0 <= k <= n:
        return -math.inf
    return (math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)) / math.log(2)
