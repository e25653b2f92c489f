"""Reconciliation: what matches and what does not, who owes the answer, two balances brought together."""

from collections import Counter
from datetime import date, timedelta
from time import process_time
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from ledger import (
    bank_matching,
    books,
    deadlines,
    payout_results,
    reconciliation,
    trade_reports,
    trade_rules,
)
from ledger.agreements import Agreement
from ledger.bank_files import ROWS_MAX, BankLine
from ledger.bank_matching import Booked
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.parties import allowed
from ledger.payout_rows import Payout
from ledger.tables.tabular_cells import day_of
from ledger.vouchers import Voucher
from tests.conftest import Town
from tests.ledger import bookings
from tests.ledger.paying import (
    approved,
    bank_says,
    came_back,
    confirm,
    give_back,
    in_one,
    lines,
    now,
)

pytestmark = pytest.mark.pages  # on PostgreSQL slowly


def row(
    n: int, amount: int, reference: str = "", day: str = "2026-03-02", name: str = ""
) -> BankLine:
    return BankLine(n, day, reference, amount, name, "", None)


def booked(
    n: int, amount: int, reference: str = "", day: str = "2026-03-02", name: str = ""
) -> Booked:
    return Booked(f"id{n}", f"JZ{n}", day, reference, amount, name, "payment")


def kinds(found: bank_matching.Outcome) -> list[str]:
    return sorted(one.kind for one in found.findings)


def test_by_reference_then_by_what_is_unique_and_never_by_guessing() -> None:
    found = bank_matching.match(
        [row(2, 5, "A"), row(3, 7, name="甲 公司"), row(4, 9, name="乙"), row(5, 9, name="乙")],
        [booked(1, 5, "a"), booked(2, 7, "其他", name="甲公司"), booked(3, 9, name="乙")],
    )  # fmt: skip
    assert [(r.row, b.number, how) for r, b, how in found.pairs] == [
        (2, "JZ1", "reference"), (3, "JZ2", "facts"),
    ]  # fmt: skip
    assert kinds(found) == ["missing_here", "missing_here", "missing_there"], "two equals: no guess"


@pytest.mark.parametrize(
    ("rows", "entries", "kind"),
    [
        ([row(2, 5, "A")], [booked(1, 6, "A")], ["amount"]),
        ([row(2, 5, "A", "2026-03-03")], [booked(1, 5, "A")], ["day"]),
        ([row(2, 5, "A"), row(3, 5, "A")], [booked(1, 5, "A")], ["twice"]),
        ([row(2, 5, "A")], [booked(1, 5, "A"), booked(2, 5, "A")], ["twice"]),
        ([row(2, 5, "A")], [], ["missing_here"]),
        ([], [booked(1, 5, "A")], ["missing_there"]),
        ([row(2, 5)], [booked(1, 5)], ["missing_here", "missing_there"]),
        ([row(2, 5, "A"), row(3, -5, "A")], [booked(1, 5, "A"), booked(2, -5, "A")], []),
        ([row(2, -5, "A")], [booked(1, -2, "A"), booked(2, -3, "A")], []),
        ([row(2, -5, "A")], [booked(1, -2, "A"), booked(2, -3, "B")], ["amount", "missing_there"]),
        ([row(2, -5, "A")], [booked(1, -2, "A"), booked(2, -2, "A")],
         ["missing_here", "missing_there", "missing_there"]),
        ([row(2, -5, "A"), row(3, -5, "A")], [booked(1, -2, "A"), booked(2, -3, "A")], ["twice"]),
        ([row(2, -5, "A"), row(3, 2, "A")],
         [booked(1, -2, "A"), booked(2, -3, "A"), booked(3, 2, "A")], []),
        ([row(2, -5, "A", "2026-03-03")], [booked(1, -2, "A"), booked(2, -3, "A")], ["day"]),
    ],
)  # fmt: skip
def test_each_kind_of_difference(
    rows: list[BankLine], entries: list[Booked], kind: list[str]
) -> None:
    assert kinds(bank_matching.match(rows, entries)) == kind


def test_a_debit_of_many_on_another_day_is_one_difference_of_its_whole() -> None:
    """Else the statement that holds a debit of a thousand payments could not be taken in."""
    entries = [booked(n, -2, "A") for n in range(1_001)]
    found = bank_matching.match([row(2, -2_002, "A", "2026-03-03")], entries)
    [one] = found.findings
    assert one.ours is not None
    assert (one.kind, one.ours["amount_fen"], one.ours["number"]) == ("day", -2_002, "JZ0")
    assert len(found.pairs) == len(entries)


