"""Waiting reasons: which sites or processes a run is waiting for, derived from its state."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from umbel.superlink.domain.node import State
from umbel.superlink.domain.task import MAX_ATTEMPTS, Task
from umbel.wire.api import Status

Clock = Callable[[float], str]  # seconds since the epoch → a clock time to read
_NAMED = 5  # sites in one sentence
_DOING = {
    "train": "training",
    "training": "training",
    "evaluate": "evaluating",
    "evaluating": "evaluating",
    "query": "answering",
    "querying": "answering",
    "serving": "working",
    "installing": "installing the app's dependencies",
    "uploading": "uploading",
    "downloading": "downloading",
}
_BYTES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))


class Progress(msgspec.Struct, frozen=True):
    """What a node said last of its work on a message. `rate` is in units per second, 0 while unknown."""

    stage: str
    since: float
    done: float = 0.0
    total: float = 0.0
    unit: str = ""
    rate: float = 0.0


class Site(msgspec.Struct, frozen=True):
    """A node that has not answered a message. `since` is when it took the message, or when that was sent."""

    node_id: int
    name: str
    state: State
    state_at: float
    has_message: bool
    since: float
    message_type: str = ""
    progress: Progress | None = None


class Exchange(msgspec.Struct, frozen=True):
    """What a run has sent: `asked` messages, of which `missing` have no reply. `until` is the deadline."""

    asked: int
    missing: tuple[Site, ...]
    group: str = ""  # of its messages: the round
    message_type: str = ""
    until: float | None = None


def sentence(exchange: Exchange, clock: Clock) -> str:
    """The waiting reason of an exchange: which sites have not replied, what each is doing, and the deadline."""
    where = f" in round {exchange.group}" if exchange.group.isdecimal() else ""
    kind = exchange.message_type.partition(".")[0]
    what = f" ({kind})" if kind else ""
    ordered = sorted(exchange.missing, key=_trouble)
    named = [f"{shown_name(site)} {clause(site, clock)}" for site in ordered[:_NAMED]]
    more = [f"and {len(ordered) - _NAMED} more"] if len(ordered) > _NAMED else []
    until = [f"until {clock(exchange.until)} at the latest"] if exchange.until is not None else []
    told = "; ".join([*named, *more, *until])
    return f"Waiting for {len(ordered)} of {exchange.asked} sites{where}{what}: {told}."


def shown_name(site: Site) -> str:
    """The name of the site, or its node ID if it has none."""
    return site.name or f"node {site.node_id}"


def clause(site: Site, clock: Clock) -> str:
    """What the site is doing, or why it is not doing anything, as the words after its name."""
    if site.state == "silent":
        return f"has not been heard from since {clock(site.state_at)}"
    if site.state != "online":
        return f"has been {site.state} since {clock(site.state_at)}"
    if not site.has_message:
        return f"has not fetched the message sent at {clock(site.since)}"
    if site.progress is None:
        return f"has been {_doing(site.message_type.partition('.')[0])} since {clock(site.since)}"
    if site.progress.unit == "bytes":
        return _transfer(site.progress)
    return f"has been {_doing(site.progress.stage)}{_amount(site.progress)} since {clock(site.progress.since)}"


def _trouble(site: Site) -> tuple[int, float]:
    """Sort key: unreachable sites first, then those that have not fetched their message, each by age."""
    return (site.state == "online") + (site.state == "online" and site.has_message), site.since


def _doing(stage: str) -> str:
    return _DOING.get(stage) or (f"at stage '{stage}'" if stage else "working")


def _amount(progress: Progress) -> str:
    if progress.total > 0:
        return f" ({progress.unit.removesuffix('s')} {progress.done:g} of {progress.total:g})".replace("( ", "(")
    return f" ({progress.done:g} {progress.unit})".replace(" )", ")") if progress.done > 0 else ""


def _transfer(progress: Progress) -> str:
    size, unit = next(((size, unit) for size, unit in _BYTES if progress.total >= size), (1.0, "bytes"))
    rate = f" at {_number(progress.rate / size)} {unit}/s" if progress.rate > 0 else ""
    return (
        f"is {_doing(progress.stage)} {_number(progress.done / size)} of {_number(progress.total / size)} {unit}{rate}"
    )


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


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
    """The waiting reason of a run as a sentence, or None if it is not waiting.

    A reason that the app has reported takes precedence over the missing replies of its `exchange`. `full_since` is the time at which the
    database ran out of disk space, in seconds since the epoch.
    """
    if status == "finished":
        return None
    if full_since is not None:
        return f"Waiting for space on the SuperLink's disk: its database has been full since {clock(full_since)}."
    if task.state == "created":
        return _again(task) + _turn(queue, clock)
    if task.state == "claimed":
        return "Waiting for its process to start: a SuperExec is launching it."
    if app is not None and app.who:
        return _app(app, clock)
    return sentence(exchange, clock) if exchange is not None and exchange.missing else None


def _again(task: Task) -> str:
    if not task.losses:
        return ""
    return f"Restarting (attempt {task.losses + 1} of {MAX_ATTEMPTS}). "


def _turn(queue: Queue, clock: Clock) -> str:
    if not queue.slots:
        when = "yet" if queue.last_asked is None else f"since {clock(queue.last_asked)}"
        return f"Waiting for a SuperExec to connect: none has asked for work {when}."
    taken = len(queue.running)
    slots = f"({taken} of {queue.slots} slots)"
    if taken >= queue.slots:
        ahead = f", {queue.ahead} more ahead of it" if queue.ahead else ""
        return f"Waiting in the queue: {_runs(queue.running)} running {slots}{ahead}."
    if queue.ahead:
        return f"Waiting in the queue: {queue.ahead} ahead of it {slots}."
    return "Waiting for a SuperExec to claim it."


def _runs(running: tuple[int, ...]) -> str:
    return f"run {running[0]} is" if len(running) == 1 else f"{len(running)} runs are"


def _app(app: AppWait, clock: Clock) -> str:
    what = f": {app.what}" if app.what else ""
    since = f", since {clock(app.since)}" if app.since is not None else ""
    until = f", until {clock(app.until)} at the latest" if app.until is not None else ""
    return f"Waiting for {app.who}{what}{since}{until}."
