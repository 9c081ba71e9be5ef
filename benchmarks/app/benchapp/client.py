"""The client half of the benchmark app."""

from __future__ import annotations

from benchapp.api import ArrayRecord, ClientApp, Context, Message, MetricRecord, RecordDict
from benchapp.work import work

app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Do the work named in the run config and say which partition did it."""
    partition = int(context.node_config["partition-id"])
    record = message.content["arrays"]
    kind = str(context.run_config["work"])
    if kind != "noop":
        record = ArrayRecord([work(kind, values, partition) for values in record.to_numpy_ndarrays()])
    metrics = MetricRecord({"num-examples": 1, "partition": float(partition)})
    return Message(RecordDict({"arrays": record, "metrics": metrics}), reply_to=message)
