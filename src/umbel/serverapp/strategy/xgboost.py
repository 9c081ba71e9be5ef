"""FedXgbBagging and FedXgbCyclic: federated boosted trees."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.records import ConfigRecord
from umbel.errors import AggregationFailed, ConfigError
from umbel.serverapp.aggregation.reduction import Reply, malformed, single_record, weight_of, without_arrays
from umbel.serverapp.grid import Grid
from umbel.serverapp.strategy.fedavg import FedAvg
from umbel.serverapp.strategy.strategy import Trained

log = logging.getLogger(__name__)

Document = dict[str, Any]

_SAME = ("num_feature", "num_class", "num_target")  # what the trees of one ensemble must share


def parse(arrays: ArrayRecord) -> Document | None:
    """The model in a record's only array, of uint8; None when that is empty: no model yet.

    Raises ValueError, saying why, when it is no JSON model of gradient boosted trees or contains NaN or infinity.
    """
    if len(arrays) != 1 or next(iter(arrays.values())).dtype != "uint8":
        raise ValueError(
            f"Its ArrayRecord must contain one uint8 array with the bytes of a model; it contains {arrays}."
        )
    data = next(iter(arrays.values())).storage.tobytes()
    if not data:
        return None
    try:
        document = json.loads(data, parse_constant=_refuse)
        _check(document)
    except (LookupError, TypeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"It is not an XGBoost tree model in JSON as produced by `booster.save_raw('json')` ({type(error).__name__}: {error})."
        ) from error
    return dict(document)


def trained(arrays: ArrayRecord) -> Document:
    """As `parse`; an empty array is a ValueError too."""
    document = parse(arrays)
    if document is None:
        raise ValueError("It contains no trees.")
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"Its model contains {constant}.")


def _check(document: Document) -> None:
    """Raise LookupError or TypeError where something is missing that `append` needs."""
    name = document["learner"]["gradient_booster"]["name"]
    if name != "gbtree":
        raise LookupError(f"its booster is {name!r}, not 'gbtree'")
    model = _trees(document)
    if not len(model["trees"]) == len(model["tree_info"]) == model["iteration_indptr"][-1]:
        raise LookupError("its lists of trees differ in length")
    for key in _SAME:
        document["learner"]["learner_model_param"][key]


def _trees(document: Document) -> Document:
    model: Document = document["learner"]["gradient_booster"]["model"]
    return model


def append(ensemble: Document, more: Document) -> None:
    """Append the trees of `more` to the `ensemble`, in place.

    Raises ValueError when they are of another task: other features, classes or objective.
    """
    _check_same(ensemble["learner"], more["learner"])
    model, added = _trees(ensemble), _trees(more)
    count = len(model["trees"])
    model["trees"] += [{**tree, "id": count + index} for index, tree in enumerate(added["trees"])]
    model["tree_info"] += added["tree_info"]
    model["iteration_indptr"] += [count + boundary for boundary in added["iteration_indptr"][1:]]
    model["gbtree_model_param"]["num_trees"] = str(len(model["trees"]))


def _check_same(ensemble: Document, more: Document) -> None:
    theirs, ours = more["learner_model_param"], ensemble["learner_model_param"]
    pairs = [(key, ours[key], theirs[key]) for key in _SAME]
    pairs.append(("objective", ensemble["objective"]["name"], more["objective"]["name"]))
    for key, mine, other in pairs:
        if mine != other:
            raise ValueError(f"Its model has {key} {other}, the other clients' models have {mine}.")
    if ours.get("base_score") != theirs.get("base_score"):
        log.warning(
            "The clients' models start from different base scores (%s, %s): pass `base_score` to xgboost.",
            ours.get("base_score"),
            theirs.get("base_score"),
        )


def as_record(document: Document) -> ArrayRecord:
    """The model as a record with the one array "0"."""
    data = bytearray(json.dumps(document, separators=(",", ":")).encode())
    return ArrayRecord({"0": Array(np.frombuffer(data, np.uint8))})


@dataclass(eq=False)
class FedXgbBagging(FedAvg):
    """Bagging of XGBoost trees.

    Model and replies are the bytes of `booster.save_raw("json")` as the only array, "0", of uint8; before the first round it is
    empty. In a round each client grows a few trees from the model that came and replies these trees alone
    (`booster[first_new:].save_raw("json")`). The server appends the trees of all clients, in the order of the messages:

        F ← F + Σ_k f_k        where f_k are the new trees of client k, their learning rate η in their leaves

    Each client's trees correct the whole error, so that K clients with η go as far as one with K η: divide η by their number. All
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
        usable = self.usable_replies(kept)
        if not usable or ensemble is None:
            return None, None
        return as_record(ensemble), self.aggregate_metrics(usable, self.train_metrics_aggr_fn)

    def _model(self) -> Document | None:
        try:
            return None if self._sent is None else parse(self._sent)
        except ValueError as error:
            raise AggregationFailed(
                f"The initial arrays of FedXgbBagging are not a model. {error}",
                hint="Start it with one empty uint8 array, or with the bytes of a model in JSON.",
            ) from error

    def _added(self, ensemble: Document | None, message: Message) -> tuple[Document | None, Reply]:
        node_id = message.metadata.src_node_id
        if message.has_error():
            return ensemble, Reply(node_id, error=message.error)
        weight_of(message.content, self.weighted_by_key)
        trees = trained(single_record(message.content, ArrayRecord))
        if ensemble is not None:
            append(ensemble, trees)
        return ensemble or trees, Reply(node_id, content=without_arrays(message.content))


