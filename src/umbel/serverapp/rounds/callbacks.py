"""Callbacks after each round: early stopping, best model, and custom ones."""

from __future__ import annotations

import logging
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.app.records import MetricRecord
from umbel.errors import ConfigError

log = logging.getLogger(__name__)
Mode = Literal["min", "max"]


@dataclass(frozen=True)
class RoundResult:
    """A round that has ended: the global arrays after it, and its metrics where there are any.

    `train` and `evaluate` are the clients' aggregated metrics, `server` what `evaluate_fn` returned.
    """

    server_round: int
    num_rounds: int
    arrays: ArrayRecord
    train: MetricRecord | None = None
    evaluate: MetricRecord | None = None
    server: MetricRecord | None = None

    def number(self, metric: str) -> float | None:
        """The number called `metric`, None when the round has none. "evaluate/loss" looks among the evaluate metrics only.

        Without a phase before it the name is looked up in server, then evaluate, then train.
        """
        phases = {"server": self.server, "evaluate": self.evaluate, "train": self.train}
        phase, slash, name = metric.partition("/")
        places = [phases[phase]] if slash and phase in phases else list(phases.values())
        name = name if slash and phase in phases else metric
        for record in places:
            value = None if record is None else record.get(name)
            if isinstance(value, (int, float)):
                return value
        return None


class Callback:
    """Called after each round, in the order in which `Strategy.start` was given its callbacks.

    A subclass with a memory gives it out in `state` and takes it back in `load_state`: it is kept in each checkpoint, so that a
    resumed run continues as if it had never stopped.
    """

    def on_round_end(self, progress: RoundResult) -> bool | None:
        """Look at the round. True ends the run after it; the other callbacks are still called."""

    @property
    def reason(self) -> str:
        """Why the run ends, for people, after `on_round_end` returned True."""
        return f"{type(self).__name__} requested it."

    def state(self) -> RecordDict:
        """What this callback remembers from round to round."""
        return RecordDict()

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""


class Best:
    """The best value of one metric so far, and the round it was seen in. NaN is never the best."""

    def __init__(self, metric: str, mode: Mode, min_delta: float = 0.0) -> None:
        """`mode` is "min" or "max"; a value must be better by more than `min_delta` to count."""
        if mode not in {"min", "max"}:
            raise ConfigError(f"mode must be 'min' or 'max', not {mode!r}.")
        self.metric = metric
        self.server_round = 0
        self.value: float | None = None
        self._sign = 1.0 if mode == "max" else -1.0
        self._min_delta = min_delta

    def see(self, progress: RoundResult) -> bool | None:
        """Whether this round is the best so far; None, with a warning in the log, when it lacks the metric."""
        value = progress.number(self.metric)
        if value is None:
            log.warning("Round %d has no metric %r, which the callback monitors.", progress.server_round, self.metric)
            return None
        if not self._better(value):
            return False
        self.server_round, self.value = progress.server_round, value
        return True

    def _better(self, value: float) -> bool:
        if self.value is None:
            return value == value  # noqa: PLR0124 - not NaN
        return self._sign * (value - self.value) > self._min_delta

    def state(self) -> MetricRecord:
        """The best value and its round, as plain numbers."""
        return MetricRecord({} if self.value is None else {"round": self.server_round, "value": self.value})

    def load_state(self, state: MetricRecord) -> None:
        """Restore what `state` returned."""
        self.server_round = int(state.get("round", 0))  # type: ignore[arg-type]
        self.value = state.get("value")  # type: ignore[assignment]


class EarlyStopping(Callback):
    """Ends the run when a metric has not improved for `patience` rounds. A round without the metric does not count.

    >>> EarlyStopping("evaluate/loss", mode="min", patience=5, min_delta=0.001)
    """

    def __init__(self, metric: str, mode: Mode = "min", patience: int = 3, min_delta: float = 0.0) -> None:
        """`metric` as in `RoundResult.number`; `patience` at least 1."""
        if patience < 1:
            raise ConfigError(f"patience must be at least 1 round, not {patience}.")
        self.patience = patience
        self.waited = 0
        self._best = Best(metric, mode, min_delta)

    def on_round_end(self, progress: RoundResult) -> bool | None:
        """Look at the round. True ends the run after it; the other callbacks are still called."""
        better = self._best.see(progress)
        if better is not None:
            self.waited = 0 if better else self.waited + 1
        return self.waited >= self.patience

    @property
    def reason(self) -> str:
        """Why the run ends, for people, after `on_round_end` returned True."""
        best = self._best
        return f"{best.metric} has not improved for {self.waited} rounds; its best value was {best.value} in round {best.server_round}."

    def state(self) -> RecordDict:
        """What this callback remembers from round to round."""
        return RecordDict({"best": self._best.state(), "waited": MetricRecord({"rounds": self.waited})})

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""
        self._best.load_state(state.metric_records["best"])
        self.waited = int(state.metric_records["waited"]["rounds"])  # type: ignore[arg-type]


class BestModel(Callback):
    """Keeps the arrays of the round in which a metric was best; `Strategy.start` saves them as best-model.safetensors."""

    def __init__(self, metric: str, mode: Mode = "min") -> None:
        """`metric` as in `RoundResult.number`."""
        self.arrays: ArrayRecord | None = None
        self._best = Best(metric, mode)

    @property
    def server_round(self) -> int | None:
        """The best round so far, None before there is one."""
        return self._best.server_round or None

    def on_round_end(self, progress: RoundResult) -> bool | None:
        """Look at the round. True ends the run after it; the other callbacks are still called."""
        if self._best.see(progress):
            self.arrays = deepcopy(progress.arrays)  # the strategy may change its own in place
        return None

    def state(self) -> RecordDict:
        """What this callback remembers from round to round."""
        state = RecordDict({"best": self._best.state()})
        if self.arrays is not None:
            state["arrays"] = self.arrays
        return state

    def load_state(self, state: RecordDict) -> None:
        """Remember what `state` gave out."""
        self._best.load_state(state.metric_records["best"])
        self.arrays = state.array_records.get("arrays")
