"""A SuperLink with its SuperExec and SuperNodes: each is a real process on this machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event, Thread

import psutil

from umbel.wire.api import RunView, StartRun
from umbel.wire.control import ControlClient

LIMIT = 60.0  # seconds for what takes a moment on a quiet machine
PROGRAMS = {
    "superexec": "umbel.superexec.main",
    "serverapp": "umbel.deployment.main",
    "worker": "umbel.engine.worker",
}
_ONLINE = " is connected to http"  # what a node says once it has a session


class Node:
    """One SuperNode."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """It begins to look for its SuperLink."""
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._lines: list[str] = []
        self._told = Event()  # that it is online, or gone
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.append(line)
            if _ONLINE in line:
                self._told.set()
        self._told.set()

    def wait_online(self) -> None:
        """Until it has a session."""
        self._told.wait(LIMIT)
        assert any(_ONLINE in line for line in self._lines), "".join(self._lines)

    def answered(self, run_id: int) -> list[str]:
        """The messages of a run that it has answered, as often as it did. It has told that by the end of the run, or soon after."""
        found = (re.search(rf"Run {run_id}: replied to message (\S+)\.", line) for line in self._lines)
        return [match[1] for match in found if match]

    def wait(self) -> None:
        """Until it is gone, after it was told to."""
        self.process.wait(LIMIT)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()


class Federation:
    """What a consortium runs; `control` is a client of its SuperLink. To be ended."""

    def __init__(self, home: Path, nodes: int = 2) -> None:
        """All files lie under `home`, which is the UMBEL_HOME of these processes. The nodes are online."""
        self.home = home
        self.address = ""
        self.nodes: list[Node] = []
        self.superlink = self.start_superlink()
        self.control = ControlClient(self.address, (home / "local" / "token").read_text())
        self.control.http.patience = LIMIT
        self.resize(nodes)

    def end(self) -> None:
        """End all of it in good order."""
        self.control.close()
        family = below(self.superlink.pid)
        self._end_nodes()
        self.superlink.terminate()
        self.superlink.wait(LIMIT)
        psutil.wait_procs(family, timeout=LIMIT)

    def resize(self, nodes: int) -> None:
        """Have exactly this number of nodes, each with one part of the data. Earlier nodes return with their identities."""
        if nodes == len(self.nodes):
            return
        self._end_nodes()
        self.nodes = [self.start_node(index, nodes) for index in range(nodes)]
        for node in self.nodes:
            node.wait_online()

    def start(self, bundle: bytes, run_config: Mapping[str, str | float | bool], seed: int = 0) -> int:
        """Start a run of an app; returns its id."""
        fab_hash = self.control.put_object(bundle)
        return self.control.start_run(StartRun(fab_hash=fab_hash, run_config={**run_config}, seed=seed)).run_id

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

    def processes(self, name: str) -> list[psutil.Process]:
        """Those of a program that is not started here but by another one: see PROGRAMS."""
        roots = [node.process.pid for node in self.nodes] if name == "worker" else [self.superlink.pid]
        return [process for root in roots for process in below(root) if PROGRAMS[name] in _command(process)]

    def connection(self, name: str) -> None:
        """Have the command line of this home know the SuperLink by a name, as its default one."""
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "{name}"\n[superlink.{name}]\naddress = "{self.address}"\n'
            f'token-file = "{self.home / "local" / "token"}"\n'
        )

    def start_superlink(self) -> subprocess.Popen[bytes]:
        """A SuperLink that answers; not the first one, at the address of the one before."""
        ready, told = os.pipe()
        options = ["--ready-fd", str(told), "--port", self.address.rpartition(":")[2] or "0"]
        command = [sys.executable, "-m", "umbel.superlink.server.main", *options]
        process = subprocess.Popen(command, env=self._environment(), stdin=subprocess.DEVNULL, pass_fds=[told])
        os.close(told)
        with os.fdopen(ready) as said:
            self.address = str(json.loads(said.readline())["address"])
        return process

    def start_node(self, index: int, nodes: int) -> Node:
        """Start the SuperNode with part `index` of `nodes`; it resumes from its state directory."""
        options = [
            "--superlink",
            self.address,
            "--name",
            f"site{index}",
            "--state-dir",
            str(self.home / f"node{index}"),
        ]
        options += ["--node-config", f"partition-id={index} num-partitions={nodes}"]
        return Node([sys.executable, "-m", "umbel.supernode.main", *options], self._environment())

    def _end_nodes(self) -> None:
        family = [child for node in self.nodes for child in below(node.process.pid)]
        for node in self.nodes:
            node.process.terminate()
        for node in self.nodes:
            node.wait()
        psutil.wait_procs(family, timeout=LIMIT)

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "UMBEL_HOME": str(self.home)}


def below(pid: int) -> list[psutil.Process]:
    """All processes that a process started, and that those started."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
