"""Several SuperLinks on one database: a signed request is good at one of them only."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table of nonces."""
    op.create_table(
        "nonce",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("nonce", sa.String(length=64), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", "nonce", name=op.f("pk_nonce")),
    )
    op.create_index(op.f("ix_nonce_created"), "nonce", ["created"], unique=False)
    op.create_index(op.f("ix_nonce_owner"), "nonce", ["owner"], unique=False)
