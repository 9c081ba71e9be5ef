"""A run on real sites continues when one of two SuperLinks on a database is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.chaos.federation import APP, NODES, ROUNDS
from tests.chaos.killing import stage
from tests.support.federation import LIMIT
from tests.support.postgres import PostgresServer
from tests.support.superlink_process import EXECUTOR, Program
from umbel.bundle import build_fab
from umbel.wire.api import Config, RunView, StartRun
from umbel.wire.control import ControlClient

TOKEN = "the-same-token-at-both"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Consortium:
    """Two SuperLinks on one database, and a SuperExec and SuperNodes that know both. To be closed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self.superlinks = [self._start_superlink(home / name) for name in ("one", "two")]
        self._addresses = ",".join(superlink.address for superlink in self.superlinks)
        self._others = [self._start("exec", "umbel.superexec.main")]
        for index in range(NODES):
            options = ["--state-dir", str(home / f"node-{index}"), "--node-config", f"partition-id={index}"]
            self._others.append(self._start(f"home-{index}", "umbel.supernode.main", *options))
        self.control = ControlClient(self._addresses, TOKEN)
        self.control.http.patience = LIMIT

    def run(self, *, kills: int | None) -> RunView:
        """A run; the SuperLink that everybody uses is killed when stage `kills` begins."""
        fab_hash = self.control.put_object(build_fab(APP).data)
        config: Config = {"loop": "strategy", "rounds": ROUNDS, "nodes": NODES}
        run_id = self.control.start_run(StartRun(fab_hash=fab_hash, run_config=config, seed=1)).run_id
        for item in self.control.stream(run_id, kinds=["event"]):
            if item.event is not None and stage(item.event) == kills:
                self.superlinks[0].kill()
                kills = None
        return self.control.get_run(run_id)

    def model(self, run_id: int) -> str:
        """The digest of a run's final model."""
        found = {artifact.name: artifact.digest for artifact in self.control.artifacts(run_id)}
        return found["model.safetensors"]

    def close(self) -> None:
        """End all processes."""
        self.control.close()
        family = [child for one in self._others for child in psutil.Process(one.pid).children(recursive=True)]
        for process in self._others:
            process.terminate()
        for process in self._others:
            process.wait(LIMIT)
        psutil.wait_procs(family, timeout=LIMIT)
        for superlink in self.superlinks:
            if superlink.process.poll() is None:
                superlink.terminate()

    def _start_superlink(self, home: Path) -> Program:
        (home / "local").mkdir(parents=True)
        (home / "local" / "token").write_text(TOKEN)
        return Program(home, "--object-store", str(self._home / "objects"), simulation=False)

    def _start(self, home: str, module: str, *options: str) -> subprocess.Popen[bytes]:
        environment = {"UMBEL_HOME": str(self._home / home), "UMBEL_EXECUTOR_TOKEN": EXECUTOR}
        with (self._home / f"{home}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, "--superlink", self._addresses, *options],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )


@pytest.fixture
def consortium(
    umbel_home: Path, postgres_server: PostgresServer, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Consortium]:
    """Two SuperLinks, a SuperExec, two SuperNodes."""
    monkeypatch.setenv("UMBEL_DATABASE", postgres_server.url(postgres))
    running = Consortium(umbel_home)
    yield running
    running.close()


def test_a_run_goes_on_at_the_other_superlink(consortium: Consortium) -> None:
    """The SuperLink that all programs use is killed in the middle: the same attempt ends with the same model, bit for bit."""
    calm = consortium.run(kills=None)
    run = consortium.run(kills=3)
    assert (run.sub_status, run.round, run.attempts) == ("completed", ROUNDS, 1), run.cause
    assert consortium.model(run.run_id) == consortium.model(calm.run_id)
    assert consortium.control.address == consortium.superlinks[1].address
