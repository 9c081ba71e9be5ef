"""The ServerApp: federated averaging, with a test of the global model after each round."""

from quickstart_lightning import task
from quickstart_lightning.data import load_split
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Start from random weights: Umbel has seeded PyTorch from the run's seed."""
    model = task.make_model(context.run_config["learning-rate"])
    _, test_data = load_split()

    def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord(task.evaluate(model, *test_data))

    FedAvg().start(
        grid=grid,
        initial_arrays=ArrayRecord(model.state_dict()),
        num_rounds=context.run_config["num-server-rounds"],
        evaluate_fn=test,
    )
