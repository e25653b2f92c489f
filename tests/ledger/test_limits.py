"""Limits of accounts: what must stay stays, whatever asks for it, until two persons lift it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger import (
    approvals,
    audit_books,
    books,
    holds,
    limits,
    log,
    orders,
    payout_results,
    payouts,
    refunds,
    revenue,
    reversals,
)
from ledger.agreements import Agreement
from ledger.books import BANK, PAYABLE, PREPAID, TREASURY, BookAccount
from ledger.errors import Conflict, Invalid, LedgerError, NotAllowed
from ledger.limits import AccountLimit
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN, PARTIES, Town
from tests.ledger import bookings, paying
from tests.ledger.bookings import line
from tests.ledger.test_books_of_before import down
from tests.ledger.test_finance_at_once import at_once, done
from tests.ledger.test_payouts import refused
from valuation.money import yuan
from webapp.home import migrate

pytestmark = pytest.mark.pages  # on PostgreSQL slowly
OPERATOR, BANK_CODE = PARTIES["operator"][2], PARTIES["bank"][2]
GROUND = {"basis": "协助执行通知书 1 号", "reason": "法院冻结"}
TWO = "ask the finance department, which alone lifts it by two persons"


def propose(
    town: Town, agreement: Agreement, floor_fen: int, login: str = "mona", **changes: Any
) -> Any:
    facts = {"account": PAYABLE, "party": OPERATOR, **GROUND, **changes}
    return town.do(login, limits.propose, agreement, floor_fen=floor_fen, **facts)


def in_force(town: Town, agreement: Agreement, floor_fen: int, **changes: Any) -> AccountLimit:
    made = propose(town, agreement, floor_fen, **changes)
    town.do("carl", limits.approve, made)
    return paying.now(town, made)


def lifted(town: Town, limit: AccountLimit) -> AccountLimit:
    made = town.do("mona", limits.propose_lift, limit, basis="解除通知书", reason="已解除")
    town.do("carl", limits.approve, made)
    return paying.now(town, made)


def row(
    town: Town, agreement: Agreement, account: str = PAYABLE, party: str = OPERATOR
) -> BookAccount:
    with town.reading() as session:
        return session.get_one(BookAccount, (agreement.id, account, party))


def told(town: Town) -> list[str]:
    """What the audit of the books finds."""
    with town.reading() as session:
        return [f"{one[0]}: {one[1]}" for one in audit_books.audit_books(session.connection())]


def test_a_limit_holds_from_the_decision_of_another_until_it_is_lifted(town: Town) -> None:
    agreement, _ = paying.owing(town)
    stood = row(town, agreement).posted_fen
    made = propose(town, agreement, stood - 1)
    assert propose(town, agreement, stood - 1).id == made.id
    assert row(town, agreement).floor_fen is None, "it is only proposed"
    refused(town, NotAllowed, "needs the role finance_checker", "mona", limits.approve, made)
    town.do("carl", limits.approve, made)
    assert (row(town, agreement).floor_fen, row(town, agreement).limited_by) == (
        stood - 1,
        made.number,
    )
    assert propose(town, agreement, stood - 1).id == made.id, "the same facts are the same limit"
    refused(town, Conflict, "approved cannot be made to approve", "carl", limits.approve, made)
    with pytest.raises(DBAPIError, match="book_accounts_floor"), town.home.engine.begin() as link:
        link.execute(
            text("UPDATE book_accounts SET posted_fen = posted_fen - 2 WHERE limited_by = :n"),
            {"n": made.number},
        )
    lower = in_force(town, agreement, 7)
    assert paying.now(town, made).state == "superseded"
    assert (row(town, agreement).floor_fen, row(town, agreement).limited_by) == (7, lower.number)
    over = lifted(town, lower)
    assert (row(town, agreement).floor_fen, row(town, agreement).limited_by) == (None, None)
    refused(
        town, Conflict, f"Limit {over.number} is a lifting itself",
        "mona", limits.propose_lift, over, basis="x", reason="x",
    )  # fmt: skip
    with town.reading() as session:
        kinds = [one.kind for one in log.history(session, made.id)]
    assert kinds == ["limit.proposed", "limit.approved", "limit.superseded"]
    assert told(town) == []


@pytest.mark.slow
def test_every_fault_of_a_limit_is_told_at_once_and_nothing_is_left_of_it(town: Town) -> None:
    agreement, _ = paying.owing(town)
    stood = row(town, agreement).posted_fen
    for changes, said in (
        ({"account": books.VAT, "reason": " ", "basis": ""}, "takes no limit.*why it must.*which document"),
        ({"party": ""}, "is kept for each party"),
        ({"account": BANK}, "is not kept for each party"),
        ({"party": BANK_CODE}, f"nothing was booked on {PAYABLE} {BANK_CODE}"),
        ({"floor_fen": -1}, "at least 0.00 yuan"),
        ({"floor_fen": stood + 5}, "0.05 yuan are missing"),
    ):  # fmt: skip
        facts = {"account": PAYABLE, "floor_fen": 1, "party": OPERATOR, **GROUND, **changes}
        refused(town, Invalid, said, "mona", limits.propose, agreement, **facts)
    made = propose(town, agreement, 5)
    refused(
        town, Conflict, f"Limit {made.number} of the same account still waits",
        "mona", limits.propose, agreement, account=PAYABLE, floor_fen=6, party=OPERATOR, **GROUND,
    )  # fmt: skip
    refused(town, Invalid, "ground", "carl", limits.reject, made, " ")
    refused(town, NotAllowed, "Only its maker", "max", limits.withdraw, made, "x")
    town.do("carl", limits.reject, made, "无据")
    own = propose(town, agreement, 6, "max")
    refused(town, NotAllowed, f"limit {own.number}", "max", limits.approve, own)
    refused(town, NotAllowed, f"limit {own.number}", "max", limits.reject, own, "x")
    town.do("carl", limits.reject, own, "无据")
    other = propose(town, agreement, 6)
    town.do("mona", limits.withdraw, other, "写错")
    assert row(town, agreement).floor_fen is None


@pytest.mark.slow
def test_a_payout_pays_what_is_above_the_limit_and_says_so(town: Town) -> None:
    agreement, statement = paying.owing(town)
    stood = row(town, agreement).posted_fen
    limit = in_force(town, agreement, 300)
    owed = len({one["party"] for one in statement.lines if one["amount_fen"]})
    refused(town, Conflict, f": {owed} payees are owed", "mona", payouts.prepare, agreement)
    paying.account(town)
    paying.account(town, "bureau")
    made = town.do("mona", payouts.prepare, agreement)
    assert {one.party: one.amount_fen for one in paying.lines(town, made)}[OPERATOR] == stood - 300
    assert [one for one in made.left_out if one["why"] != "no_account"] == [{
        "account": PAYABLE, "amount_fen": 300, "limit": limit.number, "party": OPERATOR, "why": "limited",
    }]  # fmt: skip
    more = propose(town, agreement, 299)
    town.do("carl", limits.approve, more)
    refused(town, Invalid, f"of which {(stood - 300) / 100:.2f} yuan are held.*0.01 yuan are missing",
            "mona", limits.propose, agreement, account=PAYABLE, floor_fen=301, party=OPERATOR,
            **GROUND)  # fmt: skip
    town.do("carl", payouts.approve, made)
    paying.confirm(town, made, True, True)
    assert row(town, agreement).posted_fen == 300, "what was held is paid all the same"
    rest = town.do("mona", payouts.prepare, agreement)
    kept = [one["amount_fen"] for one in rest.left_out if one["why"] == "limited"]
    assert (rest.amount_fen, kept) == (1, [299])
    town.do("mona", payouts.cancel, rest, "重做")
    town.do("carl", limits.approve, propose(town, agreement, 300))
    refused(town, Conflict, "and above a limit", "mona", payouts.prepare, agreement)
    assert told(town) == []


@pytest.mark.slow
def test_what_would_take_from_it_names_the_limit_and_whom_to_ask(town: Town) -> None:
    agreement, licence = town.sold()
    receipt = town.remittance(agreement, 31_800)
    voucher = town.get(Voucher, licence)
    limit = in_force(town, agreement, 20_000, account=PREPAID, party=BANK_CODE)
    said = f"318.00 yuan are free, 212.00 yuan are asked, and limit {limit.number} keeps 200.00 yuan.*{TWO}"
    facts = town.order_facts(voucher, paid_by="prepayment", price_fen=21_200)
    refused(town, Invalid, said, "olga", orders.place, **facts)
    with town.reading() as session:
        source = refunds.of_remittance(session, receipt)
    refused(town, Invalid, f"and limit {limit.number} keeps 200.00.*{TWO}", "mona", refunds.propose,
            source, amount_fen=31_800, ground="退货")  # fmt: skip
    fits = town.order(voucher, paid_by="prepayment", price_fen=11_800)
    town.do("opal", orders.fulfil, fits, ORIGIN)
    lines = [line(PREPAID, 1, 0, BANK_CODE), line(books.VAT, 0, 1)]
    before = town.snapshot()
    with (
        pytest.raises(
            Invalid, match=f"200.00 yuan are free, 0.01 yuan are asked, and limit {limit.number}"
        ),
        town.deed() as session,
    ):
        books.post(session, "system", town.now, cause=fits, key="x", book_id=agreement.id,
                   effective_on="2026-03-02", memo="x", lines=lines)  # fmt: skip
    assert town.snapshot() == before
    lifted(town, limit)
    assert row(town, agreement, PREPAID, BANK_CODE).floor_fen == 0, "its kind's own"


def test_an_exchange_that_orders_is_told_of_no_limit(town: Town) -> None:
    """It may not read what a court keeps of a buyer's money: to it so much less is free."""
    agreement, licence = town.sold()
    town.remittance(agreement, 31_800)
    in_force(town, agreement, 20_000, account=PREPAID, party=BANK_CODE)
    facts = town.order_facts(town.get(Voucher, licence), paid_by="prepayment", price_fen=21_200)
    refused(
        town, Invalid, f"^The accounts do not allow it: on {PREPAID} {BANK_CODE} 118.00 yuan are "
        "free, 212.00 yuan are asked.$", "egon", orders.place, **facts,
    )  # fmt: skip
    assert town.do("egon", orders.place, **{**facts, "price_fen": 11_800}).state == "placed"


