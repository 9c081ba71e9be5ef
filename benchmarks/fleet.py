"""Cost of many nodes at one SuperLink.

    python benchmarks/fleet.py                  1,000 nodes, and 10 for comparison
    python benchmarks/fleet.py --check          exit status 1 if a target is missed

A round sends the same 10 KB to every node; each answers with it. Measured are the whole round, from the push to the last reply in the
hands of the server program, and each node's wake-up, from the push to the arrival of its message.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median
from typing import TypeVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from umbel.bundle import build_fab
from umbel.errors import UmbelError
from umbel.wire.api import StartRun
from umbel.wire.control import ControlClient
from umbel.wire.messages import (
    Accepted,
    Activate,
    ContentRef,
    Delivery,
    MessageMetadata,
    NodeSession,
    Outgoing,
    Pull,
    Pulled,
    PushMessages,
    ReplyMessage,
    content_id,
    message_id,
)
from umbel.wire.programs import GridClient, RuntimeClient
from umbel.wire.signatures import Signing, node_credentials

ROOT = Path(__file__).resolve().parent.parent
EXECUTOR = "executor-token-of-the-benchmark"
WAIT = 30
T = TypeVar("T")
SLOWEST_ROUND, SLOWEST_WAKE_UP = 2.0, 0.25  # seconds; the second for 99 of 100 nodes


class Node:
    """A SuperNode as the SuperLink sees it: one connection, one key, one session."""

    def __init__(self, host: str, port: int) -> None:
        self._where = (host, port)
        self._authority = f"{host}:{port}"
        self._credentials: Signing = node_credentials(Ed25519PrivateKey.generate())
        self.session = 0
        self.arrivals: list[float] = []  # when each message came

    async def serve(self) -> None:
        """Answer every message with its content, until cancelled."""
        self._reader, self._writer = await asyncio.open_connection(*self._where)
        activated = await self._call("/api/fleet/activate", Activate(version=version()), NodeSession)
        self.session = activated.session
        while True:
            pulled = await self._call(f"/api/fleet/pull?wait={WAIT}", Pull(session=self.session, room=1), Pulled)
            for delivery in pulled.messages:
                self.arrivals.append(time.perf_counter())
                await self._answer(delivery)

    async def _answer(self, delivery: Delivery) -> None:
        reply = ReplyMessage(session=self.session, message_id=delivery.message_id, content=delivery.content)
        accepted = await self._call("/api/fleet/reply", reply, Accepted)
        assert accepted.accepted

    async def _call(self, target: str, body: msgspec.Struct, answer: type[T]) -> T:
        data = msgspec.json.encode(body)
        proof = self._credentials.headers("POST", self._authority, target, hashlib.sha256(data).hexdigest())
        lines = [f"POST {target} HTTP/1.1", f"Host: {self._authority}", f"Content-Length: {len(data)}"]
        lines += ["Content-Type: application/json", f"Umbel-Version: {version()}"]
        lines += [f"{name}: {value}" for name, value in proof.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        head = await self._reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        content = await self._reader.readexactly(length)
        if status == 204:
            return answer()
        assert status == 200, (status, content)
        return msgspec.json.decode(content, type=answer)


def version() -> str:
    """Of Umbel."""
    from umbel import __version__

    return __version__


class Round:
    """The server program's half of a run: pushes to all nodes, and waits for all replies."""

    def __init__(self, grid: GridClient, run_id: int) -> None:
        self.grid = grid
        self._run_id = run_id
        self._sequence = 0
        self._number = 0

    def play(self, nodes: Sequence[int], content: ContentRef) -> tuple[float, float]:
        """One round; when it was pushed, and how long it took in seconds."""
        self._sequence += 1
        messages = [self._message(index, node_id, content) for index, node_id in enumerate(nodes)]
        began = time.perf_counter()
        self.grid.push(PushMessages(sequence=self._sequence, contents=[content], messages=messages))
        replied: set[int] = set()
        while len(replied) < len(nodes):
            for reply in self.grid.replies(self._number, WAIT):
                self._number = max(self._number, reply.number)
                assert reply.error is None, reply.error
                replied.add(reply.node_id)
        return began, time.perf_counter() - began

    def _message(self, index: int, node_id: int, content: ContentRef) -> Outgoing:
        identity = MessageMetadata(self._run_id, self._sequence, index, node_id, "train", content_id(content))
        return Outgoing(
            message_id=message_id(identity),
            node_id=node_id,
            index=index,
            content=0,
            message_type="train",
            created_at=time.time(),
            ttl=3600.0,
        )


