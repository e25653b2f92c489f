"""Recognised vouchers on the pages: handed in, refused with the report, shown to all as not ours."""

import io
import re
from typing import Any

import pytest

from ledger.errors import LedgerError
from ledger.recognition import Recognition
from ledger.registration import Registration
from ledger.vouchers import Voucher
from tests.ledger.neighbours import Neighbour, admitted, follow, recognise
from tests.ledger.test_recognition import rows
from tests.web.conftest import Site, Visit
from webapp.deeds import DEEDS
from webapp.deeds.subjects import SUBJECTS


def english(site: Site, login: str | None = None) -> Visit:
    """A browser in English."""
    made = site.visit(login)
    made.client.set_cookie("lang", "en")
    return made


def handed(data: bytes, **fields: str) -> dict[str, Any]:
    return {"file": (io.BytesIO(data), "文件.json"), **fields}


def test_a_registry_is_proposed_admitted_and_its_voucher_recognised_on_the_pages(
    site: Site,
) -> None:
    near, rita, rob = Neighbour(site.town), english(site, "rita"), english(site, "rob")
    place = rita.post("/peers/new", handed(near.trust_file, registry="重庆登记机构")).headers[
        "Location"
    ]
    page = rob.get(place)
    assert near.fingerprint not in page, "who admits does not read there what he has to type"
    assert "Admit the registry" in rob.get("/work")
    rob.post(f"{place}/admit", {"fingerprint": "00000000"}, 403)
    rob.post(f"{place}/admit", {"fingerprint": near.fingerprint})
    egon = english(site, "egon")
    made = egon.post("/recognitions/new", handed(near.bundle)).headers["Location"]
    for visit in (egon, english(site), english(site, "paul")):
        page = visit.get(made)
        assert (
            "Issued by 重庆登记机构; recognised here. It is not a voucher of this registry." in page
        )
        assert near.origin in page
        assert "was signed by did:key" in page
        assert "城数运营有限公司" not in page
        listed = visit.get("/recognitions")
        assert "PZ202608-000001-X" in listed
        assert near.origin in listed
    assert "互认凭证" in site.visit().get("/recognitions")
    rita.post(f"{place}/status", handed(near.listed(3, hours=1)))
    assert "revoked" in english(site).get(made)


def test_a_refusal_shows_the_report_with_the_step_that_failed(site: Site) -> None:
    near, egon = Neighbour(site.town), english(site, "egon")
    admitted(site.town, near)
    answer = egon.post("/recognitions/new", handed(near.voucher), 422)
    assert "What was checked" in answer.text
    assert "needs a status list" in answer.text
    assert "was signed by did:key" in answer.text
    bad = near.voucher.replace("泊位".encode(), "车位".encode())
    assert "signature is wrong" in egon.post("/recognitions/new", handed(bad), 422).text
    assert rows(site.town, Recognition) == 0
    egon.post("/recognitions/new", handed(near.voucher, status=near.status.decode()))
    assert rows(site.town, Recognition) == 1


def test_nothing_of_the_file_stays_but_the_voucher(site: Site) -> None:
    near = Neighbour(site.town)
    admitted(site.town, near)
    site.visit("egon").post("/recognitions/new", handed(near.bundle))
    kept = [path.read_bytes() for path in site.town.home.path.rglob("*") if path.is_file()]
    assert not [
        data
        for data in kept
        if "城数运营有限公司".encode() in data and near.origin.encode() in data
    ]
    assert not (site.town.home.path / "materials").exists()


def test_what_the_registry_says_is_told_as_of_when_and_then_as_unknown(site: Site) -> None:
    near = Neighbour(site.town)
    admitted(site.town, near)
    made = recognise(site.town, near.bundle)
    nobody = site.visit()
    found = nobody.read(f"/recognitions/{made.id}")
    assert (found["now"], found["origin"], found["number"]) == ("valid", near.origin, made.number)
    assert "credential" not in found
    site.town.later(days=8)
    assert nobody.read(f"/recognitions/{made.id}")["now"] == "unknown now"
    assert "当前不明" in nobody.get(f"/recognitions/{made.id}")
    [row] = nobody.read("/recognitions?words=PZ202608")["items"]
    assert row["now"] == "unknown now"
    nobody.read("/peers", 401)


