"""The state machine of a message: queued → leased → replied · expired · cancelled; a lease that is lost → queued."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

State = Literal["queued", "leased", "replied", "expired", "cancelled"]
UNFINISHED: tuple[State, State] = ("queued", "leased")
# Codes of umbel.app.ErrorCode, which is not imported for the sake of NumPy's memory.
NODE_UNAVAILABLE = 5
TIMED_OUT = 21


_ID = re.compile("[0-9a-f]{32}")


def is_id(text: str) -> bool:
    """Whether a text has the form of a message's id."""
    return _ID.fullmatch(text) is not None


class Message(msgspec.Struct, frozen=True):
    """Where a message stands. `session` is the node's session that holds the lease, or held the last one."""

    state: State = "queued"
    session: int | None = None
    leases: int = 0  # how often it was handed out


class Lease(msgspec.Struct, frozen=True):
    """A session of its node takes it."""

    session: int


class Adopt(msgspec.Struct, frozen=True):
    """A session of its node has it already, from an earlier session."""

    session: int


class Return(msgspec.Struct, frozen=True):
    """The session that held it is over."""


class Reply(msgspec.Struct, frozen=True):
    """Its node answers."""


class Fail(msgspec.Struct, frozen=True):
    """Its node no longer exists."""


class Expire(msgspec.Struct, frozen=True):
    """The round no longer waits for it."""


class Cancel(msgspec.Struct, frozen=True):
    """The run has ended, or went another way."""


class Push(msgspec.Struct, frozen=True):
    """The app sends it once more: a later attempt at the run came to the same place."""


MessageEvent = Lease | Adopt | Return | Reply | Fail | Expire | Cancel | Push


class Step(msgspec.Struct, frozen=True):
    """What an event led to. `number`: the message now has a reply, to be numbered; `accepted`: what was sent is wanted."""

    message: Message
    number: bool = False
    accepted: bool = True


def step(message: Message, event: MessageEvent) -> Step:
    """The message after `event`. An event that comes too late changes nothing and is not accepted."""
    match event:
        case Push():
            return Step(_in(message, "queued")) if message.state == "cancelled" else Step(message)
        case Reply() if message.state == "replied":
            return Step(message)
    if message.state not in UNFINISHED:
        return Step(message, accepted=False)
    match event:
        case Lease(session):
            return Step(Message("leased", session, message.leases + 1))
        case Adopt(session):
            return Step(Message("leased", session, message.leases))
        case Return():
            return Step(_in(message, "queued"))
        case Reply() | Fail():
            return Step(_in(message, "replied"), number=True)
        case Expire():
            return Step(_in(message, "expired"), number=True)
        case Cancel():
            return Step(_in(message, "cancelled"))


class Pending(msgspec.Struct, frozen=True):
    """An unfinished message as its node's poll finds it."""

    message_id: str
    message: Message


class Handout(msgspec.Struct, frozen=True):
    """What a poll leads to: message ids to be leased and sent, those the node already has, and those that were cancelled."""

    deliver: tuple[str, ...] = ()
    adopt: tuple[str, ...] = ()
    finished: tuple[str, ...] = ()  # held by the node, and already finished
    over: tuple[int, ...] = ()  # runs of which the node keeps something, and that have ended

    @property
    def changes(self) -> bool:
        """Whether any message changes hands."""
        return bool(self.deliver or self.adopt)


def hand_out(pending: Sequence[Pending], session: int, room: int, holding: frozenset[str]) -> Handout:
    """What a node's `session`, which has the messages `holding` and room for more, gets of its unfinished ones.

    `pending` is in the order in which they are handed out. A message that is leased but that the node does not have was lost
    on the way, and comes again; one that the node has from an earlier session stays its own.
    """
    held = [one for one in pending if one.message_id in holding]
    others = [one.message_id for one in pending if one.message_id not in holding]
    mine = Message("leased", session)
    adopt = [one.message_id for one in held if (one.message.state, one.message.session) != (mine.state, mine.session)]
    finished = holding - {one.message_id for one in held}
    return Handout(tuple(others[: max(0, room)]), tuple(adopt), tuple(sorted(finished)))


def _in(message: Message, state: State) -> Message:
    return msgspec.structs.replace(message, state=state)
