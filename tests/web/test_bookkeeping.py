"""The pages of an agreement's book: a voucher, its entry, the trial balance, a closing, the files."""

from datetime import timedelta
from io import BytesIO

import openpyxl
import pytest
from beancount import loader

from ledger import agreements, holds
from ledger.books import BANK, FEES, PAYABLE
from ledger.calendar import local_date
from ledger.holds import Hold
from tests.conftest import PARTIES
from tests.ledger import bookings, paying
from tests.web.conftest import Site
from tests.web.test_matrix import bank_s_resource
from webapp.deeds import QUESTIONS


def test_a_voucher_becomes_an_entry_and_both_lead_to_the_trial_balance(common_site: Site) -> None:
    town = common_site.town
    agreement = town.agreement()
    today = local_date(town.now)
    mona, carl, gwen = (common_site.visit(login) for login in ("mona", "carl", "gwen"))
    base = f"/agreements/{agreement.number}"
    form = {"amount_yuan": "10.00", "credit": FEES, "debit": "2203 应付分配款", "memo": "利息 & 其他",
            "effective_on": today.isoformat()}  # fmt: skip
    wrong = mona.post(f"{base}/journals", form, status=400)
    assert "仅限银行手续费、利息和税款" in wrong.text
    made = mona.post(f"{base}/journals", {**form, "debit": BANK}).location
    assert "批准凭证" not in mona.get(made)
    assert "批准凭证" in carl.get(made)
    assert made.split("/")[-1] in carl.get("/work")
    carl.post(f"{made}/approve", page=f"{made}/approve")
    entry = carl.get(made).partition('href="/entries/')[2].partition('"')[0]
    told = gwen.get(f"/entries/{entry}")
    assert "利息 &amp; 其他" in told
    assert (
        told.partition("<tfoot>")[0].count("10.00")
        == told.partition("<tfoot>")[2].count("10.00")
        == 2
    )
    assert f"{base}/books/balance" in told
    balance = gwen.get(f"{base}/books/balance?until_on={today}")
    assert balance.count("10.00") >= 8
    assert f"until_on={today}" in balance, "the workbook is of the same days"
    sheet = openpyxl.load_workbook(
        BytesIO(gwen.client.get(f"{base}/books/balance.xlsx").data)
    ).active
    assert sheet["A4"].value == BANK
    assert sheet["G4"].value == 10
    text = gwen.client.get(f"{base}/books.beancount").data.decode()
    assert loader.load_string(text)[1] == []
    assert "10.00" not in gwen.get(f"{base}/books/balance?until_on={today - timedelta(days=1)}")
    common_site.visit("mallory").get(f"{base}/books/balance", status=403)
    common_site.visit("olga").get(f"{base}/books/balance")


def test_a_body_that_was_asked_for_consent_reads_the_agreement_and_none_of_its_money(
    common_site: Site,
) -> None:
    town = common_site.town
    agreed = town.agreement(consents=("pia",), resource_ids=[bank_s_resource(town)])
    town.scheme(agreed)
    bookings.approved(town, agreed)
    pia, base = common_site.visit("pia"), f"/agreements/{agreed.number}"
    pia.get(base)
    for page in ("books/balance", "books/balance.xlsx", "books.beancount", "schemes/try"):
        assert pia.client.get(f"{base}/{page}").status_code == 403, page
    money = [one for one in QUESTIONS.values() if one.keys[-1:] == ("agreement_number",)
             and one.name.startswith(("entry.", "finance.", "scheme.try"))]  # fmt: skip
    assert len(money) > 8
    with town.reading() as session:
        for one in money:
            assert one.owners_of(session, [agreed]) == agreements.owners(agreed), one.name


@pytest.mark.slow
def test_a_limit_is_proposed_decided_seen_and_left_out_of_a_payout(common_site: Site) -> None:
    town = common_site.town
    agreement, _ = paying.owing(town)
    paying.account(town)
    mona, carl, olga = (common_site.visit(login) for login in ("mona", "carl", "olga"))
    base, party = f"/agreements/{agreement.number}", PARTIES["operator"][2]
    form = {
        "account": PAYABLE,
        "basis": "通知书",
        "floor_yuan": "999999.00",
        "party": party,
        "reason": "冻结",
    }
    assert "尚差" in mona.post(f"{base}/limits", form, status=400).text
    made = mona.post(f"{base}/limits", {**form, "floor_yuan": "0.37"}).location
    number = made.split("/")[-1]
    assert "提出解除" not in mona.get(made)
    assert number in carl.get("/work")
    carl.post(f"{made}/approve", page=f"{made}/approve")
    assert "提出解除" in mona.get(made)
    for path in (f"{base}/finance", f"{base}/account?account={PAYABLE}&party={party}"):
        page = olga.get(path)
        assert f'href="/limits/{number}"' in page
        assert "须留存 0.37 元" in page
    assert number not in olga.get(f"{base}/account?account={BANK}")
    payout = mona.post(f"{base}/payouts").location
    told = mona.get(payout)
    assert f'href="/limits/{number}"' in told
    assert "0.37" in told
    lift = mona.post(f"{made}/lift", {"basis": "解除通知书", "reason": "已解除"}).location
    carl.post(f"{lift}/approve", page=f"{lift}/approve")
    assert number not in olga.get(f"{base}/finance")
    assert "已被取代" in carl.get(made)
    common_site.visit("mallory").get(made, status=403)


