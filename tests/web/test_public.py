"""What everybody sees: verification by number, file and QR, the state of a voucher, log, catalogue."""

import io
import json
import re
import sqlite3
import time
from dataclasses import dataclass
from threading import Thread
from typing import Any

import psycopg
import pytest
import segno
import typst
from PIL import Image
from sqlalchemy import select

from ledger import handoff, log, papers, vouchers
from ledger.catalogue import add_resource
from ledger.errors import Conflict, Invalid
from ledger.proof.encoding import canonical
from ledger.qr import qr_svg, qr_text
from ledger.rights import MAY, ROLES
from ledger.vouchers import Voucher
from tests.conftest import CREDENTIAL_KEY, HOLDER, LOG_KEY, PARTIES, Town
from tests.ledger.test_handoff import anchor, bundle, pack, ready
from tests.web.conftest import Site, Visit
from webapp.deeds.answers import history_of
from webapp.home import Home
from webapp.intake import IMAGE_BYTES_MAX, PIXELS_MAX, read_qr
from webapp.pages.public import titles_of
from webapp.pages.resource import said

pytestmark = pytest.mark.pages

FORGED = "SZ1:{number}:" + "ab" * 32
STRANGERS_ADDRESS = "https://shuzheng.example.evil/verify/{number}"


@dataclass
class Stage:
    """A site with one voucher that is effective and anchored, its files, and one that is just recorded."""

    site: Site
    voucher: Voucher
    files: dict[str, bytes]
    fresh: Voucher

    def visit(self, login: str | None = None) -> Visit:
        visit = self.site.visit(login)
        visit.client.set_cookie("lang", "en")
        return visit


def keep_public_keys(town: Town) -> None:
    """The public halves of the service keys, where a home keeps them."""
    folder = town.home.path / "keys"
    folder.mkdir(exist_ok=True, parents=True)
    for role, key in (("log", LOG_KEY), ("credential", CREDENTIAL_KEY)):
        public = key.public_key().public_bytes_raw().hex()
        (folder / f"{role}.json").write_text(json.dumps({"public": public}))


@pytest.fixture(scope="module")
def stage(common_site: Site) -> Stage:
    town = common_site.town
    registered = town.registration()
    voucher = ready(town)
    package, packed = pack(town, voucher)
    anchor(town)
    with town.reading() as session:
        content = handoff.finish(session, package, packed, town.home.config.deployment)
    document = bundle(town, voucher)
    keep_public_keys(town)
    receipt = common_site.visit("rita").api(
        "/resources",
        {
            "code": "307/1", "title": "气象", "provider": "市气象局",
            "elements": {"opening": "unconditional"},  # what is not open exists for the authority only
        },
    )  # fmt: skip
    files = {
        "bundle.json": canonical(document),
        "package.zip": content,
        "receipt.json": canonical(receipt.get_json()["receipt"]),
        "voucher.json": canonical(document["voucher"]),
        "voucher.pdf": papers.voucher_pdf(document),
    }
    return Stage(common_site, voucher, files, town.voucher(registered))


def english(site: Site, login: str | None = None) -> Visit:
    visit = site.visit(login)
    visit.client.set_cookie("lang", "en")
    return visit


def upload(visit: Visit, name: str, data: bytes, status: int = 200, field: str = "file") -> Any:
    return visit.post("/verify", {field: (io.BytesIO(data), name)}, status)


def picture(text: str, form: str = "PNG", **options: Any) -> bytes:
    """A picture of a QR code."""
    out = io.BytesIO()
    segno.make(text, error="m", micro=False).save(out, kind="png", scale=6, **options)
    if form != "PNG":
        page = Image.new("RGB", (1200, 1600), "ivory")
        page.paste(
            Image.open(out).convert("RGB").rotate(9, expand=True, fillcolor="ivory"), (500, 700)
        )
        out = io.BytesIO()
        page.save(out, form, quality=60)
    return out.getvalue()


def text_of(voucher: Voucher) -> str:
    return qr_text(voucher.number, bytes.fromhex(voucher.digest.removeprefix("sha256:")))


