"""legacy_strategies: a Flower / NumPy app."""

import json
from pathlib import Path

from flwr.common import Context, ndarrays_to_parameters
from flwr.server import Grid, LegacyContext, ServerApp, ServerConfig
from flwr.server.strategy import (
    Bulyan,
    FaultTolerantFedAvg,
    FedAdagrad,
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    QFedAvg,
)
from flwr.server.workflow import DefaultWorkflow

from legacy_strategies.task import get_model, load_data, loss

app = ServerApp()


def evaluate(server_round, parameters, config):
    """The loss on data of the server."""
    return loss(parameters, *load_data(9)), {}


def strategies():
    """A strategy of each kind, by name."""

    def common():
        return {"initial_parameters": ndarrays_to_parameters(get_model()), "evaluate_fn": evaluate}

    return {
        "bulyan": Bulyan(to_keep=0, **common()),
        "fault-tolerant": FaultTolerantFedAvg(**common()),
        "fedadagrad": FedAdagrad(**common()),
        "fedadam": FedAdam(**common()),
        "fedavg": FedAvg(**common()),
        "fedavg-copying": FedAvg(inplace=False, **common()),
        "fedavgm": FedAvgM(server_learning_rate=0.7, server_momentum=0.5, **common()),
        "fedavgm-plain": FedAvgM(**common()),
        "fedmedian": FedMedian(**common()),
        "fedprox": FedProx(proximal_mu=0.1, **common()),
        "fedtrimmedavg": FedTrimmedAvg(beta=0.3, **common()),
        "fedyogi": FedYogi(**common()),
        "krum": Krum(num_malicious_clients=1, **common()),
        "multikrum": Krum(num_malicious_clients=1, num_clients_to_keep=3, **common()),
        "qfedavg": QFedAvg(**common()),
    }


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    config = ServerConfig(num_rounds=context.run_config["num-server-rounds"])
    found = {}
    for name, strategy in strategies().items():
        legacy = LegacyContext(context=context, config=config, strategy=strategy)
        DefaultWorkflow()(grid, legacy)
        found[name] = {
            "model": [array.numpy().tolist() for array in legacy.state.array_records["parameters"].values()],
            "losses": legacy.history.losses_distributed,
            "central": legacy.history.losses_centralized,
        }
    record(context, **found)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
