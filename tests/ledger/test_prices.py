"""Price settings: who proposes and confirms them, which holds on a day, what is not sold above its cap."""

from datetime import date, timedelta
from fractions import Fraction
from io import BytesIO

import openpyxl
import pytest

from ledger import log, prices
from ledger.agreements import Agreement
from ledger.calendar import local_date, years_after
from ledger.errors import Conflict, Invalid, Missing, NotAllowed
from ledger.price_reports import drawn, write_report
from ledger.trading import Licence
from tests.conftest import Town
from tests.ledger.test_statistics import give_back
from valuation import InputError, methods

COSTS = {
    "platform_yuan": "100000.00", "handling_yuan": "0.00", "staff_yuan": "0.00",
    "acquisition_yuan": "0.00", "period_yuan": "0.00", "subsidy_yuan": "0.00",
}  # fmt: skip


def confirmed(town: Town, agreement: Agreement, approval: str = "", **changes) -> prices.Price:
    made = town.price(agreement, **changes)
    town.do("paul", prices.confirm, made, approval)
    return now(town, made)


def now(town: Town, price: prices.Price) -> prices.Price:
    with town.reading() as session:
        return session.get_one(prices.Price, price.id)


def test_a_price_setting_is_proposed_confirmed_and_recorded(town: Town) -> None:
    made = town.price(town.agreement())
    assert (made.edition, made.state, made.stage, made.permitted_fen) == (
        1,
        "proposed",
        "trial",
        223_320_000,
    )
    assert town.price(town.get(Agreement, made)).id == made.id, "the same again is the same"
    town.do("paul", prices.confirm, made)
    held = now(town, made)
    assert (held.state, held.approval, prices.recompute(held).value_fen) == (
        "confirmed",
        None,
        223_320_000,
    )
    with town.reading() as session:
        kinds = [one.kind for one in log.history(session, made.id)]
    assert kinds == ["price.proposed", "price.confirmed"]


def test_who_proposed_does_not_confirm_and_the_other_side_neither(town: Town) -> None:
    made = town.price(town.agreement())
    for login in ("olga", "mona"):
        with pytest.raises(NotAllowed):
            town.do(login, prices.confirm, made)
    with pytest.raises(NotAllowed):
        town.do("paul", prices.withdraw, made, "x")


def test_formal_fees_need_their_approval(town: Town) -> None:
    made = town.price(
        town.agreement(), document=town.price_document(stage="set", months_operated=12)
    )
    with pytest.raises(Invalid, match="approval on which they rest"):
        town.do("paul", prices.confirm, made, " ")
    town.do("paul", prices.confirm, made, "发改价〔2026〕1号")
    assert now(town, made).approval == "发改价〔2026〕1号"


def test_every_limit_that_a_proposal_breaks_is_named_at_once(town: Town) -> None:
    agreement = town.agreement()
    document = town.price_document()
    document["products"][0]["registration"] = "DJ-NONE"
    with pytest.raises(Invalid) as refusal:
        town.price(
            agreement, document=document, from_on=local_date(town.now) - timedelta(days=1),
            until_on=years_after(local_date(town.now), 3),
        )  # fmt: skip
    told = str(refusal.value)
    for part in (
        "not in force on that day",
        "until its review, 3 years on",
        "DJ-NONE is not registered",
    ):
        assert part in told
    document = town.price_document(markup_points=7)
    with pytest.raises(InputError, match="markup_points"):
        town.price(agreement, document=document)


