"""all_strategies: a Flower app that tries every strategy."""

import json
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import (
    Bulyan,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    MultiKrum,
    QFedAvg,
)

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    no_evaluation = {"fraction_evaluate": 0.0}
    strategies = {
        "FedAvg": FedAvg(1.0, 0.0, 7, 0, 7),
        "FedAvgM": FedAvgM(server_learning_rate=0.8, server_momentum=0.5, **no_evaluation),
        "FedProx": FedProx(proximal_mu=0.1, **no_evaluation),
        "FedAdagrad": FedAdagrad(eta=0.2, **no_evaluation),
        "FedAdam": FedAdam(eta=0.05, **no_evaluation),
        "FedYogi": FedYogi(eta=0.05, **no_evaluation),
        "FedMedian": FedMedian(**no_evaluation),
        "FedTrimmedAvg": FedTrimmedAvg(beta=0.2, **no_evaluation),
        "Krum": Krum(1.0, 0.0, 2, 2, 2, 1),
        "MultiKrum": MultiKrum(1.0, 0.0, 2, 2, 2, 1, 3),
        "Bulyan": Bulyan(1.0, 0.0, 2, 2, 2, 1),
        "QFedAvg": QFedAvg(0.1, 0.2, "train_loss", 1.0, 0.0),
    }
    results = {}
    for name, strategy in strategies.items():
        arrays = ArrayRecord([np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), np.zeros(4, np.float32)])
        result = strategy.start(grid=grid, initial_arrays=arrays, train_config=ConfigRecord({"lr": 0.4}), num_rounds=3)
        results[name] = {"arrays": [array.tolist() for array in result.arrays.to_numpy_ndarrays()]}
        if name not in ("Krum", "MultiKrum", "Bulyan"):  # whose metrics count there is told in the how-to
            results[name]["train"] = {r: dict(m) for r, m in result.train_metrics_clientapp.items()}
    record(context, **results)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
