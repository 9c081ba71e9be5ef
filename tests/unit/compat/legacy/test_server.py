from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from tests.unit.compat.legacy.federation import Adding, adding, grid_of, model, numbers, run
from umbel.app import Context
from umbel.app.safetensors import decode
from umbel.compat.flwr.legacy.client import NumPyClient
from umbel.compat.flwr.legacy.client_requests import fit_clients
from umbel.compat.flwr.legacy.clientmanager import ClientProxy, SimpleClientManager
from umbel.compat.flwr.legacy.components import ServerAppComponents
from umbel.compat.flwr.legacy.gridproxy import ClientFailed, GridClientProxy
from umbel.compat.flwr.legacy.server import Server, ServerConfig
from umbel.compat.flwr.legacy.serverapp import lead, main
from umbel.compat.flwr.legacy.strategy import FedAvg
from umbel.compat.flwr.legacy.typing import (
    Config,
    FitIns,
    FitRes,
    Metrics,
    MetricsAggregationFn,
    NDArrays,
    ReconnectIns,
)
from umbel.errors import AggregationFailed, RunStopped

CONTEXT = Context(1, 1)


def mean(metrics: list[tuple[int, Metrics]]) -> Metrics:
    """The weighted mean of `number`."""
    total = sum(count for count, _ in metrics)
    return {"number": sum(count * float(each["number"]) for count, each in metrics) / total}


def half(server_round: int, arrays: NDArrays, config: Config) -> tuple[float, Metrics]:
    """An `evaluate_fn` with a metric that is no number."""
    return 0.5, {"text": "no number"}


def failing(*numbers_of_clients: int) -> Any:
    """A `client_fn` whose clients with these numbers raise."""

    def client_fn(context: Context) -> NumPyClient:
        client = adding(context)
        if context.node_config["partition-id"] in numbers_of_clients:
            client.fit = client.evaluate = _raise  # type: ignore[method-assign]
        return client

    return client_fn


def _raise(parameters: Any, config: Any) -> Any:
    raise RuntimeError("no data here")


def test_a_round_trains_and_evaluates_and_is_remembered() -> None:
    """The history has each phase's loss and metrics by round; with clients 0 … 3 weighted 1 … 4 a round adds 2."""
    strategy = FedAvg(
        initial_parameters=model([0.0]),
        evaluate_fn=lambda server_round, arrays, config: (float(arrays[0][0]), {"round": server_round}),
        fit_metrics_aggregation_fn=mean,
        evaluate_metrics_aggregation_fn=mean,
    )
    history = run(grid_of(), strategy, 2)
    assert history.losses_centralized == [(0, 0.0), (1, 2.0), (2, 4.0)]
    assert history.metrics_centralized == {"round": [(0, 0), (1, 1), (2, 2)]}
    assert history.losses_distributed == [(1, 2.0), (2, 2.0)]
    assert history.metrics_distributed == {"number": [(1, 2.0), (2, 2.0)]}
    assert history.metrics_distributed_fit == {"number": [(1, 2.0), (2, 2.0)]}
    assert "History (loss, distributed):\n\tround 1: 2.0\n\tround 2: 2.0" in repr(history)


def test_rounds_and_metrics_are_reported() -> None:
    """Rounds and metrics are reported as those of Umbel's own strategies, and the model is kept."""
    grid = grid_of()
    strategy = FedAvg(initial_parameters=model([0.0]), evaluate_fn=half)
    run(grid, strategy, 2)
    assert [event["phase"] for event in grid.told("round-started")] == ["train", "evaluate"] * 2
    assert [event["round"] for event in grid.told("round-finished")] == [1, 2]
    assert (2, "train", {"number": 3}, 5) in grid.metrics
    assert (1, "evaluate", {"loss": 2.0}, None) in grid.metrics
    assert (0, "server", {"loss": 0.5}, None) in grid.metrics
    data, server_round = grid.artifacts["model.safetensors"]
    assert (decode(data)[0]["0"].numpy().tolist(), server_round) == ([4.0], 2)


