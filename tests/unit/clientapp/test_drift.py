"""The clients' halves of SCAFFOLD, FedDyn and FedNova, and the correction of gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest

from umbel.app import ArrayRecord, ConfigRecord, Context, Error, ErrorCode, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp
from umbel.clientapp.correction import Correction
from umbel.clientapp.feddyn import feddyn_mod
from umbel.clientapp.fednova import normalising_steps
from umbel.clientapp.scaffold import scaffold_mod
from umbel.errors import ConfigError


def message(weight: float, *, control: float | None = None, mu: float | None = None, kind: str = "train") -> Message:
    """What a strategy sends: one weight, and a counter that is no weight."""
    content = RecordDict({"arrays": ArrayRecord([np.array([weight], float), np.array([7])]), "config": ConfigRecord()})
    if control is not None:
        content["control"] = ArrayRecord([np.array([control], float)])
    if mu is not None:
        content.config_records["config"]["proximal-mu"] = mu
    return Message(content, 2, kind)


def descend(msg: Message, context: Context) -> Message:
    """Two steps of size 0.5 down a loss whose gradient is 10 everywhere, in the very memory that came."""
    correction = Correction(msg)
    weights = msg.content.array_records["arrays"].to_numpy_ndarrays()
    for _ in range(2):
        gradients = [np.array([10.0]), np.array([0])]
        correction.add(gradients, weights)
        weights[0] -= 0.5 * gradients[0]
    metrics = MetricRecord({"num-examples": 1, "local-steps": 2, "learning-rate": 0.5})
    return Message(RecordDict({"arrays": ArrayRecord(weights), "metrics": metrics}), reply_to=msg)


def weight_in(msg: Message, record: str = "arrays") -> float:
    """The one weight."""
    return float(msg.content.array_records[record]["0"].numpy()[0])


def test_scaffold_by_hand() -> None:
    """c_i = 0, c = 4: the app moves by 2 · 0.5 · (10 + 4); then c_i becomes its own gradient, 10, and is remembered."""
    context = Context(1, 2)
    reply = scaffold_mod(message(100, control=4), context, descend)
    assert weight_in(reply) == 100 - 14
    assert weight_in(reply, "control") == 10
    assert list(reply.content.array_records["control"]) == ["0"]
    reply = scaffold_mod(message(100, control=4), context, descend)
    assert weight_in(reply) == 100 - (10 + 4 - 10)
    assert weight_in(reply, "control") == 0


def test_feddyn_by_hand() -> None:
    """α = 1: two steps with the pull μ (w - w^t); λ becomes -α times the move, and -λ is in the gradients afterwards."""
    context = Context(1, 2)
    first = feddyn_mod(message(100, mu=1.0), context, descend)
    assert weight_in(first) == 100 - 5 - 0.5 * (10 - 5)
    assert "control" not in first.content
    second = feddyn_mod(message(100, mu=1.0), context, descend)  # λ = 7.5: gradients are 10 - 7.5 + (w - w^t)
    assert weight_in(second) == 100 - 1.25 - 0.5 * (2.5 - 1.25)


def test_without_a_mod_the_correction_is_fedprox() -> None:
    """μ (w - w^t) alone, of what came, though the app trains in the memory that came; and nothing at all without μ."""
    assert weight_in(descend(message(100, mu=1.0), Context(1, 2))) == 100 - 5 - 2.5
    assert weight_in(descend(message(100), Context(1, 2))) == 90


def test_other_messages_pass() -> None:
    """Evaluation sees no mod; a failed training changes no memory."""
    context = Context(1, 2)
    asked = message(1, kind="evaluate")
    for mod in (scaffold_mod, feddyn_mod):
        assert mod(asked, context, lambda msg, _: msg) is asked
    failed = Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "no"), reply_to=message(1))
    assert scaffold_mod(message(1, control=0), context, lambda *_: failed) is failed
    assert feddyn_mod(message(1, mu=1), context, lambda *_: failed) is failed
    assert not context.state


def test_what_is_missing_is_named() -> None:
    """The wrong strategy, or a reply without steps and learning rate, gives an error that says so."""
    with pytest.raises(ValueError, match="the strategy Scaffold"):
        scaffold_mod(message(1), Context(1, 2), descend)
    with pytest.raises(ValueError, match="the strategy FedDyn"):
        feddyn_mod(message(1), Context(1, 2), descend)

    def silent(msg: Message, context: Context) -> Message:
        reply = descend(msg, context)
        del reply.content.metric_records["metrics"]["learning-rate"]
        return reply

    with pytest.raises(ValueError, match="'learning-rate' greater than 0"):
        scaffold_mod(message(1, control=0), Context(1, 2), silent)


def test_one_line_for_an_app() -> None:
    """A mod is given to ClientApp, and works round its train function."""
    app = ClientApp(mods=[scaffold_mod])
    app.train()(descend)
    assert weight_in(app(message(100, control=4), Context(1, 2))) == 86


def test_normalising_steps() -> None:
    """Plain SGD counts steps; momentum and a proximal term are the sums of the paper."""
    assert normalising_steps(7) == 7
    assert normalising_steps(3, momentum=0.5) == pytest.approx(1 + 1.5 + 1.75)
    assert normalising_steps(3, shrinkage=0.1) == pytest.approx(1 + 0.9 + 0.81)
    for arguments in ({"steps": 0}, {"steps": 1, "momentum": 1.0}, {"steps": 1, "momentum": 0.1, "shrinkage": 0.1}):
        with pytest.raises(ConfigError, match="No normaliser exists for steps="):
            normalising_steps(**arguments)


def test_momentum_moves_as_far_as_it_is_said_to() -> None:
    """SGD with momentum on a constant gradient goes as far as ‖a‖₁ plain steps."""
    velocity = weight = 0.0
    for _ in range(9):
        velocity = 0.8 * velocity + 1
        weight -= 0.1 * velocity
    assert math.isclose(-weight / 0.1, normalising_steps(9, momentum=0.8))


@pytest.mark.torch
def test_torch_parameters() -> None:
    """The same correction for the gradients of a network's parameters, by their names; those without a gradient are left alone."""
    import torch

    net = torch.nn.Linear(1, 1)
    net.weight.grad = torch.ones(1, 1)
    msg = Message(
        RecordDict({"arrays": ArrayRecord(net.state_dict()), "config": ConfigRecord({"proximal-mu": 2.0})}), 2, "train"
    )
    msg.content["control"] = ArrayRecord({"weight": ArrayRecord([np.full((1, 1), 5, np.float32)])["0"]})
    correction = Correction(msg)
    with torch.no_grad():
        net.weight += 3
    correction.add_torch(net.named_parameters())
    assert net.weight.grad.item() == pytest.approx(1 + 5 + 2 * 3)
    assert net.bias.grad is None
