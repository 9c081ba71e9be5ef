"""API clients of programs: ServerApps, SuperExecs and SuperNodes."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, TypeVar

from umbel.wire import objects
from umbel.wire.api import ClaimedTask, ClaimTask, Directive, FinishTask, Report, TaskExited, TaskInput
from umbel.wire.http import PATIENCE, HttpClient
from umbel.wire.messages import (
    Accepted,
    Activate,
    Deactivate,
    ExpireMessages,
    Forget,
    Journal,
    JournalEntry,
    NodeList,
    NodeReport,
    NodeRun,
    NodeSession,
    Pull,
    Pulled,
    PushMessages,
    Replies,
    ReplyMessage,
    ReplyView,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from umbel.wire.signatures import Credentials


class RuntimeClient:
    """Tasks and objects at one SuperLink. Every method may raise any error of the API.

    `patience` is how long, in seconds, a SuperLink may be gone; `locate` and `root_certificates` are those of `HttpClient`.
    """

    def __init__(
        self,
        address: str,
        credentials: str | Credentials,
        *,
        patience: float = PATIENCE,
        locate: Callable[[], str | None] | None = None,
        root_certificates: str | None = None,
    ) -> None:
        self.root_certificates = root_certificates
        self.http = HttpClient(
            address, credentials, patience=patience, locate=locate, root_certificates=root_certificates
        )

    @property
    def address(self) -> str:
        """Where the SuperLink answers; several addresses are separated by commas."""
        return self.http.address if len(self.http.addresses.all) == 1 else str(self.http.addresses)

    def claim(self, executor: str, kinds: Sequence[str], wait: float = 30, slots: int = 1) -> ClaimedTask | None:
        """The next task for this executor, which runs `slots` at a time; None when none came within `wait` seconds."""
        body = ClaimTask(executor=executor, kinds=list(kinds), slots=slots)
        answer: type[ClaimedTask | None] = ClaimedTask | None  # type: ignore[assignment]
        return self.http.call("POST", f"/api/runtime/tasks/claim?wait={wait:g}", answer, body, wait)

    def input(self, task_id: int) -> TaskInput:
        """All that the task's process needs to begin; the task becomes active."""
        return self.http.call("GET", f"/api/runtime/tasks/{task_id}/input", TaskInput)

    def directive(self, task_id: int, wait: float = 30) -> Directive:
        """What the SuperLink wants of the task, once it wants something or after `wait` seconds; the heartbeat."""
        return self.http.call("GET", f"/api/runtime/tasks/{task_id}/directive?wait={wait:g}", Directive, wait=wait)

    def report(self, task_id: int, report: Report) -> None:
        """Hand over events, logs, metrics and artifacts."""
        self.http.call("POST", f"/api/runtime/tasks/{task_id}/report", NoneType, report)

    def finish(self, task_id: int, finish: FinishTask) -> None:
        """Say how the task ended."""
        self.http.call("POST", f"/api/runtime/tasks/{task_id}/finish", NoneType, finish)

    def exited(self, task_id: int, exited: TaskExited) -> None:
        """Say that the task's process is gone."""
        self.http.call("POST", f"/api/runtime/tasks/{task_id}/exited", NoneType, exited)

    def put_object(self, parts: Sequence[bytes | memoryview]) -> str:
        """Store the concatenation of buffers as an object, without a copy; returns the digest."""
        return objects.put_parts(self.http, parts)

    def get_object(self, digest: str) -> bytes:
        """An object's bytes, verified."""
        return objects.get(self.http, digest)

    def get_object_to(self, digest: str, path: Path) -> None:
        """Write an object to a file, verified; the file appears only when it is complete."""
        objects.get_to(self.http, digest, path)

    def close(self) -> None:
        """Close the calling thread's connection and end every wait for a retry."""
        self.http.close()


T = TypeVar("T")


