"""The state machine of a node, and who is there, with a clock that the test moves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from umbel.errors import Conflict
from umbel.superlink.domain.node import (
    OFFLINE_AFTER,
    SILENT_AFTER,
    Activate,
    Cut,
    Deactivate,
    Node,
    NodeEvent,
    Poll,
    Remove,
    Restart,
    Silence,
    State,
    fold,
    step,
)
from umbel.superlink.waiting.liveness import Presence

ONLINE, QUIET, GONE, REMOVED = Node("online", 3), Node("silent", 3), Node("offline", 3), Node("removed", 3)


@pytest.mark.parametrize(
    ("node", "event", "state"),
    [
        (ONLINE, Cut(), "silent"),
        (ONLINE, Restart(), "silent"),
        (ONLINE, Silence(SILENT_AFTER), "silent"),
        (ONLINE, Silence(OFFLINE_AFTER), "offline"),
        (QUIET, Silence(OFFLINE_AFTER), "offline"),
        (QUIET, Cut(), "silent"),
        (GONE, Silence(OFFLINE_AFTER), "offline"),
        (GONE, Cut(), "offline"),
        (QUIET, Poll(3), "online"),
        (GONE, Poll(3), "online"),
        (ONLINE, Deactivate(3), "offline"),
        (ONLINE, Remove(), "removed"),
        (REMOVED, Silence(OFFLINE_AFTER), "removed"),
    ],
)
def test_where_events_lead(node: Node, event: NodeEvent, state: State) -> None:
    """A node comes and goes; its session stays the same meanwhile."""
    assert step(node, event).node == Node(state, 3)


def test_a_new_session_ends_the_older() -> None:
    """After an activation the earlier session is refused, and what it held is handed out again."""
    begun = step(ONLINE, Activate())
    assert (begun.node, begun.released) == (Node("online", 4), True)
    for event in (Poll(3), Deactivate(3)):
        with pytest.raises(Conflict, match="Session 3"):
            step(begun.node, event)


@pytest.mark.parametrize("event", [Activate(), Poll(3), Deactivate(3)])
def test_a_removed_node_does_not_come_back(event: NodeEvent) -> None:
    """Whatever a node that was unregistered says is refused."""
    with pytest.raises(Conflict, match="no longer registered"):
        step(REMOVED, event)


EVENTS = st.sampled_from([Activate(), Poll(1), Poll(2), Cut(), Silence(5), Silence(30), Restart(), Deactivate(1)])


@given(st.lists(EVENTS, max_size=40))
def test_transitions_fold_to_the_state(events: list[NodeEvent]) -> None:
    """Whatever happens, sessions only grow and the transitions that are stored lead to where the node stands."""
    node, stored = Node(), list[tuple[State, int]]()
    for event in events:
        try:
            after = step(node, event).node
        except Conflict:
            continue
        assert after.session >= node.session
        if after != node:
            stored.append((after.state, after.session))
        node = after
    assert fold(stored) == node


def test_a_poll_that_waits_is_heard_of_all_the_time() -> None:
    """While one of its polls is parked a node is not silent; the first one says that it is there."""
    presence = Presence()
    assert presence.park(1, 7, 0.0) == Poll(7)
    assert presence.park(1, 7, 1.0) is None
    assert presence.unpark(1, 2.0, cut=False) is None
    assert presence.due(1000.0) == []
    assert presence.next_due() is None


def test_silence_grows() -> None:
    """After its last poll a node is silent, then offline; then a poll brings it back."""
    presence = Presence()
    presence.park(1, 7, 0.0)
    presence.unpark(1, 10.0, cut=False)
    assert presence.due(10.0 + SILENT_AFTER - 0.1) == []
    assert presence.due(presence.next_due() or 0.0) == [(1, Silence(SILENT_AFTER))]
    assert presence.next_due() == 10.0 + OFFLINE_AFTER
    assert presence.due(10.0 + OFFLINE_AFTER) == [(1, Silence(OFFLINE_AFTER))]
    assert presence.next_due() is None
    assert presence.park(1, 7, 50.0) == Poll(7)


def test_a_cut_connection_is_silence_at_once() -> None:
    """A poll whose connection is cut makes its node silent, unless another poll of it waits."""
    presence = Presence()
    presence.park(1, 7, 0.0)
    presence.park(1, 7, 0.0)
    assert presence.unpark(1, 1.0, cut=True) is None
    assert presence.unpark(1, 2.0, cut=True) == Cut()
    assert presence.next_due() == 2.0 + OFFLINE_AFTER
    assert presence.park(1, 7, 3.0) == Poll(7)


def test_a_node_that_was_elsewhere_is_told_of_again() -> None:
    """A node that continues polling is reported once; one that has polled another SuperLink in the meantime is reported again."""
    presence = Presence()
    presence.activated(1, 0.0)
    assert presence.park(1, 7, 1.0) is None
    assert presence.unpark(1, 2.0, cut=False) is None
    presence.moved(1)
    assert presence.park(1, 7, 3.0) == Poll(7)


def test_after_a_restart_nodes_have_time_to_show_themselves() -> None:
    """Those that do not are offline after a while; those that do are not."""
    presence = Presence()
    presence.expect([1, 2], 0.0)
    assert presence.park(1, 7, 1.0) == Poll(7)
    assert presence.due(OFFLINE_AFTER) == [(2, Silence(OFFLINE_AFTER))]


def test_a_node_that_has_left_is_not_missed() -> None:
    """Its poll that ends later changes nothing, also when it has come back meanwhile."""
    presence = Presence()
    presence.park(1, 7, 0.0)
    presence.leave(1, 1.0)
    presence.activated(1, 2.0)
    presence.park(1, 8, 3.0)
    assert presence.unpark(1, 4.0, cut=True) is None
    assert presence.due(1000.0) == []
