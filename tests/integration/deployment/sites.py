"""A SuperLink with its SuperExec and two SuperNodes: all real, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from umbel.bundle import build_fab
from umbel.wire.api import RunView, StartRun
from umbel.wire.control import ControlClient

APP = Path(__file__).parent / "app"
LIMIT = 40.0  # seconds for what takes a moment on a quiet machine


class Federation:
    """What a consortium runs; `control` is a client of its SuperLink."""

    def __init__(self, home: Path, nodes: int) -> None:
        self.home = home
        ready, told = os.pipe()
        self.superlink = subprocess.Popen(
            [sys.executable, "-m", "umbel.superlink.main", "--ready-fd", str(told)], pass_fds=[told]
        )
        os.close(told)
        with os.fdopen(ready) as said:
            self.address = str(json.loads(said.readline())["address"])
        self.control = ControlClient(self.address, (home / "local" / "token").read_text())
        self.nodes = [self._node(number, nodes) for number in range(nodes)]

    def _node(self, number: int, nodes: int) -> subprocess.Popen[bytes]:
        options = ["--state-dir", str(self.home / f"node{number}"), "--name", f"site{number}"]
        options += ["--node-config", f"partition-id={number} num-partitions={nodes}"]
        return subprocess.Popen([sys.executable, "-m", "umbel.supernode.main", "--superlink", self.address, *options])

    def end(self) -> None:
        """End all of it in good order."""
        self.control.close()
        processes = [*self.nodes, self.superlink]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(LIMIT)

    def start(self, **config: object) -> int:
        """Start a run of the app; `config` are overrides, with underscores for hyphens. Returns its id."""
        overrides = {name.replace("_", "-"): value for name, value in config.items()}
        fab_hash = self.control.put_object(build_fab(APP).data)
        return self.control.start_run(StartRun(fab_hash=fab_hash, run_config=overrides)).run_id  # type: ignore[arg-type]

    def wait(self, run_id: int) -> RunView:
        """The run, when it is over."""
        for _ in self.control.stream(run_id, kinds=["event"]):
            pass
        return self.control.get_run(run_id)

    def model(self, run_id: int) -> str:
        """The digest of the final model."""
        return next(a.digest for a in self.control.artifacts(run_id) if a.name == "model.safetensors")

    def lines(self, run_id: int, source: str) -> list[str]:
        """What the processes of a kind wrote."""
        return [line.text for line in self.control.logs(run_id) if line.source == source]

    def serverapp(self) -> psutil.Process:
        """The process of the ServerApp."""
        children = psutil.Process(self.superlink.pid).children(recursive=True)
        return next(child for child in children if "umbel.deployment.main" in child.cmdline())


@contextmanager
def federation(home: Path, nodes: int = 2) -> Iterator[Federation]:
    """Sites and their SuperLink that do not outlive the test."""
    running = Federation(home, nodes)
    try:
        yield running
    finally:
        running.end()
