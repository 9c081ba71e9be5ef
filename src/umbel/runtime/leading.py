"""Runs a ServerApp."""

from __future__ import annotations

import gc
from collections.abc import Callable

from umbel.app.context import Context, UserConfig
from umbel.app.metadata import SUPERLINK_NODE_ID
from umbel.engine.seeding import derive, seed_everything
from umbel.serverapp.grid import Grid

ServerFn = Callable[[Grid, Context], None]


def lead(server_app: ServerFn, grid: Grid, run_config: UserConfig) -> None:
    """Run the ServerApp to its end, with the run's random numbers. Raises what it raises."""
    run = grid.run
    seed_everything(derive(run.seed, SUPERLINK_NODE_ID, 0))
    gc.freeze()  # see the worker: what is loaded by now is no garbage
    server_app(grid, Context(run.run_id, SUPERLINK_NODE_ID, run_config=dict(run_config)))
