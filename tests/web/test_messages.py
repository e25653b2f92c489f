"""Messages on the site: the bell, the page, who may read of what, and the list of those to deliver."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from ledger import calendar, demands, duties, feedback, messages, registration, reminders
from ledger.calendar import clock, local_date, pause
from ledger.duties import Duty
from ledger.log import Record
from ledger.messages import Message, To
from ledger.registration import Application
from tests.conftest import Town
from tests.web.conftest import Site
from tests.web.test_work import plain, rows, visit_of
from webapp.cli import main

pytestmark = pytest.mark.pages
BELL = re.compile(r'aria-label="Messages, (\d+) unread"')


def bell(page: str) -> int:
    found = BELL.search(page)
    assert found, "whoever is signed in has a bell"
    return int(found[1])


def duty(town: Town, party: str = "bureau", **more: Any) -> Duty:
    facts = {"cause": "law", "description": "-", "cause_on": local_date(town.now), **more}
    made: Duty = town.do("rita", duties.report, party=town.party(party), **facts)
    return made


class TestThePage:
    def test_the_bell_counts_what_is_unread_until_it_is_read(self, site: Site) -> None:
        paul = visit_of(site, "paul")
        assert bell(paul.get("/work")) == 0
        first, second = duty(site.town), duty(site.town)
        assert bell(paul.get("/work")) == 2
        page = paul.get("/messages")
        assert page.index(second.number) < page.index(first.number), "the newest first"
        assert f'href="/duties/{first.number}"' in page
        paul.get(f"/duties/{first.number}")
        mark = re.findall(r'action="(/messages/[0-9a-f-]{36}/read)"', page)
        assert len(mark) == 2
        answer = paul.post(mark[0], page="/messages")
        assert answer.headers["Location"] == "/messages"
        page = paul.get("/messages")
        assert bell(page) == 1
        assert plain(page).count("unread") == 2, "the count, and the one that is"
        duty(site.town)
        assert paul.post("/messages/read", page="/messages").headers["Location"] == "/messages"
        page = paul.get("/messages")
        assert "2 messages are marked as read." in plain(page)
        assert bell(page) == 0

    def test_each_reads_for_himself(self, site: Site) -> None:
        site.town.application()
        rita, rob = visit_of(site, "rita"), visit_of(site, "rob")
        assert bell(rita.get("/work")) == bell(rob.get("/work")) > 0
        rita.post("/messages/read", page="/messages")
        assert bell(rita.get("/work")) == 0
        assert bell(rob.get("/work")) > 0

    def test_whoever_is_not_signed_in_has_no_bell(self, site: Site) -> None:
        assert "unread" not in visit_without(site).get("/")
        visit_without(site).get("/messages", 303)

    def test_it_speaks_the_reader_s_language(self, site: Site) -> None:
        made = duty(site.town)
        assert f"更新事项 {made.number} 已报告" in site.visit("paul").get("/messages")
        read = site.visit("paul").client.get(
            "/api/v1/messages", headers={"Accept-Language": "en"}
        )  # fmt: skip
        assert read.get_json()["items"][0]["text"].startswith(f"Duty {made.number} was reported")

    def test_a_deadline_s_message_is_said_in_chinese(self, site: Site) -> None:
        made = duty(site.town)
        site.town.later(days=10)
        with site.town.deed() as session:
            reminders.remind(session, site.town.now)
        assert f"目录更新：{made.number} 将于 2026-03-16 到期。" in site.visit("paul").get(
            "/messages"
        )

    def test_pages_follow_one_another(self, site: Site) -> None:
        for _ in range(3):
            duty(site.town)
        paul = visit_of(site, "paul")
        first = paul.read("/messages?limit=2")
        rest = paul.read(f"/messages?limit=2&after={first['next']}")
        assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)
        assert first["unread"] == rest["unread"] == 3
        assert not {one["id"] for one in first["items"]} & {one["id"] for one in rest["items"]}


def visit_without(site: Site) -> Any:
    visit = site.visit(None)
    visit.client.set_cookie("lang", "en")
    return visit


class TestRights:
    def test_no_message_tells_of_what_one_may_not_read(self, site: Site) -> None:
        """Addressed by mistake, or since lost: it is neither shown, nor counted, nor delivered."""
        town = site.town
        made, application = duty(town), town.application()
        with town.deed() as session:
            for noun, row in (("duty", made), ("application", application)):
                messages.tell(
                    session, town.now, to=[To(member_id=town.actors["mallory"].member_id)],
                    template="Duty {number} is confirmed.", noun=noun, subject_id=row.id,
                    number=row.number, facts={"number": row.number}, event="by mistake",
                )  # fmt: skip
        mallory = visit_of(site, "mallory")
        assert bell(mallory.get("/work")) == 0
        assert mallory.read("/messages")["items"] == []
        with town.reading() as session:
            ids = session.scalars(select(Message.id).where(Message.key.startswith("by mistake")))
            for one in ids:
                mallory.api(f"/messages/{one}/read", status=404)
        for one in visit_of(site, "admin").read("/messages/undelivered?limit=200")["items"]:
            assert "mallory" not in one["to"]

    def test_another_s_message_is_missing(self, site: Site) -> None:
        duty(site.town)
        [one] = visit_of(site, "paul").read("/messages")["items"]
        visit_of(site, "olga").api(f"/messages/{one['id']}/read", status=404)
        assert visit_of(site, "paul").read("/messages")["unread"] == 1

    def test_only_the_administrator_takes_messages_out(self, site: Site) -> None:
        for login in ("rita", "gwen", "olga", "paul"):
            visit_of(site, login).read("/messages/undelivered", 403)
            visit_of(site, login).api("/messages/delivered", {"ids": ["x"]}, status=403)

    def test_feedback_says_no_more_than_its_number(self, site: Site) -> None:
        town = site.town
        town.catalogue_affairs()
        with town.reading() as session:
            found = session.scalars(select(feedback.Feedback)).one()
            wanted = session.scalars(select(demands.Demand)).one()
        for one in visit_of(site, "admin").read("/messages/undelivered?limit=200")["items"]:
            assert "缺行" not in json.dumps(one, ensure_ascii=False)
            assert wanted.title not in json.dumps(one, ensure_ascii=False)
            assert found.raised_by not in json.dumps(one)


class TestDelivery:
    def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(self, site: Site) -> None:
        town = site.town
        made = duty(town)
        town.application()
        admin = visit_of(site, "admin")
        found = admin.read("/messages/undelivered")["items"]
        [mine] = [one for one in found if one["noun"] == "duty"]
        assert mine["to"] == ["paul"]
        assert mine["text"] == {
            "en": f"Duty {made.number} was reported: the catalogue has to change.",
            "zh": f"更新事项 {made.number} 已报告，须变更目录。",
        }
        assert set(mine) == {"id", "to", "text", "noun", "number", "due_on", "made_at"}
        [asked] = [one for one in found if one["noun"] == "application"]
        assert asked["to"] == ["rita", "rob"], "otto is of the applicant's organisation"
        assert admin.read("/messages/undelivered")["items"] == found
        assert admin.api("/messages/delivered", {"ids": [mine["id"]]}).get_json()["answer"] == {
            "count": 1
        }
        again = admin.api("/messages/delivered", {"ids": [mine["id"]]}).get_json()["answer"]
        assert again == {"count": 0}
        assert mine["id"] not in [one["id"] for one in admin.read("/messages/undelivered")["items"]]
        admin.api("/messages/delivered", {"ids": ["unknown"]}, status=404)

    def test_the_command_line_prints_lines_and_marks_what_it_printed(self, site: Site) -> None:
        town = site.town
        made = duty(town)
        home = str(town.home.path)

        def run(*words: str) -> list[dict[str, Any]]:
            done = CliRunner().invoke(
                main, [*words, "--home", home], env=environment(town), catch_exceptions=False
            )  # fmt: skip
            assert done.exit_code == 0, done.output
            return [json.loads(line) for line in done.stdout.splitlines()]

        first = run("messages", "export", "--undelivered")
        assert [one["to"] for one in first if one["number"] == made.number] == [["paul"]]
        assert run("messages", "export", "--undelivered", "--mark") == first
        assert run("messages", "export", "--undelivered") == []
        assert run("messages", "export") == first


def environment(town: Town) -> dict[str, str]:
    """What the command line needs to find a town: its folder's settings and its database."""
    config = town.home.config
    (town.home.path / "config.json").write_text(json.dumps({
        "origin": config.origin, "chain_id": config.deployment.chain_id,
        "genesis": config.deployment.genesis, "contracts": dict(config.deployment.contracts),
        "deployed_in_block": config.deployment.block, "embedded": config.embedded,
        "demo": config.demo, "created_at": "2026-01-01T00:00:00Z",
    }))  # fmt: skip
    url = town.home.engine.url.render_as_string(hide_password=False)
    return {"DATABASE_URL": url, "SHUZHENG_LANG": "en"}


