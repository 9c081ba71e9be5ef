"""Measure real nodes in Umbel against Flower on this machine: `python run.py --help`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from benchmarks.deployment.cases import CASES, Case
from benchmarks.deployment.figures import verify
from benchmarks.deployment.products import PRODUCTS
from benchmarks.deployment.sessions import session
from benchmarks.harness import environments, runner


def prepare(product: str) -> None:
    """The figures of this benchmark."""
    environments.prepare(PRODUCTS[product].environment)


def sample(case: Case, product: str) -> float:
    """The case's figure from one run in its own session; see `Bench`."""
    workload = case.workload
    with session(PRODUCTS[product], workload.nodes) as current:
        trace = current.run(workload)
    verify(trace, workload.nodes, workload.rounds_of(product))
    value = case.figure(trace)
    runner.say(f"{case.name}: {product} {value:.4g} {case.unit}")
    return value


if __name__ == "__main__":
    sys.exit(runner.main(runner.Bench(CASES, list(PRODUCTS), prepare, sample), __doc__))
