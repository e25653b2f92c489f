"""The tables of trade: settlements, remittances, orders, refunds, confirmations with their trades."""

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
    op.add_column("payments", sa.Column("undone_by", sa.String(length=36), nullable=True))
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

    op.create_table(
        "remittances",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("received_on", sa.Text(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.Column("undone_by", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.UniqueConstraint("reference"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("voucher_id", sa.String(length=36), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=True),
        sa.Column("buyer_id", sa.String(length=36), nullable=False),
        sa.Column("licensee_address", sa.Text(), nullable=False),
        sa.Column("right", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("terms", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("price_fen", sa.BigInteger(), nullable=False),
        sa.Column("paid_by", sa.Text(), nullable=False),
        sa.Column("placed_on", sa.Text(), nullable=False),
        sa.Column("offer_until", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("hold_id", sa.String(length=36), nullable=True),
        sa.Column("licence_id", sa.String(length=36), nullable=True),
        sa.Column("placed_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["voucher_id"], ["vouchers.id"]),
        sa.ForeignKeyConstraint(["buyer_id"], ["parties.id"]),
        sa.UniqueConstraint("reference"),
    )
    op.create_table(
        "confirmations",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("exchange_id", sa.String(length=36), nullable=False),
        sa.Column("exchange_number", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("from_on", sa.Text(), nullable=False),
        sa.Column("until_on", sa.Text(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("vat_fen", sa.BigInteger(), nullable=False),
        sa.Column("net_fen", sa.BigInteger(), nullable=False),
        sa.Column("rows_digest", sa.Text(), nullable=False),
        sa.Column("batch_root", sa.Text(), nullable=False),
        sa.Column("subtree_roots", sa.Text(), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("signed_by", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("source_name", sa.Text(), nullable=False),
        sa.Column("first_n", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["exchange_id"], ["parties.id"]),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.UniqueConstraint("number"),
        sa.UniqueConstraint("no"),
        sa.UniqueConstraint("exchange_id", "exchange_number"),
    )
    # Ordered by bytes, as events are: an index of millions is not to be sorted by a language's rules.
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "trades",
        sa.Column("batch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("trade", text, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("row", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("batch", "n"),
        sa.UniqueConstraint("trade"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "refunds",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("payment_id", sa.String(length=36), nullable=True),
        sa.Column("confirmation_id", sa.String(length=36), nullable=True),
        sa.Column("remittance_id", sa.String(length=36), nullable=True),
        sa.Column("row", sa.BigInteger(), nullable=False),
        sa.Column("undoes", sa.Boolean(), nullable=False),
        sa.Column("buyer", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("vat_fen", sa.BigInteger(), nullable=True),
        sa.Column("net_fen", sa.BigInteger(), nullable=True),
        sa.Column("ground", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_on", sa.Text(), nullable=True),
        sa.Column("n", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"]),
        sa.ForeignKeyConstraint(["confirmation_id"], ["confirmations.id"]),
        sa.ForeignKeyConstraint(["remittance_id"], ["remittances.id"]),
        sa.UniqueConstraint("number"),
    )


def downgrade() -> None:
    op.execute("DELETE FROM numbers WHERE prefix LIKE 'settlements %'")
    for table in ("refunds", "trades", "confirmations", "orders", "remittances", "settlements"):
        op.drop_table(table)
    op.drop_column("payments", "undone_by")
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
