"""Workloads of the simulation benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

KILOBYTES_10 = 2_500  # float32 values
KILOBYTES_100 = 25_000
MEGABYTES_10 = 2_500_000
SOFTMAX_784_10 = 7_840


@dataclass(frozen=True)
class Workload:
    """One run of the benchmark app.

    `rounds` are Umbel's and the limit's; `flower_rounds` are fewer, because they take longer. `fraction` in (0, 1] is
    the part of the `nodes` that serves each round. `warm` runs once before, so that the SuperLink is there already.
    `memory` samples the memory of all processes during the run.
    """

    nodes: int
    floats: int = KILOBYTES_10
    work: Literal["noop", "changed", "train"] = "noop"
    loop: Literal["fedavg", "grid"] = "fedavg"
    rounds: int = 20
    flower_rounds: int = 4
    fraction: float = 1.0
    warm: bool = False
    memory: bool = False

    @property
    def clients(self) -> int:
        """Clients that serve one round."""
        return max(2, round(self.fraction * self.nodes))

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
            "rounds": self.rounds_of(product),
            "nodes": self.nodes,
            "fraction": self.fraction,
        }
