"""Client, NumPyClient and DPFedAvgNumPyClient."""

from __future__ import annotations

from abc import ABC

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
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
    Parameters,
    Properties,
    Status,
    ndarrays_to_parameters,
    parameters_to_ndarrays,
)
from umbel.privacy import gaussian
from umbel.privacy.clipping import clip, moved, numbers, update_of

__all__ = ["Client", "DPFedAvgNumPyClient", "NumPyClient"]


_NO_PARAMETERS = Parameters([], "")


class Client(ABC):
    """A client with typed messages. Methods that an app does not override reply that they are not implemented."""

    context: Context
    """The node's context, from before the first method is called."""

    def get_context(self) -> Context:
        """The node's context."""
        return self.context

    def set_context(self, context: Context) -> None:
        """Give the client its node's context."""
        self.context = context

    def get_properties(self, ins: GetPropertiesIns) -> GetPropertiesRes:
        """The properties that this client reports to the server."""
        return GetPropertiesRes(_missing(Code.GET_PROPERTIES_NOT_IMPLEMENTED, "get_properties"), {})

    def get_parameters(self, ins: GetParametersIns) -> GetParametersRes:
        """The client's model."""
        return GetParametersRes(_missing(Code.GET_PARAMETERS_NOT_IMPLEMENTED, "get_parameters"), _NO_PARAMETERS)

    def fit(self, ins: FitIns) -> FitRes:
        """Train the received model."""
        return FitRes(_missing(Code.FIT_NOT_IMPLEMENTED, "fit"), _NO_PARAMETERS, 0, {})

    def evaluate(self, ins: EvaluateIns) -> EvaluateRes:
        """Evaluate the received model."""
        return EvaluateRes(_missing(Code.EVALUATE_NOT_IMPLEMENTED, "evaluate"), 0.0, 0, {})

    def to_client(self) -> Client:
        """Return the client itself."""
        return self


def _missing(code: Code, method: str) -> Status:
    return Status(code, f"Client does not implement `{method}`")


_OK = Status(Code.OK, "Success")
_FIT = (list, int, dict)
_EVALUATE = (float, int, dict)


class NumPyClient(ABC):
    """A client with ndarrays. An app overrides the methods that its strategy uses."""

    context: Context
    """The node's context, from before the first method is called."""

    def get_context(self) -> Context:
        """The node's context."""
        return self.context

    def set_context(self, context: Context) -> None:
        """Give the client its node's context."""
        self.context = context

    def get_properties(self, config: Config) -> Properties:
        """The properties that this client reports to the server."""
        return {}

    def get_parameters(self, config: Config) -> NDArrays:
        """The client's model."""
        return []

    def fit(self, parameters: NDArrays, config: Config) -> tuple[NDArrays, int, Metrics]:
        """Train the received model. Returns the new model, the number of examples and metrics."""
        return [], 0, {}

    def evaluate(self, parameters: NDArrays, config: Config) -> tuple[float, int, Metrics]:
        """Evaluate the received model. Returns the loss, the number of examples and metrics."""
        return 0.0, 0, {}

    def to_client(self) -> Client:
        """A Client that delegates to this one."""
        return _Adapter(self)


class _Adapter(Client):
    """Delegates to a NumPyClient; methods that it does not override reply that they are not implemented."""

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


class DPFedAvgNumPyClient(NumPyClient):
    """Clips the update of another client and adds noise if the server requests it."""

    def __init__(self, client: NumPyClient) -> None:
        """`client` trains."""
        self.client = client

    def set_context(self, context: Context) -> None:
        """Give the client its node's context."""
        super().set_context(context)
        self.client.set_context(context)

    def get_properties(self, config: Config) -> Properties:
        """The properties that this client reports to the server."""
        return self.client.get_properties(config)

    def get_parameters(self, config: Config) -> NDArrays:
        """The client's model."""
        return self.client.get_parameters(config)

    def fit(self, parameters: NDArrays, config: Config) -> tuple[NDArrays, int, Metrics]:
        """See NumPyClient. Raises KeyError when the strategy sends no norm, ValueError for other arrays than came."""
        bound = config["dpfedavg_clip_norm"]
        if not isinstance(bound, float):
            raise TypeError(f"The clipping norm must be a float, not {bound!r}.")
        sent = ArrayRecord(parameters)
        before = numbers(sent)  # the client may train in the memory that it got
        trained, num_examples, metrics = self.client.fit(parameters, config)
        update = update_of(ArrayRecord(trained), sent, before)
        length = clip(update, bound)
        stddev, key = float(config.get("dpfedavg_noise_stddev", 0.0)), gaussian.new_key()
        for index, values in enumerate(update):
            gaussian.add_gaussian(values, stddev, key, b"%d" % index)
        if config.get("dpfedavg_adaptive_clip_enabled"):
            metrics["dpfedavg_norm_bit"] = length <= bound
        return moved(sent, before, update).to_numpy_ndarrays(), num_examples, metrics

    def evaluate(self, parameters: NDArrays, config: Config) -> tuple[float, int, Metrics]:
        """Evaluate the received model. Returns the loss, the number of examples and metrics."""
        return self.client.evaluate(parameters, config)