@contextmanager
def superlink(home: Path) -> Iterator[tuple[str, int]]:
    """A SuperLink process without a SuperExec; where it answers."""
    ready, told = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "umbel.superlink.server.main", "--isolation", "process", "--ready-fd", str(told)],
        env={**os.environ, "UMBEL_HOME": str(home), "UMBEL_EXECUTOR_TOKEN": EXECUTOR},
        pass_fds=[told],
    )
    os.close(told)
    try:
        with os.fdopen(ready) as said:
            yield str(msgspec.json.decode(said.read())["address"]), process.pid
    finally:
        process.terminate()
        process.wait(20)


def begin_run(address: str, home: Path) -> Round:
    """Start a run and take the part of its server program."""
    control = ControlClient(address, (home / "local" / "token").read_text())
    fab_hash = control.put_object(build_fab(ROOT / "benchmarks" / "app").data)
    control.start_run(StartRun(fab_hash=fab_hash))
    task = RuntimeClient(address, EXECUTOR).claim("benchmark", ["serverapp"])
    assert task is not None
    runtime = RuntimeClient(address, task.token)
    runtime.input(task.task_id)
    threading.Thread(target=beat, args=(RuntimeClient(address, task.token), task.task_id), daemon=True).start()
    return Round(GridClient(runtime, task.task_id), task.run_id)


def beat(runtime: RuntimeClient, task_id: int) -> None:
    """The task's heartbeat, until its SuperLink is gone."""
    with suppress(UmbelError):
        while not runtime.directive(task_id, WAIT).stop:
            pass


async def measure(count: int, rounds: int) -> dict[str, float]:
    """Median round and wake-up figures with `count` nodes, in seconds, and the SuperLink's processor time for each node and round."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        with superlink(home) as (address, pid):
            host, _, port = address.removeprefix("http://").partition(":")
            nodes = [Node(host, int(port)) for _ in range(count)]
            serving = [asyncio.create_task(node.serve()) for node in nodes]
            try:
                current = await asyncio.to_thread(begin_run, address, home)
                return await play(current, nodes, rounds, pid)
            finally:
                for task in serving:
                    task.cancel()
                results = await asyncio.gather(*serving, return_exceptions=True)
                for failure in results:
                    if not isinstance(failure, asyncio.CancelledError):
                        print("a node failed:", repr(failure), file=sys.stderr)


async def play(current: Round, nodes: list[Node], rounds: int, pid: int) -> dict[str, float]:
    """Play the rounds and make the figures."""
    online = await asyncio.to_thread(current.grid.nodes, len(nodes), WAIT)
    assert len(online) == len(nodes), f"only {len(online)} nodes are online"
    data = os.urandom(10_000)
    content = ContentRef(size=len(data), data=data)
    await asyncio.to_thread(current.play, online, content)  # warms up
    busy, lasted, wakes = processor_seconds(pid), [], []
    for _ in range(rounds):
        began, seconds = await asyncio.to_thread(current.play, online, content)
        lasted.append(seconds)
        wakes += [node.arrivals[-1] - began for node in nodes]
    assert {len(node.arrivals) for node in nodes} == {rounds + 1}, "a message was lost, or came twice"
    wakes.sort()
    return {
        "round": median(lasted),
        "wake-up, median": median(wakes),
        "wake-up, 99 of 100": wakes[int(len(wakes) * 0.99)],
        "processor, each node": (processor_seconds(pid) - busy) / rounds / len(nodes),
    }


def processor_seconds(pid: int) -> float:
    """That a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure and print; 1 if --check is given and a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 1000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    missed = False
    for count in options.nodes:
        found = asyncio.run(measure(count, options.rounds))
        print(f"{count} nodes:", ", ".join(f"{name} {seconds * 1000:.1f} ms" for name, seconds in found.items()))
        missed |= found["round"] > SLOWEST_ROUND or found["wake-up, 99 of 100"] > SLOWEST_WAKE_UP
    return int(options.check and missed)


if __name__ == "__main__":
    sys.exit(main())
