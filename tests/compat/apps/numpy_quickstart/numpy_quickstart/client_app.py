"""numpy_quickstart: a Flower / NumPy app."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from numpy_quickstart.task import load_data, loss
from numpy_quickstart.task import train as train_fn

app = ClientApp()


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    weights = msg.content["arrays"].to_numpy_ndarrays()
    x, y = load_data(context.node_config["partition-id"])
    train_loss = train_fn(weights, x, y, lr=msg.content["config"]["lr"])

    metrics = {"train_loss": train_loss, "num-examples": len(x), "round": msg.content["config"]["server-round"]}
    content = RecordDict({"arrays": ArrayRecord(weights), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on local data."""
    weights = msg.content["arrays"].to_numpy_ndarrays()
    x, y = load_data(context.node_config["partition-id"])
    metrics = MetricRecord({"eval_loss": loss(weights, x, y), "num-examples": len(x), "spread": [x.min(), x.max()]})
    return Message(content=RecordDict({"metrics": metrics}), reply_to=msg)
