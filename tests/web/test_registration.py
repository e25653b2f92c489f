"""Registration by page: the wizard with its draft, returned and mended, the review, the notices."""

import io
import re
from typing import Any

import pytest
from sqlalchemy import select

from ledger import agreements, registration
from ledger.calendar import working_days_after
from ledger.catalogue import add_resource
from ledger.proof.encoding import digest_text
from ledger.registration import Application
from tests.conftest import PARTIES, Town, compliance
from tests.web.conftest import Site, Visit
from webapp import drafts, jobs
from webapp.deeds.background import work
from webapp.pages import wizard

pytestmark = pytest.mark.pages

TABLE = "code,city,cases\n110101,东城,3\n110102,西城,4\n110105,朝阳,9\n".encode()
PEOPLE = "姓名,身份证号\n张三,11010519491231002X\n李四,440308199901010012\n".encode()
RULES = "version: 1\ncolumns:\n  code: {type: text, required: true, pattern: '^[0-9]{6}$'}\n"
PDF = b"%PDF-1.4\n%\xe2\xe3\n1 0 obj\n"
WHAT = {"object": "product", "title": "病例关联产品", "summary": "每日统计", "go": "next"}
MATERIALS = {f"materials.{key}": f"{zh}见附件" for key, zh in registration.MATERIALS.items()}
STATE = re.compile(r'<span class="badge text-bg-[a-z]+">([^<]*)</span>')


def english(site: Site, login: str | None = None) -> Visit:
    """A browser that speaks English."""
    visit = site.visit(login)
    visit.client.set_cookie("lang", "en")
    return visit


def go(visit: Visit, path: str, data: dict[str, Any] | None = None, status: int = 303) -> str:
    """Submit a step; where it leads, or the page shown instead."""
    answer = visit.post(path, data, status)
    return str(answer.headers["Location"] if status == 303 else answer.text)


def begin(visit: Visit) -> str:
    """Begin an application; the address of its first step."""
    return go(visit, "/applications/new")


def step(address: str, name: str) -> str:
    """The address of another step of the same draft."""
    return f"{address.rpartition('/')[0]}/{name}"


def draft_id(address: str) -> str:
    return address.split("/")[3]


def filled(
    visit: Visit, site: Site, file: bytes = TABLE, name: str = "cases.csv", **what: str
) -> str:
    """A draft in which nothing is missing; the address of its last step."""
    agreement = site.town.agreement()
    place = go(visit, begin(visit), {**WHAT, "agreement": agreement.number, **what})
    place = go(visit, place, {"resources": "307001001/000001", "rights": "use", "go": "next"})
    page = go(visit, place, {"file": (io.BytesIO(file), name), "go": "add"})
    place = go(
        visit, page, {"data.0.digest": digest_text(file), "data.0.rules": RULES, "go": "next"}
    )
    return go(visit, place, {**MATERIALS, "go": "next"})


def run_jobs(site: Site) -> None:
    """What the worker would do."""
    runner = jobs.Runner(
        site.town.home, lambda job, report: work(site.desk, job, report), lambda: site.town.now
    )
    while runner.run_one():
        pass


def submitted(visit: Visit, site: Site, **what: str) -> str:
    """An application submitted through the wizard; its number."""
    return hand_in(visit, site, filled(visit, site, **what))


def hand_in(visit: Visit, site: Site, check: str) -> str:
    job = go(visit, check, {"go": "submit"})
    run_jobs(site)
    found = re.search(r"/applications/(SQ[0-9-]+)", visit.get(job))
    assert found, visit.get(job)
    return found[1]


def applications(town: Town) -> list[Application]:
    with town.reading() as session:
        return list(session.scalars(select(Application).order_by(Application.id)))


# ---------------------------------------------------------------- from the start to an application


