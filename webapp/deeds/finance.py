"""The finance department's questions: a period at a glance, and what is behind every amount."""

from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import agreements, books, comparisons, finance, log, revenue, settlements, statements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Missing
from ledger.parties import Actor, allowed
from ledger.payout_rows import Payout
from ledger.reconciliation import Difference
from ledger.schemes import Scheme
from ledger.statements import Statement
from valuation import money
from valuation import schemes as scheme_language
from valuation.pricing import UNITS
from webapp.deeds import Desk, LongFile, question
from webapp.deeds.answers import PAGE, rows_a_page
from webapp.deeds.forms import MISSHAPEN, Body, day, said, text
from webapp.deeds.subjects import BY_NOUN
from webapp.tables import CSV, csv_parts
from webapp.wording import spoken

OF = "/agreements/<agreement_number>"
ONE = "/statements/<statement_number>"
PARTS = {"own": "Of the period", "late": "Entered late"}
KINDS = {"payment": "Payment", "trade": "Trade at the exchange", "refund": "Refund"}
assert tuple(PARTS) == finance.PARTS
assert tuple(KINDS) == settlements.KINDS
# Why an amount differs: the cause, and what volume is told by → how it is called, and how it is found.
PARTS_OF_CHANGE = ("volume_fen", "price_fen", "refunds_fen", "late_fen")
CAUSES = {
    "volume_fen number": "More or fewer trades", "volume_fen quantity": "More or less was sold",
    "price_fen number": "Another value of a trade", "price_fen quantity": "Another price",
    "refunds_fen": "Refunds", "late_fen": "Entered late",
}  # fmt: skip
HOWS = {
    "volume_fen number": "(trades now − trades then) × the average value of a trade then",
    "volume_fen quantity":
        "for each product and unit: (quantity now − quantity then) × the average price of a unit then; "
        "whole, what was not sold then",
    "price_fen": "what the period's own trades brought more, less the line above",
    "refunds_fen": "refunds now − refunds then", "late_fen": "late entries now − late entries then",
}  # fmt: skip
BY = {
    "number":
        "Volume is told by the number of trades: not every trade of both periods says how much was sold.",
    "quantity":
        "Volume is told by quantities: every trade of both periods says how much was sold.",
}  # fmt: skip
OVER = {"period": "Of the period", "all": "Up to now"}
PAYEES = {account: f"{account[:4]} {books.ACCOUNTS[account].en}" for account in finance.OF_PAYEES}
PAYOUTS_SHOWN = 5
SHOWN = 100  # agreements on the first page


class PeriodQuery(Body):
    """Which period: its last day; without one, what is not closed yet."""

    until = day("Last day of the period", required=False, hint="without one: the period still open")


class SpanQuery(PeriodQuery):
    """Which settlements: of a period, or all since an earlier one."""

    since = day("Last day of the period before", required=False,
                hint="where a statement goes back further than one period")  # fmt: skip


class TradesQuery(SpanQuery):
    """Which of a period's settlements."""

    part = text("Part", required=False, choices=PARTS)
    kind = text("Kind", required=False, blank=True, choices={"": "All", **KINDS})
    day = day("Day", required=False)


class TradesPageQuery(TradesQuery):
    """A page of them."""

    after = text("After (cursor)", most=40, required=False, blank=True)
    limit = rows_a_page()


class LineQuery(Body):
    """Which line of a statement, from 1."""

    n = fields.Integer(
        required=True, validate=validate.Range(1, 100_000, error=said(MISSHAPEN, "number of a line")),
        error_messages={"invalid": said(MISSHAPEN, "number of a line")},
        metadata={"title": "Line", "hint": "from 1"},
    )  # fmt: skip


class SettlementSpanAnswer(Schema):
    """A span of settlements: its days, and how far its numbers go (null: still open)."""

    from_on = fields.String(required=True)
    until_on = fields.String(required=True)
    through_n = fields.Integer(required=True, allow_none=True)
    since_on = fields.String(required=True)
    since_n = fields.Integer(required=True)


