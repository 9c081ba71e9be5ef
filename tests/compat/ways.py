"""The ways to run an app of this folder under Umbel: each takes the app and an empty folder, and gives what its ServerApp wrote."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.compat.catalogue import App
from tests.support.federation import Federation
from umbel.bundle import build_fab
from umbel.simulation import run_simulation
from umbel.simulation.settings import SimulationSettings


def in_process(app: App, folder: Path) -> Any:
    """In this process, one client after another."""
    result = folder / "result.json"
    settings = SimulationSettings(num_supernodes=app.nodes, backend="inline")
    paths = list(sys.path)
    try:
        run_simulation(app.path, run_config={"result-file": str(result)}, settings=settings)
    finally:
        sys.path[:] = paths
        for name in [name for name in sys.modules if name.partition(".")[0] == app.name]:
            del sys.modules[name]
    return app.written(result)


def command_line(app: App, folder: Path) -> Any:
    """By `umbel run`, with a separate SuperLink and home, which end with it."""
    from tests.support.homes import end_superlink

    result = folder / "result.json"
    home = Path(tempfile.mkdtemp(prefix="umbel-", dir="/tmp"))
    try:
        run_command(app.path, result, home, app.nodes)
    finally:
        end_superlink(home)
        shutil.rmtree(home, ignore_errors=True)
    return app.written(result)


def sites(app: App, folder: Path, federation: Federation) -> Any:
    """By a federation with as many SuperNodes as the app needs, started through its SuperLink. Raises RuntimeError when the run fails."""
    result = folder / "result.json"
    run = federation.wait(federation.start(build_fab(app.path).data, {"result-file": str(result)}))
    if run.sub_status != "completed":
        raise RuntimeError(f"the run {run.sub_status}: {run.cause}")
    return app.written(result)


def run_command(app: Path, result: Path, home: Path, nodes: int = 0) -> None:
    """`umbel run` of a folder or of a bundle, with that many simulated nodes, or where there are real ones.

    Raises RuntimeError, with its output, when the run fails.
    """
    command = [str(Path(sys.executable).with_name("umbel")), "run", str(app), "-c", f'result-file="{result}"']
    command += ["--federation-config", f"num-supernodes={nodes}"] if nodes else []
    variables = os.environ | {"UMBEL_HOME": str(home)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise RuntimeError(f"umbel run ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
