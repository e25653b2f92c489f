"""What a payee that was split is owed: divided among its successors to the fen, paid, taken back."""

from datetime import timedelta
from typing import Any

import pytest

from ledger import (
    audit_books,
    bank_accounts,
    books,
    holds,
    journals,
    limits,
    payout_dues,
    payouts,
    revenue,
    reversals,
    statements,
)
from ledger.agreements import Agreement
from ledger.books import PAYABLE, REFUNDS, TREASURY, BookAccount
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed
from ledger.parties import Party
from tests.conftest import ORIGIN, PARTIES, Town
from tests.ledger import bookings, organisations, paying
from tests.ledger.bookings import divided, division, line, split_claim
from tests.ledger.test_finance_at_once import at_once, done
from tests.ledger.test_payouts import refused

pytestmark = pytest.mark.pages  # on PostgreSQL slowly


def owed(town: Town, agreement: Agreement, *payees: Party, account: str = PAYABLE) -> list[int]:
    """What stands on the payees' accounts."""
    with town.reading() as session:
        found = [session.get(BookAccount, (agreement.id, account, one.uscc)) for one in payees]
        return [one.posted_fen if one else 0 for one in found]


def told(town: Town) -> list[str]:
    """What the audit of the books finds."""
    with town.reading() as session:
        return [f"{one[0]}: {one[1]}" for one in audit_books.audit_books(session.connection())]


def undo(town: Town, journal: journals.Journal, reason: str = "协议撤销") -> journals.Journal:
    made = town.do("mona", journals.propose_undoing, journal, reason)
    town.do("carl", journals.approve, made)
    return paying.now(town, made)


def split_operator(town: Town) -> tuple[Party, Party, Party]:
    """The operator is split into two, and ends."""
    one, two = (organisations.party(town, "enterprise") for _ in range(2))
    was = town.party("operator")
    organisations.split(town, was, one, [two])
    return was, one, two


def test_a_claim_is_divided_by_two_persons_to_the_fen_and_taken_back(village: Town) -> None:
    agreement, was, (one, two) = split_claim(village)
    made = division(village, agreement, was, {one.uscc: 6_001, two.uscc: 4_000})
    assert division(village, agreement, was, {one.uscc: 6_001, two.uscc: 4_000}).id == made.id
    assert owed(village, agreement, was, one, two) == [10_001, 0, 0], "it is only proposed"
    refused(village, NotAllowed, "finance_checker", "mona", journals.approve, made)
    village.do("carl", journals.approve, made)
    made = paying.now(village, made)
    assert owed(village, agreement, was, one, two) == [0, 6_001, 4_000]
    with village.reading() as session:
        entry = session.get_one(books.Entry, made.entry_id)
        assert entry.lines == made.lines == [
            line(PAYABLE, 10_001, 0, was.uscc), line(PAYABLE, 0, 6_001, one.uscc),
            line(PAYABLE, 0, 4_000, two.uscc),
        ]  # fmt: skip
        assert not journals.divisible(session, session.get_one(Agreement, agreement.id))
        assert journals.is_divided(session, made)
    refused(village, Conflict, "0.00 yuan can be divided, not 0.01: 0.00 are owed", "mona",
            journals.propose_division, agreement, **_facts(village, was, {one.uscc: 1}))  # fmt: skip
    back = undo(village, made)
    assert owed(village, agreement, was, one, two) == [10_001, 0, 0]
    assert (back.undoes, back.kind, back.state) == (made.id, "undoing", "approved")
    for row in (made, back):
        refused(village, Conflict, f"Journal {row.number} is no division that stands", "mona",
                journals.propose_undoing, row, "再次")  # fmt: skip
    assert told(village) == []


def _facts(town: Town, party: Party, got: dict[str, int], **changes: Any) -> dict[str, Any]:
    return {
        "account": PAYABLE, "amount_fen": sum(got.values()), "document_digest": bookings.DOCUMENT,
        "effective_on": local_date(town.now), "memo": "协议", "party": party.uscc,
        "shares": [{"amount_fen": fen, "party": code} for code, fen in got.items()], **changes,
    }  # fmt: skip


