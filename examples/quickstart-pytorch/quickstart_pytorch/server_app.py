"""The ServerApp: federated averaging with a central test."""

from quickstart_pytorch import task
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging, with a few of the clients in each round, from weights that follow from the run's seed."""
    data = task.load_test(context.run_config["dataset"])

    def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model = task.Net()
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord(task.evaluate(model, data))

    fraction = context.run_config["fraction-train"]
    FedAvg(fraction_train=fraction, fraction_evaluate=fraction).start(
        grid=grid,
        initial_arrays=ArrayRecord(task.Net().state_dict()),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=test,
    )
