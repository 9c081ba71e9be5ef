from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.unit.compat.legacy.federation import Adding, adding, model, numbers
from umbel.app import Context, Message, RecordDict
from umbel.compat.flwr.legacy import record_conversion
from umbel.compat.flwr.legacy.client import Client, NumPyClient
from umbel.compat.flwr.legacy.clientapp import handler
from umbel.compat.flwr.legacy.typing import Code, EvaluateIns, FitIns, GetParametersIns, GetPropertiesIns, Properties

CONTEXT = Context(1, 5, {"partition-id": 3, "num-partitions": 4})


def ask(client_fn: Any, message_type: str, content: RecordDict) -> RecordDict:
    """The content of the reply."""
    return handler(client_fn)(Message(content, 5, message_type), CONTEXT).content


def test_a_numpy_client_trains_what_came() -> None:
    """Arrays and configuration reach `fit`, and what it returns reaches the server."""
    res = record_conversion.fit_res(
        ask(adding, "train", record_conversion.of_fit_ins(FitIns(model([1.0, 2.0]), {"lr": 0.5})))
    )
    assert res.status.code is Code.OK
    assert (numbers(res.parameters), res.num_examples) == ([[4.0, 5.0]], 4)
    assert res.metrics == {"number": 3, "lr": 0.5}


def test_a_numpy_client_evaluates_what_came() -> None:
    """As training."""
    res = record_conversion.evaluate_res(
        ask(adding, "evaluate", record_conversion.of_evaluate_ins(EvaluateIns(model([1.0]), {"k": 1})))
    )
    assert (res.status.code, res.loss, res.num_examples) == (Code.OK, 3.0, 4)
    assert res.metrics == {"number": 3, "k": 1}


def test_a_numpy_client_gives_its_model() -> None:
    """`get_parameters` of a client that has it."""
    res = record_conversion.get_parameters_res(
        ask(adding, "get_parameters", record_conversion.of_get_parameters_ins(GetParametersIns({})))
    )
    assert (res.status.code, numbers(res.parameters)) == (Code.OK, [[10.0, 20.0]])


@pytest.mark.parametrize("client", [NumPyClient(), Client()], ids=["numpy", "typed"])
def test_what_a_client_does_not_override_is_not_implemented(client: Any) -> None:
    """Each of the four requests is answered, with a code that says so."""
    fit = record_conversion.fit_res(
        ask(lambda context: client, "train", record_conversion.of_fit_ins(FitIns(model([1.0]), {})))
    )
    content = record_conversion.of_evaluate_ins(EvaluateIns(model([1.0]), {}))
    evaluate = record_conversion.evaluate_res(ask(lambda context: client, "evaluate", content))
    asked = record_conversion.of_get_parameters_ins(GetParametersIns({}))
    parameters = record_conversion.get_parameters_res(ask(lambda context: client, "get_parameters", asked))
    asked = record_conversion.of_get_properties_ins(GetPropertiesIns({}))
    properties = record_conversion.get_properties_res(ask(lambda context: client, "get_properties", asked))
    assert [res.status.code for res in (fit, evaluate, parameters, properties)] == [
        Code.FIT_NOT_IMPLEMENTED,
        Code.EVALUATE_NOT_IMPLEMENTED,
        Code.GET_PARAMETERS_NOT_IMPLEMENTED,
        Code.GET_PROPERTIES_NOT_IMPLEMENTED,
    ]


@pytest.mark.parametrize(
    "answer", [([], 1), ((np.zeros(1),), 1, {}), ([], 1.0, {}), ([], 1, None)], ids=["two", "tuple", "float", "none"]
)
def test_a_wrong_answer_is_named(answer: Any) -> None:
    """What `fit` returned is in the error, by its types."""
    client = Adding(0)
    client.fit = lambda parameters, config: answer  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=r"NumPyClient.fit must return a tuple of list of ndarrays, int, dict"):
        ask(lambda context: client, "train", record_conversion.of_fit_ins(FitIns(model([1.0]), {})))


def test_a_loss_must_be_a_float() -> None:
    """An int is no loss, as in Flower."""
    client = Adding(0)
    client.evaluate = lambda parameters, config: (1, 1, {})  # type: ignore[method-assign]
    with pytest.raises(TypeError, match=r"NumPyClient.evaluate must return"):
        ask(lambda context: client, "evaluate", record_conversion.of_evaluate_ins(EvaluateIns(model([1.0]), {})))


def test_a_client_knows_its_context() -> None:
    """`context` is there when a method is called, of the NumPyClient too."""

    class Knowing(NumPyClient):
        def get_properties(self, config: Any) -> Properties:
            assert self.get_context() is self.context
            return {"partition": self.context.node_config["partition-id"]}

    content = record_conversion.of_get_properties_ins(GetPropertiesIns({}))
    res = record_conversion.get_properties_res(ask(lambda context: Knowing().to_client(), "get_properties", content))
    assert res.properties == {"partition": 3}


def test_the_oldest_client_fn_gets_the_partition_as_text(caplog: pytest.LogCaptureFixture) -> None:
    """`client_fn(cid)` works, with a warning, whether it is known by the name or by the type."""

    def by_name(cid):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - what is tested
        assert cid == "3"
        return Adding(int(cid))

    def by_type(which: str) -> NumPyClient:
        return Adding(int(which))

    for client_fn in (by_name, by_type):
        caplog.clear()
        answer = handler(client_fn)
        assert "context: Context" in caplog.text
        reply = answer(Message(record_conversion.of_fit_ins(FitIns(model([1.0]), {})), 5, "train"), CONTEXT)
        assert numbers(record_conversion.fit_res(reply.content).parameters) == [[4.0]]


def test_a_client_fn_takes_one_argument() -> None:
    """Anything else is refused when the app is made."""
    with pytest.raises(ValueError, match="one argument"):
        handler(lambda: Adding(0))  # type: ignore[misc,arg-type]


def test_other_messages_are_refused() -> None:
    """A `client_fn` knows four types of messages."""
    with pytest.raises(ValueError, match="does not handle 'query' messages"):
        ask(adding, "query", RecordDict())
