"""The page verifier.html reaches the verdict of `ledger.proof.verify` by the same steps, file by file."""

import base64
import hashlib
import http.server
import json
import os
import re
import socket
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from click.testing import CliRunner
from playwright.sync_api import Browser, Page

from ledger.proof import bundle as bundles
from ledger.proof import verify as verifier
from ledger.proof.chain_node import Node
from ledger.proof.encoding import canonical, instant
from ledger.proof.page import PAGE, content_policy, read_page
from ledger.proof.trust import parse_trust
from tests.browser.conftest import PHONE, SERIOUS, Served
from tests.browser.verifier_cases import Case, Cases, bitten, sample
from tests.proof.test_verify import HEAD, STATES, Nonsense
from tests.proof.world import NOW, STATEMENT_KEY, Chain, World, _Handler, _Server, serve
from webapp.cli import main
from webapp.home import Home, clock
from webapp.language import catalogue, speak, translate

BATCH = 150
Found = tuple[int, str, list[tuple[str, int, str]]]

ASK = """async ([blobs, cases]) => {
  const bytes = blobs.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
  const at = (place) => place === null ? null : bytes[place];
  const found = [];
  speak("en");
  for (const [data, trust, status, rpc, offline, now] of cases) {
    const report = await run({ data: at(data), trust: at(trust), status: at(status), rpc, offline, now });
    const steps = report.steps.map((step) => [step.name, step.outcome, say(step.template, step.facts)]);
    found.push([report.exitCode, report.kind, steps]);
  }
  return found;
}"""


class Readable(_Handler):
    """A node that lets web pages read."""

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Access-Control-Allow-Headers", "Content-Type")
        super().end_headers()

    def do_OPTIONS(self) -> None:  # noqa: N802 - the standard library's name
        self.send_response(204)
        self.end_headers()


class Both:
    """Both verifiers, before the same files."""

    def __init__(self, page: Page, folder: Path, server: _Server, url: str) -> None:
        self.page, self.folder, self.server, self.url = page, folder, server, url
        self.compared = 0

    def agree(self, cases: list[Case]) -> list[Found]:
        """What both say of each case; they must say the same."""
        all_said = []
        for start in range(0, len(cases), BATCH):
            batch = cases[start : start + BATCH]
            for case, ours in zip(batch, self.ask_page(batch), strict=True):
                due = self.ask_python(case)
                assert plain(ours) == plain(due), f"{case.name}\npage {ours}\ndue {due}"
                all_said.append(due)
        self.compared += len(cases)
        return all_said

    def ask_page(self, cases: list[Case]) -> list[Found]:
        blobs: dict[bytes, int] = {}

        def place(data: bytes | None) -> int | None:
            return None if data is None else blobs.setdefault(data, len(blobs))

        asked = [
            [place(one.data), place(one.trust), place(one.status), self.rpc(one) or "",
             one.way == "offline", int(one.now.timestamp() * 1000)]
            for one in cases
        ]  # fmt: skip
        texts = [base64.b64encode(data).decode() for data in blobs]
        said = self.page.evaluate(ASK, [texts, asked])
        return [(code, kind, [tuple(step) for step in steps]) for code, kind, steps in said]

    def ask_python(self, case: Case) -> Found:
        trust, status = (
            None if one is None else self.kept(one) for one in (case.trust, case.status)
        )
        report = verifier.run(
            self.kept(case.data), trust, status_path=status, rpc=self.rpc(case),
            offline=case.way == "offline", now=case.now,
        )  # fmt: skip
        steps = [(step.name, step.outcome, step.sentence()) for step in report.steps]
        return report.exit_code, report.kind, steps

    @property
    def chain(self) -> Chain:
        return self.server.chain

    def kept(self, data: bytes) -> str:
        path = self.folder / hashlib.sha256(data).hexdigest()
        if not path.exists():
            path.write_bytes(data)
        return str(path)

    def rpc(self, case: Case) -> str | None:
        return {"offline": None, "unnamed": None, "online": self.url}.get(case.way, case.way)


