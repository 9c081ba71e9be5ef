"""What differential privacy sums: clipped updates instead of weighted models."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.dtypes import BFLOAT16
from umbel.app.elements import floats, is_inexact, stored, widened
from umbel.app.metricrecord import MetricRecord
from umbel.app.recorddict import RecordDict
from umbel.privacy.clipping import clip, l2_norm
from umbel.serverapp.reduction import WeightedMean, the_one
from umbel.serverapp.weightedsum import Allocate, WeightedSum, blocks, layout_of

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
            raise ValueError("What the node was sent is not known, so that its update cannot be told.")
        arrays, _ = self.weigh(content)
        model = the_one(sent, ArrayRecord)
        if arrays.schema() != model.schema():  # not by majority: one client must not decide over another's reply
            raise ValueError("Its arrays differ in name, type, shape or order from those it was sent.")
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
                f"Its update is {length:.6g} long, beyond the clipping norm {self.clipping_norm:.6g}: "
                "has its ClientApp the clipping mod that belongs to this strategy?"
            )
        clip([update.doubles, update.singles], self.clipping_norm)
        return bit


def norm_bit(content: RecordDict) -> float:
    """The norm bit in a reply's one MetricRecord. Raises ValueError when there is none."""
    bit = the_one(content, MetricRecord).get(NORM_BIT)
    if not isinstance(bit, (int, float)) or bit not in {0, 1}:
        raise ValueError(
            f"Its MetricRecord holds no {NORM_BIT!r} of 0 or 1: has its ClientApp the adaptiveclipping_mod?"
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
