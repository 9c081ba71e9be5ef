"""Server, ServerConfig and History: the round loop of the older API."""

from __future__ import annotations

import logging
import pprint
import time
from dataclasses import dataclass

from umbel.compat.flwr.legacy.client_requests import (
    EvaluateResultsAndFailures,
    FitResultsAndFailures,
    evaluate_clients,
    fit_clients,
)
from umbel.compat.flwr.legacy.clientmanager import ClientManager
from umbel.compat.flwr.legacy.run_events import RunReporter
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import Strategy
from umbel.compat.flwr.legacy.typing import Code, GetParametersIns, Metrics, Parameters, Scalar

__all__ = [
    "EvaluateResultsAndFailures",
    "FitResultsAndFailures",
    "History",
    "Server",
    "ServerConfig",
    "evaluate_clients",
    "fit_clients",
]


@dataclass
class ServerConfig:
    """Number of rounds and time limit. `round_timeout` is in seconds and applies to each phase of a round; None means no limit."""

    num_rounds: int = 1
    round_timeout: float | None = None

    def __repr__(self) -> str:
        limit = "no round_timeout" if self.round_timeout is None else f"round_timeout={self.round_timeout}s"
        return f"num_rounds={self.num_rounds}, {limit}"


_Losses = list[tuple[int, float]]
_Series = dict[str, list[tuple[int, Scalar]]]


class History:
    """Losses and metrics by round, as pairs (round, value).

    "distributed" values are aggregated over the clients, "centralized" ones come from the strategy's `evaluate`.
    """

    def __init__(self) -> None:
        """Create an empty history."""
        self.losses_distributed: _Losses = []
        self.losses_centralized: _Losses = []
        self.metrics_distributed_fit: _Series = {}
        self.metrics_distributed: _Series = {}
        self.metrics_centralized: _Series = {}

    def add_loss_distributed(self, server_round: int, loss: float) -> None:
        """Add the clients' mean loss."""
        self.losses_distributed.append((server_round, loss))

    def add_loss_centralized(self, server_round: int, loss: float) -> None:
        """Add the loss measured at the server."""
        self.losses_centralized.append((server_round, loss))

    def add_metrics_distributed_fit(self, server_round: int, metrics: Metrics) -> None:
        """Add the aggregated training metrics of the clients."""
        _add(self.metrics_distributed_fit, server_round, metrics)

    def add_metrics_distributed(self, server_round: int, metrics: Metrics) -> None:
        """Add the aggregated evaluation metrics of the clients."""
        _add(self.metrics_distributed, server_round, metrics)

    def add_metrics_centralized(self, server_round: int, metrics: Metrics) -> None:
        """Add the metrics measured at the server."""
        _add(self.metrics_centralized, server_round, metrics)

    def __repr__(self) -> str:
        losses = [("distributed", self.losses_distributed), ("centralized", self.losses_centralized)]
        series = [
            ("distributed, fit", self.metrics_distributed_fit),
            ("distributed, evaluate", self.metrics_distributed),
            ("centralized", self.metrics_centralized),
        ]
        lines = []
        for what, pairs in losses:
            if pairs:
                lines += [f"History (loss, {what}):", *(f"\tround {number}: {loss}" for number, loss in pairs)]
        lines += [f"History (metrics, {what}):\n{pprint.pformat(values)}" for what, values in series if values]
        return "\n".join(lines)


def _add(series: _Series, server_round: int, metrics: Metrics) -> None:
    for key, value in metrics.items():
        series.setdefault(key, []).append((server_round, value))


log = logging.getLogger(__name__)