@pytest.mark.slow
def test_a_claim_is_divided_from_where_a_payout_leaves_it_out(common_site: Site) -> None:
    town = common_site.town
    agreement, _ = paying.owing(town)
    paying.account(town)
    _, was, (one, two) = bookings.split_claim(town, agreement=agreement)
    mona, carl = (common_site.visit(login) for login in ("mona", "carl"))
    base = f"/agreements/{agreement.number}"
    payout = mona.post(f"{base}/payouts").location
    told = mona.get(payout)
    assert "该单位已分立：请以记账凭证将债权在承继单位之间划分" in told
    way = told.partition(f'href="{base}/divisions')[2].partition('"')[0].replace("&amp;", "&")
    assert was.uscc in way
    assert "划分债权" not in carl.get(payout), "who may not propose is not led there"
    page = mona.get(f"{base}/divisions{way}")
    assert f'value="{was.uscc}"' in page
    form = {
        "account": PAYABLE, "amount_yuan": "100.01", "document_digest": bookings.DOCUMENT,
        "effective_on": local_date(town.now).isoformat(), "memo": "债权划分协议", "party": was.uscc,
        "shares.0.party": one.uscc, "shares.0.amount_yuan": "60.01",
        "shares.1.party": two.uscc, "shares.1.amount_yuan": "40.01",
    }  # fmt: skip
    assert (
        "各份额合计100.02元，不等于100.01元"
        in mona.post(f"{base}/divisions", form, status=400).text
    )
    made = mona.post(f"{base}/divisions", {**form, "shares.1.amount_yuan": "40.00"}).location
    assert all(said in mona.get(made) for said in ("60.01", "40.00", one.name, bookings.DOCUMENT))
    assert "撤回债权划分" not in mona.get(made)
    assert made.split("/")[-1] in carl.get("/work")
    carl.post(f"{made}/approve", page=f"{made}/approve")
    assert "划分债权" in mona.get(payout), "what it left out stays as it was"
    assert "分立债权划分" not in mona.get(base)
    back = mona.post(f"{made}/undoing", {"reason": "协议撤销"}).location
    assert f'href="{made}"' in carl.get(back)
    carl.post(f"{back}/approve", page=f"{back}/approve")
    assert "撤回债权划分" not in mona.get(made)
    assert "分立债权划分" in mona.get(base)


def test_a_period_is_closed_seen_and_reopened_on_the_site(common_site: Site) -> None:
    town = common_site.town
    agreement = town.agreement()
    yesterday = (local_date(town.now) - timedelta(days=1)).isoformat()
    mona = common_site.visit("mona")
    path = f"/agreements/{agreement.number}/periods"
    form = {"from_on": yesterday, "until_on": yesterday, "bank_yuan": "1.00"}
    refused = mona.post(path, form, status=409).text
    assert f"{BANK}的余额是0.00元，不是1.00元" in refused
    made = mona.post(path, {**form, "bank_yuan": ""}).location
    page = mona.get(made)
    assert f"until_on={yesterday}" in page
    assert yesterday in mona.get(f"/agreements/{agreement.number}/books/balance?until={yesterday}")
    carl = common_site.visit("carl")
    carl.post(f"{made}/reopen", {"reason": "补记"}, page=f"{made}/reopen")
    assert "已反结账" in mona.get(made)


def test_a_hold_is_told_with_its_lines(common_site: Site) -> None:
    held = bookings.hold(common_site.town)
    page = common_site.visit("gwen").get(f"/holds/{held.number}")
    lines, _, sums = page.partition("<tfoot>")
    assert (lines.count("6.00"), sums.count("6.00")) == (3, 2)
    with common_site.town.deed() as session:
        holds.keep(session, "system", session.get_one(Hold, held.id))
    page = common_site.visit("gwen").get(f"/holds/{held.number}")
    assert '<dd class="col-sm-9">–</dd>' in page, "what is kept runs out on no day"
