from __future__ import annotations

from benchmarks.harness.report import Result, table
from benchmarks.harness.verdicts import judge
from benchmarks.simulation.cases import CASES

CASE = next(case for case in CASES if case.name == "small-100")


def result(umbel: list[float], flower: list[float], *errors: str) -> Result:
    samples = {"umbel": umbel, "flower": flower}
    return Result(CASE, samples, judge(CASE.target, samples), errors)


def test_a_line_shows_medians_ratio_target_and_verdict() -> None:
    """What was measured, what was asked for, and how it came out."""
    line = table([result([15_000.0], [300.0])]).splitlines()[1]
    assert all(text in line for text in ("small-100", "15,000", "300", "50 x", ">= 50 x flower", "pass"))


def test_a_target_is_missed_by_a_low_ratio_and_by_a_failed_run_alone() -> None:
    """A run that failed is never a pass; a product that was not asked for is no miss."""
    assert not result([15_000.0], [300.0]).missed
    assert not result([15_000.0], []).missed
    assert result([14_000.0], [300.0]).missed
    failed = result([15_000.0], [], "flower: exit status 1")
    assert failed.missed
    assert "FAILED" in table([failed])


def test_the_cases_have_names_of_their_own() -> None:
    """`--only` can tell them apart."""
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
