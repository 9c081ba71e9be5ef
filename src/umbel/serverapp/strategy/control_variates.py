"""SCAFFOLD and FedDyn: control variates against client drift."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, Floats, floats, is_inexact, shaped
from umbel.errors import ConfigError
from umbel.serverapp.aggregation.reduction import Reduced, Reduction, single_record, weight_of
from umbel.serverapp.aggregation.replies import UnweightedMean
from umbel.serverapp.grid import Grid
from umbel.serverapp.strategy.server_optimizers import Memory, ServerOptimizer, recalled, remembered, zeros
from umbel.serverapp.strategy.strategy import Trained


@dataclass(eq=False)
class ControlVariate(ServerOptimizer):
    """A ServerOptimizer that knows which share of all clients has replied. The mean is unweighted."""

    num_clients: int | None = None
    """N, all clients that may ever take part, 1 or more. None: the nodes that are online when a round begins."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if self.num_clients is not None and self.num_clients < 1:
            raise ConfigError(f"num_clients must be at least 1, not {self.num_clients}.")
        self._online = 1
        self._share = 1.0

    @property
    def share(self) -> float:
        """The share of all clients that replied in this round: n / N."""
        return self._share

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg; the online nodes are counted."""
        messages = super().configure_train(server_round, arrays, config, grid)
        self._online = len(grid.get_node_ids())
        return messages

    def aggregate_reduced(self, server_round: int, reduced: Reduced) -> Trained:
        """The arrays after the step, and the weighted means of the metrics; None and None when no reply was usable."""
        replied = 0 if reduced.sum is None else reduced.sum.count
        self._share = min(1.0, replied / (self.num_clients or self._online))
        return super().aggregate_reduced(server_round, reduced)


_CONTROL = "control"  # the record that umbel.clientapp.scaffold gets and sends
_ARRAYS, _CHANGES = "arrays/", "control/"


@dataclass(frozen=True)
class WithControl(Reduction):
    """The model in a reply and the change of its control variate as one, unweighted."""

    weighted_by_key: str = "num-examples"

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """The model in a reply and its weight, finite and not negative."""
        weight_of(content, self.weighted_by_key)
        changes = content.array_records.get(_CONTROL)
        if changes is None:
            raise ValueError(
                f"It lacks the record {_CONTROL!r}: add umbel.clientapp.mod.scaffold_mod to the mods of the ClientApp."
            )
        arrays = single_record(
            RecordDict({key: value for key, value in content.items() if key != _CONTROL}), ArrayRecord
        )
        both = {_ARRAYS + name: array for name, array in arrays.items()}
        return ArrayRecord(both | {_CHANGES + name: array for name, array in changes.items()}), 1.0


@dataclass(eq=False)
class Scaffold(ControlVariate):
    """SCAFFOLD (Karimireddy et al. 2019, "Stochastic ControlVariate Averaging for Federated Learning", arXiv 1910.06378, Algorithm 1).

    Clients with different data drift apart while they train. Here each has a control variate c_i, an estimate of the gradient on its data, and
    knows the server's c, that of everybody's; in each local step it goes along its gradient g_i corrected by their difference:

        y_i ← y_i - η_l (g_i(y_i) - c_i + c)                        K times, from y_i = w
        c_i⁺ = c_i - c + (w - y_i) / (K η_l)                        (the paper's option II)

    The server, with n clients i that replied and N all clients,

        w ← w + η_g (1/n) Σ_i (y_i - w)
        c ← c + (1/N) Σ_i (c_i⁺ - c_i)

    A client takes part with the mod `umbel.clientapp.scaffold`, one line of `umbel.clientapp.correction` in its training loop, and
    `local-steps` (K) and `learning-rate` (η_l) in its MetricRecord. Messages are twice as large. Both means are unweighted, and the
    replies are folded where they are. It is made for plain SGD; where few of many clients are in a round their c_i grow stale; and it
    is robust against no one.
    """

    server_learning_rate: float = 1.0
    """η_g, above 0."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 < self.server_learning_rate < float("inf"):
            raise ConfigError(f"server_learning_rate must be greater than 0, not {self.server_learning_rate}.")
        self._control: Memory = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg, with c as the record `control`."""
        control = ArrayRecord(
            {n: shaped(zeros(self._control, n, floats(a)), a) for n, a in arrays.items() if is_inexact(a)}
        )
        messages = list(super().configure_train(server_round, arrays, config, grid))
        for message in messages:
            message.content[_CONTROL] = control
        return messages

    def train_reduction(self) -> Reduction:
        """The plain means of models and changes are all that the step needs."""
        return WithControl(self.weighted_by_key)

    def stepped(self, server_round: int, mean: ArrayRecord) -> ArrayRecord:
        """See `ServerOptimizer.stepped`; `mean` holds arrays and changes."""
        arrays = super().stepped(server_round, _part(mean, _ARRAYS))
        for name, change in _part(mean, _CHANGES).items():
            # Not in place: the messages of this round may still be on their way.
            self._control[name] = self._control[name] + self.share * floats(change)
        return arrays

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it."""
        return current + self.server_learning_rate * delta

    def state(self) -> RecordDict:
        """The server's c."""
        return remembered(control=self._control)

    def load_state(self, state: RecordDict) -> None:
        """Restore c."""
        self._control = recalled(state, "control")


def _part(record: ArrayRecord, prefix: str) -> ArrayRecord:
    return ArrayRecord({name.removeprefix(prefix): a for name, a in record.items() if name.startswith(prefix)})


@dataclass(eq=False)
class FedDyn(ControlVariate):
    """FedDyn (Acar et al. 2021, "Federated Learning Based on Dynamic Regularization", arXiv 2111.04263).

    Client k minimises, instead of its loss F_k alone,

        F_k(w) - ⟨λ_k, w⟩ + α/2 ‖w - w^t‖²        and then        λ_k ← λ_k - α (w_k - w^t)

    so that what all clients agree on is where the sum of the F_k is least, however unlike their data. The server, with n clients k that
    replied, N all clients and h = 0 at first,

        h ← h - α (1/N) Σ_k (w_k - w^t)
        w ← (1/n) Σ_k w_k - h / α

    The server sends α as `proximal-mu`; a client takes part with the mod `umbel.clientapp.feddyn` and, in its training loop, one line of
    `umbel.clientapp.correction`. The mean is unweighted; h grows with every lie: it is robust against no one, and with a tiny α
    or few of many clients in a round it may swing.
    """

    alpha: float = 0.01
    """α, above 0: how strongly clients are held near w^t; the paper uses 0.001 to 0.1."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 < self.alpha < float("inf"):
            raise ConfigError(f"alpha must be greater than 0, not {self.alpha}.")
        self._h: Memory = {}

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg, with α as `proximal-mu` in the configuration."""
        with_alpha = ConfigRecord({**config, "proximal-mu": float(self.alpha)})
        return super().configure_train(server_round, arrays, with_alpha, grid)

    def train_reduction(self) -> Reduction:
        """The plain mean of the replies is all that the step needs."""
        return UnweightedMean(self.weighted_by_key)

    def step(self, server_round: int, name: str, current: Floats, delta: Floats) -> Floats:
        """The new elements of the tensor `name`, from what was sent and how far the mean is from it."""
        h = zeros(self._h, name, delta)
        h -= self.alpha * self.share * delta
        return current + delta - h / self.alpha

    def state(self) -> RecordDict:
        """The server's h."""
        return remembered(h=self._h)

    def load_state(self, state: RecordDict) -> None:
        """Restore h."""
        self._h = recalled(state, "h")
