"""Differential privacy as a wrapper round another strategy of the older API: what all of them share."""

from __future__ import annotations

import logging
import math

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import as_array, floats, is_inexact, narrowed
from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.parameters import ndarrays_to_parameters, parameters_to_ndarrays
from umbel.compat.flwr.legacy.strategy.strategy import FitFailures, FitResults, Strategy
from umbel.compat.flwr.legacy.strategy.wrapper import Wrapper
from umbel.compat.flwr.legacy.typing import FitIns, Metrics, Parameters
from umbel.privacy import gaussian
from umbel.privacy.clipping import clip, moved, numbers, update_of

CLIPPING_NORM = "clipping_norm"
NORM_BIT = "norm_bit"

log = logging.getLogger(__name__)


class DifferentialPrivacy(Wrapper):
    """Protects each client: w ← w + mean(clip(w_k - w, C)) + N(0, (z C / n)²), for inner strategies that average.

    One client moves the outcome by at most C / n, because all count the same, whatever their numbers of examples, and because the server
    clips even what clients should have clipped: there Flower's own wrappers promise more than they keep. A round with any failure is
    not used. The noise comes from the operating system's generator, so that nobody can repeat it. For a budget of ε,
    use Umbel's own strategies.
    """

    def __init__(
        self, strategy: Strategy, noise_multiplier: float, clipping_norm: float, num_sampled_clients: int
    ) -> None:
        """Z of 0 or more, C above 0, n of 1 or more. Raises ValueError."""
        super().__init__(strategy)
        if not 0 <= noise_multiplier < math.inf:
            raise ValueError(f"`noise_multiplier` must be 0 or more, not {noise_multiplier}.")
        if not 0 < clipping_norm < math.inf:
            raise ValueError(f"The clipping norm must be above 0, not {clipping_norm}.")
        if num_sampled_clients <= 0:
            raise ValueError(f"`num_sampled_clients` must be above 0, not {num_sampled_clients}.")
        self.noise_multiplier = noise_multiplier
        self.clipping_norm = clipping_norm
        self.num_sampled_clients = num_sampled_clients
        self._sent = ArrayRecord()
        self._key = gaussian.new_key()

    @property
    def noise_stddev(self) -> float:
        """The standard deviation of what the server adds to each element of the mean."""
        return self.noise_multiplier * self.clipping_norm / self.num_sampled_clients

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """See Strategy. The model is remembered, to tell the updates."""
        self._sent = ArrayRecord(parameters_to_ndarrays(parameters))
        return super().configure_fit(server_round, parameters, client_manager)

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy."""
        if failures or not results:
            return None, {}
        if len(results) != self.num_sampled_clients:
            log.warning("%d clients trained, but the noise is for %d.", len(results), self.num_sampled_clients)
        try:
            within = self._clip(results)
        except ValueError as reason:
            log.warning("Round %d is not used: %s", server_round, reason)
            return None, {}
        stddev = self.noise_stddev * max(1.0, self.num_sampled_clients / len(results))
        key = gaussian.derive(self._key, str(server_round).encode())
        parameters, metrics = self.strategy.aggregate_fit(server_round, results, failures)
        self.follow(within, results, key)
        return parameters and _noisy(parameters, stddev, key), metrics

    def follow(self, within: int, results: FitResults, key: bytes) -> None:
        """Choose the norm for the next round; `within` updates were not longer than this one's."""

    def _clip(self, results: FitResults) -> int:
        """Clip each result's update in place and have all count the same; how many were within the norm.

        Raises ValueError when one has other arrays than were sent, or a length that is not finite.
        """
        before = numbers(self._sent)
        within = 0
        for _, res in results:
            update = update_of(ArrayRecord(parameters_to_ndarrays(res.parameters)), self._sent, before)
            within += clip(update, self.clipping_norm) <= self.clipping_norm
            res.parameters = ndarrays_to_parameters(moved(self._sent, before, update).to_numpy_ndarrays())
            res.num_examples = 1
        return within


def _noisy(parameters: Parameters, stddev: float, key: bytes) -> Parameters:
    noised = []
    for index, array in enumerate(ArrayRecord(parameters_to_ndarrays(parameters)).values()):
        values = floats(array).copy()
        if is_inexact(array):
            gaussian.add_gaussian(values, stddev, key, b"%d" % index)
        noised.append(as_array(narrowed(array.dtype, values), array).numpy())
    return ndarrays_to_parameters(noised)
