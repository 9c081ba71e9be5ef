"""An engine over the ClientApps of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from umbel.app import ArrayRecord, ConfigRecord, Message, RecordDict
from umbel.engine.exchange import Exchange
from umbel.engine.local import LocalEngine
from umbel.serverapp.aggregation.reduction import Reduction
from umbel.serverapp.grid import RoundPolicy, Run
from umbel.simulation.grid import FIRST_NODE_ID, Engine
from umbel.simulation.session import Session
from umbel.simulation.settings import SimulationSettings

APP = Path(__file__).parent / "app"


@dataclass
class Bench:
    """An engine and what it says."""

    engine: Engine
    logs: list[tuple[str, str, int | None]] = field(default_factory=list)
    exchanges: int = 0

    def send(
        self,
        message_type: str,
        clients: int,
        *,
        size: int = 100,
        reduction: Reduction | None = None,
        policy: RoundPolicy | None = None,
    ) -> Exchange:
        """Send one content of `size` float32 zeros to the first that many clients; does not wait."""
        self.exchanges += 1
        content = RecordDict({"arrays": ArrayRecord([np.zeros(size, np.float32)]), "config": ConfigRecord({"lr": 1.0})})
        messages = [Message(content, FIRST_NODE_ID + part, message_type) for part in range(clients)]
        for index, message in enumerate(messages):
            message.metadata.message_id = f"{self.exchanges}-{index}"
        exchange = Exchange(self.exchanges, messages, reduction, policy or RoundPolicy(), self.exchanges)
        self.engine.submit(exchange)
        return exchange

    @property
    def workers(self) -> list[int]:
        """The pids of the workers."""
        assert isinstance(self.engine, LocalEngine)
        return self.engine.worker_pids


StartBench = Callable[..., Bench]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[StartBench]:
    """Start engines; they end with the test."""
    started: list[Bench] = []

    def start(workers: int | None = 2, component: str = "clients:app", clients: int = 100, seed: int = 0) -> Bench:
        backend = "local" if workers is not None else "inline"
        settings = SimulationSettings(clients, backend=backend, max_workers=workers)  # type: ignore[arg-type]
        session = Session(Run(1, seed), settings, tmp_path / f"state{len(started)}")
        logs: list[tuple[str, str, int | None]] = []
        engine = session.engine(APP, component, lambda *line: logs.append(line), lambda _: None)
        started.append(Bench(engine, logs))
        return started[-1]

    yield start
    for bench in started:
        bench.engine.close()
