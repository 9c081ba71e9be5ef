"""dp_clipping: a Flower app with differential privacy."""

import json
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import (
    DifferentialPrivacyClientSideFixedClipping,
    DifferentialPrivacyServerSideFixedClipping,
    FedAvg,
)

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    results = {}
    for wrapper in (DifferentialPrivacyServerSideFixedClipping, DifferentialPrivacyClientSideFixedClipping):
        strategy = wrapper(
            FedAvg(fraction_evaluate=0.0, min_train_nodes=3, min_available_nodes=3),
            noise_multiplier=0.0,
            clipping_norm=0.7,
            num_sampled_clients=3,
        )
        arrays = ArrayRecord([np.ones((2, 3), np.float32), np.zeros(4, np.float32)])
        result = strategy.start(grid=grid, initial_arrays=arrays, train_config=ConfigRecord({"lr": 0.5}), num_rounds=2)
        results[wrapper.__name__] = [array.tolist() for array in result.arrays.to_numpy_ndarrays()]
    record(context, **results)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