def test_the_first_model_may_be_a_clients() -> None:
    """Without initial parameters one client is asked for its own."""
    grid = grid_of()
    seen: list[Any] = []
    run(grid, FedAvg(evaluate_fn=lambda _, arrays, config: seen.append(arrays[0].tolist())))
    assert grid.asked[0][0] == "get_parameters"
    assert len(grid.asked[0][1]) == 1
    assert seen == [[10.0, 20.0], [12.0, 22.0]]


def test_a_client_without_a_model_leaves_it_empty(caplog: pytest.LogCaptureFixture) -> None:
    """The run continues, with a warning that says so."""

    class Silent(Adding):
        get_parameters = NumPyClient.get_parameters

    run(grid_of(lambda context: Silent(1)), FedAvg())
    assert "); starting with an empty one" in caplog.text


def test_configurations_are_made_for_each_round() -> None:
    """`on_fit_config_fn` and `on_evaluate_config_fn` are asked once a round, and reach every client."""
    seen: dict[str, list[Any]] = {"fit": [], "evaluate": []}

    def noted(phase: str, key: str) -> MetricsAggregationFn:
        def aggregate(metrics: list[tuple[int, Metrics]]) -> Metrics:
            seen[phase].append([each[key] for _, each in metrics])
            return {}

        return aggregate

    strategy = FedAvg(
        initial_parameters=model([0.0]),
        on_fit_config_fn=lambda server_round: {"lr": 1 / server_round},
        on_evaluate_config_fn=lambda server_round: {"round": server_round},
        fit_metrics_aggregation_fn=noted("fit", "lr"),
        evaluate_metrics_aggregation_fn=noted("evaluate", "round"),
    )
    run(grid_of(), strategy, 2)
    assert seen == {"fit": [[1.0] * 4, [0.5] * 4], "evaluate": [[1] * 4, [2] * 4]}


def test_who_fails_is_left_out() -> None:
    """The mean is that of the others; the history has the round."""
    strategy = FedAvg(initial_parameters=model([0.0]), fit_metrics_aggregation_fn=mean)
    grid = grid_of(failing(3))
    history = run(grid, strategy)
    assert history.metrics_distributed_fit == {"number": [(1, (0 + 2 * 1 + 3 * 2) / 6)]}
    assert history.losses_distributed == [(1, (0 + 2 * 1 + 3 * 2) / 6)]
    dropped = grid.told("reply-dropped")
    assert [(event["phase"], event["node_id"]) for event in dropped] == [("train", 5), ("evaluate", 5)]
    assert "no data here" in str(dropped[0]["reason"])


def test_failures_may_spoil_a_phase() -> None:
    """With accept_failures=False the model stays as it was, and there is no loss."""
    strategy = FedAvg(
        initial_parameters=model([7.0]),
        accept_failures=False,
        evaluate_fn=lambda _, arrays, config: (float(arrays[0][0]), {}),
    )
    history = run(grid_of(failing(3)), strategy)
    assert history.losses_centralized == [(0, 7.0), (1, 7.0)]
    assert history.losses_distributed == []


def test_a_run_in_which_everybody_fails_fails() -> None:
    """After three such rounds it says why, and does not continue to the hundredth."""
    with pytest.raises(AggregationFailed, match=r"Every client failed in 3 rounds.*no data here"):
        run(grid_of(failing(0, 1, 2, 3)), FedAvg(initial_parameters=model([0.0])), 100)


def test_who_does_not_train_is_a_failure_too() -> None:
    """A client without `fit` is among the failures, as its answer."""

    class Evaluator(Adding):
        fit = NumPyClient.fit

    grid = grid_of(lambda context: Evaluator(1))
    proxy = GridClientProxy(2, grid)
    results, failures = fit_clients([(proxy, FitIns(model([0.0]), {}))], None, None, 1)
    assert results == []
    ((client, answer),) = failures  # type: ignore[misc]
    assert client is proxy
    assert isinstance(answer, FitRes)
    assert "does not implement" in answer.status.message


