"""A SuperLink that a test plays: it keeps what it has when it is stopped and started again."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from urllib.parse import parse_qs, urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support.http_peer import Answer, Call, Cut, Peer, json_answer, ok, problem
from umbel.app import RecordDict
from umbel.wire.messages import (
    CHUNK,
    INLINE_LIMIT,
    Accepted,
    Activate,
    ContentRef,
    Deactivate,
    Delivery,
    NodeReport,
    NodeRun,
    NodeSession,
    Pull,
    Pulled,
    ReplyMessage,
)
from umbel.wire.records import pack, unpack
from umbel.wire.signatures import read

LIMIT = 30.0  # seconds; a wait that takes so long has failed
EMPTY = ok(status="204 No Content")
Interfere = Callable[[Call], Answer | None]


@dataclass
class Sent:
    """A message and what became of it."""

    delivery: Delivery
    session: int = 0  # that has it
    leases: int = 0
    is_over: bool = False
    reply: ReplyMessage | None = None


@dataclass
class FakeSuperLink:
    """Speaks the Fleet API. `interfere` may answer a call otherwise; `wants_replies` False refuses what comes."""

    objects: dict[str, bytes] = field(default_factory=dict)
    runs: dict[int, NodeRun] = field(default_factory=dict)
    sent: dict[str, Sent] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)  # of each key, the newest
    activated: list[Activate] = field(default_factory=list)
    deactivated: list[int] = field(default_factory=list)  # sessions
    reports: list[NodeReport] = field(default_factory=list)
    kept: list[int] | None = None  # the runs of the last poll
    bytes_in: int = 0  # of objects
    bytes_out: int = 0
    interfere: Interfere | None = None
    port: int = 0
    changed: Condition = field(default_factory=Condition)
    peer: Peer | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Answer, on the port of the first time."""
        self.peer = Peer(self._answer, self.port)
        self.port = self.peer.port

    def stop(self) -> None:
        """Cut all connections and refuse new ones."""
        peer, self.peer = self.peer, None
        if peer is not None:
            peer.close()
        with self.changed:
            self.changed.notify_all()

    # What the test does.

    def add_run(self, bundle: bytes, run_id: int = 7) -> int:
        """A run of an app."""
        self.runs[run_id] = NodeRun(
            run_id=run_id, fab_id="a/b", fab_version="1", fab_hash=self.put(bundle), run_config={"lr": 0.5}, seed=3
        )
        return run_id

    def put(self, data: bytes) -> str:
        """Store an object."""
        digest = hashlib.sha256(data).hexdigest()
        self.objects[digest] = data
        return digest

    def send(
        self,
        content: RecordDict,
        message_type: str = "train",
        *,
        run_id: int = 7,
        sequence: int = 1,
        keep_from: int = 0,
    ) -> str:
        """Queue a message for the node."""
        data = b"".join(pack(content))
        ref = ContentRef(size=len(data), data=data)
        if len(data) > INLINE_LIMIT:
            ref = ContentRef(
                size=len(data), chunks=[self.put(data[at : at + CHUNK]) for at in range(0, len(data), CHUNK)]
            )
        with self.changed:
            message_id = f"m{len(self.sent)}"
            delivery = Delivery(
                message_id=message_id,
                run_id=run_id,
                sequence=sequence,
                keep_from=keep_from,
                message_type=message_type,
                group_id="1",
                created_at=1.0,
                ttl=3600.0,
                content=ref,
            )
            self.sent[message_id] = Sent(delivery)
            self.changed.notify_all()
        return message_id

    def cancel(self, message_id: str) -> None:
        """Stop waiting for its reply."""
        with self.changed:
            self.sent[message_id].is_over = True
            self.changed.notify_all()

    def end_run(self, run_id: int) -> None:
        """End the run: its messages no longer need replies."""
        with self.changed:
            del self.runs[run_id]
            for one in self.sent.values():
                one.is_over |= one.delivery.run_id == run_id
            self.changed.notify_all()

    def wait(self, is_so: Callable[[], object]) -> None:
        """Wait until something that requests change is so."""
        with self.changed:
            assert self.changed.wait_for(is_so, LIMIT), "it did not happen"

    def reply(self, message_id: str) -> ReplyMessage:
        """The reply, once it is there."""
        self.wait(lambda: self.sent[message_id].reply)
        reply = self.sent[message_id].reply
        assert reply is not None
        return reply

    def content(self, message_id: str) -> RecordDict:
        """The reply's content."""
        ref = self.reply(message_id).content
        assert ref is not None, self.reply(message_id).error
        return unpack(
            bytearray(ref.data if ref.data is not None else b"".join(map(self.objects.__getitem__, ref.chunks)))
        )

    def metrics(self, message_id: str) -> dict[str, object]:
        """The numbers in a reply."""
        return dict(self.content(message_id).metric_records["m"])

    def lines(self) -> list[tuple[int, str]]:
        """The run and the text of each line that was logged."""
        return [(logs.run_id, line.text) for report in self.reports for logs in report.logs for line in logs.lines]

    # What the node asks.

    def _answer(self, call: Call) -> Answer:
        other = self.interfere(call) if self.interfere else None
        if other is not None:
            return other
        if "signature" not in call.headers or len(call.body) < int(call.headers.get("content-length", 0)):
            return Cut()  # the sender was killed
        with self.changed:
            answer = self._answer_to(call)
            self.changed.notify_all()
        return answer

    def _answer_to(self, call: Call) -> Answer:
        key, path = self._key(call), urlsplit(call.path)
        match path.path.strip("/").split("/")[1:]:
            case ["objects", "missing"]:
                names = json.loads(call.body)["digests"]
                return json_answer({"digests": [name for name in names if name not in self.objects]})
            case ["objects", digest]:
                return self._object(call, digest)
            case ["fleet", "runs", run_id]:
                run = self.runs.get(int(run_id))
                return _json(run) if run else problem(403, "permission-refused", "This node takes no part in the run.")
            case ["fleet", "activate"]:
                self.activated.append(msgspec.json.decode(call.body, type=Activate))
                self.sessions[key] = self.sessions.get(key, 0) + 1
                return _json(NodeSession(node_id=1001, session=self.sessions[key]))
            case ["fleet", "pull"]:
                wait = float(parse_qs(path.query)["wait"][0])
                return self._pull(key, msgspec.json.decode(call.body, type=Pull), wait)
            case ["fleet", "reply"]:
                return self._reply(msgspec.json.decode(call.body, type=ReplyMessage))
            case ["fleet", "report"]:
                self.reports.append(msgspec.json.decode(call.body, type=NodeReport))
                return EMPTY
            case ["fleet", "deactivate"]:
                self.deactivated.append(msgspec.json.decode(call.body, type=Deactivate).session)
                return EMPTY
        return problem(404, "not-found", call.path)

    def _key(self, call: Call) -> str:
        signed = read(call.method, call.path, call.headers.items())
        assert signed.digest == hashlib.sha256(call.body).hexdigest() or call.method == "PUT"
        key = base64.urlsafe_b64decode(signed.parameters.keyid + "=")
        Ed25519PublicKey.from_public_bytes(key).verify(signed.signature, signed.base)
        return signed.parameters.keyid

    def _object(self, call: Call, digest: str) -> Answer:
        if call.method == "PUT":
            self.bytes_in += len(call.body)
            if hashlib.sha256(call.body).hexdigest() != digest:
                return problem(422, "object-invalid", "It was cut.")
            self.objects[digest] = call.body
            return ok(status="201 Created")
        if digest not in self.objects:
            return problem(404, "not-found", "There is no such object.")
        self.bytes_out += len(self.objects[digest])
        return ok(self.objects[digest])

    def _pull(self, key: str, pull: Pull, wait: float) -> Answer:
        peer, pulled = self.peer, Pulled()
        self.kept = pull.runs
        self.changed.notify_all()

        def is_due() -> bool:
            if self.peer is not peer or pull.session != self.sessions[key]:
                return True
            free = [
                one
                for name, one in self.sent.items()
                if not one.is_over and (one.session != pull.session or name not in pull.holding)
            ]
            pulled.cancelled = [name for name in pull.holding if self.sent[name].is_over]
            pulled.over = [run for run in pull.runs if run not in self.runs]
            pulled.messages = [one.delivery for one in free if one.delivery.message_id not in pull.holding][: pull.room]
            return bool(pulled.messages or pulled.cancelled or pulled.over)

        self.changed.wait_for(is_due, wait)
        if pull.session != self.sessions[key]:
            return problem(409, "conflict", "A newer session has begun.")
        for delivery in pulled.messages:
            one = self.sent[delivery.message_id]
            one.session, one.leases = pull.session, one.leases + 1
        return _json(pulled)

    def _reply(self, reply: ReplyMessage) -> Answer:
        one = self.sent[reply.message_id]
        is_known = one.reply is not None
        if one.is_over and not is_known:
            return _json(Accepted(accepted=False))
        one.is_over, one.reply = True, one.reply or reply
        return _json(Accepted())


def _json(body: msgspec.Struct) -> bytes:
    return ok(msgspec.json.encode(body))


@contextmanager
def fake_superlink() -> Iterator[FakeSuperLink]:
    """One that answers."""
    one = FakeSuperLink()
    one.start()
    try:
        yield one
    finally:
        one.stop()
