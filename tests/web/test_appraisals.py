"""The form of an appraisal and the calculator: what is typed, what is refused where, what is computed."""

import html
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ledger import appraisals
from ledger.registration import Registration
from tests.web.conftest import Site, Visit
from webapp.pages.appraisal import EXAMPLES

DEMO = Path(__file__).parents[2] / "data" / "demo"
DOCUMENT = yaml.load((DEMO / "appraisal.yaml").read_bytes(), yaml.CSafeLoader)
COST = {
    "cost.preparatory": "120,000.00", "cost.direct": "860000", "cost.indirect": "150000元",
    "cost.opportunity": "40000.5", "cost.taxes": "29999.50",
    "cost.factors.0.zh": "质量", "cost.factors.0.en": "quality", "cost.factors.0.value": "97%",
    "cost.factors.0.basis": "GB/T 36344", "weights.cost.weight": "100%", "weights.cost.reason": "唯一",
}  # fmt: skip
INCOME = {
    "income.model": "share_of_revenue", "income.timing": "mid", "income.rate.risk_free": "2.35%",
    "income.rate.management": "0.02", "income.rate.circulation": "3/100",
    "income.rate.data_security": "1.5%", "income.rate.regulatory": "1％",
    "income.periods.0.revenue": "1,500,000", "income.periods.0.share": "30%",
    "income.periods.1.revenue": "1,800,000", "income.periods.1.share": "0.3",
    "weights.income.weight": "1", "weights.income.reason": "合同",
}  # fmt: skip
MARKET = {
    "market.parts.0.name": "一", "market.parts.0.comparables.0.name": "甲",
    "market.parts.0.comparables.0.price": "1000000", "market.parts.0.comparables.0.weight": "1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUZHENG_LANG", "en")


@pytest.fixture(scope="module")
def registered(common_site: Site) -> Registration:
    made: Registration = common_site.town.registration()
    return made


class Form:
    """The form of an appraisal of one registration, before an appraiser."""

    def __init__(self, site: Site, registered: Registration) -> None:
        self.site, self.visit = site, site.visit("anna")
        self.path = f"/registrations/{registered.code}/appraisals"

    def send(self, do: str, *parts: dict[str, str], status: int = 200, **more: str) -> str:
        typed = {name: text for part in parts for name, text in part.items()}
        answer = self.visit.post(self.path, {"do": do, **typed, **more}, status)
        return str(answer.location if status == 303 else answer.text)

    def count(self) -> int:
        with self.site.town.reading() as session:
            return session.query(appraisals.Appraisal).count()


@pytest.fixture
def form(common_site: Site, registered: Registration) -> Form:
    return Form(common_site, registered)


def rest(site: Site, **changes: str) -> dict[str, str]:
    today = site.town.now.date().isoformat()
    return {
        "purpose": "定价参考", "base_on": today, "assumptions": "协议持续有效",
        **{f"disclosures.{key}": f"披露 {key}" for key in appraisals.DISCLOSURES}, **changes,
    }  # fmt: skip


