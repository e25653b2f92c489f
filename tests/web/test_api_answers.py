"""What the API answers: refusals of one form, versions, and its document for people."""

from concurrent.futures import ThreadPoolExecutor
from shutil import which
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog
from werkzeug.serving import make_server

from ledger.registration import coded
from tests.conftest import ORIGIN, PARTIES
from tests.web.conftest import Site
from tests.web.examples import fresh_member, stated
from tests.web.sending import problem
from webapp.api.problems import STATUSES
from webapp.deeds import DEEDS, QUESTIONS
from webapp.deeds.answers import PAGE_MAX
from webapp.language import catalogue as translations

# ---------------------------------------------------------------- every refusal has one form


def test_every_refusal_of_the_framework_is_problem_details(place: Site) -> None:
    client = place.visit("olga").client
    problem(client.get("/api/v1/nothing-of-the-kind"), 404)
    problem(client.get("/api/v1/vouchers/PZ%00"), 404)
    refused = client.delete("/api/v1/vouchers")
    problem(refused, 405)
    assert "GET" in refused.headers["Allow"]
    problem(client.get(f"/api/v1/vouchers/{coded('PZ209901', 1)}"), 404, "missing")
    problem(client.get("/api/v1/members"), 403, "not_allowed")
    problem(place.app.test_client().get("/api/v1/me"), 401, "not_authenticated")
    for query in ("limit=0", f"limit={PAGE_MAX + 1}", "limit=ten", "after=x", "unheard=of"):
        told = problem(client.get(f"/api/v1/vouchers?{query}"), 400, "invalid")
        assert set(told["errors"]) == {query.partition("=")[0]}
    for query in ("limit=0", f"limit={PAGE_MAX + 1}", "start=-1", f"start={10**18}"):
        problem(client.get(f"/api/v1/log/entries?{query}"), 400, "invalid")


def test_who_asks_too_often_is_told_to_wait(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHUZHENG_RATE", "3 per minute")
    client = Site(site.town).app.test_client()
    answers = [client.get("/api/v1/log") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    problem(answers[-1], 429)
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_a_fault_of_ours_tells_nothing_of_its_cause(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> Any:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr(place.desk, "ask", breaks)
    with structlog.testing.capture_logs() as logged:
        answer = place.visit("olga").client.get("/api/v1/me")
    problem(answer, 500, "fault")
    assert "secret" not in answer.text
    assert logged, "the administrator finds it"


def test_every_status_a_refusal_can_have_is_said_in_both_languages() -> None:
    untold = {title for title in STATUSES.values() if title not in translations()}
    assert not untold


# ---------------------------------------------------------------- versions


def test_a_question_that_shows_a_version_gives_it_as_etag(place: Site) -> None:
    town = place.town
    made = stated(place, "proposed")
    asked = {
        "/parties/" + PARTIES["bank"][2], "/resources/307001001/000001",
        f"/statements/{made.number}", f"/deposits/{town.deposit().id}",
    }  # fmt: skip
    visit = place.visit(fresh_member(place, "regulator", "operator"))
    for noun in ("agreements", "applications", "registrations", "vouchers", "licences", "payments"):
        [row] = visit.read(f"/{noun}?limit=1")["items"]
        key = next(k for k in ("number", "code", "order_reference", "reference") if k in row)
        asked.add(f"/{noun}/{row[key]}")
    assert len(asked) == 10
    for path in asked:
        answer = visit.client.get(f"/api/v1{path}")
        shown = answer.get_json()
        assert answer.headers["ETag"] == f'"{shown["version"]}"', path
        assert len(shown["history"]) == shown["version"]
        assert "ETag" not in visit.client.get(f"/api/v1{path.rpartition('/')[0]}").headers


# ---------------------------------------------------------------- the document for people

CHROMIUM = which("chromium") or which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_document_is_shown_under_the_site_s_own_policy_from_this_host_only(place: Site) -> None:
    if place.town.home.engine.dialect.name != "sqlite":
        pytest.skip("once is enough: the page asks no database")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only here

    server = make_server("127.0.0.1", 0, place.app, threaded=True)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    complaints: list[str] = []
    hosts: set[str | None] = set()

    def look() -> None:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("console", lambda one: complaints.append(one.text))
            page.on("pageerror", lambda one: complaints.append(str(one)))
            page.on("request", lambda one: hosts.add(urlsplit(one.url).netloc))
            page.goto(f"http://127.0.0.1:{server.port}/api/docs")
            # What is not in sight is not drawn: so many operations are too many at once.
            page.locator(".operation-filter-input").fill("/api/v1/log")
            block = page.locator('.opblock:has([data-path="/api/v1/log"])')
            block.locator(".opblock-summary-control").click()
            block.locator(".try-out__btn").click()
            block.locator(".execute").click()
            block.locator(".live-responses-table").wait_for()
            assert ORIGIN in block.locator(".live-responses-table").inner_text()
            told = page.request.get(f"http://127.0.0.1:{server.port}/api/openapi.json").json()
            assert sum(map(len, told["paths"].values())) > len(DEEDS) + len(QUESTIONS)
            browser.close()

    try:
        # In a thread of its own: the browser suite's playwright may still be open in this one.
        with ThreadPoolExecutor(1) as beside:
            beside.submit(look).result()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not complaints
    assert hosts == {f"127.0.0.1:{server.port}"}
