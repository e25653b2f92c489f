"""Applications of every type, objections, and what becomes of a registration."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.create_index("ix_applications_registration_id", "applications", ["registration_id"])
    op.create_table(
        "objections",
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("application_id", sa.String(length=36), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("raised_by", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("claim", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("due", sa.Text(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["application_id"], ["applications.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("ix_objections_application_id", "objections", ["application_id"])
    op.create_index("ix_objections_party_id", "objections", ["party_id"])


def downgrade() -> None:
    op.drop_table("objections")
    op.drop_index("ix_applications_registration_id", "applications")
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)


# What was recorded before says nothing of the new columns, so they are empty there.
ADDED: dict[str, dict[str, sa.types.TypeEngine[object]]] = {
    "applications": {
        "profile": sa.Text(),
        "registration_id": sa.String(length=36),
        "ground": sa.Text(),
        "asked": sa.Text(),
        "consents": sa.Text(),
        "attachments": sa.Text(),
        "scenes": sa.Text(),
        "grade": sa.Text(),
    },
    "registrations": {
        "profile": sa.Text(),
        "joint_ids": sa.Text(),
        "scenes": sa.Text(),
        "licences": sa.Text(),
        "disputes": sa.Text(),
        "inquiry": sa.Text(),
        "ending": sa.Text(),
    },
}