def test_the_timeout_is_that_of_each_phase() -> None:
    """A client that does not reply in time is a failure; the timeout is passed to the grid."""
    grid = grid_of(silent=[4])
    strategy = FedAvg(initial_parameters=model([0.0]), fit_metrics_aggregation_fn=mean)
    history = run(grid, strategy, round_timeout=9.0)
    assert history.metrics_distributed_fit == {"number": [(1, (0 + 2 * 1 + 4 * 3) / 7)]}
    assert {policy.timeout for policy in grid.policies} == {9.0}
    with pytest.raises(ClientFailed, match="No reply arrived before the round's deadline"):
        GridClientProxy(4, grid).fit(FitIns(model([0.0]), {}), timeout=1.0, group_id=1)


def test_all_clients_are_sent_the_same_content() -> None:
    """One exchange asks everybody, and the model is in memory once."""
    sent: list[Any] = []

    class Watching(type(grid_of())):  # type: ignore[misc]
        def exchange(self, messages: Any, policy: Any) -> Any:
            sent.extend(messages)
            return super().exchange(messages, policy)

    grid = grid_of()
    grid.__class__ = Watching
    run(grid, FedAvg(initial_parameters=model([0.0]), fraction_evaluate=0.0))
    assert len(sent) == 4
    assert len({id(message.content) for message in sent}) == 1
    assert {message.metadata.group_id for message in sent} == {"1"}


def test_a_fraction_of_the_clients_takes_part() -> None:
    """Fractions are rounded down, but never below the minima; fraction_evaluate 0 is no evaluation."""
    grid = grid_of(nodes=range(2, 12))
    strategy = FedAvg(
        fraction_fit=0.35,
        fraction_evaluate=0.1,
        min_evaluate_clients=2,
        initial_parameters=model([0.0]),
    )
    run(grid, strategy)
    assert [(phase, len(nodes)) for phase, nodes in grid.asked] == [("train", 3), ("evaluate", 2)]
    grid = grid_of()
    run(grid, FedAvg(fraction_evaluate=0.0, initial_parameters=model([0.0])))
    assert [phase for phase, _ in grid.asked] == ["train"]


def test_an_apps_own_proxies_are_asked_one_by_one() -> None:
    """A client that is not a node of the grid is called itself."""

    class Local(GridClientProxy):
        def fit(self, ins: FitIns, timeout: Any, group_id: Any) -> FitRes:
            if self.node_id == 3:
                raise ValueError("not today")
            return Adding(self.node_id).to_client().fit(ins)

    proxies = [Local(2, grid_of()), Local(3, grid_of())]
    results, failures = fit_clients([(proxy, FitIns(model([0.0]), {})) for proxy in proxies], None, None, 1)
    assert [(client.cid, numbers(res.parameters)) for client, res in results] == [("2", [[2.0]])]
    assert [str(failure) for failure in failures] == ["not today"]


def test_an_apps_own_server_leads_the_rounds() -> None:
    """A subclass of Server that fits in its own way still receives the grid."""

    class Twice(Server):
        def __init__(self) -> None:
            super().__init__(client_manager=SimpleClientManager(), strategy=FedAvg(initial_parameters=model([0.0])))

        def fit_round(self, server_round: int, timeout: float | None) -> Any:
            first = super().fit_round(server_round, timeout)
            assert first is not None
            self.parameters = first[0] or self.parameters
            return super().fit_round(server_round, timeout)

    grid, server = grid_of(), Twice()
    history = lead(grid, ServerAppComponents(server=server, config=ServerConfig(1)))
    assert numbers(server.parameters) == [[4.0]]
    assert history.losses_distributed == [(1, 2.0)]
    assert grid.told("round-finished")


