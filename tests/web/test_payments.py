"""Pages of payments: the old account beside the new, masked for others; the file; differences."""

import pytest

from ledger import payout_results, payouts
from ledger.agreements import Agreement
from tests.ledger import paying
from tests.web.conftest import Site

pytestmark = pytest.mark.pages


def test_a_new_account_is_confirmed_beside_the_one_it_replaces(site: Site) -> None:
    town = site.town
    first = paying.account(town)
    second = paying.another_account(town)
    page = site.visit("carl").get(f"/bank-accounts/{second.number}/confirm")
    for digits in (first.account_number, second.account_number):
        assert digits in page
    assert (
        f"账户户名“{second.holder_name}”与收款单位名称“{town.party('operator').name}”不一致" in page
    )
    told = site.visit("gwen").get(f"/bank-accounts/{second.number}")
    assert second.account_number not in told
    assert first.account_number not in told
    assert second.masked in told
    shown = site.visit("gwen").read(f"/bank-accounts/{second.number}")
    assert (shown["account_number"], shown["hidden"]) == (second.masked, ["account_number"])
    assert shown["before"]["account_number"] == first.masked
    whole = site.visit("olga").read(f"/bank-accounts/{second.number}")
    assert (whole["account_number"], whole["hidden"]) == (second.account_number, [])
    site.visit("mallory").get(f"/bank-accounts/{second.number}", 403)


@pytest.mark.slow
def test_a_payout_shows_its_lines_and_gives_its_file_only_when_approved(site: Site) -> None:
    town = site.town
    made = paying.prepared(town)
    carl = site.visit("carl")
    carl.get(f"/payouts/{made.number}/file.csv", 409)
    page = carl.get(f"/payouts/{made.number}/approve")
    assert paying.DIGITS["bureau"] in page
    carl.post(f"/payouts/{made.number}/approve")
    answer = carl.client.get(f"/payouts/{made.number}/file.csv")
    assert answer.data.startswith(b"\xef\xbb\xbf")
    assert paying.DIGITS["operator"] in answer.text
    assert carl.client.get(f"/payouts/{made.number}/file.xlsx").data.startswith(b"PK")
    gwen = site.visit("gwen")
    gwen.get(f"/payouts/{made.number}/file.csv", 403)
    assert paying.DIGITS["operator"] not in gwen.get(f"/payouts/{made.number}")


@pytest.mark.slow
def test_a_debit_of_several_is_told_by_its_sum_and_not_by_all_of_its_payments(site: Site) -> None:
    town = site.town
    made = paying.approved(town)
    mona, url = site.visit("mona"), f"/payouts/{made.number}"
    assert [one["debit"] for one in mona.read(url)["lines"]] == [None, None]
    rows = paying.in_one(town, made)
    town.do("mona", payout_results.confirm, made, rows, name="r", digest="sha256:r")
    debit = {"amount_fen": made.amount_fen, "count": 2}
    assert [one["debit"] for one in mona.read(url)["lines"]] == [debit, debit]
    assert f"批量代付，一笔扣款 {made.amount_fen / 100:,.2f} 元，共 2 笔" in mona.get(url)


@pytest.mark.slow
def test_what_came_back_and_what_was_paid_twice_is_told_on_the_payout_s_page(site: Site) -> None:
    town = site.town
    first = paying.approved(town)
    paying.came_in(town, town.get(Agreement, first), 90_000)
    town.do("carl", payouts.close, first, "未付")
    second = town.do("mona", payouts.prepare, town.get(Agreement, first))
    town.do("carl", payouts.approve, second)
    paying.confirm(town, second, True, True)
    paying.give_back(town, second, 1)
    mona = site.visit("mona")
    page = mona.get(f"/payouts/{second.number}")
    assert "账户已注销" in page
    assert paying.came_back(town, second, 1).reference in page
    paying.confirm(town, first, True)
    page = mona.get(f"/payouts/{first.number}")
    line = paying.lines(town, first)[0]
    assert f"{line.serial} 在放弃支付后仍被银行付出" in page


