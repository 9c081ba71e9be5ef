"""custom_start: a Flower app whose strategy has its own rounds."""

import json
import time
from collections.abc import Callable
from logging import INFO
from pathlib import Path

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Context, MetricRecord
from flwr.common import log
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg, Result
from flwr.serverapp.strategy.strategy_utils import log_strategy_start_info

app = ServerApp()


class CustomFedAvg(FedAvg):
    """FedAvg that remembers the arrays with the lowest loss."""

    best: tuple[float, int] = (float("inf"), 0)

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Callable[[int, ArrayRecord], MetricRecord | None] | None = None,
    ) -> Result:
        """Execute the federated learning strategy."""
        log(INFO, "Starting %s strategy:", self.__class__.__name__)
        log_strategy_start_info(num_rounds, initial_arrays, train_config, evaluate_config)
        self.summary()
        train_config = ConfigRecord() if train_config is None else train_config
        evaluate_config = ConfigRecord() if evaluate_config is None else evaluate_config
        result = Result()
        t_start = time.time()
        arrays = initial_arrays
        for current_round in range(1, num_rounds + 1):
            log(INFO, "[ROUND %s/%s]", current_round, num_rounds)
            train_replies = grid.send_and_receive(
                messages=self.configure_train(current_round, arrays, train_config, grid), timeout=timeout
            )
            agg_arrays, agg_train_metrics = self.aggregate_train(current_round, train_replies)
            if agg_arrays is not None:
                result.arrays = agg_arrays
                arrays = agg_arrays
            if agg_train_metrics is not None:
                result.train_metrics_clientapp[current_round] = agg_train_metrics
            evaluate_replies = grid.send_and_receive(
                messages=self.configure_evaluate(current_round, arrays, evaluate_config, grid), timeout=timeout
            )
            agg_evaluate_metrics = self.aggregate_evaluate(current_round, evaluate_replies)
            if agg_evaluate_metrics is not None:
                result.evaluate_metrics_clientapp[current_round] = agg_evaluate_metrics
            res = evaluate_fn(current_round, arrays)
            result.evaluate_metrics_serverapp[current_round] = res
            if res["loss"] < self.best[0]:
                self.best = res["loss"], current_round
                self.best_arrays = arrays
        log(INFO, "Strategy execution finished in %.2fs", time.time() - t_start)
        return result


def evaluate(server_round: int, arrays: ArrayRecord) -> MetricRecord:
    """The loss is lowest in the second round."""
    return MetricRecord(
        {"loss": abs(server_round - 2.0), "sum": float(sum(a.sum() for a in arrays.to_numpy_ndarrays()))}
    )


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Main entry point for the ServerApp."""
    arrays = ArrayRecord({"w": ArrayRecord([np.ones((2, 3), np.float32)])["0"]})
    strategy = CustomFedAvg()
    result = strategy.start(grid, arrays, num_rounds=3, train_config=ConfigRecord({"lr": 0.3}), evaluate_fn=evaluate)
    record(
        context,
        arrays=result.arrays["0"].numpy().tolist(),
        best=strategy.best,
        best_arrays=strategy.best_arrays["0"].numpy().tolist(),
        server={r: dict(m) for r, m in result.evaluate_metrics_serverapp.items()},
        train={r: dict(m) for r, m in result.train_metrics_clientapp.items()},
        evaluate={r: dict(m) for r, m in result.evaluate_metrics_clientapp.items()},
    )


def record(context: Context, **values) -> None:
    """Write what came out to the file that the run config names."""
    if path := str(context.run_config["result-file"]):
        Path(path).write_text(json.dumps(values))
