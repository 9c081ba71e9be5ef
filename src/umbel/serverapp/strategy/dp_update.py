"""Reductions of clipped updates, and checks of wrapped strategies."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from umbel.app.array import BFLOAT16, Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.app.records import MetricRecord, floats, is_inexact, stored, widened
from umbel.errors import ConfigError
from umbel.privacy.clipping import NOISY_TYPES, clip, l2_norm
from umbel.serverapp.aggregation.reduction import WeightedMean, single_record
from umbel.serverapp.aggregation.weighted_sum import Allocate, WeightedSum, blocks, layout_of
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Strategy, folds


def refuse_unprotectable(strategy: Strategy) -> None:
    """Raise ConfigError unless the strategy needs no more of its replies than their mean."""
    if not (isinstance(strategy, FedAvg) and folds(strategy) and type(strategy.train_reduction()) is WeightedMean):
        raise ConfigError(
            f"{type(strategy).__name__} cannot be protected: it needs more than the mean of its replies, and the influence of one client "
            "on its result is not bounded by clipping.",
            hint="Wrap an averaging strategy such as FedAvg, FedProx, FedAvgM or FedAdam.",
        )


def refuse_other_draws(strategy: Strategy) -> None:
    """Raise ConfigError unless the strategy draws its clients uniformly without replacement."""
    if getattr(type(strategy), "sample_nodes", None) is not FedAvg.sample_nodes:
        raise ConfigError(
            f"{type(strategy).__name__} has its own way of sampling clients, for which no amplification is known.",
            hint="Omit secret_sample.",
        )


def check_types(arrays: ArrayRecord) -> None:
    """Raise ConfigError for arrays to which no noise can be added: booleans, unsigned and very short whole numbers."""
    for name, array in arrays.items():
        if array.dtype not in NOISY_TYPES:
            raise ConfigError(
                f"Noise cannot be added to array {name!r} of dtype {array.dtype}.",
                hint="Exclude it from the trained arrays.",
            )


def check_number(name: str, value: float, *, or_zero: bool = False) -> None:
    """Raise ConfigError unless the setting is finite and above 0, or 0 where that is allowed."""
    if not (0 < value < math.inf or (or_zero and value == 0)):
        raise ConfigError(f"{name} must be a finite number {'of 0 or more' if or_zero else 'above 0'}, not {value}.")


NORM_BIT = "norm_bit"
_TOLERANCE = 1e-3  # of the clipping norm: what a client's own arithmetic may add


@dataclass(frozen=True)
class ClippedUpdates(WeightedMean):
    """Sums the updates, each clipped to `clipping_norm` and none weighted: one client moves the sum by at most that, and a reply that
    is missing or does not fit adds nothing.

    An update is the reply's arrays minus those that this node was sent. The sum's `weight` counts the updates that were not longer
    than the norm before they were clipped. `weighted_by_key` is only looked for: the metrics need it.
    """

    clipping_norm: float = 1.0

    def leaf(self, content: RecordDict, sent: RecordDict | None, index: int, allocate: Allocate) -> WeightedSum:
        """See `Reduction.leaf`. Raises ValueError too when the reply's tensors are not those that were sent."""
        if sent is None:
            raise ValueError("The arrays sent to the node are unknown, so its update cannot be computed.")
        arrays, _ = self.weigh(content)
        model = single_record(sent, ArrayRecord)
        if arrays.schema() != model.schema():  # not by majority: one client must not decide over another's reply
            raise ValueError("Its arrays differ in name, dtype, shape or order from those it received.")
        update = WeightedSum.of(arrays, 1.0, index, allocate)
        subtract(update, model)
        update.weight = self._clip(update, model, content)
        return update

    def _clip(self, update: WeightedSum, model: ArrayRecord, content: RecordDict) -> float:
        return float(clip([update.doubles, update.singles], self.clipping_norm) <= self.clipping_norm)


@dataclass(frozen=True)
class UpdatesClippedByClients(ClippedUpdates):
    """As ClippedUpdates, of updates that the clients have clipped already. One that is longer than that, beyond what rounding
    explains, is dropped: its client does not clip. The rest is cut to the norm exactly.

    With `counts_bits` the sum's `weight` adds up the clients' own norm bits, 0 or 1.
    """

    counts_bits: bool = False

    def _clip(self, update: WeightedSum, model: ArrayRecord, content: RecordDict) -> float:
        bit = norm_bit(content) if self.counts_bits else 1.0
        length = l2_norm([update.doubles, update.singles])
        if length > self.clipping_norm * (1 + _TOLERANCE) and length > self.clipping_norm + rounding(model):
            raise ValueError(
                f"The norm of its update is {length:.6g}, which exceeds the clipping norm {self.clipping_norm:.6g}: "
                "check that its ClientApp has the clipping mod of this strategy."
            )
        clip([update.doubles, update.singles], self.clipping_norm)
        return bit


def norm_bit(content: RecordDict) -> float:
    """The norm bit in a reply's one MetricRecord. Raises ValueError when there is none."""
    bit = single_record(content, MetricRecord).get(NORM_BIT)
    if not isinstance(bit, (int, float)) or bit not in {0, 1}:
        raise ValueError(
            f"Its MetricRecord lacks {NORM_BIT!r} (0 or 1): check that its ClientApp has adaptiveclipping_mod."
        )
    return float(bit)


def rounding(model: ArrayRecord) -> float:
    """How much longer an update may become when it is added to `model` and rounded to the tensors' types, at most."""
    return sum(_unit(array) * l2_norm([floats(array)]) + _step(array) for array in model.values())


def _unit(array: Array) -> float:
    if array.dtype == BFLOAT16:
        return 2.0**-7
    return float(np.finfo(array.storage.dtype).eps) if is_inexact(array) else 0.0


def _step(array: Array) -> float:
    return 0.0 if is_inexact(array) else math.sqrt(array.storage.size)


def subtract(total: WeightedSum, arrays: ArrayRecord) -> None:
    """Take `arrays`, of the same schema, from the sum, in place."""
    for slot in layout_of(total.schema).slots:
        target = (total.singles if slot.single else total.doubles)[slot.start : slot.stop]
        source = stored(arrays[slot.name])
        with np.errstate(over="ignore"):  # an update without a finite length is refused
            for block in blocks(source.size):
                np.subtract(target[block], widened(slot.dtype, source[block]), out=target[block])
