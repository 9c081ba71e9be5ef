"""The state machine of a task: created → claimed → active → finished, and back to created when its process is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import Literal

import msgspec

from umbel.errors import Conflict
from umbel.superlink.domain import run
from umbel.wire.api import Cause, SubStatus

State = Literal["created", "claimed", "active", "finished"]
MAX_ATTEMPTS = 3


class Task(msgspec.Struct, frozen=True):
    """Where a task stands. `losses` counts the attempts that were lost by the process's own doing since the run last got further."""

    state: State = "created"
    attempt: int = 1  # the present one; while created, the next one
    losses: int = 0
    outcome: SubStatus | None = None
    last_seq: int = 0  # of the reports of this attempt


class Claim(msgspec.Struct, frozen=True):
    """A SuperExec takes the task."""

    executor: str


class Activate(msgspec.Struct, frozen=True):
    """The app process asks for its input."""


class Report(msgspec.Struct, frozen=True):
    """The app process reports; `progressed` tells that the run got further."""

    seq: int
    progressed: bool = False


class Progress(msgspec.Struct, frozen=True):
    """The run got further: it sent messages that no earlier attempt had sent."""


class Finish(msgspec.Struct, frozen=True):
    """The app process says how it ended."""

    outcome: SubStatus
    cause: Cause | None = None


class Exit(msgspec.Struct, frozen=True):
    """The SuperExec says that the process of `attempt` is gone; 0 stands for the present attempt."""

    returncode: int
    log_tail: tuple[str, ...] = ()
    attempt: int = 0


class LeaseLost(msgspec.Struct, frozen=True):
    """Nothing was heard of the process for `seconds`."""

    seconds: float


class Restarted(msgspec.Struct, frozen=True):
    """The SuperExec that held the task is gone, and the process with it; not by the process's own doing."""

    reason: str


class Stop(msgspec.Struct, frozen=True):
    """A person stops the run."""


TaskEvent = Claim | Activate | Report | Progress | Finish | Exit | LeaseLost | Restarted | Stop


class Step(msgspec.Struct, frozen=True):
    """What an event led to: the task, what it means for the run, and why."""

    task: Task
    run: run.RunEvent | None = None
    reason: str = ""
    accepted: bool = True  # False: a repeated report, to be ignored


def step(task: Task, event: TaskEvent, now: float) -> Step:
    """The task after `event` at `now`. Raises Conflict where the event does not fit the state."""
    match event:
        case Claim():
            return _claim(task, event, now)
        case Activate():
            return _activate(task, now)
        case Report():
            return _report(task, event)
        case Progress():
            return Step(msgspec.structs.replace(task, losses=0) if task.state == "active" else task)
        case Finish():
            return _finish(task, event, now)
        case Exit():
            return _exit(task, event, now)
        case LeaseLost():
            return _lease_lost(task, event, now)
        case Restarted():
            return _restarted(task, event)
        case Stop():
            return _stop(task, now)


def fold(transitions: Iterable[dict[str, object]]) -> tuple[object, object]:
    """(state, attempt) after a task's `task` events, each {task_id, state, attempt, reason}, oldest first."""
    state, attempt = None, None
    for data in transitions:
        state, attempt = data["state"], data["attempt"]
    return state, attempt


def started_attempts(task: Task) -> int:
    """How often the task was handed out."""
    return task.attempt - 1 if task.state == "created" else task.attempt


def _claim(task: Task, event: Claim, now: float) -> Step:
    if task.state != "created":
        raise Conflict(f"The task is {task.state}: only a task in state 'created' can be claimed.")
    claimed = msgspec.structs.replace(task, state="claimed", last_seq=0)
    return Step(claimed, run.Claimed(now), f"claimed by {event.executor}")


def _activate(task: Task, now: float) -> Step:
    if task.state == "active":
        return Step(task)
    if task.state != "claimed":
        raise Conflict(f"The task is {task.state}: only a task in state 'claimed' can be activated.")
    return Step(msgspec.structs.replace(task, state="active"), run.Activated(now), "its process has started")


def _report(task: Task, event: Report) -> Step:
    if task.state == "created":
        raise Conflict("The task is waiting to be restarted: this attempt has ended.")
    if event.seq <= task.last_seq:
        return Step(task, accepted=False)
    losses = 0 if event.progressed else task.losses
    return Step(msgspec.structs.replace(task, last_seq=event.seq, losses=losses))


def _finish(task: Task, event: Finish, now: float) -> Step:
    if task.state == "finished":
        return Step(task)
    if task.state == "created":
        raise Conflict("The task is waiting to be restarted: this attempt has ended.")
    return _end(task, now, event.outcome, event.cause, f"its process {event.outcome}")


def _exit(task: Task, event: Exit, now: float) -> Step:
    if task.state in ("created", "finished") or event.attempt not in (0, task.attempt):
        return Step(task)
    if event.returncode < 0:
        return _lost(task, now, f"its process was killed by {signal_name(-event.returncode)}", event.log_tail)
    what = f"The process of the run ended with exit code {event.returncode} without reporting a result."
    hint = "Read the last lines of its log with `umbel log RUN_ID`."
    cause = Cause(code="run-failed", message=what, hint=hint, component="superexec", log_tail=list(event.log_tail))
    return _end(task, now, "failed", cause, f"its process ended with code {event.returncode}")


def _lease_lost(task: Task, event: LeaseLost, now: float) -> Step:
    if task.state in ("created", "finished"):
        return Step(task)
    return _lost(task, now, f"its process has not been heard from for {event.seconds:.0f} s", ())


def _restarted(task: Task, event: Restarted) -> Step:
    if task.state in ("created", "finished"):
        return Step(task)
    return Step(_again(task), reason=event.reason)


def _stop(task: Task, now: float) -> Step:
    if task.state == "finished":
        return Step(task)
    cause = Cause(code="run-stopped", message="The run was stopped on request.", component="superlink")
    return _end(task, now, "stopped", cause, "stopped on request")


def _lost(task: Task, now: float, reason: str, log_tail: tuple[str, ...]) -> Step:
    task = msgspec.structs.replace(task, losses=task.losses + 1)
    if task.losses < MAX_ATTEMPTS:
        return Step(_again(task), reason=reason)
    cause = Cause(
        code="run-failed",
        message=f"The run failed after {task.losses} attempts without progress: {reason}.",
        hint="A killed process has often run out of memory: use fewer workers or a smaller model.",
        component="superexec",
        log_tail=list(log_tail),
    )
    return _end(task, now, "failed", cause, reason)


def _again(task: Task) -> Task:
    return msgspec.structs.replace(task, state="created", attempt=task.attempt + 1, last_seq=0)


def _end(task: Task, now: float, outcome: SubStatus, cause: Cause | None, reason: str) -> Step:
    ended = msgspec.structs.replace(task, state="finished", outcome=outcome)
    return Step(ended, run.Finished(now, outcome, cause), reason)


def signal_name(number: int) -> str:
    """The name of a signal, e.g. SIGKILL for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
