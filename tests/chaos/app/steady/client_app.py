"""A client whose update depends on the model, on random numbers, and on how often it has trained."""

from __future__ import annotations

import time

import numpy as np

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Work for a while, and count it in the state that stays on the node."""
    memory = context.state.metric_records.get("memory") or MetricRecord({"trained": 0})
    trained = memory["trained"]
    assert isinstance(trained, int)
    trained += 1
    context.state["memory"] = MetricRecord({"trained": trained})
    busy_until = time.process_time() + float(context.run_config["client-seconds"])
    while time.process_time() < busy_until:
        pass
    (values,) = message.content.array_records["arrays"].to_numpy_ndarrays()
    noise = np.random.standard_normal(values.shape)  # noqa: NPY002 - the one that is seeded for the app
    updated = 0.9 * values + trained * noise + int(context.node_config["partition-id"])
    metrics = MetricRecord({"num-examples": 1 + int(context.node_config["partition-id"]), "trained": trained})
    return Message(RecordDict({"arrays": ArrayRecord([updated]), "metrics": metrics}), reply_to=message)
