"""Client: the older API's client, with typed messages."""

from __future__ import annotations

from abc import ABC

from umbel.app.context import Context
from umbel.compat.flwr.legacy.typing import (
    Code,
    EvaluateIns,
    EvaluateRes,
    FitIns,
    FitRes,
    GetParametersIns,
    GetParametersRes,
    GetPropertiesIns,
    GetPropertiesRes,
    Parameters,
    Status,
)

__all__ = ["Client"]

_NO_PARAMETERS = Parameters([], "")


class Client(ABC):
    """Trains and evaluates at a site. Each method that an app does not override answers that it is not implemented."""

    context: Context
    """The node's context, from before the first method is called."""

    def get_context(self) -> Context:
        """The node's context."""
        return self.context

    def set_context(self, context: Context) -> None:
        """Give the client its node's context."""
        self.context = context

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """What the server may know of this client."""
        return GetPropertiesRes(_missing(Code.GET_PROPERTIES_NOT_IMPLEMENTED, "get_properties"), {})

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        """The client's model."""
        return GetParametersRes(_missing(Code.GET_PARAMETERS_NOT_IMPLEMENTED, "get_parameters"), _NO_PARAMETERS)

    def fit(self, ins: FitIns) -> FitRes:
        """Train the model that came."""
        return FitRes(_missing(Code.FIT_NOT_IMPLEMENTED, "fit"), _NO_PARAMETERS, 0, {})

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """Evaluate the model that came."""
        return EvaluateRes(_missing(Code.EVALUATE_NOT_IMPLEMENTED, "evaluate"), 0.0, 0, {})

    def to_client(self) -> Client:
        """Itself."""
        return self


def _missing(code: Code, method: str) -> Status:
    return Status(code, f"Client does not implement `{method}`")