def plain(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def typed(page: str) -> dict[str, str]:
    """What stands in the inputs of a page's form, as a browser would send it."""
    found = {}
    for tag in re.findall(r"<input[^>]*>", page):
        facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if "name" in facts:
            found[facts["name"]] = html.unescape(facts.get("value", ""))
    for name, inner in re.findall(
        r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', page, re.DOTALL
    ):
        chosen = re.search(r'value="([^"]*)" selected', inner)
        first = re.search(r'<option value="([^"]*)"', inner)
        found[name] = chosen[1] if chosen else first[1] if first else ""
    for name, inner in re.findall(
        r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', page, re.DOTALL
    ):
        found[name] = html.unescape(inner)
    for own in ("csrf_token", "seen", "idempotency"):
        found.pop(own, None)
    return found


def errors(page: str) -> dict[str, str]:
    """What is told at which field."""
    told = re.findall(r'invalid-feedback d-block[^"]*" id="([^"]*)-error">(.*?)</div>', page)
    return {at: html.unescape(text) for at, text in told}


# -- computing and drafting --------------------------------------------------------------------


def test_what_is_computed_is_shown_with_its_steps_and_nothing_is_recorded(form: Form) -> None:
    before = form.count()
    page = form.send("compute", COST, approaches="cost")
    assert "1,164,000.00" in plain(page), "1,200,000 · 0.97"
    assert "nothing is recorded yet" in plain(page)
    assert 'href="#try-cost-C"' in page, "a symbol leads to its step"
    assert "= round_half_up(120 000 000 × 0.97)" in plain(page).replace("\u202f", " ")
    assert form.count() == before
    assert typed(page)["cost.indirect"] == "150000元", "as it was typed"
    assert "= 150,000 yuan" in plain(page)


def test_what_was_computed_is_what_is_drafted(form: Form) -> None:
    given = {**COST, **rest(form.site), "weights.cost.weight": "0.4"}
    income = {**INCOME, "weights.income.weight": "60%"}
    page = form.send("compute", given, income, approaches="cost income")
    shown = re.search(r'display-6 sz-number mb-1">([\d,.]+)', page)
    assert shown
    made = form.visit.get(form.send("draft", given, income, status=303, approaches="cost income"))
    assert shown[1] in plain(made)
    assert "edition 1" in plain(made)
    assert "协议持续有效" in made


def test_rates_are_read_as_percent_decimal_or_fraction_and_say_so(form: Form) -> None:
    page = form.send("compute", INCOME, approaches="income")
    told = plain(page)
    for text in ("= 0.0235", "= 2 %", "= 3 %", "= 0.015", "= 0.01"):
        assert text in told
    alike = {**INCOME, "income.rate.risk_free": "0.0235", "income.rate.circulation": "3%"}
    value = re.compile(r'display-6 sz-number mb-1">([\d,.]+)')
    found = [value.search(one) for one in (page, form.send("compute", alike, approaches="income"))]
    assert found[0]
    assert found[1]
    assert found[0][1] == found[1][1]


def test_the_same_document_as_at_the_command_line_gives_the_same_appraisal(
    form: Form,
) -> None:
    """A whole appraisal pasted fills the form; drafted from the fields it is the file's own value."""
    filled = form.send("fill", documents=yaml.safe_dump(DOCUMENT, allow_unicode=True))
    given = typed(filled)
    assert given["documents"] == ""
    assert given["approaches"] == "cost income market"
    assert given["purpose"] == DOCUMENT["purpose"]
    assert given["market.parts.0.comparables.1.capacity.comparable"] == "210000"
    given["base_on"] = form.site.town.now.date().isoformat()
    made = form.visit.get(form.send("draft", given, status=303))
    town = form.site.town
    own = town.appraisal(town.registration())
    with town.reading() as session:
        rows = session.query(appraisals.Appraisal).filter_by(value_fen=own.value_fen).all()
        documents = [{name: one["document"] for name, one in row.figures.items()} for row in rows]
    assert len(documents) == 2
    assert documents[0] == documents[1]
    assert "为许可定价提供参考" in plain(made)


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_fills_the_form_and_computes(form: Form, name: str) -> None:
    given = typed(form.visit.get(f"{form.path}?approach={name}"))
    assert given["approaches"] == name
    page = form.send("compute", given, **{f"weights.{name}.reason": "唯一"})
    assert "nothing is recorded yet" in plain(page)


def test_lines_stand_for_the_amount_of_a_cost_and_a_factor_for_some_costs(form: Form) -> None:
    given = {
        **COST, "cost.direct": "", "cost.lines.direct.0.name": "人工",
        "cost.lines.direct.0.amount": "800,000", "cost.lines.direct.0.basis": "工时",
        "cost.lines.direct.1.name": "存储", "cost.lines.direct.1.amount": "60,000",
        "cost.lines.direct.1.basis": "合同", "cost.factors.0.applies_to.direct": "on",
    }  # fmt: skip
    page = form.send("compute", given, approaches="cost")
    assert "1,174,200.00" in plain(page), "340,000 + 860,000 · 0.97"
    assert re.search(r'id="cost.factors.0.applies_to.direct"[^>]* checked', page)
    assert not re.search(r'id="cost.factors.0.applies_to.taxes"[^>]* checked', page)
    empty = {**COST, "cost.direct": ""}
    assert "cost.direct" in errors(form.send("compute", empty, status=400, approaches="cost"))


# -- rows, approaches, models ------------------------------------------------------------------


def test_rows_are_added_and_removed_and_nothing_typed_is_lost(form: Form) -> None:
    page = form.send("add:income.periods", INCOME, approaches="income")
    given = typed(page)
    assert given["income.periods.2.revenue"] == ""
    assert given["income.rate.circulation"] == "3/100"
    given["income.periods.2.revenue"] = "7"
    given = typed(form.send("drop:income.periods.0", given))
    assert given["income.periods.0.revenue"] == "1,800,000"
    assert given["income.periods.1.revenue"] == "7"
    assert "income.periods.2.revenue" not in given
    page = form.send("add:analysis.income.range.inputs", INCOME, approaches="income")
    row = '<summary class="small">range by Monte Carlo'
    assert re.search(rf"<details[^>]* open>{row}", page), "what was changed is in sight"
    assert re.search(r'<details[^>]*id="analysis-income" open>', page)
    assert not re.search(
        r'<details[^>]*id="analysis-income" open>', form.send("show", INCOME, approaches="income")
    )
    page = form.send("add:market.parts.0.comparables", MARKET, approaches="market")
    assert 'name="market.parts.0.comparables.1.date.valuation_index"' in page


def test_a_row_that_is_left_empty_is_none(form: Form) -> None:
    blank = {"income.periods.2.revenue": "", "income.periods.2.share": " "}
    page = form.send("compute", INCOME, blank, approaches="income")
    assert "income.periods.2.revenue" not in typed(page)


def test_another_model_asks_for_other_fields(form: Form) -> None:
    given = {**INCOME, "income.model": "excess"}
    page = form.send("show:income.model", given, approaches="income")
    assert 'name="income.periods.0.contributions.workforce"' in page
    assert 'name="income.periods.0.share"' not in page
    assert "excess income" in page, "a choice is called by its name"


def test_an_approach_is_switched_off_and_on_again_with_all_it_held(form: Form) -> None:
    page = form.send("off:cost", COST, approaches="cost")
    assert 'id="cost.direct"' not in page
    again = form.send("on:cost", typed(page))
    assert typed(again)["cost.indirect"] == "150000元"
    assert typed(again)["cost.factors.0.value"] == "97%"
    assert 'id="cost.direct"' in again


# -- refusals ----------------------------------------------------------------------------------


def test_every_fault_is_told_at_its_field_at_once(form: Form) -> None:
    wrong = {
        **COST, "cost.direct": "8.6e5", "cost.indirect": "1,5",
        "cost.taxes": "-1", "cost.factors.0.value": "0",
        "cost.factors.0.basis": " ", "weights.cost.weight": "half", "purpose": "",
        "disclosures.quality": "x", **{k: v for k, v in INCOME.items() if "risk_free" not in k},
        "income.periods.0.share": "130%", "income.rate.management": "2,35%",
        "income.rate.regulatory": "<b>1</b>",
    }  # fmt: skip
    before = form.count()
    page = form.send("draft", wrong, status=400, approaches="cost income")
    told = errors(page)
    assert "is no amount" in told["cost.direct"]
    assert "is no amount" in told["cost.indirect"], "a decimal comma is not passed over"
    assert "is no exact number" in told["income.rate.management"]
    assert "at least 0" in told["cost.taxes"]
    assert "more than 0" in told["cost.factors.0.value"]
    assert "is no exact number" in told["weights.cost.weight"]
    assert "at most 1" in told["income.periods.0.share"]
    assert told["income.rate.risk_free"] == "This is still missing."
    assert "<b>" not in page.replace("<b>Note", "")
    for missing in ("cost.factors.0.basis", "purpose", "disclosures.sources", "assumptions"):
        assert missing in told, told
    assert typed(page)["cost.direct"] == "8.6e5"
    assert typed(page)["income.rate.regulatory"] == "<b>1</b>"
    assert form.count() == before


@pytest.mark.parametrize(
    ("changes", "at", "told"),
    [
        (
            {"income.rate.risk_free": "99%"},
            "income.rate",
            "It is 1.065, but must lie between 0 and 1",
        ),
        ({"weights.income.weight": "0.9"}, "", "weights sum to 0.9, but must sum to 1"),
        ({"income.model": "share_of_nothing"}, "income.model", ""),
        ({"base_on": "2199-01-01"}, "base_on", "in the future"),
    ],
)
def test_what_only_the_method_or_the_ledger_knows_is_told_at_its_field(
    form: Form, changes: dict[str, str], at: str, told: str
) -> None:
    page = form.send(
        "draft", {**INCOME, **rest(form.site), **changes}, status=400, approaches="income"
    )
    if told:
        assert told in plain(page)
    if at and told:
        place = page.rindex(told)
        assert at in page[max(0, place - 900) : place]


def test_a_form_without_an_approach_says_that_one_is_needed(form: Form) -> None:
    assert "at least one approach" in plain(form.send("compute", status=400))


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("cost: [1", "cannot be read as YAML or JSON at line"),
        ("- 1", "must name its entries"),
        ("guess: {a: 1}", "no field for guess"),
        ("cost: many", "no field for cost"),
        (EXAMPLES["cost"].replace("direct_yuan", "direkt_yuan"), "no field for cost.direkt_yuan"),
        (EXAMPLES["cost"].replace("method: cost", "method: market"), "no field for cost.method"),
    ],
)
def test_a_document_that_does_not_fit_is_told_and_stays(form: Form, pasted: str, told: str) -> None:
    page = form.send("fill", COST, status=400, documents=pasted, approaches="cost")
    assert told in plain(page)
    assert typed(page)["documents"].strip() == pasted.strip()
    assert typed(page)["cost.direct"] == "860000", "what was typed is not touched"


