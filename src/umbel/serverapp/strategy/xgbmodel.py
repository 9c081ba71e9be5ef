"""An XGBoost model in its JSON form, as the bytes of one array: read, grown and written without the library."""

from __future__ import annotations

import json
import logging
from typing import Any, NoReturn

import numpy as np

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord

log = logging.getLogger(__name__)

Document = dict[str, Any]

_SAME = ("num_feature", "num_class", "num_target")  # what the trees of one ensemble must share


def parse(arrays: ArrayRecord) -> Document | None:
    """The model in a record's only array, of uint8; None when that is empty: no model yet.

    Raises ValueError, saying why, when it is no JSON model of gradient boosted trees or holds NaN or infinity.
    """
    if len(arrays) != 1 or next(iter(arrays.values())).dtype != "uint8":
        raise ValueError(f"Its ArrayRecord must hold one array of uint8, the bytes of a model; it holds {arrays}.")
    data = next(iter(arrays.values())).storage.tobytes()
    if not data:
        return None
    try:
        document = json.loads(data, parse_constant=_refuse)
        _check(document)
    except (LookupError, TypeError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(
            f"It is no XGBoost model of trees in JSON, as `booster.save_raw('json')` gives ({type(error).__name__}: {error})."
        ) from error
    return dict(document)


def trained(arrays: ArrayRecord) -> Document:
    """As `parse`; an empty array is a ValueError too."""
    document = parse(arrays)
    if document is None:
        raise ValueError("It holds no trees.")
    return document


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"Its model holds {constant}.")


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
            raise ValueError(f"Its model has {key} {other}, the other clients' have {mine}.")
    if ours.get("base_score") != theirs.get("base_score"):
        log.warning(
            "The clients' models begin from unlike base scores (%s, %s): give `base_score` to xgboost.",
            ours.get("base_score"),
            theirs.get("base_score"),
        )


def as_record(document: Document) -> ArrayRecord:
    """The model as a record with the one array "0"."""
    data = bytearray(json.dumps(document, separators=(",", ":")).encode())
    return ArrayRecord({"0": Array(np.frombuffer(data, np.uint8))})
