"""numpy_quickstart: a Flower / NumPy app."""

import json
from pathlib import Path

from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from numpy_quickstart.task import get_model, load_data, loss

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    num_rounds: int = context.run_config["num-server-rounds"]
    train_config = ConfigRecord({"lr": context.run_config["learning-rate"]})

    strategy = FedAvg(fraction_evaluate=1.0)
    result = strategy.start(
        grid=grid,
        initial_arrays=ArrayRecord(get_model()),
        train_config=train_config,
        num_rounds=num_rounds,
        evaluate_fn=global_evaluate,
    )

    print(result)
    record(
        context,
        arrays={name: array.numpy().tolist() for name, array in result.arrays.items()},
        train={r: dict(m) for r, m in result.train_metrics_clientapp.items()},
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
        server={r: dict(m) for r, m in result.evaluate_metrics_serverapp.items()},
        config=dict(train_config),
    )


def global_evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """Evaluate the global model on data of the server."""
    x, y = load_data(99)
    return MetricRecord({"loss": loss(arrays.to_numpy_ndarrays(), x, y)})


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
