"""The state machine of a message, and what a node's poll gets, under every order of events."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.examples import examples
from umbel.app import ErrorCode
from umbel.superlink.domain import message as messages
from umbel.superlink.domain.message import (
    Adopt,
    Cancel,
    Expire,
    Fail,
    Lease,
    Message,
    MessageEvent,
    Pending,
    Push,
    Reply,
    Return,
    hand_out,
    step,
)

QUEUED, LEASED = Message(), Message("leased", 1, 1)
REPLIED, EXPIRED, CANCELLED = Message("replied", 1, 1), Message("expired", 1, 1), Message("cancelled", 1, 1)
NAMES = ["a", "b", "c", "d", "e"]


def test_the_codes_are_those_of_the_errors() -> None:
    """The two codes that the SuperLink gives itself mean the same as in an app."""
    assert (messages.NODE_UNAVAILABLE, messages.TIMED_OUT) == (ErrorCode.NODE_UNAVAILABLE, ErrorCode.TIMED_OUT)


@pytest.mark.parametrize("before", [QUEUED, LEASED])
@pytest.mark.parametrize(
    ("event", "state", "number"),
    [
        (Reply(), "replied", True),
        (Fail(), "replied", True),
        (Expire(), "expired", True),
        (Cancel(), "cancelled", False),
    ],
)
def test_an_unfinished_message_ends(before: Message, event: MessageEvent, state: str, number: bool) -> None:
    """The first event ends it, also while no node holds it; all but a cancelled one have a reply then."""
    done = step(before, event)
    assert (done.message.state, done.number, done.accepted) == (state, number, True)


@pytest.mark.parametrize("before", [EXPIRED, CANCELLED])
@pytest.mark.parametrize("event", [Reply(), Lease(2), Adopt(2), Return(), Expire(), Cancel(), Fail()])
def test_what_comes_too_late_is_refused(before: Message, event: MessageEvent) -> None:
    """A message that no one waits for takes no reply and goes to no node."""
    done = step(before, event)
    assert (done.message, done.number, done.accepted) == (before, False, False)


def test_a_reply_that_comes_again_is_known() -> None:
    """The node cannot know that its reply arrived: saying it again is fine and changes nothing."""
    done = step(REPLIED, Reply())
    assert (done.message, done.number, done.accepted) == (REPLIED, False, True)


def test_only_a_cancelled_message_is_sent_again() -> None:
    """A push that repeats a message finds it as it is, unless another attempt at the run had cancelled it."""
    assert step(CANCELLED, Push()).message.state == "queued"
    for known in (QUEUED, LEASED, REPLIED, EXPIRED):
        assert step(known, Push()).message == known


def pending(*states: tuple[str, Message]) -> list[Pending]:
    """Unfinished messages."""
    return [Pending(name, message) for name, message in states]


def test_a_poll_gets_as_many_as_it_has_room_for() -> None:
    """They are handed out in order, and none where there is no room."""
    queue = pending(("a", QUEUED), ("b", QUEUED), ("c", QUEUED))
    assert hand_out(queue, 1, 2, frozenset()).deliver == ("a", "b")
    assert hand_out(queue, 1, 0, frozenset()).deliver == hand_out(queue, 1, -3, frozenset()).deliver == ()


def test_an_answer_that_was_lost_comes_again() -> None:
    """A lease that the node does not know of goes out once more."""
    assert hand_out(pending(("a", LEASED)), 1, 1, frozenset()).deliver == ("a",)
    assert not hand_out(pending(("a", LEASED)), 1, 1, frozenset("a")).changes


def test_a_node_keeps_what_it_has_from_an_earlier_session() -> None:
    """A SuperNode that was started again and still has a message continues with it."""
    plan = hand_out(pending(("a", QUEUED), ("b", LEASED), ("c", QUEUED)), 2, 5, frozenset("ab"))
    assert (plan.adopt, plan.deliver, plan.finished) == (("a", "b"), ("c",), ())


def test_a_node_hears_what_nobody_waits_for() -> None:
    """What it holds and is not unfinished is named."""
    assert hand_out(pending(("a", LEASED)), 1, 0, frozenset("axy")).finished == ("x", "y")


class Life(RuleBasedStateMachine):
    """Messages of one node that polls, loses answers, starts again and answers, while the Grid pushes and expires."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[str, Message] = {}
        self.session = 1
        self.has: set[str] = set()  # what the node works on
        self.replies: dict[str, int] = {}

    def happen(self, name: str, event: MessageEvent) -> messages.Step:
        """Let an event happen to a message."""
        done = step(self.stored[name], event)
        self.stored[name] = done.message
        self.replies[name] = self.replies.get(name, 0) + done.number
        return done

    def plan(self, room: int) -> messages.Handout:
        """What a poll of the node leads to."""
        queue = [Pending(n, m) for n, m in sorted(self.stored.items()) if m.state in messages.UNFINISHED]
        return hand_out(queue, self.session, room, frozenset(self.has))

    @rule(name=st.sampled_from(NAMES))
    def push(self, name: str) -> None:
        self.stored.setdefault(name, Message())
        self.happen(name, Push())

    @rule(room=st.integers(0, 3), arrives=st.booleans())
    def poll(self, room: int, arrives: bool) -> None:
        plan = self.plan(room)
        for name in plan.adopt:
            self.happen(name, Adopt(self.session))
        for name in plan.deliver:
            assert name not in self.has
            self.happen(name, Lease(self.session))
        if arrives:
            self.has |= {*plan.deliver}
            self.has -= {*plan.finished}

    @rule(keeps=st.booleans())
    def start_again(self, keeps: bool) -> None:
        self.session += 1
        for name, message in self.stored.items():
            if message.state == "leased":
                self.happen(name, Return())
        self.has &= self.has if keeps else set()

    @rule(name=st.sampled_from(NAMES), heard=st.booleans())
    def reply(self, name: str, heard: bool) -> None:
        if name in self.has:
            waited_for = self.stored[name].state in (*messages.UNFINISHED, "replied")
            assert self.happen(name, Reply()).accepted == waited_for
            self.has -= {name} if heard else set()

    @rule(name=st.sampled_from(NAMES), event=st.sampled_from([Expire(), Cancel(), Fail()]))
    def end(self, name: str, event: MessageEvent) -> None:
        if name in self.stored:
            self.happen(name, event)

    @invariant()
    def every_ended_message_has_one_reply(self) -> None:
        """One that was answered or expired has exactly one number, any other none."""
        for name, message in self.stored.items():
            assert self.replies.get(name, 0) == (message.state in ("replied", "expired"))

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each unfinished message is with the node, or comes with its next poll."""
        plan = self.plan(len(NAMES))
        waiting = {name for name, message in self.stored.items() if message.state in messages.UNFINISHED}
        assert waiting == {*plan.deliver} | (self.has & waiting)
        assert {*plan.finished} == self.has - waiting


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
