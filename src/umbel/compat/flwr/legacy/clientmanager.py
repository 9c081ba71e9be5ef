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
    """Asks one client and waits for its answer, at most `timeout` seconds. `group_id` is the round."""

    node_id: int

    def __init__(self, cid: str) -> None:
        """`cid` is the node's id as a str."""
        self.cid = cid
        self.properties: Properties = {}

    @abstractmethod
    def get_properties(self, ins: GetPropertiesIns, timeout: float | None, group_id: int | None) -> GetPropertiesRes:
        """The client's properties."""

    @abstractmethod
    def get_parameters(self, ins: GetParametersIns, timeout: float | None, group_id: int | None) -> GetParametersRes:
        """The client's model."""

    @abstractmethod
    def fit(self, ins: FitIns, timeout: float | None, group_id: int | None) -> FitRes:
        """Have the client train."""

    @abstractmethod
    def evaluate(self, ins: EvaluateIns, timeout: float | None, group_id: int | None) -> EvaluateRes:
        """Have the client evaluate."""

    @abstractmethod
    def reconnect(self, ins: ReconnectIns, timeout: float | None, group_id: int | None) -> DisconnectRes:
        """Have the client go away and come back."""


class Criterion(ABC):
    """Says of a client whether it may be sampled."""

    @abstractmethod
    def select(self, client: ClientProxy) -> bool:
        """Whether it may."""


log = logging.getLogger(__name__)

_PATIENCE = 86_400  # seconds


class ClientManager(ABC):
    """Keeps the clients and samples among them."""

    @abstractmethod
    def num_available(self) -> int:
        """How many clients there are."""

    @abstractmethod
    def register(self, client: ClientProxy) -> bool:
        """Add a client; False when its cid is known already."""

    @abstractmethod
    def unregister(self, client: ClientProxy) -> None:
        """Remove a client; one that is not there is no error."""

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
        """`num_clients` of the clients that fit `criterion`, once there are `min_num_clients` in all."""


class SimpleClientManager(ClientManager):
    """Samples uniformly, with the generator of `random`, which the run's seed has seeded."""

    def __init__(self) -> None:
        """No clients yet."""
        self.clients: dict[str, ClientProxy] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self.clients)

    def num_available(self) -> int:
        """How many clients there are."""
        return len(self)

    def wait_for(self, num_clients: int, timeout: int = _PATIENCE) -> bool:
        """Wait for `num_clients` clients; False if there are fewer after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self.clients) >= num_clients, timeout)

    def register(self, client: ClientProxy) -> bool:
        """Add a client; False when its cid is known already."""
        with self._changed:
            if client.cid in self.clients:
                return False
            self.clients[client.cid] = client
            self._changed.notify_all()
            return True

    def unregister(self, client: ClientProxy) -> None:
        """Remove a client; one that is not there is no error."""
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
