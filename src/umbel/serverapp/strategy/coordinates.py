"""Rules that make each element of the new model from that element of all models, by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.elements import Floats, as_array, narrowed, stored, widened

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
