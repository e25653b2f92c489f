"""Long work as people follow it: begun by a form, looked at, done or refused, its receipt and its file."""

import io
import json
import re
from functools import partial
from typing import Any

import pytest

from ledger.proof.encoding import canonical
from ledger.registration import MATERIALS
from tests.conftest import Town
from tests.web.conftest import Site, Visit
from webapp import jobs
from webapp.deeds.background import work

HEAD = "资源代码,资源名称,提供单位,更新周期\n"
GOOD = HEAD + "307/1,一,市数据局,每日\n307/2,二,市数据局,随缘\n"
BAD = HEAD + "307/1,一,市数据局,每日\n307/1,二<b>,市数据局,每日\n,三,市数据局,每月\n"


def visit_of(site: Site, login: str, language: str = "en") -> Visit:
    visit = site.visit(login)
    visit.client.set_cookie("lang", language)
    return visit


def plain(page: str) -> str:
    """What a person reads."""
    main = page[page.index("<main") : page.index("</main>")]
    return " ".join(re.sub(r"<[^>]+>", " ", main).split())


def import_file(visit: Visit, text: str, **options: Any) -> str:
    """Hand a catalogue in by its form; the address of the job's page."""
    file = (io.BytesIO(text.encode()), "目录.csv")
    answer = visit.post("/catalogue-imports/new", {"file": file, **options})
    return str(answer.headers["Location"])


def run(site: Site) -> None:
    """What the worker does with one job."""
    town = site.town
    assert jobs.Runner(town.home, partial(work, site.desk), lambda: town.now).run_one()


def outcome(
    town: Town, login: str, verb: str, answer: dict[str, Any], *, receipt: Any = None, **keys: str
) -> str:
    """A job that is done, without its work; the address of its page."""
    with town.deed() as session:
        job = jobs.enqueue(
            session, town.now, member_id=town.actors[login].member_id, verb=verb,
            request={"keys": keys, "body": {}},
        )  # fmt: skip
        jobs.finish(session, job.id, town.now, {"answer": answer, "receipt": receipt})
    return f"/jobs/{job.id}"


def test_a_job_waits_is_seen_and_is_done(site: Site) -> None:
    visit = visit_of(site, "rita")
    page = visit.get(address := import_file(visit, GOOD))
    assert "It waits for its turn." in page
    assert f'data-job="/api/v1{address}"' in page, "the script asks there"
    assert '<noscript><meta http-equiv="refresh"' in page, "without script the page asks itself"
    assert "<progress" in page
    assert "目录.csv · asked for at 2026-03-02 10:00" in plain(page)
    assert visit.read(address)["state"] == "queued"
    run(site)
    page = visit.get(address)
    assert "2 rows read: 2 new" in page
    assert "refresh" not in page
    assert 'href="/resources"' in page
    assert "3 notices" in page
    assert "随缘" in page, "what is worth a look is told with its row"


def test_how_far_it_is_stands_on_the_page(site: Site) -> None:
    visit = visit_of(site, "rita")
    address = import_file(visit, GOOD)
    with site.town.deed() as session:
        job = jobs.claim(session, site.town.now)
        assert job is not None
        jobs.progress(session, job.id, site.town.now, "store", 412, 1300)
    page = visit.get(address)
    assert "Now: storing the rows." in page
    assert 'max="1300" value="412"' in page
    assert "412 / 1300" in page
    with site.town.deed() as session:
        jobs.progress(session, job.id, site.town.now, "企业<b>.csv", 0, 0)
    page = visit.get(address)
    assert "measuring 企业&lt;b&gt;.csv" in page
    assert "max=" not in page, "it is not known how much there is"


@pytest.mark.parametrize(
    ("language", "reason", "heading"),
    [
        ("en", "The code already stands in row 2.", "Rows that cannot be used"),
        ("zh", "资源代码与第 2 行重复。", None),
    ],
)
def test_rows_that_cannot_be_used_are_told_in_the_readers_language(
    site: Site, language: str, reason: str, heading: str | None
) -> None:
    visit = visit_of(site, "rita", language)
    address = import_file(visit, BAD)
    run(site)
    page = visit.get(address)
    assert reason in page
    assert "<td>资源代码</td>" in page
    assert '<td class="sz-number">3</td>' in page
    assert heading is None or heading in page
    assert "二<b>" not in page
    again = re.search(r'class="btn btn-primary" href="([^"]+)"', page)
    assert again
    assert again[1] == "/catalogue-imports/new"
    assert not visit.read("/resources")["items"], "nothing was stored"
    address = import_file(visit, BAD, skip_bad_rows="on")
    run(site)
    assert len(visit.read("/resources")["items"]) == 1
    assert visit.get(address)


def test_a_refusal_is_a_sentence(site: Site) -> None:
    visit = visit_of(site, "rita")
    address = import_file(visit, GOOD, corrections="无此列=title")
    run(site)
    page = plain(visit.get(address))
    assert "failed" in page
    assert "There is no column 无此列." in page
    assert "Try again" in page


