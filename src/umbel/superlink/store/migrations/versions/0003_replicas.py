"""Several SuperLinks on one database: who watches over which task and which node."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the table of leases, and give nodes the SuperLink that last heard of them."""
    op.create_table(
        "lease",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("replica", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("own", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["task.task_id"], name=op.f("fk_lease_task_id_task")),
        sa.PrimaryKeyConstraint("task_id", "replica", name=op.f("pk_lease")),
    )
    op.create_index(op.f("ix_lease_replica"), "lease", ["replica"], unique=False)
    op.add_column("node", sa.Column("replica", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_node_replica"), "node", ["replica"], unique=False)
