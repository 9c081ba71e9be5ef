"""The state machine of a node: online → silent → offline and back; a newer session ends the older; removed for good."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from umbel.errors import Conflict

State = Literal["online", "silent", "offline", "removed"]
SILENT_AFTER = 5.0  # seconds without a parked poll
OFFLINE_AFTER = 30.0  # seconds without one, the silence included


class Node(msgspec.Struct, frozen=True):
    """Where a node stands. `session` counts its activations; 0: it was never there."""

    state: State = "offline"
    session: int = 0


class Activate(msgspec.Struct, frozen=True):
    """A SuperNode has started."""


class Poll(msgspec.Struct, frozen=True):
    """It asks for messages."""

    session: int


class Cut(msgspec.Struct, frozen=True):
    """The connection of its poll was cut."""


class Silence(msgspec.Struct, frozen=True):
    """Nothing was heard of it for `seconds`: it is silent, or offline from `OFFLINE_AFTER` on."""

    seconds: float


class Restart(msgspec.Struct, frozen=True):
    """The SuperLink was started again, and does not know whether the node is still there."""


class Deactivate(msgspec.Struct, frozen=True):
    """It says that it goes."""

    session: int


class Rekey(msgspec.Struct, frozen=True):
    """It got another key."""


class Remove(msgspec.Struct, frozen=True):
    """It is unregistered."""


NodeEvent = Activate | Poll | Cut | Silence | Restart | Deactivate | Rekey | Remove


class Step(msgspec.Struct, frozen=True):
    """What an event led to, and why. `released`: what the node held under leases is queued again."""

    node: Node
    reason: str = ""
    released: bool = False


def step(node: Node, event: NodeEvent) -> Step:
    """The node after `event`; an equal one when the event changes nothing. Raises Conflict where it does not fit."""
    match event:
        case Remove():
            return Step(_in(node, "removed"), "unregistered")
        case Activate():
            _check_registered(node)
            return Step(Node("online", node.session + 1), "its SuperNode has started", released=True)
        case Rekey():
            _check_registered(node)
            return Step(Node("offline", node.session + 1), "its key was replaced", released=True)
        case Poll():
            check_session(node, event.session)
            return Step(_in(node, "online"), "it is polling for messages again")
        case Deactivate():
            check_session(node, event.session)
            return Step(_in(node, "offline"), "its SuperNode has ended", released=True)
    return _unheard(node, event)


def check_session(node: Node, session: int) -> None:
    """Raises Conflict unless the session is the node's newest."""
    _check_registered(node)
    if session != node.session:
        raise Conflict(
            f"Session {session} of the node has ended: a newer session has begun.",
            hint="Stop one of the two SuperNodes that use the same key.",
        )


def fold(transitions: Iterable[tuple[State, int]]) -> Node:
    """The node after its events' states and sessions, oldest first."""
    node = Node()
    for state, session in transitions:
        node = Node(state, session)
    return node


def _unheard(node: Node, event: NodeEvent) -> Step:
    match event:
        case Cut() if node.state == "online":
            return Step(_in(node, "silent"), "its connection was cut")
        case Restart() if node.state == "online":
            return Step(_in(node, "silent"), "the SuperLink was restarted")
        case Silence(seconds) if node.state in ("online", "silent"):
            state: State = "silent" if seconds < OFFLINE_AFTER else "offline"
            return Step(_in(node, state), f"it has not been heard from for {seconds:.0f} s")
    return Step(node)


def _check_registered(node: Node) -> None:
    if node.state == "removed":
        raise Conflict("The node is no longer registered.")


def _in(node: Node, state: State) -> Node:
    return msgspec.structs.replace(node, state=state)
