"""The ClientApp: training on the images of one person."""

from private_digits import task
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.clientapp.mod import fixedclipping_mod

app = ClientApp(mods=[fixedclipping_mod])


@app.train()
def train(msg: Message, context: Context) -> Message:
    """One step on this person's images. The mod clips the update before it leaves."""
    x, y = task.load_person(context.node_config["partition-id"], context.node_config["num-partitions"])
    weights = msg.content["arrays"].to_numpy_ndarrays()
    weights = task.train(weights, x, y, context.run_config["learning-rate"])
    content = {"arrays": ArrayRecord(weights), "metrics": MetricRecord({"num-examples": 1})}
    return Message(RecordDict(content), reply_to=msg)
