"""custom_strategy: a Flower app with a strategy of its own."""

import json
from collections.abc import Iterable
from logging import INFO
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.common import log
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAdagrad

app = ServerApp()


class CustomFedAdagrad(FedAdagrad):
    """FedAdagrad whose learning rate is halved every second round."""

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Configure the next round of federated training and maybe do LR decay."""
        if server_round % 2 == 0:
            config["lr"] *= 0.5
            log(INFO, "LR decreased to: %s", config["lr"])
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Aggregate, and add what the replies look like."""
        self.seen = [reply.metadata.message_type for reply in replies if reply.has_content()]
        largest = max(len(reply.content.array_records["arrays"]) for reply in replies)
        arrays, metrics = super().aggregate_train(server_round, replies)
        metrics["replies"] = len(self.seen)
        metrics["largest"] = largest
        return arrays, metrics


def weighted_average(records: list[RecordDict], weighting_metric_name: str) -> MetricRecord:
    """The weighted mean and the extremes of the losses."""
    losses = [record["metrics"]["eval_loss"] for record in records]
    weights = [record["metrics"][weighting_metric_name] for record in records]
    mean = sum(loss * weight for loss, weight in zip(losses, weights, strict=True)) / sum(weights)
    return MetricRecord({"mean": mean, "range": [min(losses), max(losses)]})


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    arrays = ArrayRecord([np.ones((2, 3), np.float32), np.zeros(4, np.float32)])
    strategy = CustomFedAdagrad(eta=0.5, evaluate_metrics_aggr_fn=weighted_average)
    config = ConfigRecord({"lr": context.run_config["lr"]})
    result = strategy.start(grid=grid, initial_arrays=arrays, train_config=config, num_rounds=4)
    record(
        context,
        arrays={name: array.numpy().tolist() for name, array in result.arrays.items()},
        train={r: dict(m) for r, m in result.train_metrics_clientapp.items()},
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
        config=dict(config),
        seen=strategy.seen,
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
