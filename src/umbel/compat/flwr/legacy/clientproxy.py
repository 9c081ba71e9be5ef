"""ClientProxy: the server's end of one client."""

from __future__ import annotations

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

__all__ = ["ClientProxy"]


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
