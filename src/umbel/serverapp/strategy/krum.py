"""Krum, Multi-Krum and Bulyan: selection of replies by their distances."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.app.records import Floats
from umbel.serverapp.aggregation.reduction import Reply, weight_of
from umbel.serverapp.aggregation.replies import mean_of
from umbel.serverapp.strategy.robust import ByzantineRobust, by_coordinate, check_count, float_blocks, middle


def squared_distances(models: Sequence[ArrayRecord]) -> NDArray[np.float64]:
    """The squared Euclidean distance of each two models, which share one schema; of shape [models, models].

    That of two models does not depend on the others, nor on their order. It takes time in the square of the number of models.
    """
    distances = np.zeros((len(models), len(models)))
    with np.errstate(over="ignore"):  # further than a float can tell is far enough
        for block in float_blocks(models):
            values = block.astype(np.float64, copy=False)
            for row in range(1, len(models)):
                apart = values[:row] - values[row]
                distances[row, :row] += np.square(apart, out=apart).sum(axis=1)
    return distances + distances.T


def krum_order(distances: NDArray[np.float64], malicious: int, node_ids: Sequence[int]) -> list[int]:
    """The indices of the models from Krum's lowest score to its highest; of equal scores the lower node id comes first.

    The score of one of n models is the sum of its squared distances to its n - `malicious` - 2 nearest others, at least one.
    """
    nearest = max(1, len(distances) - malicious - 2)
    ascending = np.sort(distances, axis=1)[:, 1 : 1 + nearest]  # without itself
    scores = ascending.sum(axis=1)
    return sorted(range(len(scores)), key=lambda index: (scores[index], node_ids[index]))


@dataclass(eq=False)
class Krum(ByzantineRobust):
    """Krum (Blanchard et al. 2017, "Machine Learning with Adversaries", arXiv 1703.02757).

    Of n replies up to f may be malicious. The score of a model is the sum of its squared distances to its n - f - 2 nearest others,

        s(i) = Σ_{j near i} ‖w_i - w_j‖²

    and the new arrays are the model with the lowest score, as it is (of equal scores that of the lowest node id). The paper's guarantee
    holds for n ≥ 2f + 3, so that many are asked when f is above 0: the outcome is a model that a majority is near to. It rests on
    honest clients that resemble each other. Where their data differ much, it takes a typical client's model and never
    learns the rare data; and an attacker who stays within the honest spread is not seen (see Bulyan).

    It takes time in the square of the number of replies.
    """

    @property
    def replies_needed(self) -> int:
        """2f + 3; without malicious clients, 1."""
        return 2 * self.num_malicious_nodes + 3 if self.num_malicious_nodes else 1

    def combine(self, arrays: Sequence[ArrayRecord], usable: Sequence[Reply]) -> ArrayRecord:
        """The new arrays, from those of at least `replies_needed` replies. Raises ValueError when they have no mean."""
        best = krum_order(squared_distances(arrays), self.num_malicious_nodes, [reply.node_id for reply in usable])
        selected = sorted(best[: self._survivors()])
        contents = [usable[index].content for index in selected]
        weights = [weight_of(content, self.weighted_by_key) for content in contents if content is not None]
        return mean_of([arrays[index] for index in selected], weights)

    def _survivors(self) -> int:
        return 1


@dataclass(eq=False)
class MultiKrum(Krum):
    """Multi-Krum (Blanchard et al. 2017, arXiv 1703.02757): the weighted mean of the m models with Krum's lowest scores.

    m = 1 is Krum; a larger m learns from more of the honest clients at each round. With m above n - f malicious models must be
    among those selected, and already below it one that is near enough may be; the clients' weights are as they claim them, so that
    such a one may count for much. Otherwise as `Krum`.
    """

    num_nodes_to_select: int = 1
    """m, 1 or more; of fewer replies all are selected."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        check_count(self, "num_nodes_to_select", 1)

    def _survivors(self) -> int:
        return self.num_nodes_to_select


SelectionRule = Callable[[list[RecordDict], int, int], list[RecordDict]]


@dataclass(eq=False)
class Bulyan(ByzantineRobust):
    """Bulyan (El Mhamdi et al. 2018, "The Hidden Vulnerability of Distributed Learning in Byzantium", arXiv 1802.07927).

    Of n replies up to f may be malicious, n ≥ 4f + 3; that many nodes are asked. First θ = n - 2f models are selected, one after another,
    each the one that Krum finds among those left. Then each element of the new arrays is the mean of those β = θ - 2f of
    the θ values that are closest to their median, unweighted.

    Krum looks at whole models, so that one enormous lie in a single element can hide among a million others. The second
    step leaves it nowhere to hide: a value is kept only when it is as close to the median as some honest one, so no element moves out of the
    honest clients' range by more than that range is wide. The price is the many replies, and that honest clients with
    rare data are left out as in Krum, whose assumptions it shares.

    It takes time in the square of the number of replies.
    """

    selection_rule: SelectionRule | None = None
    """`(contents, f, θ) -> contents`: selects θ of the usable replies' contents instead of Krum."""

    @property
    def replies_needed(self) -> int:
        """4f + 3."""
        return 4 * self.num_malicious_nodes + 3

    def combine(self, arrays: Sequence[ArrayRecord], usable: Sequence[Reply]) -> ArrayRecord:
        """The new arrays, from those of at least `replies_needed` replies. Raises ValueError when they have no mean."""
        theta = len(arrays) - 2 * self.num_malicious_nodes
        beta = theta - 2 * self.num_malicious_nodes
        selected = self._selected(arrays, usable, theta)
        return by_coordinate(selected, lambda values: mean_around_median(values, beta))

    def _selected(self, arrays: Sequence[ArrayRecord], usable: Sequence[Reply], theta: int) -> list[ArrayRecord]:
        if self.selection_rule is not None:
            contents = [_whole(reply, model) for reply, model in zip(usable, arrays, strict=True)]
            chosen = self.selection_rule(contents, self.num_malicious_nodes, theta)
            return [next(iter(content.array_records.values())) for content in chosen]
        node_ids = [reply.node_id for reply in usable]
        distances = squared_distances(arrays)
        left = list(range(len(arrays)))
        selected = []
        for _ in range(theta):
            among = distances[np.ix_(left, left)]
            best = krum_order(among, self.num_malicious_nodes, [node_ids[index] for index in left])[0]
            selected.append(arrays[left.pop(best)])
        return selected


def _whole(reply: Reply, model: ArrayRecord) -> RecordDict:
    return RecordDict({**(reply.content or {}), "arrays": model})


def mean_around_median(values: Floats, count: int) -> Floats:
    """The mean of those `count` values of each column that are closest to its median. Sorts `values`, of shape [rows, columns].

    Of two values equally close the lower one counts as closer. The mean is between the least and the largest that it is made of,
    whatever the rounding.
    """
    values.sort(axis=0)
    away = np.abs(values - middle(values))
    closest = np.argsort(away, axis=0, kind="stable")[:count]
    kept = np.take_along_axis(values, closest, axis=0)
    return np.asarray(
        np.clip(kept.mean(axis=0), kept.min(axis=0), kept.max(axis=0)) + 0.0
    )  # no -0: whether it comes first is chance
