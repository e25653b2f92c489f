"""Usage by the batch: three kinds of files, every bad line at once, counted once, each row provable."""

import hashlib
import io
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import polars as pl
import pytest
import xlsxwriter
from sqlalchemy import delete, func, insert, select, text, update

from ledger import log, row_faults, salted_rows, trading, usage, usage_rules
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed, ProofFailed
from ledger.proof.bundle import row_hash
from ledger.proof.encoding import canonical
from ledger.proof.merkle import root
from ledger.proof.row import check_row
from ledger.tables import file_kinds
from ledger.tables.events import read_events
from ledger.usage import Batch, Intake, Subtree, UsageRow
from tests.conftest import ORIGIN, Town
from webapp.deeds import usage as deeds
from webapp.deeds.usage import keep_stream


def hand_in(town: Town, data: bytes, name: str, login: str) -> Batch:
    """What the deed does, without the site."""
    actor, kept = town.actors[login], keep_stream(town.home, io.BytesIO(data), 1 << 30)
    desk: Any = type("Desk", (), {"home": town.home, "now": town.now})
    made = deeds._take_in(desk, lambda *_: None, actor, name=name, digest=kept["digest"])
    with town.deed() as session:
        answer = deeds.import_usage.act(desk, session, actor, **made)
    with town.reading() as session:
        return session.get_one(Batch, answer["id"])


class Counter:
    """A town with one licence, and the counter where its operator hands files in."""

    def __init__(self, town: Town) -> None:
        self.town = town
        self.licence = town.licence(town.voucher())
        town.later(days=3)
        town.home.path.mkdir(exist_ok=True)

    def row(self, n: int, **changes: Any) -> dict[str, Any]:
        at = (self.town.now - timedelta(minutes=n)).strftime("%Y-%m-%dT%H:%M:%SZ")
        facts = {
            "at": at, "event": f"E-{n}", "kind": usage_rules.KINDS[n % 3],
            "licence": self.licence.order_reference, "quantity": n + 1, "unit": "次",
        }  # fmt: skip
        return {**facts, **changes}

    def hand_in(self, data: bytes, name: str = "events.ndjson", login: str = "olga") -> Batch:
        return hand_in(self.town, data, name, login)

    def snapshot(self) -> dict[str, Any]:
        """Every row of every table; the next serial number may have moved on."""
        return {name: rows for name, rows in self.town.snapshot().items() if name != "numbers"}

    def faults(self, data: bytes, name: str = "events.csv", login: str = "olga") -> set[Any]:
        """(line, column, code) of everything that is wrong with a file; nothing is stored."""
        before = self.snapshot()
        with pytest.raises(row_faults.Unusable) as refused:
            self.hand_in(data, name, login)
        assert self.snapshot() == before
        told = refused.value.facts["problems"]
        assert all(one["reason_zh"] and one["reason_en"] for one in told)
        return {(one["row"], one["column"], one["code"]) for one in told}


@pytest.fixture
def counter(town: Town) -> Counter:
    return Counter(town)


def ndjson(rows: list[dict[str, Any]]) -> bytes:
    return b"\n".join(map(orjson.dumps, rows)) + b"\n"


def csv(rows: list[dict[str, Any]]) -> bytes:
    return pl.DataFrame(rows).write_csv().encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows).write_parquet(out)
    return out.getvalue()


