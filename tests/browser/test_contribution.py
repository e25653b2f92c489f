"""Contributions typed in, wrong and right, in Chromium: both languages, desk and telephone."""

import pytest

from tests.browser.conftest import DESK, PHONE, People
from tests.browser.test_appraisals import LANGS, legible
from tests.browser.test_roles import said
from webapp.pages.contribution import EXAMPLES

MANY = "v: 1\ngame: formula\nformula: min(sum_usage, 900) * 100 * max_quality\n" + (
    "sampling: {seed: 7, draws: 20000}\nplayers:\n"
    + "\n".join(f"  - {{id: 数据来源{k}, usage: {20 + 3 * k}, quality: 0.{50 + k}}}" for k in range(24))
)  # fmt: skip


@pytest.mark.slow
@LANGS
def test_a_contribution_is_computed_and_its_faults_are_marked(people: People, lang: str) -> None:
    for size, name in ((DESK, "desk"), (PHONE, "phone")):
        zhang = people("zhang", lang, size)
        zhang.go("/contribution")
        zhang.sees(said(lang, "Contributions"))
        zhang.look(f"contribution-empty-{name}")
        zhang.fill(document=EXAMPLES["uses"].replace("0.95", "1.95").replace("[气象局]", "[气象]"))
        zhang.press()
        zhang.sees("players[0].quality", "uses[1].needs[0]")
        zhang.look(f"contribution-refused-{name}")
        zhang.fill(document=EXAMPLES["uses"])
        zhang.press()
        zhang.sees(said(lang, "Shapley value (yuan)"), said(lang, "Leave-one-out share"))
        assert zhang.page.locator("svg.sz-chart").count() == 1
        zhang.page.locator("details summary").first.click()
        legible(zhang)
        zhang.look(f"contribution-uses-{name}")
        zhang.fill(document=MANY)
        zhang.press()
        zhang.sees(said(lang, "Standard error (yuan)"))
        legible(zhang)
        zhang.look(f"contribution-sampled-{name}")
