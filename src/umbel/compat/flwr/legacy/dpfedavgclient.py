"""DPFedAvgNumPyClient: the client that DPFedAvgFixed and DPFedAvgAdaptive need."""

from __future__ import annotations

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.context import Context
from umbel.compat.flwr.legacy.numpyclient import NumPyClient
from umbel.compat.flwr.legacy.typing import Config, Metrics, NDArrays, Properties
from umbel.privacy import gaussian
from umbel.privacy.clipping import clip, moved, numbers, update_of

__all__ = ["DPFedAvgNumPyClient"]


class DPFedAvgNumPyClient(NumPyClient):
    """Clips what another client trained, and adds noise where the server asks for it."""

    def __init__(self, client: NumPyClient) -> None:
        """`client` trains."""
        self.client = client

    def set_context(self, context: Context) -> None:
        """See NumPyClient."""
        super().set_context(context)
        self.client.set_context(context)

    def get_properties(self, config: Config) -> Properties:
        """See NumPyClient."""
        return self.client.get_properties(config)

    def get_parameters(self, config: Config) -> NDArrays:
        """See NumPyClient."""
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
        """See NumPyClient."""
        return self.client.evaluate(parameters, config)