ONE = st.tuples(st.integers(-3, 3).filter(bool), st.sampled_from(["", "A", "B"]),
                st.sampled_from(["2026-03-02", "2026-03-03"]),
                st.sampled_from(["", "甲", "乙"]))  # fmt: skip


@given(st.lists(ONE, max_size=7), st.lists(ONE, max_size=7))
def test_nothing_is_matched_twice_or_lost(theirs: list[Any], ours: list[Any]) -> None:
    found = bank_matching.match(
        [row(n, *one) for n, one in enumerate(theirs)], [booked(n, *one) for n, one in enumerate(ours)]
    )  # fmt: skip
    parts = Counter(r.row for r, _, _ in found.pairs)
    for of, count in parts.items():  # one debit of several payments comes to their sum
        paid = [b.amount_fen for r, b, _ in found.pairs if r.row == of]
        assert count == 1 or sum(paid) == theirs[of][0]
    rows = [*parts, *(r.row for r in found.rows)]
    entries = [b.number for _, b, _ in found.pairs] + [b.number for b in found.booked]
    for one in found.findings:
        if one.kind == "twice":
            rows += [one.theirs["row"]] if one.theirs else []
            entries += [one.ours["number"]] if one.ours else []
    assert sorted(rows) == list(range(len(theirs)))
    assert sorted(entries) == sorted(f"JZ{n}" for n in range(len(ours)))


@pytest.mark.slow
def test_as_many_rows_as_a_file_may_have_are_matched_in_no_time() -> None:
    """All under one reference, as a batch has; the days alike, another, or in another order."""
    days = ("2026-03-02", "2026-03-03")
    rows = [row(n, n % 25_000 + 1, "A", days[n % 2]) for n in range(ROWS_MAX)]
    entries = [booked(n, n % 25_000 + 1, "A", days[0]) for n in reversed(range(ROWS_MAX))]
    began = process_time()
    found = bank_matching.match(rows, entries)
    assert process_time() - began < 2
    assert (len(found.pairs), bank_matching.counts(found.findings)["day"]) == (50_000, 25_000)
    assert not [*found.rows, *found.booked, *found.twice]


# -- with a bank -----------------------------------------------------------------------------------


def paid_town(town: Town) -> tuple[Agreement, list[BankLine]]:
    """A town that was paid and has paid, and the account statement that fits it."""
    made = approved(town)
    confirm(town, made, True, True)
    agreement = town.get(Agreement, made)
    with town.reading() as session:
        entries = reconciliation._unmatched(session, agreement, local_date(town.now), [])
    total, rows = 0, []
    for n, one in enumerate(entries):
        total += one.amount_fen
        rows.append(
            BankLine(n + 2, one.day, one.reference, one.amount_fen, one.counterparty, "", total)
        )
    assert len(rows) == 1 + len(lines(town, made))
    return agreement, rows


@pytest.mark.slow
def test_a_payment_that_came_back_is_two_movements_of_the_bank(town: Town) -> None:
    agreement, rows = paid_town(town)
    [paid, *_] = [one for one in rows if one.amount_fen < 0]
    with town.reading() as session:
        payout = session.scalars(select(Payout)).one()
    n = next(n for n, one in enumerate(lines(town, payout)) if one.bank_reference == paid.reference)
    back = came_back(town, payout, n)
    give_back(town, payout, n)
    total = sum(one.amount_fen for one in rows) + back.amount_fen
    last = BankLine(9, back.day, back.reference, back.amount_fen, paid.counterparty, "退汇", total)
    made = bank_says(town, agreement, *rows, last)
    assert (made.matched_count, set(made.counts.values())) == (4, {0})


