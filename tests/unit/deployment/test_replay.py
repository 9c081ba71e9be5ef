"""Replay after a ServerApp was killed at any call: the same answers, the same model, and no work done twice."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.deployment.conftest import Begin
from tests.unit.deployment.fakes import Server, content, digest
from umbel.app import ArrayRecord, Message, RecordDict
from umbel.errors import NotEnoughNodes
from umbel.serverapp.aggregation.reduction import WeightedMean
from umbel.serverapp.grid import Grid, RoundPolicy
from umbel.serverapp.strategy import FedAvg

Trace = list[object]
App = Callable[[Grid, Trace], None]


def arrays_of(message: Message) -> str:
    """A short form of a reply's arrays."""
    return "error" if message.has_error() else digest(message.content.array_records["arrays"])


def asked(nodes: Sequence[int], sent: RecordDict) -> list[Message]:
    """The same content for each of these nodes."""
    return [Message(sent, node, "train") for node in nodes]


def rounds(grid: Grid, trace: Trace) -> None:
    """Rounds with deadlines, random numbers of the app, and nodes that appear during the run."""
    model = content(1.0, 2.0)
    for policy in (RoundPolicy(), RoundPolicy(timeout=0.8), RoundPolicy(timeout=9, deadline=0.6, quorum=1)):
        nodes = grid.wait_for_nodes(3)
        trace.append(list(nodes))
        noise = float(np.random.standard_normal())  # noqa: NPY002 - what apps use is the global generator
        reduced = grid.reduce(asked(nodes, model), WeightedMean(), policy)
        trace.append([(reply.node_id, reply.error) for reply in reduced.replies])
        if reduced.sum is not None:
            model = content(*(reduced.sum.mean().to_numpy_ndarrays()[0] + noise).tolist())
        trace.append(digest(model.array_records["arrays"]))
    replies = list(grid.send_and_receive(asked(grid.get_node_ids(), model), timeout=0.7))
    trace.append([(reply.metadata.src_node_id, arrays_of(reply)) for reply in replies])


def as_they_come(grid: Grid, trace: Trace) -> None:
    """A loop that aggregates each reply on arrival and sends its node the next message immediately."""
    value, left = np.zeros(2, np.float32), 6
    outstanding = set(grid.push_messages(asked(grid.get_node_ids(), content(0.0, 0.0))))
    while outstanding:
        list(grid.exchange(asked([3], content(9.0)), RoundPolicy()))  # lets time pass
        for reply in grid.pull_messages(outstanding):
            outstanding.remove(reply.metadata.reply_to_message_id)
            node = reply.metadata.src_node_id
            trace.append((node, arrays_of(reply)))
            value = value * np.float32(0.5) + reply.content.array_records["arrays"].to_numpy_ndarrays()[0]
            if left:
                left -= 1
                outstanding |= set(grid.push_messages(asked([node], content(*value.tolist()))))
    trace.append(value.tobytes())


def two_groups(grid: Grid, trace: Trace) -> None:
    """A loop that serves two groups in turn and abandons one."""
    nodes = grid.get_node_ids()
    groups = [
        list(grid.push_messages(asked(nodes[:2], content(1.0)))),
        list(grid.push_messages(asked(nodes[2:], content(2.0)))),
    ]
    seen = 0
    while seen < len(nodes):
        for number, group in enumerate(groups):
            found = [(number, arrays_of(reply)) for reply in grid.pull_messages(group)]
            trace.extend(found)
            seen += len(found)
        list(grid.exchange(asked([3], content(9.0)), RoundPolicy()))
    try:
        grid.wait_for_nodes(50, 1.0)
    except NotEnoughNodes:
        trace.append("not enough")


APPS: dict[str, App] = {"rounds": rounds, "as they come": as_they_come, "two groups": two_groups}


def a_server(seed: int) -> Server:
    """Sites whose replies take between 0.1 and 1.5 seconds, by message; one more comes after a second."""
    return Server(coming=[(1001.0, 11)], delay=lambda name: 0.1 + zlib.crc32(f"{seed}{name}".encode()) % 15 / 10)


def assert_served_once(server: Server) -> None:
    """Assert that no message was served twice, or sent in two versions."""
    assert max(Counter(server.served).values()) == 1
    names = [{one.message_id for one in push.messages} for push in server.pushes]
    by_exchange: dict[int, set[str]] = {}
    for push, ids in zip(server.pushes, names, strict=True):
        assert by_exchange.setdefault(push.sequence, ids) == ids


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("name", APPS)
def test_a_later_attempt_sees_the_same_answers(begin: Begin, name: str, effect: bool) -> None:
    """After a kill at any call, before or after its effect, the next process sees the same answers as the earlier one."""
    app = APPS[name]
    life = begin(a_server(0))
    attempt = life.attempt()
    assert life.lead(lambda grid: app(grid, []), attempt)
    for call in range(1, attempt.client.calls + 1):
        life = begin(a_server(0))
        seen: Trace = []
        died = not life.lead(lambda grid, seen=seen: app(grid, seen), life.attempt(call, effect=effect))  # type: ignore[misc]
        assert died or not effect
        again: Trace = []
        assert life.lead(lambda grid, again=again: app(grid, again), life.attempt())  # type: ignore[misc]
        assert again[: len(seen)] == seen
        assert_served_once(life.server)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    name=st.sampled_from(sorted(APPS)),
    seed=st.integers(0, 1000),
    deaths=st.lists(st.tuples(st.integers(1, 60), st.booleans()), max_size=4),
)
def test_several_kills_change_nothing(begin: Begin, name: str, seed: int, deaths: list[tuple[int, bool]]) -> None:
    """Each process sees the answers of all earlier ones, whatever the speed of the sites and the place of the kill."""
    life = begin(a_server(seed))
    longest: Trace = []
    for call, effect in [*deaths, (-1, True)]:
        seen: Trace = []
        life.lead(lambda grid, seen=seen: APPS[name](grid, seen), life.attempt(call, effect=effect))  # type: ignore[misc]
        common = min(len(seen), len(longest))
        assert seen[:common] == longest[:common]
        longest = max(seen, longest, key=len)
    assert len(seen) == len(longest)
    assert_served_once(life.server)


