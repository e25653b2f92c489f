"""The audit is clean on an honest town, and names the place of every tampering with its database."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from ledger import (
    authorisations,
    catalogue_imports,
    handoff,
    limits,
    log,
    motions,
    refunds,
    registration,
    settings,
    usage,
    uses,
    vouchers,
    witnesses,
)
from ledger.audit_records import PLAIN, entry
from ledger.audit_tree import Tree
from ledger.nouns import evidence_tables
from ledger.proof import merkle
from ledger.proof import tiles as tiling
from ledger.proof.bundle import payload_digest
from ledger.proof.checkpoint import VerifierKey, verifier_key
from ledger.proof.cosignature import cosigner_key
from ledger.proof.encoding import INT_MAX, digest_text, instant
from ledger.proof.merkle import leaf_hash
from ledger.proof.trust import LogKey
from ledger.store import Evidence, canonical_fast, new_id
from ledger.supervision import Audit, Difference, Ground
from tests.conftest import LOG_KEY, ORIGIN, Town
from tests.ledger import bookings, deals, paying, registrations
from tests.ledger.neighbours import Neighbour, admitted, recognise

# The rows of a batch that is gone are nobody's, nor are the lines of an entry, whose sums the accounts
# are; what a voucher withholds stands in the voucher.
# A confirmation's signature covers its agreement's number, and a settlement is what its source says.
BESIDE = {
    "usage_rows", "usage_subtrees", "disclosure", "entry_lines", "book_accounts", "confirmations",
    "trades", "settlements", "numbers",
}  # fmt: skip
# An entry is a deed's booking; a statement covers what its period closed and shares it by its scheme.
WITH = {
    "account_limits": {"decision"}, "bank_accounts": {"decision", "payout"},
    "payout_lines": {"payout"}, "payouts": {"payout"}, "confirmations": {"booking"},
    "journals": {"booking", "decision"}, "orders": {"booking", "decision"},
    "payments": {"booking"}, "refunds": {"booking", "decision"}, "remittances": {"booking"},
    "differences": {"decision"}, "entries": {"booking", "payout", "statements"},
    "holds": {"booking", "payout"}, "parties": {"booking", "statements"}, "periods": {"statements"},
    "schemes": {"statements"}, "statements": {"booking", "decision", "payout"},
}  # fmt: skip
KEY = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())


def audit(
    town: Town, session: Session, key: VerifierKey = KEY, sizes: tuple[int, int] = (1, INT_MAX)
) -> list[Difference]:
    """What an audit without chain finds; a liar has put the guards of the books back."""
    for guard in session.connection().info.pop("guards", ()):
        session.connection().exec_driver_sql(guard)
    work = Audit(session, Ground(ORIGIN, (LogKey(key, *sizes),)), town.now)
    assert work.run() == work.findings.count
    return list(work.findings.differences())


@pytest.fixture(scope="module")
def honest(village: Town) -> Town:
    """A town in which everything happened once, sealed in between and at the end."""
    t = village
    returned = t.application()
    t.do("rita", registration.send_back, returned, ["缺附件"])
    t.seal()
    t.statement("posted")
    registered = t.registration()
    t.appraisal(registered)
    t.price(t.agreement())
    bookings.hold(t)
    deals.order(t)
    t.do("carl", refunds.approve, deals.refund(t))
    deals.confirmation(t)
    bookings.period(t)
    t.do("carl", limits.approve, bookings.limit(t))
    paying.approved(t)
    paying.answered(t)
    voucher = t.voucher(registered)
    t.change("suspend", voucher)
    t.statement("rejected")
    t.inquiry()
    t.publish_status()
    t.catalogue_affairs()
    t.alarm("olga")
    registrations.object_to(t, t.application("on_notice"))
    t.evaluation(t.agreement(from_on=t.now.date() - timedelta(days=400)))
    neighbour = Neighbour(t)
    admitted(t, neighbour)
    recognise(t, neighbour.bundle)
    _authorised(t)
    with t.deed() as session:
        _rows_for_the_rest(session, t)
    t.seal()
    with t.deed() as session:
        session.execute(text("UPDATE acts SET state = 'effective'"))
    return t


def _authorised(town: Town) -> None:
    """A use that ida has allowed and that was counted, and a motion to split its voucher."""
    voucher = town.voucher()
    row = town.authorisation("in_force", town.get(registration.Registration, voucher))
    with town.reading() as session:
        allowed = town.get(vouchers.Voucher, session.get_one(authorisations.Authorisation, row.id))
    town.settle(allowed)
    town.do("olga", uses.count, allowed, scene="贷前审查", count=2, reference="R-1")
    town.do("rita", motions.propose, voucher, "split", "分别流通")


def _rows_for_the_rest(session: Session, town: Town) -> None:
    """A row of each evidence table that the stages did not fill."""
    catalogue_imports.bring(
        session, town.actors["rita"], town.now, mapping={}, notices=[], file_name="a.csv",
        file_digest="sha256:" + "0" * 64, rows=[{"code": "9", "title": "九"}],
    )  # fmt: skip
    voucher_id = session.execute(text("SELECT id FROM vouchers")).scalars().first()
    package = handoff.Package(
        id=new_id(), voucher_id=voucher_id, tag_manifest="sha256:" + "1" * 64, files={},
        packed_by=town.actors["egon"].member_id,
    )  # fmt: skip
    log.append(session, package, "package.packed", package.packed_by)
    settings.change(session, town.actors["admin"], "log_readers", "member")
    witness = cosigner_key("witness.example/w1", bytes(31) + b"\x01").spelled()
    witnesses.admit(session, town.actors["admin"], town.now, operator="档案馆", vkey=witness)
    _batch(session, town)


def _batch(session: Session, town: Town) -> None:
    """A batch of one row, as intake stores it."""
    party = town.party("operator")
    row = canonical_fast({
        "at": instant(town.now), "event": "E-1", "kind": "use", "licence": "XK", "quantity": 2,
        "unit": "次", "v": 1,
    })  # fmt: skip
    salt = b"s" * 16
    top = leaf_hash(salt + row)
    session.add(
        usage.UsageRow(batch=1, n=1, event=f"{party.uscc} E-1", salt=salt, row=row.decode())
    )
    session.add(usage.Subtree(batch=1, n=0, root=top))
    batch = usage.Batch(
        id=new_id(), number="PC-1", no=1, party_id=party.id, source_name="a.ndjson",
        content_digest=digest_text(row + b"\n"), row_count=1, batch_root=top.hex(), first_at=town.now,
        last_at=town.now, recorded_by="olga",
        totals=[{"count": 1, "kind": "use", "licence": "XK", "quantity": 2, "unit": "次"}],
    )  # fmt: skip
    log.append(session, batch, "usage.recorded", "olga")


# ---------------------------------------------------------------- the honest town


def test_an_honest_town_has_a_clean_bill(honest: Town) -> None:
    with honest.reading() as session:
        for table in evidence_tables():
            assert session.query(table).count() > 0, f"the town has no row in {table.__tablename__}"
        assert audit(honest, session) == []


def test_an_empty_town_has_a_clean_bill(town: Town) -> None:
    with town.reading() as session:
        assert audit(town, session) == []


def test_another_key_s_checkpoints_are_not_the_log_s(honest: Town) -> None:
    stranger = verifier_key(ORIGIN, bytes(31) + b"\x01")
    with honest.reading() as session:
        found = audit(honest, session, stranger)
    assert {one.field for one in found} == {"note"}
    assert found[0].as_dict()["place"].startswith("checkpoint ")


def test_a_key_signs_only_for_the_sizes_it_is_trusted_with(honest: Town) -> None:
    with honest.reading() as session:
        assert {one.field for one in audit(honest, session, sizes=(1, 3))} == {"note"}


def test_the_audit_tells_how_far_it_is(honest: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.audit_records.CHUNK_MAX", 256)
    told: list[tuple[str, int, int]] = []
    with honest.reading() as session:
        work = Audit(
            session, Ground(ORIGIN, ()), honest.now, on_progress=lambda *step: told.append(step)
        )
        work.run()
        count = work.summary()["records"]
    assert ("records", count, count) in told
    assert [step[1] for step in told if step[0] == "rows"] == [
        *range(1, len(evidence_tables()) + 1)
    ]


PLAIN_KINDS = st.text(
    st.characters(min_codepoint=32, max_codepoint=126, exclude_characters='"\\'), min_size=1
)


@given(
    at=st.datetimes(timezones=st.just(UTC)),
    digest=st.binary(min_size=32, max_size=32),
    kind=PLAIN_KINDS,
)
def test_the_fast_spelling_of_an_entry_is_the_canonical_one(
    at: datetime, digest: bytes, kind: str
) -> None:
    said = {"at": instant(at), "digest": "sha256:" + digest.hex(), "kind": kind, "v": 1}
    assert PLAIN.fullmatch(kind)
    assert entry(said["at"], said["digest"], kind) == b"\0" + canonical_fast(said)


@pytest.mark.parametrize("kind", ['"', "\\", "\n", "登记", "\x7f", ""])
def test_what_json_would_escape_is_not_spelled_fast(kind: str) -> None:
    assert not PLAIN.fullmatch(kind)


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=1300), st.data())
def test_the_growing_tree_has_every_root_and_tile(hashes: list[bytes], data: st.DataObject) -> None:
    tree, tiles, roots = Tree(), {}, {}
    wanted = data.draw(st.sets(st.integers(1, max(1, len(hashes)))))
    for start in range(0, len(hashes), 256):
        if data.draw(st.booleans()):
            tree = Tree(tree.kept())  # as after a kill
        growing = tree.grow(hashes[start : start + 256])
        first = next(growing, None)
        for size in range(start + 1, min(start + 256, len(hashes) + 1)):
            roots[size] = tree.root(size)
        tiles.update([first, *growing] if first else [])
        roots[tree.size] = tree.root(tree.size)
    tiles.update(tree.unfinished())
    assert tiles == tiling.grow({}, 0, hashes)
    for size in wanted & roots.keys():
        assert roots[size] == merkle.root(hashes[:size])


def test_every_evidence_table_is_known_to_who_only_imports_the_nouns() -> None:
    """Else records of a noun whose module was not read would be differences."""
    script = (
        "import ledger, pkgutil, importlib; from ledger.nouns import evidence_tables; "
        "known = len(evidence_tables()); "
        "[importlib.import_module(m.name) for m in pkgutil.walk_packages(ledger.__path__, 'ledger.')]; "
        "assert known == len(evidence_tables())"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


# ---------------------------------------------------------------- the liar's hand


def liar(engine: Engine) -> Engine:
    """A connection past all our rules: no foreign keys, no triggers."""
    made = create_engine(engine.url)
    if engine.dialect.name == "sqlite":

        def bare(connection: sqlite3.Connection, _record: Any) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys=OFF")

        event.listen(made, "connect", bare)
        event.listen(made, "begin", disarm)
    else:
        event.listen(
            made, "connect",
            lambda connection, _: connection.execute("SET session_replication_role = replica"),
        )  # fmt: skip
    return made


def disarm(connection: Connection) -> None:
    """The guards of the books are gone until the audit comes."""
    connection.exec_driver_sql("BEGIN")
    known = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    guards = connection.exec_driver_sql(known).all()
    connection.info["guards"] = [sql for _, sql in guards]
    for name, _ in guards:
        connection.exec_driver_sql(f"DROP TRIGGER {name}")


@contextmanager
def tampered(town: Town, statements: list[str]) -> Iterator[list[Difference]]:
    """What the audit says of a database after these statements, which are undone afterwards."""
    engine = liar(town.home.engine)
    try:
        with engine.connect() as connection:
            for statement in statements:
                done = connection.execute(text(statement))
                assert done.rowcount, f"this changed nothing: {statement}"
            with Session(connection) as session:
                yield audit(town, session)
            connection.rollback()
    finally:
        engine.dispose()


def places(found: list[Difference]) -> set[str]:
    """Where and which field; of a row's label and id only the id."""
    tables = {table.__tablename__ for table in evidence_tables()}
    return {
        f"{one.kind} {one.name.split(' ')[-1]}: {one.field}"
        if one.kind in tables
        else f"{one.place}: {one.field}"
        for one in found
    }


