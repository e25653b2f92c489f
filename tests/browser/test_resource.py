"""A resource's page, history and form, and what is overdue, in a browser; both languages, both sizes."""

import pytest

from tests.browser.conftest import DESK, PHONE, People

AT = "/resources/307001001/000001"


@pytest.mark.slow
def test_a_resource_is_read_changed_and_its_history_looked_at(people: People) -> None:
    registrar = people("wang", "zh", DESK)
    registrar.go(AT)
    registrar.sees("一数一源一标准", "分级与保护")
    registrar.look("resource")
    registrar.go(f"{AT}/change")
    registrar.look("resource-change")
    registrar.fill(sharing="not_shared", opening="unconditional", reason="核对后更正")
    registrar.press("变更资源")
    registrar.sees("不予共享须写明依据。", "不予共享的资源不应开放。")
    registrar.look("resource-change-refused")
    registrar.fill(
        sharing="unconditional", personal_information="none", responsible="数据资源处", grading="general",
        update_cycle="monthly", updated_on="2020-01-31", person_count="0",
    )  # fmt: skip
    registrar.page.check('[id="impacts-economy:ordinary"]')
    registrar.press("变更资源")
    registrar.sees("数据资源处", "经济运行：一般危害", "一般数据", "免予三项手续")
    registrar.look("resource-graded")
    registrar.go(f"{AT}/history")
    registrar.sees("核对后更正", "版本 2")
    registrar.look("resource-history")
    registrar.go("/overdue")
    registrar.look("overdue")

    public = people("nobody", "en", PHONE, sign_in=False)
    public.go(AT)
    public.sees("Grade and protection", "Each ground gives a level")
    public.look("resource-public")
    public.go(f"{AT}/history?old=1&new=2")
    public.sees("Version 1 and version 2")
    public.look("resource-history-public")

    reader = people("wang", "en", PHONE)
    reader.go(f"{AT}/change")
    reader.look("resource-change-phone")
    reader.go("/duties/new")
    reader.look("duty-report-phone")
    reader.go("/overdue")
    reader.look("overdue-phone")
    assert people.troubles == []