def verdict(page: str) -> str:
    """The big word of a page."""
    found = re.search(r'class="sz-word">([^<]+)<', page)
    assert found is not None, page
    return found[1].replace("&#39;", "'")


# ---------------------------------------------------------------- by number


def test_a_visitor_finds_the_box_the_ways_on_and_no_need_of_an_account(stage: Stage) -> None:
    page = stage.visit().get("/")
    assert 'name="q"' in page
    assert 'accept="image/*" capture="environment"' in page
    for place in ("/resources", "/notices", "/log", "/sign-in", "/verify"):
        assert f'"{place}"' in page


@pytest.mark.parametrize("spell", [
    str, str.lower, lambda n: n.replace("-", ""), lambda n: f"  {n[:8]} {n[9:15]} {n[-1]} ",
    lambda n: n.translate({ord(c): ord(c) + 0xFEE0 for c in n}), lambda n: n.replace("-", "–"),
])  # fmt: skip
def test_a_number_in_any_spelling_leads_to_the_voucher(stage: Stage, spell: Any) -> None:
    number = stage.voucher.number
    answer = stage.visit().client.get("/verify", query_string={"q": spell(number)})
    assert (answer.status_code, answer.location) == (303, f"/verify/{number}")


def test_the_page_of_a_valid_voucher_says_what_the_api_says(stage: Stage) -> None:
    visit = stage.visit()
    page = visit.get(f"/verify/{stage.voucher.number}")
    state = visit.read(f"/vouchers/{stage.voucher.number}/state")
    assert verdict(page) == state["word"] == "valid"
    assert state["rung"] == "confirmed"
    assert state["on_chain"] == "effective"
    for fact in ("number", "title", "summary", "registration_code", "digest"):
        assert state[fact] in page
    assert state["checkpoint"]["anchor_transaction"] in page
    for record in state["history"]:
        assert f'href="/log?start={record["leaf_index"]}#entries"' in page
    assert "shuzheng verify" in page
    assert "out of band" in page


@pytest.mark.parametrize(("asked", "status", "said"), [
    ("PZ202603-000001-A", 400, "check character"), ("hello", 400, "check character"),
    ("PZ202603-000099-{}", 404, "There is no voucher"), ("SZ1:PZ", 400, "not the QR text"),
    (STRANGERS_ADDRESS, 400, "not the QR text"), ("\x00", 400, "mistyped"),
])  # fmt: skip
def test_a_wrong_number_is_told_beside_the_box(
    stage: Stage, asked: str, status: int, said: str
) -> None:
    asked = asked.replace("{}", _check("PZ202603000099")).replace("{number}", stage.voucher.number)
    page = stage.visit().get("/verify", status, query_string={"q": asked})
    assert said in page
    assert 'aria-invalid="true"' in page
    if not re.search(r"[:/\x00]", asked):
        assert said in stage.visit().get(f"/verify/{asked}", status)


def _check(plain: str) -> str:
    from stdnum.iso7064 import mod_37_36  # noqa: PLC0415

    return str(mod_37_36.calc_check_digit(plain))


def test_a_registration_code_leads_to_its_page(stage: Stage) -> None:
    code = stage.voucher.credential["credentialSubject"]["registration_code"]
    answer = stage.visit().client.get("/verify", query_string={"q": code.lower()})
    assert answer.location == f"/registrations/{code}"


def test_what_a_hand_scanner_types_is_compared_with_the_record(stage: Stage) -> None:
    visit = stage.visit()
    answer = visit.client.get("/verify", query_string={"q": text_of(stage.voucher)})
    page = visit.get(answer.location)
    assert "The digest in the QR code is the one recorded." in page