def test_a_server_fn_gets_the_context() -> None:
    """It is called at the start of the run, with the run's context."""
    seen: list[Context] = []

    def server_fn(context: Context) -> ServerAppComponents:
        seen.append(context)
        return ServerAppComponents(strategy=FedAvg(initial_parameters=model([0.0])))

    grid = grid_of()
    main(server_fn=server_fn)(grid, CONTEXT)
    assert seen == [CONTEXT]
    assert [event["num_rounds"] for event in grid.told("round-finished")] == [1]


def test_parts_may_be_given_directly(caplog: pytest.LogCaptureFixture) -> None:
    """With a warning; together with a `server_fn` it is an error."""
    grid = grid_of()
    run_rounds = main(strategy=FedAvg(initial_parameters=model([0.0])), config=ServerConfig(num_rounds=2))
    assert "server_fn" in caplog.text
    run_rounds(grid, CONTEXT)
    assert len(grid.told("round-finished")) == 2
    with pytest.raises(ValueError, match="not both"):
        main(config=ServerConfig(), server_fn=lambda context: ServerAppComponents())


def test_a_strategy_beside_a_server_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    """The server has its own; a warning says so."""
    server = Server(client_manager=SimpleClientManager(), strategy=FedAvg(initial_parameters=model([0.0])))
    with caplog.at_level(logging.WARNING):
        lead(grid_of(), ServerAppComponents(server=server, strategy=FedAvg()))
    assert "Both a server and a strategy were passed: the strategy is ignored" in caplog.text


def test_small_things_of_the_server() -> None:
    """Settings that apps make, and requests that need no node."""
    server = Server(client_manager=SimpleClientManager())
    strategy = FedAvg()
    server.set_max_workers(3)
    server.set_strategy(strategy)
    assert (server.max_workers, server.strategy) == (3, strategy)
    assert GridClientProxy(2, grid_of()).reconnect(ReconnectIns(None), None, None).reason == ""
    assert repr(ServerConfig(2)) == "num_rounds=2, no round_timeout"
    assert repr(ServerConfig(2, 1.5)) == "num_rounds=2, round_timeout=1.5s"


def test_models_with_nan_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """One client that diverged does not spoil the model of all."""

    def client_fn(context: Context) -> NumPyClient:
        client = adding(context)
        if context.node_config["partition-id"] == 3:
            client.fit = lambda parameters, config: ([np.full(1, np.nan)], 9, {})  # type: ignore[method-assign]
        return client

    losses = run(
        grid_of(client_fn),
        FedAvg(initial_parameters=model([0.0]), evaluate_fn=lambda _, arrays, config: (float(arrays[0][0]), {})),
    ).losses_centralized
    assert losses[1][1] == pytest.approx((0 + 2 * 1 + 3 * 2) / 6)
    assert "excluded client 5" in caplog.text


class FailingProxy(GridClientProxy):
    """A client proxy of an app, which raises a given exception."""

    def __init__(self, node_id: int, failure: Exception) -> None:
        """`failure` is raised by `fit` and `evaluate`."""
        super().__init__(node_id, grid_of())
        self.failure = failure

    def fit(self, ins: FitIns, timeout: float | None, group_id: int | None) -> FitRes:
        """Raise the exception."""
        raise self.failure


@pytest.mark.parametrize("failure", [RuntimeError("broken"), OSError("no route"), KeyError("loss")])
def test_any_exception_of_a_proxy_is_a_failure_of_that_client(failure: Exception) -> None:
    """The other clients' results count, and the exception is among the failures."""
    instruction = FitIns(model([0.0]), {})
    instructions: list[tuple[ClientProxy, FitIns]] = [
        (FailingProxy(2, failure), instruction),
        (GridClientProxy(3, grid_of()), instruction),
    ]
    results, failures = fit_clients(instructions, None, None, 1)
    assert [proxy.cid for proxy, _ in results] == ["3"]
    assert failures == [failure]


def test_an_error_of_umbel_ends_the_round() -> None:
    """A stopped run is not a failure of one client."""
    with pytest.raises(RunStopped):
        fit_clients([(FailingProxy(2, RunStopped()), FitIns(model([0.0]), {}))], None, None, 1)
