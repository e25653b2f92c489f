"""The yearly report on an agreement's price: drawn from what was sold and received, handed out as XLSX.

Sales of a year are the licences granted in it, counted by the unit their terms name; revenue is what was
received in it, VAT included. The maximum permitted revenue is that of the edition which holds on the last
day of the year (ours: the notice does not say how editions of one year are put together). Costs are stated.
"""

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log, prices
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Faults, Missing
from ledger.prices import HELD, Price
from ledger.registration import Registration
from ledger.spreadsheet import Page, Workbook, cached
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from valuation import methods
from valuation.money import exact_text
from valuation.price_report import due_on
from valuation.pricing import FREE, UNITS
from valuation.worksheet import Figure, recompute

METHOD = "price_report"
BASIS = "登记系统：当年许可与到账（含税） licences and receipts of the year, VAT included"


def drawn(
    session: Session, agreement: Agreement, year: int, *, overview: str, costs: Mapping[str, Any]
) -> Figure:
    """The report on a year of an agreement.

    `costs` are the items of cost, or their lines, as the method `price_report` asks for them. Raises
    Missing where no price setting held on its last day, ValuationError for costs that do not fit.
    """
    price = prices.in_force(session, agreement, date(year, 12, 31))
    if price is None:
        raise Missing(
            "No price setting of agreement {number} held on the last day of {year}.",
            number=agreement.number, year=year,
        )  # fmt: skip
    given = {
        **costs, "adjustments": _adjustments(session, agreement, year), "basis": BASIS,
        "overview": overview, "permitted_fen": price.permitted_fen,
        "sales": _sales(session, agreement, price, year), "year": year,
    }  # fmt: skip
    version = methods.describe(METHOD)["version"]
    return methods.run({"inputs": given, "method": METHOD, "version": version})


def write_report(figure: Figure, target: BytesIO) -> None:
    """Write a report as XLSX: the table in the notice's six parts, and its derivation with live formulas.

    Every number of the table refers to a cell of the derivation. Raises InputError where the steps do not
    recompute.
    """
    recompute(figure)
    assert figure.document is not None
    given = figure.document["inputs"]
    year = int(given["year"])
    with Workbook(target) as book:
        page = book.book.add_worksheet("年度报告 Report", Page)
        cells = book.steps(figure, "计算 Derivation", f"{figure.method} v{figure.version}")
        page.set_column(0, 0, 60)
        page.set_column(1, 1, 24)
        page.set_column(2, 2, 60)
        title = (
            f"{year}年度公共数据资源授权运营价格报告 Report on the price of authorised operation"
        )
        page.write_string(0, 0, title, book.bold)
        page.write_string(1, 0, f"{due_on(year)} 前报送 due", book.text)
        page.write_string(3, 0, "整体经营状况 State of operation", book.head)
        page.write_string(4, 0, str(given["overview"]), book.text)
        row = 6
        for part, symbols in _parts(figure):
            page.write_string(row, 0, part, book.head)
            page.write_string(row, 1, "元 / 数值 Yuan or number", book.head)
            page.write_string(row, 2, "来源 Source", book.head)
            for row, symbol in enumerate(symbols, start=row + 1):  # noqa: B020 - it goes on
                step = figure[symbol]
                page.write_string(row, 0, f"{step.zh} / {step.en}", book.text)
                if step.unit == "fen":
                    value = cached(step.value / 100)
                    page.write_formula(row, 1, f"={cells[symbol]}/100", book.yuan, value)
                else:
                    page.write_formula(row, 1, f"={cells[symbol]}", book.number, cached(step.value))
                page.write_string(row, 2, step.source, book.text)
            row += 2
        page.write_string(row, 0, figure.notes[-1].zh, book.text)
        page.write_string(row, 2, figure.notes[-1].en, book.text)


def _parts(figure: Figure) -> list[tuple[str, list[str]]]:
    """The notice's parts after the words on the state of operation, each with the symbols of its steps."""
    names = [step.symbol for step in figure.steps]

    def of(*starts: str) -> list[str]:
        return [name for name in names if name.startswith(starts)]

    return [
        ("成本开支 Cost", [*of("C_"), "C"]),
        ("实际收入及利润 Revenue and profit", ["A", "P"]),
        ("销售规模及收入 Sales and revenue", of("q_", "A_")),
        ("实际收入与最高准许收入的偏离 Deviation", ["R_max", "d"]),
        ("收费标准调整 Fees that were changed", of("old_", "new_")),
    ]


def _sales(session: Session, agreement: Agreement, price: Price, year: int) -> list[dict[str, Any]]:
    """What was sold and received in a year, by registration and unit."""
    wanted = (
        select(Licence, Registration)
        .join(Voucher, Voucher.id == Licence.voucher_id)
        .join(Registration, Registration.id == Voucher.registration_id)
        .where(Registration.agreement_id == agreement.id)
        .order_by(Licence.id)
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for licence, registration in session.execute(wanted).tuples():
        unit, quantity = prices.sold(licence.terms, Faults())
        if unit not in UNITS:
            unit, quantity = prices.PIECE, Fraction(1)
        paid = select(Payment.amount_fen).where(
            Payment.licence_id == licence.id, Payment.received_on.startswith(f"{year}-"),
            Payment.undone_by.is_(None),
        )  # fmt: skip
        revenue = sum(session.scalars(paid))
        granted = log.record_of(session, licence.id, 1).at
        is_new = local_date(granted).year == year
        if not (is_new or revenue):
            continue
        line = None if licence.purpose in FREE else prices.line_of(price, registration.code, unit)
        name = line["name"] if line else registration.title
        row = found.setdefault(
            (registration.code, unit),
            {"name": f"{name} {registration.code}", "quantity": Fraction(0), "revenue_fen": 0,
             "unit": unit},
        )  # fmt: skip
        row["quantity"] += quantity if is_new else 0
        row["revenue_fen"] += revenue
    return [{**row, "quantity": exact_text(row["quantity"])} for row in found.values()]


def _adjustments(session: Session, agreement: Agreement, year: int) -> list[dict[str, Any]]:
    """The fees that an edition which began in the year changed."""
    held = [one for one in prices.of(session, agreement) if one.state in HELD][::-1]
    made = []
    for old, new in pairwise(held):
        if not new.from_on.startswith(f"{year}-"):
            continue
        before = {_key(one): one for one in old.products}
        for one in new.products:
            known = before.get(_key(one))
            if known is not None and known["fee_fen"] != one["fee_fen"]:
                ground = new.approval or new.number
                made.append({
                    "from_on": new.from_on, "ground": ground, "name": one["name"],
                    "new_fen": one["fee_fen"], "old_fen": known["fee_fen"],
                })  # fmt: skip
    return made


def _key(product: Mapping[str, Any]) -> tuple[Any, ...]:
    """By what two editions' lines are the same."""
    return tuple(product.get(key) for key in ("registration", "unit", "purpose", "per"))
