"""What a run waits for, in one sentence. Derived each time, never stored."""

from __future__ import annotations

import msgspec

from umbel.superlink.domain.sites import Clock, Exchange, sentence
from umbel.superlink.domain.task import MAX_ATTEMPTS, Task
from umbel.wire.api import Status


class Queue(msgspec.Struct, frozen=True):
    """The SuperExecs and the tasks before this one. Times are seconds since the epoch."""

    running: tuple[int, ...] = ()  # ids of the runs that hold a slot
    ahead: int = 0  # tasks created before this one that wait too
    slots: int = 0  # of all SuperExecs that are there; 0 while none is
    last_asked: float | None = None  # when a SuperExec last asked for work; None: never


class AppWait(msgspec.Struct, frozen=True, rename={"who": "for"}):
    """The last `waiting` event of the app; an empty `who` means that it does not wait."""

    who: str = ""
    what: str = ""
    since: float | None = None
    until: float | None = None


def waiting_for(
    status: Status,
    task: Task,
    queue: Queue,
    app: AppWait | None,
    clock: Clock,
    full_since: float | None = None,
    exchange: Exchange | None = None,
) -> str | None:
    """The sentence, or None when the run does not wait. `full_since` is when the database has run out of room.

    What the app says of itself comes before the sites that it waits for in an `exchange`.
    """
    if status == "finished":
        return None
    if full_since is not None:
        return f"Waits for room on the SuperLink's disk: its database is full, since {clock(full_since)}."
    if task.state == "created":
        return _again(task) + _turn(queue, clock)
    if task.state == "claimed":
        return "Waits for its process to begin: a SuperExec is launching it."
    if app is not None and app.who:
        return _app(app, clock)
    return sentence(exchange, clock) if exchange is not None and exchange.missing else None


def _again(task: Task) -> str:
    if not task.losses:
        return ""
    return f"Is to be started again (attempt {task.losses + 1} of {MAX_ATTEMPTS}). "


def _turn(queue: Queue, clock: Clock) -> str:
    if not queue.slots:
        when = "yet" if queue.last_asked is None else f"since {clock(queue.last_asked)}"
        return f"Waits for a SuperExec: none has asked for work {when}."
    taken = len(queue.running)
    slots = f"({taken} of {queue.slots} slots)"
    if taken >= queue.slots:
        ahead = f", {queue.ahead} more before it" if queue.ahead else ""
        return f"Waits for its turn: {_runs(queue.running)} running {slots}{ahead}."
    if queue.ahead:
        return f"Waits for its turn: {queue.ahead} before it {slots}."
    return "Waits for a SuperExec to take it."


def _runs(running: tuple[int, ...]) -> str:
    return f"run {running[0]} is" if len(running) == 1 else f"{len(running)} runs are"


def _app(app: AppWait, clock: Clock) -> str:
    what = f": {app.what}" if app.what else ""
    since = f", since {clock(app.since)}" if app.since is not None else ""
    until = f", until {clock(app.until)} at most" if app.until is not None else ""
    return f"Waits for {app.who}{what}{since}{until}."
