"""stateful_client: a Flower app whose clients remember."""

import json
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    strategy = FedAvg(min_available_nodes=2)
    result = strategy.start(grid, ArrayRecord({"body": ArrayRecord([np.zeros(4)])["0"]}), num_rounds=4)
    record(
        context,
        body=result.arrays["body"].numpy().tolist(),
        train={r: dict(m) for r, m in result.train_metrics_clientapp.items()},
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
