"""Helpers of the client-drift mods: records of messages, and models as float64 arrays."""

from __future__ import annotations

import sys
from typing import Any

from umbel.app.array import Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.message import Message
from umbel.app.recorddict import RecordDict
from umbel.app.records import Floats, MetricRecord, floats, is_inexact, shaped

CONTROL = "control"
"""The name of the record that the correction of the gradients is in, in messages to the app, and of what travels beside the arrays."""

Numbers = dict[str, Floats]
"""The floating-point tensors of a model as numbers in one dimension."""


def is_train(message: Message) -> bool:
    """Whether it is a train message. Drift mods do not change other messages."""
    return message.metadata.message_type.partition(".")[0] == "train"


def arrays_of(content: RecordDict) -> ArrayRecord:
    """The only ArrayRecord besides `control`. Raises ValueError if there is none or more than one."""
    found = [record for key, record in content.array_records.items() if key != CONTROL]
    if len(found) != 1:
        raise ValueError(
            f"A message must contain exactly one ArrayRecord besides {CONTROL!r}, but this one contains {len(found)}."
        )
    return found[0]


def numbers_of(arrays: ArrayRecord) -> Numbers:
    """Copies of the floating-point tensors, because the app may train in place."""
    return {name: floats(array).copy() for name, array in arrays.items() if is_inexact(array)}


def record_of(numbers: Numbers, like: ArrayRecord) -> ArrayRecord:
    """The numbers as a record, in the shapes of `like`."""
    return ArrayRecord({name: shaped(values, like[name]) for name, values in numbers.items()})


def flat_record(numbers: Numbers) -> ArrayRecord:
    """The numbers as a record for `context.state`."""
    return ArrayRecord({name: Array(values) for name, values in numbers.items()})


def kept(state: RecordDict, key: str, like: Numbers) -> Numbers:
    """The numbers stored under `key` by `flat_record`; zeros like `like` in the first round or if the model has changed its form."""
    record = state.array_records.get(key)
    if record is None or {n: a.shape for n, a in record.items()} != {n: v.shape for n, v in like.items()}:
        return {name: 0 * values for name, values in like.items()}
    return {name: array.numpy() for name, array in record.items()}


def proximal_mu(content: RecordDict) -> float | None:
    """The value of `proximal-mu` in the message's configuration; None if it is absent."""
    for config in content.config_records.values():
        value: Any = config.get("proximal-mu")
        if isinstance(value, (int, float)):
            return float(value)
    return None


def number_above_0(reply: Message, key: str) -> float:
    """The metric `key` of the app's reply. Raises ValueError unless it is a number above 0."""
    records: list[MetricRecord] = list(reply.content.metric_records.values())
    values = [record[key] for record in records if key in record]
    if len(values) != 1 or not isinstance(values[0], (int, float)) or not 0 < values[0] <= sys.float_info.max:
        raise ValueError(
            f"The MetricRecord of the app's reply must contain a number {key!r} greater than 0; it contains {values}."
        )
    return float(values[0])
