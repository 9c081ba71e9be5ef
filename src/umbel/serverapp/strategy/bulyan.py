"""Bulyan: a robust choice of models, then a robust mean of each coordinate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.elements import Floats
from umbel.app.recorddict import RecordDict
from umbel.serverapp.reduction import Reply
from umbel.serverapp.strategy.coordinates import by_coordinate
from umbel.serverapp.strategy.distances import krum_order, squared_distances
from umbel.serverapp.strategy.median import middle
from umbel.serverapp.strategy.resilient import Resilient

SelectionRule = Callable[[list[RecordDict], int, int], list[RecordDict]]


@dataclass(eq=False)
class Bulyan(Resilient):
    """Bulyan (El Mhamdi et al. 2018, "The Hidden Vulnerability of Distributed Learning in Byzantium", arXiv 1802.07927).

    Of n replies up to f may be malicious, n ≥ 4f + 3; so many are asked. First θ = n - 2f models are selected, one after another,
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
        """See `Resilient.combine`."""
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
