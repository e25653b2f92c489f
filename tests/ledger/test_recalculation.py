"""LibreOffice recalculates what we hand out to the same fen: every method, ten trillion fen, ties."""

import json
import random
import re
import shutil
import subprocess
import zipfile
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from python_calamine import CalamineWorkbook

from ledger import national_sheet, statistics, statistics_sheet
from ledger.price_reports import write_report
from ledger.spreadsheet import LONG_FROM_FEN, Workbook, write_figure
from tests.conftest import Town
from tests.valuation import scheme_cases
from tests.valuation.golden import worked
from valuation import InputError, methods, national_table, pricing, sharing
from valuation.income import MODELS, RATE_PARTS, TIMINGS
from valuation.money import round_half_up
from valuation.national_table import AMOUNTS
from valuation.worksheet import Figure

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/methods.json").read_text("utf-8")
)
LARGEST = 10**13
CONTRIBUTIONS = ("current_fen", "fixed_fen", "intangible_fen", "workforce_fen")
COSTS = ("preparatory_fen", "direct_fen", "indirect_fen", "opportunity_fen", "taxes_fen")

calc = pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")


class Draw:
    """Documents of each method with random inputs, amounts up to ten trillion fen."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def amount(self) -> int:
        return self.random.randrange(LARGEST // 10, LARGEST)

    def ratio(self) -> str:
        """Of few decimals, of many, a fraction of small terms, of large ones."""
        pick = self.random.randrange
        return (
            f"0.{pick(1, 100):02d}", f"0.{pick(1, 10**12):012d}", f"0.{pick(1, 10**17):017d}",
            f"{pick(1, 999)}/{pick(1000, 9999)}", f"{pick(1, 10**12)}/{pick(10**12, 10**13)}",
        )[pick(5)]  # fmt: skip

    def factor(self) -> str:
        return self.random.choice([self.ratio(), f"1.{self.random.randrange(100):02d}", "3/7"])

    def cost(self) -> dict[str, Any]:
        factors = [
            {"zh": "甲", "en": "a", "value": self.factor(), "basis": "b"}
            for _ in range(self.random.randrange(5))
        ]
        return document("cost", **{key: self.amount() for key in COSTS}, factors=factors)

    def cost_by_item(self) -> dict[str, Any]:
        made = self.cost()
        given = made["inputs"]
        lines = [{"name": f"l{k}", "amount_fen": self.amount(), "basis": "b"} for k in range(30)]
        given["lines"] = {"direct": lines}
        del given["direct_fen"]
        only = {
            "zh": "乙",
            "en": "b",
            "value": self.factor(),
            "basis": "b",
            "applies_to": ["direct"],
        }
        given["factors"].append(only)
        return made

    def cost_expert_9(self) -> dict[str, Any]:
        pick, kinds = self.random.randrange, ("open", "public", "shared")
        return document(
            "cost_expert_9",
            total_cost_fen=self.amount(), return_on_cost=self.ratio(), quality=self.ratio(),
            transmission={key: self.factor() for key in kinds},
            volumes={**{key: pick(1, 10**6) for key in kinds}, "total": 3 * 10**6},
            monopoly={"system": pick(1, 10**6), "industry": 10**6 + 3}, risk=self.ratio(), basis="b",
        )  # fmt: skip

    def capital_formation(self) -> dict[str, Any]:
        people = [
            {"name": f"p{k}", "wages_fen": self.amount(), "time_share": self.ratio()}
            for k in range(self.random.randrange(1, 9))
        ]
        known: dict[str, Any] = {"labour": people, "producer": "market", "use_years": "3"}
        if self.random.random() < 0.5:
            marks = {"overhead": self.ratio(), "capital": self.ratio()}
            return document("capital_formation", model="short_cut", **known, **marks)
        return document(
            "capital_formation", model="sum_of_costs", **known, intermediate_fen=self.amount(),
            observed=[{"name": "o", "payment_fen": self.amount(), "basis": "b"}],
            fixed_capital_consumption_fen=self.amount(), net_taxes_on_production_fen=self.amount(),
            net_return_fen=self.amount(),
        )  # fmt: skip

    def capital_stock(self) -> dict[str, Any]:
        deflated = self.random.random() < 0.5
        years = [
            {"year": 2000 + k, "formation_fen": self.amount(),
             **({"deflator": self.factor()} if deflated else {})}
            for k in range(self.random.choice([1, 5, 20]))
        ]  # fmt: skip
        rate = {"delta": self.ratio()} if self.random.random() < 0.5 else {"life": "7"}
        start = {"growth": "0.05"} if self.random.random() < 0.5 else {"initial_fen": self.amount()}
        return document("capital_stock", years=years, basis="b", **rate, **start)

    def income(self, model: str = "", timing: str = "", stub: bool = False) -> dict[str, Any]:
        pick = self.random
        made = document(
            "income",
            model=model or pick.choice([*MODELS]),
            timing=timing or pick.choice([*TIMINGS]),
            rate={
                key: pick.choice(["0", f"0.0{pick.randrange(1, 400):03d}", f"1/{pick.randrange(20, 99)}"])
                for key, *_ in RATE_PARTS
            },
            periods=[],
        )  # fmt: skip
        given = made["inputs"]
        if stub or pick.random() < 0.2:
            given["first_period"] = pick.choice(["5/12", "0.3", "1/2"])
            given["life"] = f"{pick.randrange(1, 60)}.{pick.randrange(100):02d}"
        given["periods"] = [self.period(given["model"]) for _ in range(pick.choice([1, 4, 10, 60]))]
        try:
            methods.run(made)
        except InputError:  # a rate of too many digits, or of 1 and more
            return self.income(model, timing, stub)
        return made

    def period(self, model: str) -> dict[str, Any]:
        if model == "direct":
            return {"income_fen": self.amount() - self.random.choice([0, LARGEST])}
        if model == "excess":
            parts = {key: self.amount() // 5 for key in CONTRIBUTIONS}
            return {"income_fen": self.amount(), "contributions": parts}
        if model == "incremental":
            return {"with_fen": self.amount(), "without_fen": self.amount()}
        key = "revenue_fen" if model == "share_of_revenue" else "profit_fen"
        return {key: self.amount(), "share": self.ratio()}

    def amortisation(self) -> dict[str, Any]:
        return document(
            "amortisation", model="straight_line", cost_fen=self.amount(), residual_fen=0, basis="b",
            available_from="2026-05", life_months=self.random.randrange(1, 240),
        )  # fmt: skip

    def market(self) -> dict[str, Any]:
        weights = self.random.choice([[["1"]], [["1/3", "2/3"]], [["0.4", "0.6"], ["1"]]])
        part = [{"name": "p", "comparables": [self.comparable(w) for w in ws]} for ws in weights]
        return document("market", parts=part)

    def comparable(self, weight: str) -> dict[str, Any]:
        size = lambda: str(self.random.randrange(10**5, 10**6))  # noqa: E731
        return {
            "name": "c", "price_fen": self.amount(), "weight": weight, "quality": self.factor(),
            "supply_demand": self.factor(), "other": self.factor(), "basis": "b",
            "date": {"valuation_index": "102.1", "comparable_index": "100.4"},
            "capacity": {"subject": size(), "comparable": size()},
        }  # fmt: skip

    def reconcile(self) -> dict[str, Any]:
        parts = zip((self.cost(), self.income(), self.market()), ("1/3", "0.5", "1/6"), strict=True)
        figures = [{"document": one, "weight": weight, "reason": "r"} for one, weight in parts]
        return document("reconcile", figures=figures)

    def price_cap(self) -> dict[str, Any]:
        pick = self.random.randrange
        costs = {key: self.amount() for key, *_ in pricing.ITEMS[:-1]} | {"subsidy_fen": pick(9)}
        products = [
            {"name": f"p{k}", "unit": unit, "purpose": "industry", "cap_fen": pick(10**6),
             "fee_fen": 0, "per": 10 ** pick(4), "quantity": f"{pick(10**4)}.{pick(10):01d}"}
            for k, unit in enumerate(pricing.UNITS)
        ]  # fmt: skip
        return document(
            "price_cap", **costs, products=products, survey_year=2025, tax_fen=self.amount(),
            rate={"value": f"0.0{pick(10**6):06d}", "year": 2024, "source": "s"}, tax_basis="b",
            markup_points=f"{pick(6)}.{pick(100):02d}", markup_basis="b", excess_fen=pick(10**12),
            stage="set", months_operated=12, cycle_years=3,
        )  # fmt: skip

    def price_review(self) -> dict[str, Any]:
        years = [
            {"year": 2025 + k, "permitted_fen": self.amount(), "revenue_fen": self.amount()}
            for k in range(self.random.randrange(1, 4))
        ]
        return document(
            "price_review", years=years, smooth_over=self.random.randrange(1, 11), basis="b"
        )

    def price_report(self) -> dict[str, Any]:
        sales = [
            {"name": "n", "unit": unit, "quantity": self.ratio(), "revenue_fen": self.amount()}
            for unit in pricing.UNITS
        ]
        costs = {key: self.amount() for key, *_ in pricing.ITEMS}
        return document(
            "price_report", **costs, year=2025, overview="o", permitted_fen=self.amount(), sales=sales,
            adjustments=[], basis="b",
        )  # fmt: skip

    def beside_a_tie(self, bottom: int = 0) -> dict[str, Any]:
        """A cost whose exact value lies half a part of a denominator below a tie, or on it."""
        whole = self.amount()
        bottom = bottom or self.random.choice([2, 10**7 + 19, 10**6 + 3, 2 * 10**5])
        while Fraction(whole, bottom).denominator < bottom:
            whole += 1
        below = bottom // 2  # the rest that is the tie, or next below it
        top = below * pow(whole, -1, bottom) % bottom + self.random.randrange(3) * bottom
        factor = {"zh": "甲", "en": "a", "value": f"{top}/{bottom}", "basis": "b"}
        return document("cost", **dict.fromkeys(COSTS, 0) | {"direct_fen": whole}, factors=[factor])


def document(method: str, **given: Any) -> dict[str, Any]:
    return {"method": method, "version": "1", "inputs": given}


def recalculated(book: Path) -> dict[str, list[list[Any]]]:
    """The rows of each sheet as LibreOffice computes them: what was cached is taken out before."""
    bare, formulas = book.with_name(f"bare-{book.name}"), False
    with zipfile.ZipFile(book) as source, zipfile.ZipFile(bare, "w", zipfile.ZIP_DEFLATED) as sink:
        for name in source.namelist():
            data = source.read(name)
            if name.startswith("xl/worksheets/"):
                data = re.sub(rb"(</f>)<v>[^<]*</v>", rb"\1", data)
                formulas = formulas or b"<f>" in data
                assert b"</f><v>" not in data.replace(b"</f><v></v>", b"")
            sink.writestr(name, data)
    assert formulas
    command = [
        "soffice", "--headless", f"-env:UserInstallation=file://{book.parent}/profile",
        "--convert-to", "xlsx", "--outdir", str(book.parent / "out"), str(bare),
    ]  # fmt: skip
    subprocess.run(command, check=True, timeout=550, capture_output=True)
    found = CalamineWorkbook.from_path(str(book.parent / "out" / bare.name))
    return {
        name: found.get_sheet_by_name(name).to_python(skip_empty_area=False)
        for name in found.sheet_names
    }


def agree(rows: list[list[Any]], figure: Figure) -> list[str]:
    """Every output that differs: an amount by a fen, another number beyond twelve digits."""
    live = {row[1]: row[4] for row in rows[9:]}
    faults = []
    for name in {*figure.outputs, figure.result}:
        exact = figure[name].value
        if figure[name].unit == "fen" and exact.denominator == 1:
            right = live[name] == exact
        else:
            right = live[name] == pytest.approx(float(exact), rel=1e-12, abs=1e-12)
        if not right:
            faults.append(f"{figure.method} {name}: {live[name]} is not {exact}")
    if figure.unit == "fen":
        in_yuan, difference, remark = rows[1][4], rows[4][4], rows[5][2]
        right = round_half_up(Fraction(repr(in_yuan)) * 100) == figure.value_fen
        if not right or difference != 0 or remark:
            faults.append(f"{figure.method}: on top {in_yuan}, {difference}, {remark}")
    return faults


@pytest.mark.slow
@calc
def test_every_method_recalculates_to_the_fen_in_libreoffice(tmp_path: Path) -> None:
    """The golden documents, every model and timing of income, and many at random, in one workbook."""
    draw = Draw(20250301)
    documents = [case["document"] for case in GOLDEN["cases"]]
    documents += [one["document"] for one in worked().values()]
    documents += [draw.amortisation() for _ in range(6)]
    kinds = [(model, timing) for model in MODELS for timing in TIMINGS]
    documents += [draw.income(*kind, stub) for kind in kinds for stub in (False, True)]
    for make in (
        draw.cost, draw.cost_by_item, draw.cost_expert_9, draw.income, draw.market, draw.reconcile,
        draw.beside_a_tie, draw.price_cap, draw.price_review, draw.price_report,
        draw.capital_formation, draw.capital_stock,
    ):  # fmt: skip
        documents += [make() for _ in range(15)]
    figures = [methods.run(one) for one in documents]
    assert {figure.method for figure in figures} == {*methods.METHODS}
    with Workbook(tmp_path / "figures.xlsx") as book:
        for k, figure in enumerate(figures):
            book.steps(figure, f"f{k}", figure.method)
    found = recalculated(tmp_path / "figures.xlsx")
    faults = [fault for k, figure in enumerate(figures) for fault in agree(found[f"f{k}"], figure)]
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@calc
@pytest.mark.parametrize("stub", [False, True])
def test_a_changed_input_of_ten_trillion_fen_recalculates_to_the_fen(
    tmp_path: Path, stub: bool
) -> None:
    """A reader changes an amount, decimals and a fraction; the fen is that of the new document."""
    one = Draw(7).income("share_of_revenue", "mid", stub)
    given = one["inputs"]
    first = given["periods"][0]
    first["share"] = "2/7"
    given["rate"] = {key: "0.0123" for key, *_ in RATE_PARTS}
    if stub:
        given |= {"first_period": "0.25", "life": "2.5", "periods": [first] * 5}
    write_figure(methods.run(one), tmp_path / "old.xlsx")
    book = openpyxl.load_workbook(tmp_path / "old.xlsx")
    page = book.worksheets[0]
    rows = {page.cell(row, 2).value: row for row in range(10, page.max_row + 1)}
    new = {"revenue_fen": 9_876_543_210_987, "share": "123456/7654321"}
    given["periods"] = [new, *given["periods"][1:]]
    given["rate"]["management"] = "0.01987654321"
    page[f"E{rows['R_1']}"] = new["revenue_fen"]
    page[f"I{rows['K_1']}"], page[f"J{rows['K_1']}"] = 123456, 7654321
    page[f"E{rows['i_man']}"] = 0.01987654321
    if stub:
        given |= {"first_period": "0.875", "life": "3.1416"}
        page[f"E{rows['d_1']}"], page[f"E{rows['life']}"] = 0.875, 3.1416
    book.save(tmp_path / "new.xlsx")
    found = recalculated(tmp_path / "new.xlsx")["计算 Derivation"]
    figure = methods.run(one)
    assert figure.value_fen > LONG_FROM_FEN
    assert found[2][4] == figure.value_fen
    assert found[4][4] == figure.value_fen - found[3][4] != 0


@pytest.mark.slow
@calc
def test_a_large_revenue_sharing_recalculates_to_the_fen_in_libreoffice(tmp_path: Path) -> None:
    path = Path(__file__).parents[1] / "golden/valuation/sharing.json"
    given = json.loads(path.read_text("utf-8"))["document"]
    amounts = {key: value for key, value in given.items() if not key.startswith("amount_")}
    statement = sharing.run({**amounts, "amount_fen": LARGEST - 7})
    with Workbook(tmp_path / "shares.xlsx") as book:
        book.lines(statement)
    rows = recalculated(tmp_path / "shares.xlsx")["分配单 Lines"]
    paid = [row[3] for row in rows[3 : 3 + len(statement.lines)]]
    assert paid == [line.amount_fen for line in statement.lines]
    assert sum(paid) == LARGEST - 7


@pytest.mark.slow
@calc
def test_schemes_of_every_kind_recalculate_to_the_fen_in_libreoffice(tmp_path: Path) -> None:
    statements: list[sharing.Distribution] = []

    @settings(
        max_examples=40, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip
    @given(st.data())
    def collect(data: st.DataObject) -> None:
        scheme = data.draw(scheme_cases.schemes())
        amount = data.draw(st.integers(0, 10**13))
        statements.append(sharing.share(scheme, amount, data.draw(scheme_cases.stated(scheme))))

    collect()
    kinds = {line.kind for statement in statements for line in statement.lines}
    assert kinds >= {"recover", "fixed", "share", "tiers", "pool", "contribution"}
    with Workbook(tmp_path / "schemes.xlsx") as book:
        for k, statement in enumerate(statements):
            book.steps(statement.derivation, f"s{k}", "sharing")
    found = recalculated(tmp_path / "schemes.xlsx")
    faults = []
    for k, statement in enumerate(statements):
        live = {row[1]: row[4] for row in found[f"s{k}"][9:]}
        faults += [
            f"s{k} {line.symbol}: {live[line.symbol]} is not {line.amount_fen}"
            for line in statement.lines
            if live[line.symbol] != line.amount_fen
        ]
        faults += agree(found[f"s{k}"], statement.derivation)
    assert not faults, "\n".join(faults)


@pytest.mark.slow
@calc
def test_a_table_of_data_capital_recalculates_to_the_fen_in_libreoffice(tmp_path: Path) -> None:
    """Cells of up to ten trillion fen with rates and deflators that give ties, and their totals."""
    draw, pick = Draw(11), random.Random(12)
    rows = [
        {"industry": i, "region": r, "year": y, "producer": "market", **{k: draw.amount() for k in AMOUNTS}}
        for i in "IJS" for r in ("440305", "110105", "310115") for y in range(2015, 2026)
    ]  # fmt: skip
    table = national_table.run({
        "version": "1", "basis": "b", "delta": "0.15", "growth": "0.05", "rows": rows,
        "rates": [{"industry": "J", "life": "7"}, {"industry": "S", "delta": "0.5"}],
        "deflators": [{"year": y, "deflator": pick.choice(["1", "1.25", "0.97", "8/7"])}
                      for y in range(2015, 2026)],
    })  # fmt: skip
    national_sheet.write(table, str(tmp_path / "table.xlsx"))
    found = recalculated(tmp_path / "table.xlsx")
    cells = found["单元 Cells"][3:]
    assert [row[10] for row in cells] == [cell["formation_fen"] for cell in table.cells]
    assert [row[13] for row in cells] == [cell["real_fen"] for cell in table.cells]
    assert [row[17] for row in cells] == [cell["stock_fen"] for cell in table.cells]
    assert {row[19] for row in cells} == {0}
    years = found["年度 Years"]
    assert [row[8] for row in years[1:12]] == [one["stock_fen"] for one in table.by_year]
    for name in ("年度 Years", "行业 Industries", "地区 Regions"):
        assert {value for value in found[name][-1][2:] if value != ""} == {0}, name


@pytest.mark.slow
@calc
def test_the_yearly_report_on_the_price_recalculates_to_the_fen(tmp_path: Path) -> None:
    figure = methods.run(worked()["price report"]["document"])
    book = BytesIO()
    write_report(figure, book)
    (tmp_path / "report.xlsx").write_bytes(book.getvalue())
    rows = recalculated(tmp_path / "report.xlsx")["年度报告 Report"]
    live = {str(row[0]).partition(" / ")[0]: row[1] for row in rows if len(row) > 1}
    for symbol in ("C", "A", "P", "R_max", "C_sub", "old_1"):
        assert round_half_up(Fraction(repr(live[figure[symbol].zh])) * 100) == figure[symbol].value
    assert live[figure["d"].zh] == pytest.approx(0.09)
    assert live[figure["q_1"].zh] == 2_000_000


@pytest.mark.slow
@calc
def test_a_statistical_report_recalculates_in_libreoffice(town: Town, tmp_path: Path) -> None:
    town.statement("posted")
    with town.reading() as session:
        report = statistics.report(session, town.actors["gwen"], town.now)
    statistics_sheet.write(report, str(tmp_path / "report.xlsx"))
    found = recalculated(tmp_path / "report.xlsx")
    told = {row[0]: row for row in found["统计表 Tables"]}
    received = next(one for one in report["tables"] if one["code"] == "M1")
    at = [row[0] for row in found["统计表 Tables"]].index("M1 收到的价款 received, VAT included")
    assert (
        found["统计表 Tables"][at + 1][len(report["periods"]) + 1]
        == received["rows"][0]["total"]
        > 0
    )
    assert "M4 已分配 distributed, by payee" in told
    assert {row[4] for row in found["核对 Checks"][1:]} == {0}
    assert {row[5] for row in found["核对 Checks"][1:]} == {"一致 agrees"}
