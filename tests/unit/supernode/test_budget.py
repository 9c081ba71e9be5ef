"""Slots, CPUs and GPUs are counted."""

from __future__ import annotations

import pytest

from umbel.supernode.resources import Budget, Grant, Need


def test_a_slot_has_its_share() -> None:
    """An app that asks for nothing gets one slot's part of the machine; a GPU is shared only if it must be."""
    assert Budget(1, 8, ("0", "1")).need({}) == Need(8, 2)
    assert Budget(4, 8, ("0", "1")).need({}) == Need(2, 0.5)
    assert Budget(2, 8, ("0", "1", "2")).need({}) == Need(4, 1)
    assert Budget(2, 8, ()).need({}) == Need(4, 0)


@pytest.mark.parametrize("prefix", ["", "options."])
def test_an_app_gets_what_it_asks_for_as_far_as_there_is_so_much(prefix: str) -> None:
    """What the site does not have, it does not refuse: the client runs with less."""
    asked = {f"{prefix}client-resources-num-cpus": 2, f"{prefix}client-resources-num-gpus": 0.25}
    assert Budget(1, 8, ("0",)).need(asked) == Need(2, 0.25)
    assert Budget(1, 1, ()).need(asked) == Need(1, 0)
    assert Budget(1, 8, ("0",)).need({f"{prefix}client-resources-num-cpus": "many"}) == Need(8, 1)


def test_what_is_taken_is_missing_until_it_is_given_back() -> None:
    """CPUs and slots."""
    budget = Budget(3, 2.0, ())
    first, second = budget.take(Need(0.7, 0)), budget.take(Need(1.3, 0))
    assert (first, second) == (Grant(0.7), Grant(1.3))
    assert budget.take(Need(0.1, 0)) is None
    assert first is not None
    budget.release(first)
    assert budget.take(Need(0.7, 0)) == first
    slots = Budget(1, 8, ())
    assert slots.take(Need(1, 0))
    assert slots.take(Need(1, 0)) is None


def test_gpus_go_whole_or_in_shares() -> None:
    """A client with more than one gets whole ones; shares of one are given until it is used up."""
    budget = Budget(9, 9, ("a", "b", "c"))
    assert budget.take(Need(1, 2)) == Grant(1, ("a", "b"))
    half = budget.take(Need(1, 0.5))
    assert half == Grant(1, ("c",), 0.5)
    assert budget.take(Need(1, 0.5)) == half
    assert budget.take(Need(1, 0.5)) is None
    assert budget.take(Need(1, 0)) == Grant(1)
    assert half is not None
    budget.release(half)
    assert budget.take(Need(1, 1)) is None
    assert budget.take(Need(1, 0.25)) == Grant(1, ("c",), 0.25)
