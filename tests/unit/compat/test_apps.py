from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from umbel.app import Context as CoreContext
from umbel.app import Message as CoreMessage
from umbel.app import RecordDict as CoreRecordDict
from umbel.app.arrayrecord import ArrayRecord as CoreArrayRecord
from umbel.compat import flwr as alias

with alias.active():
    from flwr.app import ArrayRecord, Context, Message, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.common import log
    from flwr.common.config import flatten_dict, fuse_dicts, unflatten_dict
    from flwr.common.logger import logger
    from flwr.serverapp import Grid, ServerApp
    from flwr.simulation import run_simulation


@pytest.fixture
def context() -> Context:
    """That of a node."""
    return CoreContext(1, 2)


def message(kind: str = "query") -> Message:
    """One that came from the engine."""
    return CoreMessage(CoreRecordDict({"a": CoreArrayRecord([np.zeros(2)])}), 2, kind)


def echo(msg: Message, context: Context) -> Message:
    """Send back what came."""
    return Message(msg.content, reply_to=msg)


def test_a_function_gets_the_aliases_records(context: Context) -> None:
    """Message, content, arrays and state are of the classes that the app imports."""
    app = ClientApp()
    seen = []

    @app.query()
    def query(msg: Message, context: Context) -> Message:
        seen.extend([type(msg), type(msg.content), type(msg.content["a"]), type(context.state)])
        return echo(msg, context)

    app(message(), context)
    assert seen == [Message, RecordDict, ArrayRecord, RecordDict]


def test_a_handler_is_looked_up_by_category_and_action(context: Context) -> None:
    """`query` and `query.default` are the same; what no one registered is a ValueError that says what there is."""
    app = ClientApp()
    app.query()(echo)
    app.train("fine")(echo)
    for kind in ("query", "query.default", "train.fine"):
        assert app(message(kind), context).has_content()
    for kind in ("train", "evaluate", "query.other"):
        with pytest.raises(ValueError, match=r"no function for .*query, train\.fine"):
            app(message(kind), context)


def test_a_decorator_returns_the_function() -> None:
    """A registered function can still be called; the same type twice, or an action that is no identifier, is a ValueError."""
    app = ClientApp()
    assert app.train("fine")(echo) is echo
    with pytest.raises(ValueError, match="already"):
        app.train("fine")(echo)
    with pytest.raises(ValueError, match="identifier"):
        app.train("no good")


def test_mods_of_the_app_are_outside(context: Context) -> None:
    """App mods come first, then the function's, the first given outermost."""
    order: list[str] = []

    def named(name: str) -> Callable[..., Message]:
        def mod(msg: Message, context: Context, call_next: Callable[..., Message]) -> Message:
            order.append(name)
            return call_next(msg, context)

        return mod

    app = ClientApp(mods=[named("a"), named("b")])
    app.query(mods=[named("c"), named("d")])(echo)
    app(message(), context)
    assert order == ["a", "b", "c", "d"]


def test_a_client_fn_excludes_functions() -> None:
    """An app made from a `client_fn` takes no other functions."""
    app = ClientApp(client_fn=lambda context: None)
    with pytest.raises(ValueError, match="client_fn"):
        app.train()


def test_a_lifespan_yields_once(context: Context) -> None:
    """It runs around the call; one that does not yield exactly once is a RuntimeError."""
    steps: list[str] = []

    def well(context: Context) -> Iterator[None]:
        steps.append("in")
        yield
        steps.append("out")

    def twice(context: Context) -> Iterator[None]:
        yield
        yield

    def never(context: Context) -> Iterator[None]:
        yield from ()

    for fn, problem in ((well, ""), (twice, "more than once"), (never, "did not yield")):
        app = ClientApp()
        app.query()(echo)
        app.lifespan()(fn)
        if problem:
            with pytest.raises(RuntimeError, match=problem):
                app(message(), context)
        else:
            app(message(), context)
    assert steps == ["in", "out"]


def test_a_server_app_gets_flowers_grid() -> None:
    """Main gets a Grid that answers with lists, makes messages, and has the older methods."""
    app = ServerApp()
    seen: dict[str, Any] = {}

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        nodes = grid.get_node_ids()
        seen["nodes"] = nodes
        messages = [grid.create_message(RecordDict(), "query", node, group_id="1", ttl=9.0) for node in nodes]
        replies = grid.send_and_receive(messages, timeout=1.0)
        seen["replies"] = [(type(reply), reply.metadata.group_id) for reply in replies]
        seen["node"] = [node.node_id for node in grid.get_nodes()]
        grid.set_run(grid.run)
        ids = grid.push_messages([Message(RecordDict(), node, "query") for node in nodes])
        seen["pulled"] = [grid.pull_messages(ids), grid.pull_messages(ids)]

    client = ClientApp()
    client.query()(echo)
    run_simulation(app, client, num_supernodes=2)
    assert seen["nodes"] == seen["node"] == [2, 3]
    assert seen["replies"] == [(Message, "1")] * 2
    assert [len(pulled) for pulled in seen["pulled"]] == [2, 0]


def test_a_server_app_has_one_main() -> None:
    """The parts of the older API and a main function exclude each other, and so do `server_fn` and the parts."""
    app = ServerApp(server_fn=lambda context: None)
    with pytest.raises(ValueError, match="This ServerApp already has a main function"):
        app.main()(lambda grid, context: None)
    with pytest.raises(ValueError, match="server_fn"):
        ServerApp(config=object(), server_fn=lambda context: None)


def test_a_simulation_in_this_process() -> None:
    """`flwr.simulation.run_simulation` runs the two apps."""
    client, server = ClientApp(), ServerApp()
    client.query()(echo)
    replies: list[Message] = []

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        replies.extend(grid.send_and_receive([Message(RecordDict(), node, "query") for node in grid.get_node_ids()]))

    run_simulation(server_app=server, client_app=client, num_supernodes=3)
    assert [reply.has_content() for reply in replies] == [True] * 3


def test_configurations_nest() -> None:
    """`unflatten_dict` and `flatten_dict` undo each other; `fuse_dicts` overrides what is there, and nothing else."""
    flat = {"a.b": 1, "a.c": "x", "d": True}
    assert unflatten_dict(flat) == {"a": {"b": 1, "c": "x"}, "d": True}
    assert flatten_dict(unflatten_dict(flat)) == flat
    assert flatten_dict({"b": 1}, "a") == {"a.b": 1}
    assert flatten_dict(None) == {}
    assert fuse_dicts({"a": {"b": 1}, "d": 2}, {"a": {"b": 3}}) == {"a": {"b": 3}, "d": 2}
    assert fuse_dicts({"a": 1}, {"x": 2}, check_keys=False) == {"a": 1}
    with pytest.raises(ValueError, match="x"):
        fuse_dicts({"a": 1}, {"x": 2})
    with pytest.raises(ValueError, match="list"):
        flatten_dict({"a": [1]})


def test_the_log_is_the_runs(caplog: pytest.LogCaptureFixture) -> None:
    """`log` writes to the logger `flwr`, with a level and arguments."""
    from logging import INFO

    with caplog.at_level(INFO, "flwr"):
        log(INFO, "round %d", 3)
        logger.info("more")
    assert [record.getMessage() for record in caplog.records] == ["round 3", "more"]
