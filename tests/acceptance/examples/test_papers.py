"""The strategies do what their papers claim, and the check of it can tell."""

from __future__ import annotations

import tomllib

import pytest

from tests.acceptance.examples.conftest import ROOT, Import

FOLDER = "benchmarks/papers"
EXPECTED = tomllib.loads((ROOT / FOLDER / "expected.toml").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", EXPECTED)
def test_the_claims_hold(name: str, import_from: Import) -> None:
    """Every figure is near the one that is on record, and every claim holds."""
    experiments = import_from(FOLDER, "experiments")
    figures = experiments.EXPERIMENTS[name]()
    assert import_from(FOLDER, "run").check(figures, EXPECTED[name]) == []


def test_the_check_finds_what_is_wrong(import_from: Import) -> None:
    """A figure that is off, one that is no number, and a claim that does not hold are each named."""
    check = import_from(FOLDER, "run").check
    expected = {"tolerance": 0.1, "figures": {"a": 1.0, "b": 2.0}, "claims": ["a < b", "0.5 * b < a", "b < 3"]}
    assert check({"a": 1.05, "b": 2.05}, expected) == []
    assert check({"a": 1.05, "b": 2.5}, expected) == ["b is 2.5, not 2.0 ± 0.2", "0.5 * b < a does not hold"]
    assert check({"a": float("nan"), "b": 2.0}, expected)[0].startswith("a is nan")