def strategy(grid: Grid, results: Trace) -> None:
    """An exchange of the app's own, a strategy, another one that continues from its model, and another exchange."""
    nodes = grid.wait_for_nodes(3)
    first = [arrays_of(reply) for reply in grid.exchange(asked(nodes, content(5.0, 6.0)), RoundPolicy())]
    arrays = ArrayRecord([np.zeros(2, np.float32)])
    result = FedAvg(fraction_evaluate=0.0).start(grid, arrays, num_rounds=3)
    second = FedAvg(fraction_evaluate=0.0).start(grid, result.arrays, num_rounds=2)
    last = [
        arrays_of(reply) for reply in grid.exchange(asked(nodes, RecordDict({"arrays": second.arrays})), RoundPolicy())
    ]
    results += [first, digest(result.arrays), digest(second.arrays), last, float(np.random.standard_normal())]  # noqa: NPY002


@pytest.mark.parametrize("effect", [True, False])
@pytest.mark.parametrize("kept", [(), (1,), (1, 2, 3), (3,)])
def test_a_strategy_resumes_from_its_checkpoint(begin: Begin, kept: tuple[int, ...], effect: bool) -> None:
    """Whichever checkpoints became durable, models and random numbers are the same, and nothing is served twice."""

    def a_life() -> tuple[Server, Callable[..., tuple[bool, Trace, int]]]:
        life = begin(Server(delay=a_server(3).delay))

        def lead(die_at: int | None = None) -> tuple[bool, Trace, int]:
            results: Trace = []
            attempt = life.attempt(die_at, effect=effect, keep=lambda number: number in kept)
            ended = life.lead(lambda grid: strategy(grid, results), attempt)
            return ended, results, attempt.client.calls

        return life.server, lead

    _, lead = a_life()
    ended, undisturbed, calls = lead()
    assert ended
    for call in range(1, calls + 1):
        server, lead = a_life()
        lead(call)
        ended, results, _ = lead()
        assert ended
        assert results == undisturbed
        assert_served_once(server)


def test_what_a_checkpoint_covers_is_forgotten(begin: Begin) -> None:
    """Exchanges that a checkpoint covers are forgotten, those before the strategy are not; a later attempt begins in the last round."""
    server = Server()
    life = begin(server)
    results: Trace = []
    attempt = life.attempt(keep=lambda number: True)
    assert life.lead(lambda grid: strategy(grid, results), attempt)
    assert [(f.after_sequence, f.sequence, f.after_call, f.call) for f in server.forgotten] == [
        (1, 2, 1, 2),
        (1, 3, 1, 3),
        (1, 4, 1, 4),
    ]
    assert {reply.sequence for reply in server.replies} == {1, 5, 6, 7}
    again: Trace = []
    second = life.attempt(keep=lambda number: True)
    assert life.lead(lambda grid: strategy(grid, again), second)
    assert again == results
    assert [push.sequence for push in server.pushes[7:]] == [1, 5, 6, 7]
    assert second.client.calls < attempt.client.calls


def test_a_diverging_app_gets_a_warning(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """From the divergence on, its calls are executed, and it does not wait for the calls of the earlier attempt."""
    life = begin(Server())

    def before(grid: Grid) -> None:
        list(grid.get_node_ids())
        names = grid.push_messages(asked([3, 5], content(1.0)))
        life.server.run_until(2000.0, lambda: False)
        list(grid.pull_messages(names))

    def another(grid: Grid) -> None:
        list(grid.get_node_ids())
        names = grid.push_messages(asked([8], content(2.0)))
        life.server.run_until(3000.0, lambda: False)
        while not list(grid.pull_messages(names)):
            pass
        assert grid.get_node_ids() == [3, 5, 8]

    assert life.lead(before, life.attempt())
    assert life.lead(another, life.attempt())
    assert "The app has diverged from its earlier attempt (at Grid call" in caplog.text
    caplog.clear()
    assert life.lead(lambda grid: [grid.get_node_ids(), grid.get_node_ids()], life.attempt())
    assert "The app has diverged from its earlier attempt (at Grid call" in caplog.text
