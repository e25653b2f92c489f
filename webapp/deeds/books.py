"""The books 账簿: closing of periods, journal vouchers; entries, holds, accounts, trial balance, export."""

from datetime import date
from io import BytesIO
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import agreements, beancount, books, journals, periods, trial_balance
from ledger.agreements import Agreement
from ledger.books import ACCOUNTS, BookAccount, Entry
from ledger.holds import Hold
from ledger.journals import Journal
from ledger.parties import Actor
from ledger.periods import Period
from valuation import money
from webapp.deeds import Desk, File, LongFile, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema, shows
from webapp.deeds.field import DIGEST, ReasonBody
from webapp.deeds.forms import Body, day, rows, text, yuan
from webapp.tables import XLSX

OF = "/agreements/<agreement_number>"
ACCOUNT_NAMES = {account: f"{account} {kind.en}" for account, kind in ACCOUNTS.items()}


class ClosingBody(Body):
    """A period to be closed."""

    from_on = day("First day", hint="the day after the last closing")
    until_on = day("Last day", hint="before today")
    bank_yuan = yuan("Bank balance on the last day (yuan)", required=False,
                     hint="as the bank's statement says; another one in the books is refused")  # fmt: skip


class JournalBody(Body):
    """A journal voucher 记账凭证."""

    debit = text("Debit", choices=ACCOUNT_NAMES, hint="bank fees, interest and tax only")
    credit = text("Credit", choices=ACCOUNT_NAMES)
    amount_yuan = yuan("Amount (yuan)")
    effective_on = day("Day", hint="on which it counts")
    memo = text("Memo", most=200, hint="what it is for, with the document it rests on")


class HeirShareBody(Body):
    """What one successor gets."""

    party = text("Successor", most=18, source="parties")
    amount_yuan = yuan("Amount (yuan)")


class DivisionBody(Body):
    """Who gets what of the claim of a payee that was split and ended 分立债权划分."""

    account = text("Account", choices={name: ACCOUNT_NAMES[name] for name in journals.DIVIDED})
    party = text("Who was split", most=18, hint="the code under which it is owed")
    amount_yuan = yuan(
        "Amount (yuan)", hint="what is divided, and neither set aside nor under a limit"
    )
    shares = rows("What goes to whom", HeirShareBody, hint="to the fen; they come to the amount")
    effective_on = day("Day", hint="on which it counts; not before the split")
    memo = text("Basis", most=200, hint="the document by which all successors and the debtor agreed, or "
                "the court's decision")  # fmt: skip
    document_digest = text("Digest of the document", most=71, pattern=DIGEST,
                           example="digest sha256:…", hint="as sha256:…")  # fmt: skip


class SpanQuery(Body):
    """Over which days; without, from the first to the last."""

    from_on = day("First day", required=False)
    until_on = day("Last day", required=False)


class BalanceRow(Schema):
    """One account of one party, in fen."""

    account = fields.String(required=True)
    party = fields.String(required=True)
    party_name = fields.String(required=True)
    opening_debit_fen = fields.Integer(required=True)
    opening_credit_fen = fields.Integer(required=True)
    debit_fen = fields.Integer(required=True)
    credit_fen = fields.Integer(required=True)
    closing_debit_fen = fields.Integer(required=True)
    closing_credit_fen = fields.Integer(required=True)


class BalanceAnswer(Schema):
    """The trial balance 试算平衡表 with its totals, in the order of the columns."""

    rows = fields.List(fields.Nested(BalanceRow), required=True)
    totals = fields.List(fields.Integer(), required=True)


class AccountRow(Schema):
    """What stands on an account now, in its normal side; what of it is held; its floor and limit."""

    account = fields.String(required=True)
    party = fields.String(required=True)
    side = fields.String(required=True)
    posted_fen = fields.Integer(required=True)
    held_fen = fields.Integer(required=True)
    floor_fen = fields.Integer(required=True, allow_none=True)
    limited_by = fields.String(required=True, allow_none=True)


class AccountsAnswer(Schema):
    """The accounts of a book."""

    items = fields.List(fields.Nested(AccountRow), required=True)


class BookingAnswer(shown_schema(Entry)):  # type: ignore[misc]
    """An entry, with the number of the one it reverses or is reversed by."""

    linked = fields.String(required=True, allow_none=True)


# -- periods -----------------------------------------------------------------------------------------


@deed("period.close", f"{OF}/periods", "Close a period",
      "Closed: {from_on} to {until_on} ({number}).", body=ClosingBody)  # fmt: skip
