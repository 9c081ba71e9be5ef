"""The cases: what each measures, on which products, and what Umbel must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.harness.verdicts import Target
from benchmarks.simulation.figures import (
    Trace,
    clients_per_second,
    memory_growth,
    peak_megabytes,
    seconds_to_first_round,
)
from benchmarks.simulation.workload import KILOBYTES_100, MEGABYTES_10, SOFTMAX_784_10, Workload

BOTH = ("umbel", "flower")


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    title: str
    unit: str
    workload: Workload
    figure: Callable[[Trace, Workload], float]
    target: Target
    products: tuple[str, ...] = BOTH

    def quick(self) -> Case:
        """The same case with as few of Flower's rounds as still give a number."""
        return replace(self, workload=replace(self.workload, flower_rounds=min(2, self.workload.flower_rounds)))


SMALL_100 = Workload(nodes=100, rounds=40, flower_rounds=10)
SMALL_1000 = Workload(nodes=1_000, rounds=20, flower_rounds=3)
LARGE_100 = Workload(nodes=100, floats=MEGABYTES_10, work="changed", rounds=6, flower_rounds=3)
START = Workload(nodes=10, rounds=1, flower_rounds=1)
TRAIN = Workload(nodes=200, floats=SOFTMAX_784_10, work="train", rounds=4)
ENROLLED_10K = Workload(nodes=10_000, floats=KILOBYTES_100, work="changed", rounds=100, fraction=0.01, memory=True)
ENROLLED_1M = Workload(nodes=1_000_000, rounds=1, fraction=0.0001)


def rate(name: str, title: str, workload: Workload, bound: float) -> list[Case]:
    """Clients per second with FedAvg, and with a bare Grid loop, each at least `bound` times Flower's."""
    target = Target("at least", bound, "flower")
    grid = replace(workload, loop="grid")
    return [
        Case(name, f"{title}, FedAvg", "clients/s", workload, clients_per_second, target),
        Case(f"{name}-grid", f"{title}, Grid loop", "clients/s", grid, clients_per_second, target),
    ]


def memory(name: str, title: str, workload: Workload) -> Case:
    """Peak memory at most a quarter of Flower's."""
    sampled = replace(workload, memory=True)
    return Case(name, f"{title}, peak memory", "MB", sampled, peak_megabytes, Target("at most", 0.25, "flower"))


CASES = [
    *rate("small-100", "100 clients x 10 KB no-op", SMALL_100, 50),
    *rate("small-1000", "1,000 clients x 10 KB no-op", SMALL_1000, 100),
    *rate("large-100", "100 clients x 10 MB changed", LARGE_100, 6),
    Case("start-cold", "submit to end of round 1, cold", "s", START, seconds_to_first_round, Target("at most", 2.5)),
    Case(
        "start-warm",
        "submit to end of round 1, warm",
        "s",
        replace(START, warm=True),
        seconds_to_first_round,
        Target("at most", 1.2),
    ),
    memory("memory-small", "100 clients x 10 KB no-op", replace(SMALL_100, flower_rounds=3)),
    memory("memory-large", "100 clients x 10 MB changed", replace(LARGE_100, flower_rounds=2)),
    Case(
        "training",
        "200 clients x 20 ms SGD",
        "clients/s",
        TRAIN,
        clients_per_second,
        Target("at least", 0.8, "limit"),
        ("umbel", "limit"),
    ),
    Case(
        "enrolled-10k",
        "10,000 enrolled, memory round 100 / round 10",
        "x",
        ENROLLED_10K,
        memory_growth,
        Target("at most", 1.05),
        ("umbel",),
    ),
    Case(
        "enrolled-1m",
        "1,000,000 enrolled, submit to end of round 1",
        "s",
        ENROLLED_1M,
        seconds_to_first_round,
        Target("at most", 3.0),
        ("umbel",),
    ),
]