class TestTheWorkList:
    def test_it_stands_under_headings_by_urgency(self, site: Site) -> None:
        town = site.town
        late = duty(town)
        town.later(days=15)  # Tuesday 17 March, a day too late
        today = duty(town, cause_on=local_date(town.now).replace(day=3))
        later = duty(town)
        page = visit_of(site, "paul").get("/work")
        text = plain(page)
        assert text.index("Overdue") < text.index("Due today") < text.index("Due later")
        assert [next(n for n in (late, today, later) if n.number in row).number for row in rows(page)] == [
            late.number, today.number, later.number,
        ]  # fmt: skip
        found = visit_of(site, "paul").read("/work")["items"]
        assert [(one["urgency"], one["days_left"]) for one in found] == [
            ("overdue", -1), ("today", 0), ("later", 10),
        ]  # fmt: skip

    def test_paused_and_provisional_are_told(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        town = site.town
        monkeypatch.setattr(calendar, "published", lambda year: year < 2026)
        paused, running = town.application("in_review"), town.application("in_review")
        today = local_date(town.now)
        put(town, paused, pause(clock(today, 20), today))
        put(town, running, clock(today, 20))
        first, second = rows(visit_of(site, "rita").get("/work"))
        assert running.number in first
        assert "about 20 working days left provisional" in first
        assert "Registration measures, art. 11" in first
        assert paused.number in second
        assert "paused; " in second
        items = visit_of(site, "rita").read("/work")["items"]
        assert [(one["urgency"], one["provisional"]) for one in items] == [
            ("later", True), ("paused", True),
        ]  # fmt: skip

    def test_it_can_be_narrowed_to_a_noun(self, site: Site) -> None:
        town = site.town
        made = town.application()
        town.do("paul", duties.settle, duty(town), not_needed="无需变更")
        rita = visit_of(site, "rita")
        assert {one["noun"] for one in rita.read("/work")["items"]} == {"application", "duty"}
        assert [one["number"] for one in rita.read("/work?noun=application")["items"]] == [
            made.number
        ]
        assert len(rows(rita.get("/work?noun=application"))) == 1
        assert 'href="/work?noun=duty"' in rita.get("/work")

    def test_an_operator_is_told_what_he_has_to_register_and_to_renew(self, site: Site) -> None:
        town = site.town
        made = town.registration()
        idle = town.agreement()
        town.later(days=30)
        [first] = visit_of(site, "olga").read("/work")["items"]
        assert (first["deed"], first["number"]) == ("application.submit", idle.number)
        assert first["urgency"] == "overdue"
        town.now = made.valid_until
        town.later(days=-50)
        found = visit_of(site, "olga").read("/work?noun=registration")["items"]
        assert [(one["number"], one["working"], one["days_left"]) for one in found] == [
            (made.code, False, 50)
        ]
        assert "50 days left" in plain(visit_of(site, "olga").get("/work"))
        assert visit_of(site, "mallory").read("/work")["items"] == []


def put(town: Town, application: Application, due: dict[str, Any]) -> None:
    with town.deed() as session:
        row = session.get_one(Application, application.id)
        row.deadlines = {"review": due}
        registration.log.append(session, row, "application.accepted", "system")


def test_the_command_line_recounts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    town = site.town
    monkeypatch.setattr(calendar, "published", lambda year: year < 2026)
    made = duty(town)
    assert made.due["provisional"] is True
    monkeypatch.undo()
    for said in ("1 rows have", "0 rows have"):
        done = CliRunner().invoke(
            main, ["deadlines", "recount", "--home", str(town.home.path)], env=environment(town),
            catch_exceptions=False,
        )  # fmt: skip
        assert said in done.output
    with town.reading() as session:
        kinds = session.scalars(select(Record.kind).where(Record.subject_id == made.id))
        assert [*kinds] == ["duty.reported", "duty.recounted"]


@pytest.mark.parametrize("odd", ["\0", "\ud800", "x" * 200, "'; --", "%"])
def test_an_odd_id_is_refused_and_no_fault(site: Site, odd: str) -> None:
    admin = visit_of(site, "admin")
    assert admin.api("/messages/delivered", {"ids": [odd]}, status=None).status_code in (400, 404)
    assert (
        admin.client.get(f"/api/v1/messages?after={quote(odd[:5], errors='replace')}").status_code
        == 400
    )
