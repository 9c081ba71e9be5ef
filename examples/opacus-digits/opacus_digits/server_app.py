"""The ServerApp: federated averaging and the privacy spent."""

from opacus_digits import task
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run federated averaging."""
    initial = ArrayRecord(task.make_model().state_dict())
    FedAvg(fraction_evaluate=0).start(grid, initial, context.run_config["num-server-rounds"], evaluate_fn=test)


def test(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """The accuracy on images that no site has."""
    _, x, _, y = task.load_data()
    model = task.make_model()
    model.load_state_dict(arrays.to_torch_state_dict())
    return MetricRecord({"accuracy": task.accuracy(model, x, y)})
