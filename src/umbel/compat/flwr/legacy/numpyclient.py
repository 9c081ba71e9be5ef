"""NumPyClient: the older API's client, with ndarrays."""

from __future__ import annotations

from abc import ABC

from umbel.app.context import Context
from umbel.compat.flwr.legacy.client import Client
from umbel.compat.flwr.legacy.parameters import ndarrays_to_parameters, parameters_to_ndarrays
from umbel.compat.flwr.legacy.typing import (
    Code,
    Config,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Metrics,
    NDArrays,
    Properties,
    Status,
)

__all__ = ["NumPyClient"]

_OK = Status(Code.OK, "Success")
_FIT = (list, int, dict)
_EVALUATE = (float, int, dict)


class NumPyClient(ABC):
    """Trains and evaluates at a site. An app overrides the methods that its strategy uses."""

    context: Context
    """The node's context, from before the first method is called."""

    def get_context(self) -> Context:
        """The node's context."""
        return self.context

    def set_context(self, context: Context) -> None:
        """Give the client its node's context."""
        self.context = context

    def get_properties(self, config: Config) -> Properties:
        """What the server may know of this client."""
        return {}

    def get_parameters(self, config: Config) -> NDArrays:
        """The client's model."""
        return []

    def fit(self, parameters: NDArrays, config: Config) -> tuple[NDArrays, int, Metrics]:
        """Train the model that came: the new model, the number of examples, metrics."""
        return [], 0, {}

    def evaluate(self, parameters: NDArrays, config: Config) -> tuple[float, int, Metrics]:
        """Evaluate the model that came: the loss, the number of examples, metrics."""
        return 0.0, 0, {}

    def to_client(self) -> Client:
        """A Client that calls this one."""
        return _Adapter(self)


class _Adapter(Client):
    """Calls a NumPyClient; what that does not override is not implemented here either."""

    def __init__(self, client: NumPyClient) -> None:
        self.numpy_client = client

    def set_context(self, context: Context) -> None:
        super().set_context(context)
        self.numpy_client.set_context(context)

    def _has(self, method: str) -> bool:
        return getattr(type(self.numpy_client), method) is not getattr(NumPyClient, method)

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        if not self._has("get_properties"):
            return super().get_properties(ins)
        return GetPropertiesRes(_OK, self.numpy_client.get_properties(config=ins.config))

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        if not self._has("get_parameters"):
            return super().get_parameters(ins)
        return GetParametersRes(_OK, ndarrays_to_parameters(self.numpy_client.get_parameters(config=ins.config)))

    def fit(self, ins: FitIns) -> FitRes:
        if not self._has("fit"):
            return super().fit(ins)
        answer = self.numpy_client.fit(parameters_to_ndarrays(ins.parameters), ins.config)
        _check("fit", answer, _FIT, "list of ndarrays, int, dict")
        ndarrays, num_examples, metrics = answer
        return FitRes(_OK, ndarrays_to_parameters(ndarrays), num_examples, metrics)

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        if not self._has("evaluate"):
            return super().evaluate(ins)
        answer = self.numpy_client.evaluate(parameters_to_ndarrays(ins.parameters), ins.config)
        _check("evaluate", answer, _EVALUATE, "float, int, dict")
        return EvaluateRes(_OK, *answer)


def _check(method: str, answer: tuple[object, ...], types: tuple[type, ...], words: str) -> None:
    """Raise TypeError unless `answer` has these types."""
    if len(answer) != len(types) or not all(map(isinstance, answer, types)):
        given = ", ".join(type(item).__name__ for item in answer)
        raise TypeError(f"NumPyClient.{method} must return a tuple of {words}, but returned: {given}.")
