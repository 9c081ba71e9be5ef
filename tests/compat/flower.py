"""Runs an app of this folder under Flower's own release, from the package index, in its own virtual environment."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import uuid
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.harness import environments
from benchmarks.harness.processes import TOKEN_VARIABLE, Family, end

from tests.compat.catalogue import HERE, App

ENVIRONMENT = environments.CACHE / "compat-flower"
FLOWER = "1.42.0"
API = HERE / "recorded" / "api.json"
_LIMIT = 300.0  # seconds
_ATTEMPTS = 4
_SAME = ("numpy", "scikit-learn", "xgboost-cpu")  # of these, Flower's apps get the versions that Umbel's get


def prepare(environment: Path) -> None:
    """Create and fill the environment where it is missing."""
    if (environment / "bin" / "flwr").exists():
        return
    environments.create(environment)
    overrides = environment / "overrides.txt"
    overrides.write_text(environments.FLOWER_OVERRIDES, encoding="utf-8")
    packages = [f"{name}=={version(name).partition('+')[0]}" for name in (*_SAME, "torch")]
    environments.install(environment, "--override", str(overrides), f"flwr[simulation]=={FLOWER}", *packages)


def api(environment: Path) -> str:
    """What Flower offers, as JSON: see `api.py`."""
    command = [str(environment / "bin" / "python"), str(HERE / "api.py")]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def recorded_api() -> Any:
    """What Flower's release offers, as it was recorded."""
    return json.loads(API.read_text())


def run(app: App, environment: Path) -> Any:
    """What the app's ServerApp wrote. Raises RuntimeError, with the end of Flower's output, when it wrote nothing.

    Flower gives its own SuperLink 15 s to start, which a busy machine may not: it is tried a few times.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(SlowStart):
            return _attempt(app, environment)
    return _attempt(app, environment)


class SlowStart(RuntimeError):
    """Flower did not wait for its own SuperLink."""


def _attempt(app: App, environment: Path) -> Any:
    home = Path(tempfile.mkdtemp(prefix="flower-"))
    token = uuid.uuid4().hex
    try:
        shutil.copytree(app.path, home / "app")  # Flower may change it
        result = home / "result.json"
        settings = environments.variables(environment, home, environments.flower_settings(home))
        output = _run(app, home, result, settings | {TOKEN_VARIABLE: token})
        if not result.exists():
            slow = "Failed to start local SuperLink" in output
            raise (SlowStart if slow else RuntimeError)(f"no result under Flower:\n{output[-3000:]}")
        return json.loads(result.read_text())
    finally:
        end(Family(token))  # Flower leaves a SuperLink running
        shutil.rmtree(home, ignore_errors=True)


def _run(app: App, home: Path, result: Path, variables: dict[str, str]) -> str:
    federation = f"num-supernodes={app.nodes} client-resources-num-cpus=1"
    config = f"result-file='{result}'"
    command = ["flwr", "run", "app", "--stream", "--federation-config", federation, "--run-config", config]
    done = subprocess.run(command, cwd=home, env=variables, capture_output=True, text=True, timeout=_LIMIT, check=False)
    return done.stdout + done.stderr
