"""History: losses and metrics of a run, round by round."""

from __future__ import annotations

import pprint

from umbel.compat.flwr.legacy.typing import Metrics, Scalar

__all__ = ["History"]

_Losses = list[tuple[int, float]]
_Series = dict[str, list[tuple[int, Scalar]]]


class History:
    """Pairs (round, value). "distributed" is what clients measured, "centralized" what the strategy's `evaluate` did."""

    def __init__(self) -> None:
        """Nothing measured yet."""
        self.losses_distributed: _Losses = []
        self.losses_centralized: _Losses = []
        self.metrics_distributed_fit: _Series = {}
        self.metrics_distributed: _Series = {}
        self.metrics_centralized: _Series = {}

    def add_loss_distributed(self, server_round: int, loss: float) -> None:
        """The clients' mean loss."""
        self.losses_distributed.append((server_round, loss))

    def add_loss_centralized(self, server_round: int, loss: float) -> None:
        """The loss at the server."""
        self.losses_centralized.append((server_round, loss))

    def add_metrics_distributed_fit(self, server_round: int, metrics: Metrics) -> None:
        """The metrics of the clients' training."""
        _add(self.metrics_distributed_fit, server_round, metrics)

    def add_metrics_distributed(self, server_round: int, metrics: Metrics) -> None:
        """The metrics of the clients' evaluation."""
        _add(self.metrics_distributed, server_round, metrics)

    def add_metrics_centralized(self, server_round: int, metrics: Metrics) -> None:
        """The metrics at the server."""
        _add(self.metrics_centralized, server_round, metrics)

    def __repr__(self) -> str:
        losses = [("distributed", self.losses_distributed), ("centralized", self.losses_centralized)]
        series = [
            ("distributed, fit", self.metrics_distributed_fit),
            ("distributed, evaluate", self.metrics_distributed),
            ("centralized", self.metrics_centralized),
        ]
        lines = []
        for what, pairs in losses:
            if pairs:
                lines += [f"History (loss, {what}):", *(f"\tround {number}: {loss}" for number, loss in pairs)]
        lines += [f"History (metrics, {what}):\n{pprint.pformat(values)}" for what, values in series if values]
        return "\n".join(lines)


def _add(series: _Series, server_round: int, metrics: Metrics) -> None:
    for key, value in metrics.items():
        series.setdefault(key, []).append((server_round, value))
