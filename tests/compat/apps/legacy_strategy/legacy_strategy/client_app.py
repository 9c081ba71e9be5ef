"""legacy_strategy: a Flower / NumPy app."""

from flwr.client import Client, ClientApp
from flwr.common import (
    Code,
    Context,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)

from legacy_strategy.task import load_data, loss, train

OK = Status(code=Code.OK, message="Success")


class FlowerClient(Client):
    """Trains on one partition; typed messages in and out."""

    def __init__(self, partition_id: int):
        self.partition_id = partition_id
        self.x, self.y = load_data(partition_id)

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        return GetPropertiesRes(OK, {"partition": self.partition_id, "asked": ins.config["what"]})

    def fit(self, ins: FitIns) -> FitRes:
        if ins.config["fails"]:
            raise RuntimeError("this client is told to fail")
        model = parameters_to_ndarrays(ins.parameters)
        for _ in range(ins.config["steps"]):
            train(model, self.x, self.y, 0.1)
        return FitRes(OK, ndarrays_to_parameters(model), len(self.x), {"partition": self.partition_id})

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        return EvaluateRes(OK, loss(parameters_to_ndarrays(ins.parameters), self.x, self.y), len(self.x), {})


def client_fn(context: Context) -> Client:
    """Create a client for the partition of this node."""
    return FlowerClient(int(context.node_config["partition-id"]))


app = ClientApp(client_fn)
