"""ClientManager, ClientProxy and Criterion: the available clients and their sampling."""

from __future__ import annotations

import logging
import random
import threading
from abc import ABC, abstractmethod

from umbel.compat.flwr.legacy.typing import (
    DisconnectRes,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Properties,
    ReconnectIns,
)

__all__ = ["ClientManager", "ClientProxy", "Criterion", "SimpleClientManager"]


class ClientProxy(ABC):
    """Sends requests to one client and waits up to `timeout` seconds for its reply. `group_id` is the number of the round."""

    node_id: int

    def __init__(self, cid: str) -> None:
        """`cid` is the node ID as a str."""
        self.cid = cid
        self.properties: Properties = {}

    @abstractmethod
    def get_properties(self, ins: GetPropertiesIns, timeout: float | None, group_id: int | None) -> GetPropertiesRes:
        """Request the client's properties."""

    @abstractmethod
    def get_parameters(self, ins: GetParametersIns, timeout: float | None, group_id: int | None) -> GetParametersRes:
        """Request the client's model."""

    @abstractmethod
    def fit(self, ins: FitIns, timeout: float | None, group_id: int | None) -> FitRes:
        """Request training."""

    @abstractmethod
    def evaluate(self, ins: EvaluateIns, timeout: float | None, group_id: int | None) -> EvaluateRes:
        """Request evaluation."""

    @abstractmethod
    def reconnect(self, ins: ReconnectIns, timeout: float | None, group_id: int | None) -> DisconnectRes:
        """Request a reconnection."""


class Criterion(ABC):
    """A condition that sampled clients must meet."""

    @abstractmethod
    def select(self, client: ClientProxy) -> bool:
        """Whether the client may be sampled."""


log = logging.getLogger(__name__)

_PATIENCE = 86_400  # seconds


class ClientManager(ABC):
    """Registers the available clients and samples from them."""

    @abstractmethod
    def num_available(self) -> int:
        """The number of registered clients."""

    @abstractmethod
    def register(self, client: ClientProxy) -> bool:
        """Add a client; False if its cid is already registered."""

    @abstractmethod
    def unregister(self, client: ClientProxy) -> None:
        """Remove a client. Unknown clients are ignored."""

    @abstractmethod
    def all(self) -> dict[str, ClientProxy]:
        """The clients by their cid."""

    @abstractmethod
    def wait_for(self, num_clients: int, timeout: int) -> bool:
        """Wait for `num_clients` clients; False if there are fewer after `timeout` seconds."""

    @abstractmethod
    def sample(
        self, num_clients: int, min_num_clients: int | None = None, criterion: Criterion | None = None
    ) -> list[ClientProxy]:
        """Sample `num_clients` of the clients that match `criterion`, once `min_num_clients` are registered."""


class SimpleClientManager(ClientManager):
    """Samples uniformly with the generator of `random`, which is seeded with the run's seed."""

    def __init__(self) -> None:
        """Create a manager without clients."""
        self.clients: dict[str, ClientProxy] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self.clients)

    def num_available(self) -> int:
        """The number of registered clients."""
        return len(self)

    def wait_for(self, num_clients: int, timeout: int = _PATIENCE) -> bool:
        """Wait for `num_clients` clients; False if there are fewer after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.clients) >= num_clients, timeout)

    def register(self, client: ClientProxy) -> bool:
        """Add a client; False if its cid is already registered."""
        with self._changed:
            if client.cid in self.clients:
                return False
            self.clients[client.cid] = client
            self._changed.notify_all()
            return True

    def unregister(self, client: ClientProxy) -> None:
        """Remove a client. Unknown clients are ignored."""
        with self._changed:
            self.clients.pop(client.cid, None)
            self._changed.notify_all()

    def all(self) -> dict[str, ClientProxy]:
        """The clients by their cid."""
        return self.clients

    def sample(
        self, num_clients: int, min_num_clients: int | None = None, criterion: Criterion | None = None
    ) -> list[ClientProxy]:
        """Sample clients; an empty list if fewer than `num_clients` match the criterion."""
        self.wait_for(num_clients if min_num_clients is None else min_num_clients)
        fitting = [client for client in self.clients.values() if criterion is None or criterion.select(client)]
        if num_clients > len(fitting):
            log.info("No clients sampled: %d requested, but only %d available.", num_clients, len(fitting))
            return []
        return random.sample(fitting, num_clients)
