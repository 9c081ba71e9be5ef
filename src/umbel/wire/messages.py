"""Messages between a ServerApp and real sites, as the Runtime and the Fleet API carry them.

A message's content, packed by `umbel.wire.records`, travels apart from it: a small one inside its `ContentRef`, a larger one
as chunks, each a separate object named by its SHA-256. So a content that goes to many nodes is stored once, only chunks that
are missing travel, and an interrupted transfer resumes with the next chunk.
"""

from __future__ import annotations

import hashlib

import msgspec

from umbel.errors import ObjectInvalid
from umbel.wire.api import Body, Config, LogLine

CHUNK = 4 * 1024 * 1024  # bytes of every chunk but the last
INLINE_LIMIT = 64 * 1024  # bytes up to which a content travels inside its reference
MAX_CHUNKS = 1 << 18  # of one content: 1 TiB


class ContentRef(Body):
    """Where a content's bytes are: in `data`, or in the objects named `chunks`, in order."""

    size: int  # bytes
    data: bytes | None = None
    chunks: list[str] = msgspec.field(default_factory=list)


def content_id(content: ContentRef) -> str:
    """The content's name: the SHA-256 of its bytes, or of the concatenated digests of its chunks. Raises ObjectInvalid for a false form."""
    if content.data is not None:
        if content.chunks or len(content.data) != content.size or content.size > INLINE_LIMIT:
            raise ObjectInvalid("Invalid content: it must have either inline bytes of the stated size or chunks.")
        return hashlib.sha256(content.data).hexdigest()
    if len(content.chunks) != -(-content.size // CHUNK) or not 0 < len(content.chunks) <= MAX_CHUNKS:
        raise ObjectInvalid(f"Invalid content: {content.size} bytes cannot have {len(content.chunks)} chunks.")
    try:
        digests = [bytes.fromhex(chunk) for chunk in content.chunks]
    except ValueError:
        raise ObjectInvalid("Invalid chunk name: not a digest.") from None
    if any(len(digest) != 32 or digest.hex() != chunk for digest, chunk in zip(digests, content.chunks, strict=True)):
        raise ObjectInvalid("Invalid chunk name: not a digest.")
    return hashlib.sha256(b"".join(digests)).hexdigest()


def chunk_size(content: ContentRef, position: int) -> int:
    """The bytes of the chunk at `position`."""
    return min(CHUNK, content.size - position * CHUNK)


class ReplyError(Body):
    """An `umbel.app.Error`: why there is no content."""

    code: int
    reason: str | None = None


# Runtime: what the process of a ServerApp says. {id} is that of its task, whose token it has.


class NodeList(Body):
    """GET /api/runtime/tasks/{id}/nodes?at_least=N&wait=S: the nodes that are online, ascending; waits until there are N."""

    node_ids: list[int]


class Outgoing(Body):
    """One message to a node. The id is derived from run, sequence, index, node and content, so that a repeated push is known."""

    message_id: str
    node_id: int
    index: int  # in its exchange
    content: int  # position in the push's contents
    message_type: str
    created_at: float
    ttl: float
    group_id: str = ""


class PushMessages(Body):
    """POST /api/runtime/tasks/{id}/messages → 204. Chunks were put as objects before. Known ids are skipped.

    Unfinished messages of the same `sequence` with other ids, left by an earlier attempt that went another way, are cancelled.
    A message to a node that does not exist is answered with NODE_UNAVAILABLE at once. An exchange whose contents are too
    many for one body takes several pushes, all but the last with `more`.
    """

    sequence: int  # counts the run's exchanges from 1
    contents: list[ContentRef]
    messages: list[Outgoing]
    keep_from: int = 0  # nodes may drop what they keep for earlier exchanges
    until: float = 0.0  # deadline of the round, for display; 0: none
    more: bool = False


class ReplyView(Body):
    """A reply, or the error that stands for one. `number` counts the run's replies in the order in which they came to be."""

    number: int
    message_id: str
    node_id: int
    sequence: int
    index: int
    error: ReplyError | None = None
    content: ContentRef | None = None
    created_at: float = 0.0


class Replies(Body):
    """GET /api/runtime/tasks/{id}/replies?after=NUMBER&wait=S: the run's replies after a number; waits while there are none."""

    replies: list[ReplyView]


class ExpireMessages(Body):
    """POST /api/runtime/tasks/{id}/expire → 204: the round no longer waits for these.

    Those without a reply get one, TIMED_OUT, for good: a later attempt sees the same.
    """

    message_ids: list[str]


class JournalEntry(Body):
    """What a Grid call found out that a later attempt must find again. `call` counts the run's Grid calls from 1."""

    call: int
    value: list[int | str]


class Journal(Body):
    """GET /api/runtime/tasks/{id}/journal?after=CALL → all entries; POST adds entries (the first of a call stays) → 204."""

    entries: list[JournalEntry]
    sequence: int = 0  # in the answer: the newest exchange of which messages are kept


class Forget(Body):
    """POST /api/runtime/tasks/{id}/forget → 204: a durable checkpoint covers the exchanges to `sequence` and the calls to `call`.

    What came before them, to `after_sequence` and `after_call`, it does not cover: a later attempt repeats it.
    """

    sequence: int
    call: int
    after_sequence: int = 0
    after_call: int = 0


# Fleet: what a SuperNode says. Every request is signed with the node's key.


class Activate(Body):
    """POST /api/fleet/activate: a SuperNode is there, with a new session that ends its older ones."""

    version: str
    name: str = ""
    slots: int = 1  # messages it serves at a time


class NodeSession(Body):
    """The answer. Messages that older sessions held are handed out again."""

    node_id: int
    session: int


class Pull(Body):
    """POST /api/fleet/pull?wait=30, a long-poll that is also the heartbeat: up to `room` messages, each under a lease.

    `holding` names the messages that this session has and has not answered: a lease the SuperLink believes in and the node
    does not is handed out again; of these, the cancelled ones come back as `cancelled`. `runs` names those
    of which the node keeps something; the ones that have ended come back as `over`.
    """

    session: int
    room: int
    holding: list[str] = msgspec.field(default_factory=list)
    runs: list[int] = msgspec.field(default_factory=list)


class Delivery(Body):
    """A message for this node."""

    message_id: str
    run_id: int
    sequence: int
    keep_from: int
    message_type: str
    group_id: str
    created_at: float
    ttl: float
    content: ContentRef


class Pulled(Body):
    """What there is for the node; all of it may be empty."""

    messages: list[Delivery] = msgspec.field(default_factory=list)
    cancelled: list[str] = msgspec.field(default_factory=list)
    over: list[int] = msgspec.field(default_factory=list)


class NodeRun(Body):
    """GET /api/fleet/runs/{run_id}: what a node needs to serve a run whose messages it got."""

    run_id: int
    fab_id: str
    fab_version: str
    fab_hash: str
    run_config: Config
    seed: int
    federation: str = ""


class ReplyMessage(Body):
    """POST /api/fleet/reply → Accepted. Exactly one of content and error. A repeated reply is a no-op."""

    session: int
    message_id: str
    error: ReplyError | None = None
    content: ContentRef | None = None
    seconds: float = 0.0  # of client work


class Accepted(Body):
    """Whether somebody still waits for what was sent; if not, it is dropped."""

    accepted: bool = True


class MessageProgress(Body):
    """How far a node is with a message, to be shown in what the run waits for."""

    message_id: str
    stage: str  # "downloading", "training", "uploading" or what the app says of itself
    done: float = 0.0
    total: float = 0.0
    unit: str = ""  # e.g. "bytes", "steps"


class RunLogs(Body):
    """Lines that a run's ClientApp wrote on this node."""

    run_id: int
    lines: list[LogLine]


class NodeReport(Body):
    """POST /api/fleet/report → 204; idempotent by `seq`, which counts from 1 in a session."""

    session: int
    seq: int
    logs: list[RunLogs] = msgspec.field(default_factory=list)
    progress: list[MessageProgress] = msgspec.field(default_factory=list)


class Deactivate(Body):
    """POST /api/fleet/deactivate → 204: the SuperNode goes; it may come back."""

    session: int


class Missing(Body):
    """POST /api/objects/missing: digests → those that are not there yet."""

    digests: list[str]


class MessageMetadata(msgspec.Struct, frozen=True):
    """What identifies a message; see `message_id`."""

    run_id: int
    sequence: int
    index: int
    node_id: int
    message_type: str
    content_id: str


def message_id(metadata: MessageMetadata) -> str:
    """The id of a message: the same for the same message of a run that is replayed."""
    return hashlib.sha256(msgspec.json.encode(metadata)).hexdigest()[:32]
