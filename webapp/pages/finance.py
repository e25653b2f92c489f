"""The finance department's pages: a period at a glance, and from every amount to what is behind it.

GET  /finance                                     what waits for me, and each agreement's money
GET  /agreements/XY2026-0001/finance?until=       a period; every amount leads on:
GET  /agreements/XY2026-0001/takings?until=       what came in, by kind and day
GET  /agreements/XY2026-0001/trades?until=&part=  the rows behind it, a page at a time
GET  /agreements/XY2026-0001/paid?until=&over=    what the bank paid, by its days
GET  /agreements/XY2026-0001/account?account=     the lines on an account, with what stood after each
GET  /statements/FP2026-0001/line?n=1             a payee's line and its steps
GET  /statements/FP2026-0001/comparison           why it differs from last time
"""

from collections.abc import Mapping
from typing import Any

from flask import Flask, current_app, render_template, request, url_for
from flask_limiter import Limiter
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import books, finance, statements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.finance import TRADES
from ledger.parties import allowed
from ledger.statements import STANDS, Statement
from webapp import door
from webapp.deeds.all import finance as deeds
from webapp.deeds.all import work
from webapp.deeds.subjects import BY_NOUN
from webapp.language import language, tr
from webapp.pages import charts, nouns
from webapp.pages.start import limit
from webapp.reasons import amount_in_words, lines_in_words

# What a finance department does: the first word of the deeds that wait for it.
FINANCE = {"bank_account", "confirmation", "difference", "hold", "inquiry", "journal", "limit", "payment",
           "payout", "period", "reconciliation", "refund", "remittance", "scheme", "statement"}  # fmt: skip
DAYS_DRAWN = 400


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and what the templates ask for."""
    app.jinja_env.globals |= {
        "TRADE_KINDS": deeds.KINDS, "TRADE_PARTS": deeds.PARTS,
        "UNDISTRIBUTED": books.UNDISTRIBUTED, "VOLUME_BY": deeds.BY, "finance_places": places,
        "desk_time": lambda: door.the_desk().now,
    }  # fmt: skip
    app.jinja_env.filters["account"] = deeds.account_name
    for question, view in (
        (deeds.overviews, overviews), (deeds.overview, overview), (deeds.takings, takings),
        (deeds.trades, trades), (deeds.paid, paid), (deeds.account, account), (deeds.line, line),
        (deeds.comparison, comparison),
    ):  # fmt: skip
        app.add_url_rule(question.path, question.name.replace(".", "_"), view)


# The pages of an agreement's money, in the order of the work: of a period, a statement, all agreements.
OWN = {
    "finance_read": "Period overview",
    "finance_takings": "What came in",
    "finance_trades": "Trades",
    "finance_paid": "Paid out",
}
OF_STATEMENT = {"statement_read": "Statement", "statement_comparison": "Comparison"}
BESIDE = {"trial_balance_read": "Trial balance"}
BESIDE_ALL = {
    "period_list": "Closed periods", "payout_list": "Payouts", "reconciliation_list": "Reconciliations",
    "difference_list": "Differences", "hold_list": "Holds", "limit_list": "Limits of accounts",
    "entry_list": "Accounting entries",
}  # fmt: skip


def places(agreement: Agreement, until: str = "") -> list[tuple[str, str, bool]]:
    """The way between the pages of an agreement's money: address, name, whether it is the one shown."""
    keys = {"agreement_number": agreement.number}
    with door.the_desk().home.reading() as session:
        if until not in {end for _, end, _ in finance.marks(session, agreement)}:
            until = ""
        period = {**keys, **({"until": until} if until else {})}
        known = [(name, period, title) for name, title in OWN.items()]
        last = statements.previous(session, agreement)
        if until:
            last = session.scalar(
                select(Statement).where(
                    Statement.agreement_id == agreement.id, Statement.until_on == until, STANDS
                )
            )
        if last is not None:
            of = {"statement_number": last.number}
            known += [(name, of, title) for name, title in OF_STATEMENT.items()]
    known += [(name, period, title) for name, title in BESIDE.items()]
    known += [(name, {}, title) for name, title in BESIDE_ALL.items()]
    views = current_app.view_functions
    return [
        (nouns.address(name, values), title, request.endpoint == name)
        for name, values, title in known if name in views and _may_read(name)
    ]  # fmt: skip


