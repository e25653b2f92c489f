"""The tables of the books: what entries say besides, their lines, accounts, periods and holds.

The database refuses to edit or delete an entry or a line, and an entry whose lines do not balance; and it
writes the lines of each entry. An alteration of `entries` that makes the table anew must make these anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LINE_FEN_MAX = 10**15


def upgrade() -> None:
    _widen_entries()
    op.create_table(
        "entry_lines",
        sa.Column("entry", sa.String(length=36), nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("book", sa.String(length=36), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("effective_on", sa.Text(), nullable=False),
        sa.Column("debit_fen", sa.BigInteger(), nullable=False),
        sa.Column("credit_fen", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            f"debit_fen BETWEEN 0 AND {LINE_FEN_MAX} AND credit_fen BETWEEN 0 AND {LINE_FEN_MAX}",
            name="entry_lines_amounts",
        ),
        sa.PrimaryKeyConstraint("entry", "n"),
    )
    op.create_index(
        "entry_lines_of_an_account", "entry_lines", ["book", "account", "party", "effective_on"]
    )
    op.create_table(
        "book_accounts",
        sa.Column("book", sa.String(length=36), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("posted_fen", sa.BigInteger(), nullable=False),
        sa.Column("held_fen", sa.BigInteger(), nullable=False),
        sa.Column("floor_fen", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("held_fen >= 0", name="book_accounts_held"),
        sa.CheckConstraint("held_fen = 0 OR held_fen <= posted_fen", name="book_accounts_there"),
        sa.CheckConstraint("posted_fen - held_fen >= floor_fen", name="book_accounts_floor"),
        sa.PrimaryKeyConstraint("book", "account", "party"),
    )
    op.create_table(
        "periods",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("from_on", sa.Text(), nullable=False),
        sa.Column("until_on", sa.Text(), nullable=False),
        sa.Column("through_n", sa.BigInteger(), nullable=False),
        sa.Column("closed_by", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    closed = sa.text("state = 'closed'")
    op.create_index(
        "periods_closed", "periods", ["agreement_id", "from_on"], unique=True, sqlite_where=closed,
        postgresql_where=closed,
    )  # fmt: skip
    op.create_table(
        "journals",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("agreement_id", sa.String(length=36), nullable=False),
        sa.Column("effective_on", sa.Text(), nullable=False),
        sa.Column("memo", sa.Text(), nullable=False),
        sa.Column("debit", sa.Text(), nullable=False),
        sa.Column("credit", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("entry_id", sa.String(length=36), nullable=True),
        sa.Column("lines", sa.Text(), nullable=True),
        sa.Column("document_digest", sa.Text(), nullable=True),
        sa.Column("undoes", sa.String(length=36), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["agreement_id"], ["agreements.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_table(
        "holds",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("cause_id", sa.String(length=36), nullable=False),
        sa.Column("cause_key", sa.Text(), nullable=False),
        sa.Column("book_id", sa.String(length=36), nullable=False),
        sa.Column("lines", sa.Text(), nullable=False),
        sa.Column("amount_fen", sa.BigInteger(), nullable=False),
        sa.Column("body_digest", sa.Text(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    op.create_index("holds_of_a_cause", "holds", ["cause_id", "cause_key"], unique=True)
    op.create_index("holds_by_state", "holds", ["state", "expires_at"])
    postgresql = op.get_bind().dialect.name == "postgresql"
    for statement in (FILL_POSTGRESQL if postgresql else FILL_SQLITE, FILL_ACCOUNTS):
        op.execute(statement)
    for statement in GUARDS_POSTGRESQL if postgresql else GUARDS_SQLITE:
        op.execute(statement)


def downgrade() -> None:
    booked = op.get_bind().scalar(sa.text("SELECT COUNT(*) FROM entries WHERE book_id IS NOT NULL"))
    if booked:
        raise RuntimeError(
            f"{booked} entries stand in a book, which the program of before cannot keep: the database "
            "stays at 0015. Go back to a backup instead."
        )
    postgresql = op.get_bind().dialect.name == "postgresql"
    if postgresql:
        for table in ("entries", "entry_lines"):
            for name in ("kept", "kept_whole", "checked", "told"):
                op.execute(f"DROP TRIGGER IF EXISTS {table}_{name} ON {table}")
        for name in ("books_refuse", "books_tell_lines", "books_refuse_line"):
            op.execute(f"DROP FUNCTION {name}()")
    else:
        for table in ("entries", "entry_lines"):
            for name in ("unedited", "undeleted", "checked", "told"):
                op.execute(f"DROP TRIGGER IF EXISTS {table}_{name}")
    for table in ("holds", "journals", "periods", "book_accounts", "entry_lines"):
        op.drop_table(table)
    for name in ("entries_once", "entries_reversing"):
        op.drop_index(name, "entries")
    with op.batch_alter_table("entries") as batch:
        for name in ADDED:
            batch.drop_column(name)
        batch.create_unique_constraint("entries_cause_id_key", ["cause_id"])
        batch.create_unique_constraint("entries_reverses_key", ["reverses"])


# What was recorded before says nothing of the new columns, so they are empty there.
ADDED: dict[str, sa.types.TypeEngine[object]] = {
    "cause_key": sa.Text(),
    "book_id": sa.String(length=36),
    "body_digest": sa.Text(),
    "recorded_at": sa.DateTime(timezone=True),
    "effective_at": sa.DateTime(timezone=True),
}


def _widen_entries() -> None:
    """A cause may be booked by more than one entry, each under a key of its own, and be reversed."""
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("entries_cause_id_key", "entries")
        op.drop_constraint("entries_reverses_key", "entries")
        for name, kind in ADDED.items():
            op.add_column("entries", sa.Column(name, kind, nullable=True))
    else:
        of_before = sa.Table(
            "entries",
            sa.MetaData(),
            sa.Column("number", sa.Text(), nullable=False),
            sa.Column("cause_id", sa.String(length=36), nullable=False),
            sa.Column("effective_on", sa.Text(), nullable=False),
            sa.Column("memo", sa.Text(), nullable=False),
            sa.Column("lines", sa.Text(), nullable=False),
            sa.Column("reverses", sa.String(length=36), nullable=True),
            sa.Column("id", sa.String(length=36), nullable=False),
            sa.Column("version", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("id"),
            sa.UniqueConstraint("number"),
        )
        with op.batch_alter_table("entries", copy_from=of_before, recreate="always") as batch:
            for name, kind in ADDED.items():
                batch.add_column(sa.Column(name, kind, nullable=True))
    # Of the few that reverse: an index of all would be asked by SQLite for the many that do not.
    reverses = sa.text("reverses IS NOT NULL")
    op.create_index(
        "entries_reversing", "entries", ["reverses"], unique=True, sqlite_where=reverses,
        postgresql_where=reverses,
    )  # fmt: skip
    once = sa.text("reverses IS NULL")
    op.create_index(
        "entries_once", "entries", ["cause_id", "cause_key"], unique=True, sqlite_where=once,
        postgresql_where=once,
    )  # fmt: skip


# The book of an entry of before is its statement's agreement.
FILL_SQLITE = """
INSERT INTO entry_lines (entry, n, book, account, party, effective_on, debit_fen, credit_fen)
SELECT e.id, j.key, COALESCE(s.agreement_id, ''), json_extract(j.value, '$.account'),
       COALESCE(json_extract(j.value, '$.party_id'), ''), e.effective_on,
       json_extract(j.value, '$.debit_fen'), json_extract(j.value, '$.credit_fen')
