"""The deeds on reconciliation 对账: account statements, exchange reports, and the differences found."""

from datetime import date
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import and_, true
from sqlalchemy.orm import Session

from ledger import bank_files, bank_matching, reconciliation
from ledger.agreements import Agreement
from ledger.bank_files import BankLine
from ledger.parties import Actor, party_by_uscc
from ledger.reconciliation import Difference, Reconciliation
from valuation import money
from webapp.deeds import Desk, Report, deed, question
from webapp.deeds.answers import (
    PAGE,
    PageQuery,
    history_of,
    list_schema,
    lists,
    page_of,
    shown_schema,
    shows,
)
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, day, text
from webapp.deeds.payouts import FileBody
from webapp.deeds.previews import FINDINGS, ROWS_TOLD, preview
from webapp.deeds.register import FoundBody

ONE, DIFFERENCE = "/reconciliations/<reconciliation_number>", "/differences/<difference_number>"
KINDS = {kind: FINDINGS[kind] for kind in sorted(bank_matching.KINDS)}
STATES = ("open", "answered", "settled")
# What the columns of an account statement and of a report hold.
STATEMENT_HOLDS = {
    "day": "the day: 2026-01-31, 2026/1/31, 20260131 or with 年月日",
    "reference": "the bank's number of the movement",
    "in": "what came in, in yuan; else empty",
    "out": "what went out, in yuan; else empty",
    "counterparty": "may be left out: who is on the other side",
    "memo": "may be left out: what the bank says it is for",
    "balance": "may be left out: what stands on the account after it, in yuan",
}
REPORT_HOLDS = {
    "trade": "the exchange's number of the trade",
    "amount": "yuan, at most two decimals",
    "day": "the day: 2026-01-31, 2026/1/31, 20260131 or with 年月日",
}
OWING = {
    "bank": "The bank, asked by finance", "exchange": "The exchange", "finance": "Finance",
    "operator": "The operator",
}  # fmt: skip


class BankStatementBody(FileBody):
    """The bank's account statement of some days."""

    from_on = day("First day")
    until_on = day("Last day")


class ReportBody(BankStatementBody):
    """An exchange's report of the trades of some days."""

    exchange = text("Exchange", most=18, hint="its social credit code", source="exchanges")


class ExplanationBody(Body):
    """How a difference came about, and what was done."""

    answer = text("Answer", area=True, hint="how it came about, and what was done")


def _stands(made: Reconciliation) -> dict[str, Any]:
    return {
        "count": sum(made.counts.values()), "counts": made.counts, "matched": made.matched_count,
        "number": made.number, "rows": made.row_count,
    }  # fmt: skip


def _read_statement(
    desk: Desk, _report: Report, _actor: Actor, _found: Agreement, *, name: str, digest: str, **_: Any
) -> dict[str, Any]:  # fmt: skip
    return {"rows": bank_files.read_statement(desk.home.material(digest), name)}


@deed("reconciliation.import", "/agreements/<agreement_number>/reconciliations/bank",
      "Reconcile an account statement",
      "Reconciliation {number}: {matched} of {rows} rows match, {count} differences.",
      name="reconciliation.bank", body=BankStatementBody, upload=True,
      prepare=_read_statement)  # fmt: skip
def import_bank(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, rows: list[BankLine],
    from_on: date, until_on: date, name: str, digest: str, size_bytes: int = 0,
) -> dict[str, Any]:  # fmt: skip
    return _stands(reconciliation.import_bank(
        session, actor, desk.now, found, rows, from_on=from_on, until_on=until_on, name=name,
        digest=digest,
    ))  # fmt: skip


def _told_side(one: Difference) -> dict[str, Any]:
    """A difference as a row: the file's side of it, or else the books'."""
    side, name = one.theirs or one.ours or {}, "trade" if one.owed_by == "exchange" else "reference"
    return {"row": side.get("row"), "day": side["day"], name: side.get("reference"),
            "amount_yuan": money.yuan(side["amount_fen"]), "counterparty": side.get("counterparty"),
            "finding": one.kind}  # fmt: skip


def _told_as(
    session: Session, made: Reconciliation, known: bool, matched: list[dict[str, Any]],
    **sums: str | None,
) -> dict[str, Any]:  # fmt: skip
    """A reconciliation that would be made: its differences first, then the rows that differ in nothing."""
    differing = reconciliation.differences(session, made)
    found = [_told_side(one) for one in differing]
    sides = (one.theirs or {} for one in differing)
    named = {side["row"] for side in sides if side.get("of") == made.number}
    matched = [one for one in matched if one["row"] not in named]
    return {
        "known": made.row_count if known else 0,
        "more": max(0, len(found) + len(matched) - ROWS_TOLD), "rows": made.row_count,
        "rows_told": [*found, *matched][:ROWS_TOLD],
        "sums": {
            **({"number": made.number} if known else {}), "from_on": made.from_on,
            "until_on": made.until_on, **{name: value for name, value in sums.items() if value},
            "differences": sum(made.counts.values()), "matched": made.matched_count,
        },
    }  # fmt: skip


def _tell_statement(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, rows: list[BankLine],
    size_bytes: int = 0, **of: Any,
) -> dict[str, Any]:  # fmt: skip
    before = {one.id for one in reconciliation.of(session, found)}
    made = reconciliation.import_bank(session, actor, desk.now, found, rows, **of)
    paired = {row for number, row, _, _ in made.pairs if number == made.number}
    matched = [
        {"row": one.row, "day": one.day, "reference": one.reference,
         "amount_yuan": money.yuan(one.amount_fen), "counterparty": one.counterparty, "finding": "matched"}
        for one in rows if one.row in paired
    ]  # fmt: skip
    balance = bank_files.closing_fen(rows)
    return _told_as(
        session, made, made.id in before, matched, in_yuan=money.yuan(made.in_fen),
        out_yuan=money.yuan(made.out_fen), bank_yuan=None if balance is None else money.yuan(balance),
    )  # fmt: skip


