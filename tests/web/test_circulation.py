"""Vouchers, appraisals, licences and statements as people see them; the checker's own signature."""

import html
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from openpyxl import load_workbook
from sqlalchemy import update

from ledger import (
    agreements,
    appraisals,
    approvals,
    log,
    parties,
    registration,
    revenue,
    schemes,
    statements,
    trading,
    vouchers,
)
from ledger.calendar import local_date
from ledger.chain import keys
from ledger.proof.credential import verify_proof
from ledger.proof.encoding import canonical, parse
from tests.conftest import CHECKER_KEYS, HOLDER, ORIGIN, PARTIES, Town
from tests.ledger.chain.test_outbox import PASSPHRASE, node_home
from tests.ledger.chain.test_outbox import Site as ChainTown
from tests.web.conftest import Site, Visit
from valuation.money import yuan
from webapp.cli import main
from webapp.documents import read_text
from webapp.home import Home, clock
from webapp.pages.show import money
from webapp.pages.value import decimal, derived, quantity

pytestmark = pytest.mark.pages

assert node_home  # a fixture of ours, too
TERMS = "scene: 风险评估\nterritory: 中国境内"


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUZHENG_LANG", "en")


def plain(page: str) -> str:
    """A page's text, one space between words."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def sheets(data: bytes) -> Any:
    return load_workbook(io.BytesIO(data))


@dataclass
class Shop:
    """A registration with everything under it: two statements, the first posted."""

    site: Site
    registered: registration.Registration
    voucher: vouchers.Voucher
    appraisal: appraisals.Appraisal
    agreement: agreements.Agreement
    licence: trading.Licence
    first: statements.Statement
    second: statements.Statement

    def page(self, login: str, path: str) -> str:
        return self.site.visit(login).get(path)


@pytest.fixture(scope="module")
def shop(common_site: Site) -> Shop:
    town = common_site.town
    registered = town.registration()
    agreement = town.get(agreements.Agreement, registered)
    town.scheme(agreement)
    voucher = town.voucher(registered)
    appraisal = town.appraisal(registered)
    licence = town.licence(voucher)
    first = town.statement_over(
        agreement, licence, "posted", amount_fen=10_000_003, facts={"platform_cost_fen": 1_234_567}
    )
    second = town.statement_over(
        agreement, licence, "proposed", amount_fen=8_000_000, facts={"platform_cost_fen": 0}
    )
    return Shop(common_site, registered, voucher, appraisal, agreement, licence, first, second)


def fresh(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def anchor(town: Town) -> None:
    """Seal the log and note that a contract holds it."""
    made = town.seal()
    with town.deed() as session:
        log.note_anchor(session, made.tree_size, "0x" + "ab" * 32, 7, town.now)


# -- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        ("1/3", 4, "≈ 0.3333"), ("-1/2", 4, "-0.5"), ("1234567", 2, "1,234,567"), ("0", 2, "0"),
        ("2/3", 0, "≈ 1"), ("-1/1000", 2, "≈ 0"),
    ],
)  # fmt: skip
def test_a_number_is_shown_exactly_or_marked_as_rounded(value: str, places: int, text: str) -> None:
    assert decimal(value, places) == text


def test_a_formula_is_shown_with_links_to_its_steps_and_with_numbers_put_in() -> None:
    told = [
        {"symbol": "a", "formula": "", "value": "-120000000"},
        {"symbol": "min_1", "formula": "", "value": "1/3"},
        {"symbol": "P", "formula": "min(a * min_1 ** 2, a) - 1", "value": "0"},
        {"symbol": "Q", "formula": "P", "value": "0"},
    ]
    *_, made, lone = derived(told, "x")
    link = '<a href="#x-a">a</a>'
    assert made["id"] == "x-P"
    assert made["linked"] == f'min({link} * <a href="#x-min_1">min_1</a> ** 2, {link}) - 1'
    assert made["numbers"].replace("\u202f", " ") == (
        "min((−120 000 000) × ≈0.3333333333 ^ 2, (−120 000 000)) − 1"
    )
    assert lone["numbers"] == "", "a number alone stands in the column of values already"


def test_an_amount_is_shown_in_yuan_with_the_fen_it_has() -> None:
    assert quantity({"unit": "fen", "value": "123450"}) == "1,234.50"
    assert quantity({"unit": "fen", "value": "-5"}) == "-0.05"
    assert quantity({"unit": "fen", "value": "1/3"}) == "≈ 0.003333"
    assert quantity({"unit": "1", "value": "9/10"}) == "0.9"


# -- vouchers ----------------------------------------------------------------------------------


def test_a_voucher_s_page_says_what_is_missing_and_then_hands_out_the_proofs(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    visit, path = site.visit("olga"), f"/vouchers/{voucher.number}"
    page = visit.get(path)
    text = plain(page)
    assert "On chain, “issue” is waiting." in text
    assert "Its last record is recorded, not yet confirmed." in text
    assert "No status list was published yet." in text
    assert "/bundle" not in page
    assert "城数运营有限公司" in text
    assert voucher.digest in text
    town.settle(voucher)
    town.publish_status()
    anchor(town)
    page = visit.get(path)
    assert "missing" not in plain(page)
    for link in ("bundle", "bundle?withhold=true", "tlog-proof"):
        address = f"/api/v1{path}/{link}"
        assert f'href="{address}"' in page
        assert visit.client.get(address).status_code == 200
    assert f'href="/api/v1{path}/voucher.pdf"' in page
    assert f'href="/api/v1{path}/voucher.pdf?withhold=true"' in page
    assert f'href="/registrations/{fresh_code(town, voucher)}"' in page


def fresh_code(town: Town, voucher: vouchers.Voucher) -> str:
    with town.reading() as session:
        return session.get_one(registration.Registration, voucher.registration_id).code


def test_each_sees_of_a_voucher_what_is_his(shop: Shop) -> None:
    path, order = f"/vouchers/{shop.voucher.number}", shop.licence.order_reference
    assert order in shop.page("olga", path)
    exchange = shop.page("egon", path)
    assert order not in exchange
    assert f"{path}/package" in exchange
    appraiser = shop.page("anna", path)
    assert "Proofs to hand out" not in plain(appraiser)
    shop.site.visit("mallory").get(path, 403)
    shop.site.visit("paul").get(path, 403)
    shop.site.visit().get(path, 303)


def test_a_lapsed_voucher_and_the_ground_of_a_decision_are_told(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    town.change("suspend", voucher, "来源核查")
    page = plain(site.visit("rita").get(f"/vouchers/{voucher.number}"))
    assert "来源核查" in page
    town.change("resume", voucher, "核查完毕")
    town.now = voucher.valid_until + timedelta(seconds=1)
    assert "has lapsed" in plain(site.visit("rita").get(f"/vouchers/{voucher.number}"))


def test_the_form_of_a_voucher_says_for_what_it_is(site: Site) -> None:
    registered = site.town.registration()
    visit, path = site.visit("rita"), f"/registrations/{registered.code}/vouchers"
    assert registered.code in plain(visit.get(path))
    answer = visit.post(path, {"holder_address": "0x12"}, 400)
    assert 'id="holder_address-error"' in answer.text
    answer = visit.post(path, {"holder_address": HOLDER})
    assert "/vouchers/PZ" in answer.location


# -- appraisals --------------------------------------------------------------------------------


def test_an_appraisal_shows_its_value_to_the_fen_and_every_step(shop: Shop) -> None:
    path = f"/appraisals/{shop.appraisal.number}"
    page = shop.page("anna", path)
    text = plain(page)
    assert money(shop.appraisal.value_fen) in text
    assert page.count('<details class="sz-steps') == 4
    bare = html.unescape(re.sub(r"</?a[^>]*>", "", page))
    for figure in (*shop.appraisal.figures.values(), shop.appraisal.conclusion):
        for step in figure["steps"]:
            assert f"<code>{step['symbol']}</code>" in page
            assert f">{step['formula']}<" in bare or not step["formula"]
        assert quantity(figure["steps"][-1]) in text
    assert "reconciled" in text
    assert "Anna (公允资产评估事务所)" in text
    assert "a second appraiser of the firm reviews it" in text
    for disclosed in shop.appraisal.disclosures.values():
        assert disclosed in text


def test_recomputing_says_that_every_step_agrees(shop: Shop) -> None:
    path = f"/appraisals/{shop.appraisal.number}"
    count = sum(len(f["steps"]) for f in shop.appraisal.figures.values())
    count += len(shop.appraisal.conclusion["steps"])
    assert "Recomputed just now" not in shop.page("anna", path)
    page = plain(shop.page("egon", f"{path}?recompute=1"))
    assert f"all {count} steps follow from the inputs" in page


@pytest.mark.parametrize("what", ["step", "value"])
def test_recomputing_finds_what_was_changed_in_the_database(site: Site, what: str) -> None:
    town = site.town
    made = town.appraisal(town.registration())
    changes: dict[str, Any] = {"value_fen": made.value_fen + 1}
    if what == "step":
        cost = made.figures["cost"]
        steps = [{**one, "value": "1"} if one["symbol"] == "C" else one for one in cost["steps"]]
        changes = {"figures": {**made.figures, "cost": {**cost, "steps": steps}}}
    with town.deed() as session:
        changed = update(appraisals.Appraisal).where(appraisals.Appraisal.id == made.id)
        session.execute(changed.values(**changes))
    visit, path = site.visit("anna"), f"/appraisals/{made.number}"
    page = plain(visit.get(f"{path}?recompute=1"))
    assert "It does not recompute" in page
    assert "Recomputed just now" not in page
    if what == "step":
        visit.get(f"{path}/cost.xlsx", 400)


def test_a_worksheet_opens_as_a_spreadsheet_with_live_formulas(shop: Shop) -> None:
    visit, path = shop.site.visit("egon"), f"/appraisals/{shop.appraisal.number}"
    for name in ("cost", "income", "market", "conclusion"):
        answer = visit.client.get(f"{path}/{name}.xlsx")
        assert f"{shop.appraisal.number}-{name}.xlsx" in answer.headers["Content-Disposition"]
        [page] = sheets(answer.data).worksheets
        cells = [str(cell.value) for row in page.iter_rows() for cell in row]
        assert any(cell.startswith("=") for cell in cells)
        assert "P" in cells
    visit.get(f"{path}/other.xlsx", 404)
    shop.site.visit("mallory").get(f"{path}/cost.xlsx", 403)
    shop.site.visit("mallory").get(path, 403)


def test_only_an_appraiser_drafts(shop: Shop) -> None:
    path = f"/registrations/{shop.registered.code}/appraisals"
    shop.site.visit("olga").get(path, 403)


def test_a_colleague_approves_and_the_page_names_him(site: Site) -> None:
    made = site.town.appraisal(site.town.registration())
    path = f"/appraisals/{made.number}"
    site.visit("anna").post(f"{path}/approve", status=403)
    site.visit("abel").post(f"{path}/approve")
    assert "Abel (公允资产评估事务所)" in plain(site.visit("olga").get(path))
    site.town.later(days=366)
    assert "its conclusion no longer holds" in plain(site.visit("olga").get(path))


# -- licences and payments ---------------------------------------------------------------------


def licence_form(**changes: str) -> dict[str, str]:
    return {
        "order": "XK-WEB-1", "licensee": "91000000DEM000007U", "licensee_address": HOLDER,
        "right": "use", "purpose": "industry", "terms": TERMS, "from_on": "2026-04-01",
        "until_on": "2026-12-31", "price_yuan": "1234.50", **changes,
    }  # fmt: skip


def test_a_sale_is_made_and_paid_in_two_parts(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    visit, path = site.visit("olga"), f"/vouchers/{voucher.number}/licences"
    form = visit.get(path)
    assert f'name="until_on" type="date" value="{local_date(voucher.valid_until)}"' in form
    address = visit.post(path, licence_form()).location
    text = plain(visit.get(address))
    for due in ("城市商业银行", "1,234.50", "风险评估", "2026-04-01 to 2026-12-31", voucher.number):
        assert due in text
    maker = site.visit("mona")
    payments = f"{address}/payments"
    assert f"{payments}?amount_yuan=1234.50" in html.unescape(maker.get(address))
    assert 'value="1234.50"' in maker.get(f"{payments}?amount_yuan=1234.50")
    town.later(days=60)
    paid = {"received_on": "2026-04-02", "reference": "BANK-WEB-1", "amount_yuan": "1000.00"}
    maker.post(payments, paid)
    text = plain(maker.get(address))
    assert "Paid so far 1,000.00 Open 234.50" in text
    refused = maker.post(
        payments, {**paid, "reference": "BANK-WEB-2", "amount_yuan": "234.51"}, 400
    )
    assert "does not fit" in plain(refused.text)
    text = plain(maker.get("/payments/BANK-WEB-1"))
    for due in ("1,000.00", "943.40", "56.60", "no statement yet", "Mona (市财政局)"):
        assert due in text
    site.visit("mallory").get("/payments/BANK-WEB-1")  # the licensee's
    site.visit("paul").get("/payments/BANK-WEB-1", 403)


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"right": "holding"}, "right"),
        ({"purpose": "benefit"}, "price_yuan"),
        ({"until_on": "2039-12-31"}, "until_on"),
        ({"until_on": "2026-01-01"}, "until_on"),
        ({"licensee": "91000000DEM000003F"}, "licensee"),
        ({"licensee_address": "0x" + "ab" * 20}, "licensee_address"),
        ({"licensee_address": "0x12"}, "licensee_address"),
        ({"terms": "a: [1"}, "terms"),
        ({"order": "mit Leerzeichen"}, "order"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sale_stands_at_its_field(
    shop: Shop, changes: dict[str, str], at: str
) -> None:
    path = f"/vouchers/{shop.voucher.number}/licences"
    answer = shop.site.visit("olga").post(path, licence_form(**changes), 400)
    assert f'id="{at}-error"' in answer.text
    assert "风险评估" in answer.text or "terms" in changes
    assert 'value="1234.50"' in answer.text, "what was filled in is kept"


@pytest.mark.parametrize("price", ["abc", "1,23.50", "12.345", "-1"])
def test_a_price_that_is_no_amount_is_refused(shop: Shop, price: str) -> None:
    path = f"/vouchers/{shop.voucher.number}/licences"
    answer = shop.site.visit("olga").post(path, licence_form(price_yuan=price), 400)
    assert price in answer.text


def test_a_licence_is_seen_by_both_sides_and_by_nobody_else(shop: Shop) -> None:
    path = f"/licences/{shop.licence.order_reference}"
    assert f'href="/vouchers/{shop.voucher.number}"' in shop.page("olga", path)
    bank = shop.page("mallory", path)
    assert shop.voucher.number in bank
    assert f'href="/vouchers/{shop.voucher.number}"' not in bank
    shop.site.visit("paul").get(path, 403)
    shop.site.visit("egon").get(path, 403)
    assert "grant waiting" in plain(shop.page("gwen", path))


# -- schemes -----------------------------------------------------------------------------------


def test_a_scheme_is_proposed_from_the_example_read_and_agreed(site: Site) -> None:
    agreement = site.town.agreement()
    visit, path = site.visit("olga"), f"/agreements/{agreement.number}/schemes/new"
    page = html.unescape(visit.get(path))
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert found is not None
    form = {"document": found[1], "effective_from": agreement.from_on}
    faulty = visit.post(path, {**form, "document": found[1].replace("7/10", "6/10")}, 400)
    assert "sum to 9/10" in html.unescape(faulty.text)
    address = visit.post(path, form).location
    text = plain(site.visit("paul").get(address))
    for due in ("7/10 = 70 %", "1/10 = 10 % of what is left", "城数运营有限公司", "市数据局",
                "at most 1/2 = 50 % of the whole amount", "platform_cost_fen"):  # fmt: skip
        assert due in text
    visit.post(f"{address}/agree", status=403)
    site.visit("paul").post(f"{address}/agree")
    assert "Paul (市数据局)" in plain(visit.get(address))
    again = html.unescape(visit.get(path))
    assert "name: {zh: 授权运营收益分配方案" in again, "the edition before, to be changed"
    site.visit("mallory").get(address, 403)


NEW = """\
v: 1
name: {{zh: 新方案, en: the new one}}
steps:
  - {{kind: fixed, party: "{operator}", label: {{zh: 运维费, en: upkeep}}, fact: upkeep_fen}}
  - kind: pool
    label: {{zh: 余额, en: the rest}}
    shares:
      - {{party: "{operator}", share: 1/2, least_yuan: "100.00"}}
      - share: 1/2
        label: {{zh: 提供方, en: sources}}
        steps:
          - {{kind: contribution, label: {{zh: 按贡献, en: by worth}}, fact: worth, parties: ["{bureau}"]}}
