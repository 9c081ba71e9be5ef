"""FedOpt, FedAdagrad, FedAdam, FedYogi and FedAvgM: optimisers at the server."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, Floats, as_array, floats, is_inexact, narrowed
from umbel.errors import AggregationFailed, ConfigError, InconsistentReplies
from umbel.serverapp.aggregation.reduction import Reduced
from umbel.serverapp.grid import Grid
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Trained

Memory = dict[str, Floats]
"""Numbers that a strategy remembers for each element of some tensors, by the tensor's name."""


@dataclass(eq=False)
class ServerOptimizer(FedAvg):
    """FedAvg whose server does not adopt the mean but takes an optimiser step from the arrays w that it sent.

    A subclass says in `step` what becomes of a tensor w, given Δ = mean - w. Tensors of whole numbers or booleans are not stepped:
    they take the rounded mean. Everything is reckoned in float32, for float64 tensors in float64.
    """

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        self._sent: ArrayRecord | None = None

    @abstractmethod
    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it; all of one shape [elements]."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg; the arrays are remembered for the step."""
        self._sent = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """The arrays after the step, and the weighted means of the metrics; None and None when no reply was usable."""
        mean, metrics = super().aggregate_reduced(server_round, reduced)
        return None if mean is None else self.stepped(server_round, mean), metrics

    def stepped(self, server_round: int, mean: ArrayRecord) -> ArrayRecord:
        """The arrays after the step towards `mean`. Raises InconsistentReplies when it has other tensors than were sent."""
        sent = self.sent(mean)
        return ArrayRecord(
            {name: self._tensor(server_round, name, sent[name], mean[name]) for name in sent},
        )

    def sent(self, like: ArrayRecord) -> ArrayRecord:
        """The arrays that this round began with. Raises InconsistentReplies when they do not have the schema of `like`."""
        if self._sent is None:
            raise AggregationFailed(
                f"{type(self).__name__} needs the arrays it sent in this round, but it has not sent any.",
                hint="Call configure_train before aggregate_train; Strategy.start does.",
            )
        if self._sent.schema() != like.schema():
            raise InconsistentReplies(
                f"The clients' arrays differ in name, dtype or shape from those that {type(self).__name__} sent.",
                hint="Have the clients return every array they received, with the same dtype, shape and order.",
            )
        return self._sent

    def _tensor(self, server_round: int, name: str, sent: Array, mean: Array) -> Array:
        if not is_inexact(sent):
            return mean
        current = floats(sent)
        new = self.step(server_round, name, current, floats(mean) - current)
        return as_array(narrowed(sent.dtype, new), sent)


def zeros(memory: Memory, name: str, like: Floats) -> Floats:
    """What is remembered under `name`, zeros of the form of `like` at first; to be changed in place."""
    return memory.setdefault(name, np.zeros_like(like))


def remembered(**memories: Memory) -> RecordDict:
    """The memories as a strategy's state, by name."""
    records = {key: ArrayRecord({n: Array(v) for n, v in memory.items()}) for key, memory in memories.items()}
    return RecordDict(dict(records))


def recalled(state: RecordDict, name: str) -> Memory:
    """The memory that `remembered` kept under `name`."""
    return {key: array.numpy() for key, array in state.array_records[name].items()}


@dataclass(eq=False)
class FedOpt(ServerOptimizer):
    """What FedAdagrad, FedAdam and FedYogi share (Reddi et al. 2020, "Adaptive Federated Optimization", arXiv 2003.00295, Algorithm 2).

    With Δ the difference of the clients' weighted mean from the arrays w they were sent, and m = v = 0 at first, element by element

        m ← β₁ m + (1 - β₁) Δ
        v ← what the optimiser makes of v and Δ²
        w ← w + η m / (√v + τ)

    Elements that move little get longer steps and those that move much shorter ones, which helps where features are rare or
    skewed. Like the mean it stands on, it is robust against no one.
    """

    eta: float = field(default=0.1, kw_only=True)
    """η, the server's learning rate, above 0."""
    eta_l: float = field(default=0.1, kw_only=True)
    """The clients' learning rate in the paper, above 0; for the record, the server's rule does not use it."""
    beta_1: float = field(default=0.0, kw_only=True)
    """β₁, in [0, 1): how much of m stays in a round."""
    beta_2: float = field(default=0.0, kw_only=True)
    """β₂, in [0, 1): how much of v stays in a round."""
    tau: float = field(default=1e-3, kw_only=True)
    """τ, above 0: how adaptive the steps are; the smaller, the more."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        for name in ("eta", "eta_l", "tau"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be greater than 0, not {getattr(self, name)}.")
        for name in ("beta_1", "beta_2"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), not {getattr(self, name)}.")
        self._m: Memory = {}
        self._v: Memory = {}

    @abstractmethod
    def second_moment(self, v: Floats, squared: Floats) -> None:
        """Bring `v` up to date with Δ², in place."""

    def learning_rate(self, server_round: int) -> float:
        """The η of this round."""
        return self.eta

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it."""
        m, v = zeros(self._m, name, delta), zeros(self._v, name, delta)
        m *= self.beta_1
        m += (1 - self.beta_1) * delta
        self.second_moment(v, np.square(delta))
        return np.asarray(current + self.learning_rate(server_round) * m / (np.sqrt(v) + self.tau))

    def state(self) -> RecordDict:
        """The moments m and v."""
        return remembered(m=self._m, v=self._v)

    def load_state(self, state: RecordDict) -> None:
        """Restore m and v."""
        self._m, self._v = recalled(state, "m"), recalled(state, "v")


