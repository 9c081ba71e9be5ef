"""Messages to real sites: nodes, contents in chunks, journals of Grid calls."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and give holds a message."""
    _rebuild_holds()
    op.create_table(
        "node",
        sa.Column("node_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("public_key", sa.String(length=128), nullable=True),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("state_at", sa.Float(), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.String(length=100), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("registered_at", sa.Float(), nullable=False),
        sa.Column("seen_at", sa.Float(), nullable=True),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("last_report", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("node_id", name=op.f("pk_node")),
        sa.UniqueConstraint("public_key", name=op.f("uq_node_public_key")),
    )
    op.create_index(op.f("ix_node_state"), "node", ["state"], unique=False)
    op.create_table(
        "chunk",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("content_id", sa.String(length=64), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_chunk_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "content_id", "position", name=op.f("pk_chunk")),
    )
    op.create_index(op.f("ix_chunk_digest"), "chunk", ["digest"], unique=False)
    op.create_table(
        "content",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("content_id", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_content_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "content_id", name=op.f("pk_content")),
    )
    op.create_table(
        "journal",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("call", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_journal_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "call", name=op.f("pk_journal")),
    )
    op.create_table(
        "message",
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.String(length=64), nullable=False),
        sa.Column("message_type", sa.String(length=200), nullable=False),
        sa.Column("group_id", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.Float(), nullable=False),
        sa.Column("ttl", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=True),
        sa.Column("keep_from", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=True),
        sa.Column("leases", sa.Integer(), nullable=False),
        sa.Column("queued_at", sa.Float(), nullable=False),
        sa.Column("leased_at", sa.Float(), nullable=True),
        sa.Column("finished_at", sa.Float(), nullable=True),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("reply_id", sa.String(length=64), nullable=True),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.Column("error_reason", sa.Text(), nullable=True),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_message_run_id_run")),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_message")),
    )
    op.create_index(op.f("ix_message_node_id_message_state"), "message", ["node_id", "state"], unique=False)
    op.create_index(op.f("ix_message_run_id_message_number"), "message", ["run_id", "number"], unique=False)
    op.create_index(op.f("ix_message_run_id_message_sequence"), "message", ["run_id", "sequence"], unique=False)
    op.create_index(op.f("ix_message_run_id_message_state"), "message", ["run_id", "state"], unique=False)
    op.create_table(
        "node_event",
        sa.Column("node_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("session", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["node.node_id"], name=op.f("fk_node_event_node_id_node")),
        sa.PrimaryKeyConstraint("node_id", "seq", name=op.f("pk_node_event")),
    )
    op.create_table(
        "participant",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("node_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_participant_run_id_run")),
        sa.PrimaryKeyConstraint("run_id", "node_id", name=op.f("pk_participant")),
    )
    op.add_column("run", sa.Column("last_number", sa.BigInteger(), server_default="0", nullable=False))


def _rebuild_holds() -> None:
    """No dialect but PostgreSQL changes a primary key in place."""
    old = sa.table("hold", sa.column("digest"), sa.column("run_id"))
    held = [
        {"digest": row.digest, "run_id": row.run_id, "message_id": ""} for row in op.get_bind().execute(sa.select(old))
    ]
    op.drop_table("hold")
    new = op.create_table(
        "hold",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("message_id", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.run_id"], name=op.f("fk_hold_run_id_run")),
        sa.PrimaryKeyConstraint("digest", "run_id", "message_id", name=op.f("pk_hold")),
    )
    op.create_index(op.f("ix_hold_message_id"), "hold", ["message_id"], unique=False)
    op.create_index(op.f("ix_hold_run_id"), "hold", ["run_id"], unique=False)
    op.bulk_insert(new, held)
