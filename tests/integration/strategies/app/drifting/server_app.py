"""Runs the strategy that the run's configuration names."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from umbel.app import ArrayRecord, Context
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import (
    Bulyan,
    DifferentialPrivacyServerSideAdaptiveClipping,
    FedAdam,
    FedAvg,
    FedDyn,
    FedNova,
    QFedAvg,
    Scaffold,
    Strategy,
)

STRATEGIES: dict[str, Callable[[], Strategy]] = {
    "scaffold": lambda: Scaffold(fraction_train=0.8, fraction_evaluate=0.0),
    "feddyn": lambda: FedDyn(fraction_train=0.8, fraction_evaluate=0.0, alpha=0.5),
    "fednova": lambda: FedNova(fraction_evaluate=0.0),
    "fedadam": lambda: FedAdam(fraction_evaluate=0.0),
    "qfedavg": lambda: QFedAvg(fraction_evaluate=0.0, client_learning_rate=0.1, q=1.0),
    "bulyan": lambda: Bulyan(fraction_evaluate=0.0, num_malicious_nodes=2),
    "private": lambda: DifferentialPrivacyServerSideAdaptiveClipping(
        FedAvg(fraction_evaluate=0.0), noise_multiplier=0.5, num_sampled_clients=11, seed=1
    ),
}

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Five rounds."""
    strategy = STRATEGIES[str(context.run_config["strategy"])]()
    strategy.start(grid, ArrayRecord([np.linspace(-1, 1, 20_000, dtype=np.float32)]), 5)