def close(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, from_on: date, until_on: date,
    bank_yuan: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Close the days; what is kept on the accounts must be the entries' sums, the bank's as stated."""
    made = periods.close(session, actor, desk.now, found, from_on=from_on, until_on=until_on)
    books.assert_kept(session, found.id)
    if bank_yuan is not None:
        books.assert_balance(session, found.id, books.BANK, bank_yuan, on=made.until_on)
    return {
        "from_on": made.from_on, "number": made.number, "state": made.state,
        "through_n": made.through_n, "until_on": made.until_on,
    }  # fmt: skip


@deed("period.reopen", "/periods/<period_number>/reopen", "Reopen the period",
      "Period {number} is {state}: its days can be booked to again.", body=ReasonBody,
      changes=True)  # fmt: skip
def reopen(
    desk: Desk, session: Session, actor: Actor, found: Period, reason: str
) -> dict[str, Any]:
    periods.reopen(session, actor, desk.now, found, reason)
    return {"number": found.number, "state": found.state}


show_period = shows("period", "/periods/<period_number>", "Closed period")
list_periods = lists("period", "/periods", "Closed periods", "number agreement_id from_on until_on state",
                     (Period.number,))  # fmt: skip


# -- journals ----------------------------------------------------------------------------------------


def _stands(made: Journal) -> dict[str, Any]:
    return {
        "amount_yuan": money.yuan(made.amount_fen), "credit": made.credit, "debit": made.debit,
        "number": made.number, "state": made.state,
    }  # fmt: skip


@deed("journal.propose", f"{OF}/journals", "Propose a journal voucher",
      "Journal voucher {number}: {amount_yuan} yuan from {credit} to {debit}; another person approves it "
      "next.", body=JournalBody)  # fmt: skip
def propose_journal(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, amount_yuan: int, **given: Any
) -> dict[str, Any]:
    return _stands(
        journals.propose(session, actor, desk.now, found, amount_fen=amount_yuan, **given)
    )


@deed("journal.propose", f"{OF}/opening", "Propose the opening of the book",
      "Journal voucher {number}: {amount_yuan} yuan from {credit} to {debit}; another person approves it "
      "next.", name="journal.propose_opening")  # fmt: skip
def propose_opening(desk: Desk, session: Session, actor: Actor, found: Agreement) -> dict[str, Any]:
    """What was received before there were books is booked, as computed from the ledger."""
    return _stands(journals.propose_opening(session, actor, desk.now, found))


@deed("journal.propose", f"{OF}/divisions", "Divide a claim among successors",
      "Journal voucher {number}: {amount_yuan} yuan of {debit} are divided among the successors; another "
      "person approves it next.", name="journal.propose_division", body=DivisionBody)  # fmt: skip
def propose_division(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, amount_yuan: int,
    shares: list[dict[str, Any]], **given: Any,
) -> dict[str, Any]:  # fmt: skip
    """So that what is owed to a payee that was split can be paid."""
    return _stands(journals.propose_division(
        session, actor, desk.now, found, amount_fen=amount_yuan,
        shares=[{"amount_fen": one["amount_yuan"], "party": one["party"]} for one in shares],
        **given,
    ))  # fmt: skip


@deed("journal.propose", "/journals/<journal_number>/undoing", "Take the division back",
      "Journal voucher {number}: the division of {amount_yuan} yuan of {debit} is to be taken back; "
      "another person approves it next.", name="journal.propose_undoing", body=ReasonBody)  # fmt: skip
def propose_undoing(
    desk: Desk, session: Session, actor: Actor, found: Journal, reason: str
) -> dict[str, Any]:
    """What a successor was paid of it already he then owes."""
    return _stands(journals.propose_undoing(session, actor, desk.now, found, reason))


@deed("journal.approve", "/journals/<journal_number>/approve", "Approve the voucher",
      "Journal voucher {number} is booked as {entry}.", changes=True)  # fmt: skip
def approve_journal(desk: Desk, session: Session, actor: Actor, found: Journal) -> dict[str, Any]:
    entry = journals.approve(session, actor, desk.now, found)
    return {**_stands(found), "entry": entry.number}


@deed("journal.reject", "/journals/<journal_number>/reject", "Reject",
      "Journal voucher {number} is {state}.", body=ReasonBody, changes=True)  # fmt: skip
def reject_journal(
    desk: Desk, session: Session, actor: Actor, found: Journal, reason: str
) -> dict[str, Any]:
    journals.reject(session, actor, desk.now, found, reason)
    return _stands(found)


@deed("journal.withdraw", "/journals/<journal_number>/withdraw", "Withdraw",
      "Journal voucher {number} is {state}.", body=ReasonBody, changes=True)  # fmt: skip
def withdraw_journal(
    desk: Desk, session: Session, actor: Actor, found: Journal, reason: str
) -> dict[str, Any]:
    journals.withdraw(session, actor, desk.now, found, reason)
    return _stands(found)


show_journal = shows("journal", "/journals/<journal_number>", "Journal voucher")
list_journals = lists("journal", "/journals", "Journal vouchers",
                      "number agreement_id effective_on memo debit credit amount_fen state",
                      (Journal.number, Journal.memo))  # fmt: skip


# -- entries, holds, accounts --------------------------------------------------------------------------


@question("entry.read", "/entries/<entry_number>", "Entry", answer=BookingAnswer)
def show_entry(_desk: Desk, session: Session, _actor: Actor, found: Entry) -> dict[str, Any]:
    other = books.linked(session, found)
    return {
        **found.body(), "history": history_of(session, found.id),
        "linked": None if other is None else other.number,
    }  # fmt: skip


list_entries = lists("entry", "/entries", "Accounting entries", "number effective_on memo reverses",
                     (Entry.number, Entry.memo))  # fmt: skip
show_hold = shows("hold", "/holds/<hold_number>", "Hold")
list_holds = lists("hold", "/holds", "Holds", "number amount_fen expires_at state",
                   (Hold.number,))  # fmt: skip


def _sides(_session: Session, row: Agreement) -> tuple[str, str]:
    """Not the bodies that were asked for consent: they read the agreement, and not its book."""
    return agreements.owners(row)


@question("entry.read", f"{OF}/books/accounts", "Accounts of the book", name="entry.accounts",
          answer=AccountsAnswer, owners=_sides)  # fmt: skip
def accounts(_desk: Desk, session: Session, _actor: Actor, found: Agreement) -> dict[str, Any]:
    """What stands on each account now, and what of it is held."""
    wanted = select(BookAccount).where(BookAccount.book == found.id)
    rows = session.scalars(wanted.order_by(BookAccount.account, BookAccount.party))
    return {
        "items": [
            {
                "account": row.account, "floor_fen": row.floor_fen, "held_fen": row.held_fen,
                "limited_by": row.limited_by, "party": row.party, "posted_fen": row.posted_fen,
                "side": ACCOUNTS[row.account].side,
            }
            for row in rows
        ]
    }  # fmt: skip


def _rows(session: Session, found: Agreement, given: dict[str, Any]) -> list[trial_balance.Row]:
    days = {name: one.isoformat() for name, one in given.items() if one is not None}
    return trial_balance.trial_balance(session, found.id, **days)


@question("entry.read", f"{OF}/books/balance", "Trial balance", name="entry.balance",
          query=SpanQuery, answer=BalanceAnswer, owners=_sides)  # fmt: skip
def balance(
    _desk: Desk, session: Session, _actor: Actor, found: Agreement, **given: Any
) -> dict[str, Any]:
    """Opening, debits, credits and closing of each account and party over days."""
    rows = _rows(session, found, given)
    return {"rows": [row.as_dict() for row in rows], "totals": list(trial_balance.totals_of(rows))}


@question("entry.read", f"{OF}/books/balance.xlsx", "Trial balance (XLSX)",
          name="entry.balance_xlsx", query=SpanQuery, media_type=XLSX, owners=_sides)  # fmt: skip
def balance_xlsx(
    _desk: Desk, session: Session, _actor: Actor, found: Agreement, **given: Any
) -> File:
    """The same as a workbook with live closings and sums."""
    target = BytesIO()
    span = " – ".join(str(given[name]) for name in ("from_on", "until_on") if given.get(name))
    title = f"{found.number} 试算平衡表 Trial balance {span}".strip()
    trial_balance.write_trial_balance(_rows(session, found, given), title, target)
    return File(target.getvalue(), XLSX, f"trial-balance-{found.number}.xlsx")


@question("entry.read", f"{OF}/books.beancount", "Export of the books (beancount)",
          name="entry.beancount", media_type="text/plain", owners=_sides)  # fmt: skip
def export(_desk: Desk, session: Session, _actor: Actor, found: Agreement) -> LongFile:
    """The book as beancount text, which `bean-check` checks."""
    parts = (line.encode() for line in beancount.write_book(session, found))
    return LongFile.write(parts, "text/plain", f"books-{found.number}.beancount")
