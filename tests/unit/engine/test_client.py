"""The boundary between the engine and the author's function."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pytest

from umbel.app import Context, Error, Message, MetricRecord, RecordDict
from umbel.engine.client_state import StateStore
from umbel.engine.clients import ClientServer, Population, answer, derive, seed_everything

NODE = 4


def message() -> Message:
    """An instruction for NODE."""
    return Message(RecordDict(), NODE, "train")


def context() -> Context:
    """Any context."""
    return Context(1, NODE)


def raise_error(_message: Message, _context: Context) -> Message:
    """Raises as an author's function does."""
    raise ValueError("the data is gone")


def exit_early(_message: Message, _context: Context) -> Message:
    """Ends the process as an author's function should not."""
    sys.exit(3)


def test_what_a_client_raises_becomes_an_error_reply_with_its_traceback() -> None:
    """The traceback begins in the author's code and ends with the exception."""
    reply = answer(raise_error, message(), context())
    assert reply.error.code == 2
    reason = str(reply.error.reason)
    assert reason.endswith("ValueError: the data is gone")
    assert "raise_error" in reason
    assert "engine/client.py" not in reason
    assert reply.metadata.src_node_id == NODE


@pytest.mark.parametrize(
    ("function", "said"), [(exit_early, "SystemExit: 3"), (lambda *_: None, "returned NoneType"), (lambda *_: 5, "int")]
)
def test_nonsense_becomes_an_error_reply(function: object, said: str) -> None:
    """Whatever a client does, its node answers."""
    reply = answer(function, message(), context())  # type: ignore[arg-type]
    assert reply.error.code == 2
    assert said in str(reply.error.reason)


def test_a_client_that_took_longer_than_its_message_lives_is_answered_for() -> None:
    """The reply cannot be made any longer, and that is what the error says; the worker continues."""
    asked = message()
    asked.metadata.created_at -= asked.metadata.ttl + 1
    reply = answer(lambda msg, _: Message(RecordDict(), reply_to=msg), asked, context())
    assert "expired" in str(reply.error.reason)
    assert reply.metadata.src_node_id == NODE


def test_an_error_that_the_client_returns_goes_through() -> None:
    """An app may reply with an error that it created."""
    assert answer(lambda msg, _: Message(Error(77, "no"), reply_to=msg), message(), context()).error == Error(77, "no")


def test_randomness_depends_on_run_client_and_exchange_alone(tmp_path: Path) -> None:
    """A client draws the same random numbers whichever client was served before it, and others in the next exchange."""
    drawn: list[tuple[float, float]] = []

    def draw(msg: Message, _: Context) -> Message:
        drawn.append((random.random(), float(np.random.rand())))  # noqa: NPY002 - as apps do
        return Message(RecordDict(), reply_to=msg)

    server = ClientServer(draw, Population(1, 9, {}, 2, 10), StateStore(tmp_path))
    for exchange in (1, 1, 2):
        np.random.rand(exchange)  # noqa: NPY002
        server.serve(message(), exchange, exchange)
    assert drawn[0] == drawn[1]
    assert drawn[1] != drawn[2]
    seed_everything(derive(9, NODE, 1))
    assert random.random() == drawn[0][0]


def test_a_failed_client_keeps_its_old_state(tmp_path: Path) -> None:
    """What a client wrote into its state before it failed is not kept."""

    def count(msg: Message, ctx: Context) -> Message:
        ctx.state["m"] = MetricRecord({"n": 1 + len(ctx.state)})
        if ctx.run_config["fails"]:
            raise ValueError
        return Message(RecordDict(), reply_to=msg)

    def serve(exchange: int, *, fails: bool) -> None:
        ClientServer(count, Population(1, 0, {"fails": fails}, 2, 10), StateStore(tmp_path)).serve(
            message(), exchange, 0
        )

    serve(1, fails=True)
    assert not list(tmp_path.iterdir())
    serve(2, fails=False)
    serve(3, fails=True)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["2"]


def test_the_context_tells_a_client_its_part_of_the_data(tmp_path: Path) -> None:
    """`partition-id` counts from 0, and the run config is a copy."""
    seen: list[Context] = []

    def look(msg: Message, ctx: Context) -> Message:
        seen.append(ctx)
        ctx.run_config["lr"] = 2.0
        return Message(RecordDict(), reply_to=msg)

    server = ClientServer(look, Population(8, 0, {"lr": 1.0}, 2, 10), StateStore(tmp_path))
    server.serve(message(), 1, 1)
    server.serve(message(), 2, 2)
    assert seen[1].node_config == {"partition-id": NODE - 2, "num-partitions": 10}
    assert (seen[0].run_id, seen[0].node_id) == (8, NODE)
    assert seen[0].run_config is not seen[1].run_config


def test_a_real_site_has_its_own_config(tmp_path: Path) -> None:
    """Instead of a partition; what one message's function changes in it, the next does not see."""

    def tell(message: Message, context: Context) -> Message:
        seen.append(dict(context.node_config))
        context.node_config["beds"] = 0
        return Message(RecordDict(), reply_to=message)

    seen: list[dict[str, object]] = []
    server = ClientServer(tell, Population(1, 0, {}, 0, 0, {"beds": 3}), StateStore(tmp_path))
    for exchange in (1, 2):
        server.serve(message(), exchange, 0)
    assert seen == [{"beds": 3}, {"beds": 3}]