def test_the_wizard_leads_from_its_start_to_a_submitted_application(site: Site) -> None:
    agreement = site.town.agreement()
    visit = english(site, "olga")
    assert "Begin" in visit.get("/applications/new")
    what = begin(visit)
    assert agreement.title in visit.get(what)
    resources = go(visit, what, {**WHAT, "agreement": agreement.number})
    assert resources.endswith("/resources")
    assert "307001001/000001" in visit.get(resources)
    data = go(visit, resources, {
        "resources": ["307001001/000001", "307001001/000002"], "rights": ["use", "operating"],
        "go": "next",
    })  # fmt: skip
    assert data.endswith("/data")
    assert go(visit, data, {"file": (io.BytesIO(TABLE), "cases.csv"), "go": "add"}) == data
    assert "cases.csv" in visit.get(data)
    [deposit] = visit.read("/deposits")["items"]
    assert deposit["digest"] == digest_text(TABLE)
    given = {"data.0.digest": deposit["digest"], "data.0.rules": RULES, "go": "next"}
    materials = go(visit, data, given)
    check = go(visit, materials, {**MATERIALS, "go": "next"})
    page = visit.get(check)
    for told in (
        "病例关联产品",
        "Right to operate",
        "307001001/000002",
        "cases.csv",
        "场景信息见附件",
    ):
        assert told in page
    assert "still missing" not in page
    job = go(visit, check, {"go": "submit"})
    assert job.startswith("/jobs/")
    assert go_on(visit, draft_id(check)) == job, "while it is measured, the draft leads to its job"
    run_jobs(site)
    [made] = applications(site.town)
    assert (made.state, made.title, made.rights) == (
        "submitted",
        "病例关联产品",
        ["use", "operating"],
    )
    assert made.quality[0]["row_count"] == 3
    assert made.materials == {k.partition(".")[2]: v for k, v in MATERIALS.items()}
    assert made.number in visit.get(job)
    assert "病例关联产品" not in visit.get("/applications/new"), "the draft has served"
    assert go_on(visit, draft_id(check)).endswith(made.number)
    visit.get(f"/drafts/{draft_id(check)}", 404)


def go_on(visit: Visit, draft: str) -> str:
    """Where a draft leads."""
    answer = visit.client.get(f"/drafts/{draft}")
    assert answer.status_code == 303
    return str(answer.headers["Location"])


def test_what_one_holds_needs_no_agreement_and_is_searched_for_in_the_catalogue(
    common_site: Site,
) -> None:
    common_site.town.resources()  # which nobody may open: they exist neither for olga nor for her search
    for n in (1, 2):
        common_site.town.do(
            "rita", add_resource, code=f"307001001/00001{n}", title=f"公开资源 {n}",
            provider=PARTIES["operator"][1],
            elements={"opening": "unconditional"},
        )  # fmt: skip
    visit = english(common_site, "olga")
    place = go(visit, begin(visit), {**WHAT, "object": "resource"})
    found = go(visit, place, {"find": "资源 2", "rights": "holding", "go": "find"})
    page = visit.get(found)
    assert 'value="307001001/000012"' in page
    assert 'value="307001001/000011"' not in page
    assert 'value="307001001/000002"' not in page
    assert re.search(r'value="holding" checked', page), "what was ticked is kept while searching"
    enter = go(visit, found, {"find": "资源 1", "found": "公开资源 2", "go": "next"})
    assert "find=" in enter, "Enter in the search field searches"
    chosen = {"resources": ["307001001/000012", "307001001/000011\nnothing"], "rights": "holding"}
    page = go(visit, place, {**chosen, "go": "next"}, 400)
    assert "the catalogue has no resource nothing" in page
    chosen["resources"] = ["307001001/000012", "307001001/000011"]
    assert go(visit, place, {**chosen, "go": "next"}).endswith("/data")


# ---------------------------------------------------------------- the draft


def test_a_draft_outlives_the_browser(common_site: Site) -> None:
    visit = english(common_site, "olga")
    what = begin(visit)
    assert go(visit, what, {"title": "半途而废的产品", "go": "save"}) == what
    assert "go on later" in visit.get(what)
    later = english(common_site, "olga")
    for page in ("/applications/new", "/work"):
        assert "半途而废的产品" in later.get(page)
    assert go_on(later, draft_id(what)).endswith("/what"), "there something is still missing"
    assert 'value="半途而废的产品"' in later.get(what)
    go(later, what, {**WHAT, "object": "resource", "go": "materials"})
    assert go_on(later, draft_id(what)).endswith("/resources")