class FinanceTakingsAnswer(Schema):
    """What came in: sums by part and kind, and by day; fen."""

    agreement = fields.String(required=True)
    span = fields.Nested(SettlementSpanAnswer, required=True)
    amount_fen = fields.Integer(required=True)
    """what is to be shared: net of VAT, refunds taken off, late entries added"""
    kinds = fields.List(fields.Dict(), required=True)
    days = fields.List(fields.Dict(), required=True)


class FinanceTradesAnswer(Schema):
    """A page of settlements."""

    agreement = fields.String(required=True)
    span = fields.Nested(SettlementSpanAnswer, required=True)
    items = fields.List(fields.Dict(), required=True)
    next = fields.String(required=True, allow_none=True)


class StatementLineAnswer(Schema):
    """A payee's line: its amount, the steps from which it follows, and what came in."""

    agreement = fields.String(required=True)
    statement = fields.String(required=True)
    n = fields.Integer(required=True)
    line = fields.Dict(required=True)
    steps = fields.List(fields.Dict(), required=True)
    amount_fen = fields.Integer(required=True)
    span = fields.Nested(SettlementSpanAnswer, required=True)


class StatementComparisonAnswer(Schema):
    """Why a statement is another amount than the one before; null where there is none before."""

    statement = fields.String(required=True)
    before = fields.String(required=True, allow_none=True)
    spans = fields.List(fields.Dict(), required=True)
    """the days of both: from_on, until_on"""
    takings = fields.List(fields.Dict(), required=True)
    amount = fields.Dict(required=True, allow_none=True)
    """in fen; `by`: volume is told by ``quantity`` or by ``number`` of trades"""
    sold = fields.List(fields.Dict(), required=True)
    """by quantity: each product (registration) and unit with its quantities and net fen, then and now"""
    lines = fields.List(fields.Dict(), required=True)
    editions = fields.List(fields.Integer(), required=True)
    facts = fields.List(fields.Dict(), required=True)


class FinanceOverviewAnswer(Schema):
    """A period of an agreement at a glance; fen."""

    agreement = fields.String(required=True)
    span = fields.Nested(SettlementSpanAnswer, required=True)
    periods = fields.List(fields.Dict(), required=True)
    """every closed one, the oldest first: from_on, until_on"""
    amount_fen = fields.Integer(required=True)
    kinds = fields.List(fields.Dict(), required=True)
    statements = fields.List(fields.Dict(), required=True)
    payees = fields.List(fields.Dict(), required=True)
    """to each: share of this statement, paid within the period and up to now (by the bank's days), and as
    of now: due in all (paid or standing), held, open"""
    accounts = fields.List(fields.Dict(), required=True)
    payouts = fields.List(fields.Dict(), required=True)
    """those not cancelled, the newest first: number, state, amount_fen"""
    differences_open = fields.Integer(required=True)
    limits = fields.List(fields.Dict(), required=True)
    """what must stay of an account: account, party, floor_fen, number of the limit"""


class FinanceAnswer(Schema):
    """The agreements whose money one may see, the newest first."""

    items = fields.List(fields.Dict(), required=True)


class AccountQuery(PeriodQuery):
    """Which account: its code and name, and whose where it is kept for each party."""

    account = text("Account", most=40)
    party = text("Party", most=18, required=False, blank=True, hint="its social credit code")
    after = text("After (cursor)", most=80, required=False, blank=True)
    limit = rows_a_page()


class PaidQuery(PeriodQuery):
    """Which payments: of the period or up to now, of which account and payee."""

    over = text("Days", required=False, choices=OVER)
    account = text("Account", most=40, required=False, blank=True, choices={"": "All", **PAYEES})
    party = text("Party", most=18, required=False, blank=True, hint="its social credit code")
    after = text("After (cursor)", most=120, required=False, blank=True)
    limit = rows_a_page()


class FinancePaidAnswer(Schema):
    """What the bank paid to payees, by its days; what came back is below nought; fen."""

    agreement = fields.String(required=True)
    account = fields.String(required=True, allow_none=True)
    party = fields.String(required=True, allow_none=True)
    from_on = fields.String(required=True)
    """empty: from the beginning"""
    until_on = fields.String(required=True)
    amount_fen = fields.Integer(required=True)
    items = fields.List(fields.Dict(), required=True)
    next = fields.String(required=True, allow_none=True)


