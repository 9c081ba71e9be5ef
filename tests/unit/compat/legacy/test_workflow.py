from __future__ import annotations

import pytest

from tests.unit.compat.legacy.federation import grid_of, model
from umbel.app import Context
from umbel.app.safetensors import decode
from umbel.compat.flwr.legacy.server import ServerConfig
from umbel.compat.flwr.legacy.strategy import FedAvg, FedXgbBagging
from umbel.compat.flwr.legacy.typing import Parameters
from umbel.compat.flwr.legacy.workflow import DefaultWorkflow, LegacyContext, default_fit_workflow
from umbel.errors import ConfigError
from umbel.serverapp.grid import Grid


def context_of(strategy: FedAvg, num_rounds: int = 2) -> LegacyContext:
    """A context of this strategy."""
    return LegacyContext(Context(1, 1, run_config={"key": 1}), ServerConfig(num_rounds), strategy)


def test_a_workflow_leads_the_rounds() -> None:
    """The history, the model in the state, the report and the artifact are those of a Server."""
    grid = grid_of()
    context = context_of(FedAvg(initial_parameters=model([0.0]), evaluate_fn=lambda n, a, c: (float(a[0][0]), {})))
    DefaultWorkflow()(grid, context)
    assert context.history.losses_centralized == [(0, 0.0), (1, 2.0), (2, 4.0)]
    assert context.history.losses_distributed == [(1, 2.0), (2, 2.0)]
    assert context.state.array_records["parameters"]["0"].numpy().tolist() == [4.0]
    assert [event["round"] for event in grid.told("round-finished")] == [1, 2]
    assert decode(grid.artifacts["model.safetensors"][0])[0]["0"].numpy().tolist() == [4.0]


def test_a_step_may_be_an_apps_own() -> None:
    """It finds round and model in the state, and may call the usual step."""
    rounds = []

    def twice(grid: Grid, context: Context) -> None:
        rounds.append(context.state.config_records["config"]["current_round"])
        default_fit_workflow(grid, context)
        default_fit_workflow(grid, context)

    context = context_of(FedAvg(initial_parameters=model([0.0]), fraction_evaluate=0.0))
    DefaultWorkflow(fit_workflow=twice)(grid_of(), context)
    assert rounds == [1, 2]
    assert context.state.array_records["parameters"]["0"].numpy().tolist() == [8.0]


def test_a_legacy_context_is_a_context() -> None:
    """It shares state and settings with the one it is of; the parts have defaults."""
    inner = Context(1, 2, {"n": 1}, run_config={"key": 1})
    context = LegacyContext(inner)
    assert (context.run_id, context.node_id, context.node_config, context.run_config) == (1, 2, {"n": 1}, {"key": 1})
    assert context.state is inner.state
    assert context.config.num_rounds == 1
    assert isinstance(context.strategy, FedAvg)


def test_another_context_is_refused() -> None:
    """A workflow cannot do without the parts."""
    with pytest.raises(TypeError, match="LegacyContext"):
        DefaultWorkflow()(grid_of(), Context(1, 1))


def test_models_of_bytes_are_refused() -> None:
    """The state holds arrays; a `server_fn` does what a workflow cannot."""
    with pytest.raises(ConfigError, match="server_fn"):
        DefaultWorkflow()(grid_of(), context_of(FedXgbBagging(initial_parameters=Parameters([b"trees"], ""))))


def test_a_round_without_clients_passes() -> None:
    """No one is sampled, nothing is measured."""
    grid = grid_of(nodes=[2, 3])
    strategy = FedAvg(min_fit_clients=3, min_evaluate_clients=3, initial_parameters=model([0.0]))
    context = context_of(strategy)
    DefaultWorkflow()(grid, context)
    assert (grid.asked, context.history.losses_distributed) == ([], [])
