"""Trade as people meet it: confirmed trades by the form, refused row by row, shown, proved, refunded."""

import io
from functools import partial
from urllib.parse import quote

import pytest

from ledger import confirmations, log, orders, refunds
from ledger.confirmations import Confirmation
from ledger.proof.encoding import canonical
from ledger.proof.row import TRADE_TYPE, check_row
from ledger.vouchers import Voucher
from tests.conftest import ORIGIN
from tests.ledger import deals
from tests.web import examples
from tests.web.conftest import Site
from tests.web.test_jobs_pages import plain, visit_of
from webapp import jobs
from webapp.deeds.background import work

pytestmark = pytest.mark.pages


def test_an_order_for_nobody_is_told_with_all_that_is_wrong_besides(site: Site) -> None:
    asked = examples.an_order(site)
    path = f"/vouchers/{asked.keys['voucher_number']}/orders"
    wrong = {**asked.body, "licensee": "91000000DEM000099X", "offer_until": "2020-01-01",
             "until_on": "2099-12-31", "terms": "scene: 风险评估"}  # fmt: skip
    visit = site.visit(asked.login)
    page = visit.post(path, wrong, 400).text
    for at in ("licensee", "offer_until", "until_on"):
        assert f'id="{at}-error"' in page
    assert visit.read("/orders")["items"] == []


def test_a_form_hands_confirmed_trades_in_and_tells_every_bad_row(site: Site) -> None:
    town = site.town
    agreement, licence = town.sold()
    text = town.trades_file(town.get(Voucher, licence))
    signed = canonical(town.signed(agreement, text))
    visit = visit_of(site, "egon")
    assert 'href="/confirmations/new"' in visit.get("/confirmations")
    assert ">amount_yuan</th>" in visit.get("/confirmations/new")

    def send(data: bytes) -> str:
        files = {"file": (io.BytesIO(data), "成交.csv"),
                 "signature": (io.BytesIO(signed), "c.json")}  # fmt: skip
        place = visit.post("/confirmations/new", files).headers["Location"]
        runner = jobs.Runner(town.home, partial(work, site.desk), lambda: town.now)
        assert runner.run_one()
        return plain(visit.get(place))

    told = send(text.replace("106.00", "x").replace("T-2", "T 2").encode())
    assert "is no amount in yuan" in told
    assert "visible ASCII" in told
    assert "Mend these rows and hand the whole file in again" in told
    assert "CJ2026-000001: 3 trades, 321.00 yuan" in send(text.encode())
    page = plain(visit.get("/confirmations/CJ2026-000001"))
    assert "321.00" in page
    assert "T-3" in page
    rows = plain(visit.get("/confirmations/CJ2026-000001/rows?row=T-2"))
    assert "Trade T-2: row 2 of 3" in rows
    assert "There is no" not in rows
    assert "has no row" in plain(visit.get("/confirmations/CJ2026-000001/rows?row=T-9"))
    visit.post("/confirmations/new", {}, status=400)
    with town.reading() as session:
        made = session.query(Confirmation).one()
        bundle = {"payload": log.payload_of(log.record_of(session, made.id, 1))}
        proof = confirmations.row_proof(session, made, 2)
    assert check_row({"bundle": bundle, **proof, "type": TRADE_TYPE, "v": 1}) == bundle


def test_pages_of_orders_refunds_and_remittances_lead_to_each_other(site: Site) -> None:
    town = site.town
    order = deals.order(town)
    finance = visit_of(site, "mona")
    assert "are set aside" in plain(finance.get(f"/orders/{order.reference}"))
    town.do("opal", orders.fulfil, order, ORIGIN)
    refund = deals.refund(town)
    work_of_carl = plain(visit_of(site, "carl").get("/work"))
    assert refund.number in work_of_carl
    town.do("carl", refunds.approve, refund)
    licence = finance.get(f"/licences/{order.reference}")
    assert f'href="/orders/{order.reference}"' in licence
    page = finance.get(f"/refunds/{refund.number}")
    assert "53.00" in page
    with town.reading() as session:
        source = refunds.source_of(session, session.get_one(refunds.Refund, refund.id))
        reference = source.held.reference  # type: ignore[union-attr]
    assert refund.number in finance.get(f"/payments/{reference}")
    remittance = deals.remittance(town)
    assert remittance.reference in finance.get("/remittances")
    assert "106.00" in finance.get(f"/remittances/{remittance.reference}")


@pytest.mark.parametrize("reference", ["2026/03-A", "甲/乙 (3)"])
def test_a_bank_s_reference_with_a_stroke_has_its_pages(site: Site, reference: str) -> None:
    town = site.town
    agreement, licence = town.sold()
    town.payment(licence, 10_600, reference)
    town.remittance(agreement, 10_600, f"R/{reference}")
    mona = visit_of(site, "mona")
    for noun, one in (("payment", reference), ("remittance", f"R/{reference}")):
        page = f"/{noun}s/{quote(one, safe='/()')}"
        assert page in mona.get(f"/{noun}s")
        for place in (page, f"{page}/refunds", f"{page}/undo"):
            assert one in plain(mona.get(place)), place
        assert mona.api(page, None, 200, method="GET").json["reference"] == one
        made = mona.api(f"{page}/refunds", {"amount_yuan": "1.00", "ground": "退货"}, None)
        assert made.status_code == 201, made.json