def test_a_document_of_another_version_of_the_method_is_refused(form: Form) -> None:
    pasted = EXAMPLES["cost"].replace('version: "1"', 'version: "99"')
    page = form.send("compute", {"documents": pasted, "weights.cost.weight": "1"}, status=400)
    assert "version" in plain(page)


def test_a_value_no_record_can_hold_is_refused(form: Form) -> None:
    page = form.send("compute", {**COST, "cost.direct": "9" * 16}, status=400, approaches="cost")
    assert "more than a record can hold" in errors(page)["cost.direct"]
    page = form.send("draft", {**COST, **rest(form.site), "cost.factors.0.value": "100000000000"},
                     status=400, approaches="cost")  # fmt: skip
    assert "beyond" in plain(page)


# -- range, sensitivity, breakeven -------------------------------------------------------------


ANALYSIS = {
    "analysis.income.range.seed": "7", "analysis.income.range.draws": "2,000",
    "analysis.income.range.inputs.0.at": "periods[*].share",
    "analysis.income.range.inputs.0.distribution": "triangular",
    "analysis.income.range.inputs.0.low": "20%", "analysis.income.range.inputs.0.mode": "30%",
    "analysis.income.range.inputs.0.high": "40%",
    "analysis.income.sensitivity.0.at": "periods[0].revenue_fen",
    "analysis.income.sensitivity.0.low": "1,400,000", "analysis.income.sensitivity.0.high": "1600000",
    "analysis.income.breakeven.at": "periods[*].share", "analysis.income.breakeven.target": "900,000",
    "analysis.income.breakeven.low": "10%", "analysis.income.breakeven.high": "50%",
}  # fmt: skip