class GridClient:
    """What the process of one task says about its run's messages. Every method may raise any error of the API."""

    def __init__(self, runtime: RuntimeClient, task_id: int) -> None:
        """`runtime` has the token of the task."""
        self._runtime = runtime
        self._path = f"/api/runtime/tasks/{task_id}"

    @property
    def http(self) -> HttpClient:
        """For contents, which travel apart from their messages."""
        return self._runtime.http

    def nodes(self, at_least: int = 0, wait: float = 0.0) -> list[int]:
        """The nodes that are online, ascending; waits up to `wait` seconds until there are `at_least` of them."""
        return self._get(f"nodes?at_least={at_least}&wait={wait:g}", NodeList, wait).node_ids

    def push(self, messages: PushMessages) -> None:
        """Send messages whose contents are stored. Those that are known already are skipped."""
        self.http.call("POST", f"{self._path}/messages", NoneType, messages)

    def replies(self, after: int, wait: float = 0.0) -> list[ReplyView]:
        """The next replies after number `after`, ascending, perhaps not all; waits up to `wait` seconds while there are none."""
        return self._get(f"replies?after={after}&wait={wait:g}", Replies, wait).replies

    def expire(self, message_ids: Sequence[str]) -> None:
        """Wait for these no more: those without a reply get one, TIMED_OUT, for good."""
        self.http.call("POST", f"{self._path}/expire", NoneType, ExpireMessages(message_ids=list(message_ids)))

    def journal(self, after: int = 0) -> Journal:
        """What was recorded of the calls after number `after`, ascending, and how far the run has sent messages."""
        return self._get(f"journal?after={after}", Journal, 0.0)

    def record(self, entries: Sequence[JournalEntry]) -> None:
        """Keep what calls found out; the first entry of a call stays."""
        self.http.call("POST", f"{self._path}/journal", NoneType, Journal(entries=list(entries)))

    def forget(self, forget: Forget) -> None:
        """A durable checkpoint covers these exchanges and calls: nothing of them is asked for again."""
        self.http.call("POST", f"{self._path}/forget", NoneType, forget)

    def _get(self, what: str, answer: type[T], wait: float) -> T:
        return self.http.call("GET", f"{self._path}/{what}", answer, wait=wait)


class FleetClient:
    """One node at one SuperLink. Every method may raise any error of the API.

    `patience` is how long, in seconds, a SuperLink may be gone. `http` carries contents and bundles.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials,
        *,
        patience: float = PATIENCE,
        root_certificates: Path | None = None,
    ) -> None:
        self.http = HttpClient(address, credentials, patience=patience, root_certificates=root_certificates)

    def activate(self, activate: Activate) -> NodeSession:
        """Begin a session; older ones of this node end."""
        return self.http.call("POST", "/api/fleet/activate", NodeSession, activate)

    def pull(self, pull: Pull, wait: float = 30) -> Pulled:
        """New messages, and the held ones that were cancelled; waits up to `wait` seconds for any."""
        return self.http.call("POST", f"/api/fleet/pull?wait={wait:g}", Pulled, pull, wait)

    def run(self, run_id: int) -> NodeRun:
        """What it takes to serve a run."""
        return self.http.call("GET", f"/api/fleet/runs/{run_id}", NodeRun)

    def reply(self, reply: ReplyMessage) -> bool:
        """Reply to a message; False if the reply is no longer expected."""
        return self.http.call("POST", "/api/fleet/reply", Accepted, reply).accepted

    def report(self, report: NodeReport) -> None:
        """Hand over log lines and progress."""
        self.http.call("POST", "/api/fleet/report", NoneType, report)

    def deactivate(self, session: int) -> None:
        """End a session: the SuperNode goes, and may come back."""
        self.http.call("POST", "/api/fleet/deactivate", NoneType, Deactivate(session=session))

    def close(self) -> None:
        """Close the calling thread's connection and end every wait for a retry."""
        self.http.close()
