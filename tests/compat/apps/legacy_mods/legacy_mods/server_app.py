"""legacy_mods: a Flower / NumPy app."""

import json
from pathlib import Path

from flwr.common import Context, ndarrays_to_parameters
from flwr.server import Grid, LegacyContext, ServerApp, ServerConfig
from flwr.server.strategy import DifferentialPrivacyClientSideFixedClipping, FedAvg
from flwr.server.workflow import DefaultWorkflow

from legacy_mods.task import get_model

app = ServerApp()


def together(metrics):
    """Each metric of all clients, which are alike here."""
    keys = metrics[0][1].keys()
    return {key: sum(m[key] for _, m in metrics) for key in sorted(keys)}


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    strategy = DifferentialPrivacyClientSideFixedClipping(
        FedAvg(
            initial_parameters=ndarrays_to_parameters(get_model()),
            fit_metrics_aggregation_fn=together,
        ),
        noise_multiplier=0.0,
        clipping_norm=0.4,
        num_sampled_clients=2,
    )
    config = ServerConfig(num_rounds=context.run_config["num-server-rounds"])
    context = LegacyContext(context=context, config=config, strategy=strategy)
    workflow = DefaultWorkflow()
    workflow(grid, context)

    record(
        context,
        losses=context.history.losses_distributed,
        fit=context.history.metrics_distributed_fit,
        model=[array.numpy().tolist() for array in context.state.array_records["parameters"].values()],
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
