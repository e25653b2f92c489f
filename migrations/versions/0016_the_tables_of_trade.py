"""The tables of trade: settlements, numbered within their agreement; payments know theirs."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What was recorded before says nothing of the new columns, so they are empty there.
    op.add_column("payments", sa.Column("agreement_id", sa.String(length=36), nullable=True))
    op.add_column("payments", sa.Column("n", sa.BigInteger(), nullable=True))
    op.create_table(
        "settlements",
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("vat_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("source_id", sa.String(length=36), nullable=False),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("agreement_id", "n"),
        sqlite_with_rowid=False,
    )
    op.execute(PAYMENTS_OF_BEFORE)
    op.execute(NUMBERS_TAKEN)
    op.create_index("settlements_by_day", "settlements", ["agreement_id", "day", "n", "net_fen"])


def downgrade() -> None:
    op.execute("DELETE FROM numbers WHERE prefix LIKE 'settlements %'")
    op.drop_table("settlements")
    op.drop_column("payments", "n")
    op.drop_column("payments", "agreement_id")


# Numbered in the order in which they were recorded, which is that of their ids.
PAYMENTS_OF_BEFORE = """
INSERT INTO settlements
  (agreement_id, n, day, kind, amount_fen, vat_fen, net_fen, source_id, "row")
SELECT r.agreement_id, ROW_NUMBER() OVER (PARTITION BY r.agreement_id ORDER BY p.id),
  p.received_on, 'payment', p.amount_fen, p.vat_fen, p.net_fen, p.id, 0
FROM payments p
JOIN licences l ON l.id = p.licence_id
JOIN vouchers v ON v.id = l.voucher_id
JOIN registrations r ON r.id = v.registration_id
WHERE r.agreement_id IS NOT NULL
"""
NUMBERS_TAKEN = """
INSERT INTO numbers (prefix, next)
SELECT 'settlements ' || agreement_id, MAX(n) + 1 FROM settlements GROUP BY agreement_id
"""