def plain(found: Found) -> tuple[Any, ...]:
    """What must be the same: verdict, kind, each step's name and outcome, and what was found.

    In other words may be said why a form is wrong, and what speaks of options of the command line.
    """
    code, kind, steps = found
    return (
        code,
        kind,
        [
            (name, outcome, "" if own_words(name, outcome, said) else said)
            for name, outcome, said in steps
        ],
    )


def own_words(name: str, outcome: int, said: str) -> bool:
    return outcome == 2 or (name == "form" and outcome == 1) or "No node was asked" in said


def steps_of(found: list[Found]) -> Counter[tuple[str, int]]:
    return Counter((name, outcome) for _, _, steps in found for name, outcome, _ in steps)


@pytest.fixture(scope="module")
def cases() -> Cases:
    return Cases(World(), World("attacker"))


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """The page, opened from the disk."""
    context = browser.new_context(locale="en-GB")
    made = context.new_page()
    complaints: list[str] = []
    made.on("pageerror", lambda error: complaints.append(str(error)))
    made.goto(PAGE.as_uri())
    yield made
    context.close()
    assert not complaints, complaints


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[_Server, str]]:
    made = _Server(("127.0.0.1", 0), Readable)
    with serve(made) as url:
        yield made, url


@pytest.fixture
def both(
    page: Page, server: tuple[_Server, str], cases: Cases, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Both:  # fmt: skip
    monkeypatch.delenv("CHAIN_RPC_URL", raising=False)
    server[0].chain = cases.world.chain()
    return Both(page, tmp_path, *server)


# The same verdict by the same steps


def test_both_agree_on_each_document_under_each_trust_file_list_clock_and_way(
    both: Both, cases: Cases
) -> None:
    found = both.agree(sample(cases.plain(), 150) + sample(islice(cases.every(), 0, None, 991), 60))
    assert {code for code, _, _ in found} == {0, 1, 2}
    assert {kind for _, kind, _ in found} >= {
        "bundle",
        "line proof",
        "package",
        "receipt",
        "row",
        "tlog-proof",
        "voucher",
    }
    seen = steps_of(found)
    for step in (
        ("anchor", 0), ("anchor", 1), ("chain", 0), ("chain", 1), ("chain", 2), ("form", 1), ("form", 2),
        ("package", 0), ("promise", 0), ("record", 0), ("signature", 0), ("signature", 1), ("state", 0),
        ("state", 1), ("status", 0), ("status", 1), ("status", 2), ("time", 1), ("time", 2), ("trust", 1),
        ("trust", 2), ("voucher", 0), ("voucher", 1), ("voucher", 2), ("witness", 0), ("witness", 2),
    ):  # fmt: skip
        assert seen[step], step


def test_both_agree_on_what_is_signed_but_odd(both: Both, cases: Cases) -> None:
    seen = steps_of(both.agree(list(cases.odd())))
    for name in (
        "credential", "form", "length", "manifest", "package", "range", "root", "row", "share",
        "signature", "status", "trust", "voucher", "witness",
    ):  # fmt: skip
        assert seen[name, 1], name


def test_both_agree_on_files_that_a_forger_changed(both: Both, cases: Cases) -> None:
    found = both.agree(sample(cases.damaged(), 250))
    seen = steps_of(found)
    for name in ("credential", "form", "payload", "signature", "trust"):
        assert seen[name, 1], name


@pytest.mark.slow
def test_both_agree_on_every_document_under_each_other_thing(both: Both, cases: Cases) -> None:
    both.agree(list(cases.plain()) + sample(islice(cases.every(), 0, None, 83), 6000))


@pytest.mark.slow
def test_both_agree_on_everything_a_forger_tries(both: Both, cases: Cases) -> None:
    both.agree(list(cases.damaged()))


# The node


@pytest.fixture
def online(cases: Cases) -> list[Case]:
    own = cases.trusts["own"]
    names = (
        "bundle",
        "line",
        "package",
        "receipt",
        "record",
        "tlog-proof",
        "voucher",
        "at a later size",
    )
    return [Case(name, cases.documents[name], own, None, "online") for name in names]


def test_both_agree_whatever_the_contracts_hold(
    both: Both, online: list[Case], cases: Cases
) -> None:
    (held,) = both.chain.vouchers.values()
    for word, (state, flags) in STATES.items():
        held[1:3] = state, flags
        assert any(
            f"is {word} now" in said for _, _, steps in both.agree(online) for _, _, said in steps
        )
    size = cases.world.size
    for root in (bytes(32), cases.world.registry.root(size - 1)):
        both.server.chain = cases.world.chain()
        both.chain.roots[size] = root
        assert steps_of(both.agree(online))["anchor", 1]
    line = [one for one in online if one.name == "line"]
    for state, code in enumerate((2, 2, 0, 1, 1, 2)):
        both.chain.statements[STATEMENT_KEY][2] = state
        assert [found[0] for found in both.agree(line)] == [code]
    for place in (0, 1):
        both.server.chain = cases.world.chain()
        both.chain.statements[STATEMENT_KEY][place] = bytes(32)
        assert steps_of(both.agree(line))["state", 1]
    both.server.chain = cases.world.chain()
    both.chain.statements[STATEMENT_KEY][5] = b"\x01" * 32
    for state, code in enumerate((2, 1, 1, 1, 1, 2)):
        both.chain.statements[STATEMENT_KEY][2] = state
        assert [found[0] for found in both.agree(line)] == [code]
    both.server.chain = cases.world.chain()
    both.chain.statements[STATEMENT_KEY][4] = 256
    assert [found[0] for found in both.agree(line)] == [2]
    both.server.chain = cases.world.chain()
    both.chain.vouchers.clear()
    assert steps_of(both.agree(online))["state", 1]


def test_both_agree_on_a_document_that_names_another_transaction(both: Both, cases: Cases) -> None:
    for anchor in ({"block": 8}, {"transaction": "0x" + "11" * 32}):
        document = {**cases.world.document, "anchor": {**cases.world.document["anchor"], **anchor}}
        case = Case("hint", canonical(document), cases.trusts["own"])
        assert [code for code, _, _ in both.agree([case, replace(case, way="online")])] == [0, 1]


@pytest.mark.parametrize("method", [
    "eth_blockNumber", "eth_call", "eth_chainId", "eth_getBlockByNumber", "eth_getTransactionReceipt",
])  # fmt: skip
def test_both_agree_when_a_node_refuses_to_answer(
    both: Both, online: list[Case], method: str
) -> None:
    both.chain.refuses.add(method)
    both.agree(online)


NONSENSE = [
    None, "0xzz", [], "0x" + "00" * 32, {"hash": None}, {"logs": [{"address": 5}]},
    *(pytest.param(result, marks=pytest.mark.slow) for result in (
        5, "", "0", "0x", "0x0", {}, "ab", "0x" + "00" * 64, "0x" + "ff" * 64, {"logs": None},
        {"logs": [{}]},
    )),
]  # fmt: skip


@pytest.mark.parametrize("result", NONSENSE)
def test_both_agree_when_a_node_answers_nonsense(
    both: Both, online: list[Case], monkeypatch: pytest.MonkeyPatch, result: Any
) -> None:
    honest = both.chain.answer
    for method in ("eth_call", "eth_chainId", "eth_getBlockByNumber", "eth_getTransactionReceipt"):
        monkeypatch.setattr(
            both.chain, "answer",
            lambda asked, given, told=method: result if asked == told else honest(asked, given),
        )  # fmt: skip
        both.agree(online)


def test_both_agree_on_a_node_of_another_chain(both: Both, online: list[Case]) -> None:
    both.chain.chain_id = 2
    assert steps_of(both.agree(online))["chain", 1]
    both.chain.chain_id, both.chain.genesis = 1, "0x" + "cd" * 32
    assert steps_of(both.agree(online))["chain", 1]


def test_both_agree_on_a_server_that_is_no_node(both: Both, online: list[Case]) -> None:
    for says in (
        b"",
        b"HTTP/1.0 500 no\r\n\r\n",
        HEAD,
        HEAD + b"[]",
        HEAD + b"\xff",
        HEAD + b"[" * 9999,
    ):
        handler = type("Handler", (Nonsense,), {"says": says})
        with serve(http.server.HTTPServer(("127.0.0.1", 0), handler)) as url:
            (found,) = both.agree([replace(online[0], way=url)])
        assert found[0] == 2


def test_both_agree_on_addresses_that_are_none(both: Both, online: list[Case]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{unused.getsockname()[1]}"
        for url in (
            nobody,
            "http://",
            "http://[",
            "http://a b/",
            "ftp://a",
            "127.0.0.1:8545",
            "file:///etc",
        ):
            (found,) = both.agree([replace(online[0], way=url)])
            assert found[0] == 2, url


# Real documents of a town with a node


@pytest.mark.slow
def test_both_agree_on_the_demos_documents_and_its_forgeries_with_the_real_node(
    both: Both, served: Served, tmp_path: Path
) -> None:
    folder = served.home / "demo"
    served.shuzheng(
        "voucher", "bundle", served.voucher, "--home", str(served.home),
        "-o", str(tmp_path / "entry.tlog-proof"),
    )  # fmt: skip
    home = Home(served.home)
    url = home.node_url()
    home.close()
    trusts = {path.name: path.read_bytes() for path in folder.rglob("*trust*.json")}
    files = {
        path.name: path.read_bytes()
        for place in (folder, folder / "tampered", tmp_path) for path in sorted(place.iterdir())
        if path.is_file() and path.suffix in (".json", ".zip", ".pdf", ".tlog-proof")
    }  # fmt: skip
    now, status = clock().replace(microsecond=0), files["status.json"]
    found = both.agree([
        Case(f"{name} {whose} {way}", data, trust, given, way, now)
        for name, data in files.items() for whose, trust in trusts.items()
        for way in ("offline", url) for given in (None, status)
    ])  # fmt: skip
    assert Counter(code for code, _, _ in found)[0] >= 10
    own = trusts["trust.json"]
    for name in ("bundle.json", "entry.tlog-proof", "package.zip", "voucher.json"):
        (right,) = both.agree([Case(name, files[name], own, None, url, now)])
        assert right[0] == 0, right
        assert steps_of([right])["state" if name == "voucher.json" else "anchor", 0]
        both.agree([
            Case(f"{name} {what}", data, own, status, way, now)
            for what, data in bitten(files[name], max(1, len(files[name]) // 150))
            for way in ("offline", url)
        ])  # fmt: skip


# The page itself


def file(name: str, data: bytes) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": data}


def choose(page: Page, document: bytes, trust: bytes | None = None, **text: str) -> None:
    """Fill in the form as a person does, and press the button."""
    page.set_input_files("#file", file("document", document))
    page.set_input_files("#trust", [] if trust is None else file("trust.json", trust))
    for name, value in text.items():
        page.fill(f"#{name}", value)
    page.click("#check")
    page.wait_for_selector("#check:enabled")


def look(page: Page, name: str) -> None:
    """The page is in order: nothing scrolls sideways, axe is content; a picture."""
    shots = os.environ.get("SHUZHENG_SHOTS")
    if shots:
        Path(shots).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(shots) / f"verifier-{name}.png"), full_page=True)
    width, window = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width <= window + 1
    bad = [v["id"] for v in Axe().run(page).response["violations"] if v["impact"] in SERIOUS]
    assert not bad, bad


@pytest.fixture
def own_language() -> Iterator[None]:
    """What a test makes this thread speak ends with it."""
    yield
    speak(None)


@pytest.mark.usefixtures("own_language")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_person_sees_the_steps_as_they_are_taken_and_a_clear_verdict(
    browser: Browser, both: Both, cases: Cases, lang: str
) -> None:
    speak(lang)
    context = browser.new_context(
        locale={"zh": "zh-CN", "en": "en-GB"}[lang],
        **({"viewport": PHONE} if lang == "en" else {}),  # type: ignore[arg-type]
    )
    page = context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(PAGE.as_uri())
    look(page, f"{lang}-empty")
    own, at = cases.trusts["own"], instant(NOW)
    report = verifier.verify(
        cases.world.package, parse_trust(own or b""), now=NOW, node=Node(both.url)
    )
    choose(page, cases.world.package, own, now=at, node=both.url)
    said = (lambda text: catalogue()[text]) if lang == "zh" else str
    assert said("valid") in page.inner_text("#verdict").lower()
    shown = page.locator("#steps li p").all_inner_texts()
    assert shown == [step.sentence(translate if lang == "zh" else str) for step in report.steps]
    assert hashlib.sha256(own or b"").hexdigest() in page.inner_text("#used")
    look(page, f"{lang}-valid")
    assert set(asked) == {PAGE.as_uri(), both.url + "/"}
    choose(page, cases.world.bundle.replace(b"voucher.issued", b"voucher.forged"), own, node="")
    assert said("not valid") in page.inner_text("#verdict").lower()
    look(page, f"{lang}-not-valid")
    choose(page, cases.world.bundle)
    assert said("cannot tell") in page.inner_text("#verdict").lower()
    look(page, f"{lang}-cannot-tell")
    page.click({"zh": "#en", "en": "#zh"}[lang])
    assert page.locator("html").get_attribute("lang") == {"zh": "en", "en": "zh"}[lang]
    assert said("cannot tell") not in page.inner_text("#verdict").lower()
    context.close()


def test_the_page_is_used_with_the_keyboard_alone(browser: Browser, cases: Cases) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(PAGE.as_uri())
    page.set_input_files("#file", file("document", cases.world.bundle))
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id"))
    assert order == ["zh", "en", "file", "trust", "status", "node", "offline", "now", "check"]
    page.keyboard.press("Enter")
    page.wait_for_selector("#check:enabled")
    assert page.evaluate("document.activeElement.id") == "result-title"
    context.close()


def test_what_is_missing_or_misspelt_is_said_at_its_field(browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(PAGE.as_uri())
    page.click("#check")
    assert page.inner_text("#file-wrong") == "Choose a file first."
    assert page.evaluate("document.activeElement.id") == "file"
    page.set_input_files("#file", file("document", b"{}"))
    for wrong in ("yesterday", "1969-12-31T23:59:59Z", "2026-02-30T00:00:00Z"):
        page.fill("#now", wrong)
        page.click("#check")
        assert "1970 or later" in page.inner_text("#now-wrong")
        assert page.locator("#now").get_attribute("aria-invalid") == "true"
    assert not page.is_visible("#result")
    context.close()


def test_a_dropped_file_is_chosen(page: Page, cases: Cases) -> None:
    text = base64.b64encode(cases.world.bundle).decode()
    page.evaluate(
        """(text) => {
          const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "dropped.json"));
          const drop = new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true });
          document.querySelector("[data-drop=file]").dispatchEvent(drop);
        }""",
        text,
    )
    page.click("#check")
    page.wait_for_selector("#check:enabled")
    assert "dropped.json" in page.inner_text("#used")
    assert hashlib.sha256(cases.world.bundle).hexdigest() in page.inner_text("#used")


def test_what_a_document_says_is_shown_as_text_alone(page: Page, cases: Cases) -> None:
    title = "<img src=x onerror=alert(1)>\u202e\n\x1b"
    registry = cases.world.registry
    subject = {**cases.world.credential["credentialSubject"], "title": title}
    voucher = canonical(registry.voucher(credentialSubject=subject))
    choose(page, voucher, cases.trusts["own"], now=instant(NOW))
    shown = page.inner_text("#steps")
    assert "<img src=x onerror=alert(1)>\\u202e\\n\\x1b" in shown
    assert page.locator("#steps img").count() == 0


def test_without_web_crypto_the_page_says_what_to_do(browser: Browser) -> None:
    context = browser.new_context(locale="en-GB")
    context.route("**/*", lambda route: route.fulfill(body=read_page(), content_type="text/html"))
    page = context.new_page()
    page.goto("http://registry.example/verifier.html")
    page.wait_for_selector("#lacking:visible")
    assert "save the page and open the file" in page.inner_text("#lacking")
    assert page.is_disabled("#check")
    assert page.is_visible("#from-site")
    look(page, "en-lacking")
    context.close()


def test_the_policy_in_the_page_is_that_of_its_script_and_style(page: Page) -> None:
    due = content_policy(read_page())
    (stated,) = re.findall(
        r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', read_page().decode()
    )
    assert stated == due, f"write into the page: {due}"
    ran = page.evaluate(
        """() => {
          const more = document.createElement("script");
          more.textContent = "globalThis.ran = true";
          document.head.append(more);
          return globalThis.ran === true;
        }"""
    )
    assert not ran


def test_the_page_speaks_the_words_of_the_command(page: Page) -> None:
    sentences = page.evaluate("SENTENCES")
    known = catalogue()
    other = {text: known[text] for text, zh in sentences.items() if known.get(text, zh) != zh}
    assert not other, f"write into SENTENCES of the page (and then its policy): {other}"
    for text, zh in sentences.items():
        fields = re.findall(r"\{\w+\}", text)
        assert sorted(fields) == sorted(re.findall(r"\{\w+\}", zh)), text
        assert re.search(r"[\u4e00-\u9fff]", zh), text


@pytest.mark.slow
def test_a_package_of_more_files_than_the_page_reads_is_not_judged(
    both: Both, cases: Cases
) -> None:
    """The one kind of file on which the page is silent where the command speaks."""
    files = {f"{number}": b"" for number in range(65536)}
    case = Case("too many files", bundles.write_zip(files), cases.trusts["own"])
    ((code, _, steps),) = both.ask_page([case])
    assert (code, [step[0] for step in steps]) == (2, ["form"])
    assert both.ask_python(case)[0] == 1


@pytest.mark.slow
def test_the_site_serves_the_page_and_it_judges_the_demos_package(
    browser: Browser, served: Served
) -> None:
    home = Home(served.home)
    url = home.node_url()
    home.close()
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    answer = page.goto(served.url + "/verifier.html")
    assert answer is not None
    assert answer.body() == read_page()
    policy = answer.headers["content-security-policy"]
    assert policy == f"{content_policy(read_page())}; frame-ancestors 'none'"
    folder = served.home / "demo"
    package, trust = ((folder / name).read_bytes() for name in ("package.zip", "trust.json"))
    choose(page, package, trust, node=url)
    assert page.inner_text("#verdict .word").lower() == "valid"
    assert "the registry's own embedded chain" in page.inner_text("#steps")
    look(page, "en-on-the-site")
    assert not heard, heard
    context.close()


def test_the_command_writes_the_page_and_tells_its_digest(tmp_path: Path) -> None:
    written = tmp_path / "verify.html"
    done = CliRunner().invoke(main, ["verifier", "-o", str(written), "--json"])
    assert done.exit_code == 0, done.output
    assert written.read_bytes() == read_page()
    digest = hashlib.sha256(read_page()).hexdigest()
    assert json.loads(done.stdout) == {"path": str(written), "sha256": digest}
    assert digest in CliRunner().invoke(main, ["verifier", "-o", str(written)]).stdout