@pytest.mark.parametrize(("verbs", "word"), [
    (["suspend"], "suspended"), (["suspend", "resume"], "valid"), (["revoke"], "revoked"),
    (["cancel"], "cancelled"), (["freeze"], "frozen"), (["suspend", "freeze"], "suspended"),
    (["freeze", "unfreeze"], "valid"), ([], "lapsed"),
])  # fmt: skip
def test_every_state_stands_big_on_the_page(site: Site, verbs: list[str], word: str) -> None:
    voucher = site.town.voucher()
    visit = english(site)
    address = f"/verify/{voucher.number}"
    assert verdict(visit.get(address)) == "valid"
    for verb in verbs:
        site.town.change(verb, voucher)
    if word == "lapsed":
        site.town.later(days=365 * 3 + 2)
    page = visit.get(address)
    assert verdict(page) == word
    assert ("also frozen" in page) == (verbs == ["suspend", "freeze"])
    state = visit.read(f"/vouchers/{voucher.number}/state")
    assert state["word"] == ("valid" if word == "frozen" else word)
    assert [one["kind"] for one in state["history"]][1:] == [f"voucher.{verb}" for verb in verbs]


def test_a_voucher_just_recorded_says_what_is_still_to_come(stage: Stage) -> None:
    page = stage.visit().get(f"/verify/{stage.fresh.number}")
    assert "not yet effective on the chain" in page
    assert "None yet: the last record is recorded." in page


def test_no_page_for_everybody_names_a_holder_or_a_person(stage: Stage) -> None:
    visit, number = stage.visit(), stage.voucher.number
    operator = [PARTIES["operator"][1], PARTIES["operator"][2], HOLDER[2:]]
    people = [member.member_id for member in stage.site.town.actors.values()]
    places = [
        "/", "/verify", "/log", "/permissions", "/resources", "/resources/307/1",
        f"/verify/{number}", f"/verify/{number}/qr.svg", f"/api/v1/vouchers/{number}/state",
        "/api/v1/log", "/api/v1/log/entries",
    ]  # fmt: skip
    for place in places:
        page = visit.get(place)
        assert not [one for one in (*operator, *people, "Olga", "Rita") if one in page], place


# ---------------------------------------------------------------- by QR code


def test_the_qr_code_of_a_really_printed_page_is_read(stage: Stage) -> None:
    face = papers._face(json.loads(stage.files["bundle.json"]))
    printed = typst.compile(
        papers.TEMPLATE.read_bytes(), format="png", ppi=150, font_paths=papers._fonts(),
        sys_inputs={"bundle": "{}", "face": json.dumps(face), "qr": qr_svg(face["qr_text"])},
    )  # fmt: skip
    visit = stage.visit()
    answer = upload(visit, "page.png", printed, 303, "picture")
    assert answer.location.startswith(f"/verify/{stage.voucher.number}?digest=")
    page = visit.get(answer.location)
    assert verdict(page) == "valid"
    assert "The digest in the QR code is the one recorded." in page


@pytest.mark.parametrize(("form", "field"), [("PNG", "picture"), ("JPEG", "picture"),
                                             ("JPEG", "file")])  # fmt: skip
def test_a_photograph_of_the_qr_code_is_read_in_either_field(
    stage: Stage, form: str, field: str
) -> None:
    data = picture(text_of(stage.voucher), form)
    answer = upload(stage.visit(), "photo", data, 303, field)
    assert answer.location.startswith(f"/verify/{stage.voucher.number}?digest=")


def test_our_number_with_another_digest_is_called_a_forgery(stage: Stage) -> None:
    visit = stage.visit()
    data = picture(FORGED.format(number=stage.voucher.number))
    page = visit.get(upload(visit, "a.png", data, 303, "picture").location)
    assert verdict(page) == "Forged: this QR code is not the registry's"
    assert "ab" * 32 in page
    assert stage.voucher.digest in page
    path = f"/vouchers/{stage.voucher.number}/state?digest={'ab' * 32}"
    assert visit.read(path)["digest_fits"] is False


def test_a_digest_that_is_none_is_refused(stage: Stage) -> None:
    stage.visit().get(f"/verify/{stage.voucher.number}?digest=zz", 400)


