"""Krum: the one model that has the nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.serverapp.reduction import Reply, weight_of
from umbel.serverapp.strategy.distances import krum_order, squared_distances
from umbel.serverapp.strategy.mean import mean_of
from umbel.serverapp.strategy.resilient import Resilient


@dataclass(eq=False)
class Krum(Resilient):
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
        """See `Resilient.combine`."""
        best = krum_order(squared_distances(arrays), self.num_malicious_nodes, [reply.node_id for reply in usable])
        selected = sorted(best[: self._survivors()])
        contents = [usable[index].content for index in selected]
        weights = [weight_of(content, self.weighted_by_key) for content in contents if content is not None]
        return mean_of([arrays[index] for index in selected], weights)

    def _survivors(self) -> int:
        return 1
