"""legacy_numpy: a Flower / NumPy app."""

from flwr.client import ClientApp, NumPyClient
from flwr.common import Context

from legacy_numpy.task import get_model, load_data, loss, train


class FlowerClient(NumPyClient):
    """Trains on one partition."""

    def __init__(self, x, y):
        self.x = x
        self.y = y

    def get_parameters(self, config):
        return get_model()

    def fit(self, parameters, config):
        train(parameters, self.x, self.y, config["lr"])
        metrics = {"loss": loss(parameters, self.x, self.y), "round": config["round"], "name": "client", "ok": True}
        return parameters, len(self.x), metrics

    def evaluate(self, parameters, config):
        return loss(parameters, self.x, self.y), len(self.x), {"spread": float(self.x.max() - self.x.min())}


def client_fn(context: Context):
    """Create a client for the partition of this node."""
    return FlowerClient(*load_data(context.node_config["partition-id"])).to_client()


app = ClientApp(client_fn=client_fn)