def test_a_second_proposal_waits_for_the_first_and_the_next_edition_supersedes(town: Town) -> None:
    agreement = town.agreement()
    first = town.price(agreement)
    other = town.price_document(markup_points=4)
    with pytest.raises(Conflict, match="still waits"):
        town.price(agreement, document=other)
    town.do("paul", prices.confirm, first)
    today = local_date(town.now)
    with pytest.raises(Invalid, match="begin later"):
        town.price(agreement, document=other)
    begins = today + timedelta(days=100)
    second = town.price(
        agreement, document=other, from_on=begins, until_on=begins + timedelta(days=10)
    )
    town.do("paul", prices.confirm, second)
    assert (now(town, first).state, now(town, second).edition) == ("superseded", 2)
    with town.reading() as session:
        for day, held in (
            (today - timedelta(days=1), None), (today, first.number),
            (begins - timedelta(days=1), first.number), (begins, second.number),
            (begins + timedelta(days=11), None),  # its review is overdue: the first does not revive
        ):  # fmt: skip
            found = prices.in_force(session, agreement, day)
            assert (found and found.number) == held, day


def test_a_rejected_or_withdrawn_proposal_holds_nothing(town: Town) -> None:
    agreement = town.agreement()
    town.do("paul", prices.reject, town.price(agreement), "成本未核")
    town.do("olga", prices.withdraw, town.price(agreement), "更正")
    assert town.price(agreement).edition == 3
    with town.reading() as session:
        assert prices.in_force(session, agreement, local_date(town.now)) is None


@pytest.mark.parametrize(
    ("terms", "price_fen", "told"),
    [
        ({}, 50_000_000, None),
        ({}, 50_000_001, "评估服务 is above its cap: 500000.00 yuan for 1 产品数量, 1 are sold"),
        ({"quantity": "3/2"}, 75_000_000, None),
        ({"quantity": "3/2"}, 75_000_001, "3/2 are sold (edition 1 of price JG"),
        ({"unit": "数据调用量", "quantity": 2500}, 2250, None),
        (
            {"unit": "数据调用量", "quantity": 2500},
            2251,
            "9.00 yuan for 1000 数据调用量, 2500 are sold",
        ),
        ({"unit": "服务时间"}, 1, "sets no cap for"),
        ({"unit": "次"}, 1, "unit must be one of"),
        ({"quantity": 0}, 1, "must be a number above 0"),
        ({"quantity": True}, 1, "must be a number above 0"),
        ({"unit": "服务时间"}, 0, None),
    ],
)
def test_nothing_is_sold_above_the_cap_that_holds(village: Town, terms, price_fen, told) -> None:
    town = village
    registered = town.registration()
    confirmed(town, town.get(Agreement, registered))
    voucher = town.voucher(registered)
    facts = {"terms": {"scene": "风险评估", **terms}, "price_fen": price_fen}
    if told is None:
        assert town.licence(voucher, **facts).price_fen == price_fen
        return
    with pytest.raises(Invalid) as refusal:
        town.licence(voucher, **facts)
    assert told in str(refusal.value)


def test_without_a_price_setting_in_force_the_agreement_s_own_cap_is_the_only_one(
    town: Town,
) -> None:
    registered = town.registration()
    agreement = town.get(Agreement, registered)
    voucher = town.voucher(registered)
    assert town.licence(voucher, price_fen=99_000_000).n == 0
    begins = local_date(town.now) + timedelta(days=1)
    confirmed(town, agreement, from_on=begins)
    assert town.licence(voucher, price_fen=99_000_000).n == 1, "it holds from tomorrow on"
    town.later(days=1)
    with pytest.raises(Invalid, match="above its cap"):
        town.licence(voucher, price_fen=99_000_000)
    assert town.licence(voucher, price_fen=0, purpose="benefit").n == 2


def test_a_line_for_a_registration_goes_before_that_of_all_others(town: Town) -> None:
    registered = town.registration()
    document = town.price_document()
    document["products"].append({**document["products"][0], "registration": registered.code})
    document["products"][0]["cap_yuan"] = document["products"][0]["fee_yuan"] = "1.00"
    price = confirmed(town, town.get(Agreement, registered), document=document)
    own = prices.line_of(price, registered.code, "产品数量")
    others = prices.line_of(price, "other", "产品数量")
    assert own is not None
    assert others is not None
    assert (own["cap_fen"], others["cap_fen"]) == (50_000_000, 100)


