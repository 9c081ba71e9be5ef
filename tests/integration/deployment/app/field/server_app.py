"""Averages with a strategy, or pushes and pulls by itself."""

from __future__ import annotations

import threading

import numpy as np

from umbel.app import ArrayRecord, Context, Message, RecordDict
from umbel.app.safetensors import encode
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds."""
    arrays = ArrayRecord([np.zeros(int(context.run_config["size"]), np.float32)])
    rounds = int(context.run_config["num-server-rounds"])
    if context.run_config["loop"]:
        loop(grid, arrays, rounds)
    else:
        quorum, deadline = int(context.run_config["quorum"]), float(context.run_config["deadline"])
        strategy = FedAvg(fraction_evaluate=0.0, quorum=quorum or None, deadline=deadline or None)
        strategy.start(grid=grid, initial_arrays=arrays, num_rounds=rounds)


def loop(grid: Grid, arrays: ArrayRecord, rounds: int) -> None:
    """As apps do that know nothing of strategies: push, pull until all are there, and average with some noise."""
    for number in range(rounds):
        content = RecordDict({"arrays": arrays})
        nodes = grid.wait_for_nodes(2)
        left = set(grid.push_messages([Message(content, node, "train") for node in nodes]))
        trained = {}
        while left:
            for reply in grid.pull_messages(left):
                left.discard(reply.metadata.reply_to_message_id)
                trained[reply.metadata.src_node_id] = reply.content.array_records["arrays"].to_numpy_ndarrays()[0]
            threading.Event().wait(0.01)
        mean = np.sum([trained[node] for node in nodes], axis=0) / len(nodes)
        noise = np.random.standard_normal(mean.shape).astype(np.float32)  # noqa: NPY002 - what apps use is the global generator
        arrays = ArrayRecord([mean + noise])
        print("round", number + 1, "is over")
    grid.save_artifact("model.safetensors", encode(arrays))
