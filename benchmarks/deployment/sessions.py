"""One product at work in its own folder: a SuperLink, its SuperNodes, and one run; all processes are ended afterwards."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from benchmarks.deployment.cases import Workload
from benchmarks.deployment.figures import Trace
from benchmarks.deployment.products import Product
from benchmarks.harness import environments
from benchmarks.harness.commands import failure, read_marks
from benchmarks.harness.processes import TOKEN_VARIABLE, Family, end, proportional_set_size
from benchmarks.harness.runner import Failed

READY = 60.0  # seconds for everything to be up


class Session:
    """A SuperLink with its nodes. Linux only."""

    def __init__(self, product: Product, home: Path) -> None:
        token = uuid.uuid4().hex
        self.product = product
        self.home = home
        self.family = Family(token)
        self.variables = environments.variables(product.environment, home, product.settings(home)) | {
            TOKEN_VARIABLE: token
        }
        self.port = environments.free_port()
        self.superlink = 0
        self.nodes: list[int] = []
        product.connect(self.port, home)

    def start(self, nodes: int) -> None:
        """Start the SuperLink and the nodes, and wait until all are online."""
        self.superlink = self._spawn("superlink", self.product.superlink(self.port))
        self._wait(lambda: self._online() is not None, "the SuperLink does not answer")
        self.nodes = [
            self._spawn(f"node-{index}", self.product.node(self.port, index, nodes, self.home))
            for index in range(nodes)
        ]
        self._wait(lambda: (self._online() or 0) >= nodes, f"not all of {nodes} nodes came online")

    def run(self, workload: Workload) -> Trace:
        """Run the app once; memory is sampled before and, if asked for, during the run."""
        percent = self._idle_percent(workload.idle) if workload.idle else 0.0
        idle = self.memory()
        timings = self.home / f"timings-{uuid.uuid4().hex}.jsonl"
        over = threading.Event()
        samples: list[tuple[float, Mapping[str, int]]] = []

        def sample() -> None:
            while not over.wait(0.05):
                samples.append((time.time(), self.memory()))

        sampler = threading.Thread(target=sample)
        if workload.memory:
            sampler.start()
        submitted = time.time()
        try:
            self._call(self.product.run(workload, timings))
        finally:
            over.set()
            if workload.memory:
                sampler.join()
        marks = read_marks(timings)
        return Trace(submitted, marks, idle, samples, percent)

    def memory(self) -> dict[str, int]:
        """Proportional set sizes now: of the SuperLink's own process, of each node with its descendants, and of the rest."""
        sizes = {pid: proportional_set_size(pid) for pid in self.family.members()}
        parts = {"superlink": sizes.pop(self.superlink, 0)}
        for index, pid in enumerate(self.nodes):
            parts[f"node-{index}"] = sum(sizes.pop(member, 0) for member in _with_descendants(pid))
        return parts | {"rest": sum(sizes.values())}

    def _idle_percent(self, seconds: float) -> float:
        process = psutil.Process(self.superlink)
        threading.Event().wait(5.0)  # what came with the start is over
        process.cpu_percent()
        threading.Event().wait(seconds)
        return process.cpu_percent()

    def _spawn(self, name: str, command: list[str]) -> int:
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                env=self.variables,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return process.pid

    def _online(self) -> int | None:
        """How many nodes are online; None while the SuperLink does not answer."""
        done = subprocess.run(
            self.product.nodes,
            env=self.variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout.count('"online"') if done.returncode == 0 else None

    def _wait(self, ready: object, otherwise: str) -> None:
        deadline = time.monotonic() + READY
        while not ready():  # type: ignore[operator]
            if time.monotonic() > deadline:
                raise Failed(f"{self.product.name}: {otherwise}\n{self._logs()}")
            time.sleep(0.2)  # a benchmark may poll: nothing is measured yet

    def _call(self, command: list[str]) -> None:
        if reason := failure(command, self.variables, self.home, self.home / "run.log"):
            raise Failed(f"{self.product.name}: {reason}\n{self._logs()}")

    def _logs(self) -> str:
        return "\n".join(
            f"== {log.name}\n{log.read_text('utf-8', errors='replace')[-1500:]}"
            for log in sorted(self.home.glob("*.log"))
        )


def _with_descendants(pid: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    return []


@contextmanager
def session(product: Product, nodes: int) -> Iterator[Session]:
    """A session in a new temporary folder; at the end its processes are ended and the folder is removed."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    current = Session(product, home)
    try:
        current.start(nodes)
        yield current
    finally:
        end(current.family)
        shutil.rmtree(home, ignore_errors=True)
