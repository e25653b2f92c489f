"""Payouts: what is due is held, approved by others, paid once, and booked as the bank says."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ledger import (
    books,
    holds,
    payment_files,
    payout_dues,
    payout_results,
    payout_rows,
    payouts,
    periods,
    successions,
)
from ledger import settings as house_settings
from ledger.agreements import Agreement
from ledger.bank_files import Result, read_results
from ledger.calendar import local_date
from ledger.errors import Conflict, Faults, Invalid, LedgerError, Missing, NotAllowed
from ledger.parties import Party
from ledger.payout_rows import Payout, PayoutLine
from ledger.revenue import Statement
from ledger.tabular import read_table
from tests.conftest import Town
from tests.ledger.paying import (
    account,
    approved,
    came_back,
    came_in,
    confirm,
    give_back,
    in_one,
    lines,
    now,
    owing,
    prepared,
    result_file,
    results,
)
from tests.ledger.test_finance_at_once import at_once
from valuation.money import yuan

pytestmark = pytest.mark.pages  # on PostgreSQL slowly


def stands(town: Town, agreement: Any) -> dict[str, int]:
    """What the book owes and has in the bank, and what of it is held."""
    with town.reading() as session:
        rows = session.scalars(select(books.BookAccount)).all()
        return {
            "owed": sum(x.posted_fen for x in rows if x.account in payout_dues.OWED),
            "held": sum(x.held_fen for x in rows if x.account in payout_dues.OWED),
            "bank": books.balance(session, agreement.agreement_id, books.BANK),
        }


def refused(town: Town, error: type[LedgerError], match: str, *asked: Any, **facts: Any) -> None:
    """A refusal that left every byte as it was."""
    before = town.snapshot()
    with pytest.raises(error, match=match):
        town.do(*asked, **facts)
    assert town.snapshot() == before


def threshold(town: Town, given: str) -> None:
    with town.deed() as session:
        house_settings.change(session, town.actors["admin"], "third_approval_yuan", given)


def line_party(line: PayoutLine) -> str:
    """Whose payment it is, as the town calls them."""
    return "bureau" if line.account == books.TREASURY else "operator"


def statement_of(session: Session, agreement: Agreement) -> Statement:
    return session.scalars(
        select(Statement).where(Statement.agreement_id == agreement.id).limit(1)
    ).one()


def test_a_payout_goes_from_what_is_due_to_what_is_paid(town: Town) -> None:
    made = prepared(town)
    assert [(x.serial[-5:], x.state) for x in lines(town, made)] == [
        ("00001", "held"),
        ("00002", "held"),
    ]
    before = stands(town, made)
    assert before["held"] == made.amount_fen == sum(x.amount_fen for x in lines(town, made))
    assert {x["why"] for x in made.left_out} == {"no_account"}
    refused(
        town,
        Conflict,
        "only an approved one",
        "mona",
        lambda s, _a, _n, row: payouts.payments(s, row),
        made,
    )
    town.do("carl", payouts.approve, made)
    done = confirm(town, made, True, True)
    after = stands(town, made)
    assert (done["paid_count"], done["paid_fen"], now(town, made).state) == (
        2,
        made.amount_fen,
        "paid",
    )
    assert after == {
        "bank": before["bank"] - made.amount_fen, "held": 0, "owed": before["owed"] - made.amount_fen,
    }  # fmt: skip
    whole = town.snapshot()
    assert confirm(town, made, True, True) == done, "the same file again is the same answer"
    assert town.snapshot() == whole


@pytest.mark.slow
def test_nothing_is_prepared_twice_and_the_same_again_is_the_same(town: Town) -> None:
    made = prepared(town)
    agreement = town.get(Agreement, made)
    assert town.do("mona", payouts.prepare, agreement).id == made.id
    refused(town, Conflict, "Nothing can be paid", "max", payouts.prepare, agreement)
    account(town, "bank")  # nobody owes it anything
    refused(town, Conflict, "Nothing can be paid", "max", payouts.prepare, agreement)


@pytest.mark.slow
def test_the_maker_does_not_approve_and_above_the_threshold_two_must(town: Town) -> None:
    agreement, _ = owing(town)
    account(town)
    threshold(town, "0")
    made = town.do("max", payouts.prepare, agreement)
    assert made.approvals_required == 2
    refused(town, NotAllowed, "another person", "max", payouts.approve, made)
    refused(town, NotAllowed, "role", "mona", payouts.approve, made)
    town.do("carl", payouts.approve, made)
    assert (now(town, made).state, now(town, made).digests) == ("prepared", None)
    refused(town, NotAllowed, "another person", "carl", payouts.approve, made)


@pytest.mark.slow
def test_whose_account_changed_meanwhile_is_not_approved(town: Town) -> None:
    made = prepared(town)
    account(town, account_number="80009999")
    refused(
        town,
        Conflict,
        "to bank account ZH2026-000001 no more, but to ZH2026-000003",
        "carl",
        payouts.approve,
        made,
    )
    town.do("mona", payouts.cancel, made, "账户变更")
    again = town.do("mona", payouts.prepare, town.get(Agreement, made))
    assert again.amount_fen == made.amount_fen, "what was cancelled is due again"


@pytest.mark.slow
def test_a_failed_payment_is_due_again_and_a_part_may_be_answered_first(town: Town) -> None:
    made = approved(town)
    first, second = results(town, made, True, False)
    town.do("mona", payout_results.confirm, made, [first], name="1.csv", digest="sha256:1")
    assert now(town, made).state == "partly_paid"
    town.do("mona", payout_results.confirm, made, [first, second], name="2.csv", digest="sha256:2")
    assert (now(town, made).state, [x.state for x in lines(town, made)]) == (
        "closed",
        ["paid", "failed"],
    )
    again = town.do("mona", payouts.prepare, town.get(Agreement, made))
    assert again.amount_fen == lines(town, made)[1].amount_fen


def test_every_row_that_does_not_fit_is_named_and_nothing_is_booked(town: Town) -> None:
    made = approved(town)
    one, two = results(town, made, True, True)
    later = (local_date(town.now) + timedelta(days=1)).isoformat()
    rows = [
        Result(2, "ZF2026-000009-00001", 1, True, one.day, "X", ""),
        Result(3, one.serial, one.amount_fen + 1, True, later, "BK", ""),
        Result(4, two.serial, two.amount_fen, True, "2026-03-01", "BK", ""),
    ]
    before = town.snapshot()
    with pytest.raises(Invalid) as refusal:
        town.do("mona", payout_results.confirm, made, rows, name="r.csv", digest="sha256:r")
    told = str(refusal.value)
    for part in ("row 2: ZF2026-000009-00001 is no payment of ours", "row 3: ", "were to be paid",
                 f"row 3: the day {later} lies in the future", "row 4: the day 2026-03-01 lies before",
                 "row 4: the reference BK stands already in row 3"):  # fmt: skip
        assert part in told, part
    head = "流水号,金额,结果,交易日期,银行流水号\n"
    file = (f"{head}A,1.00,成功,{one.day},A,乱\nZF2026-000009-00001,1.00,成功,{one.day},B\n"
            f"{one.serial},{yuan(one.amount_fen + 1)},成功,3.4.2026,C\n"
            f"{two.serial},x,成功,{later},\n").encode()  # fmt: skip
    unread = Faults()
    rows = read_results(file, "r.csv", unread)
    with pytest.raises(Invalid) as refusal:
        town.do("mona", payout_results.confirm, made, rows, name="r.csv", digest="sha256:r",
                faults=unread)  # fmt: skip
    told = refusal.value.facts["faults"].by_place(str)
    assert {row: len(said) for row, said in told.items()} == {"2": 1, "3": 1, "4": 2, "5": 3}
    assert [at for _, _, at in refusal.value.facts["faults"].named()] == list("2344555")
    assert "no payment of ours" in told["3"][0]
    assert "were to be paid" in told["4"][1]
    assert "lies in the future" in told["5"][2]
    assert town.snapshot() == before
    confirm(town, made, True)
    line = lines(town, made)[0]
    refused(
        town,
        Invalid,
        f"{line.serial} is paid already, otherwise",
        "mona",
        payout_results.confirm,
        made,
        [Result(2, line.serial, line.amount_fen, False, "", "", "退汇")],
        name="x",
        digest="sha256:x",
    )
    refused(
        town,
        Invalid,
        f"the reference {line.bank_reference} was payment {line.serial}",
        "mona",
        payout_results.confirm,
        made,
        [Result(2, two.serial, two.amount_fen, True, two.day, line.bank_reference, "")],
        name="y",
        digest="sha256:y",
    )
    refused(
        town,
        Invalid,
        "holds no result",
        "mona",
        payout_results.confirm,
        made,
        [],
        name="z",
        digest="sha256:z",
    )


def test_one_debit_pays_lines_of_one_payout_and_no_other(town: Town) -> None:
    made = approved(town)
    one, two = in_one(town, made)

    def import_(*rows: Result) -> tuple[Any, ...]:
        return "mona", payout_results.confirm, made, rows

    for rows, said in (
        (
            (one, replace(two, debit_fen=None)),
            "row 3: the reference PL1 stands already in row 2; if one",
        ),
        (
            (replace(one, debit_fen=None), replace(two, debit_fen=None)),
            "row 3: the reference PL1 stands",
        ),
        ((one, replace(two, debit_fen=5)), "row 3: the debit PL1 is of 0.05 yuan, in row 2 of"),
        (
            (one,),
            f"row 2: the debit PL1 is of {yuan(made.amount_fen)} yuan, and the payments under it come",
        ),
        ((one, replace(two, day="2026-03-20")), "row 3: the debit PL1 is of 2026-03-20, before of"),
    ):
        refused(town, Invalid, said, *import_(*rows), name="x", digest="sha256:x")
    before = stands(town, made)["bank"]
    facts = {"name": "r.csv", "digest": "sha256:r"}
    done = town.do(*import_(one, two), **facts)
    lead, other = lines(town, made)
    assert (lead.debit_id, other.debit_id, other.bank_reference) == (lead.id, lead.id, "PL1")
    assert stands(town, made)["bank"] == before - made.amount_fen == before - done["paid_fen"]
    whole = town.snapshot()
    assert town.do(*import_(one, two), **facts) == done
    assert town.snapshot() == whole, "the same file again books nothing"
    town.do(*import_(one, two), name="again.csv", digest="sha256:again")
    assert stands(town, made)["bank"] == before - made.amount_fen, "nor do the same rows in another"


class Told(Result):
    """A result that is compared with no other: of ten thousand that would be a hundred million times."""

    def __eq__(self, other: object) -> bool:
        raise AssertionError("compared")

    __hash__ = None


class Walked(dict[str, PayoutLine]):
    """Lines that tell how often they are gone through."""

    times = 0

    def values(self) -> Any:
        self.times += 1
        return super().values()


@pytest.mark.parametrize("debit_fen", [None, 300])
def test_the_lines_are_gone_through_once_for_all_references(
    village: Town, debit_fen: int | None
) -> None:
    known = Walked({f"S-{n}": PayoutLine(serial=f"S-{n}", bank_reference=None) for n in range(3)})
    told = [
        Told(
            n,
            serial,
            100,
            True,
            "2026-03-04",
            "one" if debit_fen else f"R{n}",
            "",
            debit_fen=debit_fen,
        )
        for n, serial in enumerate(known)
    ]
    faults = Faults()
    with village.reading() as session:
        payout_results._name_references(session, faults, known, told, told, whole=True)
    assert (known.times, bool(faults)) == (1, False)


@pytest.mark.slow
def test_one_result_imported_at_once_is_booked_once_with_one_answer(town: Town) -> None:
    made = approved(town)
    rows, bank = in_one(town, made), stands(town, made)["bank"]

    def import_() -> dict[str, Any]:
        with town.home.deed(town.now) as session:
            found = session.get_one(Payout, made.id)
            return payout_results.confirm(
                session, town.actors["mona"], town.now, found, rows, name="r", digest="sha256:r"
            )

    first, *others = at_once([import_] * 4)
    assert (first["paid_count"], others) == (2, [first] * 3)
    assert (stands(town, made)["held"], stands(town, made)["bank"]) == (0, bank - made.amount_fen)


@pytest.mark.slow
def test_the_database_keeps_a_reference_to_one_payout(town: Town) -> None:
    """Whatever a program may ask: unique over all books, but for what refers to a line beside it."""
    made = approved(town)
    one, two = in_one(town, made)
    town.do("mona", payout_results.confirm, made, [one, two], name="r", digest="sha256:r")
    give_back(town, made)
    account(town, account_number="80009998")
    again = town.do("mona", payouts.prepare, town.get(Agreement, made))
    lead = lines(town, made)[0]
    for debit in ("id", f"'{lead.id}'", "NULL"):
        with pytest.raises(Conflict, match="IntegrityError"), town.deed() as session:
            session.execute(text(
                f"UPDATE payout_lines SET bank_reference = 'PL1', debit_id = {debit} "
                f"WHERE payout_id = '{again.id}'"
            ))  # fmt: skip


@pytest.mark.slow
def test_the_database_keeps_a_debit_to_a_line_that_leads_it(town: Town) -> None:
    """Two lines that name each other would be a debit of no line; nor does one that leads name another."""
    made = approved(town)
    a, b = lines(town, made)
    other = f"CASE id WHEN '{a.id}' THEN '{b.id}' ELSE '{a.id}' END"

    def refused_by_it(changes: str, where: str) -> None:
        with pytest.raises(IntegrityError), town.home.engine.begin() as link:
            link.execute(text(f"UPDATE payout_lines SET {changes} WHERE {where}"))

    refused_by_it(f"bank_reference = 'PL1', debit_id = {other}", f"payout_id = '{made.id}'")
    town.do("mona", payout_results.confirm, made, in_one(town, made), name="r", digest="sha256:r")
    lead = lines(town, made)[0].debit_id
    refused_by_it(f"debit_id = {other}", f"id = '{lead}'")
    refused_by_it(f"debit_id = {other}", f"payout_id = '{made.id}'")
    copied = [column.key for column in PayoutLine.__table__.columns]
    odd = {"id": "'x'", "n": "9", "serial": "'x'", "debit_id": f"'{max({a.id, b.id} - {lead})}'"}
    chosen = ", ".join(odd.get(column, column) for column in copied)
    with pytest.raises(IntegrityError), town.home.engine.begin() as link:
        link.execute(text(
            f"INSERT INTO payout_lines ({', '.join(copied)}) SELECT {chosen} FROM payout_lines "
            f"WHERE id = '{a.id}'"
        ))  # fmt: skip


@pytest.mark.slow
def test_a_debit_may_be_told_in_parts_and_what_came_back_of_it_is_owed_again(town: Town) -> None:
    made = approved(town)
    one, two = in_one(town, made)
    alone = replace(one, debit_fen=None)
    town.do("mona", payout_results.confirm, made, [alone], name="1", digest="sha256:1")
    refused(town, Invalid, f"PL1 was payment {one.serial}; if one debit paid both", "mona",
            payout_results.confirm, made, [replace(two, debit_fen=None)], name="2",
            digest="sha256:2")  # fmt: skip
    back = replace(came_back(town, made, 1), reference="TH9")
    town.do("mona", payout_results.confirm, made, [two, back], name="2", digest="sha256:2")
    lead, other = lines(town, made)
    assert (other.state, other.debit_id, now(town, made).state) == ("came_back", lead.id, "closed")
    account(town, "bureau", account_number="80009998")
    again = town.do("mona", payouts.prepare, town.get(Agreement, made))
    town.do("carl", payouts.approve, again)
    refused(town, Invalid, f"the reference PL1 was payment {one.serial}", "mona",
            payout_results.confirm, again, in_one(town, again)[:1], name="3",
            digest="sha256:3")  # fmt: skip


def test_what_is_with_the_bank_does_not_run_out_before_the_bank_has_answered(town: Town) -> None:
    made = approved(town)
    agreement = town.get(Agreement, made)
    town.later(days=400)
    with town.deed() as session:
        assert holds.is_on_its_way(session, agreement.id)
        assert holds.expire(session, town.now) == 0
    assert stands(town, made)["held"] == made.amount_fen, "no reversal or journal can take it"
    refused(town, Conflict, "Nothing can be paid", "max", payouts.prepare, agreement)
    confirm(town, made, True)  # the bank had paid after all
    one, other = lines(town, made)
    assert (one.state, stands(town, made)["held"]) == ("paid", other.amount_fen)
    refused(town, NotAllowed, "role", "mona", payouts.close, made, "未付")
    town.do("carl", payouts.close, made, "银行确认未付")
    assert now(town, made).state == "closed"
    again = town.do("mona", payouts.prepare, agreement)
    assert again.amount_fen == lines(town, made)[1].amount_fen


@pytest.mark.slow
def test_what_ran_out_before_its_approval_is_not_approved(town: Town) -> None:
    made = prepared(town)
    town.later(days=31)
    refused(town, Conflict, "has run out", "carl", payouts.approve, made)
    town.do("carl", payouts.cancel, made, "过期")
    town.do("mona", payouts.prepare, town.get(Agreement, made))


@pytest.mark.slow
def test_a_payment_that_comes_back_is_owed_again_to_an_account_confirmed_anew(town: Town) -> None:
    made = approved(town)
    agreement, before = town.get(Agreement, made), stands(town, made)
    confirm(town, made, True, True)
    line, back = lines(town, made)[0], came_back(town, made)
    for changes, said in (({"reference": ""}, "names its day and the bank's reference"),
                          ({"day": "2026-03-01"}, "lies before the payment on"),
                          ({"day": "2099-03-01"}, "lies in the future")):  # fmt: skip
        refused(
            town, Invalid, said, "mona", payout_results.confirm, made, [replace(back, **changes)],
            name="b", digest="sha256:b",
        )  # fmt: skip
    done = give_back(town, made)
    assert (done["returned_count"], done["returned_fen"]) == (1, line.amount_fen)
    assert (now(town, made).state, lines(town, made)[0].state) == ("closed", "came_back")
    assert stands(town, made) == {
        **before, "held": 0, "owed": before["owed"] - made.amount_fen + line.amount_fen,
        "bank": before["bank"] - made.amount_fen + line.amount_fen,
    }  # fmt: skip
    with town.reading() as session:
        entry = books.entry_of(session, line.hold_id)
        assert books.linked(session, entry).memo == f"退汇 {line.serial} {back.reference}"
    whole = town.snapshot()
    town.do("mona", payout_results.confirm, made, [back], name="back.csv", digest="sha256:back0")
    assert town.snapshot() == whole, "the same file again"
    refused(town, Conflict, "Nothing can be paid", "mona", payouts.prepare, agreement)
    account(town, line_party(line), ground="授权书 2 号")
    again = town.do("mona", payouts.prepare, agreement)
    assert again.amount_fen == line.amount_fen


def test_what_was_given_up_and_paid_after_all_is_never_paid_twice_untold(town: Town) -> None:
    made = approved(town)
    agreement = town.get(Agreement, made)
    came_in(town, agreement, 90_000)
    before = stands(town, made)
    late = results(town, made, True)
    town.do("carl", payouts.close, made, "银行电话答复未付")
    second = town.do("mona", payouts.prepare, agreement)
    taken_in = ("mona", payout_results.confirm, made, late)
    told = f"is set aside for {second.number}-00001 as well"
    refused(town, Invalid, told, *taken_in, name="l", digest="sha256:l")
    town.do("carl", payouts.approve, second)
    refused(town, Invalid, told, *taken_in, name="l", digest="sha256:l")
    confirm(town, second, True, True)
    done = town.do(*taken_in, name="l", digest="sha256:l")
    line = lines(town, made)[0]
    assert done["twice"] == [{"fen": line.amount_fen, "party": line.party, "serial": line.serial}]
    assert (now(town, made).state, line.state) == ("closed", "paid")
    assert stands(town, made) == {
        "bank": before["bank"] - made.amount_fen - line.amount_fen, "held": 0,
        "owed": before["owed"] - made.amount_fen - line.amount_fen,
    }  # fmt: skip


@pytest.mark.slow
def test_what_was_given_up_and_not_prepared_again_is_booked_late(town: Town) -> None:
    made = approved(town)
    confirm(town, made, False)  # the bank says failed, and then paid
    town.do("carl", payouts.close, made, "未付")
    before = stands(town, made)
    done = confirm(town, made, True, True, name="late")
    assert (done["paid_fen"], done["twice"]) == (made.amount_fen, [])
    assert now(town, made).state == "paid"
    assert stands(town, made)["bank"] == before["bank"] - made.amount_fen


@pytest.mark.slow
def test_a_late_payment_without_money_in_the_books_says_what_to_enter_first(town: Town) -> None:
    made = approved(town)
    agreement = town.get(Agreement, made)
    town.do("carl", payouts.close, made, "未付")
    with town.reading() as session:
        there = books.balance(session, agreement.id, books.BANK)
    with town.deed() as session:
        books.post(
            session, "system", town.now, cause=statement_of(session, agreement), key="fee",
            book_id=agreement.id, effective_on=local_date(town.now).isoformat(), memo="手续费",
            lines=[
                {"account": books.FEES, "credit_fen": 0, "debit_fen": there, "party_id": None},
                {"account": books.BANK, "credit_fen": there, "debit_fen": 0, "party_id": None},
            ],
        )  # fmt: skip
    rows = results(town, made, True)
    missing = yuan(rows[0].amount_fen)
    refused(
        town, Invalid, f"a journal of {missing} yuan to 1002", "mona", payout_results.confirm, made,
        rows, name="l", digest="sha256:l",
    )  # fmt: skip


@pytest.mark.slow
def test_a_buyer_refunded_twice_owes_what_was_too_much(town: Town) -> None:
    agreement, statement = owing(town)
    uscc = account(town, "bank") and town.party("bank").uscc
    with town.deed() as session:
        books.post(
            session, "system", town.now, cause=session.get_one(Statement, statement.id), key="refund",
            book_id=agreement.id, effective_on=local_date(town.now).isoformat(), memo="退款",
            lines=[
                {"account": books.UNDISTRIBUTED, "credit_fen": 0, "debit_fen": 500, "party_id": None},
                {"account": books.REFUNDS, "credit_fen": 500, "debit_fen": 0, "party_id": uscc},
            ],
        )  # fmt: skip
    made = town.do("mona", payouts.prepare, agreement)
    town.do("carl", payouts.approve, made)
    town.do("carl", payouts.close, made, "未付")
    second = town.do("mona", payouts.prepare, agreement)
    town.do("carl", payouts.approve, second)
    confirm(town, second, True)
    [said] = confirm(town, made, True, name="late")["twice"]
    assert (said["fen"], said["party"]) == (500, uscc)
    with town.reading() as session:
        assert books.balance(session, agreement.id, books.DUE, uscc) == 500
        assert books.balance(session, agreement.id, books.REFUNDS, uscc) == 0
        books.assert_kept(session, agreement.id)


@pytest.mark.slow
def test_a_payee_who_moved_or_merged_after_the_approval_stops_the_file(town: Town) -> None:
    made = approved(town)
    account(town, account_number="80009999")
    with town.reading() as session, pytest.raises(Conflict, match="let a checker close it"):
        payouts.payments(session, now(town, made))
    confirm(town, made, True, True)  # the bank had it already, and its word stands
    with town.reading() as session:
        assert len(payouts.payments(session, now(town, made))) == 2


@pytest.mark.slow
def test_a_payee_who_merged_before_the_approval_stops_it(town: Town) -> None:
    made = prepared(town)
    town.do("admin", successions.merge, town.party("operator"), into=town.party("bank"), ground="批复",
            effective_on=local_date(town.now))  # fmt: skip
    refused(town, Conflict, "bank account ZH2026-000001 no more", "carl", payouts.approve, made)


@pytest.mark.slow
def test_a_payout_split_in_parts_needs_the_second_checker_too(town: Town) -> None:
    agreement, _ = owing(town)
    account(town)
    first = town.do("mona", payouts.prepare, agreement)
    account(town, "bureau")
    both = (first.amount_fen + 100) // 100
    threshold(town, str(both))
    second = town.do("mona", payouts.prepare, agreement)
    assert (first.approvals_required, second.approvals_required) == (1, 2)
    town.do("carl", payouts.approve, first)
    assert (now(town, first).state, now(town, first).approvals_required) == ("prepared", 2)
    town.do("cora", payouts.approve, first)
    assert now(town, first).state == "approved"
    town.do("mona", payouts.cancel, second, "不付")
    threshold(town, "0")
    third = town.do("mona", payouts.prepare, agreement)
    threshold(town, "1000000")
    town.do("carl", payouts.approve, third)
    assert now(town, third).state == "prepared", "the stricter of both holds"


@pytest.mark.slow
def test_one_statement_is_paid_once(town: Town) -> None:
    agreement, statement = owing(town)
    account(town)
    made = town.do("mona", payouts.prepare, agreement, statement)
    assert {x.purpose for x in lines(town, made)} == {f"数据收益分配 {statement.number}"}
    refused(town, Conflict, "Nothing can be paid", "max", payouts.prepare, agreement, statement)


@pytest.mark.slow
def test_what_was_paid_with_all_that_was_due_is_not_paid_under_its_statement_again(
    town: Town,
) -> None:
    agreement, licence = town.sold()
    account(town)
    facts = {"platform_cost_fen": 0}
    older = town.statement_over(agreement, licence, "posted", facts=facts)
    town.do("carl", payouts.approve, town.do("mona", payouts.prepare, agreement))
    newer = town.statement_over(agreement, licence, "posted", facts=facts)
    refused(town, Conflict, "Nothing can be paid", "mona", payouts.prepare, agreement, older)
    paid = town.do("mona", payouts.prepare, agreement, newer)
    assert {x.purpose for x in lines(town, paid)} == {f"数据收益分配 {newer.number}"}


@pytest.mark.slow
def test_a_book_without_the_money_pays_nobody(town: Town) -> None:
    agreement, statement = owing(town)
    account(town)
    with town.reading() as session:
        there = books.balance(session, agreement.id, books.BANK)
    with town.deed() as session:  # all but a fen is promised elsewhere
        held = {"account": books.BANK, "credit_fen": there - 1, "debit_fen": 0, "party_id": None}
        fee = {"account": books.FEES, "credit_fen": 0, "debit_fen": there - 1, "party_id": None}
        holds.hold(
            session, "system", town.now, cause=session.get_one(Statement, statement.id),
            book_id=agreement.id, lines=[held, fee], expires_at=town.now + timedelta(days=1),
        )  # fmt: skip
    refused(town, Invalid, "1002", "mona", payouts.prepare, agreement)


@pytest.mark.slow
def test_a_payment_of_a_closed_period_is_booked_on_the_first_open_day(town: Town) -> None:
    made = approved(town)
    paid_on = local_date(town.now)
    rows = results(town, made, True)
    town.later(days=3)
    agreement = town.get(Agreement, made)
    with town.reading() as session:
        before = periods.last(session, agreement)
    day = timedelta(days=1)
    begin = paid_on if before is None else date.fromisoformat(before.until_on) + day
    town.do("mona", periods.close, agreement, from_on=begin, until_on=paid_on)
    town.do("mona", payout_results.confirm, made, rows, name="r", digest="sha256:r")
    line = lines(town, made)[0]
    with town.reading() as session:
        entry = books.entry_of(session, line.hold_id)
    assert (entry.effective_on, line.paid_on) == ((paid_on + day).isoformat(), paid_on.isoformat())


@pytest.mark.slow
def test_a_payment_file_says_whose_it_is_and_whether_it_was_changed(town: Town) -> None:
    made = approved(town)
    with town.reading() as session:
        given = payouts.payments(session, now(town, made))
    for name, write in (("csv", payment_files.as_csv), ("xlsx", payment_files.as_xlsx)):
        data = write(given)
        with town.reading() as session:
            found, whole, faults = payouts.check_file(session, read_table(data, f"p.{name}"), data)
        assert (found.number, whole, str(faults)) == (made.number, True, "")
    forged = payment_files.as_csv(given).replace(
        given[0].account_number.encode(), b"6217000000000000"
    )
    with town.reading() as session:
        _, whole, faults = payouts.check_file(session, read_table(forged, "p.csv"), forged)
        assert not whole
        assert "row 2: 收款账号 is another one than was approved" in str(faults)
        stranger = payment_files.as_csv(
            [given[0].__class__(1, "ZF-9", "x", "80000000", "b", "c", 1, "")]
        )
        with pytest.raises(Missing, match="No serial number"):
            payouts.check_file(session, read_table(stranger, "p.csv"), stranger)


@pytest.mark.slow
def test_a_buyer_who_is_not_known_here_is_named_and_left_out(town: Town) -> None:
    agreement, statement = owing(town)
    account(town)
    stranger = "91000000DEM000099X"
    with town.deed() as session:
        books.post(
            session, "system", town.now, cause=session.get_one(Statement, statement.id), key="refund",
            book_id=agreement.id, effective_on=local_date(town.now).isoformat(), memo="退款",
            lines=[
                {"account": books.UNDISTRIBUTED, "credit_fen": 0, "debit_fen": 500, "party_id": None},
                {"account": books.REFUNDS, "credit_fen": 500, "debit_fen": 0, "party_id": stranger},
            ],
        )  # fmt: skip
    made = town.do("mona", payouts.prepare, agreement)
    [left] = [one for one in made.left_out if one["party"] == stranger]
    assert (left["why"], left["amount_fen"]) == ("unknown", 500)


@pytest.mark.slow
def test_a_merged_payee_is_paid_through_the_organisation_it_became(town: Town) -> None:
    agreement, _ = owing(town)
    account(town, "bank")
    today = local_date(town.now)
    town.do("admin", successions.merge, town.party("operator"), into=town.party("bank"), ground="批复",
            effective_on=today)  # fmt: skip
    made = town.do("mona", payouts.prepare, agreement)
    [line] = lines(town, made)
    with town.reading() as session:
        assert payout_rows.payee(session, line).id == town.parties["bank"]
        assert line.party == session.get_one(Party, town.parties["operator"]).uscc


@pytest.mark.slow
@settings(
    max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    answers=st.lists(
        st.lists(st.sampled_from([True, False, None]), min_size=2, max_size=2), max_size=4
    )
)
def test_whatever_the_bank_answers_nothing_is_paid_twice(
    town: Town, answers: list[list[bool | None]]
) -> None:
    """Over rounds of payouts: paid + still owed is what was owed, and what is held is what is open."""
    if not hasattr(town, "paying"):
        town.paying = owing(town)[0]  # type: ignore[attr-defined]
        account(town)
        account(town, "bureau")
    agreement = town.paying  # type: ignore[attr-defined]
    for n, answer in enumerate(answers):
        try:
            made = town.do("mona", payouts.prepare, agreement)
        except Conflict:
            break
        before = stands(town, made)
        town.do("carl", payouts.approve, made)
        rows = [
            Result(row.n, row.serial, row.amount_fen, bool(ok),
                   local_date(town.now).isoformat() if ok else "", f"{row.serial}-{n}" if ok else "",
                   "" if ok else "退汇")
            for row, ok in zip(lines(town, made), answer, strict=False) if ok is not None
        ]  # fmt: skip
        if rows:
            town.do(
                "mona", payout_results.confirm, made, rows, name="r", digest=f"sha256:{made.number}"
            )
        if "held" in {row.state for row in lines(town, made)}:
            town.do("carl", payouts.close, made, "未付")
        paid = sum(row.amount_fen for row in lines(town, made) if row.state == "paid")
        after = stands(town, made)
        assert after == {
            "bank": before["bank"] - paid, "held": 0, "owed": before["owed"] - paid,
        }  # fmt: skip


@pytest.mark.slow
def test_a_file_may_tell_a_payment_and_its_return_and_a_return_of_what_was_not_told(
    town: Town,
) -> None:
    made = approved(town)
    before = stands(town, made)
    text = result_file(town, made, True)
    for n in (0, 1):
        back = came_back(town, made, n)
        sum_yuan = yuan(back.amount_fen)
        text += f"{back.serial},{sum_yuan},退汇,{back.day},{back.reference},{back.reason}\n"
    rows = read_results(text.encode(), "r.csv")
    done = town.do("mona", payout_results.confirm, made, rows, name="r.csv", digest="sha256:r")
    assert (done["paid_count"], done["returned_count"]) == (1, 2)
    assert [x.state for x in lines(town, made)] == ["came_back", "failed"]
    assert (now(town, made).state, stands(town, made)) == ("closed", {**before, "held": 0})
    whole = town.snapshot()
    done = town.do("mona", payout_results.confirm, made, rows, name="r.csv", digest="sha256:r")
    assert town.snapshot() == whole
