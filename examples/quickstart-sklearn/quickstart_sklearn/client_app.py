"""The ClientApp: training and evaluation on the images of one client."""

from quickstart_sklearn import task
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


def my_data(context: Context):
    return task.load_partition(context.node_config["partition-id"], context.node_config["num-partitions"])


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Continue from the weights that came, on this client's data, and send the new ones back."""
    x, _, y, _ = my_data(context)
    weights = task.train(
        msg.content["arrays"].to_numpy_ndarrays(),
        x,
        y,
        context.run_config["local-epochs"],
        context.run_config["learning-rate"],
    )
    metrics = MetricRecord({**task.evaluate(weights, x, y), "num-examples": len(y)})
    return Message(RecordDict({"arrays": ArrayRecord(weights), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Say how good the weights that came are on data that this client has kept apart."""
    _, x, _, y = my_data(context)
    metrics = task.evaluate(msg.content["arrays"].to_numpy_ndarrays(), x, y)
    return Message(RecordDict({"metrics": MetricRecord({**metrics, "num-examples": len(y)})}), reply_to=msg)
