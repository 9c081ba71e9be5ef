"""Averages, and tests with its own random numbers; may raise in a round."""

from __future__ import annotations

import numpy as np

from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging."""
    config = context.run_config
    print("the ServerApp begins")

    def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        if server_round and server_round == config["raise-in-round"]:
            print("no newline at the end", end="")
            raise ValueError("bad batch")
        noise = np.random.standard_normal()  # noqa: NPY002 - what apps use is the global generator
        return MetricRecord({"noise": noise, "mean": float(arrays.to_numpy_ndarrays()[0].mean())})

    FedAvg(fraction_evaluate=0.0).start(
        grid=grid,
        initial_arrays=ArrayRecord([np.zeros(int(config["size"]), np.float32)]),
        num_rounds=int(config["num-server-rounds"]),
        evaluate_fn=evaluate,
    )
