"""The client of the Runtime API: what a SuperExec and the app processes say to a SuperLink."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING

from umbel.wire import objects
from umbel.wire.api import ClaimedTask, ClaimTask, Directive, FinishTask, Report, TaskExited, TaskInput
from umbel.wire.http import PATIENCE, HttpClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from umbel.wire.credentials import Credentials


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
