"""Weighted sums of arrays, folded along a binary tree of fixed shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import BFLOAT16, Array, bfloat16_to_float32, float32_to_bfloat16, storage_dtype
from umbel.app.arrayrecord import ArrayRecord

P = TypeVar("P")


class SumTree(Generic[P]):
    """Sums partial results along the tree, each as soon as its sibling is there.

    Fed in index order it holds at most log2(n) + 1 partial sums. A leaf is put at most once, alone or inside a subtree;
    None stands for one that is missing, and lets its sibling's sum move on at once.
    """

    def __init__(self, add: Callable[[P, P], P]) -> None:
        """`add(left, right)` gives their sum and may reuse the memory of either."""
        self._add = add
        self._pending: dict[tuple[int, int], P | None] = {}

    def put(self, level: int, position: int, partial: P | None) -> None:
        """The sum of leaves [position·2^level, (position + 1)·2^level) is `partial`."""
        while (level, position ^ 1) in self._pending:
            sibling = self._pending.pop((level, position ^ 1))
            partial = self._sum(sibling, partial) if position & 1 else self._sum(partial, sibling)
            level, position = level + 1, position >> 1
        self._pending[level, position] = partial

    def _sum(self, left: P | None, right: P | None) -> P | None:
        if left is None or right is None:
            return right if left is None else left
        return self._add(left, right)

    def parts(self) -> list[tuple[int, int, P | None]]:
        """The sums there are, as (level, position, sum): the input of `put` for another tree that is to resume from here. Empties the tree."""
        parts = [(level, position, partial) for (level, position), partial in self._pending.items()]
        self._pending.clear()
        return parts

    def result(self) -> P | None:
        """The sum of all leaves, None when all are missing. What was never put is missing. Empties the tree."""
        while len(self._pending) > 1:
            level, position = min(self._pending)
            self.put(level + 1, position >> 1, self._pending.pop((level, position)))  # its sibling is missing
        _, total = self._pending.popitem() if self._pending else (None, None)
        return total


def subtree(index: int, remaining: int, largest: int) -> int:
    """Level of the largest subtree that begins at leaf `index`, has at most `remaining` leaves and at most 2^`largest`."""
    aligned = (index & -index).bit_length() - 1 if index else largest
    return min(aligned, remaining.bit_length() - 1, largest)


Schema = tuple[tuple[str, str, tuple[int, ...]], ...]
Buffer = NDArray[np.uint8]
Allocate = Callable[[int], Buffer]

# Elements worked on at a time: a block and what is computed from it stay in the processor's cache.
_BLOCK = 32_768
_DOT_BELOW = 8_192  # elements; larger products are spread over threads
# Types summed in 32-bit floats, as they are used in training; all others are summed in 64 bits.
_SINGLE = frozenset({"float16", BFLOAT16, "float32", "complex64"})


class Slot(NamedTuple):
    """Where a tensor's accumulator lies in the buffer: `start` and `stop` count its floats of type `dtype`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    single: bool
    start: int
    stop: int


@dataclass(frozen=True)
class Layout:
    """Where the accumulators of a model lie: all 64-bit ones first, then all 32-bit ones."""

    slots: tuple[Slot, ...]
    doubles: int
    singles: int

    @property
    def nbytes(self) -> int:
        """Size of the buffer in bytes."""
        return 8 * self.doubles + 4 * self.singles


@lru_cache(maxsize=64)
def layout_of(schema: Schema) -> Layout:
    """The layout for models of this schema."""
    ends = {True: 0, False: 0}
    slots = []
    for name, dtype, shape in schema:
        single = dtype in _SINGLE
        start = ends[single]
        ends[single] += math.prod(shape) * (2 if dtype == "complex64" else 1)
        slots.append(Slot(name, dtype, shape, single, start, ends[single]))
    return Layout(tuple(slots), doubles=ends[False], singles=ends[True])


def allocate(nbytes: int) -> Buffer:
    """Plain memory for a sum."""
    return np.empty(nbytes, dtype=np.uint8)


class BufferPool:
    """Plain memory that is used again: new pages from the system cost a large sum more than its arithmetic."""

    def __init__(self) -> None:
        """Nothing to spare yet."""
        self._buffers: list[Buffer] = []

    def allocate(self, nbytes: int) -> Buffer:
        """A buffer of `nbytes` bytes with any content."""
        for index, buffer in enumerate(self._buffers):
            if buffer.nbytes == nbytes:
                return self._buffers.pop(index)
        return allocate(nbytes)

    def take_back(self, buffer: Buffer) -> None:
        """Return a buffer to the pool. A buffer in foreign memory, such as a worker's, is not kept."""
        if buffer.base is None:
            self._buffers.append(buffer)


