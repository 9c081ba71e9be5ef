"""No room on the disk for what clients keep."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.integration.engine.conftest import APP, Bench
from umbel.engine import frames, shared_memory
from umbel.engine.clients import ClientServer
from umbel.engine.frames import Channel
from umbel.engine.worker import Worker
from umbel.errors import StorageFull
from umbel.serverapp.aggregation.reduction import WeightedMean
from umbel.serverapp.grid import Run
from umbel.simulation.session import Session
from umbel.simulation.settings import SimulationSettings


def test_a_client_waits_for_room(tmp_path: Path) -> None:
    """The wait is in the log; when there is room, the client answers as if nothing had been."""
    waits = threading.Event()
    logs: list[tuple[str, str, int | None]] = []

    def log(*line: str | int | None) -> None:
        logs.append(line)  # type: ignore[arg-type]
        waits.set()

    session = Session(Run(1), SimulationSettings(1, max_workers=1), tmp_path)
    bench = Bench(session.engine(APP, "clients:app", log, lambda _: None))
    (worker,) = bench.workers
    state = tmp_path / "002" / "2"
    state.mkdir(parents=True)
    (state / f".1.{worker}").symlink_to("/dev/full")  # the file that the worker writes to
    exchange = bench.send("train", 1, reduction=WeightedMean())
    assert waits.wait(30)
    assert exchange.unanswered() == [(0, 1)]
    (state / f".1.{worker}").unlink()
    exchange.wait(30)
    bench.engine.close()
    assert exchange.unanswered() == []
    assert exchange.failed == 0
    assert [path.name for path in state.iterdir()] == ["1"]
    assert logs == [("Node 2 is waiting for disk space for its state.", "WARNING", 2)]


def test_a_worker_that_finds_no_room_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is the run's end, not the client's failure."""

    def full(*_: object) -> None:
        raise StorageFull("There is no room.", hint="Free some.")

    monkeypatch.setattr(ClientServer, "serve", full)
    ours, theirs = (Channel(end) for end in socket.socketpair())
    worker = Worker(theirs, shared_memory.SharedCursor(shared_memory.create_cursor()))
    setup = frames.Setup(str(APP), "clients:app", 1, 0, {}, 2, 1, str(tmp_path))
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    worker._take(setup, [])
    worker._contents[0] = type("Content", (), {"fresh": dict})()
    worker._take(frames.Unit(1, 1, 0, 0, [2], [0], "train", 1.0, 1.0, ""), [])
    said = [frames.decode_from_worker(ours.receive()[0]) for _ in range(2)]
    ours.close()
    theirs.close()
    assert said == [frames.Ready(), frames.Failed("storage-full", "There is no room.", "Free some.")]
