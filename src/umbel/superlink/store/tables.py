"""The tables. Times are seconds since the epoch; JSON is kept as text.

The items of a run (events, logs, metrics) are append-only and numbered by one counter per run: `seq` is the
order in which they were stored, across all kinds, and the cursor of every reader. Replies have a separate counter, `number`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _run_id(*, primary_key: bool = False) -> Column[int]:
    return Column("run_id", BigInteger, ForeignKey("run.run_id"), primary_key=primary_key, nullable=False)


def _seq() -> Column[int]:
    return Column("seq", BigInteger, primary_key=True, autoincrement=False)


run = Table(
    "run",
    metadata,
    Column("run_id", BigInteger, primary_key=True, autoincrement=False),
    Column("request_id", String(200), unique=True),
    Column("fab_id", String(200), nullable=False),
    Column("fab_version", String(100), nullable=False),
    Column("fab_hash", String(64), nullable=False),
    Column("fab_size", BigInteger, nullable=False),
    Column("federation", String(200), nullable=False),
    Column("run_config", Text, nullable=False),
    Column("federation_config", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("status", String(20), nullable=False),
    Column("sub_status", String(20)),
    Column("cause", Text),
    Column("waiting", Text),  # the app's last `waiting` event
    Column("round", BigInteger, nullable=False, default=0),
    Column("num_rounds", BigInteger, nullable=False, default=0),
    Column("pending_at", Float, nullable=False),
    Column("starting_at", Float),
    Column("running_at", Float),
    Column("finished_at", Float),
    Column("bytes_sent", BigInteger, nullable=False, default=0),
    Column("bytes_recv", BigInteger, nullable=False, default=0),
    Column("serverapp_seconds", Float, nullable=False, default=0.0),
    Column("clientapp_seconds", Float, nullable=False, default=0.0),
    Column("last_seq", BigInteger, nullable=False, default=0),  # of the run's items
    Column("last_number", BigInteger, nullable=False, server_default="0"),  # of the run's replies
    Index(None, "pending_at"),
    Index(None, "fab_hash"),
    Index(None, "status"),
)

task = Table(
    "task",
    metadata,
    Column("task_id", BigInteger, primary_key=True, autoincrement=False),
    _run_id(),
    Column("kind", String(50), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempt", Integer, nullable=False, default=1),
    Column("losses", Integer, nullable=False, default=0),
    Column("outcome", String(20)),
    Column("executor", String(200)),
    Column("token_hash", String(64)),
    Column("last_seq", BigInteger, nullable=False, default=0),  # of the attempt's reports
    Column("created_at", Float, nullable=False),
    Column("active_at", Float),  # of this attempt
    Column("bytes_sent", BigInteger, nullable=False, default=0),  # totals of this attempt
    Column("bytes_recv", BigInteger, nullable=False, default=0),
    Column("clientapp_seconds", Float, nullable=False, default=0.0),
    Index(None, "run_id"),
    Index(None, "state", "created_at"),
)

# Which SuperLinks watch over a task that is handed out: each that has heard of its process and does not hold it for silent.
lease = Table(
    "lease",
    metadata,
    Column("task_id", BigInteger, ForeignKey("task.task_id"), primary_key=True, autoincrement=False),
    Column("replica", BigInteger, primary_key=True, autoincrement=False),  # the SuperLink's number
    Column("own", Boolean, nullable=False),  # the task is with the SuperExec that ends with this SuperLink
    Index(None, "replica"),
)

event = Table(
    "event",
    metadata,
    _run_id(primary_key=True),
    _seq(),
    Column("kind", String(50), nullable=False),
    Column("data", Text, nullable=False),
    Column("at", Float, nullable=False),
)

log = Table(
    "log",
    metadata,
    _run_id(primary_key=True),
    _seq(),
    Column("text", Text, nullable=False),
    Column("level", String(20), nullable=False),
    Column("source", String(20), nullable=False),
    Column("node_id", BigInteger),
    Column("round", BigInteger),
    Column("at", Float, nullable=False),
)

metric = Table(
    "metric",
    metadata,
    _run_id(primary_key=True),
    _seq(),
    Column("key", Text, nullable=False),
    Column("value", Float),  # NULL: not a finite number
    Column("round", BigInteger, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("node_id", BigInteger),
    Column("at", Float, nullable=False),
    Column("attempt", Integer, nullable=False),
)

artifact = Table(
    "artifact",
    metadata,
    _run_id(primary_key=True),
    _seq(),
    Column("name", String(500), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("media_type", String(200), nullable=False),
    Column("round", BigInteger),
    Column("at", Float, nullable=False),
    Index(None, "digest"),
)

# The uploader of an object holds it until it has reported what the object is, or the run has ended.
hold = Table(
    "hold",
    metadata,
    Column("digest", String(64), primary_key=True),
    _run_id(primary_key=True),
    Column("message_id", String(32), primary_key=True),  # which a node answers; empty for the run's task
    Index(None, "run_id"),
    Index(None, "message_id"),
)

node = Table(
    "node",
    metadata,
    Column("node_id", BigInteger, primary_key=True, autoincrement=False),
    Column("public_key", String(128), unique=True),  # as wire.credentials.node_keyid names it; NULL: unregistered
    Column("name", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("state_at", Float, nullable=False),  # since when
    Column("session", BigInteger, nullable=False, default=0),  # the newest one
    Column("version", String(100), nullable=False, default=""),
    Column("slots", Integer, nullable=False, default=1),
    Column("registered_at", Float, nullable=False),
    Column("seen_at", Float),
    Column("last_event", BigInteger, nullable=False, default=0),
    Column("last_report", BigInteger, nullable=False, default=0),  # of the session
    Column("replica", BigInteger),  # the SuperLink that last heard of it
    Index(None, "state"),
    Index(None, "replica"),
)

node_event = Table(
    "node_event",
    metadata,
    Column("node_id", BigInteger, ForeignKey("node.node_id"), primary_key=True),
    _seq(),
    Column("state", String(20), nullable=False),
    Column("session", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# The nodes that were ever asked something in a run.
participant = Table(
    "participant",
    metadata,
    _run_id(primary_key=True),
    Column("node_id", BigInteger, primary_key=True, autoincrement=False),
)

content = Table(
    "content",
    metadata,
    _run_id(primary_key=True),
    Column("content_id", String(64), primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("data", LargeBinary),  # NULL: in chunks
)

chunk = Table(
    "chunk",
    metadata,
    _run_id(primary_key=True),
    Column("content_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Index(None, "digest"),
)

# A message to a node and its reply, which is a content or an error. A node that does not exist can have messages too.
message = Table(
    "message",
    metadata,
    Column("message_id", String(32), primary_key=True),
    _run_id(),
    Column("node_id", BigInteger, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("place", Integer, nullable=False),  # its index in the exchange
    Column("content_id", String(64), nullable=False),
    Column("message_type", String(200), nullable=False),
    Column("group_id", String(200), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("ttl", Float, nullable=False),
    Column("until", Float),  # deadline of the round, after which the reply is no longer awaited
    Column("keep_from", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),  # of the task, when it last pushed the message
    Column("state", String(20), nullable=False),
    Column("session", BigInteger),  # that holds the lease, or held the last one
    Column("leases", Integer, nullable=False, default=0),  # how often it was handed out
    Column("queued_at", Float, nullable=False),
    Column("leased_at", Float),
    Column("finished_at", Float),
    Column("number", BigInteger),  # of the reply
    Column("reply_id", String(64)),  # content of the reply
    Column("error_code", Integer),
    Column("error_reason", Text),
    Column("seconds", Float, nullable=False, default=0.0),  # of client work
    Index(None, "node_id", "state"),
    Index(None, "run_id", "sequence"),
    Index(None, "run_id", "number"),
    Index(None, "run_id", "state"),
)

journal = Table(
    "journal",
    metadata,
    _run_id(primary_key=True),
    Column("call", BigInteger, primary_key=True, autoincrement=False),
    Column("value", Text, nullable=False),
)

# Of signed requests, where several SuperLinks share the database.
nonce = Table(
    "nonce",
    metadata,
    Column("key", String(128), primary_key=True),
    Column("nonce", String(64), primary_key=True),
    Column("created", BigInteger, nullable=False),
    Column("owner", BigInteger, nullable=False),  # the write that kept it
    Index(None, "created"),
    Index(None, "owner"),
)