@pytest.mark.slow
def test_differences_are_filtered_and_a_reconciliation_tells_both_balances(site: Site) -> None:
    town = site.town
    one = paying.difference(town)
    mona = site.visit("mona")
    assert one.number in mona.get("/differences?state=open&kind=missing_here&owed_by=operator")
    assert one.number not in mona.get("/differences?state=settled")
    assert one.number not in mona.get("/differences?kind=twice")
    number = mona.read(f"/differences/{one.number}")["reconciliation_id"]
    with town.reading() as session:
        found = session.get_one(paying.Reconciliation, number)
    page = mona.get(f"/reconciliations/{found.number}")
    assert one.number in page
    assert "70.00" in page
    assert one.number in site.visit("olga").get("/work")
    assert one.number not in site.visit("egon").get("/differences")
    town.do("olga", paying.reconciliation.answer, one, "已登记来款")
    path, settle = f"/differences/{one.number}", f"/differences/{one.number}/settle"
    assert settle not in mona.get(path), "she imported the file"
    carl = site.visit("carl")
    assert settle in carl.get(path)
    for visit, waits in ((mona, False), (carl, True)):
        found = [
            item["deed"] for item in visit.read("/work")["items"] if item["number"] == one.number
        ]
        assert ("difference.settle" in found) == waits


def test_asking_for_the_head_of_a_form_does_nothing(site: Site) -> None:
    """A form's route takes GET and POST, and so HEAD: it sends no form, has no token, and is no consent."""
    town = site.town
    made = paying.prepared(town)
    carl, path = site.visit("carl"), f"/payouts/{made.number}/approve"
    before = town.snapshot()
    answer = carl.client.head(path)
    assert (answer.status_code, answer.data) == (200, b"")
    assert town.snapshot() == before
    carl.post(path)
    with town.reading() as session:
        assert town.fresh(session, made).state == "approved"


def test_what_is_due_again_waits_for_the_makers(site: Site) -> None:
    town = site.town
    made = paying.approved(town)
    agreement = town.get(Agreement, made)
    mona = site.visit("mona")
    prepare = f"/agreements/{agreement.number}/payouts"
    assert prepare not in mona.get("/work")
    paying.confirm(town, made, True, False)
    assert prepare in mona.get("/work")
    assert "payout.prepare" not in {
        item["deed"] for item in site.visit("carl").read("/work")["items"]
    }
    again = town.do("mona", payouts.prepare, agreement)
    assert prepare not in mona.get("/work")
    town.do("carl", payouts.approve, again)
    paying.confirm(town, again, True)
    assert prepare not in mona.get("/work")
    paying.give_back(town, again)
    assert prepare in mona.get("/work")


def test_a_form_offers_whom_it_can_be(site: Site) -> None:
    """Exchanges for their report; payees that the book knows for a limit; whose account is entered."""
    town = site.town
    number = town.get(Agreement, paying.approved(town)).number
    mona = site.visit("mona")
    option = '<option value="{}"'
    page = mona.get(f"/agreements/{number}/reconciliations/exchange")
    assert option.format(town.party("exchange").uscc) in page
    assert option.format(town.party("bank").uscc) not in page
    page = mona.get(f"/agreements/{number}/limits")
    assert option.format(town.party("operator").uscc) in page
    assert option.format(town.party("bank").uscc) not in page
    assert "/bank-accounts/new" in mona.get("/bank-accounts")
    bank = town.party("bank").uscc
    assert option.format(bank) in mona.get("/bank-accounts/new")
    answer = mona.client.get(f"/bank-accounts/new?uscc={bank}")
    assert answer.location.startswith(f"/parties/{bank}/bank-accounts")
    assert "/bank-accounts/new" not in site.visit("gwen").get("/bank-accounts")


def test_every_fault_of_a_receipt_stands_at_its_field_and_names_keep_theirs(site: Site) -> None:
    """A sentence that calls somebody by his name does not call him by the field's."""
    town = site.town
    agreement = town.get(Agreement, paying.approved(town))
    bank = town.party("bank")
    wrong = {"amount_yuan": "0.00", "party": bank.uscc, "purpose": "clearing",
             "received_on": "2099-01-01", "reference": "R"}  # fmt: skip
    page = site.visit("mona").post(f"/agreements/{agreement.number}/remittances", wrong, 400).text
    for at in ("amount_yuan", "party", "received_on"):
        assert f'id="{at}-error"' in page
    assert f"{bank.name}（{bank.uscc}）不是交易所" in page


def test_a_setting_is_called_by_its_meaning(site: Site) -> None:
    admin = site.visit("admin")
    page = admin.get("/settings/log_readers")
    assert "谁可以" in page
    assert '<option value="supervisor"' in page
