"""Runs of the app in tests/integration/simulation on the local SuperLink."""

from __future__ import annotations

import shutil
from pathlib import Path

import psutil

from umbel.bundle import build_fab
from umbel.wire.api import Event, RunView, StartRun
from umbel.wire.control import ControlClient

APP = Path(__file__).parents[1] / "integration" / "simulation" / "app"
LIMIT = 40.0  # seconds for what takes a moment on a quiet machine


def changed(folder: Path, old: str, new: str) -> Path:
    """A copy of the app, in `folder`, with another text in its pyproject.toml."""
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("__pycache__"))
    pyproject = folder / "pyproject.toml"
    text = pyproject.read_text()
    assert old in text
    pyproject.write_text(text.replace(old, new))
    return folder


def start(
    control: ControlClient,
    app: Path = APP,
    *,
    federation: dict[str, object] | None = None,
    seed: int = 0,
    **config: object,
) -> int:
    """Start a run; `config` are overrides, with underscores for hyphens. Returns its id."""
    overrides = {name.replace("_", "-"): value for name, value in config.items()}
    fab_hash = control.put_object(build_fab(app).data)
    request = StartRun(fab_hash=fab_hash, run_config=overrides, federation_config=federation or {}, seed=seed)  # type: ignore[arg-type]
    return control.start_run(request).run_id


def wait(control: ControlClient, run_id: int) -> RunView:
    """The run, when it is over."""
    for _ in control.stream(run_id, kinds=["event"]):
        pass
    return control.get_run(run_id)


def events(control: ControlClient, run_id: int) -> list[Event]:
    """The events of a run that is over."""
    return [item.event for item in control.stream(run_id, kinds=["event"]) if item.event is not None]


def model(control: ControlClient, run_id: int) -> str:
    """The digest of the final model."""
    return next(a.digest for a in control.artifacts(run_id) if a.name == "model.safetensors")


def family(control: ControlClient) -> dict[str, list[psutil.Process]]:
    """The processes under the local SuperLink: itself, its SuperExec, simulations and workers."""
    names = {"superexec.main": "superexec", "simulation.main": "simulation", "engine.worker": "worker"}
    superlink = psutil.Process(control.info().pid)
    found: dict[str, list[psutil.Process]] = {"superlink": [superlink], "superexec": [], "simulation": [], "worker": []}
    for process in superlink.children(recursive=True):
        try:
            words = " ".join(process.cmdline())
        except psutil.Error:
            continue
        for part, name in names.items():
            if part in words:
                found[name].append(process)
    return found
