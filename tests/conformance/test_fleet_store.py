"""Messages to nodes in the store, in each SQL dialect."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row

from tests.conformance.test_store import start
from umbel.errors import Conflict, NotFound, RequestInvalid, UmbelError
from umbel.superlink.auth.tokens import Principal, identify
from umbel.superlink.domain.node import Cut, NodeEvent, Poll, Silence
from umbel.superlink.objects.directory import ObjectDirectory
from umbel.superlink.services import (
    message_delivery,
    message_submission,
    node_sessions,
    object_access,
    reply_intake,
    reports,
    task_lifecycle,
    views,
)
from umbel.superlink.services.message_delivery import Want
from umbel.superlink.store import contents, messages, nodes
from umbel.superlink.store.database import Database
from umbel.wire.api import ClaimTask, FinishTask
from umbel.wire.messages import (
    Activate,
    ContentRef,
    ExpireMessages,
    Forget,
    Journal,
    JournalEntry,
    MessageMetadata,
    Outgoing,
    Pull,
    Pulled,
    PushMessages,
    ReplyError,
    ReplyMessage,
    ReplyView,
    content_id,
    message_id,
)

MODEL = ContentRef(size=5, data=b"model")


class Fleet:
    """A run whose task is claimed, and nodes 1 to `count` that are online."""

    def __init__(self, db: Database, root: Path, count: int) -> None:
        self.db = db
        self.objects = ObjectDirectory(root / "objects", 10_000_000)
        self.run_id = start(db)
        wanted = ClaimTask(executor="exec", kinds=["simulation"])
        claimed = db.write(lambda t: task_lifecycle.claim(t, wanted, 1.0))
        assert claimed is not None
        self.who: Principal = identify(f"Bearer {claimed.token}", "user", "executor")
        for number in range(1, count + 1):
            self.activate(number)

    def activate(self, number: int) -> int:
        """A node begins a session; its number."""
        said = Activate(version="1")
        return self.db.write(lambda t: node_sessions.activate(t, f"key {number}", said, number, 1.0)).session

    def push(self, node_ids: Sequence[int], sequence: int = 1, content: ContentRef = MODEL) -> list[str]:
        """The same content to several nodes; the ids of the messages."""
        out = [self._outgoing(sequence, index, node_id, content) for index, node_id in enumerate(node_ids)]
        said = PushMessages(sequence=sequence, contents=[content], messages=out)
        self.db.write(lambda t: message_submission.push(t, self.who, said, self.objects, 2.0))
        return [one.message_id for one in out]

    def _outgoing(self, sequence: int, index: int, node_id: int, content: ContentRef) -> Outgoing:
        metadata = MessageMetadata(self.run_id, sequence, index, node_id, "train", content_id(content))
        known: dict[str, Any] = {"message_type": "train", "created_at": 1.0, "ttl": 60.0, "content": 0}
        return Outgoing(message_id=message_id(metadata), node_id=node_id, index=index, **known)

    def pull(self, *wants: Want) -> list[Pulled | UmbelError]:
        """What these polls get, at once."""
        return self.db.write(lambda t: message_delivery.take(t, wants, 3.0))

    def taken(self, *wants: Want) -> list[list[str]]:
        """The ids of the messages that these polls get."""
        return [[one.message_id for one in p.messages] for p in self.pull(*wants) if isinstance(p, Pulled)]

    def reply(self, *given: tuple[int, str, ContentRef]) -> list[bool | UmbelError]:
        """These nodes answer these messages, at once."""
        said = [
            reply_intake.check(node_id, ReplyMessage(session=1, message_id=name, content=content, seconds=0.25))
            for node_id, name, content in given
        ]
        return self.db.write(lambda t: reply_intake.take(t, said, self.objects, 4.0))

    def replies(self, after: int = 0) -> list[ReplyView]:
        """The replies after a number."""
        return self.db.read(lambda c: views.replies(c, self.who, after)).replies

    def put(self, data: bytes) -> str:
        """An object in the directory."""
        digest = hashlib.sha256(data).hexdigest()
        with self.objects.receive(digest) as incoming:
            incoming.write(data)
            incoming.commit()
        return digest

    def row(self, name: str) -> Row[Any]:
        """The row of a message."""
        return self.db.read(lambda c: messages.by_ids(c, [name]))[name]


def small(data: bytes) -> ContentRef:
    """A small content."""
    return ContentRef(size=len(data), data=data)


def test_a_batch_of_polls_and_replies(db: Database, tmp_path: Path) -> None:
    """Many nodes are served in one transaction; each transition leaves its time; replies are numbered without gaps."""
    fleet = Fleet(db, tmp_path, 3)
    sent = fleet.push([1, 2, 3, 2])
    assert fleet.taken(Want(1, 1, 5), Want(2, 1, 1), Want(3, 1, 0)) == [[sent[0]], [sent[1]], []]
    row = fleet.row(sent[0])
    assert (row.state, row.session, row.leases, row.queued_at, row.leased_at) == ("leased", 1, 1, 2.0, 3.0)
    given = [(3, sent[2], small(b"3")), (1, sent[0], small(b"same")), (2, sent[1], small(b"same"))]
    assert fleet.reply(*given, given[1]) == [True] * 4
    assert [(r.number, r.node_id, r.content) for r in fleet.replies()] == [
        (1, 3, small(b"3")),
        (2, 1, small(b"same")),
        (3, 2, small(b"same")),
    ]
    assert fleet.row(sent[0]).finished_at == 4.0
    assert [r.number for r in fleet.replies(after=2)] == [3]


def test_what_is_refused_does_not_hurt_its_neighbours(db: Database, tmp_path: Path) -> None:
    """In a batch an old session, an unknown node, a foreign message and missing chunks are refused one by one."""
    fleet = Fleet(db, tmp_path, 2)
    sent = fleet.push([1, 2])
    fleet.activate(2)
    found = fleet.pull(Want(1, 1, 5), Want(2, 1, 5), Want(99, 1, 5), Want(2, 2, 5))
    assert [type(one) for one in found] == [Pulled, Conflict, NotFound, Pulled]
    absent = ContentRef(size=100_000, chunks=["0" * 64])
    results = fleet.reply((2, sent[0], MODEL), (1, sent[0], absent), (2, "0" * 32, MODEL), (2, sent[1], small(b"x")))
    codes = [one.code if isinstance(one, UmbelError) else one for one in results]
    assert codes == ["permission-refused", "object-invalid", False, True]
    assert [r.message_id for r in fleet.replies()] == [sent[1]]


@pytest.mark.parametrize(
    "pull",
    [
        Pull(session=1, room=1, holding=["a\0b"]),
        Pull(session=1, room=1, holding=["0" * 32] * 10_001),
        Pull(session=1, room=1, runs=[2**63]),
        Pull(session=1, room=1, runs=[-1]),
    ],
)
def test_a_poll_that_would_hurt_its_neighbours_is_refused(pull: Pull) -> None:
    """What a database cannot take does not come into a batch."""
    with pytest.raises(RequestInvalid):
        message_delivery.check(1, pull)
    assert message_delivery.check(1, Pull(session=1, room=10**9)).room == 100


def test_a_reply_that_would_hurt_its_neighbours_is_refused(db: Database, tmp_path: Path) -> None:
    """Neither ids nor numbers nor characters that a database cannot take come into a batch."""
    for said in (
        ReplyMessage(session=1, message_id="a\0b", content=MODEL),
        ReplyMessage(session=1, message_id="0" * 32, error=ReplyError(code=2**31)),
        ReplyMessage(session=1, message_id="0" * 32, error=ReplyError(code=1), content=MODEL),
        ReplyMessage(session=1, message_id="0" * 32),
    ):
        with pytest.raises(RequestInvalid):
            reply_intake.check(1, said)
    fleet = Fleet(db, tmp_path, 1)
    (name,) = fleet.push([1])
    said = ReplyMessage(
        session=1, message_id=name, error=ReplyError(code=1, reason="a\0b" + "x" * 50_000), seconds=1e308
    )
    assert db.write(lambda t: reply_intake.take(t, [reply_intake.check(1, said)], fleet.objects, 4.0)) == [True]
    (reply,) = fleet.replies()
    assert reply.error is not None
    assert (reply.error.reason or "").startswith("a b")
    assert len(reply.error.reason or "") == 20_000


def test_two_polls_of_one_node_get_different_messages(db: Database, tmp_path: Path) -> None:
    """A poll and its repetition in the same batch do not both get what is new."""
    fleet = Fleet(db, tmp_path, 1)
    sent = fleet.push([1]) + fleet.push([1], sequence=2)
    assert fleet.taken(Want(1, 1, 1), Want(1, 1, 1)) == [[sent[0]], [sent[1]]]


def test_nodes_that_answer_at_the_same_time(db: Database, tmp_path: Path) -> None:
    """Replies from several threads get numbers without gaps, and each message one."""
    fleet = Fleet(db, tmp_path, 8)
    sent = fleet.push(range(1, 9))

    def answer(number: int) -> None:
        fleet.pull(Want(number, 1, 5))
        for _ in range(2):
            assert fleet.reply((number, sent[number - 1], small(b"%d" % (number % 3)))) == [True]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(answer, range(1, 9)))
    found = fleet.replies()
    assert [r.number for r in found] == list(range(1, 9))
    assert {r.message_id for r in found} == set(sent)


def test_nodes_come_and_go(db: Database, tmp_path: Path) -> None:
    """The states of nodes, with their events; only those that are online are counted."""
    Fleet(db, tmp_path, 3)
    heard: list[tuple[int, NodeEvent]] = [
        (1, Cut()),
        (2, Silence(5.0)),
        (3, Poll(1)),
        (99, Poll(1)),
        (2, Silence(30.0)),
    ]
    db.write(lambda t: node_sessions.hear(t, heard, 100.0))
    assert db.read(nodes.online) == [3]
    db.write(lambda t: node_sessions.deactivate(t, 3, 1, 101.0))
    assert db.read(nodes.online) == []
    events = db.read(lambda c: nodes.events(c, 2))
    assert [(row.seq, row.state, row.session) for row in events] == [
        (1, "online", 1),
        (2, "silent", 1),
        (3, "offline", 1),
    ]
    with pytest.raises(NotFound):
        db.read(lambda c: nodes.get(c, 99))


def test_expired_and_forgotten(db: Database, tmp_path: Path) -> None:
    """An expired message has its reply for good; what is forgotten is gone, with its contents, and the rest stays."""
    fleet = Fleet(db, tmp_path, 2)
    first = fleet.push([1, 2])
    second = fleet.push([1], sequence=2, content=small(b"other"))
    db.write(lambda t: message_submission.expire(t, fleet.who, ExpireMessages(message_ids=[first[0], "unknown"]), 5.0))
    assert fleet.reply((1, first[0], MODEL), (2, first[1], small(b"x"))) == [False, True]
    assert [r.error is None for r in fleet.replies()] == [False, True]
    entries = [JournalEntry(call=1, value=[1, "a"]), JournalEntry(call=2, value=[])]
    db.write(lambda t: message_submission.record(t, fleet.who, Journal(entries=entries)))
    db.write(lambda t: message_submission.forget(t, fleet.who, Forget(sequence=1, call=1)))
    assert fleet.replies() == []
    assert db.read(lambda c: views.journalled(c, fleet.who, 0)).entries == entries[1:]
    assert fleet.taken(Want(1, 1, 5)) == [second]
    keys = {(fleet.run_id, content_id(content)) for content in (MODEL, small(b"x"), small(b"other"))}
    assert list(db.read(lambda c: contents.load(c, keys)).values()) == [small(b"other")]


def test_chunks_keep_their_objects(db: Database, tmp_path: Path) -> None:
    """The objects of a content's chunks stay while a message names it or somebody holds them, and go with the run."""
    fleet = Fleet(db, tmp_path, 1)
    digest = fleet.put(b"x" * 100_000)
    content = ContentRef(size=100_000, chunks=[digest])
    dropped: list[str] = []
    db.after_commit = lambda transaction: dropped.extend(transaction.dropped)
    db.write(lambda t: object_access.hold(t, fleet.who, [digest], ""))
    (name,) = fleet.push([1], content=content)
    node = Principal("node", node_id=1)
    assert db.read(lambda c: contents.held(c, fleet.run_id, [digest])) == set()
    db.read(lambda c: object_access.check_read(c, node, digest))
    db.write(lambda t: object_access.hold(t, node, [digest, "1" * 64], name))
    assert fleet.pull(Want(1, 1, 1))[0].messages[0].content == content  # type: ignore[union-attr]
    assert fleet.reply((1, name, content)) == [True]
    assert dropped == ["1" * 64]
    db.write(lambda t: reports.finish(t, fleet.who, FinishTask(outcome="completed"), 9.0))
    assert dropped[1:] == [digest]
    assert db.read(lambda c: messages.by_ids(c, [name])) == {}


def test_a_push_of_many(db: Database, tmp_path: Path) -> None:
    """More messages than a query has room for are stored, handed out and answered."""
    fleet = Fleet(db, tmp_path, 1)
    sent = fleet.push([1] * 2500)
    (taken,) = fleet.taken(Want(1, 1, 5000))
    assert sorted(taken) == sorted(sent)
    assert fleet.reply(*[(1, name, MODEL) for name in sent]) == [True] * 2500
    assert [len(fleet.replies(after)) for after in (0, 500, 2400)] == [500, 500, 100]
    db.write(lambda t: message_submission.forget(t, fleet.who, Forget(sequence=1, call=0)))
    assert fleet.replies() == []
