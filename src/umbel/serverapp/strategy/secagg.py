"""Secure aggregation as a wrapper round a strategy that needs only a weighted mean of its replies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

import numpy as np

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.errors import ConfigError, SecureAggregationFailed
from umbel.privacy.secagg.parameters import Parameters, derive
from umbel.privacy.secagg.quantization import Encoding, Form, Sums, half_range, mean_metrics, modulus_dtype
from umbel.serverapp.aggregation.reduction import Reduced, Reply, WeightedMean
from umbel.serverapp.aggregation.weighted_sum import WeightedSum, allocate, layout_of
from umbel.serverapp.grid import Grid, RoundPolicy
from umbel.serverapp.rounds.report import RoundReport
from umbel.serverapp.strategy.strategy import Strategy, Trained, folds

if TYPE_CHECKING:
    from umbel.serverapp.securesum import SecureSum


@dataclass(eq=False)
class SecAggPlus(Strategy):
    """The wrapped strategy, with train replies that the server sees the sum of and nothing else (SecAgg+, Bell et al. 2020, ePrint 2020/704).

    Arrays, metrics and weights of the replies travel inside the sum, in fixed point: the mean is within
    clipping_range / (quantization_range - 2) of the exact one. A round is four exchanges; nodes may drop out in each, and a round in which too
    few stay raises SecureAggregationFailed. The ClientApp needs `umbel.clientapp.mod.secaggplus_mod`.

    It protects against an honest-but-curious server, not against one that breaks the protocol; who takes part, the final mean and
    evaluation are in the clear. Read docs/explanation/secure-aggregation.md before you rely on it.
    """

    strategy: Strategy
    """A strategy that needs only the weighted mean of its replies, such as FedAvg, FedProx or FedAdam."""
    _: KW_ONLY
    dropout_tolerance: float = 0.2
    """The share of a round's nodes that may drop out, in [0, 1)."""
    corruption_tolerance: float = 0.1
    """The share of a round's nodes that may tell the server all they know, in [0, 1)."""
    num_shares: int | None = None
    """How many nodes hold a share of each secret, the owner included. None: derived from the two tolerances."""
    reconstruction_threshold: int | None = None
    """How many shares give a secret back: more than half of `num_shares`. None: derived."""
    max_weight: int = 1_000_000
    """The largest weight (number of examples) that a node may have; a node with more is left out and named."""
    clipping_range: float = 64.0
    """Floating-point numbers in the arrays are clipped to ± this."""
    metrics_clipping_range: float = 1000.0
    """Metrics are clipped to ± this."""
    quantization_range: int = 2**28
    """How many levels a number has."""
    skip_failed_rounds: bool = False
    """Whether a round in which too many nodes drop out leaves the arrays as they were, instead of raising SecureAggregationFailed."""

    def __post_init__(self) -> None:
        """Check the settings and that the strategy needs only a weighted mean. Raises ConfigError."""
        for name in ("quorum", "deadline", "wait_for_nodes_timeout"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(self.strategy, name))
        super().__post_init__()
        reduction = self.strategy.train_reduction() if folds(self.strategy) else None
        if type(reduction) is not WeightedMean:
            raise ConfigError(
                f"{type(self.strategy).__name__} cannot be aggregated securely: it needs more than the weighted mean of its replies.",
                hint="Wrap an averaging strategy such as FedAvg, FedProx, FedAvgM or FedAdam.",
            )
        self._weighted_by_key = reduction.weighted_by_key
        if (self.num_shares is None) != (self.reconstruction_threshold is None):
            raise ConfigError(
                "num_shares and reconstruction_threshold must be given together.", hint="Give both, or neither."
            )
        for name in ("clipping_range", "metrics_clipping_range"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} must be finite and greater than 0, not {getattr(self, name)}.")
        if self.max_weight < 1:
            raise ConfigError(f"max_weight must be at least 1, not {self.max_weight}.")
        self._for(2)

    def _for(self, num_nodes: int) -> tuple[Parameters, Encoding]:
        """The protocol parameters of a round with this number of nodes. Raises ConfigError."""
        half = half_range(self.quantization_range)
        encoding = Encoding(
            modulus_dtype(num_nodes, self.max_weight, half).name,
            half,
            self.max_weight,
            self.clipping_range,
            self.metrics_clipping_range,
        )
        if self.num_shares is not None and self.reconstruction_threshold is not None:
            return Parameters(self.num_shares, self.reconstruction_threshold), encoding
        return derive(num_nodes, self.dropout_tolerance, self.corruption_tolerance), encoding

    # The round

    def exchange_train(
        self, grid: Grid, report: RoundReport, messages: Sequence[Message], policy: RoundPolicy
    ) -> Trained:
        """Four exchanges instead of one; the wrapped strategy gets the decoded mean. Raises SecureAggregationFailed."""
        from umbel.serverapp.securesum import SecureSum  # loads cryptography: only where it is used

        session = SecureSum(grid, messages, policy, *self._for(len(messages)), self._weighted_by_key)
        try:
            with self._telling(report, "train", session.replies):
                sums = session.run()
                if not self._enough(report, policy, len(session.present)):
                    return None, None
                if sums.clipped:
                    report.note(f"{sums.clipped} numbers were clipped: raise clipping_range or metrics_clipping_range.")
                return self.strategy.aggregate_reduced(report.server_round, self._reduced(session, sums))
        except SecureAggregationFailed as error:
            if not self.skip_failed_rounds:
                raise
            report.note(error.message)
            return None, None

    def _reduced(self, session: SecureSum, sums: Sums) -> Reduced:
        """What the wrapped strategy would have got, had it folded the replies: one content stands for all, with the means of their metrics."""
        metrics = MetricRecord({**mean_metrics(sums), self._weighted_by_key: sums.weight})
        reply = Reply(session.present[0], content=RecordDict({"metrics": metrics}))
        return Reduced(weighted_sum(session.form, sums, len(session.present)), [reply])

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """Not possible: no reply is ever seen by itself. Raises ConfigError."""
        raise ConfigError("SecAggPlus cannot aggregate unmasked replies.", hint="Call `start` instead.")

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy."""
        return self.strategy.configure_train(server_round, arrays, config, grid)

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy."""
        return self.strategy.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As the wrapped strategy, in the clear."""
        self.report_drops_of(self.strategy)
        return self.strategy.aggregate_evaluate(server_round, replies)

    def state(self) -> RecordDict:
        """That of the wrapped strategy: no secret outlives its round."""
        return self.strategy.state()

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""
        self.strategy.load_state(state)

    def summary(self) -> None:
        """See `Strategy.summary`; the wrapped strategy's settings too."""
        super().summary()
        self.strategy.summary()


def weighted_sum(form: Form, sums: Sums, count: int) -> WeightedSum:
    """The mean of the arrays as a sum of weight 1 (0 when the weights sum to 0), so that it is rounded once."""
    schema = tuple((tensor.name, tensor.dtype, tensor.shape) for tensor in form.tensors)
    total = WeightedSum(schema, allocate(layout_of(schema).nbytes), float(sums.weight > 0), count, 0)
    for slot, values in zip(layout_of(schema).slots, sums.arrays, strict=True):
        target = (total.singles if slot.single else total.doubles)[slot.start : slot.stop]
        np.divide(values, max(sums.weight, 1), out=target, casting="same_kind")
    return total
