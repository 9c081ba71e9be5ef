"""The server: plain FedAvg, tested on MNIST's test set after each round, until the target is reached."""

from __future__ import annotations

from typing import Any

from fedavg_paper import data, mlp
from umbel.app import ArrayRecord, Context, MetricRecord
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import Callback, FedAvg, RoundResult

WIDTHS = [784, 200, 200, 10]  # 199,210 weights

app = ServerApp()


class TargetReached(Callback):
    """Ends the run when the test accuracy has reached the target."""

    def __init__(self, accuracy: float) -> None:
        self.accuracy = accuracy

    def on_round_end(self, progress: RoundResult) -> bool:
        """Stop at the target accuracy."""
        reached = progress.number("server/accuracy")
        return reached is not None and reached >= self.accuracy

    @property
    def reason(self) -> str:
        """The reason for stopping."""
        return f"The test accuracy has reached {self.accuracy}."


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the experiment."""
    run: dict[str, Any] = context.run_config
    FedAvg(fraction_train=run["fraction-train"], fraction_evaluate=0.0).start(
        grid=grid,
        initial_arrays=ArrayRecord(mlp.initial_weights(WIDTHS, seed=run["data-seed"])),
        num_rounds=run["num-server-rounds"],
        evaluate_fn=test,
        callbacks=[TargetReached(run["target-accuracy"])],
    )


def test(_: int, arrays: ArrayRecord) -> MetricRecord:
    """Loss and accuracy on the test set."""
    loss, accuracy = mlp.evaluate(arrays.to_numpy_ndarrays(), *data.load_test())
    return MetricRecord({"loss": loss, "accuracy": accuracy})