@pytest.mark.slow
def test_one_debit_of_the_bank_is_several_payments(town: Town) -> None:
    payout = approved(town)
    paid = in_one(town, payout)
    town.do("mona", payout_results.confirm, payout, paid, name="r", digest="sha256:r")
    agreement = town.get(Agreement, payout)
    with town.reading() as session:
        received, *_ = reconciliation._unmatched(session, agreement, local_date(town.now), [])
    first = BankLine(2, received.day, received.reference, received.amount_fen, "", "",
                     received.amount_fen)  # fmt: skip
    debit = BankLine(3, paid[0].day, "PL1", -payout.amount_fen, "批量代付", "",
                     received.amount_fen - payout.amount_fen)  # fmt: skip
    made = bank_says(town, agreement, first, debit)
    assert (made.matched_count, set(made.counts.values())) == (2, {0})
    assert [pair[1:2] for pair in made.pairs] == [[2], [3], [3]]
    sums = made.balances
    assert (sums["otherwise_fen"], sums["adjusted_bank_fen"]) == (0, sums["adjusted_book_fen"])


def test_a_statement_that_fits_has_no_difference_and_is_taken_once(town: Town) -> None:
    agreement, rows = paid_town(town)
    made = bank_says(town, agreement, *rows)
    assert (made.matched_count, made.counts) == (3, dict.fromkeys(bank_matching.KINDS, 0))
    sums = made.balances
    assert (
        sums["adjusted_bank_fen"]
        == sums["adjusted_book_fen"]
        == sums["book_fen"]
        == rows[-1].balance_fen
    )
    whole = town.snapshot()
    last = date.fromisoformat(made.until_on)
    assert bank_says(town, agreement, *rows, until_on=last).id == made.id
    assert town.snapshot() == whole
    with pytest.raises(Invalid, match=f"reconciled with {made.number}"):
        bank_says(town, agreement, name="other.csv", until_on=last)
    with pytest.raises(Conflict, match=f"s.csv was reconciled already with {made.number}"):
        bank_says(town, agreement, *rows, until_on=last, from_on=last)
    assert town.snapshot() == whole


def test_what_one_side_lacks_is_owed_by_who_knows_and_explains_the_balances(town: Town) -> None:
    agreement, rows = paid_town(town)
    received, paid, *_ = rows
    day = local_date(town.now).isoformat()
    theirs = [received, BankLine(9, day, "FEE", -150, "银行", "手续费", None),
              BankLine(10, day, "UNKNOWN", 7_000, "丙公司", "", None)]  # fmt: skip
    total, told = 0, []
    for one in theirs:
        total += one.amount_fen
        told.append(
            BankLine(
                one.row, one.day, one.reference, one.amount_fen, one.counterparty, one.memo, total
            )
        )
    made = bank_says(town, agreement, *told)
    assert made.balances["adjusted_bank_fen"] == made.balances["adjusted_book_fen"]
    with town.reading() as session:
        found = reconciliation.differences(session, made)
    assert sorted((one.kind, one.owed_by, one.amount_fen) for one in found) == sorted([
        ("missing_here", "finance", 150), ("missing_here", "operator", 7_000),
        ("missing_there", "bank", -paid.amount_fen), ("missing_there", "bank", -rows[2].amount_fen),
    ])  # fmt: skip
    assert {one.due["days"] for one in found} == {reconciliation.ANSWER_DAYS}
    mine = next(one for one in found if one.owed_by == "operator")
    assert mine.owner_id == agreement.operator_id
    assert {login for login in town.actors
            if allowed(town.actors[login], "difference.read", (mine.owner_id,))} == {
        "mona", "carl", "cora", "max", "gwen", "olga", "opal",
    }  # fmt: skip
    assert [term.name for term, _ in deadlines.running(mine)] == ["difference.answer"]


@pytest.mark.slow
def test_a_difference_is_answered_by_who_owes_it_and_settled_by_another(town: Town) -> None:
    agreement, rows = paid_town(town)
    made = bank_says(town, agreement, *rows, BankLine(10, rows[0].day, "U", 7_000, "丙", "", None))
    with town.reading() as session:
        [one] = reconciliation.differences(session, made)
    for login in ("mallory", "egon", "carl"):
        with pytest.raises(NotAllowed):
            town.do(login, reconciliation.answer, one, "x")
    with pytest.raises(Invalid):
        town.do("olga", reconciliation.answer, one, " ")
    with pytest.raises(Conflict):
        town.do("carl", reconciliation.settle, one, "x")
    town.do("olga", reconciliation.answer, one, "客户多付, 已登记来款")
    town.later(days=2)
    town.do("carl", reconciliation.reopen, one, "没有凭证")
    assert now(town, one).due["on"] > one.due["on"]
    town.do("mona", reconciliation.answer, one, "附凭证")
    with pytest.raises(NotAllowed, match="another person"):
        town.do("mona", reconciliation.settle, one, "好")
    town.do("carl", reconciliation.reopen, one, "再查")
    town.do("olga", reconciliation.answer, one, "附凭证")
    for login in ("mona", "olga"):
        with pytest.raises(NotAllowed):
            town.do(login, reconciliation.settle, one, "她导入的")
    town.do("carl", reconciliation.settle, one, "核对无误")
    assert (now(town, one).state, now(town, one).finding) == ("settled", "核对无误")


