"""The finance department's pages: every amount leads to what is behind it, and sums agree."""

import re
from html import unescape
from urllib.parse import quote

import pytest

from ledger import books, finance, periods, revenue, reversals, statements
from ledger.agreements import Agreement
from ledger.calendar import local_date
from tests.conftest import ORIGIN, PARTIES
from tests.ledger import paying
from tests.web.conftest import Site
from webapp import intake, language
from webapp.tables import csv_bytes
from webapp.wording import state_of

PAYABLE = quote(books.PAYABLE)
LINK = re.compile(r'href="([^"]+)"')


@pytest.fixture(scope="module")
def place(common_site: Site) -> Site:
    """Two statements of one agreement: 1,000.03 and then 2,400.00 yuan received; the first one posted."""
    town = common_site.town
    agreement, licence = town.sold()
    town.statement_over(agreement, licence, "posted", 100_003, {"platform_cost_fen": 1000})
    town.later(days=1)
    town.statement_over(agreement, licence, "posted", 240_000, {"platform_cost_fen": 1500})
    common_site.agreement, common_site.number = agreement, agreement.number  # type: ignore[attr-defined]
    return common_site


def amounts(page: str) -> list[str]:
    return re.findall(r">(-?[\d,]+\.\d\d)<", page)


def follow(visit, page: str, amount: str) -> str:
    """The page that the first link on an amount leads to."""
    found = re.search(rf'href="([^"]+)">{re.escape(amount)}<', page)
    assert found, (amount, page)
    return visit.get(unescape(found[1]))


def test_from_the_period_to_a_trade_in_two_clicks(place: Site) -> None:
    visit, number = place.visit("mona"), place.number
    first = local_date(place.town.now)
    with place.town.reading() as session:
        [_, (_, last, _)] = finance.marks(session, session.get_one(Agreement, place.agreement.id))
    overview = visit.get(f"/agreements/{number}/finance?until={last}")
    trades = follow(visit, overview, "2,400.00")
    assert "BANK-" in trades
    assert "2,264.15" in trades
    takings = follow(visit, overview, "2,264.15")
    one, other = (follow(visit, takings, amount) for amount in ("2,264.15", "2,400.00"))
    for page in (one, other):  # one row, and the sums below it
        rows, sums = page.split("<tfoot>")
        assert amounts(rows) == amounts(sums) == ["2,400.00", "135.85", "2,264.15"]
    with place.town.reading() as session:
        last_one = statements.previous(session, session.get_one(Agreement, place.agreement.id))
        assert last_one is not None
        fen = last_one.lines[1]["amount_fen"]
    line = follow(visit, overview, f"{fen // 100:,}.{fen % 100:02d}")
    assert "sz-steps" in line
    assert "BANK-" in visit.get(
        unescape(re.search(r'href="(/agreements/[^"]+/trades[^"]*)">[^<]', line)[1])
    )
    assert first


@pytest.mark.slow
def test_every_link_of_the_pages_leads_to_a_page(place: Site) -> None:
    for login in ("mona", "carl", "gwen", "olga", "paul"):
        visit, seen = place.visit(login), set()
        todo = ["/finance"]
        while todo:
            address = todo.pop()
            if address in seen or len(seen) > 60:
                continue
            seen.add(address)
            page = visit.get(address)
            if re.match(r"/finance|/agreements/[^/]+/(finance|takings|trades|paid|account)|"
                        r"/statements/[^/]+/(line|comparison)", address):  # fmt: skip
                main = page[page.index("<main") : page.index("</main>")]
                todo += [unescape(one) for one in LINK.findall(main) if one.startswith("/")]
        assert len(seen) > 8


