"""FedXgbCyclic: one client after another goes on from the model of the one before."""

from __future__ import annotations

from typing import TypeVar

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.strategy.fedxgb import FedXgb
from umbel.compat.flwr.legacy.strategy.strategy import FitFailures, FitResults
from umbel.compat.flwr.legacy.typing import EvaluateIns, FitIns, Metrics, Parameters

__all__ = ["FedXgbCyclic"]

Ins = TypeVar("Ins", FitIns, EvaluateIns)


class FedXgbCyclic(FedXgb):
    """In round t the ((t - 1) mod n)-th of the n sampled clients trains, and evaluates. The order is the client manager's."""

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy."""
        if not results or not self.accepts(server_round, "fit", len(failures)):
            return None, {}
        for _, res in results:
            for model in res.parameters.tensors:
                self.global_model = model
        return self.as_parameters(), {}

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """See Strategy."""
        return _in_turn(server_round, super().configure_fit(server_round, parameters, client_manager))

    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """See Strategy."""
        return _in_turn(server_round, super().configure_evaluate(server_round, parameters, client_manager))


def _in_turn(server_round: int, instructions: list[tuple[ClientProxy, Ins]]) -> list[tuple[ClientProxy, Ins]]:
    return [instructions[(server_round - 1) % len(instructions)]] if instructions else []