@pytest.mark.parametrize(("texts", "said"), [
    ([STRANGERS_ADDRESS], "not the QR text of a voucher"), (["你好"], "not the QR text of a voucher"),
    ([], "No QR code was found"), (["ours", "fresh"], "shows 2 vouchers"),
])  # fmt: skip
def test_any_other_picture_is_refused_with_its_reason(
    stage: Stage, texts: list[str], said: str
) -> None:
    known = {"ours": text_of(stage.voucher), "fresh": text_of(stage.fresh)}
    page = Image.new("RGB", (900, 450), "white")
    for place, text in enumerate(texts):
        filled = known.get(text) or text.format(number=stage.voucher.number)
        page.paste(Image.open(io.BytesIO(picture(filled))), (450 * place, 0))
    out = io.BytesIO()
    page.save(out, "PNG")
    answer = upload(stage.visit(), "a.png", out.getvalue(), 400, "picture")
    assert said in answer.text
    assert 'href="https://shuzheng.example.evil' not in answer.text


def test_a_qr_code_beside_another_one_is_found(stage: Stage) -> None:
    page = Image.new("RGB", (900, 450), "white")
    for place, text in enumerate(("https://example.com", text_of(stage.voucher))):
        page.paste(Image.open(io.BytesIO(picture(text))), (450 * place, 0))
    out = io.BytesIO()
    page.save(out, "PNG")
    upload(stage.visit(), "a.png", out.getvalue(), 303, "picture")


def test_a_picture_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(stage: Stage) -> None:
    out = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(out, "PNG")
    assert len(out.getvalue()) < 200_000
    start = time.perf_counter()
    answer = upload(stage.visit(), "bomb.png", out.getvalue(), 400, "picture")
    assert "more than 40 million" in answer.text
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(("data", "said"), [
    (picture("x")[:120], "cannot be read"), (b"\xff\xd8\xff" + bytes(900), "cannot be read"),
    (b"\x89PNG\r\n\x1a\n" + b"junk" * 40, "cannot be read"), (b"GIF89a" + bytes(90), "no PNG or JPEG"),
    (b"\x89PNG\r\n\x1a\n" + bytes(IMAGE_BYTES_MAX), "no PNG or JPEG"),
])  # fmt: skip
def test_what_is_no_picture_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_qr("a", data)


