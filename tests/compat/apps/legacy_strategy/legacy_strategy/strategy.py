"""legacy_strategy: FedAvg whose clients take as many steps as their partition says, and which slows down."""

from flwr.common import (
    FitIns,
    GetPropertiesIns,
    Parameters,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from flwr.server.client_manager import ClientManager
from flwr.server.client_proxy import ClientProxy
from flwr.server.strategy import FedAvg
from flwr.server.strategy.aggregate import aggregate


class SlowingFedAvg(FedAvg):
    """Goes only a part of the way to the clients' mean, and notes what it sees."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.sent = []
        self.seen = []

    def configure_fit(self, server_round: int, parameters: Parameters, client_manager: ClientManager):
        self.sent = parameters_to_ndarrays(parameters)
        instructions = []
        for client, _ in super().configure_fit(server_round, parameters, client_manager):
            partition = self.partition(client)
            fails = server_round == 2 and partition == 1
            instructions.append((client, FitIns(parameters, {"steps": 1 + partition, "fails": fails})))
        return instructions

    def partition(self, client: ClientProxy) -> int:
        res = client.get_properties(GetPropertiesIns({"what": "partition"}), timeout=None, group_id=None)
        return res.properties[res.properties["asked"]]

    def aggregate_fit(self, server_round, results, failures):
        results = sorted(results, key=lambda result: result[1].metrics["partition"])
        self.seen.append([[res.metrics["partition"] for _, res in results], len(failures)])
        mean = aggregate([(parameters_to_ndarrays(res.parameters), res.num_examples) for _, res in results])
        model = [now + (new - now) / server_round for now, new in zip(self.sent, mean)]
        return ndarrays_to_parameters(model), {"clients": len(results)}
