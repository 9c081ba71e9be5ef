"""No pickle on any way: whole runs go through in processes where unpickling is impossible."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sites import federation

APP = Path(__file__).parents[2] / "integration" / "simulation" / "app"
GUARD = """
import os, pickle, _pickle, sys
def refused(*_, **__):
    with open(os.environ["PICKLE_WITNESS"], "a") as file:
        file.write(" ".join(sys.orig_argv) + "\\n")
    raise RuntimeError("pickle was used")
class Refused:
    __init__ = refused
for module in (pickle, _pickle):
    module.load = module.loads = refused
    module.Unpickler = Refused
with open(os.environ["PICKLE_WITNESS"] + ".guarded", "a") as file:
    file.write("guarded\\n")
"""


@pytest.fixture
def guarded(tmp_path: Path, umbel_home: Path) -> dict[str, str]:
    """An environment in which every Python process refuses to unpickle, and says so in a file."""
    (tmp_path / "sitecustomize.py").write_text(GUARD)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "PICKLE_WITNESS": str(tmp_path / "witness")}


def test_the_guard_bites(guarded: dict[str, str], tmp_path: Path) -> None:
    """With the guard no process unpickles anything."""
    code = "import pickle; pickle.loads(pickle.dumps(1))"
    ended = subprocess.run([sys.executable, "-c", code], env=guarded, capture_output=True, check=False)
    assert b"pickle was used" in ended.stderr
    assert (tmp_path / "witness").read_text()


def test_a_simulation_needs_no_pickle(guarded: dict[str, str], tmp_path: Path) -> None:
    """`umbel run`, its SuperLink, SuperExec, ServerApp and workers: all guarded, and the run completes."""
    umbel = Path(sys.executable).with_name("umbel")
    ended = subprocess.run(
        [umbel, "run", APP, "--federation-config", "num-supernodes=3"],
        env=guarded,
        capture_output=True,
        text=True,
        check=False,
    )
    witness = tmp_path / "witness"
    assert (ended.returncode, witness.exists()) == (0, False), ended.stderr
    assert "completed" in ended.stdout
    assert len((tmp_path / "witness.guarded").read_text().splitlines()) >= 5


def test_a_run_on_sites_needs_no_pickle(
    guarded: dict[str, str], tmp_path: Path, umbel_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A SuperLink, two SuperNodes, the ServerApp and the workers of the sites: all guarded, and the run completes."""
    for name in ("PYTHONPATH", "PICKLE_WITNESS"):
        monkeypatch.setenv(name, guarded[name])
    with federation(umbel_home) as sites:
        run = sites.wait(sites.start_app())
    assert (run.sub_status, run.cause) == ("completed", None)
    assert not (tmp_path / "witness").exists()
    assert len((tmp_path / "witness.guarded").read_text().splitlines()) >= 7
