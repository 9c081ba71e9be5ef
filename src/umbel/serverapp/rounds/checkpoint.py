"""The checkpoint of a strategy's rounds: one safetensors file.

The global arrays are named `arrays/<name>`, those of a state `<owner>/<position of the record>/<name>`; everything else is a JSON text
in the file's metadata. JSON as Python writes it keeps NaN, infinities and every bit of a float.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from umbel.app import safetensors
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict, kind_of
from umbel.app.records import ConfigRecord, MetricRecord
from umbel.app.safetensors import Part
from umbel.errors import CheckpointInvalid, ObjectInvalid
from umbel.serverapp.aggregation.weighted_sum import Schema
from umbel.serverapp.rounds.result import History, Result

_KEY = "umbel-checkpoint"
_VERSION = 1


@dataclass
class Progress:
    """How far the rounds are: the last one that has ended, the result so far, and the configurations as they are now.

    `start` counts the calls of `Strategy.start` in the app's main function, from 0; `schema` is that of the initial arrays.
    """

    result: Result
    schema: Schema
    start: int = 0
    server_round: int = 0
    train_config: ConfigRecord = field(default_factory=ConfigRecord)
    evaluate_config: ConfigRecord = field(default_factory=ConfigRecord)
    has_trained: bool = False  # whether a round was not lost to failing clients


States = dict[str, RecordDict]


def encode(progress: Progress, states: Mapping[str, RecordDict]) -> list[Part]:
    """The checkpoint as the parts of a file; `states` are those of the strategy and the callbacks, by owner.

    The arrays are copied: the file may still be on its way when the app changes them in the next round.
    """
    tensors = ArrayRecord({f"arrays/{name}": array for name, array in progress.result.arrays.items()})
    for owner, state in states.items():
        for position, record in enumerate(state.values()):
            if isinstance(record, ArrayRecord):
                tensors.update({f"{owner}/{position}/{name}": array for name, array in record.items()})
    document = {
        "version": _VERSION,
        "start": progress.start,
        "round": progress.server_round,
        "has_trained": progress.has_trained,
        "schema": progress.schema,
        "configs": [_plain(progress.train_config), _plain(progress.evaluate_config)],
        "histories": [_plain_history(history) for history in _histories(progress.result)],
        "stopped_early": progress.result.stopped_early,
        "states": {owner: _plain_state(state) for owner, state in states.items()},
    }
    return safetensors.encode(deepcopy(tensors), {_KEY: json.dumps(document)})


def decode(data: bytes | memoryview) -> tuple[Progress, States]:
    """The progress and the states in a checkpoint, in separate memory. Raises CheckpointInvalid if it is damaged."""
    try:
        tensors, metadata = safetensors.decode(bytearray(data))
        document = json.loads(metadata[_KEY])
        if document["version"] != _VERSION:
            raise CheckpointInvalid(
                f"The checkpoint has version {document['version']}, but this version of Umbel reads version {_VERSION}."
            )
        return _progress(document, tensors), {
            owner: _state(plain, _part_of(tensors, f"{owner}/")) for owner, plain in document["states"].items()
        }
    except (
        ObjectInvalid,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise CheckpointInvalid(
            f"The run's checkpoint is damaged: {error}.", hint="Start the app as a new run."
        ) from error


def _progress(document: Mapping[str, Any], tensors: ArrayRecord) -> Progress:
    train, evaluate, server = (_history(plain) for plain in document["histories"])
    train_config, evaluate_config = (ConfigRecord(_values(plain)) for plain in document["configs"])
    return Progress(
        result=Result(_part_of(tensors, "arrays/"), train, evaluate, server, stopped_early=document["stopped_early"]),
        schema=tuple((name, dtype, tuple(shape)) for name, dtype, shape in document["schema"]),
        start=document["start"],
        server_round=document["round"],
        has_trained=document["has_trained"],
        train_config=train_config,
        evaluate_config=evaluate_config,
    )


def _part_of(tensors: ArrayRecord, prefix: str) -> ArrayRecord:
    return ArrayRecord({name[len(prefix) :]: array for name, array in tensors.items() if name.startswith(prefix)})


def _histories(result: Result) -> tuple[History, History, History]:
    return result.train_metrics_clientapp, result.evaluate_metrics_clientapp, result.evaluate_metrics_serverapp


def _plain_history(history: History) -> dict[int, dict[str, Any]]:
    return {server_round: _plain(metrics) for server_round, metrics in history.items()}


def _history(plain: Mapping[str, Mapping[str, Any]]) -> History:
    return {int(server_round): MetricRecord(_values(metrics)) for server_round, metrics in plain.items()}


def _plain_state(state: RecordDict) -> list[list[Any]]:
    return [
        [kind_of(record).__name__, name, None if isinstance(record, ArrayRecord) else _plain(record)]
        for name, record in state.items()
    ]


def _state(plain: list[list[Any]], tensors: ArrayRecord) -> RecordDict:
    state = RecordDict()
    for position, (kind, name, values) in enumerate(plain):
        if kind == ArrayRecord.__name__:
            state[name] = _part_of(tensors, f"{position}/")
        else:
            state[name] = (MetricRecord if kind == MetricRecord.__name__ else ConfigRecord)(_values(values))
    return state


def _plain(record: MetricRecord | ConfigRecord) -> dict[str, Any]:
    return {key: _tagged(value) for key, value in record.items()}


def _values(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _untagged(value) for key, value in plain.items()}


def _tagged(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    return [_tagged(item) for item in value] if isinstance(value, list) else value


def _untagged(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"], validate=True)
    return [_untagged(item) for item in value] if isinstance(value, list) else value