FROM entries e LEFT JOIN statements s ON s.id = e.cause_id, json_each(e.lines) j
"""
FILL_POSTGRESQL = """
INSERT INTO entry_lines (entry, n, book, account, party, effective_on, debit_fen, credit_fen)
SELECT e.id, j.n - 1, COALESCE(s.agreement_id, ''), j.line ->> 'account',
       COALESCE(j.line ->> 'party_id', ''), e.effective_on,
       (j.line ->> 'debit_fen')::bigint, (j.line ->> 'credit_fen')::bigint
FROM entries e LEFT JOIN statements s ON s.id = e.cause_id
CROSS JOIN LATERAL json_array_elements(e.lines::json) WITH ORDINALITY AS j(line, n)
"""
# Before, there were two accounts only; the others are here for a database that was taken down and up.
# Those that begin with 1 or 6 rise by debits; bank, prepayments and refunds have a floor.
FILL_ACCOUNTS = """
INSERT INTO book_accounts (book, account, party, posted_fen, held_fen, floor_fen)
SELECT book, account, party,
  SUM(CASE WHEN SUBSTR(account, 1, 1) IN ('1', '6') THEN debit_fen - credit_fen
           ELSE credit_fen - debit_fen END), 0,
  CASE WHEN SUBSTR(account, 1, 4) IN ('1002', '2205', '2241') THEN 0 END