def _may_read(endpoint: str) -> bool:
    guard = current_app.extensions["guards"].get(endpoint)
    return guard is not None and allowed(door.actor(), guard.verb)


def _asked(*names: str) -> dict[str, str]:
    return {name: text for name in names if (text := request.args.get(name, "").strip())}


def _more(endpoint: str, keys: Mapping[str, str], after: str | None) -> str | None:
    """Where a list goes on."""
    return nouns.address(endpoint, {**keys, "after": after}) if after else None


@door.guard(deeds.overviews)
def overviews() -> str:
    """What waits for a person of finance, and each agreement's money now."""
    desk = door.the_desk()
    found = desk.ask(deeds.overviews, door.who, {}, {})
    waiting = []
    if allowed(door.actor(), "work.read"):
        today = local_date(desk.now)
        items = desk.ask(work.work, door.who, {}, {})["items"]
        waiting = [
            {**item, "address": nouns.page_of(item["noun"], item["number"]), "limit": limit(item, today)}
            for item in items if item["deed"].partition(".")[0] in FINANCE
        ]  # fmt: skip
    return render_template("finance_list.html", found=found, waiting=waiting)


@door.guard(deeds.overview)
def overview(agreement_number: str) -> str:
    """A period of an agreement; every amount is a link to what is behind it."""
    keys, asked = {"agreement_number": agreement_number}, _asked("until")
    found = door.the_desk().ask(deeds.overview, door.who, keys, asked)
    until = asked.get("until", "")

    def to_trades(**filters: str) -> str:
        return nouns.address("finance_trades", {**keys, **asked, **filters})

    def total(part: str, *kinds: str) -> dict[str, int]:
        some = [
            one
            for one in found["kinds"]
            if one["part"] == part and (not kinds or one["kind"] in kinds)
        ]
        return {name: sum(one[name] for one in some)
                for name in ("count", "amount_fen", "vat_fen", "net_fen")}  # fmt: skip

    traded, back, late = total("own", *TRADES), total("own", "refund"), total("late")
    sums = nouns.address("finance_takings", {**keys, **asked})
    inflow: list[dict[str, Any]] = [
        {"name": tr("Received, VAT included"), "count": traded["count"], "fen": traded["amount_fen"],
         "address": to_trades()},
        {"name": tr("Less VAT"), "count": None, "fen": -traded["vat_fen"], "address": sums},
        {"name": tr("Refunds, net"), "count": back["count"], "fen": back["net_fen"],
         "address": to_trades(kind="refund")},
        {"name": tr("Entered late, net"), "count": late["count"], "fen": late["net_fen"],
         "address": to_trades(part="late")},
        {"name": tr("To be shared"), "count": None, "fen": found["amount_fen"], "address": sums,
         "sum": True},
    ]  # fmt: skip
    actor = door.actor()
    with door.the_desk().home.reading() as session:
        [agreement] = deeds.overview.subjects(session, keys)
        draft = (
            nouns.address("statement_draft", {**keys})
            if allowed(actor, "statement.draft") and until
            else None
        )
        owed = any(one["posted_fen"] > one["held_fen"] for one in found["payees"])
        may_pay = owed and allowed(actor, "payout.prepare")
        offers = [
            (deed, address) for deed, address in nouns.offers(session, actor, agreement, keys)
            if deed.name.partition(".")[0] in FINANCE
        ]  # fmt: skip
        return render_template(
            "finance.html", agreement=agreement, differences=_address("difference_list"), draft=draft,
            found=found, inflow=inflow, offers=offers, until=until,
            prepare=nouns.address("payout_prepare", keys) if may_pay else None,
            holds=_address("hold_list"), sees_payouts=allowed(actor, "payout.read"),
            names=nouns.party_names(session),
            places=places(agreement, until),
        )  # fmt: skip


def _address(endpoint: str) -> str | None:
    seen = endpoint in current_app.view_functions and _may_read(endpoint)
    return url_for(endpoint) if seen else None


