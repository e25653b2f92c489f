"""The wizard in Chromium: scenes of the agreement, joint applicants, files to the materials."""

import pytest

from tests.browser.conftest import PHONE, People, Served
from tests.browser.test_roles import example, said

BANK = "91000000DEM000007U"
LANGS = pytest.mark.parametrize("lang", ["zh", "en"])


@pytest.mark.slow
@LANGS
def test_scenes_joint_applicants_and_attachments(people: People, served: Served, lang: str) -> None:
    document = example("application.yaml")
    zhang = people("zhang", lang)
    zhang.go("/applications/new")
    zhang.press(said(lang, "Begin"))
    zhang.fill(object="product", title=f"联合申请 {lang}", summary=document["summary"])
    zhang.page.locator("#agreement").select_option(served.agreement)
    zhang.look("wizard-joint")
    box = zhang.page.locator(f'input[name="joint"][value="{BANK}"]')
    if box.count():
        box.check()
    else:
        zhang.fill(joint=BANK)
    zhang.press(said(lang, "Next"))
    for one in zhang.page.locator("input[name=resources]").all():
        one.check()
    zhang.page.check("#scene-0")
    zhang.page.check("#rights-use")
    zhang.look("wizard-scenes")
    zhang.press(said(lang, "Next"))
    zhang.page.locator("#choose").select_option(index=1)
    zhang.press(said(lang, "Add"))
    zhang.press(said(lang, "Next"))
    for name, text in document["materials"].items():
        zhang.fill(**{f"materials__{name}": text})
    zhang.page.locator('[id="attachments.0.material"]').select_option(index=1)
    zhang.page.locator('[id="attachments.0.digest"]').select_option(index=1)
    zhang.look("wizard-attachments")
    zhang.press(said(lang, "Next"))
    zhang.sees("城市商业银行")
    zhang.look("wizard-joint-check")
    zhang.press(said(lang, "Submit the application"))
    zhang.done()
    number = zhang.number(r"SQ\d{4}-\d{6}")
    zhang.go(f"/applications/{number}")
    zhang.look("application-joint")
    wang = people("wang", lang, PHONE)
    wang.go(f"/applications/{number}")
    wang.look("application-joint-phone")
    wang.go("/applications")
    wang.look("applications-phone")