class FinanceAccountAnswer(Schema):
    """Lines of an account: what stood on it before them, and after each."""

    agreement = fields.String(required=True)
    account = fields.String(required=True)
    party = fields.String(required=True, allow_none=True)
    from_on = fields.String(required=True)
    until_on = fields.String(required=True)
    stood_fen = fields.Integer(required=True)
    limits = fields.List(fields.Dict(), required=True)
    items = fields.List(fields.Dict(), required=True)
    next = fields.String(required=True, allow_none=True)


def _sides(_session: Session, row: Agreement) -> tuple[str, str]:
    return agreements.owners(row)


def account_name(account: str) -> str:
    """An account's code and name in the reader's language."""
    code, _, zh = account.partition(" ")
    known = books.ACCOUNTS.get(account)
    return f"{code} {spoken(zh, known.en if known else zh)}"


def span_facts(span: finance.Span) -> dict[str, Any]:
    """A span as answers tell it."""
    return {key: value for key, value in asdict(span).items() if key != "agreement_id"}


def _span(
    desk: Desk, session: Session, found: Agreement, until: Any, since: Any = None
) -> finance.Span:
    return finance.span(
        session, found, local_date(desk.now), until.isoformat() if until else "",
        since.isoformat() if since else None,
    )  # fmt: skip


