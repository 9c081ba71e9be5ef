"""The limit: the same work in a bare multiprocessing loop, the model in shared memory, the average in the parent.

Called by the runner as `limit.py CONFIG`, CONFIG in the form that `umbel run --run-config` takes.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from benchmarks.app.benchapp.marks import Marks
from benchmarks.app.benchapp.work import Floats, work


@dataclass
class Shared:
    """What the processes of the pool inherit: the model, in memory that they share, and what to do with it."""

    values: Floats
    kind: str


SHARED = Shared(np.zeros(0, np.float32), "noop")


def main() -> None:
    """Run the rounds and leave the same marks as the app."""
    config = tomllib.loads(sys.argv[1].replace(" ", "\n"))
    marks = Marks(Path(config["timings"]))
    marks.note("main")
    context = multiprocessing.get_context("fork")
    SHARED.values = np.frombuffer(context.RawArray("f", config["floats"]), dtype=np.float32)
    SHARED.kind = config["work"]
    cores = len(os.sched_getaffinity(0))
    with context.Pool(cores) as pool:
        clients = max(2, round(config["fraction"] * config["nodes"]))
        chunk = max(1, clients // (8 * cores))
        marks.note("round", 0)
        for number in range(1, config["rounds"] + 1):
            total = np.zeros_like(SHARED.values)
            for values in pool.imap_unordered(client, range(clients), chunk):
                total += values
            SHARED.values[:] = total / np.float32(clients)
            marks.note("round", number)
    marks.note("end", partition=(clients - 1) / 2, mean=float(SHARED.values.mean()))


def client(partition: int) -> Floats:
    """What one client gives back, computed in a process of the pool."""
    return work(SHARED.kind, SHARED.values, partition)


if __name__ == "__main__":
    main()
