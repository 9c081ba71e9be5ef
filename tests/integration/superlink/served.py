"""A SuperLink in the test's own event loop, and what speaks to it."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from itertools import count, takewhile
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import msgspec

from tests.support.apps import write_app
from umbel.bundle import build_fab
from umbel.superlink.api.app import create_app
from umbel.superlink.auth.guard import Secrets
from umbel.superlink.core import SuperLink
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.server.serve import Server, make_server
from umbel.superlink.server.sockets import listen
from umbel.superlink.services.run_submission import Kind
from umbel.superlink.store.database import Database
from umbel.superlink.store.engines import prepare
from umbel.superlink.waiting.leases import Leases
from umbel.wire.api import ClaimedTask, ClaimTask, FinishTask, Problem, Report, RunView, StartRun, TaskExited, TaskInput

T = TypeVar("T")
USER, EXECUTOR = "user-token", "executor-token"
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # to load the machine's own takes 20 ms for each client
SECRET = b"shared with SuperExecs of other machines"


class Served:
    """A running SuperLink: `link` is its inside, the methods are requests."""

    def __init__(self, link: SuperLink, server: Server, address: str, client: httpx2.AsyncClient, root: Path) -> None:
        self.link = link
        self.server = server
        self.address = address
        self.client = client
        self.root = root

    async def request(
        self, method: str, path: str, body: msgspec.Struct | bytes | None = None, token: str = USER, **headers: str
    ) -> httpx2.Response:
        """One request with a token; `headers` have underscores for dashes."""
        content = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.request(
            method, path, content=content, headers={"Authorization": f"Bearer {token}"} | named
        )

    async def ask(
        self, answer: type[T], method: str, path: str, body: msgspec.Struct | None = None, token: str = USER
    ) -> T:
        """A request that must succeed, and its answer."""
        response = await self.request(method, path, body, token)
        assert response.is_success, response.text
        return msgspec.json.decode(response.content, type=answer)

    async def refused(
        self, method: str, path: str, body: msgspec.Struct | bytes | None = None, token: str = USER, **headers: str
    ) -> Problem:
        """A request that must fail, and its problem document."""
        response = await self.request(method, path, body, token, **headers)
        return problem(response)

    async def put(self, data: bytes, token: str = USER) -> str:
        """Store an object."""
        digest = hashlib.sha256(data).hexdigest()
        response = await self.request("PUT", f"/api/objects/{digest}", data, token)
        assert response.is_success, response.text
        return digest

    async def start(self, **options: Any) -> RunView:
        """Start a run of a small app."""
        fab_hash = await self.put(build_fab(write_app(self.root / "app")).data)
        return await self.ask(RunView, "POST", "/api/v1/runs", StartRun(fab_hash=fab_hash, **options))

    async def run(self, run_id: int) -> RunView:
        """A run as it is."""
        return await self.ask(RunView, "GET", f"/api/v1/runs/{run_id}")

    async def stop(self, run_id: int) -> RunView:
        """Stop a run."""
        return await self.ask(RunView, "POST", f"/api/v1/runs/{run_id}/stop")

    async def claim(self) -> ClaimedTask:
        """Claim the task that waits."""
        body = ClaimTask(executor="exec", kinds=[self.link.kind])
        return await self.ask(ClaimedTask, "POST", "/api/runtime/tasks/claim", body, EXECUTOR)

    async def begin(self) -> ClaimedTask:
        """Claim the task that waits, and make it active."""
        task = await self.claim()
        await self.input(task)
        return task

    async def input(self, task: ClaimedTask) -> TaskInput:
        """The task's input."""
        return await self.ask(TaskInput, "GET", f"/api/runtime/tasks/{task.task_id}/input", token=task.token)

    async def report(self, task: ClaimedTask, report: Report) -> None:
        """Report."""
        await self.done("POST", f"/api/runtime/tasks/{task.task_id}/report", report, task.token)

    async def finish(self, task: ClaimedTask, finish: FinishTask) -> None:
        """Finish."""
        await self.done("POST", f"/api/runtime/tasks/{task.task_id}/finish", finish, task.token)

    async def exited(self, task: ClaimedTask, exited: TaskExited) -> None:
        """Say that the process is gone."""
        await self.done("POST", f"/api/runtime/tasks/{task.task_id}/exited", exited, EXECUTOR)

    async def done(self, method: str, path: str, body: msgspec.Struct, token: str) -> None:
        """A request that must succeed without an answer."""
        response = await self.request(method, path, body, token)
        assert response.status_code == 204, response.text


def problem(response: httpx2.Response) -> Problem:
    """The problem document of a response."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = msgspec.json.decode(response.content, type=Problem)
    assert found.status == response.status_code
    return found


@cache
def empty_database() -> bytes:
    """The file of a SQLite database with this version's schema. To create it for every test takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "umbel.db")
        db = Database(f"sqlite:///{file}")
        prepare(db.writer)
        db.close()
        return file.read_bytes()


@asynccontextmanager
async def serve_in(
    root: Path,
    *,
    lease_seconds: float = 30.0,
    max_object: int = 10_000_000,
    now: Callable[[], float] = time.time,
    registered_only: bool = False,
    secret: bytes = SECRET,
    kind: Kind = "simulation",
    url: str | None = None,
    has_superexec: bool = True,
) -> AsyncIterator[Served]:
    """A SuperLink that keeps its files in `root`, its database too unless that is at `url`."""
    file = root / "umbel.db"
    if url is None and not file.exists():
        file.write_bytes(empty_database())
    db = Database(url or f"sqlite:///{file}")
    prepare(db.writer)
    objects = ObjectDirectory(root / "objects", max_object)
    link = SuperLink(db, objects, leases=Leases(lease_seconds), now=now, kind=kind, has_superexec=has_superexec)
    await link.recover()
    server = make_server(create_app(link, Secrets(USER, EXECUTOR, secret), registered_only=registered_only))
    listener = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    serving = asyncio.create_task(server.serve([listener]))
    try:
        async with httpx2.AsyncClient(base_url=address, timeout=20, verify=NO_CERTIFICATES) as client:
            yield Served(link, server, address, client, root)
    finally:
        link.close()
        server.end()
        await serving
        listener.close()
        await asyncio.to_thread(db.close)


async def until(true: Callable[[], object]) -> None:
    """Let the event loop work until `true()` is: for states inside the server that no request shows."""
    deadline = time.monotonic() + 20
    for _ in takewhile(lambda _: time.monotonic() < deadline, count()):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never became true")
