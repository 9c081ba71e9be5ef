"""What can happen while a command follows a run, as messages of one queue."""

from __future__ import annotations

from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from umbel.wire.api import RunView, StreamItem

Step = Literal["start", "stream", "stop"]


@dataclass(frozen=True, slots=True)
class Started:
    """The SuperLink has taken the run."""

    run: RunView


@dataclass(frozen=True, slots=True)
class Happened:
    """An item of the run's stream."""

    item: StreamItem


@dataclass(frozen=True, slots=True)
class Cut:
    """The stream broke and is being taken up again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Over:
    """The run has finished and its stream was read to the end."""

    run: RunView


@dataclass(frozen=True, slots=True)
class StopTaken:
    """The SuperLink has answered the request to stop."""

    run: RunView


@dataclass(frozen=True, slots=True)
class Failed:
    """A step ended with an error."""

    step: Step
    error: BaseException


@dataclass(frozen=True, slots=True)
class Signalled:
    """A person pressed Ctrl-C, or the system asked us to end."""

    signum: int


Message = Started | Happened | Cut | Over | StopTaken | Failed | Signalled
Inbox = SimpleQueue[Message]
