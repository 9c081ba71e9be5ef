"""Runs a ServerApp of the older API on a Grid."""

from __future__ import annotations

import logging
from collections.abc import Callable

from umbel.app import safetensors
from umbel.app.context import Context
from umbel.app.recorddict import RecordDict
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.clientmanager import ClientManager, SimpleClientManager
from umbel.compat.flwr.legacy.components import ServerAppComponents
from umbel.compat.flwr.legacy.gridproxy import connected
from umbel.compat.flwr.legacy.run_events import RunReporter
from umbel.compat.flwr.legacy.server import History, Server, ServerConfig
from umbel.compat.flwr.legacy.strategy.strategy import Strategy
from umbel.compat.flwr.legacy.typing import Parameters
from umbel.serverapp.grid import Grid
from umbel.serverapp.serverapp import MainFn

log = logging.getLogger(__name__)

ServerFn = Callable[[Context], ServerAppComponents]


def main(
    server: Server | None = None,
    config: ServerConfig | None = None,
    strategy: Strategy | None = None,
    client_manager: ClientManager | None = None,
    server_fn: ServerFn | None = None,
) -> MainFn:
    """The main function of a ServerApp of the older API: it runs the rounds of what `server_fn(context)` returns.

    The parts may also be given directly, with a warning. Raises ValueError for both.
    """
    given = ServerAppComponents(server, config, strategy, client_manager)
    if given != ServerAppComponents():
        if server_fn is not None:
            raise ValueError("Pass either `server_fn` or the server's components, not both.")
        log.warning(
            "Passing `server`, `config`, `strategy` or `client_manager` to ServerApp is deprecated: use a `server_fn` "
            "that returns them as ServerAppComponents."
        )

    def run(grid: Grid, context: Context) -> None:
        lead(grid, given if server_fn is None else server_fn(context))

    return run


def lead(grid: Grid, components: ServerAppComponents) -> History:
    """Run all rounds, and keep the model as the artifact model.safetensors."""
    server, config = _with_defaults(components)
    server.reporter = RunReporter(grid, config.num_rounds)
    with connected(grid, server.client_manager()):
        history, seconds = server.fit(num_rounds=config.num_rounds, timeout=config.round_timeout)
        server.disconnect_all_clients(timeout=config.round_timeout)
    log.info("%d rounds took %.2f s.\n%s", config.num_rounds, seconds, history)
    keep_model(grid, server.parameters, config.num_rounds)
    return history


def _with_defaults(components: ServerAppComponents) -> tuple[Server, ServerConfig]:
    server = components.server
    if server is None:
        manager = SimpleClientManager() if components.client_manager is None else components.client_manager
        server = Server(client_manager=manager, strategy=components.strategy)
    elif components.strategy is not None:
        log.warning("Both a server and a strategy were passed: the strategy is ignored.")
    return server, components.config or ServerConfig()


def keep_model(grid: Grid, parameters: Parameters, server_round: int) -> None:
    """Keep the model as the artifact model.safetensors, with tensors "0", "1", …; an empty one is not kept."""
    if parameters.tensors:
        content = RecordDict()
        record_conversion.put_parameters(content, "model", parameters)
        arrays = content.array_records["model.parameters"]
        grid.save_artifact("model.safetensors", safetensors.encode(arrays), server_round)
