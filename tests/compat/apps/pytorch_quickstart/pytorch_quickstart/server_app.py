"""pytorch_quickstart: a Flower / PyTorch app."""

import json
from pathlib import Path

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from pytorch_quickstart.task import Net, load_centralized_dataset, test

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    fraction_evaluate: float = context.run_config["fraction-evaluate"]
    num_rounds: int = context.run_config["num-server-rounds"]
    lr: float = context.run_config["learning-rate"]

    torch.manual_seed(0)
    global_model = Net()
    arrays = ArrayRecord(global_model.state_dict())

    def global_evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
        """Evaluate the one global model on data of the server."""
        global_model.load_state_dict(arrays.to_torch_state_dict())
        loss, accuracy = test(global_model, load_centralized_dataset())
        return MetricRecord({"accuracy": accuracy, "loss": loss})

    strategy = FedAvg(fraction_evaluate=fraction_evaluate)
    result = strategy.start(
        grid=grid,
        initial_arrays=arrays,
        train_config=ConfigRecord({"lr": lr}),
        num_rounds=num_rounds,
        evaluate_fn=global_evaluate,
    )

    state_dict = result.arrays.to_torch_state_dict()
    record(
        context,
        keys=list(state_dict),
        dtypes=[str(tensor.dtype) for tensor in state_dict.values()],
        arrays={name: tensor.flatten().tolist() for name, tensor in state_dict.items()},
        train={r: dict(m) for r, m in result.train_metrics_clientapp.items()},
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
        server={r: dict(m) for r, m in result.evaluate_metrics_serverapp.items()},
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
