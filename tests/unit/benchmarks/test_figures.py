from __future__ import annotations

from typing import Any

import pytest
from benchmarks.simulation.figures import (
    Trace,
    clients_per_second,
    memory_growth,
    peak_megabytes,
    seconds_to_first_round,
    verify,
)
from benchmarks.simulation.workload import Workload

HUNDRED = Workload(nodes=100)


def mark(what: str, number: int, seconds: float, **details: float) -> dict[str, Any]:
    return {"what": what, "round": number, "ns": int(seconds * 1e9), **details}


def trace_of(ends: list[float], partition: float = 49.5, mean: float = 0.0) -> Trace:
    """A run submitted at 10 s whose rounds ended at the times given, the first of them being the start of round 1."""
    rounds = [mark("round", number, seconds) for number, seconds in enumerate(ends)]
    return Trace(10.0, ends[-1] + 1, [*rounds, mark("end", 0, ends[-1], partition=partition, mean=mean)])


def test_the_rate_leaves_round_one_out() -> None:
    """Clients per second is that of the median later round, each from the end of the one before."""
    assert clients_per_second(trace_of([11, 19, 19.5, 20.0, 26.0]), HUNDRED) == pytest.approx(200)


def test_the_start_is_counted_from_the_command() -> None:
    """The first round's end is measured from the start of the command, not of the server app."""
    assert seconds_to_first_round(trace_of([14, 15]), HUNDRED) == pytest.approx(5)


def test_the_peak_is_the_largest_sample() -> None:
    """Peak memory is in MB of 10^6 bytes."""
    trace = Trace(0, 1, [], [(0.1, 5_000_000), (0.2, 9_000_000), (0.3, 1_000_000)])
    assert peak_megabytes(trace, HUNDRED) == 9


def test_growth_compares_the_last_round_with_the_tenth() -> None:
    """Memory is read where those rounds ended, and one odd sample does not count."""
    marks = [mark("round", number, float(number)) for number in range(101)]
    memory = [(9.9, 100), (10.0, 900), (10.1, 100), (50.0, 700), (99.9, 110), (100.0, 110), (100.1, 110)]
    assert memory_growth(Trace(0, 101, marks, memory), HUNDRED) == pytest.approx(1.1)


@pytest.mark.parametrize(
    ("trace", "message"),
    [
        (Trace(0, 1, []), "did not finish"),
        (Trace(0, 1, trace_of([1, 2, 3]).marks[:-1]), "did not finish"),
        (trace_of([1, 2]), "1 rounds ended instead of 2"),
        (trace_of([1, 2, 3], partition=49.0), "mean partition"),
        (trace_of([1, 2, 3], mean=0.05), "model's mean"),
    ],
)
def test_a_run_that_did_less_than_asked_is_no_measurement(trace: Trace, message: str) -> None:
    """Rounds, clients or a result that are missing or wrong are an error."""
    with pytest.raises(ValueError, match=message):
        verify(trace, Workload(nodes=100, work="changed"), rounds=2)


def test_a_run_that_did_what_was_asked_is_one() -> None:
    """Two rounds of a hundred clients, each of which added a thousandth of its number."""
    verify(trace_of([1, 2, 3], mean=0.101), Workload(nodes=100, work="changed"), rounds=2)
