"""The audit is clean on an honest town, and names the place of every tampering with its database."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.orm import Session

from ledger import catalogue, handoff, log, registration
from ledger.proof import tiles as tiling
from ledger.proof.bundle import payload_digest
from ledger.proof.checkpoint import VerifierKey, verifier_key
from ledger.store import Evidence, new_id
from ledger.supervision import Audit, Difference, evidence_tables
from tests.conftest import LOG_KEY, ORIGIN, Town

KEYS = [verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())]


def audit(town: Town, session: Session, keys: list[VerifierKey] = KEYS) -> list[Difference]:
    return Audit(session, ORIGIN, keys, town.home.config.deployment, None).run()


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
    voucher = t.voucher(registered)
    t.change("suspend", voucher)
    t.statement("rejected")
    t.publish_status()
    with t.deed() as session:
        _rows_for_the_rest(session, t)
    t.seal()
    with t.deed() as session:
        session.execute(text("UPDATE acts SET state = 'effective'"))
    return t


def _rows_for_the_rest(session: Session, town: Town) -> None:
    """A row of each evidence table that the stages did not fill."""
    catalogue.import_resources(
        session, town.actors["rita"], town.now, mapping={}, notices=[], file_name="a.csv",
        file_digest="sha256:" + "0" * 64, resources=[{"code": "9", "title": "九"}],
    )  # fmt: skip
    voucher_id = session.execute(text("SELECT id FROM vouchers")).scalars().first()
    package = handoff.Package(
        id=new_id(), voucher_id=voucher_id, tag_manifest="sha256:" + "1" * 64, files={},
        packed_by=town.actors["egon"].member_id,
    )  # fmt: skip
    log.append(session, package, "package.packed", package.packed_by)


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
        found = audit(honest, session, [stranger])
    assert {one.field for one in found} == {"note"}
    assert found[0].as_dict()["place"].startswith("checkpoint ")


def test_the_audit_tells_how_far_it_is(honest: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.supervision.BATCH", 10)
    told: list[tuple[str, int, int]] = []
    with honest.reading() as session:
        assert Audit(
            session, ORIGIN, KEYS, honest.home.config.deployment, None,
            on_progress=lambda *step: told.append(step),
        ).run() == []  # fmt: skip
    assert [step[1] for step in told] == list(range(10, told[-1][2] + 1, 10))


# ---------------------------------------------------------------- the liar's hand


def liar(engine: Engine) -> Engine:
    """A connection past all our rules: no foreign keys, no triggers."""
    made = create_engine(engine.url)
    if engine.dialect.name == "sqlite":

        def bare(connection: sqlite3.Connection, _record: Any) -> None:
            connection.isolation_level = None
            connection.execute("PRAGMA foreign_keys=OFF")

        event.listen(made, "connect", bare)
        event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    else:
        event.listen(
            made, "connect",
            lambda connection, _: connection.execute("SET session_replication_role = replica"),
        )  # fmt: skip
    return made


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
    return {f"{one.place}: {one.field}" for one in found}


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
                       "record 1: subject"),
    "a subject's type": (["UPDATE records SET subject_type = 'member' WHERE leaf_index = 1"],
                         "record 1: subject"),
    "a subject's version": (["UPDATE records SET subject_version = 7 WHERE leaf_index = 1"],
                            "record 1: subject_version"),
    "a record deleted": (["DELETE FROM records WHERE leaf_index = 6"], "record 7: leaf_index"),
    "the first record deleted": (["DELETE FROM records WHERE leaf_index = 0"],
                                 "record 1: leaf_index"),
    "the last record deleted": ([f"DELETE FROM records WHERE leaf_index = {SPARE}"],
                                "log head: tree_size"),
    "the last record deleted and the head adapted": (
        [f"DELETE FROM records WHERE leaf_index = {SPARE}",
         "UPDATE log_head SET tree_size = tree_size - 1"], "tile/0/000: hashes"),
    "two records swapped": (
        ["UPDATE records SET leaf_index = -9 WHERE leaf_index = 5",
         "UPDATE records SET leaf_index = 5 WHERE leaf_index = 6",
         "UPDATE records SET leaf_index = 6 WHERE leaf_index = -9"], "tile/0/000: hashes"),
    "a record appended": ([copied(f"{SPARE} + 1", "99")], "log head: tree_size"),
    "a record appended and the head adapted": (
        [copied(f"{SPARE} + 1", "99"), "UPDATE log_head SET tree_size = tree_size + 1"],
        "tile/0/000: hashes"),
    "a record before the first": ([copied("-1", "99")], "record -1: leaf_index"),
    "a record far beyond": ([copied("1000000", "99")], "record 1000000: leaf_index"),
    "a tile's hashes": (["UPDATE tiles SET hashes = (SELECT salt FROM records "
                         "WHERE leaf_index = 0)"], "tile/0/000: hashes"),
    "a tile deleted": (["DELETE FROM tiles"], "tile/0/000: hashes"),
    "a tile too many": (["INSERT INTO tiles (level, n, hashes) SELECT 1, 0, hashes FROM tiles"],
                        "tile/1/000: hashes"),
    "a tile at no place": (["INSERT INTO tiles (level, n, hashes) SELECT 0, -1, hashes FROM tiles"],
                           "tile 0 -1: hashes"),
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
    "a size": ("tree_size = tree_size - 1", "note.size"),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_changed_checkpoint_is_reported(honest: Town, name: str) -> None:
    change, field = CHECKPOINTS[name]
    with honest.reading() as session:
        size = session.execute(text("SELECT MAX(tree_size) FROM checkpoints")).scalar_one()
    at = size - 1 if field == "note.size" else size
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
    assert fields == {"root", "note.root"}


# ---------------------------------------------------------------- each column of each evidence table


def another(kind: str, value: Any) -> Any:
    """A value that is not the one stored, of the column's kind."""
    if kind == "BIGINT":
        return (value or 0) + 1000
    if kind == "BOOLEAN":
        return not value
    return "2001-01-01 00:00:00" if kind == "DATETIME" else '"changed"'


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
    assert places(found) == {f"{name} {row['id']}: {column}" for column in kinds}


@pytest.mark.parametrize("table", evidence_tables(), ids=lambda table: table.__tablename__)
def test_a_deleted_evidence_row_is_reported(honest: Town, table: type[Evidence]) -> None:
    name = table.__tablename__
    with honest.reading() as session:
        row_id = session.execute(text(f"SELECT MIN(id) FROM {name}")).scalar_one()
    with tampered(honest, [f"DELETE FROM {name} WHERE id = '{row_id}'"]) as found:
        assert places(found) == {f"{name} {row_id}: row"}


@pytest.mark.parametrize(
    ("table", "column"), [("vouchers", "rights"), ("statements", "lines"), ("members", "roles")]
)
def test_a_row_that_cannot_even_be_read_is_reported(honest: Town, table: str, column: str) -> None:
    with honest.reading() as session:
        row_id = session.execute(text(f"SELECT MIN(id) FROM {table}")).scalar_one()
    with tampered(honest, [f"UPDATE {table} SET {column} = '[' WHERE id = '{row_id}'"]) as found:
        assert places(found) == {f"{table} {row_id}: row"}


def test_a_record_whose_time_cannot_be_read_is_reported(honest: Town) -> None:
    if honest.home.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL stores no time that is none")
    with tampered(honest, ["UPDATE records SET at = 'noon' WHERE leaf_index = 7"]) as found:
        assert "records 7: row" in places(found)
        assert "tile/0/000: hashes" in places(found)
