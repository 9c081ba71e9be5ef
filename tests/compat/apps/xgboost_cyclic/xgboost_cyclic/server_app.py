"""xgboost_cyclic: a Flower / XGBoost app."""

import json
from pathlib import Path

import numpy as np
import xgboost as xgb
from flwr.app import ArrayRecord, Context
from flwr.common.config import unflatten_dict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedXgbCyclic

from xgboost_cyclic.task import load_data, replace_keys

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    num_rounds = context.run_config["num-server-rounds"]
    cfg = replace_keys(unflatten_dict(context.run_config))

    # Init global model: it will be an empty array first
    global_model = b""
    arrays = ArrayRecord([np.frombuffer(global_model, dtype=np.uint8)])

    strategy = FedXgbCyclic()
    result = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=num_rounds)

    bst = xgb.Booster(params=cfg["params"])
    bst.load_model(bytearray(result.arrays["0"].numpy().tobytes()))
    record(
        context,
        rounds=bst.num_boosted_rounds(),
        trees=len(bst.get_dump()),
        predictions=bst.predict(load_data(99)).tolist()[:20],
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