@pytest.mark.slow
@pytest.mark.parametrize("account", [PAYABLE, TREASURY])
def test_a_reversal_says_that_the_limit_must_be_lifted_first_and_a_limit_waits_for_a_reversal(
    town: Town, account: str
) -> None:
    agreement, statement = paying.owing(town)
    party = OPERATOR if account == PAYABLE else PARTIES["bureau"][2]
    limit = in_force(town, agreement, 1, account=account, party=party)
    refused(
        town, Conflict, f"limit {limit.number} keeps 0.01 yuan on {account} {party}, and 0.00 yuan would "
        "be left; the finance department lifts the limit first, by two persons",
        "mona", reversals.reverse, statement, "口径有误",
    )  # fmt: skip
    lifted(town, limit)
    undoing = town.do("mona", reversals.reverse, statement, "口径有误")
    again = propose(town, agreement, 1, account=account, party=party)
    refused(town, Conflict, f"Reversal {undoing.number} is drafted", "carl", limits.approve, again)
    town.do("mona", revenue.propose, undoing, ORIGIN)
    town.do("carl", revenue.reject, undoing, "不冲", ORIGIN)
    town.do("carl", limits.approve, again)
    assert row(town, agreement, account, party).floor_fen == 1
    assert told(town) == []


@pytest.mark.slow
def test_a_reversal_that_a_limit_would_keep_from_being_booked_is_not_signed(town: Town) -> None:
    """A payment was given up; the bank says that it was made after all once the reversal is drafted."""
    agreement, statement = paying.owing(town)
    paying.account(town)
    paying.account(town, "bureau")
    payout = town.do("mona", payouts.prepare, agreement)
    town.do("carl", payouts.approve, payout)
    town.do("carl", payouts.close, payout, "银行不付")
    limit = in_force(town, agreement, 0)
    undoing = town.do("mona", reversals.reverse, statement, "口径有误")
    town.do("mona", revenue.propose, undoing, ORIGIN)
    owed = row(town, agreement).posted_fen
    paying.confirm(town, payout, True, True)
    said = f"limit {limit.number} keeps 0.00 yuan on {PAYABLE} {OPERATOR}, and -{yuan(owed)} yuan would"
    approval = town.approval(undoing)
    refused(town, Conflict, said, "carl", approvals.approve, undoing, approval, ORIGIN,
            town.home.config.deployment)  # fmt: skip
    lifted(town, limit)
    town.do("carl", approvals.approve, undoing, approval, ORIGIN, town.home.config.deployment)
    assert paying.now(town, undoing).state == "approved"


