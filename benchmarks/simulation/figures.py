"""From what a run left behind to one number. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from benchmarks.simulation.workload import Workload


@dataclass(frozen=True)
class Trace:
    """One run as seen from outside. Times are seconds since the epoch, memory is bytes.

    `marks` are the lines that the app wrote; `memory` holds (time, sum over all processes of the session).
    """

    submitted: float
    exited: float
    marks: Sequence[dict[str, Any]]
    memory: Sequence[tuple[float, int]] = ()

    def round_end(self, number: int) -> float:
        """When round `number` ended; 0 is when the first began."""
        for mark in self.marks:
            if mark["what"] == "round" and mark["round"] == number:
                return float(mark["ns"]) / 1e9
        raise ValueError(f"the run never reached the end of round {number}; its marks: {list(self.marks)}")

    def ending(self) -> dict[str, Any]:
        """The last mark, which says what the run computed."""
        if not self.marks or self.marks[-1]["what"] != "end":
            raise ValueError(f"the run did not finish; its marks: {list(self.marks)}")
        return self.marks[-1]

    def rounds(self) -> int:
        """The number of the last round that ended."""
        return max((mark["round"] for mark in self.marks if mark["what"] == "round"), default=0)


def verify(trace: Trace, workload: Workload, rounds: int) -> None:
    """Raise ValueError unless the run did all its rounds, with every client in the last, and computed what it should."""
    ending = trace.ending()
    if trace.rounds() != rounds:
        raise ValueError(f"{trace.rounds()} rounds ended instead of {rounds}")
    if workload.fraction < 1:
        return
    expect("the mean partition", ending["partition"], (workload.nodes - 1) / 2)
    if workload.work == "changed" and workload.loop == "fedavg":
        expect("the model's mean", ending["mean"], rounds * 1e-3 * (workload.nodes + 1) / 2)


def expect(what: str, found: float, wanted: float) -> None:
    """Raise ValueError unless the two agree to a thousandth."""
    if abs(found - wanted) > 1e-3 * abs(wanted):
        raise ValueError(f"{what} is {found}, not {wanted}")


def clients_per_second(trace: Trace, workload: Workload) -> float:
    """Clients served per second in the rounds after the first; a round lasts from the end of the one before."""
    ends = [trace.round_end(number) for number in range(1, trace.rounds() + 1)]
    return workload.clients / median(later - earlier for earlier, later in pairwise(ends))


def seconds_to_first_round(trace: Trace, workload: Workload) -> float:
    """From the start of the command to the end of round 1, in seconds."""
    return trace.round_end(1) - trace.submitted


def peak_megabytes(trace: Trace, workload: Workload) -> float:
    """The most memory that all processes together held, in MB."""
    return max(size for _, size in trace.memory) / 1e6


def memory_growth(trace: Trace, workload: Workload) -> float:
    """Memory at the end of the last round divided by that at the end of round 10."""
    return memory_near(trace, trace.round_end(trace.rounds())) / memory_near(trace, trace.round_end(10))


def memory_near(trace: Trace, when: float) -> float:
    """The median of the three samples nearest in time, in bytes."""
    return median(size for _, size in sorted(trace.memory, key=lambda sample: abs(sample[0] - when))[:3])
