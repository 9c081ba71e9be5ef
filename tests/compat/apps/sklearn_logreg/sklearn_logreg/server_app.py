"""sklearn_logreg: a Flower / scikit-learn app."""

import json
from pathlib import Path

from flwr.app import ArrayRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from sklearn_logreg.task import create_model, get_params

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    num_rounds = context.run_config["num-server-rounds"]
    model = create_model(context.run_config["penalty"], context.run_config["local-epochs"])
    arrays = ArrayRecord(get_params(model))

    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=1.0)
    result = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=num_rounds)

    coefficients = result.arrays["0"].numpy()
    record(
        context,
        shapes=[list(array.shape) for array in result.arrays.values()],
        coefficients=coefficients[:, ::8].tolist(),
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
