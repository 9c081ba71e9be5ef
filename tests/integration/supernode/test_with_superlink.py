"""A SuperNode at a real SuperLink; the test plays the ServerApp."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.supernode.conftest import APP, Gate, Node, model, values
from tests.support.fake_superlink import LIMIT
from tests.support.superlink_process import Program, program
from umbel.app import ErrorCode, RecordDict
from umbel.bundle import build_fab
from umbel.wire import contents
from umbel.wire.api import ClaimedTask, StartRun
from umbel.wire.messages import MessageMetadata, Outgoing, PushMessages, ReplyView, content_id, message_id
from umbel.wire.programs import GridClient
from umbel.wire.records import pack, unpack


class Lead:
    """A run whose ServerApp the test plays."""

    def __init__(self, superlink: Program) -> None:
        control = superlink.control()
        self.run_id = control.start_run(StartRun(fab_hash=control.put_object(build_fab(APP).data))).run_id
        task = superlink.executor().claim("test", ["serverapp"], LIMIT)
        assert task is not None
        self.task: ClaimedTask = task
        self.sequence = self.seen = 0
        self.move(superlink)
        superlink.of_task(task).input(task.task_id)
        (self.node_id,) = self.grid.nodes(1, LIMIT)

    def move(self, superlink: Program) -> None:
        """Speak to this SuperLink from now on."""
        self.grid = GridClient(superlink.of_task(self.task), self.task.task_id)

    def send(self, content: RecordDict, message_type: str = "train") -> None:
        """Send a message to the node."""
        self.sequence += 1
        ref = contents.upload(self.grid.http, pack(content))
        metadata = MessageMetadata(self.run_id, self.sequence, 0, self.node_id, message_type, content_id(ref))
        outgoing = Outgoing(
            message_id=message_id(metadata),
            node_id=self.node_id,
            index=0,
            content=0,
            message_type=message_type,
            created_at=1.0,
            ttl=3600.0,
        )
        self.grid.push(PushMessages(sequence=self.sequence, contents=[ref], messages=[outgoing]))

    def reply(self) -> ReplyView:
        """The next reply."""
        (reply,) = self.grid.replies(self.seen, LIMIT)
        self.seen = reply.number
        return reply

    def content(self) -> RecordDict:
        """The content of the next reply."""
        reply = self.reply()
        assert reply.content is not None, reply.error
        return unpack(bytearray(contents.read(self.grid.http, reply.content)))


@pytest.fixture
def superlink(umbel_home: Path) -> Iterator[Program]:
    """A SuperLink for real sites, without a SuperExec."""
    with program(umbel_home, simulation=False) as running:
        yield running


@pytest.fixture
def node(superlink: Program, tmp_path: Path) -> Iterator[Node]:
    """A SuperNode there."""
    node = Node(superlink.address, tmp_path / "node", "--name", "clinic-a")
    yield node
    node.end()


def test_contents_small_and_large_are_served(superlink: Program, node: Node) -> None:
    """Models go both ways, and what the client prints is in the run's log under its node."""
    lead = Lead(superlink)
    for size in (10, 5_000_000):
        lead.send(model(size))
        assert (lead.content().array_records["arrays"]["0"].numpy() == values(size) + 1).all()
    stream = superlink.control().stream(lead.run_id, kinds=["log"])
    line = next(item.log for item in stream if item.log and item.log.text.startswith("trained"))
    assert (line.node_id, line.source) == (lead.node_id, "clientapp")


def test_errors_come_back(superlink: Program, node: Node) -> None:
    """With their code and their reason."""
    lead = Lead(superlink)
    lead.send(model(), "train.fail")
    error = lead.reply().error
    assert error is not None
    assert (error.code, "no data here" in str(error.reason)) == (ErrorCode.CLIENT_APP_RAISED_EXCEPTION, True)


def test_stopping_a_run_ends_its_clients(superlink: Program, node: Node, gate: Gate, tmp_path: Path) -> None:
    """The worker that serves, and what the client keeps at the site."""
    lead = Lead(superlink)
    lead.send(model(gate=gate))
    worker = psutil.Process(gate.wait())
    superlink.control().stop_run(lead.run_id)
    worker.wait(LIMIT)
    node.wait_for("has ended")
    assert list((tmp_path / "node" / "runs").iterdir()) == []


@pytest.mark.slow
def test_a_superlink_that_is_killed_gets_the_reply_all_the_same(umbel_home: Path, tmp_path: Path, gate: Gate) -> None:
    """The node continues training, and tells the next SuperLink at the same address."""
    with program(umbel_home, simulation=False) as first:
        node = Node(first.address, tmp_path / "node")
        lead = Lead(first)
        lead.send(model(1_000_000, gate=gate))
        gate.wait()
        first.kill()
    gate.open()
    port = first.address.rpartition(":")[2]
    with program(umbel_home, "--port", port, simulation=False) as second:
        lead.move(second)
        assert (lead.content().array_records["arrays"]["0"].numpy() == values(1_000_000) + 1).all()
        assert node.end() == 0
