"""Quantisation of arrays and metrics, and their packing into one vector."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from umbel.app.array import storage_dtype
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import MetricRecord, MetricValue, stored, widened
from umbel.errors import ConfigError

_BLOCK = 32_768  # numbers worked on at a time: they stay in the processor's cache


@dataclass(frozen=True)
class Quantizer:
    """Numbers in ±`clipping_range` as integers in ±`half`."""

    clipping_range: float
    half: int

    @property
    def step(self) -> float:
        """The distance of two numbers that can be told apart; twice the largest error."""
        return self.clipping_range / self.half

    def encode(self, values: NDArray[Any], weight: int, out: NDArray[Any]) -> int:
        """Write weight · q of each of the `values` (flat, real) to `out` (flat, uint32 or uint64), negative ones as the complement.

        Returns how many were clipped. Raises ValueError for NaN and infinity.
        """
        clipped = 0
        for start in range(0, values.size, _BLOCK):
            part = values[start : start + _BLOCK].astype(np.float64)
            part /= self.step
            if not np.isfinite(part).all():
                raise ValueError("NaN and infinity cannot be summed securely.")
            np.rint(part, out=part)
            clipped += int(np.count_nonzero(np.abs(part) > self.half))
            np.clip(part, -self.half, self.half, out=part)
            integers = part.astype(np.int64)
            integers *= weight
            out[start : start + _BLOCK] = integers.astype(out.dtype)  # wraps around
        return clipped

    def decode(self, sums: NDArray[Any]) -> NDArray[np.float64]:
        """The sums times `step`, of sums as `encode` wrote them."""
        signed: NDArray[Any] = sums.view(np.int32 if sums.dtype == np.uint32 else np.int64)
        decoded: NDArray[np.float64] = np.multiply(signed, self.step, dtype=np.float64)
        return decoded


def half_range(quantization_range: int) -> int:
    """The largest integer that represents a number with this number of levels. Raises ConfigError."""
    if not 8 <= quantization_range <= 2**52:
        raise ConfigError(f"quantization_range must be from 8 to 2**52, not {quantization_range}.")
    return quantization_range // 2 - 1


def modulus_dtype(num_nodes: int, max_weight: int, half: int) -> np.dtype[Any]:
    """uint32 where the largest possible sum fits into it, else uint64. Raises ConfigError when it does not fit into that either."""
    largest = num_nodes * max_weight * half
    for name, limit in (("uint32", 2**31), ("uint64", 2**63)):
        if largest < limit:
            return np.dtype(name)
    raise ConfigError(
        f"The sum of {num_nodes} nodes with weights up to {max_weight} does not fit into 64 bits.",
        hint="Lower max_weight or quantization_range of SecAggPlus.",
    )


_TAIL = 2  # the weight and the number of clipped numbers


@dataclass(frozen=True)
class Encoding:
    """How numbers become integers: see `umbel.privacy.secagg.quantization`. `modulus` is uint32 or uint64."""

    modulus: str
    half: int
    max_weight: int
    clipping_range: float
    metrics_clipping_range: float

    def of(self, dtype: str) -> Quantizer:
        """For an array of this type; whole numbers and booleans are kept as they are, within ±half."""
        inexact = dtype.startswith(("float", "bfloat", "complex"))
        return Quantizer(self.clipping_range if inexact else float(self.half), self.half)

    def of_metrics(self) -> Quantizer:
        """For metrics."""
        return Quantizer(self.metrics_clipping_range, self.half)


class Tensor(NamedTuple):
    """One array in a form."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many numbers it adds to the vector; a complex one counts as two."""
        return math.prod(self.shape) * (2 if self.dtype == "complex64" else 1)


