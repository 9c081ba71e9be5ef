"""One simulated run: the engine that serves its clients and the ServerApp that leads its rounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from umbel.app.context import Context, UserConfig
from umbel.app.message import Message
from umbel.engine import frames
from umbel.engine.client_state import StateStore
from umbel.engine.clients import ClientServer, Population
from umbel.engine.inline import InlineEngine
from umbel.engine.loader import load_component
from umbel.engine.local import LocalEngine, OnLog, OnProgress
from umbel.engine.resources import ClientResources, plan, this_machine
from umbel.runtime.checkpoints import Checkpoints
from umbel.runtime.program import ServerFn, run_serverapp
from umbel.runtime.recording import Recorder
from umbel.serverapp.grid import Run
from umbel.simulation.grid import FIRST_NODE_ID, Engine, SimulationGrid
from umbel.simulation.settings import SimulationSettings

ClientFn = Callable[[Message, Context], Message]


@dataclass(frozen=True)
class Session:
    """What a run is made of. `state_dir` is where the clients' states lie while it runs."""

    run: Run
    settings: SimulationSettings
    state_dir: Path
    run_config: UserConfig = field(default_factory=dict)

    def _population(self) -> Population:
        return Population(self.run.run_id, self.run.seed, self.run_config, FIRST_NODE_ID, self.settings.num_supernodes)

    def engine(self, app_dir: Path, clientapp: str, on_log: OnLog, on_progress: OnProgress) -> Engine:
        """An engine of the kind the settings name, for the component `clientapp` ("module:attribute") in `app_dir`.

        Raises ResourcesMissing; AppLoadError for an inline engine (one with workers raises it at the first exchange).
        """
        if self.settings.backend == "inline":
            return self.inline_engine(load_component(app_dir, clientapp), on_progress)
        settings, population = self.settings, self._population()
        resources = ClientResources(settings.num_cpus, settings.num_gpus)
        setup = frames.Setup(
            app_dir=str(app_dir),
            clientapp=clientapp,
            run_id=population.run_id,
            seed=population.seed,
            run_config=population.run_config,
            first_node_id=population.first_node_id,
            num_partitions=population.num_partitions,
            state_dir=str(self.state_dir),
        )
        workers = plan(this_machine(), resources, settings.num_supernodes, settings.max_workers)
        return LocalEngine(workers, setup, on_log, on_progress)

    def inline_engine(self, client_app: ClientFn, on_progress: OnProgress) -> Engine:
        """An engine that serves every client in the caller's thread."""
        return InlineEngine(ClientServer(client_app, self._population(), StateStore(self.state_dir)), on_progress)

    def run_serverapp(
        self, server_app: ServerFn, engine: Engine, recorder: Recorder, checkpoints: Checkpoints | None
    ) -> None:
        """Run the ServerApp to its end. Raises what it raises."""
        grid = SimulationGrid(engine, self.run, self.settings.num_supernodes, recorder, checkpoints)
        run_serverapp(server_app, grid, self.run_config)
