"""Following a run, interruptions and reconnection."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from queue import SimpleQueue
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.fake_control import event, make_run
from umbel.cli.follow import Follower, Outcome
from umbel.cli.run_stream import (
    Cut,
    Failed,
    Feed,
    Inbox,
    ItemReceived,
    RunFinished,
    Signalled,
    Started,
    Step,
    StopTaken,
)
from umbel.errors import SuperLinkUnreachable, UnknownConfigKey
from umbel.wire.api import RunView, StartRun, StreamItem
from umbel.wire.control import ControlClient

RUN = make_run(7)
STOPPED = make_run(7, status="finished", sub_status="stopped")
CTRL_C = Signalled(signal.SIGINT)


class Recorder:
    """A feed and a display that write down what they are told."""

    def __init__(self) -> None:
        self.stopped: list[int] = []
        self.said: list[str] = []
        self.shown: list[StreamItem] = []

    def stop(self, run_id: int) -> None:
        self.stopped.append(run_id)

    def started(self, run: RunView) -> None:
        self.said.append(f"started {run.run_id}")

    def show(self, item: StreamItem) -> None:
        self.shown.append(item)

    def notice(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def follower(recorder: Recorder) -> Follower:
    return Follower(cast("Feed", recorder), recorder)


def test_a_run_is_shown_until_it_is_over(follower: Follower, recorder: Recorder) -> None:
    """Start, items, end; then there is an outcome without a signal."""
    item = event("note", text="x")
    assert follower.handle(Started(RUN)) is None
    assert follower.handle(ItemReceived(item)) is None
    assert follower.handle(RunFinished(STOPPED)) == Outcome(STOPPED)
    assert (recorder.said, recorder.shown, recorder.stopped) == (["started 7"], [item], [])


def test_the_first_signal_asks_to_stop_and_the_answer_ends_it(follower: Follower, recorder: Recorder) -> None:
    """One request, however often the signal comes."""
    follower.handle(Started(RUN))
    assert follower.handle(CTRL_C) is None
    assert follower.handle(StopTaken(STOPPED)) == Outcome(STOPPED, signal.SIGINT)
    assert recorder.stopped == [7]


def test_a_signal_before_the_id_is_known_stops_the_run_later(follower: Follower, recorder: Recorder) -> None:
    """The request goes out as soon as the start was answered."""
    assert follower.handle(CTRL_C) is None
    assert recorder.stopped == []
    assert follower.handle(Started(RUN)) is None
    assert recorder.stopped == [7]


def test_a_run_that_needs_time_to_stop_is_waited_for(follower: Follower) -> None:
    """Not finished yet: stay until the stream says so."""
    follower.handle(Started(RUN))
    follower.handle(CTRL_C)
    assert follower.handle(StopTaken(RUN)) is None
    assert follower.handle(RunFinished(STOPPED)) == Outcome(STOPPED, signal.SIGINT)


def test_a_second_signal_leaves_once_the_stop_was_taken(follower: Follower) -> None:
    """The person does not want to see the end."""
    follower.handle(Started(RUN))
    follower.handle(CTRL_C)
    follower.handle(StopTaken(RUN))
    assert follower.handle(CTRL_C) == Outcome(RUN, signal.SIGINT)


def test_a_second_signal_before_the_answer_leaves_with_it(follower: Follower, recorder: Recorder) -> None:
    """The stop request is never abandoned half-way by accident."""
    follower.handle(Started(RUN))
    follower.handle(CTRL_C)
    assert follower.handle(CTRL_C) is None
    assert (
        "The SuperLink has not confirmed the stop request yet; press Ctrl-C again to leave anyway" in recorder.said[-1]
    )
    assert follower.handle(StopTaken(RUN)) == Outcome(RUN, signal.SIGINT)
    assert recorder.stopped == [7]


def test_a_third_signal_always_leaves(follower: Follower) -> None:
    """Even if the SuperLink never answers the start."""
    follower.handle(CTRL_C)
    follower.handle(CTRL_C)
    assert follower.handle(CTRL_C) == Outcome(None, signal.SIGINT)


def test_the_exit_is_for_the_first_signal(follower: Follower) -> None:
    """SIGTERM, then an impatient Ctrl-C: it was SIGTERM that ended the command."""
    follower.handle(Started(RUN))
    follower.handle(Signalled(signal.SIGTERM))
    follower.handle(CTRL_C)
    outcome = follower.handle(StopTaken(STOPPED))
    assert outcome is not None
    assert outcome.signum == signal.SIGTERM


@pytest.mark.parametrize("step", ["start", "stream"])
def test_an_error_is_raised(follower: Follower, step: Step) -> None:
    """Without a signal an error of the network side is the command's error."""
    with pytest.raises(SuperLinkUnreachable):
        follower.handle(Failed(step, SuperLinkUnreachable()))


def test_a_refused_start_after_a_signal_is_no_error(follower: Follower) -> None:
    """No one wanted the run any longer."""
    error = UnknownConfigKey("x")
    follower.handle(CTRL_C)
    assert follower.handle(Failed("start", error)) == Outcome(None, signal.SIGINT, error)


def test_a_stop_that_failed_is_told(follower: Follower) -> None:
    """The outcome says that the run may still be running."""
    error = SuperLinkUnreachable()
    follower.handle(Started(RUN))
    follower.handle(CTRL_C)
    assert follower.handle(Failed("stream", error)) is None
    assert follower.handle(Failed("stop", error)) == Outcome(RUN, signal.SIGINT, error)


def test_a_stream_lost_after_the_stop_was_taken_is_the_end(follower: Follower) -> None:
    """The stop is certain; only its last words are missing."""
    follower.handle(Started(RUN))
    follower.handle(CTRL_C)
    follower.handle(StopTaken(RUN))
    assert follower.handle(Failed("stream", SuperLinkUnreachable())) == Outcome(RUN, signal.SIGINT)


def test_a_cut_is_said_and_nothing_ends(follower: Follower, recorder: Recorder) -> None:
    """The run continues while the stream is taken up again."""
    assert follower.handle(Cut("gone.")) is None
    assert recorder.said == ["gone. Reconnecting; the run continues in the meantime."]


class Client:
    """A client whose SuperLink refuses the start, or goes away after some items of the stream."""

    def __init__(self, *items: StreamItem, refuses: bool = False, leaves: bool = False) -> None:
        self.items = items
        self.refuses = refuses
        self.leaves = leaves
        self.after = ""
        self.http = SimpleNamespace(patience=10.0)

    def start_run(self, _: StartRun) -> RunView:
        if self.refuses:
            raise SuperLinkUnreachable
        return RUN

    def stream(self, _: int, *, after: str, kinds: object) -> Iterator[StreamItem]:
        self.after = after
        yield from self.items
        if self.leaves:
            raise SuperLinkUnreachable

    def get_run(self, _: int) -> RunView:
        return STOPPED


def test_a_superlink_that_comes_back_elsewhere_is_found_again() -> None:
    """Start and stream continue with a new client, the stream from its last cursor."""
    alive = Client()
    clients = [Client(), Client(StreamItem(cursor="41"), leaves=True), alive]
    inbox: Inbox = SimpleQueue()
    feed = Feed(cast("ControlClient", Client(refuses=True)), lambda: cast("ControlClient", clients.pop(0)), inbox)
    feed.start(StartRun(fab_hash="x", request_id="r"))
    messages = [inbox.get(timeout=10) for _ in range(4)]
    assert [type(message) for message in messages] == [Started, ItemReceived, Cut, RunFinished]
    assert alive.after == "41"