class Server:
    """Runs the rounds: training by clients, evaluation at the server, evaluation by clients."""

    reporter = RunReporter()

    def __init__(self, *, client_manager: ClientManager, strategy: Strategy | None = None) -> None:
        """`strategy` defaults to FedAvg."""
        self._client_manager = client_manager
        self.parameters = Parameters([], "numpy.ndarray")
        self.strategy: Strategy = FedAvg() if strategy is None else strategy
        self.max_workers: int | None = None

    def set_max_workers(self, max_workers: int | None) -> None:
        """Has no effect: the federation's settings determine how many clients train concurrently."""
        self.max_workers = max_workers

    def set_strategy(self, strategy: Strategy) -> None:
        """Replace the strategy."""
        self.strategy = strategy

    def client_manager(self) -> ClientManager:
        """The manager of the available clients."""
        return self._client_manager

    def fit(self, num_rounds: int, timeout: float | None) -> tuple[History, float]:
        """Run the rounds.

        Args:
            num_rounds: number of rounds.
            timeout: seconds to wait for the clients in each phase; None means no limit.

        Returns:
            The history, and the elapsed time in seconds.
        """
        history = History()
        self.parameters = self._get_initial_parameters(server_round=0, timeout=timeout)
        self._evaluate(0, history)
        began = time.perf_counter()
        for server_round in range(1, num_rounds + 1):
            self._round(server_round, timeout, history)
            self.reporter.finished(server_round)
        return history, time.perf_counter() - began

    def _round(self, server_round: int, timeout: float | None, history: History) -> None:
        fitted = self.fit_round(server_round=server_round, timeout=timeout)
        if fitted is not None:
            parameters, metrics, _ = fitted
            if parameters:
                self.parameters = parameters
            history.add_metrics_distributed_fit(server_round, metrics)
        self._evaluate(server_round, history)
        evaluated = self.evaluate_round(server_round=server_round, timeout=timeout)
        if evaluated is not None and evaluated[0] is not None:
            history.add_loss_distributed(server_round, evaluated[0])
            history.add_metrics_distributed(server_round, evaluated[1])

    def _evaluate(self, server_round: int, history: History) -> None:
        evaluated = evaluate_centrally(self.strategy, server_round, self.parameters, self.reporter)
        if evaluated is not None:
            history.add_loss_centralized(server_round, evaluated[0])
            history.add_metrics_centralized(server_round, evaluated[1])

    def fit_round(
        self, server_round: int, timeout: float | None
    ) -> tuple[Parameters | None, Metrics, FitResultsAndFailures] | None:
        """Train in one round.

        Returns:
            The new model (None to keep the current one), the metrics, and the results and failures; None if no client
            was selected.
        """
        instructions = self.strategy.configure_fit(
            server_round=server_round, parameters=self.parameters, client_manager=self._client_manager
        )
        if not instructions:
            log.info("Round %d: no clients to train.", server_round)
            return None
        outcome = fit_clients(instructions, self.max_workers, timeout, server_round, reporter=self.reporter)
        parameters, metrics = self.strategy.aggregate_fit(server_round, *outcome)
        self.reporter.aggregate(server_round, "train", metrics)
        return parameters, metrics, outcome

    def evaluate_round(
        self, server_round: int, timeout: float | None
    ) -> tuple[float | None, Metrics, EvaluateResultsAndFailures] | None:
        """Evaluate on the clients in one round.

        Returns:
            The loss (None if there is none), the metrics, and the results and failures; None if no client was selected.
        """
        instructions = self.strategy.configure_evaluate(
            server_round=server_round, parameters=self.parameters, client_manager=self._client_manager
        )
        if not instructions:
            return None
        outcome = evaluate_clients(instructions, self.max_workers, timeout, server_round, reporter=self.reporter)
        loss, metrics = self.strategy.aggregate_evaluate(server_round, *outcome)
        self.reporter.aggregate(server_round, "evaluate", metrics, loss)
        return loss, metrics, outcome

    def disconnect_all_clients(self, timeout: float | None) -> None:
        """Does nothing: nodes stay connected for the next run."""

    def _get_initial_parameters(self, server_round: int, timeout: float | None) -> Parameters:
        return initial_parameters(self.strategy, self._client_manager, timeout)


def initial_parameters(strategy: Strategy, client_manager: ClientManager, timeout: float | None) -> Parameters:
    """The strategy's initial model, or that of a randomly chosen client.

    If the client returns no model, the run starts with an empty one. Raises ClientFailed if the client failed.
    """
    parameters = strategy.initialize_parameters(client_manager=client_manager)
    if parameters is not None:
        return parameters
    (client,) = client_manager.sample(1)
    log.info("Using the initial model of client %s.", client.cid)
    answer = client.get_parameters(ins=GetParametersIns({}), timeout=timeout, group_id=0)
    if answer.status.code is not Code.OK:
        log.warning(
            "Client %s returned no initial model (%s); starting with an empty one.", client.cid, answer.status.message
        )
    return answer.parameters


def evaluate_centrally(
    strategy: Strategy, server_round: int, parameters: Parameters, reporter: RunReporter
) -> tuple[float, Metrics] | None:
    """Evaluate the model with the strategy's `evaluate`; None if it does not evaluate. Round 0 is the initial model."""
    evaluated = strategy.evaluate(server_round, parameters=parameters)
    if evaluated is not None:
        reporter.aggregate(server_round, "server", evaluated[1], evaluated[0])
    return evaluated
