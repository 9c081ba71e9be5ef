"""Resilient: what the rules that name a number of malicious clients share."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.errors import AggregationFailed, ConfigError
from umbel.serverapp.reduction import Reply
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.replies import models
from umbel.serverapp.strategy.strategy import Trained

log = logging.getLogger(__name__)


@dataclass(eq=False)
class Resilient(FedAvg):
    """FedAvg's rounds with a rule that stands up to f malicious clients, as long as enough others reply.

    Each round asks at least `replies_needed` nodes, also where `min_train_nodes` is lower. With fewer usable replies the arrays stay as
    they were. The rule needs all replies at once: as much memory as all the models. Metrics are averaged as in FedAvg.
    """

    num_malicious_nodes: int = 0
    """f, 0 or more: how many of a round's replies may be malicious."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        check_count(self, "num_malicious_nodes", 0)
        self.min_train_nodes = max(self.min_train_nodes, self.replies_needed)

    @property
    @abstractmethod
    def replies_needed(self) -> int:
        """The usable replies without which the rule stands up to nobody."""

    @abstractmethod
    def combine(self, arrays: Sequence[ArrayRecord], usable: Sequence[Reply]) -> ArrayRecord:
        """The new arrays, from those of at least `replies_needed` replies. Raises ValueError when they have no mean."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The outcome of `combine`, and the metrics of all usable replies; None and None when these are too few."""
        arrays, kept = models(self.train_reduction(), replies)
        usable = self._usable(kept)
        if len(usable) < self.replies_needed:
            log.warning(
                "Round %d: %s with num_malicious_nodes=%d needs %d usable replies, there are %d.",
                server_round,
                type(self).__name__,
                self.num_malicious_nodes,
                self.replies_needed,
                len(usable),
            )
            return None, None
        try:
            combined = self.combine(arrays, usable)
        except ValueError as error:
            raise AggregationFailed(
                f"Round {server_round} cannot be averaged: {error}",
                hint=f"Have the clients report how many examples they used under {self.weighted_by_key!r}.",
            ) from error
        return combined, self._metrics(usable, self.train_metrics_aggr_fn)


def check_count(strategy: FedAvg, name: str, least: int) -> None:
    """Raise ConfigError unless the setting `name` is a whole number of at least `least`."""
    value = getattr(strategy, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} must be a whole number of at least {least}, not {value!r}.")
