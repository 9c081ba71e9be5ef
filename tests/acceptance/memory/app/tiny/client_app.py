"""Clients that keep a little state, log a line, and answer at once."""

from __future__ import annotations

from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Add one."""
    context.state["rounds"] = MetricRecord({"last": 1})
    print("trained")
    arrays = [array + 1 for array in msg.content.array_records["arrays"].to_numpy_ndarrays()]
    content = RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": 1})})
    return Message(content, reply_to=msg)
