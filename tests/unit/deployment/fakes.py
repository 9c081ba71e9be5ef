"""A SuperLink with its sites in memory, on its own clock, and processes of a ServerApp that die at any call."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.fake_runtime import FakeRecorder
from umbel.app import ArrayRecord, ConfigRecord, ErrorCode, MetricRecord, RecordDict
from umbel.app.safetensors import Part
from umbel.deployment import grid
from umbel.deployment.grid import DeploymentGrid
from umbel.deployment.journal import CoveringCheckpoints
from umbel.engine.client_state import RetryWhileDiskFull
from umbel.engine.clients import seed_everything
from umbel.serverapp.grid import Grid, Run
from umbel.wire.http import HttpClient
from umbel.wire.messages import ContentRef, Forget, Journal, JournalEntry, PushMessages, ReplyError, ReplyView
from umbel.wire.programs import GridClient
from umbel.wire.records import pack, unpack

RUN_ID = 9
Work = Callable[[int, int, RecordDict], RecordDict | None]  # node, exchange, content → the reply's, None for an error
Delay = Callable[[str], float]  # message id → seconds until its reply is there


class Died(BaseException):
    """The process of the ServerApp was killed here."""


def trained(node_id: int, sequence: int, content: RecordDict) -> RecordDict:
    """What a site replies: arrays that depend on the node, the exchange and what it got."""
    rng = np.random.default_rng([node_id, sequence])
    arrays = [
        a + rng.standard_normal(a.shape).astype(np.float32) for a in content.array_records["arrays"].to_numpy_ndarrays()
    ]
    return RecordDict({"arrays": ArrayRecord(arrays), "metrics": MetricRecord({"num-examples": node_id})})


def content(*values: float) -> RecordDict:
    """A model of this one tensor."""
    return RecordDict({"arrays": ArrayRecord([np.array(values, np.float32)]), "config": ConfigRecord({"lr": 0.1})})


@dataclass
class Pending:
    """A message that waits for its site."""

    sequence: int
    index: int
    node_id: int
    due: float
    content: ContentRef


@dataclass
class Server:
    """What outlives the processes of a run: nodes, messages, replies, journal, checkpoint; and a clock that waits move on."""

    nodes: list[int] = field(default_factory=lambda: [3, 5, 8])
    coming: list[tuple[float, int]] = field(default_factory=list)  # when another node is there, and which
    work: Work = trained
    delay: Delay = lambda _: 0.5
    now: float = 1000.0
    pending: dict[str, Pending] = field(default_factory=dict)
    replies: list[ReplyView] = field(default_factory=list)
    journal: dict[int, list[int | str]] = field(default_factory=dict)
    served: list[tuple[int, int, int]] = field(default_factory=list)  # exchange, index, node: of each training
    pushes: list[PushMessages] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)
    forgotten: list[Forget] = field(default_factory=list)
    numbers: int = 0
    checkpoint: bytes | None = None

    def run_until(self, end: float, enough: Callable[[], object]) -> None:
        """Let time pass, from one thing that happens to the next, until there is enough or the end."""
        while not enough():
            dues = [message.due for message in self.pending.values()] + [at for at, _ in self.coming]
            self.now = max(self.now, min([*dues, end]))
            self._happen()
            if self.now >= end:
                return

    def _happen(self) -> None:
        for at, node_id in [one for one in self.coming if one[0] <= self.now]:
            self.coming.remove((at, node_id))
            self.nodes = sorted([*self.nodes, node_id])
        for name in sorted(self.pending, key=lambda name: (self.pending[name].due, name)):
            if self.pending[name].due <= self.now:
                self._serve(name)

    def _serve(self, name: str) -> None:
        message = self.pending[name]
        self.served.append((message.sequence, message.index, message.node_id))
        assert message.content.data is not None
        made = self.work(message.node_id, message.sequence, unpack(message.content.data))
        data = None if made is None else b"".join(pack(made))
        self.answer(name, None if data is None else ContentRef(size=len(data), data=data))

    def answer(self, name: str, made: ContentRef | None, error: ReplyError | None = None) -> None:
        """Store the reply to a message."""
        message = self.pending.pop(name)
        self.numbers += 1
        error = error or (
            ReplyError(code=int(ErrorCode.CLIENT_APP_RAISED_EXCEPTION), reason="no") if made is None else None
        )
        reply = ReplyView(
            number=self.numbers,
            message_id=name,
            node_id=message.node_id,
            sequence=message.sequence,
            index=message.index,
            error=error,
            content=made,
        )
        self.replies.append(reply)

    def push(self, said: PushMessages) -> None:
        """Take messages that are not known."""
        self.pushes.append(said)
        known = {reply.message_id for reply in self.replies} | set(self.pending)
        for one in said.messages:
            if one.message_id not in known:
                at, data = self.now + self.delay(one.message_id), said.contents[one.content]
                self.pending[one.message_id] = Pending(said.sequence, one.index, one.node_id, at, data)
                if one.node_id not in self.nodes:
                    self.answer(one.message_id, None, ReplyError(code=int(ErrorCode.NODE_UNAVAILABLE)))

    def forget(self, said: Forget) -> None:
        """Drop what a checkpoint covers."""
        self.forgotten.append(said)
        self.replies = [r for r in self.replies if not said.after_sequence < r.sequence <= said.sequence]
        self.journal = {c: value for c, value in self.journal.items() if not said.after_call < c <= said.call}


class FakeClient(GridClient):
    """One process's connection, which counts its calls: the process dies at call `die_at`, before or after it took effect."""

    def __init__(self, server: Server, die_at: int | None = None, *, effect: bool = True) -> None:
        self.server = server
        self.calls = 0
        self._die_at = die_at
        self._effect = effect
        self._http = HttpClient("http://127.0.0.1:1", "", patience=0)

    @property
    def http(self) -> HttpClient:
        """No one is there: small contents travel inside their messages."""
        return self._http

    @contextmanager
    def _call(self) -> Iterator[None]:
        self.calls += 1
        dies = self.calls == self._die_at
        if dies and not self._effect:
            raise Died
        yield
        if dies:
            raise Died

    def nodes(self, at_least: int = 0, wait: float = 0.0) -> list[int]:
        with self._call():
            self.server.run_until(self.server.now + wait, lambda: len(self.server.nodes) >= at_least)
            return list(self.server.nodes)

    def push(self, messages: PushMessages) -> None:
        with self._call():
            self.server.push(messages)

    def replies(self, after: int, wait: float = 0.0) -> list[ReplyView]:
        """See `GridClient`. Two at most."""
        with self._call():

            def found() -> list[ReplyView]:
                return [reply for reply in self.server.replies if reply.number > after][:2]

            self.server.run_until(self.server.now + wait, found)
            return found()

    def expire(self, message_ids: Sequence[str]) -> None:
        with self._call():
            for name in message_ids:
                if name in self.server.pending:
                    self.server.expired.append(name)
                    self.server.answer(name, None, ReplyError(code=int(ErrorCode.TIMED_OUT)))

    def journal(self, after: int = 0) -> Journal:
        with self._call():
            found = [JournalEntry(call=c, value=v) for c, v in sorted(self.server.journal.items()) if c > after]
            kept = [one.sequence for one in self.server.replies]
            kept += [one.sequence for one in self.server.pending.values()]
            return Journal(entries=found, sequence=max(kept, default=0))

    def record(self, entries: Sequence[JournalEntry]) -> None:
        with self._call():
            for entry in entries:
                self.server.journal.setdefault(entry.call, entry.value)

    def forget(self, forget: Forget) -> None:
        with self._call():
            self.server.forget(forget)