@pytest.mark.slow
def test_a_payment_made_after_all_waits_where_a_limit_would_keep_a_signed_reversal_out_of_the_books(
    town: Town,
) -> None:
    agreement, statement = paying.owing(town)
    paying.account(town)
    paying.account(town, "bureau")
    payout = town.do("mona", payouts.prepare, agreement)
    town.do("carl", payouts.approve, payout)
    town.do("carl", payouts.close, payout, "银行不付")
    limit = in_force(town, agreement, 0)
    undoing = town.do("mona", reversals.reverse, statement, "口径有误")
    town.do("mona", revenue.propose, undoing, ORIGIN)
    town.approve(undoing, "carl")
    owed, late = row(town, agreement).posted_fen, paying.results(town, payout, True, True)
    taken_in = ("mona", payout_results.confirm, payout, late)
    refused(
        town, Invalid, f"reversal {undoing.number} is signed and could not be booked after these payments: "
        f"limit {limit.number} keeps 0.00 yuan on {PAYABLE} {OPERATOR}, and -{yuan(owed)} yuan would be "
        "left; the finance department lifts the limit first", *taken_in, name="l", digest="sha256:l",
    )  # fmt: skip
    lifted(town, limit)
    town.do(*taken_in, name="l", digest="sha256:l")
    town.settle(undoing)
    town.post()
    assert paying.now(town, undoing).state == "posted"
    assert row(town, agreement).posted_fen == -owed
    assert told(town) == []


