"""The ClientApp: training and evaluation on the images of one client."""

from quickstart_pytorch import task
from umbel.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp

app = ClientApp()


def my_data(context: Context):
    node, run = context.node_config, context.run_config
    return task.load_partition(node["partition-id"], node["num-partitions"], run["dataset"], run["dirichlet-alpha"])


def model_of(msg: Message):
    model = task.Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    return model


@app.train()
def train(msg: Message, context: Context) -> Message:
    """Continue from the model that came, on this client's data, and send the new one back."""
    model = model_of(msg)
    data, _ = my_data(context)
    run = context.run_config
    loss = task.train(model, data, run["local-epochs"], run["batch-size"], run["learning-rate"])
    metrics = MetricRecord({"loss": loss, "num-examples": len(data[1])})
    return Message(RecordDict({"arrays": ArrayRecord(model.state_dict()), "metrics": metrics}), reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context) -> Message:
    """Say how good the model that came is on data that this client has kept apart."""
    _, data = my_data(context)
    metrics = MetricRecord({**task.evaluate(model_of(msg), data), "num-examples": len(data[1])})
    return Message(RecordDict({"metrics": metrics}), reply_to=msg)
