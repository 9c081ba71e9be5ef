"""Sequences of replies, and means over the models in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, overload

import numpy as np

from umbel.app.array import BFLOAT16, bfloat16_to_float32
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.serverapp.aggregation.reduction import Reduction, Reply, WeightedMean, malformed, matching, without_arrays
from umbel.serverapp.aggregation.weighted_sum import SumTree, WeightedSum, blocks


class Replies(Sequence[Message]):
    """A stream of replies that can be iterated repeatedly: it keeps what has been read.

    An `aggregate_train` may so look at its replies more than once, as if they were a list: its length and an index from the end wait
    for all of them.
    """

    def __init__(self, stream: Iterator[Message]) -> None:
        """`stream` is read no further than somebody iterates."""
        self._stream = stream
        self._read: list[Message] = []

    def __iter__(self) -> Iterator[Message]:
        index = 0
        while index < len(self._read) or self._advance():
            yield self._read[index]
            index += 1

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> list[Message]: ...

    def __getitem__(self, index: int | slice) -> Message | list[Message]:
        while not isinstance(index, slice) and 0 <= len(self._read) <= index and self._advance():
            pass
        return self._read[index] if isinstance(index, int) and index >= 0 else self.all()[index]

    def _advance(self) -> bool:
        reply = next(self._stream, None)
        if reply is not None:
            self._read.append(reply)
        return reply is not None

    def __len__(self) -> int:
        return len(self.all())

    def all(self) -> list[Message]:
        """Every reply: waits for those that have not come yet."""
        while self._advance():
            pass
        return self._read


class Models(NamedTuple):
    """The models of the usable replies, all of one schema, and what is kept of every reply, both in dispatch order."""

    arrays: list[ArrayRecord]
    replies: list[Reply]


def models(reduction: Reduction, replies: Iterable[Message]) -> Models:
    """Every model in the replies, for a rule that needs them all at once. Drops the replies that `fold` would drop."""
    checked = [_checked(reduction, reply) for reply in replies]
    schemas = Counter(reply.schema for _, reply in checked if reply.schema is not None)
    if not schemas:
        return Models([], [reply for _, reply in checked])
    chosen = schemas.most_common(1)[0][0]  # the first seen among equals
    matched = [(arrays, matching(reply, chosen)) for arrays, reply in checked]
    return Models([arrays for arrays, reply in matched if reply.error is None], [reply for _, reply in matched])


def _checked(reduction: Reduction, message: Message) -> tuple[ArrayRecord, Reply]:
    node_id = message.metadata.src_node_id
    if message.has_error():
        return ArrayRecord(), Reply(node_id, error=message.error)
    try:
        arrays, _ = reduction.weigh(message.content)
        check_finite(arrays)
    except ValueError as reason:
        return ArrayRecord(), malformed(node_id, str(reason))
    return arrays, Reply(node_id, content=without_arrays(message.content), schema=arrays.schema())


def check_finite(arrays: ArrayRecord) -> None:
    """Raise ValueError, naming the tensor, when one contains NaN or infinity."""
    for name, array in arrays.items():
        elements = array.storage.reshape(-1)
        for block in blocks(elements.size):
            values = elements[block]
            if not np.isfinite(bfloat16_to_float32(values) if array.dtype == BFLOAT16 else values).all():
                raise ValueError(f"Array {name!r} contains NaN or infinity.")


def mean_of(models: Sequence[ArrayRecord], weights: Sequence[float]) -> ArrayRecord:
    """The weighted mean of models of one schema, at least one; of a single one itself. As FedAvg it sums along the summation tree.

    Raises ValueError when the weights of several do not sum to a finite number above 0.
    """
    if len(models) == 1:
        return models[0]
    tree: SumTree[WeightedSum] = SumTree(WeightedSum.add)
    for index, (model, weight) in enumerate(zip(models, weights, strict=True)):
        tree.put(0, index, WeightedSum.of(model, weight, index))
    total = tree.result()
    assert total is not None
    return total.mean()


@dataclass(frozen=True)
class UnweightedMean(WeightedMean):
    """As WeightedMean, but each model counts the same. The reply must hold its number of examples, to weigh its metrics by."""

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """The model in a reply and its weight, finite and not negative."""
        arrays, _ = super().weigh(content)
        return arrays, 1.0