@dataclass(frozen=True)
class Form:
    """What lies where in a vector; it says nothing of the numbers. `metrics` are names and lengths, None for a single number."""

    tensors: tuple[Tensor, ...]
    metrics: tuple[tuple[str, int | None], ...]

    @property
    def size(self) -> int:
        """The length of the vector."""
        lengths = (1 if length is None else length for _, length in self.metrics)
        return sum(tensor.size for tensor in self.tensors) + sum(lengths) + _TAIL

    def dump(self) -> str:
        """The form as a text, the same for the same form."""
        return json.dumps([self.tensors, self.metrics])


def load_form(text: str) -> Form:
    """The form that `dump` gave. Raises ValueError for any other text."""
    try:
        tensors, metrics = json.loads(text)
        form = Form(
            tuple(Tensor(str(name), str(dtype), tuple(map(int, shape))) for name, dtype, shape in tensors),
            tuple((str(name), None if length is None else int(length)) for name, length in metrics),
        )
        for tensor in form.tensors:
            storage_dtype(tensor.dtype)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"Invalid description of a reply: {error}") from error
    return form


def pack(arrays: ArrayRecord, metrics: MetricRecord, weight: float, encoding: Encoding) -> tuple[NDArray[Any], Form]:
    """The vector of a reply, and its form. Raises ValueError for a weight that cannot be used, NaN and infinity, naming them."""
    whole = _whole(weight, encoding.max_weight)
    form = Form(
        tuple(Tensor(name, array.dtype, array.shape) for name, array in arrays.items()),
        tuple((name, len(value) if isinstance(value, list) else None) for name, value in metrics.items()),
    )
    vector = np.empty(form.size, encoding.modulus)
    start = clipped = 0
    for name, dtype, values in _parts(arrays, metrics):
        quantizer = encoding.of(dtype) if dtype else encoding.of_metrics()
        try:
            clipped += quantizer.encode(values, whole, vector[start : start + values.size])
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        start += values.size
    vector[start:] = whole, min(clipped, encoding.half)
    return vector, form


def _parts(arrays: ArrayRecord, metrics: MetricRecord) -> Iterator[tuple[str, str, NDArray[Any]]]:
    for name, array in arrays.items():
        yield f"Array {name!r}", array.dtype, widened(array.dtype, stored(array))
    for name, value in metrics.items():
        yield f"Metric {name!r}", "", np.array(value, np.float64).reshape(-1)


def _whole(weight: float, most: int) -> int:
    if not (0 <= weight <= most and float(weight).is_integer()):
        raise ValueError(
            f"Its weight is {weight}: for secure aggregation it must be an integer from 0 to {most} (max_weight)."
        )
    return int(weight)


@dataclass
class Sums:
    """What a sum of vectors says: Σ weight · array for each tensor (flat, float64), Σ weight · metric, Σ weight, and how many numbers were clipped."""

    arrays: list[NDArray[np.float64]]
    metrics: dict[str, MetricValue]
    weight: int
    clipped: int


def unpack(total: NDArray[Any], form: Form, encoding: Encoding) -> Sums:
    """The sums in a sum of vectors of one form."""
    start = 0
    arrays: list[NDArray[np.float64]] = []
    metrics: dict[str, MetricValue] = {}
    for tensor in form.tensors:
        arrays.append(encoding.of(tensor.dtype).decode(total[start : start + tensor.size]))
        start += tensor.size
    for name, length in form.metrics:
        end = start + (1 if length is None else length)
        values: list[float] = encoding.of_metrics().decode(total[start:end]).tolist()
        metrics[name] = values[0] if length is None else values
        start = end
    weight, clipped = total[-_TAIL:].tolist()
    return Sums(arrays, metrics, weight, clipped)


def mean_metrics(sums: Sums) -> MetricRecord:
    """The weighted means of the metrics; none when the weights sum to 0."""
    if not sums.weight:
        return MetricRecord()
    return MetricRecord({name: _divided(value, sums.weight) for name, value in sums.metrics.items()})


def _divided(value: MetricValue, by: int) -> MetricValue:
    return [each / by for each in value] if isinstance(value, Sequence) else value / by
