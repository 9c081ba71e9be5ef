"""pytorch_quickstart: a Flower / PyTorch app."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from pytorch_quickstart.task import Net, load_data
from pytorch_quickstart.task import test as test_fn
from pytorch_quickstart.task import train as train_fn

app = ClientApp()


@app.train()
def train(msg: Message, context: Context):
    """Train the model on local data."""
    model = Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    data = load_data(context.node_config["partition-id"])
    before = ArrayRecord(model.state_dict())
    train_loss = train_fn(model, data, context.run_config["local-epochs"], msg.content["config"]["lr"])

    after = model.state_dict()
    moved = sum((after[key] - old).square().sum().item() for key, old in before.to_torch_state_dict().items())
    metrics = {"train_loss": train_loss, "num-examples": len(data[0]), "moved": moved}
    content = RecordDict({"arrays": ArrayRecord(after), "metrics": MetricRecord(metrics)})
    return Message(content=content, reply_to=msg)


@app.evaluate()
def evaluate(msg: Message, context: Context):
    """Evaluate the model on local data."""
    model = Net()
    model.load_state_dict(msg.content["arrays"].to_torch_state_dict())
    data = load_data(context.node_config["partition-id"])
    loss, accuracy = test_fn(model, data)
    metrics = {"eval_loss": loss, "eval_acc": accuracy, "num-examples": len(data[0])}
    return Message(content=RecordDict({"metrics": MetricRecord(metrics)}), reply_to=msg)
