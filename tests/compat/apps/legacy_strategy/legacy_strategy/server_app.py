"""legacy_strategy: a Flower / NumPy app."""

import json
from pathlib import Path

from flwr.common import Context, ndarrays_to_parameters
from flwr.server import Server, ServerApp, ServerAppComponents, ServerConfig, SimpleClientManager

from legacy_strategy.strategy import SlowingFedAvg
from legacy_strategy.task import get_model


class RecordingServer(Server):
    """Records what the run came to."""

    def __init__(self, *, context, client_manager, strategy):
        super().__init__(client_manager=client_manager, strategy=strategy)
        self.context = context
        self.models = []

    def fit(self, num_rounds, timeout):
        history, elapsed = super().fit(num_rounds, timeout)
        record(
            self.context,
            losses=history.losses_distributed,
            central=history.losses_centralized,
            fit=history.metrics_distributed_fit,
            seen=self.strategy.seen,
            models=self.models,
        )
        return history, elapsed


def server_fn(context: Context):
    """Construct components that set the ServerApp behaviour."""

    def evaluate(server_round, parameters, config):
        server.models.append([array.tolist() for array in parameters])
        return float(server_round), {}

    strategy = SlowingFedAvg(evaluate_fn=evaluate, initial_parameters=ndarrays_to_parameters(get_model()))
    server = RecordingServer(context=context, client_manager=SimpleClientManager(), strategy=strategy)
    return ServerAppComponents(server=server, config=ServerConfig(num_rounds=context.run_config["num-server-rounds"]))


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))


app = ServerApp(server_fn=server_fn)
