"""Faults of the engine itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.engine.conftest import APP, Bench
from umbel.errors import UmbelError
from umbel.serverapp.grid import Run
from umbel.simulation.session import Session
from umbel.simulation.settings import SimulationSettings


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_an_engine_that_has_ended(tmp_path: Path) -> None:
    """Whatever ends its thread: exchanges under way fail, later ones too, and no worker is left."""

    def fault(text: str, level: str, node_id: int | None) -> None:
        raise ZeroDivisionError

    session = Session(Run(1), SimulationSettings(4, max_workers=1), tmp_path)
    bench = Bench(session.engine(APP, "clients:app", fault, lambda _: None))
    with pytest.raises(UmbelError, match="Internal error in the simulation engine"):
        bench.send("query.say", 2).wait(30)
    with pytest.raises(UmbelError, match="Internal error in the simulation engine"):
        bench.send("train", 2).wait(30)
    bench.engine.close()
    assert bench.workers == []
