"""The budget of slots, CPUs and GPUs."""

from __future__ import annotations

import pytest

from umbel.supernode.resources import Budget, Grant, Need


def test_the_default_is_the_share_of_a_slot() -> None:
    """An app that requests nothing gets one slot's share of the machine; a GPU is shared only when there are fewer than slots."""
    assert Budget(1, 8, ("0", "1")).need({}) == Need(8, 2)
    assert Budget(4, 8, ("0", "1")).need({}) == Need(2, 0.5)
    assert Budget(2, 8, ("0", "1", "2")).need({}) == Need(4, 1)
    assert Budget(2, 8, ()).need({}) == Need(4, 0)


@pytest.mark.parametrize("prefix", ["", "options."])
def test_requests_are_limited_to_the_resources_of_the_node(prefix: str) -> None:
    """A request beyond the node's resources is not rejected: the client runs with less. An invalid value means the default."""
    asked = {f"{prefix}client-resources-num-cpus": 2, f"{prefix}client-resources-num-gpus": 0.25}
    assert Budget(1, 8, ("0",)).need(asked) == Need(2, 0.25)
    assert Budget(1, 1, ()).need(asked) == Need(1, 0)
    assert Budget(1, 8, ("0",)).need({f"{prefix}client-resources-num-cpus": "many"}) == Need(8, 1)


def test_resources_are_unavailable_until_they_are_released() -> None:
    """CPUs and slots that are taken cannot be taken again before they are released."""
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


def test_gpus_are_granted_whole_or_in_shares() -> None:
    """A client with more than one GPU gets whole ones; shares of one GPU are granted until it is used up."""
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
