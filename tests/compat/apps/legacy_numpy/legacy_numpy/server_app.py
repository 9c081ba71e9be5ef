"""legacy_numpy: a Flower / NumPy app."""

import json
from pathlib import Path

from flwr.common import Context, Metrics
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg

from legacy_numpy.task import load_data, loss


def weighted_average(metrics: list[tuple[int, Metrics]]) -> Metrics:
    """The mean of each metric that is a number, weighted by the numbers of examples."""
    total = sum(num_examples for num_examples, _ in metrics)
    keys = [key for key, value in metrics[0][1].items() if isinstance(value, float)]
    means = {key: sum(n * m[key] for n, m in metrics) / total for key in keys}
    return {**means, "examples": total, "types": " ".join(sorted(type(v).__name__ for v in metrics[0][1].values()))}


def server_fn(context: Context):
    """Construct components that set the ServerApp behaviour."""
    seen = {"server": {}, "train": [], "evaluate": []}

    def keep(phase: str):
        def aggregate(metrics: list[tuple[int, Metrics]]) -> Metrics:
            seen[phase].append(weighted_average(metrics))
            record(context, **seen)
            return seen[phase][-1]

        return aggregate

    def evaluate(server_round: int, parameters, config):
        x, y = load_data(9)
        seen["server"][server_round] = {"model": [array.tolist() for array in parameters]}
        return loss(parameters, x, y), {"round": server_round}

    strategy = FedAvg(
        min_available_clients=2,
        on_fit_config_fn=lambda server_round: {"lr": 0.1 / server_round, "round": server_round},
        evaluate_fn=evaluate,
        fit_metrics_aggregation_fn=keep("train"),
        evaluate_metrics_aggregation_fn=keep("evaluate"),
    )
    config = ServerConfig(num_rounds=context.run_config["num-server-rounds"])
    return ServerAppComponents(strategy=strategy, config=config)


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))


app = ServerApp(server_fn=server_fn)
