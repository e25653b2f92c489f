"""Finance's verbs, and what must stand ready for them, for the tests of who may do what (test_rights)."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from ledger import (
    approvals,
    bank_accounts,
    confirmation_checks,
    confirmations,
    inquiries,
    journals,
    limits,
    orders,
    payout_results,
    payouts,
    periods,
    reconciliation,
    refunds,
    remittances,
    revenue,
    reversals,
    trading,
)
from ledger import trade_rules as rules
from ledger.bank_files import BankLine
from ledger.calendar import local_date
from ledger.statements import Statement
from ledger.tables.events import read_rows
from ledger.vouchers import Voucher
from tests.conftest import CHECKER_KEYS, ORIGIN, START, Town
from tests.ledger import bookings, deals, paying


def propose_refund(town: Town, who: str, on: Any) -> Any:
    with town.deed() as session:
        source = refunds.of_payment(session, town.fresh(session, on.paid))
        refunds.propose(
            session, town.actors[who], town.now, source, amount_fen=1_060, ground="退货"
        )


def approve_statement(town: Town, who: str, on: Any) -> Any:
    approval = town.approval(on.proposed, who if who in CHECKER_KEYS else "carl")
    town.do(who, approvals.approve, on.proposed, approval, ORIGIN, town.home.config.deployment)


def import_bank(town: Town, who: str, on: Any) -> Any:
    day = local_date(town.now) - timedelta(days=1)
    found = BankLine(2, day.isoformat(), "U-1", 7_000, "丙公司", "", None)
    town.do(
        who, reconciliation.import_bank, on.agreement, [found], from_on=day, until_on=day,
        name="s.csv", digest="sha256:s",
    )  # fmt: skip


VERBS: dict[str, Any] = {
    "period.close": lambda t, who, on: t.do(
        who, periods.close, on.agreement, from_on=local_date(t.now) - timedelta(days=1),
        until_on=local_date(t.now) - timedelta(days=1)),
    "period.reopen": lambda t, who, on: t.do(who, periods.reopen, on.period, "x"),
    "journal.propose": lambda t, who, on: bookings.journal(t, on.agreement, who),
    "journal.approve": lambda t, who, on: t.do(who, journals.approve, on.journal),
    "journal.reject": lambda t, who, on: t.do(who, journals.reject, on.journal, "x"),
    "journal.withdraw": lambda t, who, on: t.do(who, journals.withdraw, on.journal, "x"),
    "limit.propose": lambda t, who, on: t.do(
        who, limits.propose, on.owing, account="1002 银行存款", floor_fen=1, basis="x", reason="x"),
    "limit.approve": lambda t, who, on: t.do(who, limits.approve, on.limit),
    "limit.reject": lambda t, who, on: t.do(who, limits.reject, on.limit, "x"),
    "limit.withdraw": lambda t, who, on: t.do(who, limits.withdraw, on.limit, "x"),
    "payment.record": lambda t, who, on: t.do(
        who, trading.record_payment, licence=on.licence, amount_fen=1,
        received_on=local_date(t.now).isoformat(), reference=who),
    "remittance.record": lambda t, who, on: t.do(
        who, remittances.record, on.agreement, party=t.party("bank"), purpose="prepayment",
        amount_fen=1, received_on=local_date(t.now).isoformat(), reference=who),
    "order.place": lambda t, who, on: t.do(who, orders.place, **t.order_facts(on.voucher)),
    "order.fulfil": lambda t, who, on: t.do(who, orders.fulfil, on.order, ORIGIN),
    "order.cancel": lambda t, who, on: t.do(who, orders.cancel, on.order, "x"),
    "refund.propose": propose_refund,
    "refund.approve": lambda t, who, on: t.do(who, refunds.approve, on.refund),
    "refund.reject": lambda t, who, on: t.do(who, refunds.reject, on.refund, "x"),
    "confirmation.record": lambda t, who, on: t.do(who, confirmations.record, on.good),
    "statement.draft": lambda t, who, on: t.do(
        who, revenue.draft, on.agreement, from_on=START.date(), until_on=START.date(), facts={}),
    "statement.correct": lambda t, who, on: t.do(
        who, revenue.correct, on.drafted, {"platform_cost_fen": 2_000}, "x"),
    "statement.propose": lambda t, who, on: t.do(who, revenue.propose, on.drafted, ORIGIN),
    "statement.reopen": lambda t, who, on: t.do(who, approvals.reopen, on.proposed),
    "statement.approve": approve_statement,
    "statement.reject": lambda t, who, on: t.do(who, revenue.reject, on.proposed, "x", ORIGIN),
    "statement.reverse": lambda t, who, on: t.do(who, reversals.reverse, on.posted, "x"),
    "inquiry.raise": lambda t, who, on: t.do(
        who, inquiries.raise_, on.proposed, line=1, question="x"),
    "inquiry.answer": lambda t, who, on: t.do(who, inquiries.answer, on.asked_about, "x"),
    "inquiry.insist": lambda t, who, on: t.do(who, inquiries.insist, on.inquiry_answered, "x"),
    "inquiry.close": lambda t, who, on: t.do(who, inquiries.close, on.inquiry_answered),
    "inquiry.withdraw": lambda t, who, on: t.do(who, inquiries.withdraw, on.asked_about),
    "bank_account.enter": lambda t, who, _on: paying.another_account(t, login=who),
    "bank_account.withdraw": lambda t, who, on: t.do(
        who, bank_accounts.withdraw, on.bank_account, "x"),
    "bank_account.confirm": lambda t, who, on: t.do(who, bank_accounts.confirm, on.bank_account),
    "bank_account.reject": lambda t, who, on: t.do(
        who, bank_accounts.reject, on.bank_account, "x"),
    "payout.prepare": lambda t, who, on: t.do(who, payouts.prepare, on.owing),
    "payout.approve": lambda t, who, on: t.do(who, payouts.approve, on.payout_prepared),
    "payout.cancel": lambda t, who, on: t.do(who, payouts.cancel, on.payout_prepared, "x"),
    "payout.confirm": lambda t, who, on: t.do(
        who, payout_results.confirm, on.payout_approved, on.results, name="r.csv", digest="sha256:r"),
    "payout.close": lambda t, who, on: t.do(who, payouts.close, on.payout_approved, "x"),
    "reconciliation.import": import_bank,
    "difference.answer": lambda t, who, on: t.do(
        who, reconciliation.answer, on.difference_open, "x"),
    "difference.settle": lambda t, who, on: t.do(
        who, reconciliation.settle, on.difference_answered, "x"),
    "difference.reopen": lambda t, who, on: t.do(
        who, reconciliation.reopen, on.difference_answered, "x"),
}  # fmt: skip
_DECIDED = ("propose", "reopen", "approve", "reject", "correct", "reverse")
OWNER = {
    **{f"statement.{act}": "treasury" for act in _DECIDED},
    **dict.fromkeys(("refund.approve", "refund.reject", "inquiry.answer"), "treasury"),
    **{f"order.{act}": "operator" for act in ("place", "fulfil", "cancel")},
    **{f"inquiry.{act}": "operator" for act in ("raise", "insist", "close", "withdraw")},
    "bank_account.enter": "operator",
    "bank_account.withdraw": "firm",
    "difference.answer": "operator",
}
ALSO_OWNER = {"inquiry.raise": "bureau"}  # the agreement's other side
MAKER = {
    **{
        f"{noun}.{act}": "mona"
        for noun in ("journal", "limit")
        for act in ("approve", "reject", "withdraw")
    },
    **{f"statement.{act}": "mona" for act in _DECIDED if act != "reverse"},
    **dict.fromkeys(("refund.approve", "refund.reject"), "mona"),
    **dict.fromkeys(("inquiry.raise", "inquiry.answer"), "mona"),  # on her own statement
    **dict.fromkeys(("bank_account.confirm", "bank_account.reject"), "mona"),
    **dict.fromkeys(("payout.approve", "payout.close"), "mona"),
    **dict.fromkeys(("difference.settle", "difference.reopen"), "mona"),  # whose answer it is
    "order.fulfil": "olga",  # out of the buyer's prepayment
    "period.reopen": "mona",
}
ONLY_THE_MAKER = {
    "inquiry.answer", "journal.withdraw", "limit.withdraw", "statement.correct", "statement.propose",
    "statement.reopen",
}  # fmt: skip
OUT_OF_STATE = {"statement.draft", "statement.reopen"}
WITHOUT_A_ROOM = {"payout.file", "statement.proof"}


def rows(town: Town) -> SimpleNamespace:
    """What mona, olga and egon made, in the states that the verbs need; months go by."""
    on = SimpleNamespace(drafted=town.statement(), proposed=town.statement("proposed"))
    question = town.inquiry()
    town.do("mona", inquiries.answer, question, "按合同")
    with town.reading() as session:
        asked = session.get_one(Statement, question.statement_id)
    on.inquiry_answered, on.asked_about = question, town.inquiry(asked)
    on.due = [paying.owing(town)[0] for _ in range(2)]
    on.owing, on.posted = paying.owing(town)
    on.bank_account = paying.another_account(town, town.party("firm"))
    on.difference_open, on.difference_answered = (
        paying.difference(town),
        paying.answered(town, "mona"),
    )
    on.refund = deals.refund(town)
    agreement, licence = town.sold()
    on.paid = town.payment(licence, 10_600, "BANK-OF-ROOMS")
    town.remittance(agreement, 10_600, "PREPAID-OF-ROOMS")
    on.sellable = town.get(Voucher, licence)
    on.good = checked(town, agreement, on.sellable)
    on.journal, on.limit, on.period = (
        bookings.journal(town),
        bookings.limit(town),
        bookings.period(town),
    )
    return on


def soon_over(town: Town, on: SimpleNamespace) -> dict[str, Any]:
    """The same with what falls away after some days, an order and two payouts: nothing goes by."""
    for party in ("operator", "bureau"):
        paying.account(town, party)
    on.payout_prepared, on.payout_approved = (
        town.do("mona", payouts.prepare, agreement) for agreement in on.due
    )
    town.do("carl", payouts.approve, on.payout_approved)
    on.results = paying.results(town, on.payout_approved, True, False)
    on.order = town.order(on.sellable, paid_by="prepayment")
    return vars(on)


def checked(town: Town, agreement: Any, voucher: Voucher) -> confirmations.Checked:
    """A confirmation of the exchange's, found good and not yet recorded."""
    text = town.trades_file(voucher)
    path = town.home.path.with_name("trades-of-the-rooms.csv")
    path.write_text(text)
    with town.reading() as session:
        good = confirmation_checks.check(
            session, town.actors["egon"], town.now, read_rows(path, path.name, rules.COLUMNS),
            path.name, town.signed(agreement, text), origin=ORIGIN,
            chain_id=town.home.config.deployment.chain_id,
        )  # fmt: skip
    assert isinstance(good, confirmations.Checked)
    return good