def test_our_own_fault_tells_nothing_of_its_cause(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = visit_of(site, "rita")
    address = import_file(visit, GOOD)

    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("secret path /etc")

    monkeypatch.setattr("ledger.catalogue_imports.bring", broken)
    run(site)
    page = visit.get(address)
    assert "Our fault" in page
    assert "/etc" not in page


def test_what_options_are_wrong_is_told_with_the_form(site: Site) -> None:
    visit = visit_of(site, "rita")
    page = visit.get("/catalogue-imports/new")
    assert "<details" in page
    assert "<details open" not in re.sub(r' class="[^"]*"', "", page)
    file = (io.BytesIO(GOOD.encode()), "目录.csv")
    answer = visit.post("/catalogue-imports/new", {"file": file, "encoding": "x" * 30}, status=400)
    assert "<details open" in re.sub(r' class="[^"]*"', "", answer.text)
    assert "more than 20 characters" in answer.text
    visit.post("/catalogue-imports/new", {"file": (io.BytesIO(b""), "leer.csv")}, status=400)
    visit.post("/catalogue-imports/new", {}, status=400)
    visit.post(
        "/catalogue-imports/new", {"file": (io.BytesIO(b"MZ\x90\0"), "catalogue.csv")}, status=400
    )
    site.visit("olga").get("/catalogue-imports", 403)


def test_an_application_is_measured_submitted_and_leads_to_its_page(site: Site) -> None:
    town = site.town
    visit = visit_of(site, "olga")
    agreement = town.agreement()
    visit.post("/deposits/new", {"file": (io.BytesIO(b"a,b\n1,2\n3,4\n"), "a.csv")})
    [deposit] = visit.read("/deposits")["items"]
    job = visit.api("/applications", {
        "object": "product", "title": "风险统计产品", "summary": "统计", "agreement": agreement.number,
        "resources": ["307001001/000001"], "rights": ["use"],
        "materials": dict.fromkeys(MATERIALS, "如附件"), "data": [{"digest": deposit["digest"]}],
    }, 202).get_json()  # fmt: skip
    run(site)
    page = visit.get(f"/jobs/{job['id']}")
    number = re.search(r"SQ2026-\d{6}", page)
    assert number, plain(page)
    assert f'href="/applications/{number[0]}"' in page
    assert number[0] in visit.get(f"/applications/{number[0]}")
    answer = visit.client.get(f"/jobs/{job['id']}/receipt.json")
    receipt = json.loads(answer.data)
    assert answer.data == canonical(receipt), "its bytes are canonical"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert "receipt.json" in answer.headers["Content-Disposition"]
    assert receipt == visit.read(f"/jobs/{job['id']}")["receipt"]


def test_a_package_is_downloaded_from_its_page(site: Site) -> None:
    town = site.town
    voucher = town.voucher()
    digest = town.home.store_material(b"PK\x03\x04 a package")
    address = outcome(
        town, "olga", "package.pack",
        {"digest": digest, "files": 9, "name": f"{voucher.number}.zip", "number": voucher.number},
        voucher_number=voucher.number,
    )  # fmt: skip
    visit = visit_of(site, "olga")
    page = visit.get(address)
    assert "Download the package" in page
    assert f'href="/vouchers/{voucher.number}"' in page
    answer = visit.client.get(f"{address}/file")
    assert answer.data == b"PK\x03\x04 a package"
    assert f"{voucher.number}.zip" in answer.headers["Content-Disposition"]


def test_what_an_audit_found_is_a_table(site: Site) -> None:
    difference = {"derived": "b<b>", "field": "digest", "known": "a", "place": "record 7"}
    address = outcome(
        site.town, "gwen", "audit.run",
        {"count": 1, "differences": [difference], "offline": True, "records": 9},
    )  # fmt: skip
    page = visit_of(site, "gwen").get(address)
    assert "alert-warning" in page
    assert "record 7 digest a b&lt;b&gt;" in plain(page)
    assert 'href="/house"' in page


def test_what_recorded_nothing_has_no_receipt_and_no_file(site: Site) -> None:
    answer = {"count": 0, "differences": [], "offline": True, "records": 9}
    address = outcome(site.town, "gwen", "audit.run", answer)
    visit = visit_of(site, "gwen")
    page = visit.get(address)
    assert "receipt" not in page
    assert "/file" not in page
    assert "there is no receipt" in visit.get(f"{address}/receipt.json", 404)
    visit.get(f"{address}/file", 404)


def test_anothers_job_is_as_missing_as_none(site: Site) -> None:
    visit = visit_of(site, "rita")
    address = import_file(visit, GOOD)
    other = site.visit("rob")
    for path in (address, f"{address}/file", f"{address}/receipt.json", "/jobs/none"):
        other.get(path, 404)
        site.visit().get(path, 303)


def test_the_form_sent_twice_is_one_job(site: Site) -> None:
    visit = visit_of(site, "rita")
    given = {"idempotency": "one-and-the-same"}
    assert import_file(visit, GOOD, **given) == import_file(visit, GOOD, **given)
    assert len(visit.read("/jobs")["items"]) == 1
