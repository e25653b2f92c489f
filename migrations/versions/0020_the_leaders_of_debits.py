"""Of the payments that a debit of the bank made, each names the one that leads, which names itself."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in GUARDS_POSTGRESQL if postgresql else GUARDS_SQLITE:
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER payout_lines_led ON payout_lines")
        op.execute("DROP FUNCTION payout_lines_led()")
    else:
        op.execute("DROP TRIGGER payout_lines_led")
        op.execute("DROP TRIGGER payout_lines_led_again")


# The foreign key keeps a line to its payout and reference, and the leader to them; that the one named leads
# is all that is left: two lines that name each other have no leader that the unique index could see.
_UNLED = """NEW.debit_id <> NEW.id AND NOT EXISTS (
  SELECT 1 FROM payout_lines WHERE id = NEW.debit_id AND debit_id = id)"""
REFUSAL = "payout_lines: the line that a debit is named by names itself"
GUARDS_SQLITE = (
    f"""CREATE TRIGGER payout_lines_led BEFORE INSERT ON payout_lines
WHEN {_UNLED}
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
    f"""CREATE TRIGGER payout_lines_led_again BEFORE UPDATE OF debit_id ON payout_lines
WHEN {_UNLED}
BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END""",
)
GUARDS_POSTGRESQL = (
    f"""CREATE FUNCTION payout_lines_led() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {_UNLED} THEN
    RAISE EXCEPTION '{REFUSAL}' USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$""",
    """CREATE TRIGGER payout_lines_led BEFORE INSERT OR UPDATE OF debit_id ON payout_lines
FOR EACH ROW EXECUTE FUNCTION payout_lines_led()""",
)