def test_the_analysis_is_previewed_recorded_and_drawn_with_a_table_behind(form: Form) -> None:
    preview = form.send("compute", INCOME, ANALYSIS, approaches="income")
    assert preview.count('<svg class="sz-chart"') == 4
    place = form.send("draft", INCOME, ANALYSIS, rest(form.site, purpose="区间"), status=303,
                      approaches="income")  # fmt: skip
    page = form.visit.get(place)
    assert page.count('<svg class="sz-chart"') == 4
    for table in ("Percentiles as a table", "Convergence as a table", "Sensitivity as a table"):
        assert table in page
    assert "1,400,000 yuan" in plain(page)
    assert "the target 900,000.00 yuan" in plain(page)
    with form.site.town.reading() as session:
        row = session.query(appraisals.Appraisal).filter_by(purpose="区间").one()
        asked = row.analyses["income"]["request"]
        assert asked["sensitivity"] == [
            {"at": "periods[0].revenue_fen", "low": "140000000", "high": "160000000"}
        ]
        assert asked["breakeven"]["target_fen"] == 90_000_000
        assert appraisals.recompute(row) > 0


def test_every_input_is_moved_by_so_much(form: Form) -> None:
    given = {**INCOME, "analysis.income.around": "20%"}
    page = form.send("around:income", given, approaches="income")
    rows = typed(page)
    assert rows["analysis.income.sensitivity.0.at"] == "rate.risk_free"
    assert rows["analysis.income.sensitivity.0.low"] == "0.0188"
    at = next(k for k, v in rows.items() if v == "periods[1].revenue_fen")
    assert rows[at.replace(".at", ".high")] == "2160000.00"
    assert "Sensitivity as a table" in form.send("compute", rows)