def test_the_report_is_drawn_from_sales_receipts_and_stated_costs(town: Town) -> None:
    registered = town.registration()
    agreement = town.get(Agreement, registered)
    first = confirmed(town, agreement)
    voucher = town.voucher(registered)
    paid = town.licence(voucher, price_fen=40_000_000)
    terms = {"scene": "风险评估", "unit": "数据调用量", "quantity": 2500}
    calls = town.licence(voucher, price_fen=2000, terms=terms)
    town.licence(voucher, price_fen=0, purpose="governance")
    town.payment(paid, 30_000_000)
    town.payment(calls, 1500, "BANK-2")
    give_back(
        town, town.payment(calls, 400, "BANK-3"), 400, undoes=True
    )  # it never was at the bank
    cheaper = town.price_document()
    cheaper["products"][1]["fee_yuan"] = "7.00"
    begins = local_date(town.now) + timedelta(days=30)
    second = confirmed(
        town, agreement, document=cheaper, from_on=begins, until_on=years_after(begins, 2)
    )
    year = local_date(town.now).year
    with town.reading() as session:
        figure = drawn(session, agreement, year, overview="平稳", costs=COSTS)
        with pytest.raises(Missing, match="No price setting"):
            drawn(session, agreement, year - 1, overview="平稳", costs=COSTS)
        with pytest.raises(InputError, match="platform_fen"):
            drawn(session, agreement, year, overview="平稳", costs={**COSTS, "platform_yuan": "-1"})
    assert first.edition + 1 == second.edition
    assert figure.document is not None
    given = figure.document["inputs"]
    assert [(one["unit"], one["quantity"], one["revenue_fen"]) for one in given["sales"]] == [
        ("产品数量", "2", 30_000_000), ("数据调用量", "2500", 1500),
    ]  # fmt: skip
    [change] = given["adjustments"]
    assert (change["name"], change["old_fen"], change["new_fen"]) == ("接口", 800, 700)
    assert change["from_on"] == begins.isoformat()
    assert figure.value_fen == 30_001_500 - 10_000_000
    assert figure["d"].value == Fraction(223_320_000 - 30_001_500, 223_320_000)
    assert methods.verify(figure) == figure
    book = BytesIO()
    write_report(figure, book)
    assert book.getvalue() == _again(figure), "the same report is the same bytes"
    cached = openpyxl.load_workbook(book, data_only=True)["年度报告 Report"]
    live = openpyxl.load_workbook(book)["年度报告 Report"]
    rows = {cached.cell(n, 1).value: n for n in range(1, cached.max_row + 1)}
    profit = rows["实际利润(税前) / profit before tax"]
    assert cached.cell(profit, 2).value == 200_015
    assert str(live.cell(profit, 2).value).startswith("='计算 Derivation'!")
    for part in (
        "整体经营状况",
        "成本开支",
        "实际收入及利润",
        "销售规模及收入",
        "偏离",
        "收费标准调整",
    ):
        assert any(part in str(one) for one in rows), part
    assert f"{year + 1}-03-31" in str(cached.cell(2, 1).value)


def _again(figure) -> bytes:
    book = BytesIO()
    write_report(figure, book)
    return book.getvalue()


def test_what_was_received_in_another_year_stands_in_that_year_s_report(town: Town) -> None:
    registered = town.registration()
    agreement = town.get(Agreement, registered)
    confirmed(town, agreement)
    licence = town.licence(town.voucher(registered), price_fen=100)
    year = local_date(town.now).year
    town.now = town.now.replace(year=year + 1, month=2, day=1)
    town.payment(licence, 100)
    with town.reading() as session:
        assert session.get(Licence, licence.id) is not None
        found = [
            drawn(session, agreement, one, overview="o", costs=COSTS).document["inputs"]["sales"][0]
            for one in (year, year + 1)
        ]
    assert [(one["quantity"], one["revenue_fen"]) for one in found] == [("1", 0), ("0", 100)]
    assert date(year, 12, 31) < local_date(town.now)
