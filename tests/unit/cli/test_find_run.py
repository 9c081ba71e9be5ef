"""From what a person types to a run."""

from __future__ import annotations

from typing import cast

import pytest

from tests.support.fake_control import make_run
from umbel.cli.log import find_run
from umbel.errors import NotFound, UsageError
from umbel.wire.api import RunView
from umbel.wire.control import ControlClient


class Runs:
    """A client that knows these runs, newest first."""

    def __init__(self, *ids: int) -> None:
        self.runs = [make_run(run_id) for run_id in ids]

    def list_runs(self, limit: int | None = None) -> list[RunView]:
        return self.runs[:limit]

    def get_run(self, run_id: int) -> RunView:
        for run in self.runs:
            if run.run_id == run_id:
                return run
        raise NotFound("no such run")


def found(text: str, *ids: int) -> int:
    return find_run(cast("ControlClient", Runs(*ids)), text).run_id


def test_a_whole_id_wins_over_a_prefix() -> None:
    """12 is run 12, though 123 begins with it."""
    assert found("12", 123, 12) == 12


def test_a_unique_prefix_is_enough() -> None:
    """No one types a long id to its end."""
    assert found("98", 9876, 1234) == 9876


def test_last_is_the_newest() -> None:
    """`last` is the run that was started last."""
    assert found("last", 5, 9) == 5


def test_an_ambiguous_prefix_is_refused_with_the_candidates() -> None:
    """The message shows between which runs to choose."""
    with pytest.raises(UsageError, match=r"2 runs: 121, 120\."):
        found("12", 121, 120, 300)


def test_many_candidates_are_not_all_listed() -> None:
    """Five are enough to see the point."""
    with pytest.raises(UsageError, match=r"7 runs: 10, 11, 12, 13, 14 …"):
        found("1", *range(10, 17))


@pytest.mark.parametrize("text", ["7", "last"])
def test_a_run_that_is_not_there_is_not_found(text: str) -> None:
    """Also on a SuperLink without any run."""
    with pytest.raises(NotFound):
        found(text)


@pytest.mark.parametrize("text", ["abc", "-1", "", "1.5", "\u0661"])
def test_what_is_no_id_is_a_usage_error(text: str) -> None:
    """Only ASCII digits and `last` stand for runs."""
    with pytest.raises(UsageError, match="is not a run"):
        found(text, 1)
