"""The ClientApp: trains and evaluates on one client's data."""

from quickstart_huggingface import task
from quickstart_huggingface.data import load_partition
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


def my_data(context: Context):
    node = context.node_config
    return load_partition(node["partition-id"], node["num-partitions"], context.run_config["dirichlet-alpha"])


def model_of(msg: Message, context: Context):
    model = task.make_model(context.run_config["learning-rate"])
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    return model


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Train the received model on this client's data and reply with the result."""
    model, (images, labels) = model_of(msg, context), my_data(context)
    loss = task.train(model, images, labels, context.run_config["local-epochs"])
    metrics = MetricRecord({"loss": loss, "num-examples": len(labels)})
    return Message(RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Measure the received model on this client's data."""
    images, labels = my_data(context)
    metrics = task.evaluate(model_of(msg, context), images, labels)
    return Message(RecordDict({"metrics": MetricRecord({**metrics, "num-examples": len(labels)})}), reply_to=msg)
