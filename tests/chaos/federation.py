"""A SuperLink and SuperNodes as processes of their own, which may be killed and are started again where nothing else does it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import psutil

from tests.chaos.killing import stage
from umbel.bundle import build_fab
from umbel.wire.api import RunView, StartRun
from umbel.wire.control import ControlClient

APP = Path(__file__).parent / "app"
NODES, ROUNDS = 2, 6
STAGES = ROUNDS + 2  # before the first round, each round, after the last
LONGEST_DELAY = 0.3  # seconds after a stage has begun; a little more than a round takes
LIMIT = 60.0  # seconds for what takes a moment on a quiet machine
PROGRAMS = {
    "superexec": "umbel.superexec.main",
    "serverapp": "umbel.deployment.main",
    "worker": "umbel.engine.worker",
}
VICTIMS = ("superlink", "superexec", "serverapp", "supernode", "worker")


class Federation:
    """Everything on this machine, its files under `home`. To be closed."""

    def __init__(self, home: Path) -> None:
        self._home = home
        with socket.socket() as probe:  # its SuperLink is started again at the same address
            probe.bind(("127.0.0.1", 0))
            self._port = int(probe.getsockname()[1])
        self._log = (home / "processes.log").open("ab")
        self.superlink = self._start_superlink()
        self.nodes = [self._start_node(index) for index in range(NODES)]
        self.control = ControlClient(f"http://127.0.0.1:{self._port}", (home / "local" / "token").read_text())
        self.control.http.patience = LIMIT

    def close(self) -> None:
        """End all processes."""
        self.control.close()
        processes = [self.superlink, *self.nodes]
        family = [child for process in processes for child in self._below(process.pid)]
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(LIMIT)
        psutil.wait_procs(family, timeout=LIMIT)
        self._log.close()

    def run(self, seed: int, loop: str, victims: Sequence[str] = ()) -> tuple[RunView, list[str]]:
        """A run, of which these processes are killed on the way, one after another; the run at its end, and what was killed when."""
        dice = random.Random(seed)
        pending = sorted((dice.randrange(STAGES), dice.random(), victim) for victim in victims)
        killed: list[str] = []
        fab_hash = self.control.put_object(build_fab(APP).data)
        request = StartRun(fab_hash=fab_hash, run_config={"loop": loop, "rounds": ROUNDS, "nodes": NODES}, seed=seed)
        run_id = self.control.start_run(request).run_id
        for item in self.control.stream(run_id, kinds=["event"]):
            assert item.event is not None
            if pending and stage(item.event) >= pending[0][0] and item.event.data.get("status") != "finished":
                _, moment, victim = pending[0]
                delay = moment * LONGEST_DELAY
                threading.Event().wait(delay)
                if self.kill(victim, dice):
                    killed.append(f"{victim} {delay:.2f} s after {item.event.kind} {item.event.data}")
                    pending.pop(0)
        return self.control.get_run(run_id), killed

    def model(self, run_id: int) -> str:
        """The digest of a run's final model."""
        return next(
            artifact.digest for artifact in self.control.artifacts(run_id) if artifact.name == "model.safetensors"
        )

    def kill(self, name: str, dice: random.Random) -> bool:
        """SIGKILL one process of this name; False when there is none now. What nobody else starts again is started again."""
        if name == "superlink":
            self.superlink.kill()
            self.superlink.wait(LIMIT)
            self.superlink = self._start_superlink()
        elif name == "supernode":
            index = dice.randrange(NODES)
            self.nodes[index].kill()
            self.nodes[index].wait(LIMIT)
            self.nodes[index] = self._start_node(index)
        else:
            found = self._processes(name)
            if not found:
                return False
            victim = dice.choice(found)
            victim.kill()
            psutil.wait_procs([victim], timeout=LIMIT)
        return True

    def _processes(self, name: str) -> list[psutil.Process]:
        roots = [node.pid for node in self.nodes] if name == "worker" else [self.superlink.pid]
        return [process for root in roots for process in self._below(root) if PROGRAMS[name] in _command(process)]

    @staticmethod
    def _below(pid: int) -> list[psutil.Process]:
        try:
            return psutil.Process(pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def _start_superlink(self) -> subprocess.Popen[bytes]:
        ready, told = os.pipe()
        process = self._start(
            "umbel.superlink.main", "--port", str(self._port), "--ready-fd", str(told), pass_fds=[told]
        )
        os.close(told)
        with os.fdopen(ready) as said:
            assert said.read(), "The SuperLink did not start."
        return process

    def _start_node(self, index: int) -> subprocess.Popen[bytes]:
        state = ["--state-dir", str(self._home / f"node-{index}"), "--node-config", f"partition-id={index}"]
        return self._start("umbel.supernode.main", "--superlink", f"127.0.0.1:{self._port}", *state)

    def _start(self, module: str, *options: str, pass_fds: Sequence[int] = ()) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", module, *options],
            env={**os.environ, "UMBEL_HOME": str(self._home)},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
        )


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
