"""One product at work in its own folder, with all its processes ended afterwards."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from benchmarks.harness.commands import failure, read_marks
from benchmarks.harness.processes import TOKEN_VARIABLE, Family, MemorySampler, end
from benchmarks.harness.runner import Failed
from benchmarks.simulation.figures import Trace
from benchmarks.simulation.products import Product
from benchmarks.simulation.workload import Workload


class Session:
    """Runs of one product that share a home folder and what stays running in it."""

    def __init__(self, product: Product, home: Path) -> None:
        token = uuid.uuid4().hex
        self.product = product
        self.home = home
        self.family = Family(token)
        self.variables = product.variables(home) | {TOKEN_VARIABLE: token}

    def run(self, workload: Workload) -> Trace:
        """Run the app once, from the start of the command to its exit."""
        timings = self.home / f"timings-{uuid.uuid4().hex}.jsonl"
        command = self.product.command(workload, timings)
        sampler = MemorySampler(self.family) if workload.memory else None
        with sampler or nullcontext():
            submitted = time.time()
            self.call(command)
            exited = time.time()
        return Trace(submitted, exited, read_marks(timings), sampler.samples if sampler else ())

    def call(self, command: list[str]) -> None:
        """Run the command; raise Failed with the end of its output if it fails or takes too long."""
        output = self.home / "output.txt"
        if reason := failure(command, self.variables, self.home, output):
            tail = output.read_text(encoding="utf-8", errors="replace")[-4000:]
            raise Failed(f"{self.product.name}: {reason}\n{tail}")


@contextmanager
def session(product: Product) -> Iterator[Session]:
    """A session in a new temporary folder; at the end its processes are ended and the folder is removed."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    current = Session(product, home)
    try:
        yield current
    finally:
        end(current.family)
        shutil.rmtree(home, ignore_errors=True)
