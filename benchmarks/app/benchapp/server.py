"""The server half of the benchmark app: it notes the wall clock at the end of each round."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from benchapp.api import (
    ArrayRecord,
    ConfigRecord,
    Context,
    FedAvg,
    Grid,
    Message,
    MetricRecord,
    RecordDict,
    ServerApp,
)
from benchapp.marks import Marks

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds with the loop named in the run config and note when each ended."""
    config = context.run_config
    marks = Marks(Path(str(config["timings"])))
    marks.note("main")
    tensors = int(config["tensors"])
    rng, size = np.random.default_rng(0), int(config["floats"]) // tensors
    arrays = ArrayRecord([rng.random(size, dtype=np.float32) for _ in range(tensors)])  # no two pieces are the same
    before = mean_of(arrays)
    rounds, fraction = int(config["rounds"]), float(config["fraction"])
    if config["loop"] == "fedavg":
        partition, mean = fedavg(grid, marks, arrays, rounds, fraction)
    else:
        nodes = all_nodes(grid, int(config["nodes"]))
        partition, mean = bare(grid, marks, arrays, rounds, nodes[: max(2, round(fraction * len(nodes)))])
    marks.note("end", partition=partition, mean=mean - before)


def fedavg(grid: Grid, marks: Marks, arrays: ArrayRecord, rounds: int, fraction: float) -> tuple[float, float]:
    """Run FedAvg; return the mean partition of the last round and the mean value of the last model."""

    def evaluate(number: int, arrays: ArrayRecord) -> MetricRecord:
        marks.note("round", number)
        return MetricRecord({})

    strategy = FedAvg(fraction_train=fraction, fraction_evaluate=0.0)
    result = strategy.start(grid=grid, initial_arrays=arrays, num_rounds=rounds, evaluate_fn=evaluate)
    partition = result.train_metrics_clientapp[rounds]["partition"]
    return float(partition), mean_of(result.arrays)


def mean_of(arrays: ArrayRecord) -> float:
    """Of the first array."""
    return float(arrays.to_numpy_ndarrays()[0].mean(dtype=np.float64))


def all_nodes(grid: Grid, wanted: int) -> list[int]:
    """The ids of all nodes; Flower starts the server app while it still adds them."""
    while len(nodes := list(grid.get_node_ids())) < wanted:
        time.sleep(0.01)
    return nodes


def bare(grid: Grid, marks: Marks, arrays: ArrayRecord, rounds: int, nodes: list[int]) -> tuple[float, float]:
    """Send the same arrays to each of the nodes and receive the replies, round after round, without an average.

    Returns the mean partition and the mean value of the first reply, both of the last round.
    """
    replies: list[Message] = []
    marks.note("round", 0)
    for number in range(1, rounds + 1):
        replies = list(grid.send_and_receive(instructions(nodes, arrays, number)))
        marks.note("round", number)
    partitions = [float(reply.content["metrics"]["partition"]) for reply in replies]
    return float(np.mean(partitions)), mean_of(replies[0].content["arrays"])


def instructions(nodes: list[int], arrays: ArrayRecord, number: int) -> list[Message]:
    """One train message for each node, all with the same content."""
    content = RecordDict({"arrays": arrays, "config": ConfigRecord({"server-round": number})})
    return [Message(content, dst_node_id=node, message_type="train") for node in nodes]
