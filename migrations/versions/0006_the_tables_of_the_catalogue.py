"""The tables of the catalogue: its change sets, duties, three lists, successions, stewards, search."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was recorded before says nothing of the new columns, so they are empty there.
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.create_index("ix_resources_provider_id", "resources", ["provider_id"])
    op.create_index("resources_stale", "resources", ["stale_on"])
    # Ordered by bytes, as in the index of usage events.
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")  # there it names the row itself
    op.create_table(
        "demands",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("for_name", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("use", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("cycle", sa.Text(), nullable=True),
        sa.Column("matches", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=True),
        sa.Column("department_id", sa.String(length=36), nullable=True),
        sa.Column("due", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("submitted_by", sa.Text(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("ix_demands_department_id", "demands", ["department_id"])
    op.create_index("ix_demands_party_id", "demands", ["party_id"])
    op.create_table(
        "duties",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("cause_on", sa.Text(), nullable=False),
        sa.Column("due", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reported_by", sa.Text(), nullable=False),
        sa.Column("settlement", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("ix_duties_party_id", "duties", ["party_id"])
    op.create_table(
        "exclusions",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("forbids", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Text(), nullable=False),
        sa.Column("review_on", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("ix_exclusions_party_id", "exclusions", ["party_id"])
    op.create_table(
        "feedback_items",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("department_id", sa.String(length=36), nullable=True),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("due", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("raised_by", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("ix_feedback_items_department_id", "feedback_items", ["department_id"])
    op.create_index("ix_feedback_items_party_id", "feedback_items", ["party_id"])
    op.create_index("ix_feedback_items_resource_id", "feedback_items", ["resource_id"])
    op.create_table(
        "stewards",
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("member_id", sa.String(length=36), nullable=False),
        sa.Column("post", sa.Text(), nullable=False),
        sa.Column("from_on", sa.Text(), nullable=False),
        sa.Column("until_on", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["member_id"], ["members.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_stewards_party_id", "stewards", ["party_id"])
    op.create_table(
        "successions",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("to_ids", sa.Text(), nullable=False),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Text(), nullable=False),
        sa.Column("moved", sa.Text(), nullable=False),
        sa.Column("left", sa.Text(), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_successions_party_id", "successions", ["party_id"])
    op.create_table(
        "proposed_changes",
        sa.Column("import_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("verb", sa.Text(), nullable=False),
        sa.Column("row", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("import_id", "n"),
    )
    op.create_table(
        "catalogue_mappings",
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("header_digest", sa.Text(), nullable=False),
        sa.Column("mapping", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("party_id", "header_digest"),
    )
    op.create_table(
        "search_docs",
        sa.Column("doc", number, autoincrement=False, nullable=False),
        sa.Column("resource_id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("weight", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("facets", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("doc"),
        sa.UniqueConstraint("resource_id"),
    )
    op.create_table(
        "search_postings",
        sa.Column("term", text, nullable=False),
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("docs", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("term", "block"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "search_blocks",
        sa.Column("block", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("changes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("block"),
    )
    progress = op.create_table(
        "search_progress",
        sa.Column("id", number, autoincrement=False, nullable=False),
        sa.Column("next_leaf", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(progress, [{"id": 1, "next_leaf": 0}])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.drop_index("ix_resources_provider_id", "resources")
    op.drop_index("resources_stale", "resources")
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)


ADDED = {
    "catalogue_imports": {
        "state": sa.Text(),
        "source": sa.Text(),
        "party_id": sa.String(length=36),
        "defaults": sa.Text(),
        "withdrawn_count": sa.BigInteger(),
        "content_digest": sa.Text(),
        "undoes": sa.String(length=36),
        "decided_by": sa.Text(),
        "reason": sa.Text(),
    },
    "parties": {"former_names": sa.Text(), "successor_ids": sa.Text()},
    "resources": {
        "provider_id": sa.String(length=36),
        "grade": sa.Text(),
        "audience": sa.Text(),
        "stale_on": sa.Text(),
    },
}
TABLES = (
    "search_progress",
    "search_blocks",
    "search_postings",
    "search_docs",
    "catalogue_mappings",
    "proposed_changes",
    "successions",
    "stewards",
    "feedback_items",
    "exclusions",
    "duties",
    "demands",
)