def test_the_comparison_sums_to_the_difference(place: Site) -> None:
    visit = place.visit("carl")
    with place.town.reading() as session:
        last = statements.previous(session, session.get_one(Agreement, place.agreement.id))
    assert last is not None
    found = visit.read(f"/statements/{last.number}/comparison")
    amount = found["amount"]
    causes = ("volume_fen", "price_fen", "refunds_fen", "late_fen")
    assert sum(amount[one] for one in causes) == amount["change_fen"] == 226_415 - 94_342
    assert sum(one["change_fen"] for one in found["lines"]) == amount["change_fen"]
    assert all(sum(one["by"].values()) == one["change_fen"] for one in found["lines"])
    assert found["takings"][1]["amount_fen"] == last.amount_fen
    assert {one["name"] for one in found["facts"]} == {"platform_cost_fen"}
    assert (amount["by"], found["sold"]) == ("number", []), "the licence says no quantity"
    page = visit.get(f"/statements/{last.number}/comparison")
    assert "+1,320.73" in page
    assert "笔数变化" in page
    assert "15.00" in page
    assert "增加 1,320.73 元（" in page
    assert "较上期增加" in page[page.index("<ul class") :]


def test_who_approves_sees_on_one_page_what_he_signs(place: Site) -> None:
    with place.town.reading() as session:
        last = statements.previous(session, session.get_one(Agreement, place.agreement.id))
    assert last is not None
    page = place.visit("carl").get(f"/statements/{last.number}/approve")
    sheet = page[
        page.index('id="step1"') : page.index('class="d-print-none">', page.index("sz-paper"))
    ]
    for text in (
        "2,264.15", f"{last.from_on} 至 {last.until_on}", "增加 1,320.73 元（", "15.00 元",
        "+1,320.73", "起草人", "更正", "质询", "sz-signing", "statement_line",
    ):  # fmt: skip
        assert (
            f"/statements/{last.number}/line?n=1" if text == "statement_line" else text
        ) in sheet
    for line in last.lines:
        yuan = f"{line['amount_fen'] // 100:,}.{line['amount_fen'] % 100:02d}"
        assert f">{yuan}<" in sheet
    assert sheet.count("<tr id=") == len(last.derivation["steps"]), "the whole derivation"


