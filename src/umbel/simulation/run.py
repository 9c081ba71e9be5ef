"""A simulation in the caller's own process: for notebooks, tests and experiments."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from umbel.app import safetensors
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import UserConfig
from umbel.app.safetensors import Part
from umbel.bundle import load_app, merge_config
from umbel.compat import flwr
from umbel.engine.exchange import Exchange
from umbel.engine.loader import load_component
from umbel.runtime.program import ServerFn
from umbel.serverapp.grid import Run
from umbel.simulation.session import ClientFn, Session
from umbel.simulation.settings import SimulationSettings


@dataclass
class SimulationResult:
    """What a run left: artifacts by name, numbers as (round, phase, node id or None, key, value), events as (kind, data), log lines."""

    artifacts: dict[str, bytes] = field(default_factory=dict)
    metrics: list[tuple[int, str, int | None, str, float]] = field(default_factory=list)
    events: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    logs: list[str] = field(default_factory=list)

    @property
    def arrays(self) -> ArrayRecord:
        """The final model. Raises KeyError when the ServerApp kept none."""
        return safetensors.decode(self.artifacts["model.safetensors"])[0]

    def series(self, key: str, phase: str = "server") -> dict[int, float]:
        """A metric's values by round: `phase` is train, evaluate or server."""
        return {
            r: value
            for r, its_phase, node, name, value in self.metrics
            if (its_phase, node, name) == (phase, None, key)
        }


class _Memory:
    """Records into a SimulationResult."""

    def __init__(self, result: SimulationResult) -> None:
        self._result = result

    def event(self, kind: str, data: Mapping[str, object]) -> None:
        self._result.events.append((kind, dict(data)))

    def metrics(self, server_round: int, phase: str, metrics: Mapping[str, float], node_id: int | None) -> None:
        self._result.metrics += [(server_round, phase, node_id, key, float(value)) for key, value in metrics.items()]

    def artifact(self, name: str, parts: Sequence[Part], server_round: int | None) -> None:
        del server_round
        self._result.artifacts[name] = b"".join(parts)

    def traffic(self, sent: int, received: int, clientapp_seconds: float) -> None:
        """Not kept."""

    def log(self, text: str, level: str, node_id: int | None) -> None:
        del level, node_id
        self._result.logs.append(text)


def run_simulation(
    app: Path | str | tuple[ServerFn, ClientFn],
    *,
    run_config: UserConfig | None = None,
    settings: SimulationSettings | None = None,
    seed: int = 0,
) -> SimulationResult:
    """Run an app to its end and return what it left.

    `app` is the directory of an app, whose clients run in worker processes unless `settings` say otherwise, or a pair (ServerApp,
    ClientApp), whose clients run inline. Raises what the ServerApp raises, AppLoadError, ResourcesMissing, or AppInvalid.
    """
    result = SimulationResult()
    memory = _Memory(result)
    with tempfile.TemporaryDirectory(prefix="umbel-") as state_dir:
        if isinstance(app, tuple):
            session = Session(Run(1, seed), settings or SimulationSettings(), Path(state_dir), run_config or {})
            session.run_serverapp(app[0], session.inline_engine(app[1], _ignore), memory, None)
            return result
        app_dir = Path(app).resolve()
        config = load_app(app_dir)
        settings = settings or SimulationSettings.of(config.federation)
        merged = merge_config(config.config, run_config or {})
        session = Session(Run(1, seed), settings, Path(state_dir), merged)
        with flwr.active():
            engine = session.engine(app_dir, config.clientapp, memory.log, _ignore)
            try:
                session.run_serverapp(load_component(app_dir, config.serverapp), engine, memory, None)
            finally:
                engine.close()
    return result


def _ignore(exchange: Exchange) -> None:
    """Progress is not shown."""
