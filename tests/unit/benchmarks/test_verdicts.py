from __future__ import annotations

import pytest
from benchmarks.harness.verdicts import Target, judge

FASTER = Target("at least", 50, "flower")
SMALLER = Target("at most", 0.25, "flower")
SOON = Target("at most", 2.5)


def test_a_ratio_is_that_of_the_medians() -> None:
    """One slow run of either product does not move the verdict."""
    verdict = judge(FASTER, {"umbel": [1.0, 6000.0, 6100.0], "flower": [100.0, 90.0, 5000.0]})
    assert verdict.medians == {"umbel": 6000.0, "flower": 100.0}
    assert verdict.value == 60.0
    assert verdict.passed is True


@pytest.mark.parametrize(
    ("target", "umbel", "flower", "passed"),
    [
        (FASTER, 5000.0, 100.0, True),
        (FASTER, 4999.0, 100.0, False),
        (SMALLER, 25.0, 100.0, True),
        (SMALLER, 26.0, 100.0, False),
        (SOON, 2.5, 100.0, True),
        (SOON, 2.6, 100.0, False),
    ],
)
def test_the_bound_itself_passes_and_the_wrong_side_misses(
    target: Target, umbel: float, flower: float, passed: bool
) -> None:
    """A target is met at its bound and on the right side of it, and nowhere else."""
    assert judge(target, {"umbel": [umbel], "flower": [flower]}).passed is passed


@pytest.mark.parametrize("samples", [{"flower": [1.0]}, {"umbel": [1.0]}, {"umbel": [1.0], "flower": []}, {}])
def test_a_ratio_with_one_side_missing_decides_nothing(samples: dict[str, list[float]]) -> None:
    """Neither product alone passes or misses a target that compares them."""
    verdict = judge(FASTER, samples)
    assert (verdict.value, verdict.passed) == (None, None)


def test_an_absolute_target_needs_only_umbel() -> None:
    """What the other product measured is shown, and does not decide."""
    verdict = judge(SOON, {"umbel": [2.0], "flower": [9.0]})
    assert (verdict.value, verdict.passed, verdict.medians["flower"]) == (2.0, True, 9.0)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_broken_measurement_is_refused(value: float) -> None:
    """A sample that no run can have measured is an error, not a pass."""
    with pytest.raises(ValueError, match="flower measured"):
        judge(FASTER, {"umbel": [1.0], "flower": [1.0, value]})


def test_a_target_reads_as_a_bound() -> None:
    """The table shows what was asked for."""
    assert [str(FASTER), str(SOON)] == [">= 50 x flower", "<= 2.5"]