def test_a_picture_at_the_limit_and_one_on_transparent_ground_are_read() -> None:
    page = Image.new("L", (8_000, PIXELS_MAX // 8_000), 255)
    page.paste(Image.open(io.BytesIO(picture("here"))).resize((900, 900)), (2_000, 3_000))
    out = io.BytesIO()
    page.save(out, "PNG")
    assert read_qr("a", out.getvalue()) == ["here"]
    assert read_qr("a", picture("clear", light=None)) == ["clear"]


def test_the_qr_code_on_the_page_is_that_of_the_printed_voucher(stage: Stage) -> None:
    answer = stage.visit().client.get(f"/verify/{stage.voucher.number}/qr.svg")
    assert answer.content_type == "image/svg+xml"
    assert answer.text == qr_svg(text_of(stage.voucher))
    assert "style" not in answer.text


# ---------------------------------------------------------------- by file


@pytest.mark.parametrize("name", [
    "bundle.json", "package.zip", "receipt.json", "voucher.json", "voucher.pdf"
])  # fmt: skip
def test_a_genuine_file_is_valid_and_the_report_says_whose_word_that_is(
    stage: Stage, name: str
) -> None:
    page = upload(stage.visit(), name, stage.files[name]).text
    assert verdict(page) == "valid"
    assert "the registry&#39;s own word" in page
    assert f"shuzheng verify {name} --trust trust.json" in page
    assert "downloading it here alone is not enough" in page
    assert (f'href="/verify/{stage.voucher.number}"' in page) == (name != "receipt.json")


@pytest.mark.parametrize("name", ["bundle.json", "receipt.json", "voucher.json", "voucher.pdf"])
def test_a_changed_file_is_not_valid(stage: Stage, name: str) -> None:
    data = bytearray(stage.files[name])
    place = data.rindex(b"2026") + 3 if name != "voucher.pdf" else len(data) // 2
    data[place] ^= 1
    page = upload(stage.visit(), name, bytes(data)).text
    assert verdict(page) == "not valid"
    assert "do not rely on this document" in page


def test_the_page_and_the_api_report_the_same(stage: Stage) -> None:
    visit = stage.visit()
    answer = visit.client.post(
        "/api/v1/verify", headers={"Accept-Language": "en"},
        data={"file": (io.BytesIO(stage.files["voucher.pdf"]), "v.pdf")},
    )  # fmt: skip
    page = upload(visit, "v.pdf", stage.files["voucher.pdf"]).text
    report = answer.get_json()
    assert verdict(page) == report["verdict"]
    shown = re.findall(r'<p class="mb-0 sz-break">(.*?)</p>', page)
    assert len(shown) == len(report["steps"])


def test_a_genuine_file_of_a_voucher_suspended_since_is_not_shown_as_valid(site: Site) -> None:
    town = site.town
    voucher = ready(town)
    keep_public_keys(town)
    data = canonical(bundle(town, voucher))
    visit = english(site)
    assert verdict(upload(visit, "b.json", data).text) == "valid"
    town.change("suspend", voucher)
    page = upload(visit, "b.json", data).text
    assert verdict(page) == "Genuine, but the voucher is suspended now"
    town.later(days=30)
    assert verdict(upload(visit, "b.json", data).text) == "cannot tell"


@pytest.mark.parametrize(("name", "data", "said"), [
    ("a.exe", b"MZ" + bytes(500), "not a file of the kinds"),
    ("a.sh", b"#!/bin/sh\n", "not a file of the kinds"), ("a.json", b"", "is empty"),
    ("../../../etc/passwd", b"\x00\x01\x02", "passwd is not a file"),
])  # fmt: skip
def test_what_cannot_be_verified_is_refused_by_its_content(
    stage: Stage, name: str, data: bytes, said: str
) -> None:
    page = upload(stage.visit(), name, data, 400).text
    assert said in page
    assert "etc/passwd" not in page


@pytest.mark.parametrize("data", [b"{}", b"[]", b"null", b"a,b\n1,2\n", b"PK\x03\x04junk", b"%PDF-1.7 x",
                                  b'{"type":"shuzheng/receipt"}', b"[" * 5000])  # fmt: skip
def test_what_is_no_document_of_ours_is_not_valid(stage: Stage, data: bytes) -> None:
    assert verdict(upload(stage.visit(), "a", data).text) == "not valid"


def test_a_file_beyond_the_limit_is_refused(stage: Stage) -> None:
    visit = stage.visit()
    token = re.search(r'name="csrf_token" value="([^"]+)"', visit.get("/verify"))
    assert token is not None
    part = '--b\r\nContent-Disposition: form-data; name="{}"{}\r\n\r\n'
    body = b"".join((
        part.format("csrf_token", "").encode(), token[1].encode(), b"\r\n",
        part.format("file", '; filename="a.txt"').encode(), b"a" * (64 * 1024**2 + 1), b"\r\n--b--\r\n",
    ))  # fmt: skip
    answer = visit.client.post("/verify", data=body, content_type="multipart/form-data; boundary=b")
    assert answer.status_code == 400
    assert "larger than 64 MiB" in answer.text


def test_no_file_and_a_form_without_its_token_are_refused(stage: Stage) -> None:
    visit = stage.visit()
    assert "No file was chosen." in visit.post("/verify", {}, 400).text
    given = {"file": (io.BytesIO(b"{}"), "a.json")}
    assert visit.client.post("/verify", data=given).status_code == 400


def test_nobody_uploads_more_than_sixty_times_a_minute(site: Site) -> None:
    visit = english(site)
    page = visit.get("/verify")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert token is not None
    statuses = [
        visit.client.post("/verify", data={"csrf_token": token[1]}).status_code for _ in range(62)
    ]
    assert statuses == [400] * 60 + [429] * 2
    visit.get("/verify")


# ---------------------------------------------------------------- the short way to the state


def state_path(voucher: Voucher) -> str:
    return f"/api/v1/vouchers/{voucher.number}/state"


def test_the_short_way_gives_what_the_site_gives_in_every_byte(stage: Stage) -> None:
    client = stage.site.app.test_client()
    for query in ("", f"?digest={'ab' * 32}", f"?digest={stage.voucher.digest[7:]}"):
        path = state_path(stage.voucher) + query
        client.get(path)
        short = client.get(path)
        long = client.get(path, headers={"Cookie": "lang=zh"})
        assert (short.status, short.data) == (long.status, long.data)
        assert sorted(short.headers) == sorted(long.headers)
    assert client.get(state_path(stage.voucher) + "?digest=zz").status_code == 400
    assert client.get(state_path(stage.voucher) + "?other=1").status_code == 400
    assert client.head(state_path(stage.voucher)).data == b""
    assert client.post(state_path(stage.voucher)).status_code == 405
    unknown = client.get(f"/api/v1/vouchers/PZ202603-000099-{_check('PZ202603000099')}/state")
    assert unknown.status_code == 404
    assert unknown.content_type.startswith("application/problem+json")


def test_whoever_says_who_he_is_is_asked_for_it_there_too(stage: Stage) -> None:
    client = stage.site.app.test_client()
    client.get(state_path(stage.voucher))
    answer = client.get(state_path(stage.voucher), headers={"Authorization": "Bearer wrong"})
    assert answer.status_code == 401


def test_both_ways_count_in_one_window(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUZHENG_RATE", "7 per minute")
    voucher = town.voucher()
    client = Site(town).app.test_client()
    cookies = [{}, {}, {"Cookie": "lang=en"}] * 3
    statuses = [client.get(state_path(voucher), headers=one).status_code for one in cookies]
    assert statuses == [200] * 7 + [429] * 2


def test_behind_a_proxy_each_client_is_counted_for_himself(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHUZHENG_RATE", "3 per minute")
    monkeypatch.setenv("SHUZHENG_PROXIES", "1")
    voucher = town.voucher()
    client = Site(town).app.test_client()
    for address in ("203.0.113.1", "203.0.113.2"):
        headers = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
        statuses = [client.get(state_path(voucher), headers=headers).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]


def test_a_change_is_told_by_the_very_next_answer(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    client = site.app.test_client()

    def known() -> dict[str, Any]:
        return dict(client.get(state_path(voucher)).get_json())

    for _ in range(3):
        assert known()["word"] == "valid"
    for verb, word in (("suspend", "suspended"), ("resume", "valid")) * 3:
        town.change(verb, voucher)
        assert known()["word"] == word
    assert (known()["on_chain"], known()["rung"]) == ("waiting", "recorded")
    town.settle(voucher)
    assert known()["on_chain"] == "effective"
    town.seal()
    assert known()["rung"] == "sealed"
    anchor(town)
    assert known()["rung"] == "confirmed"
    town.later(days=365 * 3 + 2)
    assert known()["word"] == "lapsed"
    assert known()["as_of"] == town.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_another_process_s_commit_is_told_too(site: Site, database_url: str) -> None:
    voucher = site.town.voucher()
    client = site.app.test_client()
    for _ in range(3):
        assert client.get(state_path(voucher)).get_json()["frozen"] is False
    change = f"UPDATE vouchers SET frozen = TRUE WHERE number = '{voucher.number}'"
    if database_url.startswith("sqlite"):
        with sqlite3.connect(database_url.removeprefix("sqlite:///")) as other:
            other.execute(change)
            other.commit()
        other.close()
    else:
        with psycopg.connect(database_url) as connection:
            connection.execute(change)
            assert client.get(state_path(voucher)).get_json()["frozen"] is False, "not committed"
            connection.commit()
    assert client.get(state_path(voucher)).get_json()["frozen"] is True


def test_what_is_committed_while_somebody_reads_is_not_hidden_by_what_he_keeps(site: Site) -> None:
    town, home = site.town, site.town.home
    voucher = town.voucher()

    def frozen(session: Any) -> bool:
        return bool(session.scalar(select(Voucher.frozen).where(Voucher.id == voucher.id)))

    def slow(session: Any) -> bool:
        found = frozen(session)
        town.change("freeze", voucher)  # committed after it was read, before it is kept
        return found

    assert home.as_committed("frozen", slow) is False
    assert home.as_committed("frozen", frozen) is True


def test_what_is_kept_is_read_once_until_a_commit(site: Site) -> None:
    home, reads = site.town.home, []

    def read(session: Any) -> int:
        reads.append(1)
        return len(reads)

    assert [home.as_committed("a", read) for _ in range(4)] == [1] * 4
    threads = [Thread(target=home.as_committed, args=("a", read)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert home.as_committed("a", read) == 1
    with pytest.raises(Conflict), home.reading():
        raise Conflict("read and given up")
    assert home.as_committed("a", read) == 1
    site.town.deposit()
    assert home.as_committed("a", read) == 2


def test_a_database_that_went_away_is_read_anew(site: Site) -> None:
    home = site.town.home
    assert home.as_committed("a", lambda _: 1) == 1
    home._committed._link.dbapi_connection.close()
    assert home.as_committed("a", lambda _: 2) == 2, "it cannot know, so it reads"
    assert home.as_committed("a", lambda _: 3) == 3, "asked over a fresh connection"
    assert home.as_committed("a", lambda _: 4) == 3


def test_a_reader_is_told_when_the_database_is_another_installation_s(town: Town) -> None:
    stranger = Home(town.home.path)
    stranger.__dict__ |= {"engine": town.home.engine, "config": town.home.config}
    with stranger.reading():
        pass
    other = Home(town.home.path)
    other.__dict__ |= {
        "engine": town.home.engine,
        "config": type(town.home.config)(**{**vars(town.home.config), "origin": "another.example"}),
    }
    with pytest.raises(Conflict, match="belongs to the log"), other.reading():
        pass
    with pytest.raises(Conflict, match="belongs to the log"), other.deed(town.now):
        pass


def test_two_sizes_tell_how_far_each_record_has_climbed(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    anchor(town)
    town.change("suspend", voucher)
    town.seal()
    town.change("resume", voucher)
    state = site.visit().read(f"/vouchers/{voucher.number}/state")
    with town.reading() as session:
        assert state["history"] == history_of(session, voucher.id)
        last = log.record_of(session, voucher.id, 3)
        assert state["rung"] == log.rung(session, last) == "recorded"
    assert [one["rung"] for one in state["history"]] == ["confirmed", "sealed", "recorded"]
    assert state["checkpoint"] is None, "no anchored checkpoint holds its last record"


# ---------------------------------------------------------------- the log, permissions, catalogue


def test_the_log_page_shows_what_the_api_does_page_by_page(stage: Stage) -> None:
    visit = stage.visit()
    state = visit.read("/log")
    page = visit.get("/log")
    for fact in (state["origin"], state["genesis"], *state["contracts"].values()):
        assert fact in page
    assert state["checkpoints"][0]["note"].split("\n")[2] in page
    assert state["tree_size"] > 25
    first = visit.get("/log?start=0")
    leaves = re.findall(
        r'pe-4 sz-number">(\d+)</th><td class="text-nowrap" data-name="[^"]+">\d', first
    )
    assert leaves[-25:] == [str(n) for n in range(25)]
    assert 'rel="next" href="/log?start=25#entries"' in first
    assert 'rel="prev"' not in first
    assert 'rel="prev" href="/log?start=0#entries"' in visit.get("/log?start=10")
    for strange in ("-1", "x", "9" * 30, "²"):
        assert 'id="start" name="start" type="number" min="0" value="{}"'.format(
            state["tree_size"] - 25
        ) in visit.get(f"/log?start={strange}")
    assert "no entry from there on" in visit.get(f"/log?start={state['tree_size']}")


def test_the_log_before_anything_is_sealed(site: Site) -> None:
    page = english(site).get("/log")
    assert "Nothing is sealed yet." in page


def test_the_table_of_permissions_is_the_one_in_force(stage: Stage) -> None:
    page = stage.visit().get("/permissions")
    rows = re.findall(
        r'<tr><th scope="row">.*?<code class="small">(.*?)</code></th>(.*?)</tr>', page, re.S
    )
    assert [verb for verb, _ in rows] == list(MAY)
    roles = ("public", "member", *ROLES)
    for verb, cells in rows:
        shown = [re.sub(r"<.*?>", "", cell).strip() for cell in cells.split("</td>")[: len(roles)]]
        assert shown == [MAY[verb].get(role, "") for role in roles], verb
    assert all(titles_of(verb) for verb in MAY)


def test_the_catalogue_is_searched_and_read_by_everybody(stage: Stage) -> None:
    town = stage.site.town
    with town.deed() as session:
        add_resource(
            session, town.actors["rita"], town.now, code="307/9", title="道路养护", provider="市交通局",
            elements={
                "update_cycle": "quarterly", "sharing": "conditional", "opening": "无条件开放",
                "format": ["CSV", "JSON"], "items": ["路段", "日期"], "keywords": [],
                "source_url": "javascript:alert(1)", "documentation_url": "https://docs.example/road",
                "summary": "按路段统计",
            },
        )  # fmt: skip
    visit = stage.visit()
    page = visit.get("/resources?words=路段")
    for fact in (
        "道路养护",
        "市交通局",
        "quarterly",
        "Shared under conditions",
        "Open without conditions",
    ):
        assert fact in page
    assert "气象" not in page
    assert "resources/new" not in page
    page = visit.get("/resources?words=无此资源")
    assert "Nothing fits." in page
    assert "every word must be found" in page
    page = visit.get("/resources/307/9")
    for fact in ("Update cycle", ">路段</li>", ">日期</li>", "CSV, JSON", "307/9"):
        assert fact in page
    assert 'href="javascript' not in page
    assert 'href="https://docs.example/road" rel="noopener' in page
    visit.client.set_cookie("lang", "zh")
    page = visit.get("/resources/307/9")
    for fact in (
        "更新周期",
        "每季度",
        "信息项",
        ">路段</li>",
        ">日期</li>",
        "资源格式",
        "CSV、JSON",
    ):
        assert fact in page
    assert "List a resource" in stage.visit("rita").get("/resources")


def test_the_catalogue_goes_on_page_by_page(stage: Stage) -> None:
    visit = stage.visit()
    page = visit.get("/resources?limit=1")
    after = re.search(r"limit=1&amp;after=(\d+)", page)  # the rank of what was found, no row's id
    assert after is not None
    following = visit.get(f"/resources?limit=1&after={after[1]}")
    codes = [
        re.findall(r'<span class="sz-number">(307/\d+)</span>', one) for one in (page, following)
    ]
    assert all(len(one) == 1 for one in codes)
    assert codes[0] != codes[1]
    visit.get("/resources?after=x", 400)


@pytest.mark.parametrize(("known", "shown"), [
    ({"sharing": "有条件"}, "Shared under conditions"), ({"sharing": "看情况"}, "看情况"),
    ({"sharing": None, "sharing_text": "待定"}, "待定"), ({"sharing": None}, ""),
])  # fmt: skip
def test_an_element_says_our_word_or_what_was_written(
    known: dict[str, Any], shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHUZHENG_LANG", "en")
    assert said("sharing", known) == shown


def test_a_voucher_s_holder_stays_out_of_what_is_kept_for_everybody(stage: Stage) -> None:
    kept = json.dumps(stage.site.town.home._committed._kept.get(("voucher", stage.voucher.number)))
    assert stage.site.visit().read(f"/vouchers/{stage.voucher.number}/state")
    assert PARTIES["operator"][1] not in kept
    assert vouchers.VERBS
