from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.unit.compat.legacy.federation import OK
from umbel.app import MetricRecord, RecordDict
from umbel.compat.flwr.legacy import record_conversion
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
    Status,
    ndarrays_to_parameters,
)
from umbel.wire.records import pack, unpack

MODEL = ndarrays_to_parameters([np.arange(3, dtype=np.float32), np.array([[1, 2]])])
SCALARS: Config = {"b": True, "i": 3, "f": 0.5, "s": "text", "y": b"bytes"}
FAILED = Status(Code.FIT_NOT_IMPLEMENTED, "not here")

MESSAGES: list[tuple[Callable[[Any], RecordDict], Callable[[RecordDict], Any], Any]] = [
    (record_conversion.of_fit_ins, record_conversion.fit_ins, FitIns(MODEL, SCALARS)),
    (record_conversion.of_fit_res, record_conversion.fit_res, FitRes(OK, MODEL, 17, SCALARS)),
    (record_conversion.of_fit_res, record_conversion.fit_res, FitRes(FAILED, Parameters([], ""), 0, {})),
    (record_conversion.of_evaluate_ins, record_conversion.evaluate_ins, EvaluateIns(MODEL, {})),
    (record_conversion.of_evaluate_res, record_conversion.evaluate_res, EvaluateRes(OK, 0.25, 4, SCALARS)),
    (record_conversion.of_get_parameters_ins, record_conversion.get_parameters_ins, GetParametersIns({"k": 1})),
    (record_conversion.of_get_parameters_res, record_conversion.get_parameters_res, GetParametersRes(OK, MODEL)),
    (record_conversion.of_get_properties_ins, record_conversion.get_properties_ins, GetPropertiesIns({"k": 1})),
    (record_conversion.of_get_properties_res, record_conversion.get_properties_res, GetPropertiesRes(OK, SCALARS)),
]


@pytest.mark.parametrize(("encode", "decode", "message"), MESSAGES, ids=lambda each: type(each).__name__)
def test_a_typed_message_comes_back_as_it_was(encode: Any, decode: Any, message: Any) -> None:
    """What was put into records, packed and unpacked, is equal to what it was."""
    assert decode(unpack(bytearray(b"".join(pack(encode(message)))))) == message


@pytest.mark.parametrize(
    "parameters",
    [
        Parameters([], ""),
        Parameters([b"trees", b""], "xgboost"),
        Parameters([b"no npy file"], "numpy.ndarray"),
        ndarrays_to_parameters([np.array(["text"])]),
        ndarrays_to_parameters([]),
    ],
)
def test_tensors_of_any_other_form_travel_as_bytes(parameters: Parameters) -> None:
    """A model that is not ndarrays of numbers keeps its bytes and its type."""
    assert record_conversion.fit_ins(record_conversion.of_fit_ins(FitIns(parameters, {}))).parameters == parameters


def test_sites_and_mods_see_arrays_with_type_and_shape() -> None:
    """The records are named as Flower's, and the tensors are arrays."""
    content = record_conversion.of_fit_res(FitRes(OK, MODEL, 17, {"loss": 0.5}))
    arrays = content.array_records["fitres.parameters"]
    assert [(array.dtype, array.shape) for array in arrays.values()] == [("float32", (3,)), ("int64", (1, 2))]
    assert content.metric_records["fitres.num_examples"] == {"num_examples": 17}
    assert content.config_records["fitres.metrics"] == {"loss": 0.5}


def test_numbers_that_a_mod_adds_become_metrics() -> None:
    """Umbel's adaptive clipping writes the norm bit into the reply's one MetricRecord."""
    content = record_conversion.of_fit_res(FitRes(OK, MODEL, 17, {"loss": 0.5}))
    next(iter(content.metric_records.values()))["norm_bit"] = 1
    res = record_conversion.fit_res(content)
    assert (res.num_examples, res.metrics) == (17, {"loss": 0.5, "norm_bit": 1})


def test_a_metric_that_is_a_list_is_refused() -> None:
    """The older API has single values only; a client hears which one is not."""
    content = record_conversion.of_fit_res(FitRes(OK, MODEL, 17, {}))
    content["fitres.num_examples"] = MetricRecord({"num_examples": 17, "many": [1, 2]})
    with pytest.raises(TypeError, match="'many' is a list"):
        record_conversion.fit_res(content)
