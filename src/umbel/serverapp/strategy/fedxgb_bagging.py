"""FedXgbBagging: a forest that grows by the trees of all clients at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from umbel.app.arrayrecord import ArrayRecord
from umbel.app.configrecord import ConfigRecord
from umbel.app.message import Message
from umbel.errors import AggregationFailed
from umbel.serverapp.grid import Grid
from umbel.serverapp.reduction import Reply, malformed, the_one, weight_of, without_arrays
from umbel.serverapp.strategy import xgbmodel
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Trained


@dataclass(eq=False)
class FedXgbBagging(FedAvg):
    """Bagging of XGBoost trees.

    Model and replies are the bytes of `booster.save_raw("json")` as the only array, "0", of uint8; before the first round it is
    empty. In a round each client grows a few trees from the model that came and replies these trees alone
    (`booster[first_new:].save_raw("json")`). The server appends the trees of all clients, in the order of the messages:

        F ← F + Σ_k f_k        where f_k are the new trees of client k, their learning rate η in their leaves

    Each client's trees mend the whole error, so that K clients with η go as far as one with K η: divide η by their number. All
    must use the same objective, the same features and the same `base_score`; trees of another task, damaged bytes and NaN are left out and
    named. The server needs no XGBoost and sees splits and leaves, which say much about a client's data. It is robust against
    no one: a client's trees count as they are.
    """

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        self._sent: ArrayRecord | None = None

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As FedAvg; the model is remembered, to be added to."""
        self._sent = arrays
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The model with the clients' trees, and the weighted means of the metrics; None and None when no reply was usable."""
        ensemble = self._model()
        kept = []
        for message in replies:
            try:
                ensemble, reply = self._added(ensemble, message)
            except ValueError as reason:
                reply = malformed(message.metadata.src_node_id, str(reason))
            kept.append(reply)
        usable = self._usable(kept)
        if not usable or ensemble is None:
            return None, None
        return xgbmodel.as_record(ensemble), self._metrics(usable, self.train_metrics_aggr_fn)

    def _model(self) -> xgbmodel.Document | None:
        try:
            return None if self._sent is None else xgbmodel.parse(self._sent)
        except ValueError as error:
            raise AggregationFailed(
                f"The arrays that FedXgbBagging was started with are no model. {error}",
                hint="Start it with one empty array of uint8, or with the bytes of a model in JSON.",
            ) from error

    def _added(self, ensemble: xgbmodel.Document | None, message: Message) -> tuple[xgbmodel.Document | None, Reply]:
        node_id = message.metadata.src_node_id
        if message.has_error():
            return ensemble, Reply(node_id, error=message.error)
        weight_of(message.content, self.weighted_by_key)
        trees = xgbmodel.trained(the_one(message.content, ArrayRecord))
        if ensemble is not None:
            xgbmodel.append(ensemble, trees)
        return ensemble or trees, Reply(node_id, content=without_arrays(message.content))