@pytest.mark.slow
def test_what_was_reversed_is_due_by_no_statement_of_its_period(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    facts = {"platform_cost_fen": 1000}
    made = town.statement_over(agreement, licence, "posted", 100_003, facts)
    undoing = town.do("mona", reversals.reverse, made, "口径有误")
    visit, at = site.visit("mona"), f"/agreements/{agreement.number}/finance?until={made.until_on}"
    told = visit.read(at)
    assert {one["number"]: (one["stands"], one["reverses"]) for one in told["statements"]} == {
        made.number: (True, None), undoing.number: (False, made.number),
    }  # fmt: skip
    assert sum(one["share_fen"] for one in told["payees"]) == made.amount_fen
    town.do("mona", revenue.propose, undoing, ORIGIN)
    town.approve(undoing)
    town.settle(undoing)
    town.post()
    assert [one["stands"] for one in visit.read(at)["statements"]] == [False, False]
    assert {one["share_fen"] for one in visit.read(at)["payees"]} == {0}
    assert f"冲销 {made.number}" in visit.get(at)
    row = visit.get("/statements").partition(f'href="/statements/{undoing.number}"')[2]
    assert made.number in row[: row.index("</tr>")], "the list says what it takes back"


def test_an_amount_of_a_closed_period_leads_to_the_lines_of_that_period(place: Site) -> None:
    with place.town.reading() as session:
        marks = finance.marks(session, session.get_one(Agreement, place.agreement.id))
    visit, at = place.visit("mona"), f"/agreements/{place.number}"
    page = unescape(visit.get(f"{at}/books/balance?until={marks[-1][1]}"))
    leads = [link for link in LINK.findall(page) if link.startswith(f"{at}/account")]
    assert leads
    assert all(f"until={marks[-1][1]}" in link for link in leads)
    page = unescape(visit.get(f"{at}/books/balance"))
    assert not any("until=" in link for link in LINK.findall(page) if f"{at}/account" in link)


def test_lists_of_money_name_the_agreement_and_are_narrowed_by_state(place: Site) -> None:
    visit = place.visit("mona")
    page = visit.get("/statements")
    assert re.search(rf'data-name="授权运营协议">\s*{place.number}\s*<', page)
    assert '<th scope="col" class="text-end">金额（元）</th>' in page
    posted, rejected = (visit.get(f"/statements?state={one}") for one in ("posted", "rejected"))
    assert 'value="posted" selected' in posted
    assert place.number in posted
    assert "没有符合条件的内容" in rejected


@pytest.mark.slow
def test_from_what_was_paid_to_its_payments_in_one_click(site: Site) -> None:
    town = site.town
    payout = paying.approved(town)
    paying.confirm(town, payout, True, True)
    first, last = paying.lines(town, payout)
    agreement, day = town.get(Agreement, payout), local_date(town.now)
    town.later(days=2)
    town.do("mona", periods.close, agreement, from_on=day, until_on=day)
    paying.give_back(town, payout)
    visit, address = site.visit("mona"), f"/agreements/{agreement.number}"
    told = {one["party"]: one for one in visit.read(f"{address}/finance?until={day}")["payees"]}
    assert (told[first.party]["paid_within_fen"], told[first.party]["paid_fen"]) == (
        first.amount_fen,
        0,
    )
    assert told[first.party]["due_fen"] == first.amount_fen, (
        "a payment that came back makes nothing due twice"
    )
    assert told[last.party]["paid_fen"] == told[last.party]["paid_within_fen"] == last.amount_fen
    now = {one["party"]: one for one in visit.read(f"{address}/finance")["payees"]}
    assert (now[first.party]["paid_within_fen"], now[last.party]["paid_within_fen"]) == (
        -first.amount_fen,
        0,
    )
    page = visit.get(f"{address}/finance?until={day}")
    links = [unescape(one) for one in LINK.findall(page) if "/paid?" in one and "account" in one]
    assert len(links) == 3, "nothing is a link that is nought"
    for link in links:
        assert visit.get(link).count('<th scope="row"') in (1, 2)
    assert payout.number in visit.get(links[0])
    whole = visit.read(f"{address}/paid?over=all")
    assert [one["came_back"] for one in whole["items"]] == [False, False, True]
    assert (
        whole["amount_fen"] == sum(one["amount_fen"] for one in whole["items"]) == last.amount_fen
    )
    visit.read(f"{address}/paid?over=some", 400)
    visit.read(f"{address}/paid?after=x", 400)
    site.visit("mallory").read(f"{address}/paid", 403)


def test_an_account_shows_its_lines_and_what_stands(place: Site) -> None:
    visit = place.visit("gwen")
    payee = PARTIES["treasury"][2]
    found = visit.read(
        f"/agreements/{place.number}/account?account={quote(books.TREASURY)}&party={payee}"
    )
    assert found["stood_fen"] == 0
    assert len(found["items"]) == 2
    assert found["items"][-1]["stands_fen"] == sum(one["credit_fen"] for one in found["items"])
    assert {one["cause"] for one in found["items"]} == {"statement"}
    address = f"/agreements/{place.number}/account?account={PAYABLE}"
    first = visit.read(f"{address}&limit=3")
    rest = visit.read(f"{address}&after={first['next']}")
    whole = visit.read(f"{address}&limit=100")
    assert first["items"] + rest["items"] == whole["items"]
    assert rest["stood_fen"] == first["items"][-1]["stands_fen"]
    visit.get(address)
    visit.get(f"/agreements/{place.number}/account?account=9999", 404)


def test_wrong_periods_and_cursors_are_told(place: Site) -> None:
    visit, address = place.visit("mona"), f"/agreements/{place.number}"
    visit.read(f"{address}/takings?until=2020-01-01", 404)
    visit.read(f"{address}/takings?until=yesterday", 400)
    visit.read(f"{address}/trades?after=x", 400)
    visit.read(f"{address}/trades?part=all", 400)
    visit.get(f"{address}/trades?until=2020-01-01", 404)
    visit.get(f"{address}/finance?until=2020-01-01", 404)
    for login, status in (("mallory", 403), ("egon", 403), (None, 401)):
        place.visit(login).read(f"{address}/takings", status)


def test_trades_are_paged_and_written_out(place: Site) -> None:
    visit, address = place.visit("mona"), f"/api/v1/agreements/{place.number}"
    answer = visit.client.get(f"{address}/trades.csv?part=own")
    assert answer.status_code == 200
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert (
        csv_bytes([("-5.00", "-1+1", "=1", "+5")]).decode("utf-8-sig") == "-5.00,'-1+1,'=1,'+5\r\n"
    )
    open_period = visit.read(f"/agreements/{place.number}/trades")
    assert open_period["items"] == []
    assert open_period["next"] is None


def test_forms_take_the_amounts_that_pages_show_and_say_what_else_is_wrong(place: Site) -> None:
    visit = place.visit("mona")
    visit.client.set_cookie("lang", "zh")
    form = f"/agreements/{place.number}/statements"
    day = local_date(place.town.now).isoformat()
    given = {"facts.platform_cost_fen": "五千", "from_on": day, "until_on": day}
    told = visit.post(form, given, 400).text
    assert "“平台成本补偿” 的形式须为：以元计的金额，如 1234.50" in unescape(told)
    assert [intake.ungrouped(text) for text in ("1,234,567.80", "1,23", "12,345", "1234", ",123")] == [
        "1234567.80", "1,23", "12345", "1234", ",123",
    ]  # fmt: skip


def test_a_correction_asks_for_what_the_scheme_names(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    made = town.statement_over(agreement, licence, "drafted", 100_003, {"platform_cost_fen": 1000})
    mona = site.visit("mona")
    page = f"/statements/{made.number}/correct"
    form = mona.get(page)
    assert 'name="facts.platform_cost_fen" value="10.00"' in form
    assert 'name="facts"' not in form
    mona.post(page, {"facts.platform_cost_fen": "1,2", "reason": "审定"}, 400)
    mona.post(page, {"facts.platform_cost_fen": "12.00"}, 400)
    mona.post(page, {"facts.platform_cost_fen": "12.00", "reason": "审定"})
    with town.reading() as session:
        assert statements.by_number(session, made.number).facts == {"platform_cost_fen": 1200}


def test_who_was_signed_out_meanwhile_is_asked_to_sign_in_and_comes_back(place: Site) -> None:
    nobody = place.visit()
    form = f"/agreements/{place.number}/statements"
    answer = nobody.client.post(form, data={"csrf_token": "of a session that is over"})
    assert answer.status_code == 303
    assert answer.headers["Location"].endswith("/sign-in")
    assert "登录已过期" in nobody.get("/sign-in")
    with nobody.client.session_transaction() as kept:
        assert kept["next"] == form


def test_a_form_of_money_repeats_what_is_decided_and_the_overview_what_can_be_done(
    place: Site,
) -> None:
    overview = place.visit("mona").get(f"/agreements/{place.number}/finance")
    for path in ("periods", "statements", "payouts"):
        assert f'href="/agreements/{place.number}/{path}"' in overview
    with place.town.reading() as session:
        last = statements.previous(session, session.get_one(Agreement, place.agreement.id))
        assert last is not None
    assert "2,264.15" in place.visit("mona").get(f"/statements/{last.number}/reverse")


@pytest.mark.parametrize(
    ("noun", "value", "zh", "en"),
    [
        ("period", "closed", "已结账", "books closed"),
        ("payout", "cancelled", "已作废", "cancelled before approval"),
        ("order", "cancelled", "已取消", "called off"),
        ("inquiry", "closed", "已办结", "closed"),
    ],
)
def test_a_state_is_called_as_it_is_said_of_its_noun(
    noun: str, value: str, zh: str, en: str
) -> None:
    for lang, told in (("zh", zh), ("en", en)):
        language.speak(lang)
        try:
            assert state_of(value, noun) == told
        finally:
            language.speak(None)
