"""The boundary to the author's code: whatever the app does, the run ends with an outcome and with all that it said."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_runtime import FakeClient
from umbel.bundle import build_fab
from umbel.simulation.main import SimulationTask
from umbel.simulation.settings import SimulationSettings
from umbel.wire.api import Artifact, BundleInfo, FinishTask, RunView, TaskInput

PYPROJECT = """
[project]
name = "{name}"
version = "1.0.0"
license = "Apache-2.0"

[tool.umbel.app]
publisher = "me"

[tool.umbel.app.components]
serverapp = "{name}:server"
clientapp = "{name}:client"
"""


class Client(FakeClient):
    """A SuperLink that has one bundle."""

    def __init__(self, bundle: bytes) -> None:
        super().__init__()
        self._bundle = bundle

    def get_object(self, digest: str) -> bytes:
        """The bundle, or bytes that are no checkpoint."""
        return self._bundle if digest == "bundle" else b"damaged"


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """A task takes over the root logger; in production it is a separate process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def execute(folder: Path, code: str, checkpoint: Artifact | None = None) -> tuple[FinishTask, Client]:
    """Run a ServerApp with this body as a task; its outcome, and what it said."""
    name = f"app{abs(hash(str(folder)))}"
    folder.mkdir(exist_ok=True)
    (folder / "pyproject.toml").write_text(PYPROJECT.format(name=name))
    body = "\n".join(f"    {line}" for line in code.splitlines())
    (folder / f"{name}.py").write_text(f"client = print\ndef server(grid, context):\n{body}\n")
    client = Client(build_fab(folder).data)
    bundle = BundleInfo(fab_id="me/app", fab_version="1", fab_hash="bundle")
    run = RunView(run_id=1, bundle=bundle, federation="@local/default", status="running")
    given = TaskInput(run=run, attempt=1, checkpoint=checkpoint)
    with SimulationTask(client, 1, given, SimulationSettings(2, backend="inline")) as task:
        return task.execute(), client


def test_a_run_that_completes_has_said_everything(tmp_path: Path) -> None:
    """Prints without a last line break, logs with their level, warnings, artifacts."""
    code = """
import logging, sys
print("printed")
logging.getLogger("x").error("logged\\ntwice")
logging.getLogger("x").warning("%d", "not a number")
grid.save_artifact("a", [b"bytes"])
print("half", end="")
print("err", file=sys.stderr, end="")
"""
    finish, client = execute(tmp_path / "app", code)
    assert finish == FinishTask(outcome="completed")
    lines = [(line.text, line.level) for line in client.logs]
    assert lines[:3] == [("printed", "INFO"), ("logged", "ERROR"), ("twice", "ERROR")]
    assert lines[-2:] == [("half", "INFO"), ("err", "WARNING")]
    assert any("Logging error" in text for text, _ in lines)
    assert client.objects == [b"bytes"]
    assert sys.stdout is not None


def test_a_run_that_fails_has_said_everything_too(tmp_path: Path) -> None:
    """What it printed just before, and which round it was in."""
    code = """
grid.report("round-started", {"round": 3, "num_rounds": 5, "phase": "train", "clients": 2})
print("last words", end="")
raise ValueError("bad batch")
"""
    finish, client = execute(tmp_path / "app", code)
    assert [line.text for line in client.logs] == ["last words"]
    cause = finish.cause
    assert cause is not None
    assert (finish.outcome, cause.code, cause.round) == ("failed", "app-error", 3)
    assert (cause.component, cause.exception) == ("serverapp", "ValueError")
    assert cause.traceback is not None
    assert cause.traceback.splitlines()[1].endswith("in server")


@pytest.mark.parametrize(
    ("code", "exception"),
    [
        ("import sys; sys.exit(0)", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise ValueError('x' * 10_000_000)", "ValueError"),
        ("raise ValueError('no Unicode: \\udc80')", "ValueError"),
        ("grid.report('note', {'text': {1, 2}, 'more': object()})", "TypeError"),
        ("def deeper(): deeper()\ndeeper()", "RecursionError"),
    ],
)
def test_every_way_to_fail_can_be_said(tmp_path: Path, code: str, exception: str) -> None:
    """The cause has a limited size and is Unicode, so that it can be sent."""
    finish, _ = execute(tmp_path / "app", code)
    assert finish.cause is not None
    assert (finish.outcome, finish.cause.exception) == ("failed", exception)
    said = finish.cause.message + str(finish.cause.traceback)
    assert len(said.encode()) < 200_000


def test_a_checkpoint_that_is_damaged_is_a_cause_of_its_own(tmp_path: Path) -> None:
    """With what to do about it."""
    code = "grid.checkpoints.load()"
    finish, _ = execute(tmp_path / "app", code, Artifact(name="checkpoint", digest="c", size=7))
    assert finish.cause is not None
    assert finish.cause.code == "checkpoint-invalid"
    assert "new run" in str(finish.cause.hint)