@dataclass(eq=False)
class FedAdagrad(FedOpt):
    """FedOpt with Adagrad (Reddi et al. 2020, arXiv 2003.00295):

        v ← v + Δ²
        w ← w + η Δ / (√v + τ)

    so that steps only become shorter. Its `beta_1` is 0 by default, as in the paper's experiments; `beta_2` is not used.
    """

    def second_moment(self, v: Floats, squared: Floats) -> None:
        """Bring `v` up to date with Δ², in place."""
        v += squared


@dataclass(eq=False)
class FedAdam(FedOpt):
    """FedOpt with Adam (Reddi et al. 2020, arXiv 2003.00295):

        m ← β₁ m + (1 - β₁) Δ
        v ← β₂ v + (1 - β₂) Δ²
        w ← w + η_t m / (√v + τ)        where        η_t = η √(1 - β₂^(t+1)) / (1 - β₁^(t+1))

    in round t = 1, 2, …. The factor makes up for m and v beginning at 0, as Adam's (Kingma and Ba 2014, arXiv 1412.6980) does; the
    paper's own algorithm leaves it out, and after some rounds it is near 1.
    """

    beta_1: float = field(default=0.9, kw_only=True)
    """β₁, in [0, 1): how much of m stays in a round."""
    beta_2: float = field(default=0.99, kw_only=True)
    """β₂, in [0, 1): how much of v stays in a round."""

    def learning_rate(self, server_round: int) -> float:
        """η_t."""
        steps = server_round + 1
        return self.eta * math.sqrt(1 - self.beta_2**steps) / (1 - self.beta_1**steps)

    def second_moment(self, v: Floats, squared: Floats) -> None:
        """Bring `v` up to date with Δ², in place."""
        v *= self.beta_2
        v += (1 - self.beta_2) * squared


@dataclass(eq=False)
class FedYogi(FedOpt):
    """FedOpt with Yogi (Reddi et al. 2020, arXiv 2003.00295; Zaheer et al. 2018):

        m ← β₁ m + (1 - β₁) Δ
        v ← v - (1 - β₂) Δ² sign(v - Δ²)
        w ← w + η m / (√v + τ)

    v comes down by steps of the size of Δ², not by a share of itself: a quiet round does not make the next steps long, as it may in
    FedAdam.
    """

    eta: float = field(default=0.01, kw_only=True)
    """η, the server's learning rate, above 0."""
    eta_l: float = field(default=0.0316, kw_only=True)
    """The clients' learning rate in the paper, above 0; for the record, the server's rule does not use it."""
    beta_1: float = field(default=0.9, kw_only=True)
    """β₁, in [0, 1): how much of m stays in a round."""
    beta_2: float = field(default=0.99, kw_only=True)
    """β₂, in [0, 1): how slowly v moves."""

    def second_moment(self, v: Floats, squared: Floats) -> None:
        """Bring `v` up to date with Δ², in place."""
        v -= (1 - self.beta_2) * squared * np.sign(v - squared)


@dataclass(eq=False)
class FedAvgM(ServerOptimizer):
    """Federated averaging with server momentum (Hsu et al. 2019, arXiv 1909.06335).

    With Δ the difference of the clients' weighted mean from the arrays w they were sent, and v = 0 at first,

        v ← β v + Δ
        w ← w + η v

    where η is `server_learning_rate` and β `server_momentum`. With η = 1 and β = 0 it is FedAvg. It calms the rounds that
    clients with unlike data pull to and fro; it protects from nothing: one client can move the mean at will.
    """

    server_learning_rate: float = 1.0
    """η, above 0."""
    server_momentum: float = 0.0
    """β, in [0, 1)."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 < self.server_learning_rate < float("inf"):
            raise ConfigError(f"server_learning_rate must be greater than 0, not {self.server_learning_rate}.")
        if not 0 <= self.server_momentum < 1:
            raise ConfigError(f"server_momentum must be in [0, 1), not {self.server_momentum}.")
        self._velocity: Memory = {}

    def stepped(self, server_round: int, mean: ArrayRecord) -> ArrayRecord:
        """See `ServerOptimizer.stepped`. Where it is FedAvg it is so to the last bit."""
        if self.server_learning_rate == 1 and self.server_momentum == 0:
            return mean
        return super().stepped(server_round, mean)

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it."""
        v = zeros(self._velocity, name, delta)
        v *= self.server_momentum
        v += delta
        return current + self.server_learning_rate * v

    def state(self) -> RecordDict:
        """The velocity v."""
        return remembered(velocity=self._velocity)

    def load_state(self, state: RecordDict) -> None:
        """Restore v."""
        self._velocity = recalled(state, "velocity")
