"""Differential privacy as a wrapper round an averaging strategy: what the four wrappers share."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.errors import ConfigError
from umbel.privacy import gaussian
from umbel.privacy.accounting import Release, accountant_named
from umbel.serverapp.aggregation.reduction import Reduced, WeightedMean, fold
from umbel.serverapp.aggregation.weighted_sum import WeightedSum
from umbel.serverapp.grid import Grid
from umbel.serverapp.rounds import checkpoint
from umbel.serverapp.rounds.callbacks import Callback, RoundResult
from umbel.serverapp.rounds.checkpoint import Progress
from umbel.serverapp.rounds.result import Result
from umbel.serverapp.strategy.dp_update import (
    NORM_BIT,
    ClippedUpdates,
    check_number,
    check_types,
    refuse_other_draws,
    refuse_unprotectable,
)
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import EvaluateFn, Strategy, Trained

log = logging.getLogger(__name__)

CLIPPING_NORM = "clipping_norm"  # in the configuration that clients get
_OWN = "differential-privacy"


@dataclass(eq=False)
class DifferentialPrivacy(Strategy):
    """What the four wrappers share; use one of those.

    Each round, with w the arrays that were sent, Δ_k = w_k - w the update of client k, C the clipping norm, z the noise multiplier and n
    = `num_sampled_clients`,

        w̃ = w + (Σ_k clip(Δ_k, C) + N(0, (zC)² I)) / n

    is what the wrapped strategy gets for the mean of its replies, and all it gets: what it makes of that (momentum, Adam) is
    post-processing and costs no privacy. The noise of the mean has the standard deviation zC/n.

    *What is protected.* A client: all its data in all rounds. Neighbouring federations differ in one client that is there or not; with
    `secret_sample`, in one client whose data is replaced.

    *Sensitivity.* C: the updates are summed unweighted (`weighted_by_key` is ignored but for the metrics), and n is the number given, not that
    of the replies. A reply that is missing or malformed counts as an update of zero, so the mean is then shorter, the noise
    is not smaller, and the failure of one client does not change how another's update is treated.

    *Sampling.* Unless `secret_sample` is set no gain by sampling is claimed: ε counts every client as in every round. With it, ε is that
    of drawing uniformly without replacement from all online nodes, which the strategies' own draw does; the draw, and
    the run's seed that it comes from, must then be unknown to the adversary. It helps where few of many
    are drawn: a replaced client counts twice as much.

    *When it does not hold.* Against the server itself, which sees the updates (where clients clip, it sees them clipped). For the
    metrics that clients report, for who took part, who failed and for log lines: they are as they are. When initial arrays or settings
    were chosen by looking at the clients' data. When a run that calls `start` twice is killed and resumes. For the lowest bits
    of floating-point numbers: see `umbel.privacy.gaussian`.

    Sources: McMahan et al. 2018 (arXiv 1710.06963), Geyer et al. 2017 (arXiv 1712.07557). After each round ε stands beside the
    server's metrics as `epsilon`.
    """

    strategy: Strategy
    """The strategy to protect: one that needs only the mean of its replies."""
    noise_multiplier: float
    """z, 0 or more; 0: no noise and no privacy."""
    _: KW_ONLY
    delta: float = 1e-5
    """δ in (0, 1), which ε is told for. It should be far below 1 / (number of clients)."""
    epsilon_budget: float | None = None
    """The run ends before the round whose ε would be above this. None: no limit."""
    accountant: str | None = None
    """gaussian, zcdp, rdp or pld: see `umbel.privacy.accounting`. None: gaussian, which is exact; rdp with `secret_sample`."""
    secret_sample: bool = False
    """Whether the sampled clients are unknown to the adversary."""
    seed: int | None = None
    """For tests only: noise that everybody can repeat protects nothing."""

    def __post_init__(self) -> None:
        """Check the settings and that the strategy can be protected. Raises ConfigError."""
        refuse_unprotectable(self.strategy)
        for name in ("quorum", "deadline", "wait_for_nodes_timeout"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(self.strategy, name))
        super().__post_init__()
        self._check()
        self._epsilon = accountant_named(self.accountant or ("rdp" if self.secret_sample else "gaussian"))
        if self.secret_sample:
            self._epsilon([Release(1.0, 1, 2)], self.delta)  # raises where the accountant knows no draws
            refuse_other_draws(self.strategy)
        self._releases: list[Release] = []
        self._key = gaussian.new_key(self.seed)
        self._round_key = b""
        self._exhausted = False
        self._was_warned = False
        self._sent: list[RecordDict] = []
        self._arrays = ArrayRecord()
        self._callbacks: Sequence[Callback] = ()

    def _check(self) -> None:
        check_number("noise_multiplier", self.noise_multiplier, or_zero=True)
        if not 0 < self.delta < 1:
            raise ConfigError(f"delta must be between 0 and 1, not {self.delta}.")
        if self.epsilon_budget is not None:
            check_number("epsilon_budget", self.epsilon_budget)
            if self.noise_multiplier == 0:
                raise ConfigError("An epsilon_budget requires noise.", hint="Set a noise_multiplier greater than 0.")

    # What a wrapper decides

    def sampled(self) -> int:
        """The n that the sum of the updates is divided by."""
        raise NotImplementedError

    def bound(self) -> float:
        """C in this round."""
        raise NotImplementedError

    def update_multiplier(self) -> float:
        """The noise multiplier for the updates; the rest of `noise_multiplier` goes to what else is released."""
        return self.noise_multiplier

    def train_reduction(self) -> ClippedUpdates:
        """The sum of clipped updates, folded wherever the replies are."""
        return ClippedUpdates(self._weighted_by_key, clipping_norm=self.bound())

    def next_bound(self, updates: WeightedSum, round_key: bytes) -> float:
        """C for the next round. What is kept of `updates`, the sum without noise, must be made noisy here."""
        return self.bound()

    def set_bound(self, bound: float) -> None:
        """Clip to this from now on."""

    # The round

    @property
    def epsilon(self) -> float:
        """ε for `delta`, of all rounds so far; inf without noise."""
        return self._epsilon(self._releases, self.delta)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy; none when the budget does not allow another round."""
        check_types(arrays)
        online = len(grid.get_node_ids())
        messages = list(self.strategy.configure_train(server_round, arrays, config, grid))
        if not messages:
            return messages
        release = self._release(messages, min(online, len(grid.get_node_ids())))
        if self._exceeds(release):
            self._exhausted = True
            return []
        self._check_number(messages, grid)
        self._releases.append(release)  # when it is asked for, not when it comes: nothing that is shown is left out
        self._round_key, self._key = gaussian.derive(self._key, b"round"), gaussian.derive(self._key, b"next")
        self._arrays, self._sent = arrays, [message.content for message in messages]
        return messages

    def _release(self, messages: Sequence[Message], online: int) -> Release:
        nodes = {message.metadata.dst_node_id for message in messages}
        if len(nodes) < len(messages):
            raise ConfigError(
                "A node received two train messages in one round.",
                hint="Send each node one message: it may contribute one update.",
            )
        if not self.secret_sample:
            return Release(self.noise_multiplier)
        return Release(self.noise_multiplier, len(nodes), max(online, len(nodes)))

    def _exceeds(self, release: Release) -> bool:
        if self.epsilon_budget is None:
            return False
        return self._epsilon([*self._releases, release], self.delta) > self.epsilon_budget

    def _check_number(self, messages: Sequence[Message], grid: Grid) -> None:
        if len(messages) != self.sampled() and not self._was_warned:
            self._was_warned = True
            text = (
                f"{len(messages)} nodes train, but num_sampled_clients is {self.sampled()}: the mean update is scaled by "
                f"{len(messages) / self.sampled():.3g}. The privacy guarantee is not affected."
            )
            log.warning(text)
            grid.report("note", {"text": text})

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """Clip, sum, add noise, and hand the noisy mean to the wrapped strategy. `configure_train` must have been called for this round."""
        return self.aggregate_reduced(server_round, fold(self.train_reduction(), replies, self._sent))

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """The wrapped strategy's arrays for the noisy mean, and the metrics it would report; None and None without a usable reply."""
        inner = self._inner()
        usable = inner.usable_replies(reduced.replies)
        for content in reduced.contents():
            for record in content.metric_records.values():
                record.pop(NORM_BIT, None)  # it was counted, and its mean would be shown without noise
        if reduced.sum is None:
            return None, None
        key, self._round_key = self._round_key, b""
        if not key:
            raise ConfigError(
                "The sum of this round has already been released.", hint="Call configure_train before aggregate_train."
            )
        bound = self.next_bound(reduced.sum, key)
        mean = self._noisy_mean(reduced.sum, key)
        self.set_bound(bound)
        arrays = _arrays_only(inner, server_round, mean)
        return arrays, inner.aggregate_metrics(usable, inner.train_metrics_aggr_fn)

    def _noisy_mean(self, updates: WeightedSum, key: bytes) -> WeightedSum:
        stddev = self.update_multiplier() * self.bound()
        mean = WeightedSum.of(self._arrays, 1.0, 0)
        for name, part, target in (
            (b"doubles", updates.doubles, mean.doubles),
            (b"singles", updates.singles, mean.singles),
        ):
            gaussian.add_gaussian(part, stddev, key, name)
            np.divide(part, self.sampled(), out=part)
            np.add(target, part, out=target)
        mean.count = self.sampled()
        return mean

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As the wrapped strategy."""
        return self.strategy.configure_evaluate(server_round, arrays, config, grid)

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """As the wrapped strategy."""
        return self._inner().aggregate_evaluate(server_round, replies)

    def _inner(self) -> FedAvg:
        """The wrapped strategy, whose drops are reported as drops of this one."""
        inner = self.strategy
        assert isinstance(inner, FedAvg)
        self.report_drops_of(inner)
        return inner

    @property
    def _weighted_by_key(self) -> str:
        reduction = self.strategy.train_reduction()
        assert isinstance(reduction, WeightedMean)
        return reduction.weighted_by_key

    # The run

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float | None = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: EvaluateFn | None = None,
        *,
        callbacks: Sequence[Callback] = (),
    ) -> Result:
        """As `Strategy.start`. The server's metrics of each round hold `epsilon`; the run stops early when the budget allows no other round.

        Raises ConfigError when it allows not even the first.
        """
        if not self.secret_sample and self._exceeds(Release(self.noise_multiplier)) and not self._releases:
            raise ConfigError(
                f"A single round exceeds the epsilon_budget of {self.epsilon_budget}.",
                hint="Raise noise_multiplier, epsilon_budget or delta.",
            )
        if self.noise_multiplier == 0:
            log.warning("A noise_multiplier of 0 provides no privacy.")
        self._callbacks = (*callbacks, _BudgetStop(self))
        evaluate = _with_epsilon(self, evaluate_fn)
        return super().start(
            grid,
            initial_arrays,
            num_rounds,
            timeout,
            train_config,
            evaluate_config,
            evaluate,
            callbacks=self._callbacks,
        )

    def _new(
        self, grid: Grid, arrays: ArrayRecord, train_config: ConfigRecord | None, evaluate_config: ConfigRecord | None
    ) -> Progress:
        progress = super()._new(grid, arrays, train_config, evaluate_config)
        if grid.checkpoints is not None and self.seed is None:
            # The key is kept before it is used: a first round that is done again must add the same noise again.
            grid.checkpoints.save(0, checkpoint.encode(progress, self._states(self._callbacks)))
        return progress

    def allows_another(self) -> bool:
        """Whether the budget allows another round like the last."""
        return not (self._exhausted or (self._releases and self._exceeds(self._releases[-1])))

    def server_metrics(self) -> dict[str, float]:
        """What stands beside the server's metrics of a round."""
        return {"epsilon": self.epsilon} if self.noise_multiplier else {}

    def state(self) -> RecordDict:
        """What was released, the key of the noise to come, and the wrapped strategy's state."""
        columns = list(zip(*self._releases, strict=True)) or [(), (), ()]
        own: dict[str, Any] = {"key": self._key, "exhausted": self._exhausted}
        own.update(zip(Release._fields, map(list, columns), strict=True))
        inner = {f"strategy/{name}": record for name, record in self.strategy.state().items()}
        return RecordDict({_OWN: ConfigRecord(own), **inner})

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""
        own: Any = state.config_records[_OWN]
        self._key, self._exhausted = own["key"], own["exhausted"]
        self._releases = [Release(*row) for row in zip(*(own[name] for name in Release._fields), strict=True)]
        prefix = "strategy/"
        self.strategy.load_state(
            RecordDict({name.removeprefix(prefix): record for name, record in state.items() if name.startswith(prefix)})
        )


