"""Limits of accounts: what of one account of a book must stay, and by which limit it does."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ONE = ["agreement_id", "account", "party"]


def upgrade() -> None:
    op.create_table(
        "account_limits",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("floor_fen", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("document_digest", sa.Text(), nullable=True),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.CheckConstraint("floor_fen >= 0", name="account_limits_floor"),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    for name, state in (("standing", "approved"), ("waiting", "proposed")):
        where = sa.text(f"state = '{state}'")
        op.create_index(
            f"account_limits_{name}", "account_limits", ONE, unique=True, sqlite_where=where,
            postgresql_where=where,
        )  # fmt: skip
    op.add_column("book_accounts", sa.Column("limited_by", sa.Text(), nullable=True))


def downgrade() -> None:
    limited = op.get_bind().scalar(
        sa.text("SELECT COUNT(*) FROM book_accounts WHERE limited_by IS NOT NULL")
    )
    if limited:
        raise RuntimeError(
            f"{limited} accounts have a limit, which the program of before cannot keep: the database "
            "stays at 0019. Lift the limits first."
        )
    op.drop_column("book_accounts", "limited_by")
    op.drop_table("account_limits")
