"""Strategy, and wrappers around another strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod

from umbel.compat.flwr.legacy.clientmanager import ClientManager, ClientProxy
from umbel.compat.flwr.legacy.typing import Config, EvaluateIns, EvaluateRes, FitIns, FitRes, Metrics, Parameters

__all__ = ["Strategy"]


FitResults = list[tuple[ClientProxy, FitRes]]
FitFailures = list[tuple[ClientProxy, FitRes] | BaseException]
EvaluateResults = list[tuple[ClientProxy, EvaluateRes]]
EvaluateFailures = list[tuple[ClientProxy, EvaluateRes] | BaseException]


class Strategy(ABC):
    """Selects the clients of a round, configures them and aggregates their results."""

    @abstractmethod
    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """The initial model, or None to use that of a randomly chosen client."""

    @abstractmethod
    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """The clients to train and their instructions. An empty list skips training in this round."""

    @abstractmethod
    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model (None to keep the current one) and the aggregated training metrics."""

    @abstractmethod
    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """The clients to evaluate and their instructions. An empty list skips evaluation by clients."""

    @abstractmethod
    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """The aggregated loss (None if there is none) and the aggregated evaluation metrics."""

    @abstractmethod
    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """The loss and metrics of the model at the server; None if the server does not evaluate."""


class Wrapper(Strategy):
    """A strategy that wraps another one."""

    def __init__(self, strategy: Strategy) -> None:
        """`strategy` is the wrapped strategy."""
        super().__init__()
        self.strategy = strategy

    def extra_config(self) -> Config:
        """Additional configuration for each client that trains."""
        return {}

    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """The initial model, or None to use that of a randomly chosen client."""
        return self.strategy.initialize_parameters(client_manager)

    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """The clients to train and their instructions. An empty list skips training in this round."""
        instructions = self.strategy.configure_fit(server_round, parameters, client_manager)
        for _, ins in instructions:
            ins.config.update(self.extra_config())
        return instructions

    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model (None to keep the current one) and the aggregated training metrics."""
        return self.strategy.aggregate_fit(server_round, results, failures)

    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """The clients to evaluate and their instructions. An empty list skips evaluation by clients."""
        return self.strategy.configure_evaluate(server_round, parameters, client_manager)

    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """The aggregated loss (None if there is none) and the aggregated evaluation metrics."""
        return self.strategy.aggregate_evaluate(server_round, results, failures)

    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """The loss and metrics of the model at the server; None if the server does not evaluate."""
        return self.strategy.evaluate(server_round, parameters)