class Recorder(FakeRecorder):
    """Also keeps each kind of event apart."""

    def events(self, kind: str) -> list[Mapping[str, object]]:
        """The data of all events of a kind."""
        return [data for what, its, data, *_ in self.told if (what, its) == ("event", kind)]  # type: ignore[misc]


@dataclass
class Attempt:
    """One process of a run."""

    grid: DeploymentGrid
    client: FakeClient
    recorder: Recorder
    progress: list[tuple[int, int, int]]


class Life:
    """A run from its beginning to its end, however many processes that takes."""

    def __init__(self, server: Server, scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        clock = SimpleNamespace(monotonic=lambda: server.now, time=lambda: server.now + 1e9)
        monkeypatch.setattr(grid, "time", clock)
        self.server = server
        self._scratch = scratch

    def attempt(
        self, die_at: int | None = None, *, effect: bool = True, keep: Callable[[int], bool] | None = None
    ) -> Attempt:
        """A new process. Checkpoints of rounds that `keep` picks become durable, at once; None: the app has none."""
        client, recorder, progress = (
            FakeClient(self.server, die_at, effect=effect),
            Recorder(),
            list[tuple[int, int, int]](),
        )

        def save(server_round: int, parts: Sequence[Part], durable: Callable[[], None]) -> None:
            if keep is not None and keep(server_round):
                self.server.checkpoint = b"".join(parts)
                durable()

        checkpoints = CoveringCheckpoints(save, self.server.checkpoint, client.forget) if keep else None
        run, persist = Run(RUN_ID, 1), RetryWhileDiskFull(0.0)
        tell = lambda *numbers: progress.append(numbers)  # noqa: E731
        grid = DeploymentGrid(client, run, recorder, checkpoints, self._scratch, persist, tell)
        return Attempt(grid, client, recorder, progress)

    def lead(self, app: Callable[[Grid], object], attempt: Attempt) -> bool:
        """Run the app in a process; whether it came to its end."""
        seed_everything(7)
        try:
            app(attempt.grid)
        except Died:
            return False
        finally:
            attempt.grid.close()
        return True


def digest(record: ArrayRecord) -> str:
    """A name for the bits of a model."""
    return hashlib.sha256(b"".join(a.tobytes() for a in record.to_numpy_ndarrays())).hexdigest()
