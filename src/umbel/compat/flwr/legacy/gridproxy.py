"""Client proxies over Umbel's Grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from umbel.app.message import Error, Message
from umbel.app.recorddict import RecordDict
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.clientmanager import ClientManager, ClientProxy
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
    ReconnectIns,
)
from umbel.errors import NotEnoughNodes
from umbel.serverapp.grid import Grid, RoundPolicy

__all__ = ["GridClientProxy"]


class ClientFailed(ValueError):
    """A client raised an exception or did not reply in time."""

    def __init__(self, error: Error) -> None:
        """The message is the reason of `error`; `code` is one of ErrorCode."""
        super().__init__(error.reason or f"The client failed with code {error.code}.")
        self.code = error.code


class GridClientProxy(ClientProxy):
    """A client on a node of a Grid. Requests raise ClientFailed (a ValueError) if the client fails."""

    def __init__(self, node_id: int, grid: Grid) -> None:
        """The cid is the node ID."""
        super().__init__(str(node_id))
        self.node_id = node_id
        self.grid = grid

    def get_properties(self, ins: GetPropertiesIns, timeout: float | None, group_id: int | None) -> GetPropertiesRes:
        """Request the client's properties."""
        asked = record_conversion.of_get_properties_ins(ins)
        return record_conversion.get_properties_res(self._ask("get_properties", asked, timeout, group_id))

    def get_parameters(self, ins: GetParametersIns, timeout: float | None, group_id: int | None) -> GetParametersRes:
        """Request the client's model."""
        asked = record_conversion.of_get_parameters_ins(ins)
        return record_conversion.get_parameters_res(self._ask("get_parameters", asked, timeout, group_id))

    def fit(self, ins: FitIns, timeout: float | None, group_id: int | None) -> FitRes:
        """Request training."""
        return record_conversion.fit_res(self._ask("train", record_conversion.of_fit_ins(ins), timeout, group_id))

    def evaluate(self, ins: EvaluateIns, timeout: float | None, group_id: int | None) -> EvaluateRes:
        """Request evaluation."""
        return record_conversion.evaluate_res(
            self._ask("evaluate", record_conversion.of_evaluate_ins(ins), timeout, group_id)
        )

    def reconnect(self, ins: ReconnectIns, timeout: float | None, group_id: int | None) -> DisconnectRes:
        """Does nothing: the connection of a node is independent of the run."""
        return DisconnectRes("")

    def message(self, message_type: str, content: RecordDict, group_id: int | None) -> Message:
        """A message for this client."""
        return Message(content, self.node_id, message_type, group_id=None if group_id is None else str(group_id))

    def _ask(self, message_type: str, content: RecordDict, timeout: float | None, group_id: int | None) -> RecordDict:
        message = self.message(message_type, content, group_id)
        (reply,) = self.grid.exchange([message], RoundPolicy(timeout))
        return content_of(reply)


def content_of(reply: Message) -> RecordDict:
    """The content of a reply. Raises ClientFailed if it has an error."""
    if reply.has_error():
        raise ClientFailed(reply.error)
    return reply.content


@contextmanager
def connected(grid: Grid, manager: ClientManager) -> Iterator[None]:
    """Register the grid's online nodes with the manager within the `with` statement, refreshed at each access.

    `sample` and `wait_for` wait for nodes as the grid does: it raises NotEnoughNodes where more can never come.
    """
    registry = _Registry(grid, manager)
    wrapped = {name: registry.wrap(getattr(manager, name)) for name in ("num_available", "all")}
    wrapped["sample"] = registry.waiting(manager.sample)
    wrapped["wait_for"] = registry.waiting_for(manager.wait_for)
    vars(manager).update(wrapped)
    try:
        registry.refresh()
        yield
    finally:
        for name in wrapped:
            delattr(manager, name)
        registry.clear()


class _Registry:
    """Registers the grid's nodes with a manager, as GridClientProxy objects."""

    def __init__(self, grid: Grid, manager: ClientManager) -> None:
        self._grid = grid
        self._manager = manager
        self._proxies: dict[int, GridClientProxy] = {}
        self._seen: object = None

    def refresh(self) -> None:
        """Register the nodes that have come online and unregister those that have gone offline."""
        online = self._grid.get_node_ids()
        if online == self._seen:
            return  # a simulation's nodes are a range, which compares at once
        self._seen = online
        for node in sorted(self._proxies.keys() - set(online)):
            self._manager.unregister(self._proxies.pop(node))
        for node in online:
            if node not in self._proxies:
                self._proxies[node] = GridClientProxy(node, self._grid)
                self._manager.register(self._proxies[node])

    def clear(self) -> None:
        """Unregister all."""
        for proxy in self._proxies.values():
            self._manager.unregister(proxy)

    def wrap(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """`method` after a refresh."""

        def refreshed(*args: Any, **kwargs: Any) -> Any:
            self.refresh()
            return method(*args, **kwargs)

        return refreshed

    def waiting(self, sample: Callable[..., Any]) -> Callable[..., Any]:
        """`sample` once there are enough nodes."""

        def sample_of_enough(*args: Any, **kwargs: Any) -> Any:
            given = dict(zip(("num_clients", "min_num_clients"), args, strict=False)) | kwargs
            least = given.get("min_num_clients")
            self._grid.wait_for_nodes(given["num_clients"] if least is None else least)
            self.refresh()
            return sample(*args, **kwargs)

        return sample_of_enough

    def waiting_for(self, wait_for: Callable[..., bool]) -> Callable[..., bool]:
        """`wait_for`, where the grid waits."""

        def wait(num_clients: int, timeout: float | None = None) -> bool:
            try:
                self._grid.wait_for_nodes(num_clients, timeout)
            except NotEnoughNodes:
                return False
            self.refresh()
            return True

        return wait
