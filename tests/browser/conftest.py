"""A served demo home and a real Chromium: each person in a browser of his own.

Nothing may leave the machine: every request to another address is blocked and counted. Each page looked
at is judged by axe, and photographed into SHUZHENG_SHOTS where that is set.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from sqlalchemy import select

from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.registration import COMPLIANCE_ITEMS
from tests.story.conftest import SHUZHENG, environment
from webapp.cli.field import submit_application
from webapp.cli.run import Run, read_document
from webapp.deeds.all import field
from webapp.home import clock

DATA = Path(__file__).resolve().parents[2] / "data" / "demo"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SERIOUS = {"serious", "critical"}
DESK = {"width": 1366, "height": 768}
PHONE = {"width": 390, "height": 844}
DAYS_AGO = 40  # when the prepared applications were handed in, so that their notice is over


class Served:
    """A demo home under `shuzheng serve`, and what was prepared in it."""

    def __init__(self, home: Path, url: str, process: "subprocess.Popen[str]") -> None:
        self.home, self.url, self.process = home, url, process
        self.password = json.loads((home / "demo" / "accounts.json").read_bytes())["password"]
        voucher = json.loads((home / "demo" / "voucher.json").read_bytes())
        self.voucher = str(voucher["credentialSubject"]["number"])
        self.agreement = ""  # the demo's own, beside those the tests propose
        self.prepared: dict[str, str] = {}

    def shuzheng(self, *arguments: str, **extra: str) -> None:
        """A command in its own process, as on another machine."""
        done = subprocess.run(
            [*SHUZHENG, *arguments], capture_output=True, text=True, timeout=120, check=False,
            env={**environment(), **extra},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One site for all browser tests."""
    home = tmp_path_factory.mktemp("browser") / "home"
    subprocess.run(
        [*SHUZHENG, "demo", "--home", str(home)], check=True, env=environment(), timeout=300,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    agreed = the_agreement(home)
    numbers = {lang: prepared(home, lang, agreed) for lang in ("zh", "en")}
    with serving(home) as made:
        made.agreement, made.prepared = agreed, numbers
        yield made


@contextmanager
def serving(home: Path) -> Iterator[Served]:
    """A demo home under `shuzheng serve`, its node answering."""
    process = subprocess.Popen(
        [*SHUZHENG, "serve", "--home", str(home), "--port", "0", "--json"], text=True,
        stdout=subprocess.PIPE, stderr=sys.stderr, env=environment(),
    )  # fmt: skip
    try:
        assert process.stdout is not None
        made = Served(home, json.loads(process.stdout.readline())["url"], process)
        until = time.monotonic() + 60
        while not (home / "node.json").exists():  # the site answers before the chain's node does
            assert time.monotonic() < until, "the node did not start"
            time.sleep(0.1)
        yield made
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def the_agreement(home: Path) -> str:
    """The number of the demo's only agreement."""
    run = Run(home, True, None)
    try:
        with run.home.reading() as session:
            return session.scalars(select(Agreement)).one().number
    finally:
        run.home.close()


def prepared(home: Path, lang: str, agreed: str) -> str:
    """An application whose public notice is over: handed in, reviewed and noticed some weeks ago."""
    run = Run(home, True, None)
    run.now = clock() - timedelta(days=DAYS_AGO)
    try:
        document = read_document(DATA / "application.yaml")
        document |= {
            "agreement": agreed,
            "title": {"zh": "街道风险产品", "en": "Street risk"}[lang],
        }
        number = submit_application(run, "zhang", document, DATA)["number"]
        run.do(field.accept, "wang", application_number=number)
        findings = read_document(DATA / "review.yaml")
        assert set(findings["compliance"]) == set(COMPLIANCE_ITEMS)
        run.do(field.review, "wang", findings, application_number=number)
        run.do(field.give_notice, "wang", application_number=number)
        return str(number)
    finally:
        run.home.close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    if CHROMIUM is None:
        assert not os.environ.get("CI"), "CI installs Debian's package chromium"
        pytest.skip("no Chromium on this machine: install Debian's package chromium")
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


class Person:
    """Somebody at a browser: what he clicks, what he sees, and that it is in order."""

    def __init__(
        self, site: Served, context: BrowserContext, lang: str, who: str, troubles: list[str]
    ) -> None:
        self.site, self.context, self.lang, self.who = site, context, lang, who
        self.troubles = troubles
        self.outside: list[str] = []
        self.complaints: list[str] = []
        context.route("**/*", self._only_here)
        self.page: Page = context.new_page()
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.set_default_timeout(15_000)

    def _only_here(self, route: Any) -> None:
        url = route.request.url
        if url.startswith((self.site.url, "data:", "blob:")):
            route.continue_()
        else:
            self.outside.append(url)
            route.abort()

    def _heard(self, message: Any) -> None:
        expected = "the server responded with a status of 4" in message.text
        if message.type in ("error", "warning") and not expected:
            self.complaints.append(message.text)

    def go(self, path: str) -> None:
        self.page.goto(self.site.url + path)

    def sign_in(self, password: str | None = None) -> None:
        """Sign in with the demo's password; he lands on his work."""
        self.go("/sign-in")
        self.page.fill("#login", self.who)
        self.page.fill("#password", password or self.site.password)
        self.press()

    def fill(self, **values: str) -> None:
        """Fill in fields by their place in the form; `__` stands for a dot."""
        for name, value in values.items():
            at = name.replace("__", ".")
            place = json.dumps(f"{at}-{value}", ensure_ascii=False)  # texts of several lines, too
            choice = self.page.locator(f"input[type=radio][id={place}]")
            if choice.count():
                choice.check()
                continue
            field = self.page.locator(f'[id="{at}"]')
            if field.evaluate("e => e.tagName") == "SELECT":
                field.select_option(value)
            else:
                field.fill(value)

    def press(self, text: str | None = None) -> None:
        """Press the form's own button, or the one with a text."""
        buttons = self.page.locator("main form button:not([type=button]):visible")
        found = buttons if text is None else buttons.filter(has_text=text)
        with self.page.expect_navigation():
            found.first.click()

    def click(self, text: str) -> None:
        """Follow the link with a text."""
        with self.page.expect_navigation():
            self.page.locator("main").get_by_role("link", name=text).first.click()

    def sees(self, *texts: str) -> None:
        body = self.page.locator("body").inner_text()
        for text in texts:
            assert text in body, (
                f"{self.who} ({self.lang}) does not see {text!r} in:\n{body[:3000]}"
            )

    def number(self, pattern: str) -> str:
        """The first number of a form on the page."""
        found = re.search(pattern, self.page.locator("main").inner_text())
        assert found, (
            f"no {pattern} on {self.page.url}:\n{self.page.locator('main').inner_text()[:2000]}"
        )
        return found[0]

    def done(self) -> None:
        """Wait until the job on the page is done."""
        self.page.wait_for_selector("[data-job]", state="detached", timeout=90_000)

    def wait_for(self, text: str, limit_s: float = 60) -> None:
        """Load the page again until it shows a text (the worker carries things to the chain)."""
        end = time.monotonic() + limit_s
        while text not in self.page.locator("main").inner_text():
            assert time.monotonic() < end, f"{text} did not come on {self.page.url}"
            time.sleep(1)
            self.page.reload()

    def look(self, name: str) -> None:
        """The page is in order: nothing scrolls sideways, nothing untranslated, axe content; a picture."""
        self.page.wait_for_load_state()
        shots = os.environ.get("SHUZHENG_SHOTS")
        if shots:
            Path(shots).mkdir(parents=True, exist_ok=True)
            path = Path(shots) / f"{self.lang}-{self.who}-{name}.png"
            self.page.screenshot(path=str(path), full_page=True)
        width = self.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        if width[0] > width[1] + 1:
            self.troubles.append(f"{name} is {width[0]} px wide in a window of {width[1]}")
        found = Axe().run(self.page).response["violations"]
        bad = [
            (v["id"], v["impact"], [n["html"][:160] for n in v["nodes"][:3]])
            for v in found
            if v["impact"] in SERIOUS
        ]
        self.troubles += [f"{name} ({self.lang}): {one}" for one in bad]
        self.troubles += [f"{name} asked outside: {url}" for url in self.outside]
        self.troubles += [f"{name}: {complaint}" for complaint in self.complaints]
        self.outside.clear()
        self.complaints.clear()


class People:
    """Opens a browser for somebody, in a language and a size of window."""

    def __init__(self, site: Served, browser: Browser) -> None:
        self.site, self.browser = site, browser
        self.contexts: list[BrowserContext] = []
        self.troubles: list[str] = []

    def __call__(
        self,
        who: str,
        lang: str = "zh",
        size: dict[str, int] | None = None,
        *,
        sign_in: bool = True,
    ) -> Person:
        context = self.browser.new_context(
            viewport=size or DESK,
            locale="zh-CN" if lang == "zh" else "en-GB",
            accept_downloads=True,  # type: ignore[arg-type]
        )
        context.add_cookies([{"name": "lang", "value": lang, "url": self.site.url}])
        self.contexts.append(context)
        made = Person(self.site, context, lang, who, self.troubles)
        if sign_in:
            made.sign_in()
        return made


@pytest.fixture
def people(browser: Browser, served: Served) -> Iterator[People]:
    """Whoever a test needs; their browsers are closed at its end."""
    made = People(served, browser)
    yield made
    for context in made.contexts:
        context.close()
    assert not made.troubles, "\n".join(made.troubles)


def days_from_now(days: int) -> str:
    """A day near today, as a date field takes it."""
    at: datetime = clock() + timedelta(days=days)
    return local_date(at).isoformat()
