"""legacy_mods: a Flower / NumPy app."""

from flwr.client import ClientApp, NumPyClient
from flwr.client.mod import arrays_size_mod, fixedclipping_mod, message_size_mod
from flwr.common import Context, Message, MessageType, MetricRecord

from legacy_mods.task import load_data, loss, train


class FlowerClient(NumPyClient):
    """Trains on one partition."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def fit(self, parameters, config):
        train(parameters, self.x, self.y, 0.5)
        return parameters, 10, {"norm": float(config["clipping_norm"])}

    def evaluate(self, parameters, config):
        return loss(parameters, self.x, self.y), 10, {}


def counting_mod(msg: Message, context: Context, call_next):
    """Count the messages in the node's state, and tell the server in the metrics."""
    counts = context.state.metric_records.setdefault("counts", MetricRecord({"train": 0}))
    counts["train"] += msg.metadata.message_type == MessageType.TRAIN
    reply = call_next(msg, context)
    if reply.metadata.message_type == MessageType.TRAIN:
        metrics = reply.content.config_records["fitres.metrics"]
        metrics["count"] = counts["train"]
        metrics["round"] = int(msg.metadata.group_id)
        metrics["examples"] = reply.content.metric_records["fitres.num_examples"]["num_examples"]
    return reply


def client_fn(cid: str):
    """Create a client for a partition, as it was done at first."""
    return FlowerClient(*load_data(int(cid))).to_client()


app = ClientApp(client_fn=client_fn, mods=[message_size_mod, counting_mod, fixedclipping_mod, arrays_size_mod])