@door.guard(deeds.takings)
def takings(agreement_number: str) -> str:
    """What came in over a period, by kind and by day."""
    keys, asked = {"agreement_number": agreement_number}, _asked("until", "since")
    found = door.the_desk().ask(deeds.takings, door.who, keys, asked)

    def net(part: str, *kinds: str) -> int:
        return sum(one["net_fen"] for one in found["kinds"]
                   if one["part"] == part and (not kinds or one["kind"] in kinds))  # fmt: skip

    with door.the_desk().home.reading() as session:
        [agreement] = deeds.takings.subjects(session, keys)
        return render_template(
            "finance_takings.html", agreement=agreement, found=found, picture=_by_day(found),
            parts={"late": net("late"), "refunds": net("own", "refund"), "trades": net("own", *TRADES)},
            places=places(agreement, asked.get("until", "")),
            trades=lambda **more: nouns.address("finance_trades", {**keys, **asked, **more}),
        )  # fmt: skip


def _by_day(found: Mapping[str, Any]) -> Markup | None:
    """What each day brought, net, where there are several."""
    days: dict[str, int] = {}
    for one in found["days"]:
        days[one["day"]] = days.get(one["day"], 0) + one["net_fen"]
    if not 1 < len(days) <= DAYS_DRAWN:
        return None
    start, end = min(days), max(days)
    return charts.columns(
        tr("Net by day"), tr("{start} to {end}", start=start, end=end), [*days],
        [(tr("Net"), [max(fen, 0) for fen in days.values()])], _say,
    )  # fmt: skip


def _say(fen: int) -> str:
    return charts.short_amount(fen, language())


@door.guard(deeds.trades)
def trades(agreement_number: str) -> str:
    """The settlements behind an amount, a page at a time."""
    keys = {"agreement_number": agreement_number}
    asked = _asked("until", "since", "part", "kind", "day", "after")
    found = door.the_desk().ask(deeds.trades, door.who, keys, asked)
    actor = door.actor()
    with door.the_desk().home.reading() as session:
        [agreement] = deeds.trades.subjects(session, keys)
        linked = {noun for noun in ("payment", "refund", "confirmation", "licence")
                  if noun in BY_NOUN and f"{noun}_read" in current_app.view_functions
                  and allowed(actor, f"{noun}.read", agreement.operator_id)}  # fmt: skip
        for one in found["items"]:
            if one["kind"] == "trade":
                one["order"] = one["order"].partition(" ")[
                    2
                ]  # the exchange's code stands before its number
            noun = {"trade": "confirmation"}.get(one["kind"], one["kind"])
            one["address"] = (
                nouns.page_of(noun, one["reference"])
                if noun in linked and one["reference"]
                else None
            )
            one["order_address"] = (
                nouns.page_of("licence", one["order"])
                if one["kind"] == "payment" and "licence" in linked and one["order"]
                else None
            )
        filters = {name: text for name, text in asked.items() if name != "after"}
        return render_template(
            "finance_trades.html", agreement=agreement, found=found,
            asked={"part": "own", **filters}, problem=None,
            more=_more("finance_trades", {**keys, **filters}, found["next"]),
            places=places(agreement, asked.get("until", "")),
        )  # fmt: skip


@door.guard(deeds.paid)
def paid(agreement_number: str) -> str:
    """What the bank paid to payees, by its days, each with its payout."""
    keys = {"agreement_number": agreement_number}
    asked = _asked("until", "over", "account", "party", "after")
    found = door.the_desk().ask(deeds.paid, door.who, keys, asked)
    filters = {name: text for name, text in asked.items() if name != "after"}
    with door.the_desk().home.reading() as session:
        [agreement] = deeds.paid.subjects(session, keys)
        return render_template(
            "finance_paid.html", agreement=agreement, found=found, names=nouns.party_names(session),
            sees_payouts=allowed(door.actor(), "payout.read"),
            more=_more("finance_paid", {**keys, **filters}, found["next"]),
            others=nouns.address("finance_paid", {
                **keys, **filters, "over": "period" if asked.get("over") == "all" else "all"}),
            places=places(agreement, asked.get("until", "")),
        )  # fmt: skip