def test_next_says_by_each_field_what_is_missing_and_saves_all_the_same(common_site: Site) -> None:
    visit = english(common_site, "olga")
    what = begin(visit)
    page = go(visit, what, {"object": "product", "title": "x" * 201, "go": "next"}, 400)
    assert re.search(r'id="title-error">[^<]*more than 200', page)
    assert re.search(r'id="summary-error">This is still missing', page)
    assert "needs its operation agreement" in page
    assert "x" * 201 in visit.get(what)
    materials = step(what, "materials")
    page = go(visit, materials, {"materials.scene": "银行", "go": "next"}, 400)
    assert page.count("This is still missing.") == 6
    assert 'id="materials.scene-error"' not in page
    check = visit.get(step(what, "check"))
    assert "Submit the application" not in check
    assert f'href="{materials}?missing=1#materials.subject"' in check
    assert visit.get(f"{materials}?missing=1").count("This is still missing.") == 6
    assert "open" in go(visit, step(what, "check"), {"go": "submit"}, 400)


def test_what_another_window_saved_is_told_and_nothing_is_lost(common_site: Site) -> None:
    visit = english(common_site, "olga")
    what = begin(visit)
    seen = re.search(r'name="seen" value="([0-9]+)"', visit.get(what))
    assert seen
    go(visit, what, {"title": "甲窗", "go": "save"})
    page = go(visit, what, {"title": "乙窗", "seen": seen[1], "go": "next"}, 409)
    assert "saved in another window" in page
    assert "甲窗" in page
    assert 'value="乙窗"' in page
    assert 'value="甲窗"' in visit.get(what), "nothing was overwritten"
    still = go(visit, what, {"title": "乙窗", "seen": seen[1], "go": "save"}, 409)
    over = re.search(r'name="over" value="([0-9]+)"', still)
    assert over
    go(visit, what, {"title": "乙窗", "seen": seen[1], "over": over[1], "go": ""})
    assert 'value="乙窗"' in visit.get(what)
    assert go(visit, what, {"title": "乙窗", "seen": seen[1], "go": "check"}).endswith("/check"), (
        "a window that changes nothing cannot be too old"
    )


def test_a_draft_is_a_person_s_own_and_may_be_thrown_away(common_site: Site) -> None:
    visit, other = english(common_site, "olga"), english(common_site, "opal")
    what = begin(visit)
    go(visit, what, {"title": "机密草稿", "go": "save"})
    assert "机密草稿" not in other.get("/applications/new")
    other.get(what, 404)
    other.get(f"/drafts/{draft_id(what)}", 404)
    other.post(f"/drafts/{draft_id(what)}/drop", status=404, page="/applications/new")
    english(common_site, "rita").get("/applications/new", 403)
    english(common_site).get("/applications/new", 303)
    visit.get(step(what, "nothing"), 404)
    visit.post(f"/drafts/{draft_id(what)}/drop", page="/applications/new")
    visit.get(what, 404)
    assert "机密草稿" not in visit.get("/applications/new")


def test_an_agreement_of_another_organisation_is_refused_and_not_shown(common_site: Site) -> None:
    agreement = common_site.town.agreement(title="别家的协议")
    visit = english(common_site, "mallory")
    page = go(visit, begin(visit), {**WHAT, "agreement": agreement.number}, 400)
    assert "belongs to another organisation" in page
    assert "别家的协议" not in page


def test_a_draft_that_is_too_large_is_refused_with_what_was_filled_in(common_site: Site) -> None:
    visit = english(common_site, "olga")
    data = step(begin(visit), "data")
    rules = "x" * (300 * 1024)
    page = go(visit, data, {"data.0.digest": digest_text(b"1"), "data.0.rules": rules}, 400)
    assert "are the most" in page
    assert rules in page