@pytest.mark.slow
def test_what_is_open_is_looked_for_again_and_answered_when_it_comes(town: Town) -> None:
    agreement, rows = paid_town(town)
    first = bank_says(town, agreement, *rows[:2])
    with town.reading() as session:
        [open_one] = reconciliation.differences(session, first)
    assert open_one.kind == "missing_there"
    today = local_date(town.now)
    late = BankLine(
        2, today.isoformat(), rows[2].reference, rows[2].amount_fen, rows[2].counterparty, "", None
    )
    second = bank_says(town, agreement, late, name="2.csv", from_on=today)
    assert second.counts == {**dict.fromkeys(bank_matching.KINDS, 0), "day": 1}
    assert [pair[:2] for pair in second.pairs] == [[second.number, 2]]
    answered = now(town, open_one)
    assert (answered.state, answered.answered_by) == ("answered", "system")
    town.do("carl", reconciliation.settle, answered, "已到账")
    third = bank_says(town, agreement, name="3.csv", from_on=local_date(town.now))
    assert third.counts == dict.fromkeys(bank_matching.KINDS, 0)


MOVE = st.tuples(st.sampled_from(["bank", "books", "both", "other", "twice", "reversed"]),
                 st.integers(1, 900))  # fmt: skip


@pytest.mark.slow
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(days=st.lists(st.lists(MOVE, max_size=4), min_size=1, max_size=4))
def test_both_balances_come_to_the_same_whatever_either_side_lacks(
    town: Town, days: list[list[tuple[str, int]]]
) -> None:
    """Over several account statements, with what is late, booked otherwise, told twice or undone."""
    agreement, total, late = town.agreement(), 0, list[tuple[str, int, str]]()
    for n, moves in enumerate(days):
        today, rows = local_date(town.now).isoformat(), list[BankLine]()
        bank = [(f"L{n}-{m}", fen, name) for m, (_, fen, name) in enumerate(late)]
        late = []
        for m, (kind, fen) in enumerate(moves):
            if kind != "bank":
                made = bookings.approved(town, agreement, amount_fen=fen, memo=f"{n}-{m}")
                if kind == "reversed":
                    with town.deed() as session:
                        entry = books.entry_of(session, made.id)
                        books.reverse(session, "system", town.now, entry, cause=made,
                                      effective_on=today, memo="冲回")  # fmt: skip
                if kind == "books":
                    late.append(("", fen, ""))
            if kind in ("bank", "both", "other", "twice"):
                bank += [(f"B{n}-{m}", fen + (kind == "other"), "")] * (1 + (kind == "twice"))
        for place, (reference, fen, name) in enumerate(bank):
            total += fen
            rows.append(BankLine(place + 2, today, reference, fen, name, "", total))
        found = bank_says(
            town, agreement, *rows, name=f"{today}{n}{total}", from_on=local_date(town.now)
        )
        sums = found.balances
        assert found.counts["balance"] == 0
        assert sums["adjusted_bank_fen"] in (sums["adjusted_book_fen"], None), (days, sums)


@pytest.mark.slow
def test_days_that_do_not_fit_are_named_and_nothing_is_kept(town: Town) -> None:
    agreement, rows = paid_town(town)
    before = town.snapshot()
    with pytest.raises(Invalid) as refusal:
        bank_says(
            town,
            agreement,
            *rows,
            until_on=local_date(town.now) + timedelta(days=1),
            from_on=local_date(town.now),
        )
    assert "must run forwards and be over" in str(refusal.value)
    assert f"row 2: {rows[0].day} is outside the days stated" in str(refusal.value)
    assert town.snapshot() == before


