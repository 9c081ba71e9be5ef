"""Clients whose answers show at once if a state or a random number is not what it would have been without trouble."""

from __future__ import annotations

import threading

import numpy as np

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Add noise that grows with the rounds this client was in before; take as long as the run config says."""
    gate, seconds = str(context.run_config["gate"]), float(context.run_config["client-seconds"])
    if gate:
        with open(gate) as held:  # opens when somebody opens its other end, and ends with it
            held.read()
    if seconds:
        threading.Event().wait(seconds)
    rounds = int(context.state.metric_records["rounds"]["n"]) if "rounds" in context.state else 0  # type: ignore[arg-type]
    context.state["rounds"] = MetricRecord({"n": rounds + 1})
    arrays = [
        array + np.random.standard_normal(array.shape).astype(np.float32) * (rounds + 1)  # noqa: NPY002
        for array in msg.content.array_records["arrays"].to_numpy_ndarrays()
    ]
    print("trained", rounds + 1, "times")
    metrics = MetricRecord({"num-examples": 1 + int(context.node_config["partition-id"]), "rounds": float(rounds)})
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=msg)
