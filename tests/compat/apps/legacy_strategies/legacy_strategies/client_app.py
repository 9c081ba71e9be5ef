"""legacy_strategies: a Flower / NumPy app."""

from flwr.client import ClientApp, NumPyClient
from flwr.common import Context

from legacy_strategies.task import load_data, loss, train


class FlowerClient(NumPyClient):
    """Trains on one partition."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def fit(self, parameters, config):
        train(parameters, self.x, self.y, 0.1)
        mu = config.get("proximal_mu", 0.0)
        return [array * (1 - mu) for array in parameters], len(self.x), {}

    def evaluate(self, parameters, config):
        return loss(parameters, self.x, self.y), len(self.x), {}


def client_fn(context: Context):
    """Create a client for the partition of this node."""
    return FlowerClient(*load_data(context.node_config["partition-id"])).to_client()


app = ClientApp(client_fn=client_fn)