def test_what_does_not_fit_is_named_at_once_and_leaves_no_trace(village: Town) -> None:
    agreement, was, (one, two) = split_claim(village)
    other = village.party("operator")

    def no(error: type[LedgerError], said: str, got: dict[str, int], **changes: Any) -> None:
        facts = _facts(village, changes.pop("of", was), got, **changes)
        refused(village, error, said, "mona", journals.propose_division, agreement, **facts)

    no(Invalid, "was not split, or goes on", {one.uscc: 1}, of=other)
    no(Invalid, "was not split, or goes on", {one.uscc: 1}, of=one)
    no(Invalid, f"{other.uscc} is not among the successors: {one.uscc}, {two.uscc}",
       {other.uscc: 1})  # fmt: skip
    no(Invalid, "is not among the successors", {was.uscc: 1})
    no(Invalid, "the shares come to 100.00 yuan, not to 100.01", {one.uscc: 9_999, two.uscc: 1},
       amount_fen=10_001)  # fmt: skip
    no(Invalid, r"say on which document.*give the digest.*lies before the split.*above nought",
       {one.uscc: 0}, memo=" ", document_digest="",
       effective_on=local_date(village.now) - timedelta(days=1))  # fmt: skip
    no(Invalid, "lies in the future", {one.uscc: 1},
       effective_on=local_date(village.now) + timedelta(days=1))  # fmt: skip
    twice = [{"amount_fen": 1, "party": one.uscc}] * 2
    no(Invalid, "has two shares", {}, shares=twice, amount_fen=2)
    no(Invalid, "account 1002 银行存款 is not divided", {one.uscc: 1}, account=books.BANK)
    no(Invalid, "is no public body, which alone", {one.uscc: 1}, account=TREASURY)
    no(Conflict, "100.01 yuan can be divided, not 100.02: 100.01 are owed",
       {one.uscc: 1, two.uscc: 10_001})  # fmt: skip
    refused(village, NotAllowed, "finance_maker", "carl", journals.propose_division, agreement,
            **_facts(village, was, {one.uscc: 1}))  # fmt: skip


def test_what_is_held_or_under_a_limit_is_not_divided(village: Town) -> None:
    agreement, was, (one, two) = split_claim(village)
    made = division(village, agreement, was, {one.uscc: 8_000})
    limit = village.do(
        "mona", limits.propose, agreement, account=PAYABLE, party=was.uscc, floor_fen=3_000,
        reason="冻结", basis="通知书 1 号",
    )  # fmt: skip
    village.do("carl", limits.approve, limit)
    said = f"70.01 yuan can be divided, not 80.00: 100.01 are owed, .*30.00 kept by limit {limit.number}"
    refused(village, Conflict, said, "carl", journals.approve, made)
    lifted = village.do("mona", limits.propose_lift, limit, basis="解除", reason="解除")
    village.do("carl", limits.approve, lifted)
    with village.deed() as session:
        holds.hold(
            session, "system", village.now, cause=made, book_id=agreement.id,
            expires_at=village.now + timedelta(days=1),
            lines=[line(PAYABLE, 2_002, 0, was.uscc), line(books.UNDISTRIBUTED, 0, 2_002)],
        )  # fmt: skip
    refused(village, Conflict, "79.99 yuan can be divided, not 80.00.*20.02 set aside", "carl",
            journals.approve, made)  # fmt: skip
    part = divided(village, agreement, was, {two.uscc: 7_999})
    assert owed(village, agreement, was, one, two) == [2_002, 0, 7_999], "a part may be divided"
    frozen = village.do(
        "mona", limits.propose, agreement, account=PAYABLE, party=two.uscc, floor_fen=1,
        reason="冻结", basis="通知书 2 号",
    )  # fmt: skip
    village.do("carl", limits.approve, frozen)
    back = village.do("mona", journals.propose_undoing, part, "有误")
    refused(village, Invalid, f"limit {frozen.number} keeps 0.01 yuan there", "carl",
            journals.approve, back)  # fmt: skip
    assert told(village) == []


