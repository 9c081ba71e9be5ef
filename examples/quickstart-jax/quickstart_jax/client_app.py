"""The ClientApp: trains and evaluates on one client's data."""

from quickstart_jax import task
from quickstart_jax.data import load_partition
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


def my_data(context: Context):
    node = context.node_config
    return load_partition(node["partition-id"], node["num-partitions"], context.run_config["dirichlet-alpha"])


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the received model on this client's data and reply with the result."""
    parameters = task.from_arrays(msg.content["arrays"].to_numpy_ndarrays())
    images, labels = my_data(context)
    config = context.run_config
    parameters, loss = task.train(parameters, images, labels, config["local-epochs"], config["learning-rate"])
    metrics = MetricRecord({"loss": loss, "num-examples": len(labels)})
    arrays = ArrayRecord(task.to_arrays(parameters))
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Measure the received model on this client's data."""
    parameters = task.from_arrays(msg.content["arrays"].to_numpy_ndarrays())
    images, labels = my_data(context)
    metrics = MetricRecord({**task.evaluate(parameters, images, labels), "num-examples": len(labels)})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