def test_the_audit_derives_each_floor_from_the_limits(village: Town) -> None:
    agreement = village.agreement()
    limit = bookings.limit(village, agreement)
    village.do("carl", limits.approve, limit)
    assert told(village) == []
    there = f"book_accounts {agreement.id} {BANK}"
    one = f"WHERE number = '{limit.number}'"
    for statement, said in {
        f"UPDATE book_accounts SET floor_fen = 0 WHERE limited_by = '{limit.number}'": [
            f"{there}: floor_fen"],
        f"UPDATE book_accounts SET limited_by = NULL WHERE limited_by = '{limit.number}'": [
            f"{there}: limited_by"],
        f"UPDATE account_limits SET floor_fen = 1 {one}": [f"{there}: floor_fen"],
        f"UPDATE account_limits SET state = 'rejected' {one}": [
            f"{there}: floor_fen", f"{there}: limited_by"],
        f"UPDATE account_limits SET party = 'x' {one}": [
            f"limit {limit.number}: account", f"{there}: floor_fen", f"{there}: limited_by"],
    }.items():  # fmt: skip
        with village.home.engine.connect() as connection:
            assert connection.exec_driver_sql(statement).rowcount == 1, statement
            found = [
                f"{place}: {field}" for place, field, *_ in audit_books.audit_books(connection)
            ]
            assert found == said, statement
            connection.rollback()


@pytest.mark.slow
def test_the_database_is_not_taken_down_while_a_limit_holds_and_is_whole_again_after_it(
    town: Town,
) -> None:
    limit = bookings.limit(town)
    town.do("carl", limits.approve, limit)
    with pytest.raises(RuntimeError, match=r"1 accounts have a limit.*Lift the limits first"):
        down(town, "0018")
    lifted(town, limit)
    down(town, "0018")
    migrate(town.home.engine)
    assert row(town, town.get(Agreement, limit), BANK, "").floor_fen == 0
    assert told(town) == []


# ---------------------------------------------------------------- at once


@pytest.mark.slow
def test_two_who_decide_at_once_decide_once(town: Town) -> None:
    limit = bookings.limit(town)

    def decide(act: Callable[..., Any], *said: str) -> Callable[[], Any]:
        def deed() -> str:
            with town.home.deed(town.now) as session:
                found = session.get_one(AccountLimit, limit.id)
                act(session, town.actors["carl"], town.now, found, *said)
            return act.__name__

        return deed

    told_back = at_once(
        [decide(limits.approve), decide(limits.approve), decide(limits.reject, "无据")]
    )
    assert len(done(told_back)) == 1
    assert all(isinstance(one, Conflict) for one in told_back if isinstance(one, LedgerError))
    [how] = done(told_back)
    agreement = town.get(Agreement, limit)
    assert row(town, agreement, BANK, "").floor_fen == (400 if how == "approve" else 0)
    assert told(town) == []


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(5))
def test_a_limit_set_while_a_hold_is_taken_leaves_one_of_them(town: Town, turn: int) -> None:
    """Ten yuan are there: seven cannot be set aside and four stay. Whichever comes second is refused."""
    limit = bookings.limit(town)
    agreement = town.get(Agreement, limit)
    cause = bookings.journal(town, agreement, memo="占用")

    def decide() -> str:
        with town.home.deed(town.now) as session:
            found = session.get_one(AccountLimit, limit.id)
            limits.approve(session, town.actors["carl"], town.now, found)
        return "limit"

    def take() -> str:
        lines = [line(books.FEES, 700, 0), line(BANK, 0, 700)]
        with town.home.deed(town.now) as session:
            holds.hold(session, "system", town.now, cause=cause, book_id=agreement.id, lines=lines,
                       expires_at=town.now + timedelta(days=1))  # fmt: skip
        return "hold"

    both = [decide, take] if turn % 2 else [take, decide]
    answers = at_once(both)
    assert len(done(answers)) == 1
    [why] = [one for one in answers if isinstance(one, LedgerError)]
    stands = row(town, agreement, BANK, "")
    if done(answers) == ["limit"]:
        assert (stands.held_fen, stands.floor_fen) == (0, 400)
        assert f"limit {limit.number} keeps 4.00 yuan" in str(why)
    else:
        assert (stands.held_fen, stands.floor_fen) == (700, 0)
        assert "1.00 yuan are missing" in str(why)
    assert told(town) == []
