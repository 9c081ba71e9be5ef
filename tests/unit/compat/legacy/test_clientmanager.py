from __future__ import annotations

import random
from typing import Any

import pytest

from tests.unit.compat.legacy.federation import grid_of
from umbel.compat.flwr.legacy.clientmanager import ClientProxy, Criterion, SimpleClientManager
from umbel.compat.flwr.legacy.gridproxy import GridClientProxy, connected
from umbel.errors import NotEnoughNodes


class Even(Criterion):
    def select(self, client: ClientProxy) -> bool:
        return int(client.cid) % 2 == 0


def manager_of(*node_ids: int) -> SimpleClientManager:
    """A manager with clients of these nodes."""
    manager = SimpleClientManager()
    for node_id in node_ids:
        assert manager.register(GridClientProxy(node_id, grid_of()))
    return manager


def cids(clients: Any) -> list[str]:
    """The cids of the clients, sorted."""
    return sorted(client.cid for client in clients)


def test_a_sample_has_as_many_clients_as_asked_for() -> None:
    """No client is in it twice; of all of them, it is everybody."""
    manager = manager_of(2, 3, 4, 5)
    assert len(set(cids(manager.sample(3)))) == 3
    assert cids(manager.sample(4)) == ["2", "3", "4", "5"]


def test_nobody_is_sampled_when_there_are_too_few() -> None:
    """More than there are, once the minimum is there, is an empty sample and no error."""
    assert manager_of(2, 3).sample(3, min_num_clients=2) == []


def test_a_criterion_says_who_may_be_sampled() -> None:
    """Clients that do not fit are never in it; when too few fit, no one is."""
    manager = manager_of(2, 3, 4, 5)
    assert cids(manager.sample(2, criterion=Even())) == ["2", "4"]
    assert manager.sample(3, criterion=Even()) == []


def test_the_seed_decides_the_sample() -> None:
    """The same seed of `random` gives the same clients in the same order."""
    manager = manager_of(*range(2, 30))
    draws = []
    for _ in range(2):
        random.seed(3)
        draws.append([client.cid for client in manager.sample(10)])
    assert draws[0] == draws[1]


def test_a_cid_is_registered_once() -> None:
    """The second one is refused; an unknown one can be unregistered."""
    manager = manager_of(2)
    assert not manager.register(GridClientProxy(2, grid_of()))
    manager.unregister(GridClientProxy(9, grid_of()))
    assert (len(manager), manager.num_available(), list(manager.all())) == (1, 1, ["2"])


def test_waiting_ends_at_the_timeout() -> None:
    """No one comes."""
    assert manager_of(2).wait_for(1)
    assert not manager_of(2).wait_for(2, timeout=0)


def test_the_clients_are_the_nodes_that_are_online() -> None:
    """A node that comes or goes is noticed at the next question, and at the end all are gone."""
    grid = grid_of(nodes=[2, 3])
    manager = SimpleClientManager()
    with connected(grid, manager):
        assert manager.num_available() == 2
        grid._nodes = [3, 4, 5]
        assert list(manager.all()) == ["3", "4", "5"]
        assert cids(manager.sample(3)) == ["3", "4", "5"]
    assert manager.num_available() == 0
    assert "sample" not in vars(manager)


def test_too_few_nodes_are_an_error_where_more_cannot_come() -> None:
    """A simulation's nodes are what they are: to wait for more is to wait forever."""
    manager = SimpleClientManager()
    with connected(grid_of(nodes=[2, 3]), manager):
        with pytest.raises(NotEnoughNodes, match="3 nodes are required"):
            manager.sample(3)
        with pytest.raises(NotEnoughNodes, match="5 nodes are required"):
            manager.sample(2, 5)
        assert manager.sample(num_clients=3, min_num_clients=2) == []
        assert manager.wait_for(2)
        assert not manager.wait_for(3)


def test_an_apps_own_manager_is_connected_too() -> None:
    """A manager with its own `sample` gets the nodes and its other arguments."""

    class First(SimpleClientManager):
        def sample(self, num_clients: int, *args: Any, reverse: bool = False, **kwargs: Any) -> list[ClientProxy]:
            return sorted(self.all().values(), key=lambda client: int(client.cid), reverse=reverse)[:num_clients]

    manager = First()
    with connected(grid_of(), manager):
        assert [client.cid for client in manager.sample(2, reverse=True)] == ["5", "4"]