@question("finance.read", "/finance", "Finance", name="finance.list", answer=FinanceAnswer)
def overviews(_desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """Each agreement's money now: what came in since the last closing, what is undistributed and owed."""
    return {"items": [_at_a_glance(_desk, session, one) for one in mine(session, actor)]}


def _at_a_glance(desk: Desk, session: Session, row: Agreement) -> dict[str, Any]:
    over = _span(desk, session, row, None)
    last = statements.previous(session, row)
    stands = {one["account"]: one for one in finance.movements(session, row.id, "", "")}

    def on(name: str) -> int:
        return int(stands[name]["posted_fen"]) if name in stands else 0

    return {
        "closed_until": over.since_on or None, "number": row.number, "title": row.title,
        "open_fen": finance.account(session, over).of().net_fen,
        "payable_fen": on(books.PAYABLE) + on(books.TREASURY),
        "statement": last and last.number, "statement_state": last and last.state,
        "undistributed_fen": on(books.UNDISTRIBUTED),
    }  # fmt: skip


@question("finance.read", f"{OF}/finance", "Period overview", query=PeriodQuery,
          answer=FinanceOverviewAnswer, owners=_sides)  # fmt: skip
def overview(
    desk: Desk, session: Session, _actor: Actor, found: Agreement, until: Any = None
) -> dict[str, Any]:
    """A period: what came in, the statement, what payees are owed, and the accounts."""
    over = _span(desk, session, found, until)
    known = finance.account(session, over)
    issued = _ending_with(session, found, over)
    standing = [one for one in issued if one.state != "reversed" and not one.reverses]
    within = finance.paid_sums(session, found, over.from_on, over.until_on)
    in_all = finance.paid_sums(session, found, "", local_date(desk.now).isoformat())
    payees = []
    for one in finance.movements(session, found.id, "", "", by_party=True):
        if one["account"] not in finance.OF_PAYEES:
            continue
        key = one["account"], one["party"]
        paid_fen = in_all.get(key, 0)
        payees.append({
            **one, "due_fen": one["posted_fen"] + paid_fen, "open_fen": one["posted_fen"] - one["held_fen"],
            "paid_fen": paid_fen, "paid_within_fen": within.get(key, 0), "share_fen": sum(
                line["amount_fen"] for row in standing for line in row.lines
                if line["party"] == one["party"]
            ),
        })  # fmt: skip
    treasuries = {one["party"] for one in payees if one["account"] == books.TREASURY}
    return {
        "accounts": finance.movements(session, found.id, over.from_on, over.until_on),
        "agreement": found.number, "amount_fen": known.of().net_fen, "kinds": _kinds(known),
        "limits": _limits(session, found), "payees": payees,
        "differences_open": session.scalar(
            select(func.count()).where(
                Difference.agreement_id == found.id, Difference.state != "settled"
            )
        ),
        "payouts": [
            {"amount_fen": one.amount_fen, "number": one.number, "state": one.state}
            for one in session.scalars(
                select(Payout)
                .where(Payout.agreement_id == found.id, Payout.state != "cancelled")
                .order_by(Payout.id.desc())
                .limit(PAYOUTS_SHOWN)
            )
        ],
        "periods": [{"from_on": start, "until_on": end}
                    for start, end, _ in finance.marks(session, found)],
        "span": span_facts(over),
        "statements": [
            {
                "amount_fen": one.amount_fen, "number": one.number, "state": one.state,
                "stands": one in standing,
                "reverses": next((row.number for row in issued if row.id == one.reverses), None),
                "before": statements.previous(session, found, one.from_on) is not None,
                "lines": [{**line, "treasury": line["party"] in treasuries} for line in one.lines],
            }
            for one in issued
        ],
    }  # fmt: skip


def _ending_with(session: Session, found: Agreement, over: finance.Span) -> list[Statement]:
    """The statements of a closed period, one that was reversed included."""
    if over.through_n is None:
        return []
    wanted = select(Statement).where(
        Statement.agreement_id == found.id, Statement.until_on == over.until_on,
        Statement.state != "rejected",
    )  # fmt: skip
    return list(session.scalars(wanted.order_by(Statement.id)))


def _kinds(known: finance.Account) -> list[dict[str, Any]]:
    late_last = sorted(known.by_kind.items(), key=lambda one: one[0][0] == "late")
    return [{"kind": kind, "part": part, **asdict(one)} for (part, kind), one in late_last]


@question("finance.read", f"{OF}/account", "Account", name="finance.account", query=AccountQuery,
          answer=FinanceAccountAnswer, owners=_sides)  # fmt: skip
def account(
    desk: Desk, session: Session, _actor: Actor, found: Agreement, *, account: str, party: str = "",
    until: Any = None, after: str = "", limit: int = PAGE,
) -> dict[str, Any]:  # fmt: skip
    """The lines booked on an account in a period (without one: from the beginning), with their entries."""
    if account not in books.ACCOUNTS:
        raise Missing("There is no account {account}.", account=account)
    over = _span(desk, session, found, until) if until else None
    start, end = (over.from_on, over.until_on) if over else ("", "")
    stood, lines = finance.ledger_of(
        session, found, account, party or None, from_on=start, until_on=end, after=after,
        limit=limit + 1,
    )  # fmt: skip
    kept = lines[:limit]
    return {
        "account": account, "agreement": found.number, "from_on": start, "party": party or None,
        "items": [
            {
                "credit_fen": one.credit_fen, "debit_fen": one.debit_fen, "entry": one.entry.number,
                "memo": one.entry.memo, "on": one.on, "party": one.party or None,
                "reverses": one.entry.reverses, "stands_fen": one.stands_fen,
                **cause_of(session, one.entry.cause_id),
            }
            for one in kept
        ],
        "limits": [
            one for one in _limits(session, found)
            if one["account"] == account and party in ("", one["party"])
        ],
        "next": kept[-1].cursor if len(lines) > limit else None, "stood_fen": stood, "until_on": end,
    }  # fmt: skip


def _limits(session: Session, found: Agreement) -> list[dict[str, Any]]:
    """What limits keep on the accounts of a book now."""
    return [
        {"account": row.account, "floor_fen": row.floor_fen, "number": row.limited_by, "party": row.party}
        for row in books.limited(session, found.id)
    ]  # fmt: skip


@question("finance.read", f"{OF}/paid", "Paid out", name="finance.paid", query=PaidQuery,
          answer=FinancePaidAnswer, owners=_sides)  # fmt: skip
def paid(
    desk: Desk, session: Session, _actor: Actor, found: Agreement, *, until: Any = None,
    over: str = "period", account: str = "", party: str = "", after: str = "", limit: int = PAGE,
) -> dict[str, Any]:  # fmt: skip
    """What the bank paid to payees over a period or up to now, by its days, a page at a time."""
    days = _span(desk, session, found, until)
    start, end = days.from_on, days.until_on
    if over == "all":
        start, end = "", local_date(desk.now).isoformat()
    whose = {"account": account, "party": party}
    rows = finance.paid(session, found, start, end, **whose, after=after, limit=limit + 1)
    kept = rows[:limit]
    return {
        "account": account or None, "agreement": found.number, "from_on": start, "party": party or None,
        "amount_fen": sum(finance.paid_sums(session, found, start, end, **whose).values()),
        "items": [{**asdict(one), "came_back": bool(one.came_back)} for one in kept],
        "next": kept[-1].cursor if len(rows) > limit else None, "until_on": end,
    }  # fmt: skip


def cause_of(session: Session, cause_id: str) -> dict[str, str | None]:
    """What an entry was booked for: the noun and number of its cause, as paths name it."""
    noun = session.scalar(
        select(log.Record.subject_type).where(log.Record.subject_id == cause_id).limit(1)
    )
    subject = BY_NOUN.get(noun or "")
    row = session.get(subject.model, cause_id) if subject else None
    return {"cause": noun, "cause_number": subject.number(row) if subject and row else None}


@question("finance.read", f"{OF}/takings", "What came in", name="finance.takings", query=SpanQuery,
          answer=FinanceTakingsAnswer, owners=_sides)  # fmt: skip
def takings(
    desk: Desk,
    session: Session,
    _actor: Actor,
    found: Agreement,
    until: Any = None,
    since: Any = None,
) -> dict[str, Any]:
    """The sums of a period by part and kind, and by day and kind."""
    over = _span(desk, session, found, until, since)
    known = finance.account(session, over)
    return {
        "agreement": found.number, "amount_fen": known.of().net_fen,
        "days": [{"day": on, "kind": kind, **asdict(one)} for (on, kind), one in known.by_day.items()],
        "kinds": _kinds(known), "span": span_facts(over),
    }  # fmt: skip


@question("finance.read", f"{OF}/trades", "Trades behind an amount", name="finance.trades",
          query=TradesPageQuery, answer=FinanceTradesAnswer, owners=_sides)  # fmt: skip
def trades(
    desk: Desk, session: Session, _actor: Actor, found: Agreement, *, until: Any = None, since: Any = None,
    part: str = "own", kind: str = "", day: Any = None, after: str = "", limit: int = PAGE,
) -> dict[str, Any]:  # fmt: skip
    """The settlements of a period, read from where the last page ended."""
    over = _span(desk, session, found, until, since)
    page = list(finance.rows(
        session, over, part, kind=kind, day=day.isoformat() if day else "", after=after, limit=limit + 1
    ))  # fmt: skip
    kept = page[:limit]
    return {
        "agreement": found.number, "items": [asdict(one) for one in kept], "span": span_facts(over),
        "next": finance.cursor(kept[-1]) if len(page) > limit else None,
    }  # fmt: skip


@question("finance.read", f"{OF}/trades.csv", "Trades behind an amount (CSV)", name="finance.trades_csv",
          query=TradesQuery, media_type="text/csv", owners=_sides)  # fmt: skip
def trades_csv(
    desk: Desk, session: Session, _actor: Actor, found: Agreement, *, until: Any = None, since: Any = None,
    part: str = "own", kind: str = "", day: Any = None,
) -> LongFile:  # fmt: skip
    """All of them as a table, amounts in yuan."""
    over = _span(desk, session, found, until, since)
    head = ("序号 No.", "日期 day", "类型 kind", "金额(元) amount", "增值税(元) VAT", "不含税(元) net",
            "凭证号 reference", "行 row", "订单 order")  # fmt: skip
    rows = finance.rows(
        session, over, part, kind=kind, day=day.isoformat() if day else "", limit=None
    )
    lines = (
        (one.n, one.day, one.kind, money.yuan(one.amount_fen), money.yuan(one.vat_fen),
         money.yuan(one.net_fen), one.reference, one.row or "", one.order)
        for one in rows
    )  # fmt: skip
    name = f"trades-{found.number}-{over.until_on}-{part}.csv"
    return LongFile.write(csv_parts(chain([head], lines)), CSV, name)


@question("statement.read", f"{ONE}/line", "How a line follows", name="statement.line", query=LineQuery,
          answer=StatementLineAnswer)  # fmt: skip
def line(_desk: Desk, session: Session, _actor: Actor, found: Statement, n: int) -> dict[str, Any]:
    """A line of a statement with the steps of the scheme that lead to it, recomputed."""
    if n > len(found.lines):
        raise Missing("Statement {number} has no line {n}.", number=found.number, n=n)
    again = revenue.recompute(found, session.get_one(Scheme, found.scheme_id))
    return {
        "agreement": session.get_one(Agreement, found.agreement_id).number,
        "amount_fen": found.amount_fen, "line": found.lines[n - 1], "n": n, "statement": found.number,
        "span": span_facts(finance.statement_span(session, found)),
        "steps": again.lines[n - 1].to_dict()["steps"],
    }  # fmt: skip


@question("statement.read", f"{ONE}/comparison", "Why it differs from last time",
          name="statement.comparison", answer=StatementComparisonAnswer)  # fmt: skip
def comparison(_desk: Desk, session: Session, _actor: Actor, found: Statement) -> dict[str, Any]:
    """The difference to the statement before, taken apart into causes that sum to it to the fen."""
    made = comparisons.compare(session, found)
    if made is None:
        return {"amount": None, "before": None, "editions": [], "facts": [], "lines": [], "sold": [],
                "spans": [], "statement": found.number, "takings": []}  # fmt: skip
    labels = {
        step["fact"]: step["label"]
        for one in (made.before, made.after)
        for step in scheme_language.every_step(
            session.get_one(Scheme, one.scheme_id).document["steps"]
        )
        if "fact" in step
    }
    return {
        "amount": {**asdict(made.amount), "change_fen": made.amount.change_fen},
        "before": made.before.number, "editions": list(made.editions),
        "facts": [
            {"after_fen": made.after.facts.get(name), "before_fen": made.before.facts.get(name),
             "name": name, **labels.get(name, {"en": name, "zh": name})}
            for name in dict.fromkeys([*made.before.facts, *made.after.facts])
            if name.endswith("_fen")
        ],
        "lines": [{**asdict(one), "change_fen": one.change_fen} for one in made.lines],
        "spans": [{"from_on": one.from_on, "until_on": one.until_on} for one in (made.before, made.after)],
        "statement": found.number,
        "sold": _sold(made) if made.amount.by == "quantity" else [],
        "takings": [
            {**{key: value for key, value in asdict(one).items() if key != "sold"},
             "amount_fen": one.amount_fen}
            for one in (made.before_takings, made.after_takings)
        ],
    }  # fmt: skip


def causes(amount: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """Why an amount differs (the answer's `amount`): keys of each cause in CAUSES and HOWS, and its fen."""

    def told(table: Mapping[str, str], key: str) -> str:
        return key if key in table else f"{key} {amount['by']}"

    return [(told(CAUSES, key), told(HOWS, key), amount[key]) for key in PARTS_OF_CHANGE]


def _sold(made: comparisons.Comparison) -> list[dict[str, Any]]:
    """Each product and unit with what was sold of it then and now."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for when, takings in (("before", made.before_takings), ("after", made.after_takings)):
        for one in takings.sold or ():
            row = rows.setdefault((one.product, one.unit), {
                "after": "0", "after_fen": 0, "before": "0", "before_fen": 0, "en": UNITS[one.unit],
                "product": one.product, "unit": one.unit, "zh": one.unit,
            })  # fmt: skip
            row |= {when: money.exact_text(one.quantity), f"{when}_fen": one.fen}
    return [rows[key] for key in sorted(rows)]


def mine(session: Session, actor: Actor) -> list[Agreement]:
    """The agreements whose money the actor may see, the newest first."""
    found = session.scalars(select(Agreement).order_by(Agreement.id.desc()))
    seen = (one for one in found if allowed(actor, "finance.read", agreements.owners(one)))
    return [one for one, _ in zip(seen, range(SHOWN), strict=False)]