def test_a_number_of_another_registry_leads_to_whose_it_is_and_how_to_check(site: Site) -> None:
    near, nobody = Neighbour(site.town), english(site)
    number = "PZ202608-000001-X"
    assert "is mistyped" in nobody.get(f"/verify?q={number}", 400), "numbers of ours look otherwise"
    admitted(site.town, near)
    made = recognise(site.town, near.bundle)
    digest = made.digest.removeprefix("sha256:")
    for asked in (number, number.lower(), f"SZ1:{number}:{digest}"):
        page = nobody.get(f"/verify?q={asked}", follow_redirects=True)
        assert "It is not a voucher of this registry." in page, asked
        assert "Get the trust file from 川渝登记机构 itself" in page
    wrong = nobody.get(f"/verify?q=SZ1:{number}:{'0' * 64}", 400, follow_redirects=True)
    assert "is mistyped" in wrong, "another digest is not what was recognised"


def test_ours_and_theirs_of_the_same_number_are_told_apart(site: Site) -> None:
    ours = site.town.voucher()
    near, nobody = Neighbour(site.town), english(site)
    admitted(site.town, near)
    made = recognise(site.town, near.bundle)
    with site.town.deed() as session:
        session.get_one(Recognition, made.id).number = ours.number
    page = nobody.get(f"/verify?q={ours.number}", follow_redirects=True)
    assert "川渝登记机构 has given the same number to another voucher" in page
    theirs = made.digest.removeprefix("sha256:")
    page = nobody.get(f"/verify?q=SZ1:{ours.number}:{theirs}", follow_redirects=True)
    assert "It is not a voucher of this registry." in page
    page = nobody.get(f"/verify?q=SZ1:{ours.number}:{'0' * 64}", follow_redirects=True)
    assert "Forged" in page


def test_an_uploaded_file_of_another_registry_is_checked_under_its_admitted_trust(
    site: Site,
) -> None:
    near, nobody = Neighbour(site.town), english(site)
    peer = admitted(site.town, near)
    page = nobody.post("/verify", handed(near.bundle), 200).text
    assert "genuine and unchanged" in page
    assert "川渝登记机构" in page
    assert peer.digest in page.replace("\u200b", "")
    assert "It has not been recognised here" in page
    assert "Trust file of this site" not in page
    made = recognise(site.town, near.bundle)
    page = nobody.post("/verify", handed(near.bundle), 200).text
    assert f"/recognitions/{made.id}" in page
    bad = near.voucher.replace("泊位".encode(), "车位".encode())
    page = nobody.post("/verify", handed(bad), 200).text
    assert "At least one step failed" in page
    assert "Issued by 川渝登记机构; it is not a voucher of this registry." in page
    follow(site.town, near, near.listed(3, hours=1))
    site.town.later(hours=2)
    page = nobody.post("/verify", handed(near.bundle), 200).text
    assert "revoked" in page
    assert "At least one step failed" in page


OTHERS = [
    name for name, deed in DEEDS.items() if deed.noun not in ("recognition", "peer") and deed.keys
]


@pytest.mark.parametrize("name", OTHERS)
def test_no_deed_on_anything_else_takes_a_recognised_voucher(name: str, common_site: Site) -> None:
    """Nor does any deed know the key of one, so that none can make a voucher or a registration of it."""
    deed, town = DEEDS[name], common_site.town
    assert not {"recognition_id", "peer_id"} & set(deed.keys)
    if not rows(town, Recognition):
        near = Neighbour(town)
        admitted(town, near)
        recognise(town, near.bundle)
    with town.reading() as session:
        row = session.query(Recognition).first()
        assert row is not None
        named = (row.id, row.number, row.digest, row.origin)
        for key in deed.keys:
            for text in named if key in SUBJECTS else ():
                with pytest.raises(LedgerError):
                    SUBJECTS[key].find(session, text)
    assert rows(town, Voucher) == rows(town, Registration) == 0


def test_every_deed_that_makes_a_voucher_or_a_registration_begins_with_one_of_ours() -> None:
    made = [deed for deed in DEEDS.values() if deed.name in ("voucher.issue", "application.code")]
    keys = {key for deed in made for key in re.findall(r"<(\w+)>", deed.path)}
    assert keys == {"registration_code", "application_number"}
