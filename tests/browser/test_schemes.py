"""A scheme read, tried with wrong and with right input, and a statement's flow, in Chromium."""

import pytest

from tests.browser.conftest import DESK, PHONE, People, Served
from tests.browser.test_appraisals import LANGS, legible
from tests.browser.test_roles import said
from webapp.demo_telling import PARTIES

OPERATOR, TREASURY, AUTHORITY = (PARTIES[name][2] for name in ("operator", "treasury", "authority"))
TRIED = f"""\
v: 1
name: {{zh: 拟议方案, en: the proposed scheme}}
steps:
  - {{kind: recover, party: "{OPERATOR}", label: {{zh: 平台成本, en: platform cost}}, fact: platform_cost_fen, cap_ratio: 1/2}}
  - {{kind: fixed, party: "{AUTHORITY}", label: {{zh: 登记服务费, en: registry fee}}, fact: fee_fen}}
  - kind: tiers
    label: {{zh: 财政分成, en: treasury share}}
    bands:
      - {{up_to_yuan: "10000.00", ratio: 1/10, party: "{TREASURY}"}}
      - {{ratio: 1/5, party: "{TREASURY}"}}
  - kind: pool
    label: {{zh: 余额分配, en: the rest}}
    shares:
      - {{party: "{OPERATOR}", share: 3/5, most_yuan: "50000.00"}}
      - share: 2/5
        label: {{zh: 数据提供方, en: sources}}
        steps:
          - {{kind: pool, label: {{zh: 提供方, en: providers}}, shares: [{{party: "{AUTHORITY}", share: "1"}}]}}
"""  # noqa: E501


@pytest.mark.slow
@LANGS
def test_a_scheme_is_tried_beside_the_one_in_force(
    people: People, served: Served, lang: str
) -> None:
    for size, name in ((DESK, "desk"), (PHONE, "phone")):
        zhang = people("zhang", lang, size)
        zhang.go(f"/agreements/{served.agreement}/schemes/try")
        zhang.sees(said(lang, "Try a scheme"))
        zhang.fill(document=TRIED.replace("3/5", "60%"))
        zhang.press()
        zhang.sees("60%", "3/5")
        zhang.look(f"scheme-refused-{name}")
        zhang.fill(document=TRIED)
        zhang.press()
        zhang.sees("facts.fee_fen")
        zhang.fill(facts='fee_fen: "1000.00"')
        zhang.press()
        zhang.sees(said(lang, "Who would get more, who less"), "95,000.00")
        assert zhang.page.locator("svg.sz-chart").count() == 2
        legible(zhang)
        zhang.look(f"scheme-tried-{name}")
        zhang.go(f"/agreements/{served.agreement}/schemes/new")
        zhang.look(f"scheme-propose-{name}")
        zhang.go("/statements")
        zhang.click("FP")
        zhang.sees(said(lang, "Where the money flows"))
        legible(zhang)
        zhang.look(f"statement-flow-{name}")
        zhang.page.locator('dd a[href^="/schemes/"]').first.click()
        zhang.sees(said(lang, "In plain words"))
        zhang.look(f"scheme-read-{name}")
