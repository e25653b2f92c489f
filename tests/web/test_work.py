"""What waits for a person, the most urgent first; and the state of the house."""

import re
from datetime import date, timedelta
from typing import Any

import pytest

from ledger import log, schemes
from ledger.calendar import is_workday, working_days_after, working_days_left
from ledger.chain import outbox
from tests.conftest import Town
from tests.web.conftest import Site, Visit
from webapp import drafts, jobs
from webapp.pages.start import limit

pytestmark = pytest.mark.pages

TODAY = date(2026, 9, 28)


def visit_of(site: Site, login: str) -> Visit:
    visit = site.visit(login)
    visit.client.set_cookie("lang", "en")
    return visit


def plain(page: str) -> str:
    """What a person reads."""
    return " ".join(
        re.sub(r"<[^>]+>", " ", page[page.index("<main") : page.index("</main>")]).split()
    )


def rows(page: str) -> list[str]:
    """The rows of the page's first table, as a person reads them, without its headings."""
    table = page[page.index("<tbody>") : page.index("</table>")]
    table = re.sub(r'<tr class="table-light">.*', "", table)
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in table.split("<tr>")[1:]]


class TestWorkingDays:
    @pytest.mark.parametrize("count", range(1, 40))
    def test_as_many_are_left_as_the_deadline_was_given(self, count: int) -> None:
        due = working_days_after(TODAY, count)
        assert working_days_left(TODAY, due.on) == (count, False)

    @pytest.mark.parametrize("count", range(1, 40))
    def test_as_many_have_passed_as_there_were(self, count: int) -> None:
        now = working_days_after(TODAY, count)
        assert working_days_left(now.on, TODAY)[0] == -count

    def test_a_holiday_counts_for_nothing(self) -> None:
        before, after = date(2026, 9, 30), date(2026, 10, 8)
        assert not any(is_workday(before + timedelta(n))[0] for n in range(1, 8))
        assert working_days_left(before, after)[0] == 1

    def test_the_day_itself_is_in_time_and_the_next_is_not_even_on_a_weekend(self) -> None:
        friday = date(2026, 9, 4)
        assert working_days_left(friday, friday)[0] == 0
        assert working_days_left(friday + timedelta(1), friday)[0] == -1

    def test_a_year_whose_calendar_is_not_published_is_said_to_be_unsure(self) -> None:
        far = date(2031, 3, 3)
        assert working_days_left(far, working_days_after(far, 5).on) == (5, True)

    @pytest.mark.parametrize(
        ("due", "words", "tone"),
        [
            ("2026-09-25", "overdue by 1 working days", "danger"), ("2026-09-28", "due today", "warning"),
            ("2026-09-30", "2 working days left", "warning"),
            ("2026-10-09", "4 working days left", "secondary"), (None, "", ""),
        ],
    )  # fmt: skip
    def test_the_words(
        self, due: str | None, words: str, tone: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHUZHENG_LANG", "en")
        told = limit({"deed": "application.accept", "due": due}, TODAY)
        assert (told["words"], told["tone"]) == (words, tone)


class TestMyWork:
    def test_the_most_urgent_stands_first(self, site: Site) -> None:
        town = site.town
        town.application("reviewed")  # nothing is due
        late = town.application("in_review")
        town.later(days=16)
        ended = town.application("on_notice")
        town.later(days=16)
        fresh = town.application()
        found = rows(visit_of(site, "rita").get("/work"))
        assert found[0].startswith("Pass the review")
        assert late.number in found[0]
        assert "overdue by" in found[0]
        assert f"Code application {ended.number}" in found[1]
        assert "the notice is over" in found[1]
        assert f"Accept application {fresh.number}" in found[2]
        assert "3 working days left" in found[2]
        assert found[3].startswith("Give public notice")
        assert "风险统计产品" in found[3]

    def test_each_thing_leads_to_its_page(self, site: Site) -> None:
        made = site.town.application()
        visit = visit_of(site, "rita")
        assert f'href="/applications/{made.number}"' in visit.get("/work")
        visit.get(f"/applications/{made.number}")

    def test_what_everybody_waits_for_stands_on_his_page(self, site: Site) -> None:
        town = site.town
        town.sold()
        agreement = town.agreement()
        first = date.fromisoformat(agreement.from_on)
        town.do("olga", schemes.propose, agreement, town.scheme_document(), first)
        assert "Record a payment" in plain(visit_of(site, "mona").get("/work"))
        paul = visit_of(site, "paul").get("/work")
        assert "Agree to the scheme" in plain(paul)
        address = re.search(r'href="(/schemes/[^"]+)"', paul)
        assert address
        visit_of(site, "paul").get(address[1])
        assert "Nothing waits for you now." in plain(visit_of(site, "egon").get("/work"))

    @pytest.mark.parametrize(
        ("login", "offers"),
        [
            ("olga", ("Deposit the evidence", "Propose an operation agreement", "Apply for")),
            ("paul", ("operators propose", "Agreements")), ("rita", ("Import a catalogue",)),
            ("anna", ("Draft an appraisal",)), ("egon", ("listing package",)),
            ("mona", ("Record a payment",)), ("carl", ("Look through the statements",)),
            ("gwen", ("freeze", "state of the house")), ("admin", ("Enter an organisation", "audit")),
        ],
    )  # fmt: skip
    def test_whoever_has_nothing_to_do_reads_what_he_can_begin(
        self, common_site: Site, login: str, offers: tuple[str, ...]
    ) -> None:
        visit = visit_of(common_site, login)
        page = visit.get("/work")
        main = page[page.index("<main") : page.index("</main>")]
        assert "Nothing waits for you now." in main
        for offer in offers:
            assert offer.lower() in plain(page).lower()
        for address in re.findall(r'<li><a href="([^"]+)"', main):
            assert visit.client.get(address).status_code == 200, address

    def test_drafts_are_his_own(self, site: Site) -> None:
        with site.town.deed() as session:
            drafts.save(
                session, site.town.actors["olga"].member_id, site.town.now,
                kind="application.submit", title="企业信用<b>", data={},
            )  # fmt: skip
        page = visit_of(site, "olga").get("/work")
        assert "企业信用&lt;b&gt;" in page
        assert "What I began" in page
        assert "企业信用" not in visit_of(site, "opal").get("/work")

    def test_jobs_are_his_own_with_their_state(self, site: Site) -> None:
        with site.town.deed() as session:
            jobs.enqueue(
                session, site.town.now, member_id=site.town.actors["rita"].member_id,
                verb="catalogue.import", request={"keys": {}, "body": {"name": "目录.xlsx"}},
            )  # fmt: skip
        page = plain(visit_of(site, "rita").get("/work"))
        assert "Import a catalogue 目录.xlsx 2026-03-02 10:00 queued" in page
        assert "目录.xlsx" not in visit_of(site, "rob").get("/work")

    def test_alarms_stand_above_for_those_who_see_them(self, site: Site) -> None:
        raise_alarm(site.town, "checkpoint:1", "FORK: x")
        assert "1 acts on chain are in alarm" in plain(visit_of(site, "gwen").get("/work"))
        assert "in alarm" not in visit_of(site, "rita").get("/work")

    def test_it_is_read_in_chinese_too(self, site: Site) -> None:
        site.town.application()
        assert 'lang="zh-CN"' in site.visit("rita").get("/work")


def raise_alarm(town: Town, subject_id: str, problem: str, **facts: Any) -> None:
    with town.deed() as session:
        act = outbox.enqueue(
            session, town.now, lane="registrar", contract="VoucherRegistry", function="suspend",
            arguments=[], key=b"\1" * 32, expected_version=1, subject_id=subject_id,
            subject_version=1,
        )  # fmt: skip
        act.state, act.problem = "alarm", {"facts": facts, "template": problem}


def settle_all(town: Town) -> None:
    with town.deed() as session:
        for act in session.query(outbox.Act):
            act.state, act.confirmed_at = "effective", town.now


class TestLadder:
    def test_everybody_sees_how_far_what_is_his_has_come(self, site: Site) -> None:
        town = site.town
        voucher = town.voucher()
        olga, mallory = visit_of(site, "olga"), visit_of(site, "mallory")

        def told() -> Any:
            found = [one for one in olga.read("/ladder")["items"] if one["noun"] == "voucher"]
            return [(one["number"], one["rung"], one["on_chain"]) for one in found]

        assert told() == [(voucher.number, "recorded", "waiting")]
        assert "On its way to the chain" in plain(olga.get("/work"))
        assert voucher.number in olga.get("/work")
        assert voucher.number not in mallory.get("/work")
        assert not [one for one in mallory.read("/ladder")["items"] if one["noun"] == "voucher"]
        size = town.seal().tree_size
        assert told() == [(voucher.number, "sealed", "waiting")]
        with town.deed() as session:
            log.note_anchor(session, size, "0x" + "ab" * 32, 7)
        assert told() == [(voucher.number, "anchored", "waiting")]
        with town.deed() as session:
            log.note_anchor(session, size, "0x" + "ab" * 32, 7, town.now)
        assert told() == [(voucher.number, "confirmed", "waiting")]
        town.settle(voucher)
        assert told() == []

    def test_an_alarm_stands_on_the_ladder_in_the_reader_s_language(self, site: Site) -> None:
        town = site.town
        voucher = town.voucher()
        settle_all(town)
        raise_alarm(town, voucher.id, outbox.REFUSED, why="VoucherNotValid()")
        assert "the contract refused it (VoucherNotValid())" in visit_of(site, "olga").get("/work")
        assert "the contract refused it" not in site.visit("olga").get("/work")


class TestSettings:
    def test_an_administrator_chooses_and_the_page_shows_it(self, site: Site) -> None:
        visit = visit_of(site, "admin")
        assert 'href="/settings/confirmations"' in visit.get("/house")
        visit.get("/settings/confirmations")
        visit.api("/settings/confirmations", {"value": "3"})
        found = {one["name"]: one["value"] for one in visit.read("/settings")["items"]}
        assert found == {
            "confirmations": "3", "log_readers": "public", "payout_days": "30",
            "registration_profile": "national", "third_approval_yuan": "1000000",
        }  # fmt: skip
        visit.api("/settings/confirmations", {"value": "many"}, status=400)
        visit_of(site, "gwen").api("/settings/confirmations", {"value": "4"}, status=403)
        assert 'href="/settings/confirmations"' not in visit_of(site, "gwen").get("/house")


class TestHouse:
    def test_it_tells_how_far_the_log_is(self, site: Site) -> None:
        visit = visit_of(site, "admin")
        assert "nothing is sealed yet" in plain(visit.get("/house"))
        site.town.deposit()
        answer = visit.post("/log/seal", page="/house")
        assert answer.headers["Location"] == "/house"
        with site.town.reading() as session:
            size = session.get_one(log.Head, 1).tree_size
        page = plain(visit.get("/house"))
        assert f"Sealed at size {size}" in page
        assert f"{size} records sealed at size {size}, 2026-03-02 10:00" in page
        assert "nothing is anchored yet" in page
        assert "1 under way" in page, "the checkpoint waits to be anchored"
        with site.town.deed() as session:
            log.note_anchor(session, size, "0x" + "ab" * 32, 7)
        assert f"anchored at size {size}, in block 7" in plain(visit.get("/house"))

    def test_a_node_that_is_not_there_is_told(self, site: Site) -> None:
        page = plain(visit_of(site, "gwen").get("/house"))
        assert "the node does not answer" in page
        assert "is not running" in page

    def test_a_node_that_is_no_node_is_told(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CHAIN_RPC_URL", "http://127.0.0.1:9")
        assert "the node does not answer" in plain(visit_of(site, "gwen").get("/house"))

    def test_a_worker_that_does_not_run_is_noticed(self, site: Site) -> None:
        town = site.town
        visit = visit_of(site, "admin")
        town.seal()
        assert "seems not to run" not in visit.get("/house")
        town.voucher()
        town.publish_status(days=1)
        with town.deed() as session:
            jobs.enqueue(
                session, town.now, member_id=town.actors["rita"].member_id,
                verb="catalogue.import", request={"keys": {}, "body": {}},
            )  # fmt: skip
        assert "seems not to run" not in visit.get("/house"), "it has time"
        town.later(minutes=3)
        page = plain(visit.get("/house"))
        assert "The worker seems not to run" in page
        assert re.search(r"\d+ records wait to be sealed", page)
        assert "1 jobs wait to be taken up" in page
        assert "out of date" not in page
        town.later(days=2)
        page = plain(visit.get("/house"))
        assert "The status list is out of date; verifiers no longer take it." in page

    def test_each_alarm_says_what_it_is_about_and_what_to_do(self, site: Site) -> None:
        town = site.town
        voucher = town.voucher()
        settle_all(town)
        raise_alarm(town, voucher.id, outbox.REFUSED, why="<b>")
        raise_alarm(town, "checkpoint:9", outbox.FORK, size=9)
        raise_alarm(town, "unknown", outbox.NOT_OURS, version=7, due=6)
        visit = visit_of(site, "admin")
        page = visit.get("/house")
        first, second, third = rows(page)
        assert f'href="/vouchers/{voucher.number}"' in page
        assert "Mend the cause that is named" in first
        assert "(&lt;b&gt;)" in page
        assert "Stop: do not retry" in second
        assert "find out who" in third
        answer = visit.post("/outbox/retry", page="/house")
        assert answer.headers["Location"] == "/house"
        page = plain(visit.get("/house"))
        assert "3 acts are waiting again." in page
        assert "0 in alarm" in page

    def test_who_only_looks_is_offered_the_audit_and_nothing_else(self, site: Site) -> None:
        raise_alarm(site.town, "x", "y")
        page = visit_of(site, "gwen").get("/house")
        assert 'action="/audits"' in page
        for path in ("/log/seal", "/log/anchor", "/outbox/retry"):
            assert f'action="{path}"' not in page
            site.visit("gwen").get(path, 403)
        site.visit("rita").get("/house", 403)
        site.visit("rita").get("/audits", 403)

    def test_the_last_audits_are_seen_by_all_who_see_the_house(self, site: Site) -> None:
        answers: list[Any] = [
            {"count": 0, "differences": [], "offline": True, "records": 12},
            {"count": 2, "differences": [], "offline": False, "records": 13},
        ]
        with site.town.deed() as session:
            for answer in answers:
                job = jobs.enqueue(
                    session, site.town.now, member_id=site.town.actors["admin"].member_id,
                    verb="audit.run", request={"keys": {}, "body": {}},
                )  # fmt: skip
                job.attempts = 1
                jobs.finish(session, job.id, site.town.now, {"answer": answer, "receipt": None})
        page = visit_of(site, "gwen").get("/house")
        newer, older = rows(page)
        assert "Admin done differences 13 records audited, 2 differences." in newer
        assert "clean 12 records audited, 0 differences. (not compared with the chain)" in older
        assert "/jobs/" not in page, "another's job is not hers to open"
        assert "/jobs/" in visit_of(site, "admin").get("/house")

    def test_to_seal_an_empty_log_is_refused_on_the_page(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(log, "seal", lambda *_: None)
        page = visit_of(site, "admin").post("/log/seal", page="/house", status=409).text
        assert "The log is empty" in page
        assert "State of the house" in page

    def test_long_work_begins_as_a_job(self, site: Site) -> None:
        visit = visit_of(site, "admin")
        for path in ("/log/anchor", "/audits"):
            answer = visit.post(path, page="/house")
            assert answer.headers["Location"].startswith("/jobs/")
        again = visit.get("/audits")
        assert 'href="/house"' in again, "back to where one came from"
