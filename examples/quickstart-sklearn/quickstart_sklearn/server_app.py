"""The ServerApp: federated averaging with a central test."""

from quickstart_sklearn import task
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging."""
    FedAvg().start(
        grid=grid,
        initial_arrays=ArrayRecord(task.initial_weights()),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=test,
    )


def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """The accuracy of a round's model on images that no client has."""
    _, x, _, y = task.load_data()
    return MetricRecord(task.evaluate(arrays.to_numpy_ndarrays(), x, y))