def test_the_audit_holds_each_division_against_its_entry(village: Town) -> None:
    agreement, was, (one, two) = split_claim(village)
    first = divided(village, agreement, was, {one.uscc: 6_001, two.uscc: 4_000})
    back = undo(village, first)
    assert told(village) == []
    for changed, rows in {
        f"UPDATE journals SET lines = '[]' WHERE number = '{first.number}'": [first],
        f"UPDATE journals SET undoes = NULL WHERE number = '{back.number}'": [back],
        f"UPDATE journals SET entry_id = '{back.entry_id}' WHERE number = '{first.number}'": [
            first, back],
        f"UPDATE journals SET entry_id = 'x' WHERE number = '{back.number}'": [back],
    }.items():  # fmt: skip
        with village.home.engine.connect() as connection:
            assert connection.exec_driver_sql(changed).rowcount == 1
            found = sorted(place for place, *_ in audit_books.audit_books(connection))
            assert found == [f"journal {row.number}" for row in rows], changed
            connection.rollback()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("account", "kind", "heir"),
    [(TREASURY, "public_body", "public_body"), (REFUNDS, "enterprise", "service_provider")],
)
def test_what_is_due_to_the_treasury_and_refunds_are_divided_too(
    town: Town, account: str, kind: str, heir: str
) -> None:
    agreement, was, (one, two) = split_claim(town, 300, account, kind, (heir, heir))
    divided(town, agreement, was, {one.uscc: 100, two.uscc: 200}, account=account)
    assert owed(town, agreement, was, one, two, account=account) == [0, 100, 200]
    assert told(town) == []


@pytest.mark.slow
def test_what_is_not_the_treasurys_is_not_divided_to_a_public_body(town: Town) -> None:
    kinds = ("public_body", "public_institution")
    agreement, was, (one, two) = split_claim(town, 300, kind="public_institution", heirs=kinds)
    refused(town, Invalid, f"{one.uscc} is a public body: what it is owed is the treasury's", "mona",
            journals.propose_division, agreement, **_facts(town, was, {one.uscc: 1}))  # fmt: skip
    divided(town, agreement, was, {two.uscc: 300})
    assert owed(town, agreement, was, one, two) == [0, 0, 300]


@pytest.mark.slow
def test_what_merged_into_one_that_was_split_is_divided_and_not_paid_to_the_first_of_them(
    town: Town,
) -> None:
    agreement, was, (one, two) = split_claim(town)
    first = organisations.party(town, "enterprise")
    with town.deed() as session:
        books.post(
            session, "system", town.now, cause=journals.Journal(id="m"), book_id=agreement.id,
            effective_on=local_date(town.now).isoformat(), memo="分配",
            lines=[line(books.UNDISTRIBUTED, 7, 0), line(PAYABLE, 0, 7, first.uscc)],
        )  # fmt: skip
    second = organisations.party(town, "enterprise")
    organisations.merge(town, first, second)
    organisations.split(town, second, one, [two])
    town.do("carl", bank_accounts.confirm, paying.another_account(town, one))
    refused(town, Conflict, f"{', '.join(sorted((first.uscc, was.uscc)))} were split. Divide what", "mona",
            payouts.prepare, agreement)  # fmt: skip
    divided(town, agreement, first, {one.uscc: 3, two.uscc: 4})
    organisations.split(town, two, one, [organisations.party(town, "enterprise")])
    divided(town, agreement, two, {one.uscc: 4})
    assert owed(town, agreement, first, one, two) == [0, 7, 0], "and so on, split after split"
    assert told(town) == []


@pytest.mark.slow
def test_successors_are_paid_what_was_divided_and_the_rest_is_named(town: Town) -> None:
    agreement, statement = paying.owing(town)
    paying.account(town)
    paying.account(town, "bureau")
    was, one, two = split_operator(town)
    [stood] = owed(town, agreement, was)
    for heir in (one, two):
        town.do("carl", bank_accounts.confirm, paying.another_account(town, heir))
    refused(town, Invalid, "was not split", "mona", journals.propose_division, agreement,
            **_facts(town, town.party("bureau"), {one.uscc: 1}))  # fmt: skip
    divided(town, agreement, was, {one.uscc: 100, two.uscc: stood - 101})
    by_name = town.do("mona", payouts.prepare, agreement, statement)
    assert [x.account for x in paying.lines(town, by_name)] == [TREASURY], (
        "they are of no statement"
    )
    assert [(x["party"], x["amount_fen"], x["why"]) for x in by_name.left_out
            if x["why"] != "no_account"] == [(was.uscc, 1, "split")]  # fmt: skip
    made = town.do("mona", payouts.prepare, agreement)
    assert {x.party: x.amount_fen for x in paying.lines(town, made)} == {
        one.uscc: 100, two.uscc: stood - 101}  # fmt: skip
    town.do("carl", payouts.approve, made)
    paying.confirm(town, made, True, True)
    assert owed(town, agreement, was, one, two) == [1, 0, 0]
    with town.reading() as session:
        row = session.get_one(statements.Statement, statement.id)
        for heir in (one, two):
            assert payout_dues.left_of(session, row, PAYABLE, heir.uscc) == 0
        assert payout_dues.left_of(session, row, PAYABLE, was.uscc) == 1
    assert told(town) == []