def test_what_is_wrong_with_an_analysis_is_told_there_and_the_figure_is_shown(form: Form) -> None:
    wrong = {
        **ANALYSIS, "analysis.income.range.draws": "5", "analysis.income.range.inputs.0.low": "50%",
        "analysis.income.breakeven.target": "much",
    }  # fmt: skip
    page = form.send("compute", INCOME, wrong, status=400, approaches="income")
    told = errors(page)
    assert "at least 100" in told["analysis.income.range.draws"]
    assert "is no amount" in told["analysis.income.breakeven.target"]
    far = {**ANALYSIS, "analysis.income.breakeven.target": "9"}
    page = form.send("compute", INCOME, far, status=400, approaches="income")
    assert "does not reach" in plain(page)
    assert "nothing is recorded yet" in plain(page), "the figure itself is right"


# -- the calculator ----------------------------------------------------------------------------


def calculated(visit: Visit, method: str, do: str, status: int = 200, **given: str) -> Any:
    return visit.post(f"/value/{method}", {"do": do, **given}, status)


def test_anybody_signed_in_computes_a_value_and_takes_it_away(common_site: Site) -> None:
    visit = common_site.visit("olga")
    page = calculated(visit, "income", "compute", **INCOME).text
    assert "How" in page
    figure = calculated(visit, "income", "json", **INCOME).get_json()
    assert figure["method"] == "income"
    assert figure["document"]["inputs"]["rate"]["circulation"] == "3/100"
    book = calculated(visit, "income", "xlsx", **INCOME)
    assert book.data[:2] == b"PK"
    analysis = calculated(visit, "income", "json", **INCOME, **ANALYSIS).get_json()
    assert analysis["range"]["draws"] == 2000
    common_site.visit().get("/value", 303)
    visit.get("/value/reconcile", 404)


def test_the_calculator_scores_quality_and_weighs_criteria(common_site: Site) -> None:
    visit = common_site.visit("egon")
    page = calculated(visit, "quality", "compute", **{
        "quality.indicators.0.code": "0201", "quality.indicators.0.weight": "1",
        "quality.indicators.0.a": "90", "quality.indicators.0.b": "100",
    }).text  # fmt: skip
    assert "0.9" in plain(page)
    matrix = {"ahp.criteria": "质量\n流通\n", "ahp.matrix": "1 3\n1/3 1"}
    assert "0.75" in plain(calculated(visit, "ahp", "compute", **matrix).text)
    lame = {"ahp.criteria": "质量\n流通\n", "ahp.matrix": "1 3\n3 1"}
    assert "ahp.matrix" in calculated(visit, "ahp", "compute", 400, **lame).text


def test_a_refused_calculation_hands_out_no_file(common_site: Site) -> None:
    answer = calculated(common_site.visit("egon"), "cost", "xlsx", 400, **{"cost.direct": "x"})
    assert answer.mimetype == "text/html"
