"""Result: the outcome of a strategy's rounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.records import MetricRecord, MetricValue

History = dict[int, MetricRecord]


@dataclass(repr=False)
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

    def __repr__(self) -> str:
        histories = {
            "Train metrics, by clients": self.train_metrics_clientapp,
            "Evaluate metrics, by clients": self.evaluate_metrics_clientapp,
            "Evaluate metrics, by the server": self.evaluate_metrics_serverapp,
        }
        lines = [f"Arrays: {len(self.arrays)} ({self.arrays.count_bytes() / 2**20:.3f} MiB)"]
        for title, history in histories.items():
            lines += [f"{title}:{'' if history else ' none'}"]
            lines += [f"  round {server_round}: {_in_words(history[server_round])}" for server_round in sorted(history)]
        if self.best_round is not None:
            lines.append(f"Best round: {self.best_round}")
        if self.stopped_early is not None:
            lines.append(f"Stopped early: {self.stopped_early}")
        return "\n".join(lines)


def _in_words(metrics: MetricRecord) -> str:
    return ", ".join(f"{key} {_number(value)}" for key, value in metrics.items()) or "none"


def _number(value: MetricValue) -> str:
    return f"[{', '.join(map(_number, value))}]" if isinstance(value, list) else f"{value:.5g}"
