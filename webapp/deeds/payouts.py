"""The deeds on payments: bank accounts 收款账户, payouts 付款批次, their files, the bank's results."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import (
    bank_accounts,
    bank_files,
    payment_files,
    payout_results,
    payout_rows,
    payouts,
    statements,
)
from ledger.agreements import Agreement
from ledger.bank_accounts import BankAccount
from ledger.bank_files import Result
from ledger.errors import Conflict, Faults
from ledger.parties import Actor, Party
from ledger.payout_rows import Payout
from ledger.tabular import read_table
from valuation import money
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import history_of, lists, row_schema, seen_schema, shown_schema
from webapp.deeds.field import DIGEST, ReasonBody
from webapp.deeds.forms import Body, text
from webapp.deeds.previews import ROWS_TOLD, preview
from webapp.tables import CSV, XLSX

ACCOUNT, PAYOUT = "/bank-accounts/<bank_account>", "/payouts/<payout_number>"
LEFT_OUT = {
    "limited": "a limit of its account keeps it: the finance department lifts it by two persons",
    "individual": "a natural person, whose account is not kept here",
    "no_account": "no confirmed bank account",
    "returned": "the bank sent a payment to its account back: enter it anew with a new ground",
    "split": "the organisation was split: divide the claim among its successors by a journal voucher",
    "unknown": "not registered here",
    "unanswered": "the bank has not answered an earlier payment",
}  # fmt: skip
# What the columns of the bank's result hold.
RESULT_HOLDS = {
    "serial": "the serial number of the payment file",
    "amount": "yuan, at most two decimals",
    "result": "成功 (paid), 失败 (failed) or 退汇 (came back)",
    "day": "of what was paid or came back: the day: 2026-01-31, 2026/1/31, 20260131 or with 年月日",
    "reference": "of what was paid or came back: the bank's number of the movement",
    "reason": "of what failed or came back: why",
    "debit": "may be left out: the sum of the debit, where one debit paid several",
}
KINDS = {"account": "Account of an organisation", "card": "Card of an organisation"}


class FileBody(Body):
    """What a file that was handed in is called, and its digest."""

    name = text("File name", most=200)
    digest = text("Digest", most=71, pattern=DIGEST, example="digest sha256:…")
    size_bytes = fields.Integer(load_default=0, metadata={"title": "Bytes", "hint": ""})


class BankAccountBody(Body):
    """Where a party is paid."""

    kind = text("Kind of account", choices=KINDS)
    holder_name = text("Account holder", most=100, hint="as the bank knows it")
    bank = text("Bank", most=100)
    branch = text("Branch", most=100)
    account_number = text(
        "Account number", most=60, hint="digits; shown whole to finance and the party"
    )
    unit_code = text("Code of the collecting unit", most=30, required=False, blank=True,
                     hint="执收单位编码; of a public body only")  # fmt: skip
    item_code = text("Code of the revenue item", most=30, required=False, blank=True,
                     hint="非税收入项目编码; of a public body only")  # fmt: skip
    ground = text("Ground", area=True, hint="the party's letter, the treasury's notice")


class PrepareBody(Body):
    """What is paid: all that is due, or one statement."""

    statement = text("Only this statement", most=30, required=False, blank=True,
                     hint="its number; empty: all that is due under the agreement")  # fmt: skip


# -- bank accounts -----------------------------------------------------------------------------


def _account(session: Session, made: BankAccount) -> dict[str, Any]:
    return {
        "account": made.masked, "holder_differs": bank_accounts.holder_differs(session, made),
        "number": made.number, "state": made.state,
    }  # fmt: skip


@deed("bank_account.enter", "/parties/<uscc>/bank-accounts", "Enter a bank account",
      "Bank account {number} ({account}) is entered; another person of finance confirms it next.",
      body=BankAccountBody)  # fmt: skip
def enter(desk: Desk, session: Session, actor: Actor, found: Party, **given: Any) -> dict[str, Any]:
    return _account(session, bank_accounts.enter(session, actor, desk.now, found, **given))


@deed("bank_account.confirm", f"{ACCOUNT}/confirm", "Confirm the bank account",
      "Bank account {number} ({account}) is {state}: it is paid to from now on.", changes=True)  # fmt: skip
def confirm_account(
    desk: Desk, session: Session, actor: Actor, found: BankAccount
) -> dict[str, Any]:
    bank_accounts.confirm(session, actor, desk.now, found)
    return _account(session, found)


def _undo(verb: str, title: str, act: Callable[..., None]) -> Any:
    def change(
        desk: Desk, session: Session, actor: Actor, found: BankAccount, reason: str
    ) -> dict[str, Any]:
        act(session, actor, desk.now, found, reason)
        return _account(session, found)

    return deed(f"bank_account.{verb}", f"{ACCOUNT}/{verb}", title,
                "Bank account {number} is {state}.", body=ReasonBody, changes=True)(change)  # fmt: skip


reject_account = _undo("reject", "Reject the bank account", bank_accounts.reject)
withdraw_account = _undo("withdraw", "Take the bank account back", bank_accounts.withdraw)

BankAccountSeen: type[Schema] = type("BankAccountSeenAnswer", (seen_schema(BankAccount),), {
    "before": fields.Nested(row_schema(BankAccount), required=True, allow_none=True),
    "holder_differs": fields.Boolean(required=True),
})  # fmt: skip


@question("bank_account.read", ACCOUNT, "Bank account", answer=BankAccountSeen)
def show_account(_desk: Desk, session: Session, actor: Actor, found: BankAccount) -> dict[str, Any]:
    """Beside the one before; the number is whole for finance and the party, else but its end is told."""
    before = bank_accounts.before(session, found)
    return {
        **told_account(actor, found), "before": before and told_account(actor, before),
        "holder_differs": bank_accounts.holder_differs(session, found),
        "hidden": [] if bank_accounts.sees_number(actor, found) else ["account_number"],
        "history": history_of(session, found.id),
    }  # fmt: skip


def told_account(actor: Actor, row: BankAccount) -> dict[str, Any]:
    """A bank account as far as he is told of it."""
    body = row.body()
    if not bank_accounts.sees_number(actor, row):
        body["account_number"] = row.masked
    return body


list_accounts = lists("bank_account", "/bank-accounts", "Bank accounts",
                      "number party_id holder_name bank state",
                      (BankAccount.number, BankAccount.holder_name, BankAccount.bank))  # fmt: skip


# -- payouts -----------------------------------------------------------------------------------


def _stands(made: Payout) -> dict[str, Any]:
    return {
        "amount_yuan": money.yuan(made.amount_fen), "approvals": len(made.approvals),
        "count": made.line_count, "left_out": made.left_out, "number": made.number,
        "required": made.approvals_required, "state": made.state,
    }  # fmt: skip


@deed("payout.prepare", "/agreements/<agreement_number>/payouts", "Prepare a payout",
      "Payout {number} holds {amount_yuan} yuan for {count} payments; another person approves it next.",
      body=PrepareBody)  # fmt: skip
def prepare(
    desk: Desk, session: Session, actor: Actor, found: Agreement, statement: str = ""
) -> dict[str, Any]:
    """Who is owed and left out is named in the answer."""
    of = statements.by_number(session, statement.strip()) if statement.strip() else None
    return _stands(payouts.prepare(session, actor, desk.now, found, of))


@deed("payout.approve", f"{PAYOUT}/approve", "Approve the payout",
      "Payout {number} has {approvals} of {required} approvals and is {state}.", changes=True)  # fmt: skip
def approve(desk: Desk, session: Session, actor: Actor, found: Payout) -> dict[str, Any]:
    payouts.approve(session, actor, desk.now, found)
    return _stands(found)


@deed("payout.cancel", f"{PAYOUT}/cancel", "Cancel the payout",
      "Payout {number} is {state}: what it held is due again.", body=ReasonBody, changes=True)  # fmt: skip
def cancel(
    desk: Desk, session: Session, actor: Actor, found: Payout, reason: str
) -> dict[str, Any]:
    payouts.cancel(session, actor, desk.now, found, reason)
    return _stands(found)


@deed("payout.close", f"{PAYOUT}/close", "Close the payout",
      "Payout {number} is {state}: what the bank did not pay is due again.", body=ReasonBody,
      changes=True)  # fmt: skip
def close(desk: Desk, session: Session, actor: Actor, found: Payout, reason: str) -> dict[str, Any]:
    payouts.close(session, actor, desk.now, found, reason)
    return _stands(found)


def _read_results(
    desk: Desk, _report: Report, _actor: Actor, _found: Payout, *, name: str, digest: str, **_: Any
) -> dict[str, Any]:
    faults = Faults()
    results = bank_files.read_results(desk.home.material(digest), name, faults)
    return {"faults": faults, "results": results}


@deed("payout.confirm", f"{PAYOUT}/results", "Import the bank's result",
      "{name}: {paid_count} payments are booked ({paid_yuan} yuan), {failed_count} failed, "
      "{returned_count} came back; payout {number} is {state}.",
      body=FileBody, upload=True, prepare=_read_results)  # fmt: skip
def confirm(
    desk: Desk, session: Session, actor: Actor, found: Payout, *, results: list[Result], faults: Faults,
    name: str, digest: str, size_bytes: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """What was paid beyond what is owed stands under `twice` in the answer."""
    done = payout_results.confirm(
        session, actor, desk.now, found, results, name=name, digest=digest, faults=faults
    )
    yuan = {
        f"{side}_yuan": money.yuan(done[f"{side}_fen"]) for side in ("paid", "failed", "returned")
    }
    return {**done, **yuan, "number": found.number, "state": found.state}


def _tell_results(
    desk: Desk, session: Session, actor: Actor, found: Payout, *, results: list[Result], faults: Faults,
    name: str, digest: str, size_bytes: int = 0,
) -> dict[str, Any]:  # fmt: skip
    fresh = payout_results.fresh(
        session, desk.now, found, results, name=name, digest=digest, faults=faults
    )
    new = {one.row for one in fresh}
    done = payout_results.confirm(
        session, actor, desk.now, found, results, name=name, digest=digest
    )
    told, sums = payout_results.sums(fresh), dict[str, Any]()
    for side in ("paid", "failed", "returned"):
        if side == "paid" or told[f"{side}_count"]:
            sums[f"{side}_count"] = told[f"{side}_count"]
            sums[f"{side}_yuan"] = money.yuan(told[f"{side}_fen"])
    beyond = sum(one["fen"] for one in done["twice"]) if fresh else 0
    return {
        "known": len(results) - len(fresh), "more": max(0, len(results) - ROWS_TOLD), "rows": len(results),
        "rows_told": [
            {"row": one.row, "serial": one.serial, "day": one.day, "reference": one.reference,
             "amount_yuan": money.yuan(one.amount_fen),
             "result": "came_back" if one.returned else "paid" if one.paid else "failed",
             "finding": "new" if one.row in new else "known"}
            for one in results[:ROWS_TOLD]
        ],
        "sums": {**sums, "state": found.state,
                 **({"beyond_yuan": money.yuan(beyond)} if beyond else {})},
    }  # fmt: skip


preview_results = preview(confirm, "Look at the bank's result", _tell_results)


@question("payout.file", f"{PAYOUT}/file.csv", "Payment file (CSV)", name="payout.csv",
          media_type=CSV)  # fmt: skip
def csv_file(_desk: Desk, session: Session, _actor: Actor, found: Payout) -> File:
    """What the bank is given; only an approved payout has one."""
    data = payment_files.as_csv(payouts.payments(session, found))
    return File(data, CSV, f"{found.number}.csv")


@question("payout.file", f"{PAYOUT}/file.xlsx", "Payment file (XLSX)", name="payout.xlsx",
          media_type=XLSX)  # fmt: skip
def xlsx_file(_desk: Desk, session: Session, _actor: Actor, found: Payout) -> File:
    data = payment_files.as_xlsx(payouts.payments(session, found))
    return File(data, XLSX, f"{found.number}.xlsx")


@deed("payout.file", "/payouts:check", "Check a payment file", "{name} is of payout {number}: {verdict}.",
      name="payout.check", body=FileBody, upload=True, transient=True, records=False)  # fmt: skip
def check(
    desk: Desk, session: Session, _actor: Actor, *, name: str, digest: str, size_bytes: int = 0
) -> dict[str, Any]:
    """That a payment file is as it was approved; raises Conflict naming each cell that is not."""
    data = desk.home.handed_in(digest)
    found, whole, faults = payouts.check_file(session, read_table(data, name), data)
    if faults:
        raise Conflict(
            "{name} is not as payout {number} was approved: {faults}.", name=name,
            number=found.number, faults=faults,
        )  # fmt: skip
    verdict = "unchanged" if whole else "saved anew, no row changed"
    return {"name": name, "number": found.number, "verdict": verdict, "whole": whole}


PayoutShown: type[Schema] = type("PayoutShownAnswer", (shown_schema(Payout),), {
    "lines": fields.List(fields.Dict(), required=True),
})  # fmt: skip


@question("payout.read", PAYOUT, "Payout", answer=PayoutShown)
def show_payout(_desk: Desk, session: Session, actor: Actor, found: Payout) -> dict[str, Any]:
    """With its payments, each with the account it goes to."""
    return {
        **found.body(), "history": history_of(session, found.id),
        "lines": lines_told(session, actor, found),
    }  # fmt: skip


def lines_told(session: Session, actor: Actor, row: Payout) -> list[dict[str, Any]]:
    """The payments of a payout, with whom they go to and where, as far as he is told.

    `debit` is what the bank took in one debit with it, and for how many payments; None where it paid none.
    """
    made, lines = [], payout_rows.lines_of(session, row)
    debits = defaultdict[str, dict[str, int]](lambda: {"amount_fen": 0, "count": 0})
    for line in lines:
        if line.debit_id is not None:
            debits[line.debit_id]["amount_fen"] += line.amount_fen
            debits[line.debit_id]["count"] += 1
    for line in lines:
        account = session.get_one(BankAccount, line.bank_account_id)
        told = told_account(actor, account)
        made.append({
            **line.body(), "account_number": told["account_number"], "bank": account.bank,
            "bank_account": account.number, "holder_name": account.holder_name,
            "debit": debits[line.debit_id] if line.debit_id else None,
        })  # fmt: skip
    return made


list_payouts = lists("payout", "/payouts", "Payouts", "number amount_fen line_count expires_at state",
                     (Payout.number,))  # fmt: skip