def workbook(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        for n, row in enumerate([dict.fromkeys(rows[0]), *rows]):
            page.write_row(n, 0, row.values() if n else row)
    return out.getvalue()


# ---------------------------------------------------------------- the same batch from any file


def test_the_same_rows_in_any_file_are_the_same_batch_stored_once(counter: Counter) -> None:
    rows = [counter.row(n) for n in range(50)]
    chinese = {"at": "时间", "event": "事件编号", "kind": "类型", "licence": "订单号",
               "quantity": "数量", "unit": "单位"}  # fmt: skip
    words = {"delivery": "交付", "use": "使用", "query": "查询"}
    spoken = [{chinese[k]: words.get(v, v) for k, v in row.items()} for row in rows]
    local = [
        {**row, "at": f"{datetime.fromisoformat(row['at']) + timedelta(hours=8):%Y/%m/%d %H:%M:%S}"}
        for row in rows
    ]
    typed = pl.DataFrame(rows).with_columns(pl.col("at").str.to_datetime(time_zone="UTC"))
    stamped = io.BytesIO()
    typed.write_parquet(stamped)
    files = [
        ndjson(rows), csv(rows), parquet(rows), stamped.getvalue(), b"\xef\xbb\xbf" + ndjson(rows),
        ndjson(rows).replace(b"\n", b"\r\n"), csv(rows).replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + csv(rows), csv(spoken).decode().encode("gb18030"),
        csv(spoken).decode().encode("utf-16"), ndjson(spoken), csv(local),
        csv(rows).replace(b",", b"\t"), ndjson(rows).replace(b"\n", b"\n\n"),
        workbook(rows), workbook(spoken),
        ndjson([{**row, "quantity": str(row["quantity"]), "v": 1} for row in rows]),
    ]  # fmt: skip
    made = [counter.hand_in(data, f"{n}.file") for n, data in enumerate(files)]
    assert {one.id for one in made} == {made[0].id}
    with counter.town.reading() as session:
        assert session.scalar(select(func.count()).select_from(UsageRow)) == 50
        stored = session.scalars(select(UsageRow).order_by(UsageRow.n)).all()
        assert [one.row.encode() for one in stored] == [canonical({**row, "v": 1}) for row in rows]
        assert len({one.salt for one in stored}) == 50
        leaves = [row_hash(one.salt, orjson.loads(one.row)) for one in stored]
        assert made[0].batch_root == root(leaves).hex()
        content = hashlib.sha256(b"".join(one.row.encode() + b"\n" for one in stored))
        assert made[0].content_digest == f"sha256:{content.hexdigest()}"
        assert session.scalar(select(func.count()).select_from(Intake)) == 0


def test_a_record_says_what_its_rows_say(counter: Counter) -> None:
    digest = "sha256:" + "ab" * 32
    rows = [counter.row(n, unit="条" if n % 2 else "MB") for n in range(10)]
    rows[3]["digest"] = digest
    made = counter.hand_in(ndjson(rows))
    assert made.row_count == 10
    assert (made.first_at, made.last_at) == (
        datetime.fromisoformat(rows[9]["at"]), datetime.fromisoformat(rows[0]["at"]),
    )  # fmt: skip
    assert sum(one["quantity"] for one in made.totals) == 55
    assert sum(one["count"] for one in made.totals) == 10
    assert {one["unit"] for one in made.totals} == {"条", "MB"}
    with counter.town.reading() as session:
        assert log.record_of(session, made.id, 1).kind == "usage.recorded"
        fourth = usage.rows_of(session, made, 3, 1)[0]
        assert salted_rows.parsed(fourth.row) == {**rows[3], "v": 1}
        assert list(usage.audit_rows(session, made)) == []
        assert list(usage.audit_strays(session)) == []


# ---------------------------------------------------------------- what cannot be used


def test_every_bad_line_is_named_at_once_and_nothing_is_stored(counter: Counter) -> None:
    town = counter.town
    other = town.do("olga", trading.grant, **town.licence_facts(town_voucher(town)))
    town.do("olga", trading.revoke, other, town_voucher(town), "到期", ORIGIN)
    town.later(hours=2)
    bad: list[tuple[dict[str, Any], str, str]] = [
        ({"at": "yesterday"}, "at", "time"),
        ({"at": "2026-02-30T08:00:00Z"}, "at", "time"),
        ({"at": "2026-03-24T24:00:00Z"}, "at", "time"),
        ({"at": (town.now + timedelta(hours=1)).isoformat()}, "at", "future"),
        ({"at": "2026-01-01T00:00:00Z"}, "at", "term"),
        ({"at": ""}, "at", "missing"),
        ({"licence": other.order_reference, "at": f"{town.now:%Y-%m-%dT%H:%M:%SZ}"}, "at", "revoked"),
        ({"licence": "XK-NONE"}, "licence", "licence"),
        ({"event": "名称"}, "event", "event"),
        ({"event": "a b"}, "event", "event"),
        ({"event": 'a"b'}, "event", "event"),
        ({"event": "x" * 65}, "event", "event"),
        ({"event": "E-0"}, "event", "event_twice"),
        ({"kind": "usage"}, "kind", "kind"),
        ({"quantity": "0"}, "quantity", "quantity"),
        ({"quantity": "-1"}, "quantity", "quantity"),
        ({"quantity": "1.0"}, "quantity", "quantity"),
        ({"quantity": "9007199254740992"}, "quantity", "quantity"),
        ({"quantity": "1,000"}, "quantity", "quantity"),
        ({"unit": "three long words of a unit"}, "unit", "unit"),
        ({"unit": ""}, "unit", "missing"),
        ({"digest": "sha256:AB"}, "digest", "digest"),
        ({"v": "2"}, "v", "v"),
    ]  # fmt: skip
    first = {**counter.row(0), "digest": "", "v": "1"}
    rows = [{k: str(v) for k, v in first.items()}]
    for n, (changes, _, _) in enumerate(bad, start=1):
        rows.append({k: str(v) for k, v in {**first, **counter.row(n), **changes}.items()})
    due = {(n, column, code) for n, (_, column, code) in enumerate(bad, start=3)}
    assert counter.faults(csv(rows)) == due
    lines = {(n - 1, column, code) for n, column, code in due}
    assert counter.faults(ndjson(rows), "events.ndjson") == lines
    assert counter.faults(parquet(rows), "events.parquet") == lines


def town_voucher(town: Town) -> Any:
    with town.reading() as session:
        return session.scalars(select(trading.Voucher)).one()


def test_lines_that_are_no_rows_are_named_beside_bad_rows(counter: Counter) -> None:
    good = [orjson.dumps(counter.row(n)) for n in range(3)]
    lines = [
        good[0], b'{"at": ', b"[1, 2]", b"", orjson.dumps({**counter.row(5), "name": "王"}),
        orjson.dumps({"event": "E-9"}), b'{"x":"' + b"y" * 70_000 + b'"}', good[1],
    ]  # fmt: skip
    found = counter.faults(b"\n".join(lines), "events.ndjson")
    assert found >= {
        (2, None, "not_json"), (3, None, "not_object"), (5, "name", "unknown_column"),
        (6, "at", "missing"), (6, "unit", "missing"), (7, None, "long_line"),
    }  # fmt: skip
    assert not [one for one in found if one[0] in (1, 4, 8)]


def test_a_header_with_too_few_or_unknown_columns_is_told_once(counter: Counter) -> None:
    rows = [{**counter.row(n), "phone": "139"} for n in range(3)]
    for row in rows:
        del row["unit"]
    found = counter.faults(csv(rows))
    assert found == {(1, "phone", "unknown_column"), (1, "unit", "no_column")}
    wide = csv([counter.row(n) for n in range(3)]).replace(b",3,", b",3,4,5,6,")
    assert (4, None, "wide") in counter.faults(wide)


REFUSED = {
    b"": "empty",
    b"at,event,kind,licence,quantity,unit\n": "no events",
    b'[{"at":"x"}]': "one JSON list",
    b'at,event\n"2026': "not legal CSV",
    b"PAR1 and nothing more": "no Parquet",
    b"%PDF-1.7": "PDF",
    b"\x1f\x8b\x08\x00": "packed",
}


def test_what_is_no_table_of_events_is_refused_with_advice(counter: Counter) -> None:
    for data, said in REFUSED.items():
        with pytest.raises(Invalid, match=said):
            counter.hand_in(data, "file")


def test_a_workbook_that_is_too_large_is_refused_with_advice(
    counter: Counter,
) -> None:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        page = book.add_worksheet()
        for row in range(file_kinds.LIMITS.rows + 2):
            page.write_string(row, 0, "at")
    before = counter.snapshot()
    with pytest.raises(Invalid, match="save its sheet as CSV"):
        counter.hand_in(out.getvalue(), "events.xlsx")
    assert counter.snapshot() == before


def test_too_many_rows_are_refused_before_they_are_read(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.tables.events.ROWS_MAX", 4)
    rows = [counter.row(n) for n in range(5)]
    for write in (ndjson, csv, parquet):
        with pytest.raises(Invalid, match="more than 4 rows"):
            counter.hand_in(write(rows), "file")


def test_all_faults_go_into_a_table_that_is_no_formula(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_faults, "PROBLEMS_TOLD", 2)
    rows = [counter.row(n, quantity="=1+1") for n in range(5)]
    with pytest.raises(row_faults.Unusable) as refused:
        counter.hand_in(csv(rows))
    assert len(refused.value.facts["problems"]) == 2
    assert refused.value.facts["count"] == 5
    table = pl.read_csv(counter.town.home.material(refused.value.facts["fault_file"]))
    assert table["line"].to_list() == [2, 3, 4, 5, 6]
    assert set(table["value"]) == {"'=1+1"}
    assert "{" not in "".join(table["reason_zh"].to_list() + table["reason_en"].to_list())


# ---------------------------------------------------------------- whose licences, counted once


def test_an_operator_reports_on_his_own_licences_and_an_exchange_on_any(counter: Counter) -> None:
    data = ndjson([counter.row(n) for n in range(3)])
    assert counter.faults(data, "x", "mallory") == {(n, "licence", "licence") for n in (1, 2, 3)}
    with pytest.raises(NotAllowed):
        counter.hand_in(data, login="rita")
    made = counter.hand_in(data, login="egon")
    assert made.party_id == counter.town.parties["exchange"]
    assert counter.hand_in(data).id != made.id, "each reporter counts his own events"


def test_an_event_is_counted_once_whatever_batch_it_comes_in(counter: Counter) -> None:
    made = counter.hand_in(ndjson([counter.row(n) for n in range(5)]))
    again = [counter.row(n, quantity=99) for n in range(3, 8)]
    assert counter.faults(ndjson(again), "x") == {
        (1, "event", "recorded"), (2, "event", "recorded"),
    }  # fmt: skip
    again[4]["kind"] = "odd"
    assert (5, "kind", "kind") in counter.faults(ndjson(again), "x")
    with pytest.raises(row_faults.Unusable) as refused:
        counter.hand_in(ndjson(again))
    assert f"{made.number} #4" in refused.value.facts["problems"][0]["reason_en"]
    with counter.town.reading() as session:
        assert list(usage.audit_strays(session)) == []


def test_a_licence_changed_while_rows_are_stored_stops_the_record(counter: Counter) -> None:
    town = counter.town
    data = ndjson([counter.row(0)])
    kept = keep_stream(town.home, io.BytesIO(data), 1 << 20)
    desk: Any = type("Desk", (), {"home": town.home, "now": town.now})
    made = deeds._take_in(
        desk, lambda *_: None, town.actors["olga"], name="x", digest=kept["digest"]
    )
    town.do("olga", trading.revoke, counter.licence, town_voucher(town), "到期", ORIGIN)
    with pytest.raises(Conflict, match="changed meanwhile"), town.deed() as session:
        deeds.import_usage.act(desk, session, town.actors["olga"], **made)


# ---------------------------------------------------------------- broken off, at once, meanwhile


def test_an_intake_that_broke_off_is_swept_once_its_lease_is_over(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salted_rows, "CHUNK", 4)
    monkeypatch.setattr(usage, "SWEEP_ROWS", 3)
    town, data = counter.town, ndjson([counter.row(n) for n in range(10)])
    path = town.home.path / "x"
    path.write_bytes(data)
    with town.reading() as session:
        checked = usage.check(session, town.actors["olga"], town.now, read_events(path, "x"), "x")
    then = datetime.now(UTC)
    with town.deed() as session:
        turn = usage.begin(session, checked, "gone", then)
        assert turn.no is not None
    for place in (0, 1):
        with town.deed() as session:
            usage.store(session, turn.no, "gone", then, place, checked.chunks[place])
    with town.deed() as session:
        assert usage.begin(session, checked, "me", then).is_busy, "it may only be slow"
    with town.deed() as session:
        session.execute(update(Intake).values(leased_until=then - timedelta(seconds=1)))
    made = counter.hand_in(data)
    with town.reading() as session:
        assert session.scalar(select(func.count()).select_from(UsageRow)) == 10
        assert [list(usage.audit_rows(session, made)), list(usage.audit_strays(session))] == [
            [],
            [],
        ]
    with pytest.raises(Conflict, match="taken over"), town.deed() as session:
        usage.store(session, turn.no, "gone", then, 2, checked.chunks[2])


def test_rows_are_stored_as_they_are_whatever_encoding_the_client_speaks(counter: Counter) -> None:
    town, path = counter.town, counter.town.home.path / "x"
    path.write_bytes(ndjson([counter.row(0, unit="条")]))
    with town.reading() as session:
        checked = usage.check(session, town.actors["olga"], town.now, read_events(path, "x"), "x")
    with town.deed() as session:
        turn = usage.begin(session, checked, "me", town.now)
        assert turn.no is not None
        if session.get_bind().dialect.name == "postgresql":
            session.execute(text("SET LOCAL client_encoding TO 'GB18030'"))
        usage.store(session, turn.no, "me", town.now, 0, checked.chunks[0])
    with town.reading() as session:
        assert session.scalars(select(UsageRow.row)).all() == checked.chunks[0]["row"].to_list()


def test_two_at_once_with_the_same_rows_store_them_once(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salted_rows, "CHUNK", 64)
    data = ndjson([counter.row(n) for n in range(600)])
    made: list[Any] = []

    def hand_in() -> None:
        try:
            made.append(counter.hand_in(data).id)
        except LedgerError as error:
            made.append(error)

    both = [threading.Thread(target=hand_in) for _ in range(3)]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    assert len(made) == 3
    assert len(set(made)) == 1, made
    with counter.town.reading() as session:
        assert session.scalar(select(func.count()).select_from(UsageRow)) == 600


def test_rows_recorded_between_two_questions_are_seen_by_the_second(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first comer records just while the second is told whether the rows are there, or on their way."""
    town = counter.town
    if town.home.engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer: nothing is recorded between two questions")
    data = ndjson([counter.row(n) for n in range(3)])
    actor, kept = town.actors["olga"], keep_stream(town.home, io.BytesIO(data), 1 << 30)
    desk: Any = type("Desk", (), {"home": town.home, "now": town.now})
    first = deeds._take_in(desk, lambda *_: None, actor, name="e", digest=kept["digest"])
    look, made = usage._batch_of, []

    def meanwhile(session: Any, checked: usage.Checked) -> Batch | None:
        found = look(session, checked)
        if not made:
            with town.deed() as other:
                made.append(deeds.import_usage.act(desk, other, actor, **first)["id"])
        return found

    monkeypatch.setattr(usage, "_batch_of", meanwhile)
    assert counter.hand_in(data).id == made[0]


def test_of_two_at_once_that_share_events_one_is_refused(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salted_rows, "CHUNK", 64)
    files = [ndjson([counter.row(n, unit=unit) for n in range(300)]) for unit in ("次", "条")]
    made: list[Any] = []

    def hand_in(data: bytes) -> None:
        try:
            made.append(counter.hand_in(data))
        except LedgerError as error:
            made.append(error)

    both = [threading.Thread(target=hand_in, args=(data,)) for data in files]
    for one in both:
        one.start()
    for one in both:
        one.join(60)
    kept = [one for one in made if isinstance(one, Batch)]
    assert len(made) == 2
    assert len(kept) <= 1, made
    with counter.town.reading() as session:
        rows = session.scalar(select(func.count()).select_from(UsageRow))
        assert rows == 300 * len(kept)
        assert list(usage.audit_strays(session)) == []


def test_deeds_of_others_get_through_while_rows_are_stored(counter: Counter) -> None:
    """How long the longest deed beside a big intake waits is told; it is bounded by one chunk."""
    town = counter.town
    frame = pl.DataFrame({"n": range(200_000)}).select(
        at=pl.lit(counter.row(0)["at"]), event=pl.format("B-{}", "n"), kind=pl.lit("use"),
        licence=pl.lit(counter.licence.order_reference), quantity=pl.lit(1), unit=pl.lit("次"),
    )  # fmt: skip
    done = threading.Event()
    data = frame.write_csv().encode()

    def hand_in() -> None:
        try:
            counter.hand_in(data, "big.csv")
        finally:
            done.set()

    waits: list[float] = []
    thread = threading.Thread(target=hand_in)
    thread.start()
    clock = datetime.now
    while not done.wait(0.02):
        start = clock(UTC)
        town.deposit("opal", f"evidence {len(waits)}".encode())
        waits.append((clock(UTC) - start).total_seconds())
    thread.join()
    print(f"\n{len(waits)} deeds during the intake, the longest waited {max(waits):.3f} s")
    assert len(waits) > 3
    assert max(waits) < 10
    with town.reading() as session:
        assert session.scalars(select(Batch)).one().row_count == 200_000


# ---------------------------------------------------------------- proofs of rows


def proof_of(counter: Counter, made: Batch, named: str) -> dict[str, Any]:
    """The document, from a record that is anchored."""
    town = counter.town
    with town.reading() as session:
        size = session.get_one(log.Head, 1).tree_size
        sealed = session.get(log.Checkpoint, size) is not None
    if not sealed:
        sealed_at = town.seal().tree_size
        with town.deed() as session:
            log.note_anchor(session, sealed_at, "0x" + "11" * 32, 7, confirmed_at=town.now)
    desk: Any = type("Desk", (), {"home": town.home, "deployment": town.home.config.deployment})
    with town.reading() as session:
        found = session.get_one(Batch, made.id)
        return deeds.proof_document(desk, session, found, usage.row_number(session, found, named))


def test_each_row_of_a_batch_is_proved_whatever_its_size(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(salted_rows, "CHUNK", 4)
    monkeypatch.setattr(salted_rows, "PIECE", 2)
    sizes = (1, 2, 3, 4, 5, 8, 9, 15, 16, 17)
    batches = {
        size: counter.hand_in(ndjson([counter.row(n, event=f"S{size}-{n}") for n in range(size)]))
        for size in sizes
    }
    for size, made in batches.items():
        for n in range(size):
            document = proof_of(counter, made, f"S{size}-{n}")
            assert document["row_index"] == n
            bundle = check_row(orjson.loads(canonical(document)))
            assert bundle["payload"]["body"]["batch_root"] == made.batch_root
        assert proof_of(counter, made, str(size))["row_index"] == size - 1


def test_a_row_proof_that_was_changed_anywhere_fails(counter: Counter) -> None:
    made = counter.hand_in(ndjson([counter.row(n) for n in range(7)]))
    good = proof_of(counter, made, "E-3")
    check_row(good)

    def changed(act: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        copy: dict[str, Any] = orjson.loads(canonical(good))
        act(copy)
        return copy

    acts: list[Callable[[dict[str, Any]], Any]] = [
        lambda d: d["row"].update(quantity=d["row"]["quantity"] + 1),
        lambda d: d["row"].update(event="E-4"),
        lambda d: d["row"].update(extra=1),
        lambda d: d["row"].pop("unit"),
        lambda d: d.update(row_index=4),
        lambda d: d.update(row_index=-1),
        lambda d: d.update(row_index=7),
        lambda d: d.update(row_index=True),
        lambda d: d.update(salt="00" * 16),
        lambda d: d.update(salt="00" * 15),
        lambda d: d["inclusion"].pop(),
        lambda d: d["inclusion"].append("00" * 32),
        lambda d: d["inclusion"].reverse(),
        lambda d: d.update(inclusion="x"),
        lambda d: d.update(row=[]),
        lambda d: d.update(bundle=None),
        lambda d: d.update(more=1),
        lambda d: d.update(v=2),
        lambda d: d["bundle"]["payload"].update(kind="party.added"),
        lambda d: d["bundle"]["payload"].update(body=[]),
        lambda d: d["bundle"]["payload"]["body"].update(row_count="7"),
        lambda d: d["bundle"]["payload"]["body"].update(row_count=3),
        lambda d: d["bundle"]["payload"]["body"].update(batch_root="00" * 32),
    ]
    for act in acts:
        with pytest.raises((Invalid, ProofFailed)):
            check_row(changed(act))
    for value in (None, [], "x", {}, {"type": "shuzheng/usage-row"}):
        with pytest.raises(Invalid):
            check_row(value)


def test_rows_that_were_changed_in_the_database_are_not_proved_but_reported(
    counter: Counter,
) -> None:
    made = counter.hand_in(ndjson([counter.row(n) for n in range(6)]))
    town = counter.town

    def audit() -> set[str]:
        with town.reading() as session:
            batch = session.get_one(Batch, made.id)
            found = [*usage.audit_rows(session, batch), *usage.audit_strays(session)]
        return {field for _, field, _, _ in found}

    third = (UsageRow.batch == made.no) & (UsageRow.n == 3)
    with town.reading() as session:
        kept = dict(session.execute(select(UsageRow.__table__).where(third)).mappings().one())
    assert audit() == set()
    tampered: list[tuple[Any, str]] = [
        (update(UsageRow).where(third).values(row=kept["row"].replace(':3,"', ':9,"')), "batch_root"),
        (update(UsageRow).where(third).values(row="{}"), "row"),
        (update(UsageRow).where(third).values(salt=b"\x00" * 16), "batch_root"),
        (update(UsageRow).where(third).values(event="other"), "event"),
        (update(UsageRow).where(third).values(n=-3), "n"),
        (update(UsageRow).where(third).values(batch=77), "batch"),
        (delete(UsageRow).where(third), "row_count"),
        (insert(UsageRow).values(batch=made.no, n=7, event="x", salt=b"s", row="{}"), "row_count"),
        (update(Subtree).values(root=b"\x00" * 32), "root"),
        (update(Batch).values(batch_root="00" * 32), "batch_root"),
        (update(Batch).values(totals=[]), "totals"),
        (update(Batch).values(first_at=START_OF_TIME), "first_at"),
    ]  # fmt: skip
    for statement, field in tampered:
        with town.home.engine.connect() as connection:
            connection.execute(statement)
            connection.commit()
        assert field in audit(), statement
        with town.home.engine.connect() as connection:
            connection.execute(
                delete(UsageRow).where(
                    (UsageRow.n == 7) | third | (UsageRow.n == -3) | (UsageRow.batch == 77)
                )
            )
            connection.execute(insert(UsageRow).values(**kept))
            connection.execute(
                update(Batch).values(
                    batch_root=made.batch_root, totals=made.totals, first_at=made.first_at
                )
            )
            connection.execute(update(Subtree).values(root=bytes.fromhex(made.batch_root)))
            connection.commit()
        assert audit() == set()
    with town.home.engine.connect() as connection:
        connection.execute(update(UsageRow).where(third).values(salt=b"\x00" * 16))
        connection.commit()
    with pytest.raises(Conflict, match="run the audit"):
        proof_of(counter, made, "E-2")


START_OF_TIME = datetime(2000, 1, 1, tzinfo=UTC)