"""
WORTH = {
    "v": 1, "game": "uses", "players": [{"id": PARTIES["bureau"][2]}],
    "uses": [{"name": "u", "value_fen": 7, "needs": [PARTIES["bureau"][2]]}],
}  # fmt: skip


def test_a_scheme_is_tried_on_the_last_statement_and_nothing_is_kept(shop: Shop) -> None:
    last, agreement = shop.second, shop.agreement
    codes = {name: PARTIES[name][2] for name in ("operator", "bureau")}
    visit, path = shop.site.visit("olga"), f"/agreements/{agreement.number}/schemes/try"
    assert "授权运营收益分配方案" in html.unescape(visit.get(path)), (
        "it begins with the newest edition"
    )
    form = {"document": NEW.format_map(codes), "do": "try"}
    refused = visit.post(path, form, 400)
    said = html.unescape(refused.text)
    assert "facts.upkeep_fen" in said
    assert "facts.worth" in said
    form["facts"] = json.dumps({"upkeep_fen": "10.00", "worth": WORTH})
    page = plain(visit.post(path, form, 200).text)
    assert last.number in page
    before = sum(one["amount_fen"] for one in last.lines if one["party"] == codes["operator"])
    after = 1000 + (last.amount_fen - 1000) - (last.amount_fen - 1000) // 2
    assert money(before) in page
    assert money(after) in page or money(after - 1) in page
    book = visit.post(path, {**form, "do": "xlsx"}, 200)
    assert book.data.startswith(b"PK")
    with shop.site.town.reading() as session:
        assert session.query(schemes.Scheme).count() == 1
    wrong = visit.post(path, {**form, "document": form["document"].replace("1/2", "50%")}, 400)
    assert html.unescape(wrong.text).count("write it as 1/2") >= 2
    assert shop.site.visit("mallory").get(path, 403)


def test_a_statement_by_sums_and_contributions_is_drafted_from_its_form(site: Site) -> None:
    town = site.town
    registered = town.registration()
    agreement = town.get(agreements.Agreement, registered)
    codes = {name: PARTIES[name][2] for name in ("operator", "bureau")}
    town.scheme(agreement, read_text(NEW.format_map(codes)))
    licence = town.licence(town.voucher(registered))
    town.payment(licence, 1_000_000)
    town.now += timedelta(days=1)
    path = f"/agreements/{agreement.number}/statements"
    visit = site.visit("mona")
    page = visit.get(path)
    assert 'name="facts.worth"' in page
    days = {
        "from_on": agreement.from_on, "until_on": (local_date(town.now) - timedelta(days=1)).isoformat()
    }  # fmt: skip
    bad = visit.post(path, {**days, "facts.upkeep_fen": "1.00", "facts.worth": "{"}, 400)
    assert "facts.worth-error" in bad.text
    form = {**days, "facts.upkeep_fen": "1.00", "facts.worth": json.dumps(WORTH)}
    text = plain(visit.get(visit.post(path, form).location))
    assert "stated 1.00 yuan" in text
    assert "the contribution document stated" in text


# -- statements --------------------------------------------------------------------------------


def test_a_statement_shows_every_fen_and_how_it_follows(shop: Shop) -> None:
    page = shop.page("mona", f"/statements/{shop.first.number}")
    text = plain(page)
    assert money(shop.first.amount_fen) in text
    assert shop.first.amount_fen == sum(line["amount_fen"] for line in shop.first.lines)
    for line in shop.first.lines:
        assert money(line["amount_fen"]) in text
    assert page.count("<details") == len(shop.first.lines) + 4
    for step in shop.first.derivation["steps"]:
        assert f"<code>{step['symbol']}</code>" in page
    assert "Recomputed for this page: every line agrees to the fen." in text
    assert "stated 12,345.67 yuan" in text
    assert CHECKER_ADDRESS in text
    assert "Carl (市财政局)" in text
    assert "approve effective" in text


CHECKER_ADDRESS = keys.address_of(CHECKER_KEYS["carl"])


def test_a_statement_is_compared_with_the_one_before_line_by_line(shop: Shop) -> None:
    text = plain(shop.page("mona", f"/statements/{shop.second.number}"))
    assert f"{shop.first.number} ({shop.first.from_on}" in text
    before = {(line["party"], line["kind"]): line["amount_fen"] for line in shop.first.lines}
    for line in shop.second.lines:
        earlier = before[line["party"], line["kind"]]
        change = line["amount_fen"] - earlier
        assert f"{money(earlier)} {'+' if change > 0 else ''}{money(change)}" in text
    assert "Statement before" not in plain(shop.page("mona", f"/statements/{shop.first.number}"))


def test_a_statement_s_spreadsheet_sums_to_its_amount(shop: Shop) -> None:
    answer = shop.site.visit("paul").client.get(f"/statements/{shop.second.number}/lines.xlsx")
    book = sheets(answer.data)
    lines = book.worksheets[0]
    count = len(shop.second.lines)
    assert lines.cell(4 + count, 4).value == f"=SUM(D4:D{3 + count})"
    known = load_workbook(io.BytesIO(answer.data), data_only=True).worksheets[0]
    assert known.cell(4 + count, 4).value == shop.second.amount_fen
    assert [known.cell(4 + n, 4).value for n in range(count)] == [
        line["amount_fen"] for line in shop.second.lines
    ]
    shop.site.visit("mallory").get(f"/statements/{shop.second.number}/lines.xlsx", 403)


def test_who_may_see_what_of_a_statement(shop: Shop) -> None:
    path = f"/statements/{shop.first.number}"
    assert f'href="/payments/BANK-{shop.first.until_on}"' in shop.page("olga", path)
    provider = shop.page("paul", path)
    assert "BANK-" not in provider
    own = f"/api/v1{path}/lines/11000000DEM000002L"
    assert f'href="{own}"' in provider
    assert provider.count("/lines/") == 1, "of its own lines only"
    proof = shop.site.visit("paul").read(own.removeprefix("/api/v1"))
    assert {placed["line"]["party"] for placed in proof["lines"]} == {"11000000DEM000002L"}
    assert verify_proof(proof) == proof["issuer"]
    shop.site.visit("mallory").get(path, 403)
    shop.site.visit("egon").get(path, 403)
    shop.site.visit().get(path, 303)


def test_a_line_changed_in_the_database_is_told(site: Site) -> None:
    made = site.town.statement()
    lines = [dict(line) for line in made.lines]
    lines[0]["amount_fen"] += 1
    lines[1]["amount_fen"] -= 1
    with site.town.deed() as session:
        changed = update(statements.Statement).where(statements.Statement.id == made.id)
        session.execute(changed.values(lines=lines))
    visit = site.visit("mona")
    text = plain(visit.get(f"/statements/{made.number}"))
    assert "does not recompute: lines differs" in text
    assert "agrees to the fen" not in text
    visit.get(f"/statements/{made.number}/lines.xlsx", 422)


def test_the_next_statement_begins_where_the_last_one_ended(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    visit, path = site.visit("mona"), f"/agreements/{agreement.number}/statements"
    assert f'value="{agreement.from_on}"' in visit.get(path)
    first = town.statement_over(agreement, licence, "posted", facts={"platform_cost_fen": 0})
    town.later(days=3)
    town.payment(licence, 5_300_000, "BANK-NEXT")
    town.later(days=1)
    page = visit.get(path)
    text = plain(page)
    today = local_date(town.now)
    begin = local_date(town.now - timedelta(days=4))
    assert f"The last statement {first.number} covers" in text
    assert f'name="from_on" type="date" value="{begin}"' in page
    assert f'name="until_on" type="date" value="{today - timedelta(days=1)}"' in page
    assert "platform cost recovered" in text
    assert "Paid back to 城数运营有限公司. At most 1/2 = 50 % of the whole amount." in text
    assert "50,000.00" in text, "5.3 million fen less VAT"
    form = {"from_on": str(begin), "until_on": str(today - timedelta(days=1))}
    wrong = visit.post(path, {**form, "facts.platform_cost_fen": "viel"}, 400)
    assert 'id="facts.platform_cost_fen-error"' in wrong.text
    assert 'value="viel"' in wrong.text
    lacking = visit.post(path, form, 400)
    assert "platform_cost_fen" in plain(lacking.text)
    early = {**form, "facts.platform_cost_fen": "0.00", "until_on": str(today)}
    assert 'id="until_on-error"' in visit.post(path, early, 400).text
    answer = visit.post(path, {**form, "facts.platform_cost_fen": "10000.00"})
    text = plain(visit.get(answer.location))
    assert "Amount shared (net of VAT) 50,000.00 yuan" in text
    assert "stated 10,000.00 yuan" in text
    site.visit("olga").get(path, 403)


def test_without_an_agreed_scheme_there_is_no_statement(site: Site) -> None:
    agreement = site.town.agreement()
    text = plain(site.visit("mona").get(f"/agreements/{agreement.number}/statements"))
    assert "has no agreed scheme" in text


def test_a_statement_sent_back_tells_why(site: Site) -> None:
    made = site.town.statement("rejected")
    text = plain(site.visit("mona").get(f"/statements/{made.number}"))
    assert "Ground: 有误" in text
    assert "It was sent back: all this is free" in text


# -- the checker's own signature ---------------------------------------------------------------


def hand_in(visit: Visit, number: str, data: bytes, status: int, name: str = "signed.json") -> str:
    answer = visit.post(f"/statements/{number}/approve", {"file": (io.BytesIO(data), name)}, status)
    return plain(answer.text)


def test_the_page_leads_through_the_approval(shop: Shop) -> None:
    page = shop.page("carl", f"/statements/{shop.second.number}/approve")
    text = plain(page)
    name = f"{shop.second.number}-approval"
    assert (
        f"shuzheng sign {name}-request.json --keystore YOUR-KEY.json -o {name}-signed.json" in text
    )
    assert CHECKER_ADDRESS in text
    assert "still on its way to the chain (waiting)" in text
    for line in shop.second.lines:
        assert money(line["amount_fen"]) in text
    assert f'href="/statements/{shop.second.number}/approve"' in shop.page(
        "carl", f"/statements/{shop.second.number}"
    )


def test_only_a_second_person_of_the_house_approves(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    day = local_date(town.now)
    town.payment(licence, 1000)
    town.later(days=1)
    facts = {"platform_cost_fen": 0}
    made = town.do("max", revenue.draft, agreement, from_on=day, until_on=day, facts=facts)
    town.do("max", revenue.propose, made, ORIGIN)
    path = f"/statements/{made.number}/approve"
    own = site.visit("max").get(path)
    assert "You drafted this statement yourself" in plain(own)
    assert 'type="file"' not in own
    signed = canonical(town.approval(made, "max"))
    visit = site.visit("max")
    assert "another person must decide" in hand_in(visit, made.number, signed, 403)
    for login in ("mona", "olga", "mallory", "gwen"):
        site.visit(login).get(path, 403)
        site.visit(login).get(f"/statements/{made.number}/approval-request.json", 403)


def test_without_a_node_the_checker_is_told_and_nothing_changes(site: Site) -> None:
    made = site.town.statement("proposed")
    visit = site.visit("carl")
    visit.get(f"/statements/{made.number}/approval-request.json", 303)
    page = plain(visit.get(f"/statements/{made.number}/approve"))
    assert "The chain's node does not answer just now" in page
    before = site.town.snapshot()
    said = hand_in(visit, made.number, canonical(site.town.approval(made)), 503)
    assert "The chain's node does not answer just now" in said
    assert site.town.snapshot() == before


def test_a_file_that_is_no_approval_of_this_statement_is_refused(site: Site) -> None:
    town = site.town
    made = town.statement("proposed")
    visit = site.visit("carl")
    good = town.approval(made)
    with town.reading() as session:
        deployment = town.home.config.deployment
        request = approvals.request_for(
            session.get_one(statements.Statement, made.id), ORIGIN, deployment, 0, 2**31
        )
    before = town.snapshot()
    for data, said in (
        (b"", "is empty"),
        (b"%PDF-1.7", "not a file of the kinds"),
        (b"hello", "not JSON we accept"),
        (b'{"a": 1}', "not in canonical form"),
        (b"[]", "no signed approval"),
        (canonical({"type": "other"}), "no signed approval"),
        (canonical(request), "is the request, not yet signed"),
        (canonical({**good, "pad": "x" * 70_000}), "larger than 64 KiB"),
        (canonical({**good, "statement": "FP2020-0001"}), "approves statement FP2020-0001"),
    ):
        assert said in hand_in(visit, made.number, data, 400)
    other = approvals.sign(request, CHECKER_KEYS["max"])
    assert "not by your key" in hand_in(visit, made.number, canonical(other), 403)
    answer = visit.post(f"/statements/{made.number}/approve", {}, 400)
    assert "No file was chosen" in answer.text
    assert town.snapshot() == before


def test_a_second_signature_does_not_use_the_nonce_of_the_one_on_its_way(site: Site) -> None:
    """Of two signatures with one nonce the contract takes one: the other would be an alarm."""
    town = site.town
    one, other = town.statement("approved"), town.statement("proposed")
    visit, signed = site.visit("carl"), canonical(town.approval(other))
    before = town.snapshot()
    said = hand_in(visit, other.number, signed, 409)
    assert f"{one.number} is on its way to the chain and uses nonce 0 up" in said
    assert town.snapshot() == before
    town.settle(one)  # asked of the chain itself then, which is not there
    hand_in(visit, other.number, signed, 503)


def test_a_checker_without_an_address_is_told_so(site: Site) -> None:
    made = site.town.statement("proposed")
    with site.town.deed() as session:
        parties.add_member(
            session, "system", site.town.now,
            party=session.get_one(parties.Party, site.town.parties["treasury"]), login="nora",
            display_name="Nora", roles=["finance_checker"],
        )  # fmt: skip
        site.town.actors["nora"] = parties.actor_by_login(session, "nora")
    visit = site.visit("nora")
    page = visit.get(f"/statements/{made.number}/approve")
    assert "No signing address is entered for you" in plain(page)
    assert 'type="file"' not in page
    visit.get(f"/statements/{made.number}/approval-request.json", 303)
    assert "has no signing address" in plain(visit.get(f"/statements/{made.number}/approve"))


def test_what_is_approved_already_asks_for_nothing(shop: Shop) -> None:
    page = shop.page("carl", f"/statements/{shop.first.number}/approve")
    assert "there is nothing to approve now" in plain(page)
    assert 'type="file"' not in page


@pytest.fixture
def chained(node_home: Path) -> Iterator[Site]:
    """A site whose node runs, with a checker whose key the contract knows."""
    home = Home(node_home)
    _ = home.config
    town = ChainTown(home)
    with town.deed() as session:
        parties.add_member(
            session, "system", town.now, login="cleo", display_name="Cleo",
            party=session.get_one(parties.Party, town.parties["treasury"]),
            roles=["finance_checker"],
            signing_address=keys.keystore_address(node_home / "offline" / "checker.json"),
        )  # fmt: skip
        town.actors["cleo"] = parties.actor_by_login(session, "cleo")
    yield Site(town)
    home.engine.dispose()


def test_from_the_draft_to_the_books_by_the_checker_s_own_key(
    chained: Site, tmp_path: Path
) -> None:
    town = chained.town
    assert isinstance(town, ChainTown)
    origin = town.home.config.origin
    voucher = town.issue()
    agreement = town.get(agreements.Agreement, town.get(registration.Registration, voucher))
    town.scheme(agreement)
    licence = town.licence(voucher, origin=origin, valid_until=clock() + timedelta(days=90))
    town.payment(licence, 38_000_000)
    town.now = clock()

    maker, checker = chained.visit("mona"), chained.visit("cleo")
    form = maker.get(f"/agreements/{agreement.number}/statements")
    days = dict(re.findall(r'name="(\w+_on)" type="date" value="(.*?)"', form))
    path = maker.post(
        f"/agreements/{agreement.number}/statements",
        {**days, "facts.platform_cost_fen": yuan(4_500_000)},
    ).location
    maker.post(f"{path}/propose")
    number = path.rpartition("/")[2]

    request_file, signed_file = tmp_path / "request.json", tmp_path / "signed.json"
    answer = checker.client.get(f"{path}/approval-request.json")
    assert f"{number}-approval-request.json" in answer.headers["Content-Disposition"]
    request_file.write_bytes(answer.data)
    done = CliRunner(env={"SHUZHENG_KEY_PASSPHRASE": PASSPHRASE, "SHUZHENG_LANG": "en"}).invoke(
        main, ["sign", str(request_file), "--keystore",
               str(town.home.path / "offline" / "checker.json"), "-o", str(signed_file), "--yes"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "358490.57" in done.output

    early = hand_in(checker, number, signed_file.read_bytes(), 409)
    assert "The chain is not where the signature says" in early
    town.worker().drain()
    assert "on its way" not in plain(checker.get(f"{path}/approve"))

    with town.reading() as session:
        row = statements.by_number(session, number)
        moved = approvals.request_for(
            row, origin, town.home.config.deployment, 1, parse(answer.data)["typed_data"]["message"][
                "deadline"]
        )  # fmt: skip
    key = keys.open_keystore(town.home.path / "offline" / "checker.json", PASSPHRASE)
    late = hand_in(checker, number, canonical(approvals.sign(moved, key)), 409)
    assert "request and sign anew" in late

    assert "is approved" in plain(checker.get(hand_in_ok(checker, number, signed_file)))
    town.worker().drain()
    text = plain(maker.get(path))
    assert "posted" in text
    assert "Cleo (市财政局)" in text
    assert "approve effective" in text


def hand_in_ok(visit: Visit, number: str, file: Path) -> str:
    answer = visit.post(
        f"/statements/{number}/approve", {"file": (io.BytesIO(file.read_bytes()), file.name)}
    )
    return str(answer.location)