class WeightedSum:
    """Σ weight · model over some models of one schema, with Σ weight and how many they are."""

    __slots__ = ("buffer", "count", "doubles", "first", "schema", "singles", "weight")

    def __init__(self, schema: Schema, buffer: Buffer, weight: float, count: int, first: int) -> None:
        """`buffer` holds the sums in the layout of `schema`; `first` is the lowest dispatch index in it."""
        split = 8 * layout_of(schema).doubles
        self.schema = schema
        self.buffer = buffer
        self.doubles = buffer[:split].view(np.float64)
        self.singles = buffer[split:].view(np.float32)
        self.weight = weight
        self.count = count
        self.first = first

    @classmethod
    def of(cls, arrays: ArrayRecord, weight: float, index: int, allocate: Allocate = allocate) -> WeightedSum:
        """The sum of this one model. Raises ValueError, naming the tensor, when it holds NaN or infinity, or does times its weight."""
        schema = arrays.schema()
        layout = layout_of(schema)
        new = cls(schema, allocate(layout.nbytes), weight, 1, index)
        with np.errstate(over="ignore", invalid="ignore"):  # found below, and told with the tensor's name
            for slot in layout.slots:
                target = (new.singles if slot.single else new.doubles)[slot.start : slot.stop]
                _weigh(slot, arrays[slot.name], weight, target)
        return new

    def add(self, other: WeightedSum) -> WeightedSum:
        """This sum with `other` added to it, in place; both are of one schema."""
        with np.errstate(over="ignore"):
            if self.doubles.size:
                np.add(self.doubles, other.doubles, out=self.doubles)
            if self.singles.size:
                np.add(self.singles, other.singles, out=self.singles)
        self.weight += other.weight
        self.count += other.count
        self.first = min(self.first, other.first)
        return self

    def mean(self) -> ArrayRecord:
        """The weighted mean, each tensor in its own type (whole numbers rounded to nearest).

        Raises ValueError when the weights do not sum to a finite number above 0.
        """
        if not 0 < self.weight < math.inf:
            raise ValueError(f"The weights of all replies sum to {self.weight}, so a mean does not exist.")
        record = ArrayRecord()
        for slot in layout_of(self.schema).slots:
            sums = (self.singles if slot.single else self.doubles)[slot.start : slot.stop]
            record[slot.name] = _as_array(slot, sums / sums.dtype.type(self.weight))
        return record


def _weigh(slot: Slot, array: Array, weight: float, target: NDArray[Any]) -> None:
    source = array.storage.reshape(-1)
    if slot.dtype == "complex64":
        source = source.view(np.float32)
    if source.size <= _BLOCK:
        _weigh_block(slot, source, weight, target)
        return
    for block in blocks(source.size):
        _weigh_block(slot, source[block], weight, target[block])


def _weigh_block(slot: Slot, source: NDArray[Any], weight: float, target: NDArray[Any]) -> None:
    values = bfloat16_to_float32(source) if slot.dtype == BFLOAT16 else source
    np.multiply(values, weight, out=target, dtype=target.dtype, casting="same_kind")
    # Any NaN or infinity shows in a sum, or in the quicker product with itself of what is small.
    shown = target.dot(target) if target.size <= _DOT_BELOW else np.add.reduce(target)
    if not math.isfinite(shown) and not np.isfinite(target).all():
        raise ValueError(f"Array {slot.name!r} contains NaN or infinity.")


def blocks(size: int) -> Iterator[slice]:
    """Slices that divide `size` elements into blocks that fit the processor's cache."""
    for start in range(0, size, _BLOCK):
        yield slice(start, min(start + _BLOCK, size))


def _as_array(slot: Slot, values: NDArray[Any]) -> Array:
    if slot.dtype == BFLOAT16:
        stored: NDArray[Any] = float32_to_bfloat16(values)
    elif slot.dtype == "complex64":
        stored = values.view(np.complex64)
    elif np.issubdtype(storage_dtype(slot.dtype), np.floating):
        stored = values.astype(slot.dtype, copy=False)
    else:
        stored = np.rint(values).astype(slot.dtype)
    return Array.from_storage(slot.dtype, stored.reshape(slot.shape))
