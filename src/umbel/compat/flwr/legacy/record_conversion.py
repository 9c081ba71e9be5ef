"""Conversion between the typed messages of the older API and records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np

from umbel.app.array import STYPE, Array
from umbel.app.arrayrecord import ArrayRecord
from umbel.app.recorddict import RecordDict
from umbel.app.records import ConfigRecord, MetricRecord
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
    Parameters,
    Properties,
    Scalar,
    Status,
    bytes_to_ndarray,
    ndarray_to_bytes,
)

_COUNT = "num_examples"
_LOSS = "loss"


def arrays_of(parameters: Parameters) -> ArrayRecord | None:
    """The model as arrays "0", "1", …; None when it has another form than `.npy`, or elements that no Array can hold."""
    if parameters.tensor_type != STYPE:
        return None
    try:
        return ArrayRecord([bytes_to_ndarray(tensor) for tensor in parameters.tensors])
    except (TypeError, ValueError):
        return None


def put_parameters(content: RecordDict, of: str, parameters: Parameters) -> None:
    """Put the model into `content`."""
    arrays = arrays_of(parameters)
    if arrays is None:
        tensors = [np.frombuffer(tensor, np.uint8) for tensor in parameters.tensors]
        arrays = ArrayRecord({str(index): Array(tensor) for index, tensor in enumerate(tensors)})
        content[f"{of}.tensors"] = ConfigRecord({"type": parameters.tensor_type})
    content[f"{of}.parameters"] = arrays


def parameters_in(content: RecordDict, of: str) -> Parameters:
    """The model in `content`. Raises KeyError if there is none."""
    arrays = content.array_records[f"{of}.parameters"]
    form = content.config_records.get(f"{of}.tensors")
    if form is not None:
        return Parameters([array.storage.tobytes() for array in arrays.values()], str(form["type"]))
    return Parameters([ndarray_to_bytes(array.storage) for array in arrays.values()], STYPE)


def of_fit_ins(ins: FitIns) -> RecordDict:
    """The content of a train request."""
    content = RecordDict({"fitins.config": ConfigRecord(ins.config)})
    put_parameters(content, "fitins", ins.parameters)
    return content


def fit_ins(content: RecordDict) -> FitIns:
    """The inverse of `of_fit_ins`."""
    return FitIns(parameters_in(content, "fitins"), _scalars(content.config_records["fitins.config"]))


def of_evaluate_ins(ins: EvaluateIns) -> RecordDict:
    """The content of an evaluate request."""
    content = RecordDict({"evaluateins.config": ConfigRecord(ins.config)})
    put_parameters(content, "evaluateins", ins.parameters)
    return content


def evaluate_ins(content: RecordDict) -> EvaluateIns:
    """The inverse of `of_evaluate_ins`."""
    return EvaluateIns(parameters_in(content, "evaluateins"), _scalars(content.config_records["evaluateins.config"]))


def of_fit_res(res: FitRes) -> RecordDict:
    """The content of the reply to `of_fit_ins`."""
    content = _status_record("fitres", res.status)
    content["fitres.num_examples"] = MetricRecord({_COUNT: res.num_examples})
    content["fitres.metrics"] = ConfigRecord(res.metrics)
    put_parameters(content, "fitres", res.parameters)
    return content


def fit_res(content: RecordDict) -> FitRes:
    """The inverse of `of_fit_res`. Numbers that a mod has added, such as the norm bit, become metrics."""
    numbers = dict(content.metric_records["fitres.num_examples"])
    count = cast(int, numbers.pop(_COUNT))
    metrics = _scalars(content.config_records["fitres.metrics"]) | _scalars(numbers)
    return FitRes(_status(content, "fitres"), parameters_in(content, "fitres"), count, metrics)


def of_evaluate_res(res: EvaluateRes) -> RecordDict:
    """The content of the reply to `of_evaluate_ins`."""
    content = _status_record("evaluateres", res.status)
    content["evaluateres.loss"] = MetricRecord({_LOSS: res.loss})
    content["evaluateres.num_examples"] = MetricRecord({_COUNT: res.num_examples})
    content["evaluateres.metrics"] = ConfigRecord(res.metrics)
    return content


def evaluate_res(content: RecordDict) -> EvaluateRes:
    """The inverse of `of_evaluate_res`."""
    loss = cast(float, content.metric_records["evaluateres.loss"][_LOSS])
    count = cast(int, content.metric_records["evaluateres.num_examples"][_COUNT])
    metrics = _scalars(content.config_records["evaluateres.metrics"])
    return EvaluateRes(_status(content, "evaluateres"), loss, count, metrics)


def of_get_parameters_ins(ins: GetParametersIns) -> RecordDict:
    """The content of a request for a client's model."""
    return RecordDict({"getparametersins.config": ConfigRecord(ins.config)})


def get_parameters_ins(content: RecordDict) -> GetParametersIns:
    """The inverse of `of_get_parameters_ins`."""
    return GetParametersIns(_scalars(content.config_records["getparametersins.config"]))


def of_get_parameters_res(res: GetParametersRes) -> RecordDict:
    """The content of the reply to `of_get_parameters_ins`."""
    content = _status_record("getparametersres", res.status)
    put_parameters(content, "getparametersres", res.parameters)
    return content


def get_parameters_res(content: RecordDict) -> GetParametersRes:
    """The inverse of `of_get_parameters_res`."""
    return GetParametersRes(_status(content, "getparametersres"), parameters_in(content, "getparametersres"))


def of_get_properties_ins(ins: GetPropertiesIns) -> RecordDict:
    """The content of a request for a client's properties."""
    return RecordDict({"getpropertiesins.config": ConfigRecord(ins.config)})


def get_properties_ins(content: RecordDict) -> GetPropertiesIns:
    """The inverse of `of_get_properties_ins`."""
    return GetPropertiesIns(_scalars(content.config_records["getpropertiesins.config"]))


def of_get_properties_res(res: GetPropertiesRes) -> RecordDict:
    """The content of the reply to `of_get_properties_ins`."""
    content = _status_record("getpropertiesres", res.status)
    content["getpropertiesres.properties"] = ConfigRecord(res.properties)
    return content


def get_properties_res(content: RecordDict) -> GetPropertiesRes:
    """The inverse of `of_get_properties_res`."""
    properties: Properties = _scalars(content.config_records["getpropertiesres.properties"])
    return GetPropertiesRes(_status(content, "getpropertiesres"), properties)


def _status_record(of: str, status: Status) -> RecordDict:
    return RecordDict({f"{of}.status": ConfigRecord({"code": status.code.value, "message": status.message})})


def _status(content: RecordDict, of: str) -> Status:
    record = content.config_records[f"{of}.status"]
    return Status(Code(record["code"]), str(record["message"]))


def _scalars(record: Mapping[str, object]) -> Config:
    """A copy of the record. Raises TypeError for a list, because the older API has single values only."""
    for key, value in record.items():
        if isinstance(value, list):
            raise TypeError(f"{key!r} is a list, but a config or metric of the older API is a single value.")
    return cast("dict[str, Scalar]", dict(record))