@pytest.mark.slow
def test_no_day_is_left_out_and_none_is_taken_before_it_is_over(town: Town) -> None:
    agreement, rows = paid_town(town)
    today = local_date(town.now)
    before = town.snapshot()
    with pytest.raises(Invalid, match="run forwards and be over"):
        town.do("mona", reconciliation.import_bank, agreement, rows, name="s", digest="sha256:s",
                from_on=date(2026, 3, 1), until_on=today)  # fmt: skip
    with town.reading() as session:
        first = reconciliation._first_entry(session, agreement)
    with pytest.raises(
        Invalid, match=f"the book's first movement is of {first}: begin with that day"
    ):
        bank_says(town, agreement, from_on=date.fromisoformat(first) + timedelta(days=1))
    assert town.snapshot() == before
    made = bank_says(town, agreement, *rows, until_on=today)
    town.later(days=2)
    for start in (today, today + timedelta(days=2)):
        with pytest.raises(Invalid, match=f"{made.number}: begin with {today + timedelta(days=1)}"):
            bank_says(town, agreement, name="2", from_on=start, until_on=today + timedelta(days=2))
    empty = {"name": "2", "from_on": today + timedelta(days=1)}
    second = bank_says(town, agreement, **empty, until_on=today + timedelta(days=1))
    assert second.counts == dict.fromkeys(bank_matching.KINDS, 0)
    third = bank_says(town, agreement, name="2", from_on=today + timedelta(days=2))
    assert third.id != second.id, "a file without rows is the same for other days"


@pytest.mark.slow
def test_a_file_begins_with_the_balance_that_the_last_one_ended_with(town: Town) -> None:
    """Each unexplained amount is one difference, once, also over files without balances."""
    agreement = town.agreement()

    def says(name: str, *moves: tuple[int, int | None]) -> tuple[Any, list[tuple[Any, ...]]]:
        day = local_date(town.now)
        rows = [BankLine(n + 2, day.isoformat(), f"{name}{n}", fen, "", "", balance)
                for n, (fen, balance) in enumerate(moves)]  # fmt: skip
        made = bank_says(town, agreement, *rows, name=name, from_on=day)
        with town.reading() as session:
            found = reconciliation.differences(session, made)
        return made, [(one.theirs["amount_fen"], one.ours["amount_fen"], one.owed_by, one.amount_fen)
                      for one in found if one.kind == "balance"]  # fmt: skip

    first, found = says("a", (100, 150))
    assert found == [(150, 100, "finance", 50)], "a balance from before the first file"
    assert first.counts["balance"] == 1
    assert says("b", (20, 170))[1] == [], "the same amount is not found again"
    assert says("c", (7, None))[1] == []
    assert says("d")[1] == []
    assert says("e", (-7, 170))[1] == [], "177 stood there, by the movements"
    made, found = says("f", (5, 205))
    assert found == [(200, 170, "bank", 30)]
    with town.reading() as session:
        [one] = [d for d in reconciliation.differences(session, made) if d.kind == "balance"]
    assert one.owner_id is None
    town.do("mona", reconciliation.answer, one, "银行补登一笔利息")
    town.do("carl", reconciliation.settle, one, "属实")
    assert says("g", (5, 210))[1] == []


# -- with an exchange ------------------------------------------------------------------------------


REPORT = "交易编号,金额,交易日期\n"