FROM entry_lines GROUP BY book, account, party
"""
GUARDS_SQLITE = (
    *(
        f"""
        CREATE TRIGGER {table}_{name} BEFORE {deed} ON {table}
        BEGIN SELECT RAISE(ABORT, '{table}: what is booked is never edited or deleted'); END
        """
        for table in ("entries", "entry_lines")
        for deed, name in (("UPDATE", "unedited"), ("DELETE", "undeleted"))
    ),
    # An INSERT OR REPLACE deletes without asking a trigger; so what is there is asked for first.
    """
    CREATE TRIGGER entries_checked BEFORE INSERT ON entries BEGIN
      SELECT RAISE(ABORT, 'entries: what is booked is never edited or deleted')
      WHERE EXISTS (SELECT 1 FROM entries WHERE id = NEW.id)
         OR EXISTS (SELECT 1 FROM entries WHERE number = NEW.number)
         OR EXISTS (SELECT 1 FROM entries WHERE reverses = NEW.reverses)
         OR NEW.reverses IS NULL AND EXISTS (
            SELECT 1 FROM entries
            WHERE cause_id = NEW.cause_id AND cause_key = NEW.cause_key AND reverses IS NULL);
      SELECT RAISE(ABORT, 'entries: an entry stands in a book')
      WHERE NEW.book_id IS NULL OR NEW.cause_key IS NULL OR NEW.body_digest IS NULL
         OR NEW.recorded_at IS NULL OR NEW.effective_at IS NULL;
      SELECT RAISE(ABORT, 'entries: the lines of an entry balance in whole fen')
      WHERE (SELECT COUNT(*) = 0
                 OR SUM(json_extract(value, '$.debit_fen')) <> SUM(json_extract(value, '$.credit_fen'))
                 OR SUM(json_type(value, '$.debit_fen') IS NOT 'integer'
                     OR json_type(value, '$.credit_fen') IS NOT 'integer') > 0
             FROM json_each(NEW.lines));
    END
    """,
    """
    CREATE TRIGGER entries_told AFTER INSERT ON entries BEGIN
      INSERT INTO entry_lines (entry, n, book, account, party, effective_on, debit_fen, credit_fen)
      SELECT NEW.id, key, NEW.book_id, json_extract(value, '$.account'),
             COALESCE(json_extract(value, '$.party_id'), ''), NEW.effective_on,
             json_extract(value, '$.debit_fen'), json_extract(value, '$.credit_fen')
      FROM json_each(NEW.lines);
    END
    """,
    """
    CREATE TRIGGER entry_lines_checked BEFORE INSERT ON entry_lines BEGIN
      SELECT RAISE(ABORT, 'entry_lines: a line is its entry''s, once')
      WHERE EXISTS (SELECT 1 FROM entry_lines WHERE entry = NEW.entry AND n = NEW.n)
         OR NOT EXISTS (SELECT 1 FROM entries
                        WHERE id = NEW.entry AND NEW.n >= 0 AND NEW.n < json_array_length(lines));
    END
    """,
)
GUARDS_POSTGRESQL = (
    """
    CREATE FUNCTION books_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '%: what is booked is never edited or deleted', TG_TABLE_NAME
      USING ERRCODE = 'restrict_violation';
    END $$
    """,
    *(
        f"""
        CREATE TRIGGER {table}_{name} BEFORE {deed} ON {table}
        FOR EACH {each} EXECUTE FUNCTION books_refuse()
        """
        for table in ("entries", "entry_lines")
        for deed, each, name in (
            ("UPDATE OR DELETE", "ROW", "kept"),
            ("TRUNCATE", "STATEMENT", "kept_whole"),
        )
    ),
    # All rows of a statement at once: a trigger of each row would take longer than writing them.
    """
    CREATE FUNCTION books_tell_lines() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF EXISTS (SELECT 1 FROM added WHERE book_id IS NULL OR cause_key IS NULL OR body_digest IS NULL
                 OR recorded_at IS NULL OR effective_at IS NULL) THEN
        RAISE EXCEPTION 'entries: an entry stands in a book' USING ERRCODE = 'check_violation';
      END IF;
      IF EXISTS (
        SELECT 1 FROM added a CROSS JOIN LATERAL (
          SELECT COUNT(*) = 0
              OR SUM((value ->> 'debit_fen')::bigint) <> SUM((value ->> 'credit_fen')::bigint)
              OR NOT bool_and(COALESCE(json_typeof(value -> 'debit_fen'), '') = 'number'
                          AND COALESCE(json_typeof(value -> 'credit_fen'), '') = 'number') AS wrong
          FROM json_array_elements(a.lines::json)) l
        WHERE l.wrong) THEN
        RAISE EXCEPTION 'entries: the lines of an entry balance in whole fen'
        USING ERRCODE = 'check_violation';
      END IF;
      INSERT INTO entry_lines (entry, n, book, account, party, effective_on, debit_fen, credit_fen)
      SELECT a.id, j.n - 1, a.book_id, j.line ->> 'account', COALESCE(j.line ->> 'party_id', ''),
             a.effective_on, (j.line ->> 'debit_fen')::bigint, (j.line ->> 'credit_fen')::bigint
      FROM added a CROSS JOIN LATERAL json_array_elements(a.lines::json) WITH ORDINALITY AS j(line, n);
      RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER entries_told AFTER INSERT ON entries REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION books_tell_lines()
    """,
    """
    CREATE FUNCTION books_refuse_line() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'entry_lines: a line is its entry''s, once' USING ERRCODE = 'check_violation';
    END $$
    """,
    """
    CREATE TRIGGER entry_lines_checked BEFORE INSERT ON entry_lines
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION books_refuse_line()
    """,
)
