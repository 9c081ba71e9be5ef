"""From what a run left behind to one number. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Trace:
    """One run as seen from outside. Times are seconds since the epoch, memory is bytes.

    `marks` are the lines that the app wrote. `memory` holds (time, by part: superlink, node-0, …, rest), `idle` the same
    once, when all nodes were online and no run had begun.
    """

    submitted: float
    marks: Sequence[dict[str, Any]]
    idle: Mapping[str, int] = field(default_factory=dict)
    memory: Sequence[tuple[float, Mapping[str, int]]] = ()
    idle_percent: float = 0.0  # of a core, that the SuperLink used while nothing happened

    def round_end(self, number: int) -> float:
        """When round `number` ended; 0 is when the first began."""
        for mark in self.marks:
            if mark["what"] == "round" and mark["round"] == number:
                return float(mark["ns"]) / 1e9
        raise ValueError(f"the run never reached the end of round {number}; its marks: {list(self.marks)}")

    def rounds(self) -> int:
        """The number of the last round that ended."""
        return max((mark["round"] for mark in self.marks if mark["what"] == "round"), default=0)


def verify(trace: Trace, nodes: int, rounds: int) -> None:
    """Raise ValueError unless the run did all its rounds, with every node in the last."""
    if trace.rounds() != rounds:
        raise ValueError(f"{trace.rounds()} rounds ended instead of {rounds}")
    ending = trace.marks[-1]
    if ending["what"] != "end" or abs(ending["partition"] - (nodes - 1) / 2) > 1e-6:
        raise ValueError(f"the run did not end with every node in its last round: {ending}")


def round_seconds(trace: Trace) -> float:
    """The median of the rounds after the first; a round lasts from the end of the one before."""
    ends = [trace.round_end(number) for number in range(1, trace.rounds() + 1)]
    return median(later - earlier for earlier, later in pairwise(ends))


def seconds_to_first_round(trace: Trace) -> float:
    """From the start of the command to the end of round 1."""
    return trace.round_end(1) - trace.submitted


def peak_megabytes(trace: Trace) -> float:
    """The most memory that all processes together held."""
    return max(sum(parts.values()) for _, parts in trace.memory) / 1e6


def superlink_growth_megabytes(trace: Trace) -> float:
    """The most that the SuperLink's own process grew by over what it held idle; at least 1."""
    return max(1.0, max(parts["superlink"] for _, parts in trace.memory) / 1e6 - trace.idle["superlink"] / 1e6)


def idle_node_megabytes(trace: Trace) -> float:
    """What a SuperNode with everything it started held before the run, in the median."""
    return median(size for part, size in trace.idle.items() if part.startswith("node-")) / 1e6


def idle_superlink_percent(trace: Trace) -> float:
    """The share of a core that the SuperLink's own process used before the run; at least what the clock can tell."""
    return max(0.01, trace.idle_percent)
