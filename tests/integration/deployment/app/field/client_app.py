"""Clients whose answers depend on what they keep, on random numbers and on what they are sent."""

from __future__ import annotations

import numpy as np

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Add noise that grows with the rounds that this client was in before; from the second on, wait at the gate."""
    rounds = int(context.state.metric_records["rounds"]["n"]) if "rounds" in context.state else 0  # type: ignore[arg-type]
    gate = str(context.run_config["gate"])
    if gate and rounds:
        with open(gate) as held:  # opens when somebody opens its other end, and ends with it
            held.read()
    context.state["rounds"] = MetricRecord({"n": rounds + 1})
    arrays = [
        array + np.random.standard_normal(array.shape).astype(np.float32) * (rounds + 1)  # noqa: NPY002
        for array in msg.content.array_records["arrays"].to_numpy_ndarrays()
    ]
    print("trained", rounds + 1, "times")
    metrics = MetricRecord({"num-examples": 1 + int(context.node_config["partition-id"])})
    return Message(RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics}), reply_to=msg)