SPARE = "(SELECT MAX(leaf_index) FROM records)"
RECORDS = (
    "leaf_index, at, kind, subject_type, subject_id, subject_version, actor, digest, salt, payload"
)


def copied(leaf_index: str, version: str) -> str:
    """Record 5 once more, in another place."""
    return (
        f"INSERT INTO records ({RECORDS}) SELECT {leaf_index}, at, kind, subject_type, subject_id, "
        f"{version}, actor, digest, salt, payload FROM records WHERE leaf_index = 5"
    )


TAMPERINGS: dict[str, tuple[list[str], str]] = {
    "a payload's word": (
        ["UPDATE records SET payload = REPLACE(payload, 'party.added', 'party.adbed') "
         "WHERE leaf_index = 0"],
        "record 0: digest",
    ),
    "a payload's spelling": (
        ["UPDATE records SET payload = ' ' || payload WHERE leaf_index = 3"], "record 3: payload",
    ),
    "a payload that is no JSON": (
        ["UPDATE records SET payload = '{' WHERE leaf_index = 3"], "record 3: payload",
    ),
    "a payload that is a list": (
        ["UPDATE records SET payload = '[]' WHERE leaf_index = 3"], "record 3: payload",
    ),
    "a payload whose body is a word": (
        ["UPDATE records SET payload = '{\"body\":\"x\"}' WHERE leaf_index = 3"],
        "record 3: payload",
    ),
    "an empty payload": (["UPDATE records SET payload = '' WHERE leaf_index = 3"],
                         "record 3: payload"),
    "a salt": (["UPDATE records SET salt = (SELECT salt FROM records WHERE leaf_index = 1) "
                "WHERE leaf_index = 2"], "record 2: digest"),
    "a salt of no length": (["UPDATE records SET salt = '' WHERE leaf_index = 2"],
                            "record 2: digest"),
    "a digest": (["UPDATE records SET digest = 'sha256:00' WHERE leaf_index = 4"],
                 "record 4: digest"),
    "a time": (["UPDATE records SET at = '2026-03-02 02:00:01' WHERE leaf_index = 1"],
               "record 1: at"),
    "a time before the last": (["UPDATE records SET at = '2020-01-01 00:00:00' "
                                "WHERE leaf_index = 9"], "record 9: at"),
    "a kind": (["UPDATE records SET kind = 'party.removed' WHERE leaf_index = 1"],
               "record 1: kind"),
    "an actor": (["UPDATE records SET actor = 'mallory' WHERE leaf_index = 1"], "record 1: actor"),
    "a subject's id": (["UPDATE records SET subject_id = 'x' WHERE leaf_index = 1"],
                       "record 1: subject_id"),
    "a subject's type": (["UPDATE records SET subject_type = 'member' WHERE leaf_index = 1"],
                         "record 1: subject_type"),
    "a subject's version": (["UPDATE records SET subject_version = 7 WHERE leaf_index = 1"],
                            "record 1: subject_version"),
    "a record deleted": (["DELETE FROM records WHERE leaf_index = 6"], "record 6: row"),
    "the first record deleted": (["DELETE FROM records WHERE leaf_index = 0"],
                                 "record 0: row"),
    "the last record deleted": ([f"DELETE FROM records WHERE leaf_index = {SPARE}"],
                                "log head: tree_size"),
    "the last record deleted and the head adapted": (
        [f"DELETE FROM records WHERE leaf_index = {SPARE}",
         "UPDATE log_head SET tree_size = tree_size - 1"], "tile 0/000: hashes"),
    "two records swapped": (
        ["UPDATE records SET leaf_index = -9 WHERE leaf_index = 5",
         "UPDATE records SET leaf_index = 5 WHERE leaf_index = 6",
         "UPDATE records SET leaf_index = 6 WHERE leaf_index = -9"], "tile 0/000: hash 5"),
    "a record appended": ([copied(f"{SPARE} + 1", "99")], "log head: tree_size"),
    "a record appended and the head adapted": (
        [copied(f"{SPARE} + 1", "99"), "UPDATE log_head SET tree_size = tree_size + 1"],
        "tile 0/000: hashes"),
    "a record before the first": ([copied("-1", "99")], "record -1: leaf_index"),
    "a record far beyond": ([copied("1000000", "99")], "record 1000000: leaf_index"),
    "a tile's hashes": (["UPDATE tiles SET hashes = (SELECT salt FROM records "
                         "WHERE leaf_index = 0)"], "tile 0/000: hashes"),
    "a tile deleted": (["DELETE FROM tiles"], "tile 0/000: hashes"),
    "a tile too many": (["INSERT INTO tiles (level, n, hashes) SELECT 1, 0, hashes FROM tiles"],
                        "tile 1 0: row"),
    "a tile at no place": (["INSERT INTO tiles (level, n, hashes) SELECT 0, -1, hashes FROM tiles"],
                           "tile 0 -1: row"),
    "the head's size": (["UPDATE log_head SET tree_size = tree_size + 1"], "log head: tree_size"),
    "the head's time": (["UPDATE log_head SET last_at = '2020-01-01 00:00:00'"],
                        "log head: last_at"),
    "the head's origin": (["UPDATE log_head SET origin = 'other.example/log'"],
                          "log head: origin"),
    "the head deleted": (["DELETE FROM log_head"], "log head: tree_size"),
    "a party's row deleted": (
        ["DELETE FROM parties WHERE id = (SELECT MIN(id) FROM parties)"], "parties {id}: row"),
    "a party's row invented": (
        ["INSERT INTO parties (id, version, kind, name, uscc, state) "
         "SELECT 'invented', 1, kind, name, 'u', state FROM parties LIMIT 1"],
        "parties invented: record"),
    "a party renamed": (["UPDATE parties SET id = 'renamed' WHERE id = "
                         "(SELECT MIN(id) FROM parties)"], "parties renamed: record"),
}  # fmt: skip


