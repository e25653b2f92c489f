"""What the pages of bank accounts, payouts, reconciliations and differences need, and the payment file."""

from typing import Any

from flask import Flask, Response, render_template, request
from flask_limiter import Limiter
from sqlalchemy.orm import Session, object_session

from ledger import bank_accounts, payment_files, payout_rows, reconciliation
from ledger.agreements import Agreement
from ledger.bank_accounts import BankAccount
from ledger.books import ACCOUNTS
from ledger.parties import Party, allowed
from ledger.payout_rows import Payout
from ledger.reconciliation import Difference, Reconciliation
from ledger.statements import Statement
from webapp import door
from webapp.api.respond import send
from webapp.deeds.all import payouts as payment_deeds
from webapp.deeds.all import reconciliation as deeds
from webapp.language import tr
from webapp.pages import nouns
from webapp.pages.forms import choices_for
from webapp.pages.show import redirect
from webapp.pages.value import person


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes of the payment file, and what the templates need."""
    app.jinja_env.globals |= {
        "BANK_ACCOUNT_KINDS": payment_deeds.KINDS, "DIFFERENCE_KINDS": deeds.KINDS,
        "DIFFERENCE_OWING": deeds.OWING, "DIFFERENCE_STATES": deeds.STATES,
        "LEFT_OUT": payment_deeds.LEFT_OUT, "PAYMENT_FILE": payment_files.TITLES,
        "account_before": account_before, "holder_differs": holder_differs, "payout_lines": payout_lines,
        "BOOK_ACCOUNTS": {name: (name, f"{name[:4]} {kind.en}") for name, kind in ACCOUNTS.items()},
    }  # fmt: skip
    nouns.EXTRA |= {
        "bank_account": about_account, "difference": about_difference, "payout": about_payout,
        "reconciliation": about_reconciliation,
    }  # fmt: skip
    nouns.BEHIND["payout.check"] = lambda _session, _keys: nouns.address("payout_list", {})
    app.add_url_rule("/bank-accounts/new", "bank_account_begin", begin_account)
    app.add_url_rule(payment_deeds.csv_file.path, "payout_csv", csv_file)
    app.add_url_rule(payment_deeds.xlsx_file.path, "payout_xlsx", xlsx_file)


def account_before(row: BankAccount) -> dict[str, Any] | None:
    """The account that holds before the one to be confirmed, as far as the reader is told of it."""
    session = object_session(row)
    before = bank_accounts.before(session, row) if session is not None else None
    return None if before is None else payment_deeds.told_account(door.actor(), before)


def holder_differs(row: BankAccount) -> bool:
    """Whether the holder bears another name than the party that is paid."""
    session = object_session(row)
    return session is not None and bank_accounts.holder_differs(session, row)


def payout_lines(row: Payout) -> list[dict[str, Any]]:
    """What an approval lets go to the bank."""
    session = object_session(row)
    return [] if session is None else payment_deeds.lines_told(session, door.actor(), row)


def about_account(session: Session, row: Any) -> dict[str, Any]:
    """Who entered and confirmed it, and the account before it as far as the reader is told of that."""
    found = session.get_one(BankAccount, row.id)
    before = bank_accounts.before(session, found)
    return {
        "before": before and payment_deeds.told_account(door.actor(), before),
        "decider": person(session, row.decided_by), "maker": person(session, row.entered_by),
        "party": session.get_one(Party, row.party_id),
    }  # fmt: skip


def about_payout(session: Session, row: Payout) -> dict[str, Any]:
    """Its payments, who made and approved it, and whether he may have its file."""
    lines = payment_deeds.lines_told(session, door.actor(), row)
    approvers = [person(session, one["by"]) for one in row.approvals]
    maker = person(session, row.maker_id)
    open_places = [None] * (row.approvals_required - len(approvers))
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "approvers": approvers,
        "counts": {state: sum(line["state"] == state for line in lines)
                   for state in ("held", "paid", "failed", "came_back", "cancelled")},
        "has_file": row.state in payout_rows.GIVEN and allowed(door.actor(), "payout.file"),
        "lines": lines, "maker": maker,
        "may_divide": allowed(door.actor(), "journal.propose"),
        "signers": [(tr("Prepared by"), maker),
                    *((tr("Checked by"), one) for one in [*approvers, *open_places])],
        "statement": row.statement_id and session.get_one(Statement, row.statement_id),
    }  # fmt: skip


def about_reconciliation(session: Session, row: Reconciliation) -> dict[str, Any]:
    """Its differences and, of a bank, how the two balances are brought together."""
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "differences": reconciliation.differences(session, row),
        "exchange": row.exchange_id and session.get_one(Party, row.exchange_id),
        "maker": person(session, row.imported_by),
    }  # fmt: skip


def about_difference(session: Session, row: Difference) -> dict[str, Any]:
    """Where it was found, who answered and who settled it."""
    found = session.get_one(Reconciliation, row.reconciliation_id)
    return {
        "answered": person(session, row.answered_by), "found": found,
        "sees_found": allowed(door.actor(), "reconciliation.read"),
        "settled": person(session, row.settled_by),
    }  # fmt: skip


@door.guard("bank_account.enter")
def begin_account() -> Any:
    """Whose account is to be entered; from there to the form."""
    if uscc := request.args.get("uscc"):
        return redirect(nouns.address("bank_account_enter", {"uscc": uscc}))
    with door.the_desk().home.reading() as session:
        choices = choices_for(session, door.actor())("parties")
    return render_template("bank_account_begin.html", choices=choices)


@door.guard(payment_deeds.csv_file)
def csv_file(payout_number: str) -> Response:
    """The payment file as CSV."""
    keys = {"payout_number": payout_number}
    return send(door.the_desk().ask(payment_deeds.csv_file, door.who, keys, {}))


@door.guard(payment_deeds.xlsx_file)
def xlsx_file(payout_number: str) -> Response:
    """The payment file as a workbook."""
    keys = {"payout_number": payout_number}
    return send(door.the_desk().ask(payment_deeds.xlsx_file, door.who, keys, {}))
