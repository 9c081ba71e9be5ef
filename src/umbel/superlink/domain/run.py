"""The state machine of a run: pending → starting → running → finished; any unfinished → finished."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from umbel.wire.api import Cause, Status, SubStatus


class Run(msgspec.Struct, frozen=True):
    """Where a run stands. Times are seconds since the epoch."""

    status: Status = "pending"
    sub_status: SubStatus | None = None
    cause: Cause | None = None
    starting_at: float | None = None
    running_at: float | None = None
    finished_at: float | None = None


class Claimed(msgspec.Struct, frozen=True):
    """A SuperExec took the run's task."""

    at: float


class Activated(msgspec.Struct, frozen=True):
    """The run's process is there and has its input."""

    at: float


class Finished(msgspec.Struct, frozen=True):
    """The run came to its end."""

    at: float
    sub_status: SubStatus
    cause: Cause | None = None


RunEvent = Claimed | Activated | Finished


def step(run: Run, event: RunEvent) -> Run:
    """The run after `event`; the same object when the event changes nothing (a status never goes back)."""
    if run.status == "finished":
        return run
    match event:
        case Claimed(at) if run.status == "pending":
            return msgspec.structs.replace(run, status="starting", starting_at=at)
        case Activated(at) if run.status in ("pending", "starting"):
            started = run.starting_at if run.starting_at is not None else at
            return msgspec.structs.replace(run, status="running", starting_at=started, running_at=at)
        case Finished(at, sub_status, cause):
            return msgspec.structs.replace(run, status="finished", sub_status=sub_status, cause=cause, finished_at=at)
    return run


def fold(transitions: Iterable[dict[str, object]]) -> tuple[object, object]:
    """(status, sub_status) after a run's `status` events, each {status, sub_status?, reason}, oldest first."""
    status, sub_status = None, None
    for data in transitions:
        status, sub_status = data["status"], data.get("sub_status")
    return status, sub_status
