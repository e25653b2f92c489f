"""Each role's part of the main job, clicked through in Chromium, in both languages.

The tests of a language follow each other as the job does: what one person leaves, the next one finds
among what waits for him. Names given to `look` are those of the screenshots.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ledger.calendar import local_date, years_after
from ledger.chain import keys
from tests.browser.conftest import DATA, PHONE, People, Served, days_from_now
from webapp.home import clock
from webapp.language import catalogue

# The verifier's page is what `make test` looks at in Chromium.
pytestmark = pytest.mark.slow
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])
HOLDERS = {lang: keys.address_of(bytes([n]) * 32) for n, lang in ((21, "zh"), (22, "en"))}
LICENSEES = {lang: keys.address_of(bytes([n]) * 32) for n, lang in ((23, "zh"), (24, "en"))}
BANK, TREASURY = "91000000DEM000007U", "11000000DEM0000061"
PERIOD_END = {"zh": -2, "en": -1}  # each language has a period of its own
REGISTRATION, VOUCHER = r"DJ\d{6}-\d{6}-[0-9A-Z]", r"PZ\d{6}-\d{6}-[0-9A-Z]"
APPRAISAL, STATEMENT = r"PG\d{4}-\d{4}", r"FP\d{4}-\d{4}"
made: dict[str, dict[str, str]] = {"zh": {}, "en": {}}


def said(lang: str, text: str) -> str:
    """A sentence of the site in a language."""
    return catalogue()[text] if lang == "zh" else text


def example(name: str) -> Any:
    return yaml.safe_load((DATA / name).read_text())


@LANGS
class TestTheMainJob:
    """In order; each needs the one before."""

    def test_the_operator_applies_in_the_wizard(
        self, people: People, served: Served, lang: str, tmp_path: Path
    ) -> None:
        zhang = people("zhang", lang)
        zhang.look("work")
        zhang.go("/deposits/new")
        zhang.look("deposit-form")
        data = tmp_path / f"stations-{lang}.csv"
        data.write_text("code,name,opened\n" + "".join(
            f"A{n},站{n},2020-01-{n:02}\n" for n in range(1, 29)) + lang)  # fmt: skip
        data.write_text(data.read_text().removesuffix(lang) + f"Z1,{lang},2021-05-01\n")
        zhang.page.set_input_files("#file", str(data))
        zhang.press()
        zhang.sees(data.name)
        zhang.look("deposit")
        zhang.go("/applications/new")
        zhang.look("wizard-start")
        zhang.press(said(lang, "Begin"))
        document = example("application.yaml")
        title = {"zh": "站点统计产品", "en": "Station statistics"}[lang]
        zhang.fill(object="product", title=title)
        zhang.look("wizard-what")
        zhang.press(said(lang, "Next"))  # what is missing is told at its field
        zhang.look("wizard-what-missing")
        zhang.fill(summary=document["summary"])
        zhang.page.locator("#agreement").select_option(served.agreement)
        zhang.press(said(lang, "Next"))
        for box in zhang.page.locator("input[name=resources]").all():
            box.check()
        zhang.page.check("#rights-use")
        zhang.page.check("#rights-operating")
        zhang.look("wizard-resources")
        zhang.press(said(lang, "Next"))
        chosen = zhang.page.locator("#choose option", has_text=data.name)
        zhang.page.select_option("#choose", chosen.first.get_attribute("value"))
        zhang.press(said(lang, "Add"))
        zhang.press(said(lang, "Propose rules"))
        zhang.look("wizard-data")
        zhang.press(said(lang, "Next"))
        for name, text in document["materials"].items():
            zhang.fill(**{f"materials__{name}": text})
        zhang.look("wizard-materials")
        zhang.press(said(lang, "Next"))
        zhang.look("wizard-check")
        zhang.press(said(lang, "Submit the application"))
        zhang.done()
        zhang.look("job-done")
        made[lang]["application"] = zhang.number(r"SQ\d{4}-\d{6}")

    def test_the_registrar_reviews_it(self, people: People, lang: str) -> None:
        wang = people("wang", lang)
        number = made[lang]["application"]
        wang.sees(number)
        wang.look("work")
        wang.go(f"/applications/{number}")
        wang.look("application")
        wang.click(said(lang, "Accept"))
        wang.press(said(lang, "Accept"))
        wang.click(said(lang, "Pass the review"))
        wang.fill(formal="材料齐全")
        wang.press(said(lang, "Pass the review"))  # nothing found yet: told at each item
        wang.look("review-missing")
        findings = example("review.yaml")["compliance"]
        for item, finding in findings.items():
            wang.fill(**{f"compliance__{item}__{name}": value for name, value in finding.items()})
        wang.look("review")
        wang.press(said(lang, "Pass the review"))
        wang.click(said(lang, "Give public notice"))
        wang.press(said(lang, "Give public notice"))
        wang.look("on-notice")
        nobody = people("public", lang, sign_in=False)
        nobody.go("/notices")
        nobody.sees(number)
        nobody.look("notices")

    def test_the_registrar_codes_and_issues_the_voucher(
        self, people: People, served: Served, lang: str
    ) -> None:
        wang = people("wang", lang)
        wang.go(f"/applications/{served.prepared[lang]}")
        wang.click(said(lang, "Code"))
        wang.look("code-form")
        wang.press(said(lang, "Code"))
        made[lang]["code"] = wang.number(REGISTRATION)
        wang.look("registration")
        wang.click(said(lang, "Issue the voucher"))
        wang.fill(holder_address=HOLDERS[lang].lower())
        wang.press(said(lang, "Issue the voucher"))
        wang.look("issue-misspelled")
        wang.fill(holder_address=HOLDERS[lang])
        wang.press(said(lang, "Issue the voucher"))
        made[lang]["voucher"] = wang.number(VOUCHER)
        wang.look("voucher-fresh")
        wang.page.reload()  # without the sentence that says it will be effective
        wang.wait_for(said(lang, "effective"))
        wang.look("voucher")

    def test_two_appraisers_value_it(self, people: People, lang: str) -> None:
        sun = people("sun", lang)
        sun.go(f"/registrations/{made[lang]['code']}/appraisals?approach=cost&approach=income"
               "&approach=market")  # fmt: skip
        document = example("appraisal.yaml")
        sun.fill(purpose=document["purpose"], base_on=days_from_now(0))
        sun.fill(assumptions="\n".join(document["assumptions"]))
        sun.fill(**{f"weights__{w['method']}__reason": w["reason"] for w in document["weights"]})
        sun.fill(**{f"disclosures__{k}": v for k, v in document["disclosures"].items()})
        sun.look("appraisal-form")
        sun.press(said(lang, "Draft an appraisal"))
        number = made[lang]["appraisal"] = sun.number(APPRAISAL)
        sun.look("appraisal-drafted")
        qian = people("qian", lang)
        qian.sees(number)
        qian.look("work")
        qian.go(f"/appraisals/{number}")
        for details in qian.page.locator("main details").all():
            details.evaluate("e => e.open = true")
        qian.look("appraisal-steps")
        qian.click(said(lang, "Approve"))
        qian.press(said(lang, "Approve"))
        qian.look("appraisal")

    def test_the_operator_sells_a_licence_and_finance_books_the_payment(
        self, people: People, lang: str
    ) -> None:
        zhang = people("zhang", lang)
        zhang.go(f"/vouchers/{made[lang]['voucher']}")
        zhang.click(said(lang, "Sell a licence"))
        order = made[lang]["order"] = f"XK-{lang}-1"
        until = (years_after(local_date(clock()), 1)).isoformat()
        zhang.fill(
            order=order, licensee=BANK, licensee_address=LICENSEES[lang], right="use",
            purpose="governance", terms="scene: 区域公共卫生风险评估", from_on=days_from_now(0),
            until_on=until,
            price_yuan="120000.00",
        )  # fmt: skip
        zhang.look("licence-form")
        zhang.press(said(lang, "Sell a licence"))  # use for governance is free of charge
        zhang.look("licence-refused")
        zhang.fill(purpose="industry")
        zhang.press(said(lang, "Sell a licence"))
        zhang.sees(order, "120,000.00")
        zhang.look("licence")
        wu = people("wu", lang)
        wu.sees(order)
        wu.go(f"/licences/{order}/payments")
        wu.fill(amount_yuan="120000", received_on=days_from_now(PERIOD_END[lang]),
                reference=f"BANK-{lang}-1")  # fmt: skip
        wu.look("payment-form")
        wu.press(said(lang, "Record a payment"))
        wu.sees("113,207.55")
        wu.look("payment")

    def test_finance_shares_it_out_and_the_checker_signs_with_his_own_key(
        self, people: People, served: Served, lang: str, tmp_path: Path
    ) -> None:
        wu = people("wu", lang)
        wu.look("work")
        wu.go("/agreements")
        wu.click(served.agreement)
        wu.look("agreement")
        wu.click(said(lang, "Draft a statement"))
        wu.fill(until_on=days_from_now(PERIOD_END[lang]))
        if lang == "en":
            wu.fill(from_on=days_from_now(PERIOD_END[lang]))
        wu.fill(facts__platform_cost_fen="20000.00")
        wu.look("statement-form")
        wu.press(said(lang, "Draft a statement"))
        number = made[lang]["statement"] = wu.number(STATEMENT)
        wu.look("statement-drafted")
        wu.click(said(lang, "Put before the checker"))
        wu.press(said(lang, "Put before the checker"))
        zheng = people("zheng", lang)
        zheng.sees(number)
        zheng.go(f"/statements/{number}")
        zheng.wait_for(said(lang, "effective"))
        zheng.look("statement-proposed")
        zheng.go(f"/statements/{number}/approve")
        zheng.look("approve")
        with zheng.page.expect_download() as download:
            zheng.page.locator("a", has_text=".json").first.click()
        request, signed = tmp_path / "request.json", tmp_path / "signed.json"
        download.value.save_as(request)
        passphrase = (served.home / "demo" / "passphrase").read_text().strip()
        served.shuzheng("sign", str(request), "--keystore", str(served.home / "offline" / "checker.json"),
                        "-o", str(signed), "--yes", SHUZHENG_KEY_PASSPHRASE=passphrase)  # fmt: skip
        zheng.page.set_input_files("#file", str(request))  # the wrong file
        zheng.press()
        zheng.look("approve-wrong-file")
        zheng.page.set_input_files("#file", str(signed))
        zheng.press()
        zheng.go(f"/statements/{number}")
        zheng.wait_for(said(lang, "posted"))
        for details in zheng.page.locator("main details").all():
            details.evaluate("e => e.open = true")
        zheng.look("statement-posted")

    def test_the_exchange_packs_the_listing_package(self, people: People, lang: str) -> None:
        zhou = people("zhou", lang)
        zhou.look("work")
        zhou.go(f"/vouchers/{made[lang]['voucher']}")
        zhou.click(said(lang, "Pack the listing package"))
        zhou.fill(pricing="basis: 协议定价")
        zhou.press(said(lang, "Pack the listing package"))
        address = zhou.page.url
        zhou.page.close()  # the page may be closed; the work goes on
        zhou.page = zhou.context.new_page()
        zhou.page.goto(address)
        zhou.done()
        zhou.look("package-done")
        with zhou.page.expect_download() as download:
            zhou.page.locator("main a[href$='/file']").first.click()
        package = Path(download.value.path())
        nobody = people("public", lang, sign_in=False)
        nobody.go("/verify")
        nobody.look("verify")
        nobody.page.set_input_files(
            "input[type=file][name=file]",
            {"name": "a.zip", "mimeType": "application/zip", "buffer": package.read_bytes()},
        )
        nobody.press(said(lang, "Verify the file"))
        nobody.look("verify-report")
        nobody.sees(said(lang, "valid"))

    def test_the_regulator_freezes_and_everybody_sees_it(self, people: People, lang: str) -> None:
        feng = people("feng", lang)
        feng.look("work")
        number = made[lang]["voucher"]
        feng.go(f"/vouchers/{number}")
        feng.click(said(lang, "Freeze"))
        feng.fill(basis="监管决定〔2026〕1号", reason="专项检查")
        feng.press(said(lang, "Freeze"))
        feng.sees(said(lang, "frozen"))
        phone = people("public", lang, PHONE, sign_in=False)
        phone.go("/verify")
        phone.look("phone-verify")
        phone.fill(q=number.lower().replace("-", " "))
        phone.press(said(lang, "Verify"))
        phone.sees(number, said(lang, "frozen"))
        phone.look("phone-voucher")
        feng.go(f"/vouchers/{number}")
        feng.click(said(lang, "Unfreeze"))
        feng.fill(basis="监管决定〔2026〕2号", reason="检查结束")
        feng.press(said(lang, "Unfreeze"))
        feng.go("/house")
        feng.look("house")
        feng.go("/audits")
        feng.press()
        feng.done()
        feng.look("audit-done")

    def test_the_implementing_body_and_the_data_subject_find_their_way(
        self, people: People, lang: str
    ) -> None:
        for who in ("li", "chen"):
            person = people(who, lang)
            person.look("work")
        person.go("/permissions")
        person.look("permissions")
        li = people("li", lang)
        li.go("/agreements")
        li.look("agreements")
        li.go("/resources?words=" + {"zh": "區", "en": "307001"}[lang])
        li.look("catalogue")
        li.page.locator(".sz-found h2 a").first.click()
        li.look("resource")

    def test_the_administrator_lets_somebody_in(self, people: People, lang: str) -> None:
        admin = people("admin", lang)
        admin.look("work")
        admin.go(f"/parties/{TREASURY}")
        admin.look("party")
        admin.go(f"/parties/{TREASURY}/members")
        login = f"new{lang}"
        admin.fill(login=login, name="新成员")
        admin.page.check("#roles-finance_maker")
        admin.look("member-form")
        admin.press(said(lang, "Enter a member"))
        admin.go(f"/members/{login}/password-reset")
        admin.press()
        password = admin.number(r"[a-z2-9]{4}(-[a-z2-9]{4}){3}")
        admin.look("one-time-password")
        admin.go("/members")
        admin.look("members")
        fresh = people(login, lang, sign_in=False)
        fresh.go("/sign-in")
        fresh.look("sign-in")
        fresh.sign_in(password)
        fresh.look("must-change")
        fresh.fill(old=password, new="ein langer guter Satz 9", again="ein langer guter Satz 9")
        fresh.press()
        fresh.look("work")
        fresh.go("/tokens")
        fresh.fill(name="报表", days="30")
        fresh.page.check("#scopes-read")
        fresh.press(said(lang, "Make an API token"))
        assert re.search(r"sz_\S{40,}", fresh.page.locator("main").inner_text())
        fresh.look("tokens")


@LANGS
def test_the_public_pages_are_in_order(people: People, served: Served, lang: str) -> None:
    nobody = people("public", lang, sign_in=False)
    for path, name in (
        ("/", "start"), ("/log", "log"), ("/resources", "catalogue"), ("/nothing", "not-found"),
        ("/registrations", "registrations"), (f"/verify/{served.voucher}", "voucher"),
    ):  # fmt: skip
        nobody.go(path)
        nobody.look(name)
    phone = people("public", lang, PHONE, sign_in=False)
    for path, name in (("/", "phone-start"), (f"/verify/{served.voucher}", "phone-voucher-demo")):
        phone.go(path)
        phone.look(name)


@LANGS
def test_the_interactive_document_of_the_api_loads_from_here_alone(
    people: People, lang: str
) -> None:
    nobody = people("public", lang, sign_in=False)
    nobody.go("/api/docs")
    nobody.page.wait_for_selector(".opblock")
    assert not nobody.outside
    assert not nobody.complaints


def test_a_chinese_page_has_no_english_sentence(people: People, served: Served) -> None:
    """Untranslated templates would show as English words; names, codes and units are no words of ours."""
    wang = people("wang", "zh")
    english = re.compile(r"\b[a-z]{3,}(?: [a-z]{2,}){2,}")
    for path in (
        "/work", "/applications", f"/applications/{served.prepared['zh']}", "/vouchers", "/log",
        f"/vouchers/{served.voucher}", f"/verify/{served.voucher}", "/verify", "/permissions",
        "/registrations", "/resources", "/notices", "/password", "/tokens", "/appraisals",
    ):  # fmt: skip
        wang.go(path)
        found = english.findall(wang.page.locator("main").inner_text())
        assert not found, (path, found)
