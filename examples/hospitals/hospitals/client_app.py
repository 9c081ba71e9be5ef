"""The ClientApp: training and statistics on the records of one hospital."""

import numpy as np

from hospitals import task
from umbel.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


@app.query()
def sums(msg: Message, context: Context) -> Message:
    """How many records there are, with the sum of each feature and of its square."""
    x, _, _, _ = task.load_site(context.node_config["partition-id"])
    metrics = MetricRecord({"count": len(x), "sum": x.sum(axis=0).tolist(), "squares": (x**2).sum(axis=0).tolist()})
    return Message(RecordDict({"sums": metrics}), reply_to=msg)


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Continue from the weights that came, on this site's records, and send the new ones back."""
    x, _, y, _ = task.load_site(context.node_config["partition-id"])
    steps, learning_rate = context.run_config["local-steps"], context.run_config["learning-rate"]
    weights = task.train(weights_of(msg), x, y, scale_of(msg), steps, learning_rate)
    metrics = MetricRecord({"num-examples": len(y)})
    return Message(RecordDict({"arrays": ArrayRecord([weights]), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Say how well the weights that came do for the people that this site has kept for the test."""
    _, x, _, y = task.load_site(context.node_config["partition-id"])
    metrics = MetricRecord({"auc": task.auc(task.scores(weights_of(msg), x, scale_of(msg)), y), "num-examples": len(y)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)


def weights_of(msg: Message):
    return msg.content["arrays"].to_numpy_ndarrays()[0]


def scale_of(msg: Message):
    config: ConfigRecord = msg.content["config"]
    return np.array(config["mean"]), np.array(config["std"])
