"""What strategies round another strategy share: all they do not change is the other's."""

from __future__ import annotations

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.strategy.strategy import (
    EvaluateFailures,
    EvaluateResults,
    FitFailures,
    FitResults,
    Strategy,
)
from umbel.compat.flwr.legacy.typing import Config, EvaluateIns, FitIns, Metrics, Parameters


class Wrapper(Strategy):
    """A strategy round another one."""

    def __init__(self, strategy: Strategy) -> None:
        """`strategy` is the inner one."""
        super().__init__()
        self.strategy = strategy

    def extra_config(self) -> Config:
        """What is added to the configuration of each client that trains."""
        return {}

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """See Strategy."""
        return self.strategy.initialize_parameters(client_manager)

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """See Strategy."""
        instructions = self.strategy.configure_fit(server_round, parameters, client_manager)
        for _, ins in instructions:
            ins.config.update(self.extra_config())
        return instructions

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """See Strategy."""
        return self.strategy.aggregate_fit(server_round, results, failures)

    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """See Strategy."""
        return self.strategy.configure_evaluate(server_round, parameters, client_manager)

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """See Strategy."""
        return self.strategy.aggregate_evaluate(server_round, results, failures)

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """See Strategy."""
        return self.strategy.evaluate(server_round, parameters)
