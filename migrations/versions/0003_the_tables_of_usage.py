"""The tables of usage: batch records and their rows."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage_batches",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("batch_root", sa.Text(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("totals", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("no"),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("party_id", "content_digest"),
    )
    # Ordered by bytes: an index of millions of events is not to be sorted by a language's rules.
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "usage_rows",
        sa.Column("batch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", text, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "n"),
        sa.UniqueConstraint("event"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "usage_subtrees",
        sa.Column("batch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "n"),
    )
    op.create_table(
        "usage_intakes",
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("content_digest", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("no"),
        sa.UniqueConstraint("party_id", "content_digest"),
    )


def downgrade() -> None:
    for table in ("usage_intakes", "usage_subtrees", "usage_rows", "usage_batches"):
        op.drop_table(table)
