"""The tables of distribution: what statements say of period, coverage and approvals; questions on them.

The database itself refuses that two statements which stand cover the same: each goes on from the last.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# What was recorded before says nothing of them, so they are empty there.
ADDED: dict[str, sa.types.TypeEngine[object]] = {
    "period_id": sa.String(length=36),
    "through_n": sa.BigInteger(),
    "trade_count": sa.BigInteger(),
    "own_fen": sa.BigInteger(),
    "late_fen": sa.BigInteger(),
    "covers": sa.Text(),
    "approvals_required": sa.BigInteger(),
    "approvals": sa.Text(),
    "reverses": sa.String(length=36),
    "sent_back": sa.BigInteger(),
}
STANDS = "state NOT IN ('rejected', 'reversed') AND reverses IS NULL"
REVERSES = "state <> 'rejected' AND reverses IS NOT NULL"
REFUNDS = "kind = 'refund'"


def upgrade() -> None:
    with op.batch_alter_table("statements") as batch:
        for name, kind in ADDED.items():
            batch.add_column(sa.Column(name, kind, nullable=True))
        batch.create_foreign_key("statements_period", "periods", ["period_id"], ["id"])
    for name, columns, where in (
        ("statements_standing", ["agreement_id", "until_on"], STANDS),
        ("statements_reversing", ["reverses"], REVERSES),
    ):
        op.create_index(
            name, "statements", columns, unique=True, sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )  # fmt: skip
    op.create_index(
        "settlements_refunds", "settlements", ["agreement_id", "day", "n", "net_fen"],
        sqlite_where=sa.text(REFUNDS), postgresql_where=sa.text(REFUNDS),
    )  # fmt: skip
    op.create_table(
        "inquiries",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("statement_id", sa.String(length=36), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("party_id", sa.String(length=36), nullable=False),
        sa.Column("raised_by", sa.Text(), nullable=False),
        sa.Column("raised_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["parties.id"]),
        sa.ForeignKeyConstraint(["statement_id"], ["statements.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("inquiries_of_statement", "inquiries", ["statement_id", "state"])
    postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in GUARDS_POSTGRESQL if postgresql else GUARDS_SQLITE:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER statements_go_on ON statements")
        op.execute("DROP FUNCTION statements_go_on()")
    else:
        op.execute("DROP TRIGGER statements_go_on")
        op.execute("DROP TRIGGER statements_go_on_again")
    op.drop_table("inquiries")
    op.drop_index("settlements_refunds", "settlements")
    for name in ("statements_reversing", "statements_standing"):
        op.drop_index(name, "statements")
    with op.batch_alter_table("statements") as batch:
        batch.drop_constraint("statements_period", type_="foreignkey")
        for name in ADDED:
            batch.drop_column(name)


# A standing statement goes beyond every other of its agreement, in days, and in numbers not back.
_BEHIND = """
SELECT 1 FROM statements s WHERE s.agreement_id = NEW.agreement_id AND s.id <> NEW.id
  AND s.state NOT IN ('rejected', 'reversed') AND s.reverses IS NULL
  AND (s.until_on >= NEW.until_on OR s.through_n > NEW.through_n)
"""
_NEW_STANDS = "NEW.reverses IS NULL AND NEW.state NOT IN ('rejected', 'reversed')"
_CHANGED = """(OLD.state IN ('rejected', 'reversed') OR OLD.until_on <> NEW.until_on
  OR OLD.through_n <> NEW.through_n OR OLD.agreement_id <> NEW.agreement_id)"""
REFUSAL = "a statement must go beyond the last one that stands"
GUARDS_SQLITE = (
    f"""CREATE TRIGGER statements_go_on BEFORE INSERT ON statements
WHEN {_NEW_STANDS} AND EXISTS ({_BEHIND})
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    f"""CREATE TRIGGER statements_go_on_again
BEFORE UPDATE OF state, until_on, through_n, agreement_id ON statements
WHEN {_NEW_STANDS} AND {_CHANGED} AND EXISTS ({_BEHIND})
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
)
GUARDS_POSTGRESQL = (
    f"""CREATE FUNCTION statements_go_on() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {_NEW_STANDS} AND (TG_OP = 'INSERT' OR {_CHANGED}) AND EXISTS ({_BEHIND}) THEN
    RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$""",
    """CREATE TRIGGER statements_go_on BEFORE INSERT OR UPDATE ON statements
FOR EACH ROW EXECUTE FUNCTION statements_go_on()""",
)