@pytest.mark.slow
def test_a_statement_is_reversed_after_its_divisions_are_taken_back_whoever_was_paid(
    town: Town,
) -> None:
    agreement, statement = paying.owing(town)
    was, one, two = split_operator(town)
    [stood] = owed(town, agreement, was)
    town.do("carl", bank_accounts.confirm, paying.another_account(town, one))
    first = divided(town, agreement, was, {one.uscc: 100})
    second = divided(town, agreement, was, {two.uscc: stood - 100})
    made = town.do("mona", payouts.prepare, agreement)
    town.do("carl", payouts.approve, made)
    early = town.do("mona", journals.propose_undoing, first, "有误")
    refused(
        town, Invalid, "0.00 yuan are free, 1.00 yuan are asked", "carl", journals.approve, early
    )
    town.do("mona", journals.withdraw, early, "付款在途")
    paying.confirm(town, made, True)
    assert owed(town, agreement, was, one, two) == [0, 0, stood - 100]
    whole = f"{stood // 100}.{stood % 100:02d}"
    refused(
        town, Conflict, f"{whole} yuan of {PAYABLE} {was.uscc} were divided by {second.number}, "
        f"{first.number}; the finance department takes back", "mona", reversals.reverse, statement, "有误",
    )  # fmt: skip
    undo(town, second)
    refused(town, Conflict, f"1.00 yuan of.*divided by {first.number};", "mona", reversals.reverse,
            statement, "有误")  # fmt: skip
    undo(town, first)
    assert owed(town, agreement, was, one, two) == [stood, -100, 0]
    waits = division(town, agreement, was, {two.uscc: 5})
    undoing = town.do("mona", reversals.reverse, statement, "有误")
    for asked in (("carl", journals.approve, waits),
                  ("mona", journals.propose_division, agreement)):  # fmt: skip
        facts = _facts(town, was, {two.uscc: 6}) if asked[0] == "mona" else {}
        refused(town, Conflict, f"Reversal {undoing.number} is drafted", *asked, **facts)
    town.do("mona", revenue.propose, undoing, ORIGIN)
    town.approve(undoing)
    town.settle(undoing)
    town.post()
    assert paying.now(town, undoing).state == "posted"
    assert owed(town, agreement, was, one, two) == [0, -100, 0], (
        "what was paid is asked back of whom it was paid"
    )
    refused(town, Conflict, "0.00 yuan can be divided", "carl", journals.approve, waits)
    assert told(town) == []


@pytest.mark.slow
def test_what_the_bank_may_have_paid_already_is_not_divided(town: Town) -> None:
    made = paying.prepared(town)
    agreement = town.get(Agreement, made)
    was, one, _two = split_operator(town)
    town.later(days=40)
    with town.deed() as session:
        holds.expire(session, town.now)
    facts = _facts(town, was, {one.uscc: 1})
    refused(town, Conflict, f"The bank has not answered an earlier payment to {PARTIES['operator'][2]}",
            "mona", journals.propose_division, agreement, **facts)  # fmt: skip
    town.do("carl", payouts.cancel, made, "改付")
    divided(town, agreement, was, {one.uscc: 1})
    assert owed(town, agreement, one) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(4))
def test_a_division_and_a_reversal_at_once_are_one_of_them(town: Town, turn: int) -> None:
    agreement, statement = paying.owing(town)
    was, one, _two = split_operator(town)
    [stood] = owed(town, agreement, was)
    asked = division(town, agreement, was, {one.uscc: stood})

    def divide() -> str:
        with town.home.deed(town.now) as session:
            row = session.get_one(journals.Journal, asked.id)
            journals.approve(session, town.actors["carl"], town.now, row)
        return "divided"

    def take_back() -> str:
        with town.home.deed(town.now) as session:
            row = session.get_one(statements.Statement, statement.id)
            reversals.reverse(session, town.actors["mona"], town.now, row, "有误")
        return "reversed"

    answers = at_once([divide, take_back] if turn % 2 else [take_back, divide])
    [done_first] = done(answers)
    [why] = [said for said in answers if isinstance(said, LedgerError)]
    assert ("were divided by" if done_first == "divided" else "is drafted") in str(why)
    assert owed(town, agreement, was, one) == (
        [0, stood] if done_first == "divided" else [stood, 0]
    )
    assert told(town) == []
