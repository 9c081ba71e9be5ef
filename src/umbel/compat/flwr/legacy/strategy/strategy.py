"""Strategy: what decides in a round of the older API."""

from __future__ import annotations

from abc import ABC, abstractmethod

from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.clientproxy import ClientProxy
from umbel.compat.flwr.legacy.typing import EvaluateIns, EvaluateRes, FitIns, FitRes, Metrics, Parameters

__all__ = ["Strategy"]

FitResults = list[tuple[ClientProxy, FitRes]]
FitFailures = list[tuple[ClientProxy, FitRes] | BaseException]
EvaluateResults = list[tuple[ClientProxy, EvaluateRes]]
EvaluateFailures = list[tuple[ClientProxy, EvaluateRes] | BaseException]


class Strategy(ABC):
    """Says who trains and evaluates with what, and what becomes of the answers."""

    @abstractmethod
    def initialize_parameters(self, client_manager: ClientManager) -> Parameters | None:
        """The model of round 0; None: that of a client drawn by lot."""

    @abstractmethod
    def configure_fit(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, FitIns]]:
        """Who trains what; nobody: the round has no training."""

    @abstractmethod
    def aggregate_fit(
        self, server_round: int, results: FitResults, failures: FitFailures
    ) -> tuple[Parameters | None, Metrics]:
        """The new model, None to keep the old one, and the metrics of the training."""

    @abstractmethod
    def configure_evaluate(
        self, server_round: int, parameters: Parameters, client_manager: ClientManager
    ) -> list[tuple[ClientProxy, EvaluateIns]]:
        """Who evaluates what; nobody: the round has no evaluation by clients."""

    @abstractmethod
    def aggregate_evaluate(
        self, server_round: int, results: EvaluateResults, failures: EvaluateFailures
    ) -> tuple[float | None, Metrics]:
        """The loss, None when there is none, and the metrics of the evaluation."""

    @abstractmethod
    def evaluate(self, server_round: int, parameters: Parameters) -> tuple[float, Metrics] | None:
        """The loss and metrics of the model at the server; None: the server does not evaluate."""
