"""Pages of an agreement's book: the trial balance with what it is handed out as; entries, holds, vouchers.

GET  /agreements/XY2026-0001/books/balance         ?from_on=&until_on= ; ?until= a closed period's last day
GET  /agreements/XY2026-0001/books/balance.xlsx    the same as a workbook with live sums
GET  /agreements/XY2026-0001/books.beancount       the book as text for another program
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from flask import Flask, render_template, request
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import books, journals, limits
from ledger.agreements import Agreement
from ledger.books import Entry
from ledger.finance import marks
from ledger.holds import Hold
from ledger.journals import Journal
from ledger.limits import AccountLimit
from ledger.parties import Party, allowed
from ledger.periods import Period
from ledger.trial_balance import COLUMNS
from webapp import door
from webapp.api.respond import send
from webapp.deeds.all import books as deeds
from webapp.deeds.all import limits as limit_deeds
from webapp.language import language
from webapp.pages import nouns
from webapp.pages.value import person, sheet


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and what the pages of the nouns ask for."""
    app.jinja_env.filters["booked_on"] = account_name
    nouns.EXTRA |= {"entry": about_entry, "hold": about_hold, "journal": about_journal,
                    "limit": about_limit, "period": about_period}  # fmt: skip
    for question, name, view in (
        (deeds.balance, "trial_balance_read", trial_balance),
        (deeds.balance_xlsx, "trial_balance_xlsx", trial_balance_xlsx),
        (deeds.export, "books_export", export),
    ):
        app.add_url_rule(question.path, name, view)


def account_name(account: str) -> str:
    """An account in the reader's language: its code, and its name."""
    return (
        account
        if language() == "zh"
        else f"{account.split(maxsplit=1)[0]} {books.ACCOUNTS[account].en}"
    )


def _asked(agreement_number: str) -> dict[str, str]:
    """The days asked for; of a closed period, its last day is enough."""
    given = {name: request.args.get(name, "") for name in ("from_on", "until_on")}
    until = request.args.get("until")
    if until:
        with door.the_desk().home.reading() as session:
            first = session.scalar(
                select(Period.from_on)
                .join(Agreement, Agreement.id == Period.agreement_id)
                .where(Agreement.number == agreement_number, Period.until_on == until,
                       Period.state == "closed")
            )  # fmt: skip
        given = {"from_on": first or "", "until_on": until}
    return {name: text for name, text in given.items() if text}


@door.guard(deeds.balance)
def trial_balance(agreement_number: str) -> Any:
    """The trial balance over the days asked for."""
    desk, keys = door.the_desk(), {"agreement_number": agreement_number}
    asked = _asked(agreement_number)
    found = desk.ask(deeds.balance, door.who, keys, asked)
    with desk.home.reading() as session:
        agreement = deeds.balance.subjects(session, keys)[0]
        return render_template(
            "trial_balance.html", agreement=agreement, asked=asked, found=found,
            columns=COLUMNS, period=_period(session, agreement, asked),
            offers=[(deed, nouns.address(deed.name.replace(".", "_"), keys))
                    for deed in (deeds.propose_journal, limit_deeds.propose, deeds.close)
                    if allowed(door.actor(), deed.verb)],
        )  # fmt: skip


def _period(session: Session, agreement: Agreement, asked: Mapping[str, str]) -> str | None:
    """The last day of the closed period that was asked for; None for any other days."""
    days = asked.get("from_on"), asked.get("until_on")
    return (
        days[1] if days in {(start, end) for start, end, _ in marks(session, agreement)} else None
    )


@door.guard(deeds.balance_xlsx)
def trial_balance_xlsx(agreement_number: str) -> Any:
    """The trial balance as a workbook."""
    keys = {"agreement_number": agreement_number}
    made = door.the_desk().ask(deeds.balance_xlsx, door.who, keys, _asked(agreement_number))
    return sheet(BytesIO(made.content), made.name)


@door.guard(deeds.export)
def export(agreement_number: str) -> Any:
    """The book as beancount text."""
    made = door.the_desk().ask(deeds.export, door.who, {"agreement_number": agreement_number}, {})
    return send(made)


def about_entry(session: Session, row: Entry) -> dict[str, Any]:
    """The agreement whose book it is, the entry linked to it, and its lines with the parties' names."""
    return {
        **_in_book(session, books.book_of(session, row), row.lines),
        "linked": books.linked(session, row),
    }


def about_hold(session: Session, row: Hold) -> dict[str, Any]:
    """The agreement, the lines, and the entry that it became."""
    return {
        **_in_book(session, row.book_id, row.lines),
        "booked": books.entry_of(session, row.id),
    }


def about_journal(session: Session, row: Journal) -> dict[str, Any]:
    """The agreement, the entry, and who proposed and decided."""
    lines = row.lines or []
    if row.kind == "opening" and row.state == "proposed":
        lines = journals.opening_lines(session, row.agreement_id)[1]
    return {
        **_in_book(session, row.agreement_id, lines),
        "lines_due": lines,
        "booked": session.get(Entry, row.entry_id or ""),
        "decider": person(session, row.decided_by),
        "maker": person(session, row.proposed_by),
        "undone": session.get(Journal, row.undoes or ""),
    }


def about_limit(session: Session, row: AccountLimit) -> dict[str, Any]:
    """The agreement, what stands on the account now, and who proposed and decided."""
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "decider": person(session, row.decided_by),
        "maker": person(session, row.proposed_by),
        "stands": limits.row_of(session, row.agreement_id, row.account, row.party),
    }


def about_period(session: Session, row: Period) -> dict[str, Any]:
    """The agreement, and who closed."""
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "maker": person(session, row.closed_by),
    }


def _in_book(session: Session, book_id: str, lines: list[Any]) -> dict[str, Any]:
    codes = {line["party_id"] for line in lines if line["party_id"]}
    called = session.execute(select(Party.uscc, Party.name).where(Party.uscc.in_(codes))).tuples()
    return {"agreement": session.get(Agreement, book_id), "called": dict(called.all())}