class _BudgetStop(Callback):
    """Ends the run when the privacy budget allows no other round."""

    def __init__(self, strategy: DifferentialPrivacy) -> None:
        self._strategy = strategy

    def on_round_end(self, progress: RoundResult) -> bool | None:
        """Look at the round. True ends the run after it; the other callbacks are still called."""
        return progress.server_round < progress.num_rounds and not self._strategy.allows_another()

    @property
    def reason(self) -> str:
        """Why the run ends, for people, after `on_round_end` returned True."""
        wrapper = self._strategy
        return (
            f"Another round would exceed the privacy budget: epsilon is now {wrapper.epsilon:.4g} of {wrapper.epsilon_budget} "
            f"at delta {wrapper.delta}."
        )


def _with_epsilon(strategy: DifferentialPrivacy, evaluate_fn: EvaluateFn | None) -> EvaluateFn:
    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord | None:
        metrics = evaluate_fn(server_round, arrays) if evaluate_fn else None
        own = strategy.server_metrics()
        return MetricRecord({**(metrics or {}), **own}) if own or metrics is not None else None

    return evaluate


def _arrays_only(inner: FedAvg, server_round: int, mean: WeightedSum) -> ArrayRecord | None:
    """The wrapped strategy's new arrays from the noisy mean and no reply, so that nothing else can be in them."""
    metrics_fn, inner.train_metrics_aggr_fn = inner.train_metrics_aggr_fn, None
    try:
        return inner.aggregate_reduced(server_round, Reduced(mean, []))[0]
    finally:
        inner.train_metrics_aggr_fn = metrics_fn
