"""Measure simulation in Umbel against Flower, and against the limit, on this machine: `python run.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from benchmarks.harness import runner
from benchmarks.simulation.cases import CASES, Case
from benchmarks.simulation.figures import verify
from benchmarks.simulation.products import PRODUCTS
from benchmarks.simulation.sessions import session
from benchmarks.simulation.workload import Workload


def prepare(product: str) -> None:
    """The figures of this benchmark."""
    PRODUCTS[product].prepare()
    first = Workload(2, rounds=1, flower_rounds=1)
    sample(Case("warm-up", "", "", first, lambda *_: 1.0, CASES[0].target), product)


def sample(case: Case, product: str) -> float:
    """The case's figure from one run in its own session; see `Bench`."""
    workload = case.workload
    with session(PRODUCTS[product]) as current:
        if workload.warm:
            current.run(workload)
        trace = current.run(workload)
    verify(trace, workload, workload.rounds_of(product))
    value = case.figure(trace, workload)
    runner.say(f"{case.name}: {product} {value:.4g} {case.unit} ({trace.exited - trace.submitted:.1f} s)")
    return value


if __name__ == "__main__":
    sys.exit(runner.main(runner.Bench(CASES, list(PRODUCTS), prepare, sample), __doc__))
