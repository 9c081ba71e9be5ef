"""Number of workers for a machine."""

from __future__ import annotations

import pytest

from umbel.engine.resources import ClientResources, Machine, plan, this_machine
from umbel.errors import ResourcesMissing

GIB = 1 << 30
MACHINE = Machine(cpus=8, gpus=("0", "1"), memory=16 * GIB)


@pytest.mark.parametrize(
    ("resources", "clients", "max_workers", "initial", "most"),
    [
        (ClientResources(), 100, None, 8, 32),
        (ClientResources(2), 100, None, 4, 16),
        (ClientResources(0.5), 100, None, 16, 64),
        (ClientResources(), 3, None, 3, 3),
        (ClientResources(), 100, 5, 5, 5),
        (ClientResources(), 100, 20, 8, 20),
        (ClientResources(1, 0.5), 100, None, 4, 4),
        (ClientResources(1, 2), 100, None, 1, 1),
        (ClientResources(0, 0), 100, None, 32, 100),
    ],
)
def test_workers_follow_from_what_a_client_needs(
    resources: ClientResources, clients: int, max_workers: int | None, initial: int, most: int
) -> None:
    """CPUs, GPUs, the number of clients and the user's limit all bound it."""
    made = plan(MACHINE, resources, clients, max_workers)
    assert (made.initial, made.most) == (initial, most)


@pytest.mark.parametrize("resources", [ClientResources(9), ClientResources(1, 3)])
def test_a_client_that_does_not_fit_is_refused(resources: ClientResources) -> None:
    """The error says what is asked for, what there is and what to lower."""
    with pytest.raises(ResourcesMissing, match=r"requires \d .*, but this machine has \d\. Lower client-resources"):
        plan(MACHINE, resources, 10)


def test_workers_grow_while_clients_wait_and_fit_into_memory() -> None:
    """Clients that are blocked half of their time get twice as many workers; memory has the last word."""
    made = plan(MACHINE, ClientResources(), 100)
    assert [made.desired(share) for share in (0.0, 0.5, 0.9, 1.0)] == [8, 16, 32, 32]
    assert made.fit_in_memory(0) == made.most
    assert made.fit_in_memory(4 * GIB) == 3
    assert made.fit_in_memory(100 * GIB) == 1


def test_each_worker_sees_its_own_gpus_and_threads() -> None:
    """Two workers share a GPU at half a GPU each; without a GPU share none is seen; threads follow from the CPU share alone."""
    halves = plan(MACHINE, ClientResources(2, 0.5), 100)
    assert [halves.environment(slot)["CUDA_VISIBLE_DEVICES"] for slot in range(4)] == ["0", "0", "1", "1"]
    assert halves.environment(0)["OMP_NUM_THREADS"] == "2"
    none = plan(MACHINE, ClientResources(0.3), 100).environment(0)
    assert (none["CUDA_VISIBLE_DEVICES"], none["OMP_NUM_THREADS"]) == ("", "1")
    assert plan(MACHINE, ClientResources(1, 2), 9).environment(0)["CUDA_VISIBLE_DEVICES"] == "0,1"


def test_this_machine_is_looked_at() -> None:
    """There is at least a CPU and some memory."""
    machine = this_machine()
    assert machine.cpus >= 1
    assert machine.memory > 64 * (1 << 20)
