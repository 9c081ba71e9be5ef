"""A ClientApp, a ServerApp and a custom strategy as an app author writes them, for mypy --strict."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from umbel.app import Array, ArrayRecord, ConfigRecord, Context, Error, ErrorCode, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp, ClientFn, progress
from umbel.clientapp.mod import LocalDpMod, fixedclipping_mod, scaffold_mod, secaggplus_mod
from umbel.partition import dirichlet, iid
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg, Result, SecAggPlus

local_dp = LocalDpMod(clipping_norm=1.0, sensitivity=2.0, epsilon=1.0, delta=1e-5)
private_app = ClientApp(mods=[scaffold_mod, fixedclipping_mod, local_dp, secaggplus_mod])
client_app = ClientApp()
server_app = ServerApp()


def double_loss_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """A custom mod."""
    reply = call_next(message, context)
    if reply.has_content():
        for record in reply.content.metric_records.values():
            loss = record["loss"]
            if isinstance(loss, float):
                record["loss"] = 2 * loss
    return reply


@client_app.train(mods=[double_loss_mod])
def train(message: Message, context: Context) -> Message:
    """Train on one partition."""
    partition = int(context.node_config["partition-id"])
    arrays: list[np.ndarray] = message.content.array_records["arrays"].to_numpy_ndarrays()
    progress(1, total=1)
    content = RecordDict(
        {"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": 1 + partition, "loss": 0.5})}
    )
    return Message(content, reply_to=message)


@client_app.evaluate()
def evaluate(message: Message, context: Context) -> Message:
    """Reply with an error."""
    return Message(Error(ErrorCode.UNKNOWN, "no data"), reply_to=message)


class LastRoundOnly(FedAvg):
    """A custom strategy, which ignores all replies but those of the last round."""

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Keep the arrays, except in round 3."""
        return super().aggregate_train(server_round, replies) if server_round == 3 else (None, None)


@server_app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds."""
    rounds = int(context.run_config["num-rounds"])
    initial = ArrayRecord({"weights": Array(np.zeros(3, np.float32))})
    result: Result = LastRoundOnly(fraction_evaluate=0.0).start(
        grid, initial, num_rounds=rounds, train_config=ConfigRecord({"lr": 0.1})
    )
    assert result.arrays["weights"].numpy().shape == (3,)


def sizes() -> list[int]:
    """Sizes of partitions."""
    secure = SecAggPlus(FedAvg(), dropout_tolerance=0.2)
    assert secure is not None
    return [len(part) for part in (*iid(100, 10, seed=1), *dirichlet(np.arange(100) % 10, 10, alpha=0.5, seed=1))]
