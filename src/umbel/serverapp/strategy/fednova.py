"""FedNova: averaging of clients that do unlike amounts of work."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.app.records import Floats, MetricRecord
from umbel.serverapp.aggregation.reduction import Reduced, Reduction, single_record, weight_of
from umbel.serverapp.strategy.server_optimizers import ServerOptimizer
from umbel.serverapp.strategy.strategy import Trained


@dataclass(frozen=True)
class StepNormalizedMean(Reduction):
    """The one ArrayRecord of a reply, weighted by its number of examples divided by its number of local steps."""

    weighted_by_key: str = "num-examples"
    steps_key: str = "local-steps"

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """The model in a reply and its weight, finite and not negative."""
        weight = weight_of(content, self.weighted_by_key) / steps_of(content, self.steps_key)
        if not math.isfinite(weight):
            raise ValueError(f"Its number of local steps {self.steps_key!r} is too close to 0.")
        return single_record(content, ArrayRecord), weight


@dataclass(eq=False)
class FedNova(ServerOptimizer):
    """FedNova (Wang et al. 2020, "Tackling the Objective Inconsistency Problem in Heterogeneous Federated Optimization", arXiv 2007.07481).

    Where clients do unlike numbers of local steps, FedAvg drifts to the optimum of those who do more. FedNova averages what
    each client changed *per step*, and goes as many steps as a client does on average:

        w ← w + τ_eff Σ_k p_k (w_k - w) / a_k        where        τ_eff = Σ_k p_k a_k,   p_k = n_k / Σ_j n_j

    a_k is `local-steps` in the reply's MetricRecord: with plain SGD the number of its optimiser steps, with momentum or a proximal term
    ‖a_k‖₁ of the paper, which `umbel.clientapp.fednova.normalising_steps` gives. Where all clients do the same number of steps it is
    FedAvg. It corrects for unlike work, not for unlike data (see Scaffold), and is robust against no one.

    It is a weighted sum with the weights n_k / a_k, so that the replies are folded where they are.
    """

    steps_key: str = "local-steps"
    """The metric in a reply that is a_k, above 0."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        self._pace = 1.0

    def train_reduction(self) -> Reduction:
        """Σ_k (n_k / a_k) w_k is all that the step needs of the arrays."""
        return StepNormalizedMean(self.weighted_by_key, self.steps_key)

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """The arrays after the step, and the weighted means of the metrics; None and None when no reply was usable."""
        if reduced.sum is not None:
            self._pace = self._pace_of(reduced.contents(), reduced.sum.weight)
        return super().aggregate_reduced(server_round, reduced)

    def _pace_of(self, contents: Sequence[RecordDict], by_step: float) -> float:
        """τ_eff Σ_k (p_k / a_k): the step is that multiple of the way to the mean weighted with n_k / a_k."""
        examples = [weight_of(content, self.weighted_by_key) for content in contents]
        steps = [steps_of(content, self.steps_key) for content in contents]
        total = math.fsum(examples)
        if total <= 0:
            return 1.0  # the mean says what is wrong
        effective = math.fsum(n * a for n, a in zip(examples, steps, strict=True)) / total
        return effective * by_step / total

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it."""
        return current + self._pace * delta


def steps_of(content: RecordDict, key: str) -> float:
    """The number of local steps in a reply's one MetricRecord. Raises ValueError unless it is finite and above 0."""
    steps = single_record(content, MetricRecord).get(key)
    if not isinstance(steps, (int, float)) or not 0 < steps <= sys.float_info.max:
        raise ValueError(f"Its number of local steps {key!r} is {steps}: it must be a number greater than 0.")
    return float(steps)
