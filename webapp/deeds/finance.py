"""The finance department's questions: an agreement's period at a glance, and what is behind every amount."""

from dataclasses import asdict
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import agreements, finance, revenue
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Missing
from ledger.parties import Actor, allowed
from ledger.revenue import Scheme, Statement
from valuation import money
from webapp.deeds import Desk, File, question
from webapp.deeds.answers import PAGE, PAGE_MAX
from webapp.deeds.forms import MISSHAPEN, Body, day, said, text
from webapp.tables import CSV, csv_bytes

OF = "/agreements/<agreement_number>"
ONE = "/statements/<statement_number>"
PARTS = {"own": "Of the period", "late": "Entered late"}
KINDS = {"payment": "Payment", "trade": "Trade at the exchange", "refund": "Refund"}
assert tuple(PARTS) == finance.PARTS
assert tuple(KINDS) == finance.KINDS
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
    limit = fields.Integer(
        load_default=PAGE,
        validate=validate.Range(1, PAGE_MAX, error=said(MISSHAPEN, f"number from 1 to {PAGE_MAX}")),
        metadata={"title": "Rows a page", "hint": ""},
    )  # fmt: skip


class LineQuery(Body):
    """Which line of a statement, from 1."""

    n = fields.Integer(
        required=True, validate=validate.Range(1, 100_000, error=said(MISSHAPEN, "number of a line")),
        error_messages={"invalid": said(MISSHAPEN, "number of a line")},
        metadata={"title": "Line", "hint": "from 1"},
    )  # fmt: skip


class SpanAnswer(Schema):
    """A span of settlements: its days, and how far its numbers go (null: still open)."""

    from_on = fields.String(required=True)
    until_on = fields.String(required=True)
    through_n = fields.Integer(required=True, allow_none=True)
    since_on = fields.String(required=True)
    since_n = fields.Integer(required=True)


class TakingsAnswer(Schema):
    """What came in: sums by part and kind, and by day; fen."""

    agreement = fields.String(required=True)
    span = fields.Nested(SpanAnswer, required=True)
    amount_fen = fields.Integer(required=True)
    """what is to be shared: net of VAT, refunds taken off, late entries added"""
    kinds = fields.List(fields.Dict(), required=True)
    days = fields.List(fields.Dict(), required=True)


class TradesAnswer(Schema):
    """A page of settlements."""

    agreement = fields.String(required=True)
    span = fields.Nested(SpanAnswer, required=True)
    items = fields.List(fields.Dict(), required=True)
    next = fields.String(required=True, allow_none=True)


class LineAnswer(Schema):
    """A payee's line: its amount, the steps from which it follows, and what came in."""

    agreement = fields.String(required=True)
    statement = fields.String(required=True)
    n = fields.Integer(required=True)
    line = fields.Dict(required=True)
    steps = fields.List(fields.Dict(), required=True)
    amount_fen = fields.Integer(required=True)
    span = fields.Nested(SpanAnswer, required=True)


class ComparisonAnswer(Schema):
    """Why a statement is another amount than the one before; null where there is none before."""

    statement = fields.String(required=True)
    before = fields.String(required=True, allow_none=True)
    takings = fields.List(fields.Dict(), required=True)
    amount = fields.Dict(required=True, allow_none=True)
    lines = fields.List(fields.Dict(), required=True)
    editions = fields.List(fields.Integer(), required=True)
    facts = fields.List(fields.Dict(), required=True)


def _sides(_session: Session, row: Agreement) -> tuple[str, str]:
    return agreements.owners(row)


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


@question("finance.read", f"{OF}/takings", "What came in", name="finance.takings", query=SpanQuery,
          answer=TakingsAnswer, owners=_sides)  # fmt: skip
def takings(
    desk: Desk, session: Session, _actor: Actor, found: Agreement, until: Any = None, since: Any = None
) -> dict[str, Any]:
    """The sums of a period by part and kind, and by day and kind."""
    over = _span(desk, session, found, until, since)
    known = finance.account(session, over)
    return {
        "agreement": found.number, "amount_fen": known.of().net_fen,
        "days": [{"day": on, "kind": kind, **asdict(one)} for (on, kind), one in known.by_day.items()],
        "kinds": [{"kind": kind, "part": part, **asdict(one)}
                  for (part, kind), one in sorted(known.by_kind.items(), key=lambda x: x[0][0] == "late")],
        "span": span_facts(over),
    }  # fmt: skip


@question("finance.read", f"{OF}/trades", "Trades behind an amount", name="finance.trades",
          query=TradesPageQuery, answer=TradesAnswer, owners=_sides)  # fmt: skip
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
) -> File:  # fmt: skip
    """All of them as a table, amounts in yuan."""
    over = _span(desk, session, found, until, since)
    head = ("序号 No.", "日期 day", "类型 kind", "金额(元) amount", "增值税(元) VAT", "不含税(元) net",
            "凭证号 reference", "行 row", "订单 order")  # fmt: skip
    rows = finance.rows(session, over, part, kind=kind, day=day.isoformat() if day else "", limit=None)
    lines = (
        (one.n, one.day, one.kind, money.yuan(one.amount_fen), money.yuan(one.vat_fen),
         money.yuan(one.net_fen), one.reference, one.row or "", one.order)
        for one in rows
    )  # fmt: skip
    name = f"trades-{found.number}-{over.until_on}-{part}.csv"
    return File(csv_bytes([head, *lines]), CSV, name)


@question("statement.read", f"{ONE}/line", "How a line follows", name="statement.line", query=LineQuery,
          answer=LineAnswer)  # fmt: skip
def line(
    _desk: Desk, session: Session, _actor: Actor, found: Statement, n: int
) -> dict[str, Any]:
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
          name="statement.comparison", answer=ComparisonAnswer)  # fmt: skip
def comparison(
    _desk: Desk, session: Session, _actor: Actor, found: Statement
) -> dict[str, Any]:
    """The difference to the statement before, taken apart into causes that sum to it to the fen."""
    made = finance.compare(session, found)
    if made is None:
        return {"amount": None, "before": None, "editions": [], "facts": [], "lines": [],
                "statement": found.number, "takings": []}  # fmt: skip
    return {
        "amount": {**asdict(made.amount), "change_fen": made.amount.change_fen},
        "before": made.before.number, "editions": list(made.editions),
        "facts": [
            {"after_fen": made.after.facts.get(name), "before_fen": made.before.facts.get(name), "name": name}
            for name in dict.fromkeys([*made.before.facts, *made.after.facts])
            if name.endswith("_fen")
        ],
        "lines": [{**asdict(one), "change_fen": one.change_fen} for one in made.lines],
        "statement": found.number,
        "takings": [{**asdict(one), "amount_fen": one.amount_fen}
                    for one in (made.before_takings, made.after_takings)],
    }  # fmt: skip


def mine(session: Session, actor: Actor) -> list[Agreement]:
    """The agreements whose money the actor may see, the newest first."""
    found = session.scalars(select(Agreement).order_by(Agreement.id.desc()))
    seen = (one for one in found if allowed(actor, "finance.read", agreements.owners(one)))
    return [one for one, _ in zip(seen, range(SHOWN), strict=False)]