preview_bank = preview(import_bank, "Look at the account statement", _tell_statement)


def _read_report(
    desk: Desk, report: Report, _actor: Actor, _found: Agreement, *, name: str, digest: str, **_: Any
) -> dict[str, Any]:  # fmt: skip
    from ledger.trade_reports import read_report  # noqa: PLC0415 - heavy, only here

    report("read", 0, 0)
    return {"report": read_report(desk.home.material(digest), name)}


@deed("reconciliation.import", "/agreements/<agreement_number>/reconciliations/exchange",
      "Reconcile an exchange's report",
      "Reconciliation {number}: {matched} of {rows} rows match, {count} differences.",
      name="reconciliation.exchange", body=ReportBody, upload=True, prepare=_read_report)  # fmt: skip
def import_exchange(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, report: Any, exchange: str,
    from_on: date, until_on: date, name: str, digest: str, size_bytes: int = 0,
) -> dict[str, Any]:  # fmt: skip
    return _stands(reconciliation.import_exchange(
        session, actor, desk.now, found, party_by_uscc(session, exchange), report, from_on=from_on,
        until_on=until_on, name=name, digest=digest,
    ))  # fmt: skip


def _tell_report(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, report: Any, exchange: str,
    size_bytes: int = 0, **of: Any,
) -> dict[str, Any]:  # fmt: skip
    before = {one.id for one in reconciliation.of(session, found)}
    made = reconciliation.import_exchange(
        session, actor, desk.now, found, party_by_uscc(session, exchange), report, **of
    )
    return _told_as(session, made, made.id in before, [], amount_yuan=money.yuan(made.in_fen))


preview_exchange = preview(import_exchange, "Look at the exchange's report", _tell_report)


# -- differences -------------------------------------------------------------------------------


def _told(made: Difference) -> dict[str, Any]:
    return {"number": made.number, "state": made.state}


@deed("difference.answer", f"{DIFFERENCE}/answer", "Answer the difference",
      "Difference {number} is {state}; another person of finance settles it next.", body=ExplanationBody,
      changes=True)  # fmt: skip
def answer_difference(
    desk: Desk, session: Session, actor: Actor, found: Difference, answer: str
) -> dict[str, Any]:
    reconciliation.answer(session, actor, desk.now, found, answer)
    return _told(found)


@deed("difference.settle", f"{DIFFERENCE}/settle", "Settle the difference",
      "Difference {number} is {state}.", body=FoundBody, changes=True)  # fmt: skip
def settle(
    desk: Desk, session: Session, actor: Actor, found: Difference, finding: str
) -> dict[str, Any]:
    reconciliation.settle(session, actor, desk.now, found, finding)
    return _told(found)


@deed("difference.reopen", f"{DIFFERENCE}/reopen", "Ask again",
      "Difference {number} is {state} again.", body=ReasonBody, changes=True)  # fmt: skip
def reopen(
    desk: Desk, session: Session, actor: Actor, found: Difference, reason: str
) -> dict[str, Any]:
    reconciliation.reopen(session, actor, desk.now, found, reason)
    return _told(found)


ReconciliationShown: type[Schema] = type(
    "ReconciliationShownAnswer", (shown_schema(Reconciliation),),
    {"differences": fields.List(fields.Dict(), required=True)},
)  # fmt: skip


@question("reconciliation.read", ONE, "Reconciliation", answer=ReconciliationShown)
def show_reconciliation(
    _desk: Desk, session: Session, _actor: Actor, found: Reconciliation
) -> dict[str, Any]:
    """With the differences it found."""
    return {
        **found.body(), "differences": [one.body() for one in reconciliation.differences(session, found)],
        "history": history_of(session, found.id),
    }  # fmt: skip


list_reconciliations = lists(
    "reconciliation", "/reconciliations", "Reconciliations",
    "number kind from_on until_on row_count matched_count file_name",
    (Reconciliation.number, Reconciliation.file_name),
)  # fmt: skip
show_difference = shows("difference", DIFFERENCE, "Difference")
LISTED = ("number", "kind", "amount_fen", "owed_by", "owner_id", "due", "state")


class DifferenceQuery(PageQuery):
    """Which differences are wanted."""

    kind = text("Kind", required=False, blank=True, choices={"": "All", **KINDS})
    owed_by = text("Who has to answer", required=False, blank=True, choices={"": "All", **OWING})


@question("difference.read", "/differences", "Differences", name="difference.list",
          answer=list_schema(Difference, LISTED), query=DifferenceQuery, listed=True)  # fmt: skip
def list_differences(
    _desk: Desk, session: Session, actor: Actor, limit: int = PAGE, after: str = "", words: str = "",
    state: str = "", kind: str = "", owed_by: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Those that concern the person, the newest first."""
    asked = [column == given for column, given in ((Difference.kind, kind), (Difference.owed_by, owed_by))
             if given]  # fmt: skip
    rows = page_of(session, actor, "difference", limit=limit, after=after, words=words, state=state,
                   columns=(Difference.number,), where=and_(true(), *asked))  # fmt: skip
    kept = rows[:limit]
    bodies = [row.body() for row in kept]
    return {
        "items": [{name: body[name] for name in ("id", "version", *LISTED)} for body in bodies],
        "next": kept[-1].id if len(rows) > limit else None,
    }