# ---------------------------------------------------------------- files and rules


def test_rules_are_proposed_from_the_file_and_never_written_over(common_site: Site) -> None:
    visit = english(common_site, "olga")
    data = step(begin(visit), "data")
    go(visit, data, {"file": (io.BytesIO(TABLE), "cases.csv"), "go": "add"})
    row = {"data.0.digest": digest_text(TABLE)}
    assert "Propose rules" in visit.get(data)
    go(visit, data, {**row, "go": "propose:0"})
    page = visit.get(data)
    assert "pattern: ^[0-9]{6}$" in page
    assert "Propose rules" not in page
    go(visit, data, {**row, "data.0.rules": "version: 1", "go": "propose:0"})
    assert "pattern:" not in visit.get(data)
    go(visit, data, {**row, "go": "remove:0"})
    assert "No file is chosen yet" in visit.get(data)
    go(visit, data, {"choose": digest_text(TABLE), "go": "save"})
    assert "cases.csv" in visit.get(data), "a file that is chosen is added whatever the button"


def test_a_file_that_is_no_table_or_too_slow_is_told_by_its_rules(
    common_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = english(common_site, "olga")
    data = step(begin(visit), "data")
    go(visit, data, {"file": (io.BytesIO(PDF), "paper.pdf"), "go": "add"})
    row = {"data.0.digest": digest_text(PDF)}
    assert "No rules can be proposed for paper.pdf" in go(
        visit, data, {**row, "go": "propose:0"}, 400
    )
    monkeypatch.setattr(wizard, "PROPOSE_S", 0.001)
    page = go(visit, data, {**row, "go": "propose:0"}, 400)
    assert "too large to propose rules" in page
    foreign = {"data.0.digest": digest_text(b"another's"), "go": "propose:0"}
    assert "not deposited by your organisation" in go(visit, data, foreign, 400)


@pytest.mark.parametrize(
    ("file", "name", "told"),
    [(b"", "empty.csv", "is empty"), (b"MZ\x90\x00", "tool.exe", "kinds taken here")],
)
def test_a_file_that_cannot_be_deposited_is_told_at_its_field(
    common_site: Site, file: bytes, name: str, told: str
) -> None:
    visit = english(common_site, "olga")
    data = step(begin(visit), "data")
    page = go(visit, data, {"file": (io.BytesIO(file), name), "go": "add"}, 400)
    assert told in page
    assert "Choose a deposited file" in go(visit, data, {"go": "add"}, 400)


# ---------------------------------------------------------------- handing in


def test_a_refused_submission_leads_back_to_the_draft(site: Site) -> None:
    visit = english(site, "olga")
    check = filled(visit, site, PDF, "paper.pdf")
    job = go(visit, check, {"go": "submit"})
    run_jobs(site)
    assert "paper.pdf" in visit.get(job)
    assert applications(site.town) == []
    assert "refused: mend it" in visit.get("/applications/new")
    assert go_on(visit, draft_id(check)) == check
    assert "was not made when it was last submitted" in visit.get(check)
    data = step(check, "data")
    good = {"file": (io.BytesIO(TABLE), "cases.csv"), "go": "remove:0"}
    go(visit, data, {**good, "data.0.digest": digest_text(PDF)})
    number = hand_in(visit, site, check)
    [made] = applications(site.town)
    assert made.number == number


def test_a_second_click_submits_nothing_more(site: Site) -> None:
    visit = english(site, "olga")
    check = filled(visit, site)
    seen = re.search(r'name="seen" value="([0-9]+)"', visit.get(check))
    assert seen
    first = go(visit, check, {"go": "submit"})
    token = {"seen": seen[1], "go": "submit"}
    again = visit.post(check, token, page="/work")
    assert again.headers["Location"] in (first, f"/drafts/{draft_id(check)}")
    late = visit.post(step(check, "what"), {**WHAT, "title": "太迟"}, 409, page="/work")
    assert "handed in meanwhile" in late.text
    assert "太迟" in late.text
    run_jobs(site)
    assert len(applications(site.town)) == 1


def test_a_window_that_is_too_old_submits_nothing(site: Site) -> None:
    visit = english(site, "olga")
    check = filled(visit, site)
    seen = re.search(r'name="seen" value="([0-9]+)"', visit.get(check))
    assert seen
    go(visit, step(check, "materials"), {**MATERIALS, "materials.scene": "改了", "go": "save"})
    page = go(visit, check, {"seen": seen[1], "go": "submit"}, 409)
    assert "saved in another window" in page
    assert "改了" in page
    with site.town.reading() as session:
        assert jobs.jobs_of(session, site.town.actors["olga"].member_id, 9) == []
    run_jobs(site)
    assert hand_in(visit, site, check)


# ---------------------------------------------------------------- returned and mended


def returned(site: Site, visit: Visit, **what: str) -> str:
    """An application that came back; its number."""
    number = submitted(visit, site, **what)
    missing = {"missing": "缺少授权书\n缺少评估报告"}
    english(site, "rita").post(f"/applications/{number}/return", missing)
    return number


def test_a_returned_application_is_mended_with_everything_in_it(site: Site) -> None:
    visit = english(site, "olga")
    number = returned(site, visit)
    page = visit.get(f"/applications/{number}")
    assert "缺少授权书" in page
    assert "缺少评估报告" in page
    what = go(visit, "/applications/new", {"resubmits": number})
    assert go(visit, "/applications/new", {"resubmits": number}) == what, "one draft mends it"
    page = visit.get(what)
    assert "缺少授权书" in page
    assert "病例关联产品" in page
    assert "[0-9]{6}" in visit.get(step(what, "data")), "the rules he wrote are there again"
    go(visit, step(what, "materials"), {**MATERIALS, "materials.subject": "附授权书", "go": "next"})
    assert hand_in(visit, site, step(what, "check")) == number
    [made] = applications(site.town)
    assert (made.state, made.materials["subject"]) == ("submitted", "附授权书")
    assert "缺少授权书" in visit.get(f"/applications/{number}"), "that it came back stays known"
    visit.post("/applications/new", {"resubmits": number}, 409)


def test_a_colleague_may_mend_it_and_a_stranger_not(site: Site) -> None:
    number = returned(site, english(site, "olga"))
    stranger = english(site, "mallory")
    stranger.get(f"/applications/{number}", 403)
    stranger.post("/applications/new", {"resubmits": number}, 403)
    colleague = english(site, "opal")
    assert number in colleague.get("/applications/new")
    what = go(colleague, "/applications/new", {"resubmits": number})
    assert "rules of the files are not kept" in colleague.get(what)
    assert "cases.csv" in colleague.get(step(what, "data"))
    assert hand_in(colleague, site, step(what, "check")) == number


# ---------------------------------------------------------------- the page of an application


def test_the_page_tells_quality_personal_data_and_time_limits(site: Site) -> None:
    visit = english(site, "olga")
    agreement = site.town.agreement()
    place = go(visit, begin(visit), {**WHAT, "agreement": agreement.number})
    place = go(visit, place, {"resources": "307001001/000001", "rights": "use", "go": "next"})
    place = go(visit, place, {"file": (io.BytesIO(PEOPLE), "people.csv"), "go": "next"})
    number = hand_in(visit, site, go(visit, place, {**MATERIALS, "go": "next"}))
    page = visit.get(f"/applications/{number}")
    assert "2 rows, 2 columns" in page
    assert "2 columns with personal data" in page
    assert "Identity number" in page
    assert "11010519491231002X" not in page
    assert "2026-03-05" in page
    assert "3 working days left" in page
    assert "make-up workdays" in page
    assert f'href="/agreements/{agreement.number}"' in page
    assert "资源 1" in page
    site.town.later(days=7)
    assert "overdue by 2 working days" in visit.get(f"/applications/{number}")
    for other in ("rita", "gwen"):
        assert "people.csv" in english(site, other).get(f"/applications/{number}")
    for stranger in ("mallory", "anna", "egon"):
        english(site, stranger).get(f"/applications/{number}", 403)
    english(site).get(f"/applications/{number}", 303)


def test_a_deadline_beyond_the_published_calendar_is_provisional(site: Site) -> None:
    while not working_days_after(site.town.now.date(), 20).provisional:
        site.town.later(days=30)
    made = site.town.application("in_review")
    page = english(site, "olga").get(f"/applications/{made.number}")
    assert "provisional" in page
    assert "not published yet" in page


def test_why_an_application_was_not_accepted_stands_on_its_page(site: Site) -> None:
    made = site.town.application()
    english(site, "rita").post(f"/applications/{made.number}/refuse", {"reason": "权属有争议"})
    assert "权属有争议" in english(site, "olga").get(f"/applications/{made.number}")


# ---------------------------------------------------------------- the review


def findings(**changes: str) -> dict[str, str]:
    form = {"formal": "齐全"}
    for item, finding in compliance().items():
        form |= {f"compliance.{item}.{name}": value for name, value in finding.items()}
    return {**form, **changes}


def test_the_registrar_judges_beside_what_the_application_says(site: Site) -> None:
    made = site.town.application("in_review")
    visit, path = english(site, "rita"), f"/applications/{made.number}/review"
    page = visit.get(path)
    assert page.count("如附件") >= 7
    assert "in the agreement" in page
    assert "资源 1" in page
    page = visit.post(
        path, {"formal": "齐全", "compliance.authorisation.verdict": "pass"}, 400
    ).text
    assert "marked below" in page
    assert "齐全" in page, "what was filled in stays"
    assert 'id="compliance.lawful_source.evidence-error"' in page
    assert 'id="formal-error"' not in page
    assert re.search(r'id="compliance.authorisation.verdict-pass"[^>]* checked', page)
    failing = findings(**{"compliance.authorisation.verdict": "fail"})
    assert "can only be rejected" in visit.post(path, failing, 409).text
    blank = findings(**{"compliance.authorisation.finding": "  "})
    assert 'id="compliance.authorisation.finding-error"' in visit.post(path, blank, 400).text
    assert visit.post(path, findings()).headers["Location"] == f"/applications/{made.number}"
    page = visit.get(f"/applications/{made.number}")
    assert "符合" in page
    assert "见材料" in page


@pytest.mark.parametrize("login", ["otto", "olga", "mallory"])
def test_the_applicant_s_own_organisation_does_not_review(common_site: Site, login: str) -> None:
    made = common_site.town.application("in_review")
    visit = english(common_site, login)
    visit.get(f"/applications/{made.number}/review", 403)
    visit.post(f"/applications/{made.number}/review", findings(), 403, page="/work")
    assert common_site.town.get(Application, Named(made)).state == "in_review"


class Named:
    """Something that names an application, for `Town.get`."""

    def __init__(self, made: Application) -> None:
        self.application_id = made.id


# ---------------------------------------------------------------- agreement, registration, evidence


def test_a_proposal_is_told_by_each_field_what_is_wrong(common_site: Site) -> None:
    common_site.town.resources()
    visit = english(common_site, "olga")
    form = {
        "title": "协议", "mode": "whole", "implementer": PARTIES["bureau"][2],
        "resources": "307001001/000001\nnothing\nneither", "from_on": "2026-03-02",
        "until_on": "2035-03-02",
        **{f"elements.{key}": "如约定" for key in agreements.ELEMENTS if key != "breach"},
    }  # fmt: skip
    page = visit.post("/agreements/new", form, 400).text
    assert "no resource nothing" in page
    assert "no resource neither" in page
    page = visit.post("/agreements/new", {**form, "resources": "307001001/000001"}, 400).text
    assert 'id="elements.breach-error"' in page
    assert 'id="elements.scope-error"' not in page
    assert re.search(r'id="until_on-error">[^<]*at most 5 years', page)
    whole = {
        **form,
        "resources": "307001001/000001",
        "elements.breach": "赔",
        "until_on": "2030-03-01",
    }
    place = visit.post("/agreements/new", whole).headers["Location"]
    page = visit.get(place)
    for told in (
        "资源 1",
        "市数据局",
        "Authorised as a whole",
        "Accounting and revenue sharing",
        "赔",
    ):
        assert told in page
    english(common_site, "mallory").get(place, 403)


def test_the_page_of_an_agreement_shows_its_schemes_to_who_may_see_them(site: Site) -> None:
    agreement = site.town.agreement()
    site.town.scheme(agreement)
    assert "Edition 1" in english(site, "olga").get(f"/agreements/{agreement.number}")
    assert "Edition 1" not in english(site, "rita").get(f"/agreements/{agreement.number}")


def test_a_registration_shows_each_reader_what_he_may_see(site: Site) -> None:
    made = site.town.registration()
    voucher = site.town.voucher(made)
    appraisal = site.town.appraisal(made)
    path = f"/registrations/{made.code}"
    owner, public, stranger = english(site, "olga"), english(site), english(site, "mallory")
    for page in (owner.get(path), public.get(path)):
        for told in ("城数运营有限公司", "Right to operate", "2029-03"):
            assert told in page
    assert "资源 2" in owner.get(path)
    for other in (public, stranger):
        assert "资源 2" not in other.get(path), "it is not open, and so not there for them"
    for number in (voucher.number, appraisal.number, "SQ2026-000001", "XY2026-0001"):
        assert number in owner.get(path)
        assert number not in public.get(path)
        assert number not in stranger.get(path)


def test_a_deposit_says_how_its_file_is_checked(common_site: Site) -> None:
    deposit = common_site.town.deposit(data=b"checked by hand")
    page = english(common_site, "olga").get(f"/deposits/{deposit.id}")
    assert 'sha256sum "data.csv"' in page
    assert "certutil -hashfile" in page
    assert digest_text(b"checked by hand").removeprefix("sha256:") in page
    english(common_site, "mallory").get(f"/deposits/{deposit.id}", 403)


# ---------------------------------------------------------------- public notices


def test_notices_are_public_and_tell_no_more_than_the_rule_wants(site: Site) -> None:
    noticed, hidden = site.town.application("on_notice"), site.town.application("reviewed")
    public = english(site)
    page = public.get("/notices")
    for told in (noticed.number, noticed.title, noticed.summary, "城数运营有限公司", "First registration",
                 "2026-03-02", "2026-03-16"):  # fmt: skip
        assert told in page
    for private in ("如附件", "Olga", hidden.number):
        assert private not in page
    [item] = public.read("/notices")["items"]
    assert item == {
        "from_on": "2026-03-02", "number": noticed.number, "paused": False, "provisional": False,
        "subject": "城数运营有限公司", "summary": "统计产品", "title": "风险统计产品", "type": "first",
        "until_on": "2026-03-16",
    }  # fmt: skip
    public.read("/notices?state=reviewed", 400)
    assert public.read("/notices?words=统计 城数")["items"] == [item]
    assert public.read("/notices?words=水务")["items"] == []
    assert "Nothing fits" in public.get("/notices?words=水务")
    site.town.later(days=20)
    assert "over" in public.get("/notices")
    site.town.do("rita", registration.code, noticed, site.town.get(agreements.Agreement, noticed))
    assert public.read("/notices")["items"] == []


def test_notices_come_page_by_page(site: Site) -> None:
    made = [site.town.application("on_notice").number for _ in range(3)]
    public = english(site)
    first = public.read("/notices?limit=2")
    assert [item["number"] for item in first["items"]] == [made[2], made[1]]
    rest = public.read(f"/notices?limit=2&after={first['next']}")
    assert ([item["number"] for item in rest["items"]], rest["next"]) == ([made[0]], None)


def test_a_draft_of_another_kind_has_no_steps_here(common_site: Site) -> None:
    olga = common_site.town.actors["olga"].member_id
    with common_site.town.deed() as session:
        made = drafts.save(session, olga, common_site.town.now, kind="other", title="", data={})
    english(common_site, "olga").get(f"/drafts/{made.id}", 404)
