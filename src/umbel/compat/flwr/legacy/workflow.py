"""DefaultWorkflow and LegacyContext."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
from umbel.app.records import ConfigRecord
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.client_requests import evaluate_clients, fit_clients
from umbel.compat.flwr.legacy.clientmanager import ClientManager, SimpleClientManager
from umbel.compat.flwr.legacy.gridproxy import connected
from umbel.compat.flwr.legacy.run_events import RunReporter
from umbel.compat.flwr.legacy.server import History, ServerConfig, evaluate_centrally, initial_parameters
from umbel.compat.flwr.legacy.serverapp import keep_model
from umbel.compat.flwr.legacy.strategy.fedavg import FedAvg
from umbel.compat.flwr.legacy.strategy.strategy import Strategy
from umbel.compat.flwr.legacy.typing import Parameters, ndarrays_to_parameters
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid

__all__ = ["DefaultWorkflow", "LegacyContext"]


class LegacyContext(Context):
    """A context with the server's components and the history of the run."""

    def __init__(
        self,
        context: Context,
        config: ServerConfig | None = None,
        strategy: Strategy | None = None,
        client_manager: ClientManager | None = None,
    ) -> None:
        """Share the state of `context`. Components that are not given have their defaults."""
        super().__init__(context.run_id, context.node_id, context.node_config, context.state, context.run_config)
        self.config = ServerConfig() if config is None else config
        self.strategy = FedAvg() if strategy is None else strategy
        self.client_manager = SimpleClientManager() if client_manager is None else client_manager
        self.history = History()
        self.reporter = RunReporter()


_NO_SECAGG = (
    "the alias does not support secure aggregation between clients of the older API. Wrap one of Umbel's strategies in SecAggPlus; "
    "see docs/explanation/secure-aggregation.md."
)
MISSING = {"SecAggWorkflow": _NO_SECAGG, "SecAggPlusWorkflow": _NO_SECAGG}

log = logging.getLogger(__name__)

Workflow = Callable[[Grid, Context], None]

_CONFIG, _MODEL, _ROUND, _BEGAN = (
    "config",
    "parameters",
    "current_round",
    "start_time",
)  # where a step finds them in the state


class DefaultWorkflow:
    """Runs the rounds: `fit_workflow`, evaluation at the server, `evaluate_workflow`. Requires a LegacyContext.

    A step finds the model in `context.state.array_records["parameters"]` and the round in
    `context.state.config_records["config"]["current_round"]`, and leaves the new model there.
    """

    def __init__(self, fit_workflow: Workflow | None = None, evaluate_workflow: Workflow | None = None) -> None:
        """Steps that are not given have their defaults."""
        self.fit_workflow: Workflow = fit_workflow or default_fit_workflow
        self.evaluate_workflow: Workflow = evaluate_workflow or default_evaluate_workflow

    def __call__(self, grid: Grid, context: Context) -> None:
        """Run all rounds and save the model as the artifact model.safetensors. Raises TypeError for another context."""
        legacy = _legacy(context)
        legacy.reporter = RunReporter(grid, legacy.config.num_rounds)
        began = time.perf_counter()
        with connected(grid, legacy.client_manager):
            _keep(legacy, initial_parameters(legacy.strategy, legacy.client_manager, legacy.config.round_timeout))
            _evaluate_centrally(legacy, 0)
            for server_round in range(1, legacy.config.num_rounds + 1):
                legacy.state[_CONFIG] = ConfigRecord({_ROUND: server_round, _BEGAN: began})
                self.fit_workflow(grid, legacy)
                _evaluate_centrally(legacy, server_round)
                self.evaluate_workflow(grid, legacy)
                legacy.reporter.finished(server_round)
        log.info("%d rounds took %.2f s.\n%s", legacy.config.num_rounds, time.perf_counter() - began, legacy.history)
        keep_model(grid, _model(legacy), legacy.config.num_rounds)


def default_fit_workflow(grid: Grid, context: Context) -> None:
    """Train on the clients that the strategy selects and aggregate their results. Raises TypeError for another context."""
    legacy, server_round = _legacy(context), _current_round(context)
    instructions = legacy.strategy.configure_fit(server_round, _model(legacy), legacy.client_manager)
    if not instructions:
        return
    timeout = legacy.config.round_timeout
    outcome = fit_clients(instructions, None, timeout, server_round, reporter=legacy.reporter)
    parameters, metrics = legacy.strategy.aggregate_fit(server_round, *outcome)
    legacy.reporter.aggregate(server_round, "train", metrics)
    if parameters:
        _keep(legacy, parameters)
        legacy.history.add_metrics_distributed_fit(server_round, metrics)


def default_evaluate_workflow(grid: Grid, context: Context) -> None:
    """Evaluate the model on the clients that the strategy selects. Raises TypeError for another context."""
    legacy, server_round = _legacy(context), _current_round(context)
    instructions = legacy.strategy.configure_evaluate(server_round, _model(legacy), legacy.client_manager)
    if not instructions:
        return
    timeout = legacy.config.round_timeout
    outcome = evaluate_clients(instructions, None, timeout, server_round, reporter=legacy.reporter)
    loss, metrics = legacy.strategy.aggregate_evaluate(server_round, *outcome)
    legacy.reporter.aggregate(server_round, "evaluate", metrics, loss)
    if loss is not None:
        legacy.history.add_loss_distributed(server_round, loss)
        legacy.history.add_metrics_distributed(server_round, metrics)


def _evaluate_centrally(context: LegacyContext, server_round: int) -> None:
    evaluated = evaluate_centrally(context.strategy, server_round, _model(context), context.reporter)
    if evaluated is not None:
        context.history.add_loss_centralized(server_round, evaluated[0])
        context.history.add_metrics_centralized(server_round, evaluated[1])


def _legacy(context: Context) -> LegacyContext:
    if not isinstance(context, LegacyContext):
        raise TypeError(f"A workflow needs a LegacyContext, not a {type(context).__name__}.")
    return context


def _current_round(context: Context) -> int:
    return int(context.state.config_records[_CONFIG][_ROUND])  # type: ignore[arg-type]


def _model(context: LegacyContext) -> Parameters:
    return ndarrays_to_parameters(context.state.array_records[_MODEL].to_numpy_ndarrays())


def _keep(context: LegacyContext, parameters: Parameters) -> None:
    arrays = record_conversion.arrays_of(parameters)
    if arrays is None and parameters.tensors:
        raise ConfigError(
            "A workflow supports only models of ndarrays.", hint="Return the strategy from a `server_fn` instead."
        )
    context.state[_MODEL] = ArrayRecord() if arrays is None else arrays