@dataclass(eq=False)
class FedXgbCyclic(FedAvg):
    """Cyclic training of an XGBoost model: one client in each round, in turn, continues from the model of the one before.

        F ← F_k        where k is the ((t - 1) mod n)-th of the n online nodes, in the order of their ids, in round t

    Model and replies are the bytes of `booster.save_raw("json")` as the only array of uint8; before the first round it is
    empty. Unlike in FedXgbBagging the client replies the whole model. Nothing is averaged: the outcome depends on the order of the clients,
    the last ones count for more, and one malicious client can replace the model. A client that fails, or whose reply is no
    model, is excluded: the model stays, and the next round continues with the next client.
    """

    min_train_nodes: int = field(init=False, default=1)
    min_evaluate_nodes: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        """Check the settings. Raises ConfigError."""
        super().__post_init__()
        for name in ("fraction_train", "fraction_evaluate"):
            if getattr(self, name) not in {0.0, 1.0}:
                raise ConfigError(f"{name} must be 0.0 or 1.0 because clients take turns, not {getattr(self, name)}.")

    def sample_nodes(self, grid: Grid, server_round: int, phase: str, fraction: float, at_least: int) -> list[int]:
        """The one node whose turn it is; none if the fraction is 0."""
        if fraction == 0:
            return []
        nodes = sorted(grid.wait_for_nodes(self.min_available_nodes, self.wait_for_nodes_timeout))
        return [nodes[(server_round - 1) % len(nodes)]]

    def aggregate_train(self, server_round: int, replies: Iterable[Message]) -> Trained:
        """The model and the metrics of the round's client; None and None when it has none."""
        (message,) = replies
        reply = self._checked(message)
        usable = self.usable_replies([reply])
        if not usable:
            return None, None
        return single_record(message.content, ArrayRecord), self.aggregate_metrics(usable, self.train_metrics_aggr_fn)

    def _checked(self, message: Message) -> Reply:
        node_id = message.metadata.src_node_id
        if message.has_error():
            return Reply(node_id, error=message.error)
        try:
            weight_of(message.content, self.weighted_by_key)
            trained(single_record(message.content, ArrayRecord))
        except ValueError as reason:
            return malformed(node_id, str(reason))
        return Reply(node_id, content=without_arrays(message.content))
