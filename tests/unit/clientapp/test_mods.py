"""Client-side mods: what they do to a reply, and in which order they may stand."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest

from tests.support.clients import bits, model
from umbel.app import Array, ArrayRecord, ConfigRecord, Context, Error, ErrorCode, Message, MetricRecord, RecordDict
from umbel.clientapp import ClientApp, ClientFn, Mod
from umbel.clientapp.clientapp import wrap
from umbel.clientapp.mod import (
    LocalDpMod,
    Stage,
    adaptiveclipping_mod,
    arrays_size_mod,
    fixedclipping_mod,
    message_size_mod,
    staged,
)
from umbel.errors import ConfigError
from umbel.privacy.gaussian import analytic_stddev

CONTEXT = Context(1, 2)
CLIPPING: list[Mod] = [fixedclipping_mod, adaptiveclipping_mod]


def asking(*values: float, kind: str = "train", **config: Any) -> Message:
    """A message with a model and a configuration."""
    return Message(RecordDict({"arrays": model(*values), "config": ConfigRecord(config)}), 2, kind)


def replying(*values: float) -> ClientFn:
    """A client that changes the model it got in place, as careless apps do, and replies with this one."""

    def client(message: Message, context: Context) -> Message:
        for array in message.content.array_records["arrays"].values():
            array.numpy()[...] = 77
        return Message(RecordDict({"w": model(*values), "m": MetricRecord({"loss": 1.0})}), reply_to=message)

    return client


def replied(reply: Message) -> list[float]:
    """The elements of the reply's model."""
    return [float(value) for value in reply.content.array_records["w"]["0"].numpy()]


@staged(Stage.MASK)
def masking_mod(message: Message, context: Context, call_next: ClientFn) -> Message:
    """Stands for a mod that masks."""
    return call_next(message, context)


@pytest.mark.parametrize("mod", CLIPPING)
def test_the_update_is_clipped_not_the_model(mod: Mod) -> None:
    """By hand: from (100, 200) to (103, 204) the update is 5 long; clipped to 1 the reply is (100.6, 200.8), whatever the app did to
    the model it got.
    """
    reply = wrap(replying(103, 204), [mod])(asking(100, 200, clipping_norm=1.0), CONTEXT)
    assert replied(reply) == pytest.approx([100.6, 200.8], rel=1e-6)


@pytest.mark.parametrize("mod", CLIPPING)
def test_a_short_update_keeps_its_bits(mod: Mod) -> None:
    """Within the norm nothing is reckoned again."""
    reply = wrap(replying(0.1, 0.2), [mod])(asking(0.1, 0.3, clipping_norm=1), CONTEXT)
    assert bits(reply.content.array_records["w"]) == bits(model(0.1, 0.2))


@pytest.mark.parametrize(("norm", "bit"), [(4.9, 0), (5.0, 1), (6.0, 1)])
def test_the_norm_bit(norm: float, bit: int) -> None:
    """1 where the update is within the norm, to the point; fixedclipping_mod sets none."""
    reply = wrap(replying(3, 4), [adaptiveclipping_mod])(asking(0, 0, clipping_norm=norm), CONTEXT)
    assert reply.content.metric_records["m"] == {"loss": 1.0, "norm_bit": bit}
    reply = wrap(replying(3, 4), [fixedclipping_mod])(asking(0, 0, clipping_norm=norm), CONTEXT)
    assert reply.content.metric_records["m"] == {"loss": 1.0}


@pytest.mark.parametrize("mod", [*CLIPPING, LocalDpMod(1, 2, 1, 1e-5)])
def test_other_messages_and_failures_pass(mod: Mod) -> None:
    """An evaluate or query message is not looked at; an app's own error reply continues as it is."""
    for kind in ("evaluate", "query.size"):
        assert replied(wrap(replying(9, 9), [mod])(asking(0, 0, kind=kind), CONTEXT)) == [9, 9]
    error = Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, "no data")
    reply = wrap(lambda m, c: Message(error, reply_to=m), [mod])(asking(0, 0, clipping_norm=1), CONTEXT)
    assert reply.error == error
    assert replied(
        wrap(replying(9, 9), [fixedclipping_mod])(asking(0, 0, kind="train.x", clipping_norm=1), CONTEXT)
    ) != [9, 9]


def without(message: Message, key: str) -> Message:
    """The message without a record."""
    del message.content[key]
    return message


