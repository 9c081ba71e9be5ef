"""Rounds in the two ways there are: `Strategy.start`, and an explicit loop that pushes and pulls."""

from __future__ import annotations

import threading

import numpy as np

from umbel.app import ArrayRecord, ConfigRecord, Context, Message, RecordDict, safetensors
from umbel.serverapp import Grid, ServerApp
from umbel.serverapp.strategy import FedAvg

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds and leave the model."""
    rounds, nodes = int(context.run_config["rounds"]), int(context.run_config["nodes"])
    arrays = ArrayRecord([np.zeros(int(context.run_config["floats"]))])
    if context.run_config["loop"] == "strategy":
        FedAvg(fraction_evaluate=0.0, min_train_nodes=nodes, min_available_nodes=nodes).start(grid, arrays, rounds)
        return
    for number in range(1, rounds + 1):
        grid.report("round-started", {"round": number, "num_rounds": rounds, "phase": "train", "clients": nodes})
        arrays = own_round(grid, arrays, number, nodes)
        grid.report(
            "round-finished", {"round": number, "num_rounds": rounds, "seconds": 0.0, "clients": nodes, "failed": 0}
        )
    grid.save_artifact("model.safetensors", safetensors.encode(arrays))


def own_round(grid: Grid, arrays: ArrayRecord, number: int, nodes: int) -> ArrayRecord:
    """Every node trains; the mean of what they send back, in the order of the nodes."""
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": number})})
    messages = [Message(content, node, "train") for node in grid.wait_for_nodes(nodes)]
    pushed = list(grid.push_messages(messages))
    pause = threading.Event()
    replies: dict[int, Message] = {}
    while len(replies) < len(pushed):
        for reply in grid.pull_messages(pushed):
            replies[reply.metadata.src_node_id] = reply
        pause.wait(0.01)
    models = [replies[node].content.array_records["arrays"].to_numpy_ndarrays()[0] for node in sorted(replies)]
    noise = np.random.standard_normal(models[0].shape)  # noqa: NPY002 - the one that is seeded for the app
    return ArrayRecord([np.mean(models, axis=0) + 0.01 * noise])