@pytest.mark.slow
def test_an_exchange_s_report_is_matched_with_what_it_confirmed(town: Town) -> None:
    agreement, licence = town.sold()
    town.confirmation(agreement, town.get(Voucher, licence))
    day = local_date(town.now).isoformat()
    text = REPORT + f"T-1,106.00,{day}\nT-2,107.01,{day}\nT-9,1.00,{day}\nT-1,106.00,{day}\n"
    today = local_date(town.now)
    facts: dict[str, Any] = {
        "from_on": today,
        "until_on": today,
        "name": "r.csv",
        "digest": "sha256:r",
    }
    report = trade_reports.read_report(text.encode("gb18030"), "r.csv")
    exchange = town.party("exchange")
    with pytest.raises(Invalid, match="run forwards and be over"):
        town.do("mona", reconciliation.import_exchange, agreement, exchange, report, **facts)
    town.later(days=2)
    late = {**facts, "from_on": today + timedelta(days=1), "until_on": today + timedelta(days=1)}
    with pytest.raises(Invalid, match=f"the first trade that it confirmed is of {today}"):
        town.do("mona", reconciliation.import_exchange, agreement, exchange, report, **late)
    made = town.do("mona", reconciliation.import_exchange, agreement, exchange, report, **facts)
    assert (made.matched_count, made.row_count, made.in_fen) == (1, 4, 32_001)
    assert made.counts == {"amount": 1, "day": 0, "missing_here": 1, "missing_there": 1, "twice": 1,
                           "balance": 0}  # fmt: skip
    with town.reading() as session:
        found = reconciliation.differences(session, made)
    assert {one.owner_id for one in found} == {town.parties["exchange"]}
    town.do("egon", reconciliation.answer, found[0], "更正成交确认")
    whole = town.snapshot()
    assert (
        town.do("mona", reconciliation.import_exchange, agreement, exchange, report, **facts).id
        == made.id
    )
    with pytest.raises(Conflict, match=f"reconciled already with {made.number}"):
        town.do("mona", reconciliation.import_exchange, agreement, exchange, report, **late)
    with pytest.raises(Invalid, match=f"{made.number}: begin with {late['from_on']}"):
        town.do("mona", reconciliation.import_exchange, agreement, exchange, report,
                **{**facts, "digest": "sha256:2"})  # fmt: skip
    assert town.snapshot() == whole
    other = town.do(
        "mona", reconciliation.import_exchange, agreement, town.party("bank"), report, **facts
    )
    assert other.id != made.id, "the same file of another exchange"
    earlier = today - timedelta(days=1)
    with pytest.raises(Invalid, match=f"row 2: {day} is outside"):
        trade_reports.check_days(report, "r.csv", earlier, earlier)


def test_every_faulty_row_of_a_report_is_named_at_once() -> None:
    with pytest.raises(Invalid) as refusal:
        trade_reports.read_report(
            (REPORT + ",1.234,2026-02-30\nA,1,2026/03/01\n").encode(), "r.csv"
        )
    assert str(refusal.value).count("row 2") == 3
    with pytest.raises(Invalid, match="lacks the columns 金额"):
        trade_reports.read_report("交易编号,日期\nA,2026-03-01\n".encode(), "r.csv")


SPELLINGS = (
    "2026-03-02",
    "2026/3/2",
    "20260302",
    "2026年3月2日",
    "2026年03月02日 10:00",
    "2026/03/02 9:5",
)
NO_DAYS = (
    "2.3.2026",
    "2026-3/2",
    "2026-02-30",
    "2026-03-02x",
    "20261301",
    "0000-01-01",
    "3月2日",
    "2026",
)


def test_one_day_is_spelled_alike_in_reports_trades_and_account_statements() -> None:
    text = "".join(f"T{n},1.00,{day}\n" for n, day in enumerate(SPELLINGS))
    report = trade_reports.read_report((REPORT + text).encode(), "r.csv")
    assert report["day"].to_list() == ["2026-03-02"] * len(SPELLINGS)
    for n, day in enumerate(NO_DAYS):
        with pytest.raises(Invalid, match=f"row 3: {day} is no day"):
            trade_reports.read_report((REPORT + f"A,1,20260302\nB{n},1,{day}\n").encode(), "r.csv")
    cells = (*SPELLINGS, *NO_DAYS, "")
    trades = pl.DataFrame({"on": cells}).with_columns(
        amount_yuan=pl.lit("1"), unit=pl.lit(""), quantity=pl.lit("")
    )
    assert trade_rules.prepared(trades)["day"].to_list() == [day_of(one) for one in cells]


def test_two_files_that_have_nothing_in_common_are_the_wrong_file() -> None:
    frame = pl.DataFrame({"row": range(1_001), "trade": [f"T{n}" for n in range(1_001)],
                          "amount_fen": [1] * 1_001, "day": ["2026-03-02"] * 1_001})  # fmt: skip
    with pytest.raises(Invalid, match="is it the report"):
        trade_reports.match_trades(frame.drop("row").clear(), frame, "r.csv")


def test_amounts_of_a_report_are_whole_fen_without_a_float() -> None:
    frame = pl.DataFrame({"amount": ["0.1", "1234.56", "7", "90071992547.93"]})
    assert frame.select(trade_reports.amount_parts("amount")).to_series().to_list() == [
        10, 123_456, 700, 9_007_199_254_793,
    ]  # fmt: skip