@door.guard(deeds.account)
def account(agreement_number: str) -> str:
    """The lines on an account, each with its entry and what caused it."""
    keys, asked = (
        {"agreement_number": agreement_number},
        _asked("account", "party", "until", "after"),
    )
    found = door.the_desk().ask(deeds.account, door.who, keys, asked)
    actor = door.actor()
    with door.the_desk().home.reading() as session:
        [agreement] = deeds.account.subjects(session, keys)
        for one in found["items"]:
            noun, number = one["cause"], one["cause_number"]
            seen = number and f"{noun}_read" in current_app.view_functions and allowed(
                actor, f"{noun}.read", (agreement.operator_id, agreement.implementer_id)
            )  # fmt: skip
            one["cause_address"] = nouns.page_of(noun, number) if seen else None
            one["entry_address"] = (
                nouns.page_of("entry", one["entry"]) if "entry" in BY_NOUN else None
            )
        kind = books.ACCOUNTS[found["account"]]
        filters = {name: text for name, text in asked.items() if name != "after"}
        return render_template(
            "finance_account.html", agreement=agreement, found=found, side=kind.side,
            by_party=kind.per_party and not found["party"], names=nouns.party_names(session),
            more=_more("finance_account", {**keys, **filters}, found["next"]),
            places=places(agreement, asked.get("until", "")),
        )  # fmt: skip


@door.guard(deeds.line)
def line(statement_number: str) -> str:
    """A payee's line: its steps, and the way to the trades."""
    keys = {"statement_number": statement_number}
    found = door.the_desk().ask(deeds.line, door.who, keys, _asked("n"))
    with door.the_desk().home.reading() as session:
        agreement, period = _of_statement(session, keys, found["span"])
        return render_template(
            "finance_line.html", agreement=agreement, found=found, names=nouns.party_names(session),
            places=places(agreement, found["span"]["until_on"]),
            takings=nouns.address("finance_takings", period),
            trades=nouns.address("finance_trades", period),
        )  # fmt: skip


def _of_statement(
    session: Session, keys: Mapping[str, str], span: Mapping[str, Any]
) -> tuple[Agreement, dict[str, str]]:
    """A statement's agreement, and what names its span in addresses."""
    [row] = deeds.line.subjects(session, keys)
    agreement = session.get_one(Agreement, row.agreement_id)
    period = {"agreement_number": agreement.number, "until": span["until_on"]}
    return agreement, {**period, "since": span["since_on"]} if span["since_on"] else period


@door.guard(deeds.comparison)
def comparison(statement_number: str) -> str:
    """Why a statement is another amount than the last, for the whole and for each line."""
    keys = {"statement_number": statement_number}
    found = door.the_desk().ask(deeds.comparison, door.who, keys, {})
    with door.the_desk().home.reading() as session:
        [row] = deeds.comparison.subjects(session, keys)
        agreement = session.get_one(Agreement, row.agreement_id)
        names = nouns.party_names(session)
        for one in found["lines"]:
            one["address"] = _line_address(row, one)
        return render_template(
            "finance_comparison.html", agreement=agreement, found=found, picture=_causes(found),
            in_words=amount_in_words(found), lines_in_words=lines_in_words(found, names),
            causes=[(deeds.CAUSES[key], deeds.HOWS[how], fen)
                    for key, how, fen in deeds.causes(found["amount"])] if found["before"] else [],
            names=names, places=places(agreement, row.until_on),
        )  # fmt: skip


def _line_address(row: Statement, one: Mapping[str, Any]) -> str | None:
    """The page of the line, where there is just one of its heading."""
    same = [n for n, line in enumerate(row.lines, 1)
            if all(line[key] == one[key] for key in ("party", "kind", "zh", "en"))]  # fmt: skip
    if len(same) != 1:
        return None
    return url_for("statement_line", statement_number=row.number, n=same[0])


def _causes(found: Mapping[str, Any]) -> Markup | None:
    """The amount before, what each cause adds or takes, the amount now."""
    if not found["before"]:
        return None
    amount = found["amount"]
    parts = [(tr(deeds.CAUSES[key]), fen) for key, _, fen in deeds.causes(amount)]
    return charts.bridge(
        tr("From last time's amount to this one"),
        tr("{before} → {after} yuan", before=_say(amount["before_fen"]), after=_say(amount["after_fen"])),
        (tr("Before"), amount["before_fen"]), parts, (tr("Now"), amount["after_fen"]), _say,
    )  # fmt: skip
