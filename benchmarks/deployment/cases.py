"""The cases: what each measures, on which products, and what Umbel must reach."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.deployment.figures import (
    Trace,
    idle_node_megabytes,
    idle_superlink_percent,
    peak_megabytes,
    round_seconds,
    seconds_to_first_round,
    superlink_growth_megabytes,
)
from benchmarks.harness.verdicts import Target

BOTH = ("umbel", "flower")
KILOBYTES_10, MEGABYTES_48, MEGABYTES_500 = 2_500, 12_000_000, 125_000_000  # float32 values


@dataclass(frozen=True)
class Workload:
    """One run on real nodes: a SuperLink and `nodes` SuperNodes, all on this machine.

    `rounds` are Umbel's; `flower_rounds` are fewer, because they take longer. `memory` samples the memory of all processes;
    `idle` is for how many seconds the processor time of all is watched before the run, while nothing happens.
    """

    nodes: int
    floats: int = KILOBYTES_10
    tensors: int = 1
    work: Literal["noop", "changed"] = "noop"
    loop: Literal["fedavg", "grid"] = "grid"
    rounds: int = 20
    flower_rounds: int = 3
    memory: bool = False
    idle: float = 0.0

    def rounds_of(self, product: str) -> int:
        """How many rounds the product runs."""
        return self.flower_rounds if product == "flower" else self.rounds

    def run_config(self, product: str, timings: str) -> dict[str, str | int | float]:
        """The app's config for one run; `timings` is the file that its marks go to."""
        return {
            "timings": timings,
            "loop": self.loop,
            "work": self.work,
            "floats": self.floats,
            "tensors": self.tensors,
            "rounds": self.rounds_of(product),
            "nodes": self.nodes,
        }


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    title: str
    unit: str
    workload: Workload
    figure: Callable[[Trace], float]
    target: Target
    products: Sequence[str] = BOTH

    def quick(self) -> Case:
        """The same case with as few of Flower's rounds as still give a number."""
        return replace(self, workload=replace(self.workload, flower_rounds=min(2, self.workload.flower_rounds)))


EMPTY_2, EMPTY_10 = Workload(nodes=2), Workload(nodes=10)
LARGE = Workload(nodes=2, floats=MEGABYTES_500, work="changed", rounds=5, flower_rounds=3)
LARGE_MEMORY = replace(LARGE, memory=True)
ONE_TENSOR = Workload(nodes=2, floats=MEGABYTES_48, work="changed", rounds=5)
UMBEL = ("umbel",)

CASES = [
    Case("empty-2", "2 nodes, empty round", "s", EMPTY_2, round_seconds, Target("at most", 0.01, "flower")),
    Case(
        "empty-2-fedavg",
        "the same, FedAvg",
        "s",
        replace(EMPTY_2, loop="fedavg"),
        round_seconds,
        Target("at most", 0.07),
        UMBEL,
    ),
    Case("empty-10", "10 nodes, empty round", "s", EMPTY_10, round_seconds, Target("at most", 0.01, "flower")),
    Case("start", "2 nodes, submit to end of round 1", "s", EMPTY_2, seconds_to_first_round, Target("at most", 1.5)),
    Case("large", "2 nodes x 500 MB changed, round", "s", LARGE, round_seconds, Target("at most", 0.2, "flower")),
    Case(
        "large-memory",
        "the same, peak of all processes",
        "MB",
        LARGE_MEMORY,
        peak_megabytes,
        Target("at most", 1 / 3, "flower"),
    ),
    Case(
        "large-superlink",
        "the same, growth of the SuperLink",
        "MB",
        LARGE_MEMORY,
        superlink_growth_megabytes,
        Target("at most", 100),
        UMBEL,
    ),
    Case(
        "idle",
        "idle SuperNode and its processes",
        "MB",
        replace(EMPTY_2, memory=True),
        idle_node_megabytes,
        Target("at most", 0.5, "flower"),
    ),
    Case(
        "idle-processor",
        "idle SuperLink with 10 idle nodes",
        "% of a core",
        Workload(nodes=10, rounds=2, flower_rounds=2, idle=30.0),
        idle_superlink_percent,
        Target("at most", 1.0),
    ),
    Case(
        "tensor-1",
        "2 nodes x 1 tensor of 48 MB, round",
        "s",
        ONE_TENSOR,
        round_seconds,
        Target("at most", 0.2, "flower"),
    ),
    Case(
        "tensor-400",
        "2 nodes x 400 tensors of 120 KB, round",
        "s",
        replace(ONE_TENSOR, tensors=400),
        round_seconds,
        Target("at most", 0.2, "flower"),
    ),
]
