"""Entries are for good, holds take nothing twice; what is closed stays closed."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import openpyxl
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from ledger import audit_books, books, holds, journals, log, periods, trial_balance
from ledger.agreements import Agreement
from ledger.books import BANK, FEES, PAYABLE, PREPAID, UNDISTRIBUTED, VAT, Booking
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed
from ledger.journals import Journal
from ledger.store import Number, new_id
from tests.conftest import Town
from tests.ledger import bookings
from tests.ledger.bookings import line
from webapp.timers import TIMERS

DAY = "2026-03-02"


def book() -> str:
    """A book of its own."""
    return new_id()


def receipt(fen: int = 106) -> list[dict[str, Any]]:
    """Money received: into the bank, to be distributed, its VAT apart."""
    return [line(BANK, fen, 0), line(UNDISTRIBUTED, 0, fen - 6), line(VAT, 0, 6)]


def cause() -> Journal:
    """Something that may be booked; the books look at no more than its kind and id."""
    return Journal(id=new_id())


def post(town: Town, book_id: str, lines: list[dict[str, Any]], **more: Any) -> books.Entry:
    facts = {"cause": cause(), "effective_on": DAY, "memo": "收款", **more}
    with town.deed() as session:
        return books.post(session, "system", town.now, book_id=book_id, lines=lines, **facts)


def stands(town: Town, book_id: str) -> dict[tuple[str, str], tuple[int, int]]:
    """What is posted and held of each account."""
    with town.reading() as session:
        rows = session.scalars(select(books.BookAccount).where(books.BookAccount.book == book_id))
        return {(row.account, row.party): (row.posted_fen, row.held_fen) for row in rows}


def told(town: Town) -> list[str]:
    """What the audit of the books finds."""
    with town.reading() as session:
        return [f"{one[0]}: {one[1]}" for one in audit_books.audit_books(session.connection())]


# ---------------------------------------------------------------- entries


def test_what_is_posted_at_once_is_what_is_posted_one_by_one(village: Town) -> None:
    one, many = book(), book()
    made = [post(village, one, receipt(fen)) for fen in (106, 212)]
    asked = [Booking("payment", new_id(), many, DAY, "收款", receipt(fen)) for fen in (106, 212)]
    with village.deed() as session:
        ids = books.post_many(session, "system", village.now, asked)
    before = village.snapshot()
    with village.deed() as session:
        assert books.post_many(session, "system", village.now, asked) == ids
    assert village.snapshot() == before
    assert stands(village, one) == stands(village, many)
    own = {"id", "number", "cause_id", "book_id", "body_digest"}
    with village.reading() as session:
        for entry_id, entry in zip(ids, made, strict=True):
            body = session.get_one(books.Entry, entry_id).body()
            assert {k: v for k, v in body.items() if k not in own} == {
                k: v for k, v in entry.body().items() if k not in own
            }
            assert log.record_of(session, entry_id, 1).digest
    assert made[0].effective_at.isoformat() == "2026-03-01T16:00:00+00:00"
    assert told(village) == []
    other = [Booking("payment", asked[0].cause_id, many, DAY, "收款", receipt(107))]
    with village.deed() as session, pytest.raises(Conflict, match="booked this otherwise"):
        books.post_many(session, "system", village.now, other)


def test_an_account_does_not_fall_below_its_floor_and_a_refusal_leaves_no_trace(
    village: Town,
) -> None:
    mine = book()
    post(village, mine, receipt())
    before = village.snapshot()
    with pytest.raises(Invalid, match=r"1002 银行存款 1.06 yuan are free, 1.07 yuan are asked"):
        post(village, mine, [line(FEES, 107, 0), line(BANK, 0, 107)])
    with pytest.raises(Invalid, match=r"2205 预收账款 B 0.00 yuan are free"):
        post(village, mine, [line(PREPAID, 1, 0, "B"), line(UNDISTRIBUTED, 0, 1)])
    assert village.snapshot() == before
    post(village, mine, [line(PAYABLE, 5, 0, "P"), line(UNDISTRIBUTED, 0, 5)])  # a late refund
    assert stands(village, mine)[PAYABLE, "P"] == (-5, 0)


def test_an_entry_is_reversed_once_by_a_linked_one(village: Town) -> None:
    mine, entry = book(), None
    entry = post(village, mine, receipt())
    why = cause()

    def reverse(memo: str = "冲销", known: books.Entry = entry) -> books.Entry:
        with village.deed() as session:
            found = session.get_one(books.Entry, known.id)
            return books.reverse(session, "system", village.now, found, cause=why, effective_on=DAY,
                                 memo=memo)  # fmt: skip

    made = reverse()
    before = village.snapshot()
    assert reverse().id == made.id
    assert made.reverses == entry.id
    with pytest.raises(Conflict, match=f"{entry.number} was reversed by {made.number}"):
        reverse("另一次")
    with pytest.raises(Conflict, match="a reversal itself"):
        reverse(known=made)
    assert village.snapshot() == before
    assert set(stands(village, mine).values()) == {(0, 0)}
    with village.reading() as session:
        assert books.linked(session, session.get_one(books.Entry, entry.id)).id == made.id  # type: ignore[union-attr]


RAW = {
    "an entry edited": "UPDATE entries SET memo = 'x'",
    "an entry deleted": "DELETE FROM entries",
    "a line edited": "UPDATE entry_lines SET debit_fen = debit_fen + 1",
    "a line deleted": "DELETE FROM entry_lines",
    "a line more": "INSERT INTO entry_lines SELECT entry, n + 9, book, account, party, effective_on, "
    "debit_fen, credit_fen FROM entry_lines",
    "a line twice": "INSERT INTO entry_lines SELECT * FROM entry_lines",
    "an entry that does not balance": """INSERT INTO entries ({columns}) SELECT {with_lines}""",
    "an entry of no book": "INSERT INTO entries ({columns}) SELECT {without_book}",
    "an account below its floor": "UPDATE book_accounts SET posted_fen = -1 WHERE floor_fen = 0",
    "more held than is there": "UPDATE book_accounts SET held_fen = posted_fen + 1",
    "less than nothing held": "UPDATE book_accounts SET held_fen = -1",
}
COLUMNS = ("id", "version", "number", "cause_id", "effective_on", "memo", "lines", "reverses", "cause_key",
           "book_id", "body_digest", "recorded_at", "effective_at")  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_the_database_itself_refuses(village: Town, name: str) -> None:
    post(village, book(), receipt())
    lame = (
        '[{"account":"1002 银行存款","credit_fen":0,"debit_fen":1,"party_id":null},'
        '{"account":"2221 应交增值税","credit_fen":0,"debit_fen":0,"party_id":null}]'
    )
    fresh = {"id": "'new'", "number": "'new'", "cause_id": "'new'"}
    selected = {
        "with_lines": {**fresh, "lines": f"'{lame}'"}, "without_book": {**fresh, "book_id": "NULL"},
    }  # fmt: skip
    statement = RAW[name].format(
        columns=", ".join(COLUMNS),
        **{
            key: ", ".join(given.get(one, one) for one in COLUMNS) + " FROM entries LIMIT 1"
            for key, given in selected.items()
        },
    )
    before = village.snapshot()
    with pytest.raises(DBAPIError) as refused, village.home.engine.begin() as connection:
        connection.exec_driver_sql(statement)
    said = str(refused.value)
    assert "book_accounts" in said or "entries:" in said or "entry_lines" in said
    assert village.snapshot() == before


def test_replacing_is_no_way_around_the_guards(village: Town) -> None:
    if village.home.engine.dialect.name != "sqlite":
        with pytest.raises(DBAPIError), village.home.engine.begin() as connection:
            connection.exec_driver_sql("TRUNCATE entries")
        return
    post(village, book(), receipt())
    for table in ("entries", "entry_lines"):
        with pytest.raises(DBAPIError, match=table), village.home.engine.begin() as connection:
            connection.exec_driver_sql(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


# ---------------------------------------------------------------- holds


def test_what_is_held_is_neither_held_nor_paid_twice_until_it_is_let_go(village: Town) -> None:
    mine, paid = book(), [line(UNDISTRIBUTED, 100, 0), line(BANK, 0, 100)]
    post(village, mine, receipt())
    why = cause()

    def hold(key: str, days: int = 1) -> holds.Hold:
        with village.deed() as session:
            return holds.hold(
                session, "system", village.now, cause=why, key=key, book_id=mine, lines=paid,
                expires_at=village.now + timedelta(days=days),
            )  # fmt: skip

    def do(act: Callable[[Session, holds.Hold], Any], held: holds.Hold) -> Any:
        with village.deed() as session:
            return act(session, session.get_one(holds.Hold, held.id))

    first = hold("1")
    assert hold("1").id == first.id
    assert stands(village, mine)[BANK, ""] == (106, 100)
    paid[0]["debit_fen"] = paid[1]["credit_fen"] = 99
    with pytest.raises(Conflict, match="set this aside otherwise"):
        hold("1")
    paid[0]["debit_fen"] = paid[1]["credit_fen"] = 100
    before = village.snapshot()
    with pytest.raises(Invalid, match=r"0.06 yuan are free, 1.00 yuan are asked"):
        hold("2")
    with pytest.raises(Invalid, match=r"0.06 yuan are free"):
        post(village, mine, paid)
    assert village.snapshot() == before
    do(lambda s, held: holds.void(s, "system", village.now, held, "不付"), first)
    assert stands(village, mine)[BANK, ""] == (106, 0)
    second = hold("2")

    def book_it(session: Session, held: holds.Hold) -> books.Entry:
        return holds.post_hold(session, "system", village.now, held, effective_on=DAY, memo="付款")

    entry = do(book_it, second)
    assert do(book_it, second).id == entry.id
    assert stands(village, mine)[BANK, ""] == (6, 0)
    assert told(village) == []


def test_a_hold_expires_by_the_clock(village: Town) -> None:
    held = bookings.hold(village)
    for later, state in ((6, "pending"), (7, "expired"), (8, "expired")):
        now = village.now + timedelta(days=later)
        with village.deed() as session:
            TIMERS["holds"](session, now)
        with village.reading() as session:
            assert session.get_one(holds.Hold, held.id).state == state
    assert stands(village, held.book_id)[BANK, ""] == (1000, 0)


# ---------------------------------------------------------------- closings


def test_periods_follow_each_other_and_what_is_closed_takes_no_entry(village: Town) -> None:
    agreement = village.agreement()
    until = date(2026, 2, 28)

    def close(from_on: date, until_on: date) -> periods.Period:
        made: periods.Period = village.do(
            "mona", periods.close, agreement, from_on=from_on, until_on=until_on
        )
        return made

    with village.deed() as session:
        session.add(Number(prefix=f"settlements {agreement.id}", next=8))
    made = close(date(2026, 2, 1), until)
    assert (made.through_n, made.state) == (7, "closed")
    before = village.snapshot()
    assert close(date(2026, 2, 1), until).id == made.id
    for wrong, said in (
        ((date(2026, 2, 15), date(2026, 3, 1)), "ended on 2026-02-28"),
        ((date(2026, 3, 2), date(2026, 3, 2)), "has not ended; the last closing"),
        ((date(2026, 3, 1), date(2026, 2, 1)), "ends before it begins"),
    ):
        with pytest.raises(Invalid, match=said):
            close(*wrong)
    with pytest.raises(Conflict, match="closed until 2026-02-28"):
        post(village, agreement.id, receipt(), effective_on="2026-02-28")
    with pytest.raises(Conflict, match="closed until 2026-02-28"):
        bookings.journal(village, agreement, effective_on=until)
    with pytest.raises(NotAllowed):
        village.do("carl", periods.close, agreement, from_on=until, until_on=until)
    assert village.snapshot() == before
    with village.reading() as session:
        assert periods.open_day(session, agreement.id, "2026-02-03") == "2026-03-01"
        assert periods.open_day(session, agreement.id, "2026-03-02") == "2026-03-02"
    second = close(date(2026, 3, 1), date(2026, 3, 1))
    with pytest.raises(Conflict, match=f"Only the last closed period.*{second.number}"):
        village.do("carl", periods.reopen, made, "补记")
    with pytest.raises(NotAllowed):
        village.do("mona", periods.reopen, second, "补记")
    village.do("carl", periods.reopen, second, "补记")
    post(village, agreement.id, receipt(), effective_on="2026-03-01")
    assert close(date(2026, 3, 1), date(2026, 3, 1)).id != second.id


def test_a_balance_is_asserted_or_told(village: Town) -> None:
    mine = book()
    post(village, mine, receipt())
    with village.reading() as session:
        books.assert_balance(session, mine, BANK, 106)
        books.assert_balance(session, mine, VAT, 0, on="2026-03-01")
        with pytest.raises(Conflict, match=r"On 1002 银行存款 stand 1.06 yuan, not 1.05"):
            books.assert_balance(session, mine, BANK, 105)
        books.assert_kept(session, mine)
    with Session(village.home.engine) as session:
        session.execute(text("UPDATE book_accounts SET posted_fen = posted_fen + 1"))
        with pytest.raises(Conflict, match="run the audit"):
            books.assert_kept(session, mine)
        session.rollback()


# ---------------------------------------------------------------- journals


@pytest.mark.parametrize(
    ("debit", "credit"),
    [(PAYABLE, BANK), (UNDISTRIBUTED, BANK), (BANK, UNDISTRIBUTED), (FEES, VAT), (BANK, BANK)],
)
def test_a_journal_books_between_few_accounts_only(village: Town, debit: str, credit: str) -> None:
    with pytest.raises(Invalid, match="a journal does not book from"):
        bookings.journal(village, debit=debit, credit=credit)


def test_a_journal_is_booked_by_another_person_or_not_at_all(village: Town) -> None:
    made = bookings.journal(village)
    before = village.snapshot()
    agreement = village.get(Agreement, made)
    assert bookings.journal(village, agreement).id == made.id
    with pytest.raises(NotAllowed):
        village.do("mona", journals.approve, made)
    with pytest.raises(Invalid, match="amount is above nought; say what it is for"):
        bookings.journal(village, agreement, amount_fen=0, memo=" ")
    carl = village.actors["carl"]
    village.actors["max"] = replace(carl, roles=frozenset({"finance_maker"}))
    with pytest.raises(NotAllowed, match="Only its maker"):
        village.do("max", journals.withdraw, made, "更正")
    assert village.snapshot() == before
    village.do("carl", journals.reject, made, "无凭据")
    assert stands(village, made.agreement_id) == {}
    bookings.approved(village, agreement)
    assert stands(village, made.agreement_id) == {(BANK, ""): (1000, 0), (FEES, ""): (-1000, 0)}


# ---------------------------------------------------------------- the trial balance


def test_a_trial_balance_opens_moves_and_closes(village: Town) -> None:
    mine = book()
    post(village, mine, receipt(), effective_on="2026-02-01")
    post(village, mine, [line(UNDISTRIBUTED, 60, 0), line(PAYABLE, 0, 60, "P")])
    post(village, mine, [line(PAYABLE, 9, 0, "Q"), line(BANK, 0, 9)])
    with village.reading() as session:
        rows = trial_balance.trial_balance(session, mine, "2026-03-01", "2026-03-31")
        january = trial_balance.trial_balance(session, mine, until_on="2026-01-31")
        with pytest.raises(Invalid, match="ends before it begins"):
            trial_balance.trial_balance(session, mine, "2026-03-02", "2026-03-01")
    assert {(row.account, row.party): row.amounts() for row in rows} == {
        (BANK, ""): (106, 0, 0, 9, 97, 0), (UNDISTRIBUTED, ""): (0, 100, 60, 0, 0, 40),
        (PAYABLE, "P"): (0, 0, 0, 60, 0, 60), (PAYABLE, "Q"): (0, 0, 9, 0, 9, 0),
        (VAT, ""): (0, 6, 0, 0, 0, 6),
    }  # fmt: skip
    assert trial_balance.totals_of(rows) == (106, 106, 69, 69, 106, 106)
    assert january == []
    for some in (rows, january):
        target = BytesIO()
        trial_balance.write_trial_balance(some, "试算", target)
        sheet = openpyxl.load_workbook(target).active
        formulas = [
            cell.value for row in sheet.iter_rows() for cell in row if cell.data_type == "f"
        ]
        assert len(formulas) == 2 * len(some) + 6
        assert all(formula.startswith(("=ROUND(MAX(", "=SUM(", "=0")) for formula in formulas)


# ---------------------------------------------------------------- the audit


def test_the_audit_tells_what_the_guards_would_have_refused(village: Town) -> None:
    held = bookings.hold(village)
    mine = book()
    entry = post(village, mine, receipt())
    assert told(village) == []
    sqlite = village.home.engine.dialect.name == "sqlite"
    past = ["PRAGMA foreign_keys=OFF"] if sqlite else ["SET session_replication_role = replica"]
    where = f"WHERE entry = '{entry.id}' AND n = 0"
    for statement, said in {
        f"UPDATE entry_lines SET debit_fen = 105 {where}": f"entry_lines {entry.id} 0: row",
        f"DELETE FROM entry_lines {where}": f"entry_lines {entry.id} 0: row",
        "INSERT INTO entry_lines SELECT entry, n + 9, book, account, party, effective_on, debit_fen, "
        f"credit_fen FROM entry_lines {where}": "entry_lines: rows",
        f"UPDATE book_accounts SET posted_fen = 200 WHERE book = '{mine}' AND account = '{BANK}'":
            f"book_accounts {mine} {BANK}: posted_fen",
        f"UPDATE book_accounts SET held_fen = 0 WHERE book = '{held.book_id}'":
            f"book_accounts {held.book_id} {BANK}: held_fen",
        f"UPDATE book_accounts SET floor_fen = -9 WHERE book = '{mine}'":
            f"book_accounts {mine} {BANK}: floor_fen",
        f"DELETE FROM book_accounts WHERE book = '{mine}'": f"book_accounts {mine} {BANK}: row",
        f"UPDATE holds SET state = 'posted' WHERE id = '{held.id}'": f"booking {held.number}: state",
        f"UPDATE entries SET reverses = 'nothing' WHERE id = '{entry.id}'":
            f"booking {entry.number}: reverses",
    }.items():  # fmt: skip
        with village.home.engine.connect() as connection:
            guards = []
            for rule in past:
                connection.exec_driver_sql(rule)
            if sqlite:
                known = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
                guards = [name for (name,) in connection.exec_driver_sql(known).all()]
                for name in guards:
                    connection.exec_driver_sql(f"DROP TRIGGER {name}")
            assert connection.exec_driver_sql(statement).rowcount, statement
            found = [f"{one[0]}: {one[1]}" for one in audit_books.audit_books(connection)]
            assert said in found, statement
            if sqlite:
                missing = [one[3] for one in audit_books.audit_guards(connection)]
                assert len(missing) == len(guards) == 11
            connection.rollback()
    with village.reading() as session:
        assert list(audit_books.audit_guards(session.connection())) == []
    assert told(village) == []


# ---------------------------------------------------------------- at once


def test_clients_at_once_on_one_account_lose_and_double_nothing(town: Town) -> None:
    """Each of six posts, holds and books five times; some ask for more than is there."""
    mine, refused = book(), list[LedgerError]()
    post(town, mine, receipt(10_006))

    def client(n: int) -> None:
        for turn in range(5):
            why = cause()
            paid = [line(UNDISTRIBUTED, 100, 0), line(BANK, 0, 100)]
            try:
                with town.home.deed(town.now) as session:
                    held = holds.hold(
                        session, "system", town.now, cause=why, book_id=mine, lines=paid,
                        expires_at=town.now + timedelta(days=1),
                    )  # fmt: skip
                with town.home.deed(town.now) as session:
                    found = session.get_one(holds.Hold, held.id)
                    holds.post_hold(session, "system", town.now, found, effective_on=DAY, memo="")
                if turn == 4:
                    post(town, mine, [line(UNDISTRIBUTED, 10_000, 0), line(BANK, 0, 10_000)])
            except Invalid as error:
                refused.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 6
    assert stands(town, mine)[BANK, ""] == (10_006 - 6 * 5 * 100, 0)
    assert told(town) == []
