"""Another registry's vouchers in Chromium: its trust file admitted by two people, a voucher recognised."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.browser.conftest import PHONE, People
from tests.browser.test_roles import said
from tests.ledger.neighbours import Neighbour
from webapp.home import clock

LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


@pytest.mark.slow
@LANGS
def test_a_voucher_of_another_registry_is_recognised(
    people: People, lang: str, tmp_path: Path
) -> None:
    town: Any = SimpleNamespace(now=clock())
    near = Neighbour(town, f"{lang}.neighbour.example/log")
    files = {"trust.json": near.trust_file, "bundle.json": near.bundle,
             "bad.json": near.voucher.replace("泊位".encode(), "车位".encode())}  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    registry = {"zh": "重庆登记机构", "en": "Registry of Chongqing"}[lang]
    wang, xu, zhou = people("wang", lang), people("xu", lang), people("zhou", lang)
    wang.go("/peers")
    wang.click(said(lang, "Propose another registry"))
    wang.page.set_input_files("#file", str(tmp_path / "trust.json"))
    wang.fill(registry=registry)
    wang.look("peer-form")
    wang.press(said(lang, "Propose another registry"))
    wang.look("peer-proposed")
    peer = wang.page.url.removeprefix(people.site.url)
    xu.go("/work")
    xu.look("work-peer")
    xu.go(f"{peer}/admit")
    xu.fill(fingerprint="00000000")
    xu.press()
    xu.look("peer-wrong-fingerprint")
    xu.fill(fingerprint=near.fingerprint)
    xu.press()
    xu.look("peer-admitted")
    zhou.go("/recognitions")
    zhou.click(said(lang, "Recognise a voucher"))
    zhou.page.set_input_files("#file", str(tmp_path / "bad.json"))
    zhou.press(said(lang, "Recognise a voucher"))
    zhou.sees(said(lang, "What was checked"))
    zhou.look("recognition-refused")
    zhou.page.set_input_files("#file", str(tmp_path / "bundle.json"))
    zhou.press(said(lang, "Recognise a voucher"))
    zhou.look("recognised")
    nobody = people("public", lang, PHONE, sign_in=False)
    nobody.go("/recognitions")
    nobody.look("recognitions-phone")
    with nobody.page.expect_navigation():
        nobody.page.locator("main tbody th a").first.click()
    nobody.look("recognition-phone")
    wang.go("/peers")
    wang.look("peers")