@pytest.mark.pages
@pytest.mark.parametrize("name", TAMPERINGS)
def test_every_tampering_is_reported_with_its_place(honest: Town, name: str) -> None:
    statements, expected = TAMPERINGS[name]
    with honest.reading() as session:
        lowest = session.execute(text("SELECT MIN(id) FROM parties")).scalar_one()
    with tampered(honest, statements) as found:
        assert expected.format(id=lowest) in places(found)


CHECKPOINTS: dict[str, tuple[str, str]] = {
    "a root": ("root = '" + "00" * 32 + "'", "root"),
    "a note that is none": ("note = 'x'", "note"),
    "a note's size": ("note = REPLACE(note, CAST(tree_size AS TEXT), '1')", "note"),
    "a note's root": ("note = REPLACE(note, 'test.example/log', 'tesT.example/log')", "note"),
    "a size": ("tree_size = tree_size - 1", "root"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_changed_checkpoint_is_reported(honest: Town, name: str) -> None:
    change, field = CHECKPOINTS[name]
    with honest.reading() as session:
        size = session.execute(text("SELECT MAX(tree_size) FROM checkpoints")).scalar_one()
    at = size - 1 if name == "a size" else size
    with tampered(honest, [f"UPDATE checkpoints SET {change} WHERE tree_size = {size}"]) as found:
        assert f"checkpoint {at}: {field}" in places(found)


def test_a_payload_that_names_another_predecessor_is_reported_though_its_digest_fits(
    honest: Town,
) -> None:
    engine = liar(honest.home.engine)
    with engine.connect() as connection, Session(connection) as session:
        record = session.query(log.Record).filter(log.Record.subject_version == 2).first()
        prev = log.payload_of(record)["prev"]
        record.payload = record.payload.replace(prev, "sha256:" + "0" * 64)
        record.digest = payload_digest(record.salt, log.payload_bytes(record))
        index = record.leaf_index
        session.flush()
        found = places(audit(honest, session))
        session.rollback()
        connection.rollback()
    engine.dispose()
    assert f"record {index}: prev" in found
    assert f"record {index}: digest" not in found


def test_a_rewritten_history_still_contradicts_the_signed_checkpoints(honest: Town) -> None:
    """Payload, digest, row and tiles all made to fit: the checkpoints signed before say no."""

    engine = liar(honest.home.engine)
    with engine.connect() as connection, Session(connection) as session:
        record = session.get_one(log.Record, 0)
        record.payload = record.payload.replace("数据登记机构", "别的登记机构")
        record.digest = payload_digest(record.salt, log.payload_bytes(record))
        connection.execute(text("UPDATE parties SET name = '别的登记机构' WHERE id = :id"),
                           {"id": record.subject_id})  # fmt: skip
        leaves = [
            log.leaf_hash_of(one)
            for one in session.query(log.Record).order_by(log.Record.leaf_index)
        ]
        for tile, hashes in tiling.grow({}, 0, leaves).items():
            session.get_one(log.TileRow, (tile.level, tile.n)).hashes = hashes
        session.flush()
        found = audit(honest, session)
        session.rollback()
        connection.rollback()
    engine.dispose()
    fields = {one.field for one in found}
    assert {one.place.split()[0] for one in found} == {"checkpoint"}
    assert fields == {"root", "note"}


# ---------------------------------------------------------------- each column of each evidence table


def another(kind: str, value: Any) -> Any:
    """A value that is not the one stored, of the column's kind."""
    if kind == "BIGINT":
        return (value or 0) + 1000
    if kind == "BOOLEAN":
        return not value
    return "2001-01-01 00:00:00" if kind == "DATETIME" else '"changed"'


@pytest.mark.pages
@pytest.mark.parametrize("table", evidence_tables(), ids=lambda table: table.__tablename__)
def test_each_changed_column_of_an_evidence_row_is_reported(
    honest: Town, table: type[Evidence]
) -> None:
    name = table.__tablename__
    kinds = {
        column.key: str(column.type.compile(dialect=sqlite.dialect()))
        for column in table.__table__.columns
        if column.key != "id"
    }
    engine = liar(honest.home.engine)
    with engine.connect() as connection:
        row = connection.execute(text(f"SELECT * FROM {name} ORDER BY id LIMIT 1")).mappings().one()
        changed = {column: another(kind, row[column]) for column, kind in kinds.items()}
        settings = ", ".join(f'"{column}" = :{column}' for column in changed)
        connection.execute(
            text(f"UPDATE {name} SET {settings} WHERE id = :id"), {**changed, "id": row["id"]}
        )
        with Session(connection) as session:
            found = audit(honest, session)
        connection.rollback()
    engine.dispose()
    assert {f"{name} {row['id']}: {column}" for column in kinds} <= places(found)
    assert {one.kind for one in found} <= {name, *BESIDE, *WITH.get(name, ())}


@pytest.mark.pages
@pytest.mark.parametrize("table", evidence_tables(), ids=lambda table: table.__tablename__)
def test_a_deleted_evidence_row_is_reported(honest: Town, table: type[Evidence]) -> None:
    name = table.__tablename__
    with honest.reading() as session:
        row_id = session.execute(text(f"SELECT MIN(id) FROM {name}")).scalar_one()
    with tampered(honest, [f"DELETE FROM {name} WHERE id = '{row_id}'"]) as found:
        assert places(
            [one for one in found if one.kind not in (BESIDE | WITH.get(name, set())) - {name}]
        ) == {f"{name} {row_id}: row"}


@pytest.mark.parametrize(
    ("table", "column"), [("vouchers", "rights"), ("statements", "lines"), ("members", "roles")]
)
def test_a_row_that_cannot_even_be_read_is_reported(honest: Town, table: str, column: str) -> None:
    with honest.reading() as session:
        row_id = session.execute(text(f"SELECT MIN(id) FROM {table}")).scalar_one()
    with tampered(honest, [f"UPDATE {table} SET {column} = '[' WHERE id = '{row_id}'"]) as found:
        assert f"{table} {row_id}: {column}" in places(found)


def test_a_record_whose_time_cannot_be_read_is_reported(honest: Town) -> None:
    if honest.home.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL stores no time that is none")
    with tampered(honest, ["UPDATE records SET at = 'noon' WHERE leaf_index = 7"]) as found:
        assert "record 7: at" in places(found)
