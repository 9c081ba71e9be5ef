"""The fake SuperLink of the SuperNode's tests answers as a real one does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.support.apps import write_app
from tests.support.fake_superlink import LIMIT, FakeSuperLink, fake_superlink
from tests.support.superlink_process import Program, program
from umbel.app import MetricRecord, RecordDict
from umbel.bundle import build_fab
from umbel.errors import Conflict, PermissionRefused
from umbel.wire import contents, objects
from umbel.wire.api import StartRun
from umbel.wire.messages import (
    Activate,
    MessageMetadata,
    NodeReport,
    Outgoing,
    Pull,
    PushMessages,
    ReplyMessage,
    content_id,
    message_id,
)
from umbel.wire.programs import FleetClient, GridClient
from umbel.wire.records import pack
from umbel.wire.signatures import node_credentials

CONTENT = RecordDict({"m": MetricRecord({"x": 1})})


class SuperLink(Protocol):
    """A SuperLink with one run, and the ServerApp of that run."""

    address: str
    run_id: int
    bundle: bytes

    def send(self, node_id: int) -> str:
        """Send a message to a node; returns its ID."""

    def cancel(self, message: str) -> None:
        """Stop waiting for the reply to a message."""


class Fake:
    """The fake with one run."""

    def __init__(self, fake: FakeSuperLink, bundle: bytes) -> None:
        self.fake, self.bundle = fake, bundle
        self.address = f"http://{fake.address}"
        self.run_id = fake.add_run(bundle)
        self.cancel = fake.cancel

    def send(self, node_id: int) -> str:
        """Send a message to the only node there is."""
        assert node_id == 1001
        return self.fake.send(CONTENT)


class Real:
    """A real SuperLink with one run whose ServerApp the test plays."""

    def __init__(self, superlink: Program, bundle: bytes) -> None:
        self.address, self.bundle = superlink.address, bundle
        control = superlink.control()
        self.run_id = control.start_run(StartRun(fab_hash=control.put_object(bundle))).run_id
        task = superlink.executor().claim("test", ["serverapp"], LIMIT)
        assert task is not None
        superlink.of_task(task).input(task.task_id)
        self.grid = GridClient(superlink.of_task(task), task.task_id)
        self.sequence = 0

    def send(self, node_id: int) -> str:
        """Send a message to a node."""
        self.sequence += 1
        ref = contents.upload(self.grid.http, pack(CONTENT))
        metadata = MessageMetadata(self.run_id, self.sequence, 0, node_id, "train", content_id(ref))
        message = Outgoing(
            message_id=message_id(metadata),
            node_id=node_id,
            index=0,
            content=0,
            message_type="train",
            created_at=1.0,
            ttl=3600.0,
        )
        self.grid.push(PushMessages(sequence=self.sequence, contents=[ref], messages=[message]))
        return message.message_id

    def cancel(self, message: str) -> None:
        """Expire the message."""
        self.grid.expire([message])


@pytest.fixture(params=["fake", "real"])
def superlink(request: pytest.FixtureRequest, umbel_home: Path, tmp_path: Path) -> Iterator[SuperLink]:
    """The fake SuperLink, and a real one."""
    bundle = build_fab(write_app(tmp_path / "app")).data
    if request.param == "fake":
        with fake_superlink() as fake:
            yield Fake(fake, bundle)
    else:
        with program(umbel_home, simulation=False) as running:
            yield Real(running, bundle)


@pytest.fixture
def node(superlink: SuperLink) -> Iterator[FleetClient]:
    """A node of that SuperLink."""
    client = FleetClient(superlink.address, node_credentials(Ed25519PrivateKey.generate()))
    yield client
    client.close()


def begin(node: FleetClient) -> tuple[int, int]:
    """Begin a session; returns the ID of the node and of the session."""
    begun = node.activate(Activate(version="1", name="site", slots=1))
    return begun.node_id, begun.session


def test_sessions(superlink: SuperLink, node: FleetClient) -> None:
    """A node keeps its ID over its sessions, which are numbered; a newer session refuses polls of an older one."""
    node_id, first = begin(node)
    again, second = begin(node)
    assert again == node_id
    assert second > first
    with pytest.raises(Conflict):
        node.pull(Pull(session=first, room=1), wait=0)
    assert node.pull(Pull(session=second, room=1), wait=0).messages == []
    node.deactivate(second)
    assert begin(node) == (node_id, second + 1)


def test_a_message_and_its_reply(superlink: SuperLink, node: FleetClient) -> None:
    """A message is delivered until the node holds it; its first reply is accepted, and the same reply once more."""
    node_id, session = begin(node)
    message = superlink.send(node_id)
    (delivery,) = node.pull(Pull(session=session, room=2), wait=LIMIT).messages
    assert (delivery.message_id, delivery.run_id, delivery.message_type) == (message, superlink.run_id, "train")
    assert contents.read(node.http, delivery.content) == b"".join(pack(CONTENT))
    assert [one.message_id for one in node.pull(Pull(session=session, room=2), wait=0).messages] == [message]
    assert node.pull(Pull(session=session, room=2, holding=[message]), wait=0).messages == []
    reply = ReplyMessage(session=session, message_id=message, content=delivery.content)
    assert node.reply(reply)
    assert node.reply(reply)
    assert node.pull(Pull(session=session, room=2), wait=0).messages == []


def test_a_cancelled_message(superlink: SuperLink, node: FleetClient) -> None:
    """A node that holds a cancelled message learns of it, and its reply is not accepted."""
    node_id, session = begin(node)
    message = superlink.send(node_id)
    (delivery,) = node.pull(Pull(session=session, room=1), wait=LIMIT).messages
    superlink.cancel(message)
    assert node.pull(Pull(session=session, room=1, holding=[message]), wait=LIMIT).cancelled == [message]
    assert not node.reply(ReplyMessage(session=session, message_id=message, content=delivery.content))


def test_runs_and_bundles(superlink: SuperLink, node: FleetClient) -> None:
    """A node that has a message of a run gets the run and its bundle; it has no access to a run that does not exist."""
    node_id, session = begin(node)
    superlink.send(node_id)
    node.pull(Pull(session=session, room=1), wait=LIMIT)
    run = node.run(superlink.run_id)
    assert run.run_id == superlink.run_id
    assert objects.get(node.http, run.fab_hash) == superlink.bundle
    with pytest.raises(PermissionRefused):
        node.run(999)
    node.report(NodeReport(session=session, seq=1))
