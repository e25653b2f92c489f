"""Authorisations, uses, pledges, and what a voucher came from."""

import sqlalchemy as sa
from alembic import op

from ledger.store import CanonicalJson, UtcTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind, nullable=True))
    op.create_table(
        "motions",
        sa.Column("number", sa.Text, nullable=False, unique=True),
        sa.Column("voucher_id", sa.String(36), sa.ForeignKey("vouchers.id"), nullable=False),
        sa.Column("verb", sa.Text, nullable=False),
        sa.Column("facts", CanonicalJson, nullable=False),
        sa.Column("ground", sa.Text, nullable=False),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "authorisations",
        sa.Column("number", sa.Text, nullable=False, unique=True),
        sa.Column(
            "registration_id", sa.String(36), sa.ForeignKey("registrations.id"), nullable=False
        ),
        sa.Column("subject_id", sa.String(36), sa.ForeignKey("parties.id"), nullable=False),
        sa.Column("provider_id", sa.String(36), sa.ForeignKey("parties.id"), nullable=False),
        sa.Column("user_id", sa.String(36), sa.ForeignKey("parties.id"), nullable=False),
        sa.Column("user_address", sa.Text, nullable=False),
        sa.Column("scene", sa.Text, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("valid_from", UtcTime, nullable=False),
        sa.Column("valid_until", UtcTime, nullable=False),
        sa.Column("max_uses", sa.BigInteger, nullable=False),
        sa.Column("requested_by", sa.Text, nullable=False),
        sa.Column("consented_by", sa.Text, nullable=True),
        sa.Column("voucher_id", sa.String(36), sa.ForeignKey("vouchers.id"), nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "uses",
        sa.Column("voucher_id", sa.String(36), sa.ForeignKey("vouchers.id"), nullable=False),
        sa.Column("n", sa.BigInteger, nullable=False),
        sa.Column("count", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("scene", sa.Text, nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("party_id", sa.String(36), sa.ForeignKey("parties.id"), nullable=False),
        sa.Column("counted_by", sa.Text, nullable=False),
        sa.Column("used_at", UtcTime, nullable=False),
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("voucher_id", "n"),
        sa.UniqueConstraint("voucher_id", "reference"),
    )


def downgrade() -> None:
    for table in ("uses", "authorisations", "motions"):
        op.drop_table(table)
    for table, columns in ADDED.items():
        for name in columns:
            op.drop_column(table, name)


# What was recorded before says nothing of the new columns, so they are empty there.
ADDED: dict[str, dict[str, sa.types.TypeEngine[object]]] = {
    "vouchers": {
        "former_indexes": CanonicalJson(),
        "predecessor": sa.Text(),
        "successors": CanonicalJson(),
        "pledgee_id": sa.String(36),
        "provider_id": sa.String(36),
        "scene": sa.Text(),
        "max_uses": sa.BigInteger(),
        "used": sa.BigInteger(),
    }
}
