"""What a strategy's rounds ended with."""

from __future__ import annotations

from dataclasses import dataclass, field

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.metricrecord import MetricRecord

History = dict[int, MetricRecord]


@dataclass
class Result:
    """The final arrays, and the metrics of each round (round 0 is the evaluation of the initial arrays by `evaluate_fn`).

    `best_arrays` are those of `best_round` when a BestModel callback chose one. `stopped_early` says why a callback ended
    the rounds before the last; None when none did.
    """

    arrays: ArrayRecord = field(default_factory=ArrayRecord)
    train_metrics_clientapp: History = field(default_factory=dict)
    evaluate_metrics_clientapp: History = field(default_factory=dict)
    evaluate_metrics_serverapp: History = field(default_factory=dict)
    best_round: int | None = None
    best_arrays: ArrayRecord | None = None
    stopped_early: str | None = None
