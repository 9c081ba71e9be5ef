"""The unweighted mean, of replies whose metrics are weighted all the same."""

from __future__ import annotations

from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.serverapp.reduction import WeightedMean


@dataclass(frozen=True)
class UnweightedMean(WeightedMean):
    """As WeightedMean, but each model counts the same. The reply must hold its number of examples, to weigh its metrics by."""

    def weigh(self, content: RecordDict) -> tuple[ArrayRecord, float]:
        """See `Reduction.weigh`."""
        arrays, _ = super().weigh(content)
        return arrays, 1.0