@pytest.mark.parametrize("mod", CLIPPING)
@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (asking(0, 0), "lacks a number 'clipping_norm'"),
        (asking(0, 0, clipping_norm=0.0), "lacks a number 'clipping_norm'"),
        (asking(0, 0, clipping_norm="1"), "lacks a number 'clipping_norm'"),
        (asking(0, 0, clipping_norm=True), "lacks a number 'clipping_norm'"),
        (without(asking(0, 0, clipping_norm=1.0), "arrays"), "exactly one ArrayRecord"),
        (without(asking(0, 0, clipping_norm=1.0), "config"), "exactly one ConfigRecord"),
        (asking(0, clipping_norm=1.0), "differ in name"),
    ],
)
def test_what_a_clipping_mod_lacks_it_says(mod: Mod, message: Message, reason: str) -> None:
    """The reply is an error of code 6 that names the mod and what is missing."""
    reply = wrap(lambda m, c: replying(1, 2)(asking(0), c), [mod])(message, CONTEXT)
    assert reply.error.code == int(ErrorCode.MOD_FAILED_PRECONDITION) == 6
    assert getattr(mod, "__name__") in str(reply.error.reason)  # noqa: B009
    assert reason in str(reply.error.reason)


def test_the_reply_must_fit_too() -> None:
    """Two models, no metrics to put a bit into, or NaN: an error of code 6."""

    def two(message: Message, context: Context) -> Message:
        return Message(RecordDict({"a": model(1), "b": model(2)}), reply_to=message)

    def bare(message: Message, context: Context) -> Message:
        return Message(RecordDict({"a": model(1)}), reply_to=message)

    for client, reason in (
        (two, "exactly one ArrayRecord"),
        (bare, "exactly one MetricRecord"),
        (replying(math.nan), "finite"),
    ):
        reply = wrap(client, [adaptiveclipping_mod])(asking(0, clipping_norm=1.0), CONTEXT)
        assert reply.error.code == ErrorCode.MOD_FAILED_PRECONDITION
        assert reason in str(reply.error.reason)


# Local differential privacy


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_local_noise_is_that_of_the_formula(dtype: str) -> None:
    """Over 10^6 elements the reply's noise has a standard deviation within 1 % of sensitivity·√(2 ln(1.25/δ))/ε, around the clipped update."""
    sent = ArrayRecord([np.full(1_000_000, 10, dtype)])
    trained = ArrayRecord([np.full(1_000_000, 10 + 5 / 1000, dtype)])  # an update 5 long
    message = Message(RecordDict({"arrays": sent}), 2, "train")
    mod = LocalDpMod(2.5, 5.0, 0.8, 1e-5, seed=1)
    reply = wrap(lambda m, c: Message(RecordDict({"w": trained}), reply_to=m), [mod])(message, CONTEXT)
    noisy = reply.content.array_records["w"]["0"].numpy()
    sigma = 5.0 * math.sqrt(2 * math.log(1.25 / 1e-5)) / 0.8
    assert noisy.std(dtype=np.float64) == pytest.approx(sigma, rel=0.01)
    assert noisy.mean(dtype=np.float64) == pytest.approx(10.0025, abs=5 * sigma / 1000)
    assert noisy.dtype == dtype


def test_a_large_epsilon_gets_the_noise_it_needs() -> None:
    """Beyond what the classic formula is proven for, never less than the exact condition asks for."""
    for epsilon in (0.5, 1.0, 10.0, 100.0, 1000.0):
        with_classic = LocalDpMod(1.0, 2.0, epsilon, 1e-5).stddev
        assert with_classic >= analytic_stddev(2.0, epsilon, 1e-5)
    assert LocalDpMod(1.0, 2.0, 1000.0, 1e-5).stddev == analytic_stddev(2.0, 1000.0, 1e-5)


def test_local_noise_is_new_each_time() -> None:
    """Two replies differ; with a seed, which is for tests, the same message to the same node gives the same."""
    mod = LocalDpMod(1.0, 2.0, 1.0, 1e-5)
    first, second = (replied(wrap(replying(1, 2), [mod])(asking(0, 0), CONTEXT)) for _ in range(2))
    assert first != second
    seeded = [LocalDpMod(1.0, 2.0, 1.0, 1e-5, seed=seed) for seed in (1, 1, 2)]
    one, same, other = (replied(wrap(replying(1, 2), [mod])(asking(0, 0), CONTEXT)) for mod in seeded)
    assert one == same != other
    elsewhere = asking(0, 0)
    elsewhere.metadata.dst_node_id = 3
    assert replied(wrap(replying(1, 2), [seeded[0]])(elsewhere, CONTEXT)) != one


