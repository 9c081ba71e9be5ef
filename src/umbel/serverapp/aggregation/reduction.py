"""Reduction: how the replies of a round become one sum, wherever they are folded.

A strategy that needs only a weighted sum of its replies says so with a Reduction. Then a simulation's workers fold the
clients they serve and send sums, and a deployment folds replies as they come; a round needs memory for a few models,
not for all replies.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from itertools import count
from typing import Any

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Error, ErrorCode, Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import MetricRecord
from umbel.serverapp.aggregation.weighted_sum import Allocate, BufferPool, Schema, SumTree, WeightedSum

Partial = dict[Schema, WeightedSum]
Subtree = tuple[int, int, Partial | None]  # level, position, sum


@dataclass(frozen=True)
class Reduction(ABC):
    """Turns one reply's content into a model and its weight. A subclass is a frozen dataclass of plain values, found by its name in
    another process.
    """

    @abstractmethod
    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """The model in a reply and its weight, finite and not negative. Raises ValueError, saying why, when the reply is malformed."""

    def leaf(self, content: RecordDict, sent: RecordDict | None, index: int, allocate: Allocate) -> WeightedSum:
        """What the reply to message `index` adds to the sum, in memory from `allocate`: its weighted model, unless a subclass says otherwise.

        `sent` is the content of the message as it was sent, not to be changed; None where the caller does not know it. Raises as `weigh`.
        """
        arrays, weight = self.weigh(content)
        return WeightedSum.of(arrays, weight, index, allocate)

    def spec(self) -> tuple[str, dict[str, Any]]:
        """What `from_spec` needs to make the same reduction elsewhere."""
        cls = type(self)
        return f"{cls.__module__}:{cls.__qualname__}", asdict(self)


def from_spec(name: str, arguments: dict[str, Any]) -> Reduction:
    """The reduction that `spec` described. Raises TypeError for a name that is no Reduction."""
    module, _, qualname = name.partition(":")
    cls = getattr(import_module(module), qualname)
    if not (isinstance(cls, type) and issubclass(cls, Reduction)):
        raise TypeError(f"{name} is not a Reduction.")
    return cls(**arguments)


@dataclass(frozen=True)
class WeightedMean(Reduction):
    """The one ArrayRecord of a reply, weighted by a number in its one MetricRecord (McMahan et al. 2017, arXiv 1602.05629)."""

    weighted_by_key: str = "num-examples"

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """The model in a reply and its weight, finite and not negative."""
        return single_record(content, ArrayRecord), weight_of(content, self.weighted_by_key)


def single_record(content: RecordDict, kind: type[Any]) -> Any:
    """The only record of type `kind` in `content`. Raises ValueError when there is none or more than one."""
    found = [record for record in content.values() if isinstance(record, kind)]
    if len(found) != 1:
        raise ValueError(f"A reply must contain exactly one {kind.__name__}, but this one contains {len(found)}.")
    return found[0]


def weight_of(content: RecordDict, key: str) -> float:
    """The number named `key` in the one MetricRecord of `content`. Raises ValueError unless it is finite and not negative."""
    weight = single_record(content, MetricRecord).get(key)
    if not isinstance(weight, (int, float)):
        raise ValueError(f"Its MetricRecord lacks the weight {key!r} (a single number).")
    if not 0 <= weight <= sys.float_info.max:
        raise ValueError(f"Its weight {key!r} is {weight}: it must be finite and non-negative.")
    return float(weight)


@dataclass(slots=True)
class Reply:
    """What is kept of a reply beside the sum: its content without the arrays that were folded, or why it was dropped."""

    node_id: int
    content: RecordDict | None = None
    error: Error | None = None
    schema: Schema | None = None  # of the arrays that went into the sum


@dataclass(slots=True)
class Reduced:
    """A folded round: the sum (None when no reply was usable) and all replies in dispatch order."""

    sum: WeightedSum | None
    replies: list[Reply] = field(default_factory=list)

    def contents(self) -> list[RecordDict]:
        """The contents of the usable replies, in dispatch order, without their arrays."""
        return [reply.content for reply in self.replies if reply.content is not None]

    def failures(self) -> list[Reply]:
        """The replies with an error and those that were dropped."""
        return [reply for reply in self.replies if reply.error is not None]


class Fold:
    """Folds replies along the summation tree. Every dispatch index is added exactly once: as a reply, or inside a merged subtree."""

    def __init__(self, reduction: Reduction, allocate: Allocate | None = None) -> None:
        """`allocate(nbytes)` gives the memory that sums are kept in; None: plain memory, which this fold uses again."""
        self._reduction = reduction
        self._buffer_pool = BufferPool()
        self._pools_buffers = allocate is None
        self._allocate = allocate or self._buffer_pool.allocate
        self._tree: SumTree[Partial] = SumTree(self._sum)
        self._replies: dict[int, Reply] = {}

    def add(self, index: int, message: Message, sent: RecordDict | None = None) -> None:
        """Fold the reply to the message dispatched at `index` with the content `sent`; a malformed one is dropped and keeps its reason."""
        reply, partial = self._leaf(index, message, sent)
        self._replies[index] = reply
        self._tree.put(0, index, partial)

    def _leaf(self, index: int, message: Message, sent: RecordDict | None) -> tuple[Reply, Partial | None]:
        node_id = message.metadata.src_node_id
        if message.has_error():
            return Reply(node_id, error=message.error), None
        try:
            leaf = self._reduction.leaf(message.content, sent, index, self._allocate)
        except ValueError as reason:
            return malformed(node_id, str(reason)), None
        return Reply(node_id, content=without_arrays(message.content), schema=leaf.schema), {leaf.schema: leaf}

    def _sum(self, left: Partial, right: Partial) -> Partial:
        for schema, total in right.items():
            if schema not in left:
                left[schema] = total
                continue
            left[schema].add(total)
            if self._pools_buffers:
                self._buffer_pool.take_back(total.buffer)
        return left

    def merge(self, subtrees: Iterable[Subtree], replies: Iterable[tuple[int, Reply]]) -> None:
        """Take over what was folded elsewhere: sums of subtrees, and the replies in them by dispatch index."""
        self._replies.update(replies)
        for level, position, partial in subtrees:
            self._tree.put(level, position, partial)

    def parts(self) -> tuple[list[Subtree], list[tuple[int, Reply]]]:
        """What `merge` needs of this fold. Empties its tree."""
        return self._tree.parts(), list(self._replies.items())

    def result(self) -> Reduced:
        """The round's outcome. Where schemas differ, the most frequent one counts (the earliest among equals) and the others' replies are dropped."""
        partial = self._tree.result()
        replies = [self._replies[index] for index in sorted(self._replies)]
        if partial is None:
            return Reduced(None, replies)
        chosen = max(partial.values(), key=lambda total: (total.count, -total.first))
        return Reduced(chosen, [matching(reply, chosen.schema) for reply in replies])


def fold(reduction: Reduction, replies: Iterable[Message], sent: Sequence[RecordDict] = ()) -> Reduced:
    """Fold the replies to one round's messages, the i-th of them to the i-th message (as `Grid.exchange` gives them).

    `sent` are the messages' contents, for a reduction that needs them.
    """
    folding, places = Fold(reduction), count()
    for reply in replies:
        index = next(places)
        folding.add(index, reply, sent[index] if sent else None)
        del reply  # its memory is given back before the next one comes
    return folding.result()


def matching(reply: Reply, schema: Schema) -> Reply:
    """`reply`, or why it is dropped when its arrays are not of the `schema` that the round's sum has."""
    if reply.schema is None or reply.schema == schema:
        return reply
    return malformed(
        reply.node_id, f"Its arrays differ from those of the other replies: {_difference(reply.schema, schema)}."
    )


def _difference(theirs: Schema, chosen: Schema) -> str:
    for verb, entries, others in (("has", theirs, set(chosen)), ("lacks", chosen, set(theirs))):
        for name, dtype, shape in entries:
            if (name, dtype, shape) not in others:
                return f"it {verb} {name!r} of type {dtype} and shape {shape}"
    return "they are in a different order"


def malformed(node_id: int, reason: str) -> Reply:
    """A reply that was dropped because it does not fit, with the reason."""
    return Reply(node_id, error=Error(ErrorCode.MALFORMED_REPLY, reason))


def without_arrays(content: RecordDict) -> RecordDict:
    """The other records of `content`."""
    rest = RecordDict()
    for key, record in content.items():
        if not isinstance(record, ArrayRecord):
            dict.__setitem__(rest, key, record)
    return rest
