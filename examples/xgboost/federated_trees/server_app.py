"""The ServerApp: bagging or cyclic training of a forest."""

import numpy as np

from federated_trees import task
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedXgbBagging, FedXgbCyclic

app = ServerApp()
STRATEGIES = {"bagging": FedXgbBagging, "cyclic": FedXgbCyclic}


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Grow a forest from nothing."""
    STRATEGIES[context.run_config["strategy"]]().start(
        grid=grid,
        initial_arrays=ArrayRecord([np.empty(0, np.uint8)]),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=test,
    )


def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """How good a round's forest is for patients that no clinic has."""
    _, x, _, y = task.load_data()
    return MetricRecord(task.evaluate(task.from_bytes(arrays.to_numpy_ndarrays()[0]), x, y))