def test_arrays_that_take_no_noise() -> None:
    """Booleans are refused by name before the app trains."""
    message = Message(RecordDict({"arrays": ArrayRecord({"mask": Array(np.zeros(2, bool))})}), 2, "train")
    reply = wrap(replying(1), [LocalDpMod(1.0, 2.0, 1.0, 1e-5)])(message, CONTEXT)
    assert reply.error.code == ErrorCode.MOD_FAILED_PRECONDITION
    assert "'mask'" in str(reply.error.reason)


@pytest.mark.parametrize(
    "wrong", [(0, 1, 1, 0.1), (1, 0, 1, 0.1), (1, 1, math.nan, 0.1), (1, 1, 1, 1), (1, 1, math.inf, 0.1)]
)
def test_wrong_local_settings(wrong: tuple[float, float, float, float]) -> None:
    """Each is refused when the mod is made."""
    with pytest.raises(ConfigError, match="of LocalDpMod must be above 0"):
        LocalDpMod(*wrong)


def test_a_sensitivity_that_promises_less_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Below twice the clipping norm not every two data sets look alike."""
    LocalDpMod(1.0, 2.0, 1.0, 1e-5)
    assert caplog.text == ""
    with caplog.at_level(logging.WARNING):
        LocalDpMod(1.0, 1.0, 1.0, 1e-5)
    assert "2 x clipping_norm = 2" in caplog.text


# Sizes


def test_sizes_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Elements and bytes of the arrays, and bytes of all records with their keys, of message and reply; an error reply has none."""
    wrap(replying(1, 2, 3), [message_size_mod, arrays_size_mod])(asking(0, 0, lr=0.1), CONTEXT)
    arrays, message = capsys.readouterr().out.splitlines()
    assert arrays == "Arrays: 2 elements (8 bytes) received, 3 elements (12 bytes) sent."
    assert message == "Message size: 19 bytes received, 25 bytes sent."
    error = Error(ErrorCode.UNKNOWN)
    wrap(lambda m, c: Message(error, reply_to=m), [message_size_mod, arrays_size_mod])(asking(0), CONTEXT)
    assert "0 elements (0 bytes) sent" in capsys.readouterr().out


# Order

LOCAL = LocalDpMod(1.0, 2.0, 1.0, 1e-5)


@pytest.mark.parametrize(
    "mods",
    [
        [],
        [fixedclipping_mod],
        [message_size_mod, LOCAL, arrays_size_mod],
        [masking_mod, fixedclipping_mod],
        [arrays_size_mod, masking_mod, message_size_mod, LOCAL],
    ],
)
def test_stacks_that_work(mods: list[Mod]) -> None:
    """Clip, then noise, then mask; what has no stage may stand anywhere."""
    train = replying(1)
    assert ClientApp(mods=mods).train()(train) is train


@pytest.mark.parametrize(
    ("mods", "text"),
    [
        ([fixedclipping_mod, LOCAL], "fixedclipping_mod clips after LocalDpMod adds noise"),
        ([LOCAL, fixedclipping_mod], "LocalDpMod clips after fixedclipping_mod clips"),
        ([LOCAL, LOCAL], "LocalDpMod clips after LocalDpMod adds noise"),
        (
            [fixedclipping_mod, message_size_mod, adaptiveclipping_mod],
            "fixedclipping_mod clips after adaptiveclipping_mod",
        ),
        ([LOCAL, masking_mod], "LocalDpMod clips after masking_mod masks"),
        ([masking_mod, masking_mod], "masking_mod masks after masking_mod masks"),
    ],
)
def test_stacks_that_undo_themselves(mods: list[Mod], text: str) -> None:
    """A wrong order or a stage done twice is refused when the function is registered, naming both mods."""
    with pytest.raises(ConfigError, match=text):
        ClientApp(mods=mods).train()
    with pytest.raises(ConfigError, match=text):
        ClientApp(mods=mods[:1]).train(mods=mods[1:])
