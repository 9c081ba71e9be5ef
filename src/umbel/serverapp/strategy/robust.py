"""FedMedian and FedTrimmedAvg: aggregation that bounds the influence of single replies."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.records import Floats, as_array, narrowed, stored, widened
from umbel.errors import AggregationFailed, ConfigError
from umbel.serverapp.aggregation.reduction import Reply
from umbel.serverapp.aggregation.replies import models
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Trained

Rule = Callable[[Floats], Floats]
"""From values of shape [models, elements], which it may overwrite, to the outcome of shape [elements]."""

_BLOCK = 1 << 18  # numbers held at a time, beside the models themselves


def by_coordinate(models: Sequence[ArrayRecord], rule: Rule) -> ArrayRecord:
    """The outcome of `rule` for each element of the models, which share one schema; at least one model.

    Whole numbers are rounded to nearest; of complex numbers the real and the imaginary parts are taken by themselves. It works in
    blocks: beside models and outcome it holds a few MB.
    """
    return ArrayRecord({name: _outcome([model[name] for model in models], rule) for name in models[0]})


def _outcome(arrays: Sequence[Array], rule: Rule) -> Array:
    first = arrays[0]
    result = np.empty_like(stored(first))
    for place, block in _blocks(arrays):
        result[place] = narrowed(first.dtype, rule(block))
    return as_array(result, first)


def float_blocks(models: Sequence[ArrayRecord]) -> Iterator[Floats]:
    """The elements of the models, which share one schema, as values of shape [models, elements], a block at a time."""
    for name in models[0]:
        for _, block in _blocks([model[name] for model in models]):
            yield block


def _blocks(arrays: Sequence[Array]) -> Iterator[tuple[slice, Floats]]:
    rows = [stored(array) for array in arrays]
    step = max(1, _BLOCK // len(rows))
    for start in range(0, rows[0].size, step):
        place = slice(start, start + step)
        yield place, np.stack([widened(arrays[0].dtype, row[place]) for row in rows])


def coordinate_median(models: Sequence[ArrayRecord]) -> ArrayRecord:
    """The median of each element over the models, which share one schema; at least one model.

    Of an even number it is the mean of the two in the middle. Whole numbers are rounded to nearest; complex numbers have the median
    of their real and of their imaginary parts.
    """
    return by_coordinate(models, _median)


def _median(values: Floats) -> Floats:
    values.sort(axis=0)
    return middle(values)


def middle(ascending: Floats) -> Floats:
    """The median of each column of values in ascending order, of shape [rows, columns]."""
    low, high = ascending[(len(ascending) - 1) // 2], ascending[len(ascending) // 2]
    median: Floats = low * 0.5 + high * 0.5 if len(ascending) % 2 == 0 else low  # halves do not overflow
    return median + 0.0  # which of a 0 and a -0 comes first depends on the order of the models


log = logging.getLogger(__name__)


@dataclass(eq=False)
class ByzantineRobust(FedAvg):
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
        """The minimum number of usable replies for which the rule is robust."""

    @abstractmethod
    def combine(self, arrays: Sequence[ArrayRecord], usable: Sequence[Reply]) -> ArrayRecord:
        """The new arrays, from those of at least `replies_needed` replies. Raises ValueError when they have no mean."""

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The outcome of `combine`, and the metrics of all usable replies; None and None when these are too few."""
        arrays, kept = models(self.train_reduction(), replies)
        usable = self.usable_replies(kept)
        if len(usable) < self.replies_needed:
            log.warning(
                "Round %d: %s with num_malicious_nodes=%d requires %d usable replies, but there are %d.",
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
                f"The replies of round {server_round} cannot be averaged: {error}",
                hint=f"Have the clients report their number of examples as metric {self.weighted_by_key!r}.",
            ) from error
        return combined, self.aggregate_metrics(usable, self.train_metrics_aggr_fn)


def check_count(strategy: FedAvg, name: str, least: int) -> None:
    """Raise ConfigError unless the setting `name` is a whole number of at least `least`."""
    value = getattr(strategy, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{name} must be an integer of at least {least}, not {value!r}.")


@dataclass(eq=False)
class FedMedian(FedAvg):
    """The coordinate-wise median (Yin et al. 2018, arXiv 1803.01498), which fewer than half of the clients cannot move at will.

    Each element of the new arrays is the median of that element over the replies, unweighted. It needs all replies at once:
    as much memory as all the models. Metrics are averaged as in FedAvg.
    """

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The median of the usable replies; None and None when there is none."""
        arrays, kept = models(self.train_reduction(), replies)
        usable = self.usable_replies(kept)
        if not usable:
            return None, None
        return coordinate_median(arrays), self.aggregate_metrics(usable, self.train_metrics_aggr_fn)


@dataclass(eq=False)
class FedTrimmedAvg(FedAvg):
    """The coordinate-wise trimmed mean (Yin et al. 2018, arXiv 1803.01498, Definition 2).

    Of the n values of each element the ⌊β n⌋ largest and the ⌊β n⌋ smallest are left out; the new element is the mean of the others,
    unweighted. As long as no more than ⌊β n⌋ replies are malicious, each element lies between the least and the largest that an honest
    client sent. With more, or against many small lies in concert, it protects no more than that range does. It needs all
    replies at once: as much memory as all the models. Metrics are averaged as in FedAvg.
    """

    beta: float = 0.2
    """β, in [0, 0.5): the share that is left out at each end."""

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        if not 0 <= self.beta < 0.5:
            raise ConfigError(
                f"beta must be in [0, 0.5), not {self.beta}: it is the share of values that is cut off at each end."
            )

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The trimmed mean of the usable replies; None and None when there is none."""
        arrays, kept = models(self.train_reduction(), replies)
        usable = self.usable_replies(kept)
        if not usable:
            return None, None
        cut = int(self.beta * len(arrays) + 1e-9)  # 0.29 · 100 is a little below 29
        trimmed = by_coordinate(arrays, lambda values: trimmed_mean(values, cut))
        return trimmed, self.aggregate_metrics(usable, self.train_metrics_aggr_fn)


def trimmed_mean(values: Floats, cut: int) -> Floats:
    """The mean of each column of `values` without its `cut` least and largest; more than 2·`cut` rows. Sorts `values`.

    It is between the least and the largest value that is kept, whatever the rounding.
    """
    values.sort(axis=0)
    kept = values[cut : len(values) - cut]
    return np.asarray(np.clip(kept.mean(axis=0), kept[0], kept[-1]) + 0.0)  # no -0: whether it comes first is chance
