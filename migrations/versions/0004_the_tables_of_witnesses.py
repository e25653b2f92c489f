"""The tables of witnesses: their keys and cosignatures."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "witnesses",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("vkey", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("vkey"),
    )
    op.create_table(
        "cosignatures",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("witness_id", sa.String(length=36), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["tree_size"], ["checkpoints.tree_size"]),
        sa.ForeignKeyConstraint(["witness_id"], ["witnesses.id"]),
        sa.PrimaryKeyConstraint("tree_size", "witness_id"),
    )
    op.create_table(
        "witness_visits",
        sa.Column("witness_id", sa.String(length=36), nullable=False),
        sa.Column("held_size", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["witness_id"], ["witnesses.id"]),
        sa.PrimaryKeyConstraint("witness_id"),
    )


def downgrade() -> None:
    op.drop_table("witness_visits")
    op.drop_table("cosignatures")
    op.drop_table("witnesses")
