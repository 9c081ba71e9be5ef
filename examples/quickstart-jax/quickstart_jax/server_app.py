"""The ServerApp: federated averaging, with a test of the global model after each round."""

from quickstart_jax import task
from quickstart_jax.data import load_split
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Start from random parameters that follow from the run's seed."""
    _, test_data = load_split()

    def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        return MetricRecord(task.evaluate(task.from_arrays(arrays.to_numpy_ndarrays()), *test_data))

    FedAvg().start(
        grid=grid,
        initial_arrays=ArrayRecord(task.to_arrays(task.initial_parameters(grid.run.seed))),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=test,
    )
