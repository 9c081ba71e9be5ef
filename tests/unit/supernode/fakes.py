"""Collaborators of an agent, in memory: each is a subclass of the real class, so that the type checker compares the signatures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Condition
from typing import TYPE_CHECKING

from umbel.engine import frames
from umbel.environments.prepare import Environment
from umbel.errors import UmbelError
from umbel.supernode.jobs import Job
from umbel.supernode.replies import ReplySender, Spooled
from umbel.supernode.reporter import Reporter
from umbel.supernode.resources import Grant, Need
from umbel.supernode.runs import PreparedRun, RunEnvironments, Runs
from umbel.supernode.serving import Serving
from umbel.supernode.workers import SiteWorker, WorkerPool
from umbel.wire.http import HttpClient
from umbel.wire.messages import (
    Activate,
    ContentRef,
    Delivery,
    NodeReport,
    NodeRun,
    NodeSession,
    Pull,
    Pulled,
    ReplyMessage,
)
from umbel.wire.programs import FleetClient

if TYPE_CHECKING:
    from umbel.supernode.workers import OnProgress

LIMIT = 10.0  # seconds; a wait that takes longer has failed
RUN = NodeRun(run_id=7, fab_id="a/b", fab_version="1", fab_hash="0" * 64, run_config={}, seed=3)
PREPARED = PreparedRun(RUN, Path("/app"), "m:app", [], Need(1, 0))


def delivery(message_id: str = "m", run_id: int = 7, data: bytes = b"x") -> Delivery:
    """A message with a small content."""
    return Delivery(
        message_id=message_id,
        run_id=run_id,
        sequence=1,
        keep_from=0,
        message_type="train",
        group_id="1",
        created_at=1.0,
        ttl=60.0,
        content=ContentRef(size=len(data), data=data),
    )


class FakeFleet(FleetClient):
    """A SuperLink. Each call raises the next of its `failures`, if there is one; `polls` answers `pull` and blocks while empty."""

    def __init__(self) -> None:
        self.http = HttpClient("http://127.0.0.1:1", "", patience=0)
        self.failures: dict[str, list[UmbelError]] = {}
        self.polls: Queue[Pulled | UmbelError] = Queue()
        self.changed = Condition()
        self.activated: list[Activate] = []
        self.pulls: list[tuple[Pull, float]] = []
        self.replies: list[ReplyMessage] = []
        self.deactivated: list[int] = []
        self.is_expected = True

    def _fail(self, call: str) -> None:
        if self.failures.get(call):
            raise self.failures[call].pop(0)

    def activate(self, activate: Activate) -> NodeSession:
        self._fail("activate")
        self.activated.append(activate)
        return NodeSession(node_id=5, session=2)

    def pull(self, pull: Pull, wait: float = 30) -> Pulled:
        with self.changed:
            self.pulls.append((pull, wait))
            self.changed.notify_all()
        answer = self.polls.get(timeout=LIMIT)
        if isinstance(answer, UmbelError):
            raise answer
        return answer

    def run(self, run_id: int) -> NodeRun:
        self._fail("run")
        return RUN

    def reply(self, reply: ReplyMessage) -> bool:
        self._fail("reply")
        self.replies.append(reply)
        return self.is_expected

    def report(self, report: NodeReport) -> None:
        self._fail("report")

    def deactivate(self, session: int) -> None:
        self._fail("deactivate")
        self.deactivated.append(session)

    def poll(self, number: int) -> tuple[Pull, float]:
        """Wait for the poll with this number, counted from 1; returns its body and its duration."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.pulls) >= number, LIMIT)
        return self.pulls[number - 1]


class FakeReporter(Reporter):
    """Remembers what it is given and sends nothing."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, str, str]] = []
        self.stages: list[tuple[str, str]] = []
        self.answers: Queue[str] = Queue()

    def begin(self) -> None:
        """Start no thread."""

    def log(self, run_id: int, text: str, level: str) -> None:
        self.lines.append((run_id, text, level))

    def progress(self, message_id: str, stage: str, done: float = 0.0, total: float = 0.0, unit: str = "") -> None:
        self.stages.append((message_id, stage))

    def answered(self, message_id: str) -> None:
        self.answers.put(message_id)

    def flush(self, seconds: float) -> None:
        """Nothing is queued."""

    def close(self) -> None:
        """There is no thread."""


class FakeRuns(Runs):
    """Every run is prepared; `ended` has those that have ended."""

    def __init__(self, run_ids: Sequence[int] = ()) -> None:
        self.ids = list(run_ids)
        self.ended: list[int] = []

    def prepare(self, run_id: int) -> PreparedRun:
        return PREPARED

    def run_ids(self) -> list[int]:
        return self.ids

    def end_run(self, run_id: int) -> None:
        self.ended.append(run_id)


class FakeEnvironments(RunEnvironments):
    """This interpreter suits every run, after an installation."""

    def __init__(self) -> None:
        super().__init__(lambda run_id, text, level: None)

    def get(
        self,
        run_id: int,
        dependencies: Sequence[str],
        is_cancelled: Callable[[], bool],
        on_install: Callable[[], None],
    ) -> Environment:
        on_install()
        return Environment("python")


class FakeWorker(SiteWorker):
    """Gives one answer to each message, or raises it, without a process."""

    def __init__(self, answer: frames.Served | Exception, run_id: int = 7) -> None:
        self.answer = answer
        self.run_id = run_id
        self.has_ended = False
        self.is_killed = False
        self.is_closed = False
        self.units: list[frames.Unit] = []
        self._served = 0

    def serve(self, content: bytes | tuple[int, int], unit: frames.Unit, on_progress: OnProgress) -> frames.Served:
        self.units.append(unit)
        on_progress(1, 2, "steps")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def kill(self) -> None:
        self.is_killed = True

    def close(self) -> None:
        self.is_closed = True


class FakePool(WorkerPool):
    """Lends the given workers, one after another."""

    def __init__(self, *workers: FakeWorker) -> None:
        self.workers = list(workers)
        self.ended: list[int] = []

    @contextmanager
    def lend(self, prepared: PreparedRun, environment: Environment, grant: Grant) -> Iterator[SiteWorker]:
        yield self.workers.pop(0)

    def trim(self) -> None:
        """Nothing is idle."""

    def end_run(self, run_id: int) -> None:
        self.ended.append(run_id)

    def close(self) -> None:
        """Nothing runs."""


class FakeServing(Serving):
    """Serves each message with the result of `work`, and refuses it with an error reply."""

    def __init__(self, work: Callable[[Job], Spooled]) -> None:
        self.work = work
        self.refused: list[Exception] = []

    def serve(self, job: Job, delivery: Delivery) -> Spooled:
        return self.work(job)

    def refuse(self, job: Job, failure: Exception) -> Spooled:
        self.refused.append(failure)
        return Spooled(job.message_id, job.run_id, data=b"refused")


class FakeSender(ReplySender):
    """Accepts replies, or raises `failure`."""

    def __init__(self) -> None:
        self.sent: Queue[Spooled] = Queue()
        self.failure: Exception | None = None

    def send(self, job: Job, reply: Spooled) -> bool:
        self.sent.put(reply)
        if self.failure is not None:
            raise self.failure
        return True
