"""Objections and feedback: traced to who owes the answer, with result and appeal."""

import pytest

from ledger import feedback
from ledger.duties import Duty
from ledger.errors import Invalid, NotAllowed
from tests.conftest import Town
from tests.ledger import organisations
from tests.ledger.lists import change, kinds, now_of, raised, resource


def test_it_is_traced_to_the_department_that_provides_the_resource(village: Town) -> None:
    row = resource(village, 61, "公交站点", ["站名"])
    made = raised(village, row)
    assert made.department_id == village.parties["bureau"]
    assert made.due["what"] == "answer"
    assert made.due["on"] == "2026-03-16"


def test_where_the_provider_takes_no_part_the_registrar_answers(village: Town) -> None:
    row = resource(village, 62, "公交线路", ["线名"], provider="不参加的单位")
    made = raised(village, row)
    assert made.department_id is None
    with pytest.raises(NotAllowed):
        village.do("paul", feedback.answer, made, verdict="explained", text="无误")
    village.do("rita", feedback.answer, made, verdict="explained", text="无误")
    village.do("olga", feedback.appeal, made, "仍有误")
    with pytest.raises(NotAllowed):  # who answered does not decide
        village.do("rita", feedback.uphold, made, "成立")
    village.do("rob", feedback.uphold, made, "成立")
    assert "duty" not in now_of(village, made).outcome


def test_a_registrar_does_not_answer_for_a_department(village: Town) -> None:
    made = raised(village, resource(village, 63, "公交班次", ["班次"]))
    with pytest.raises(NotAllowed):
        village.do("rita", feedback.answer, made, verdict="explained", text="无误")


def test_everything_wrong_with_it_is_named_at_once(village: Town) -> None:
    row = resource(village, 64, "公交票价", ["票价"])
    with pytest.raises(Invalid) as refused:
        raised(village, row, kind="praise", about="item", item="里程", description=" ")
    assert set(refused.value.facts["faults"].by_place(str)) == {"kind", "item", "description"}
    with pytest.raises(Invalid):
        raised(village, row, about="weather")
    assert raised(village, row, about="item", item="票价").about == "item:票价"


def test_a_correction_is_shown_by_a_version_younger_than_the_feedback(town: Town) -> None:
    row = resource(town, 61, "公交站点", ["站名"])
    made = raised(town, row)
    for version in (None, 1, 7):
        with pytest.raises(Invalid, match="no such version"):
            town.do(
                "paul", feedback.answer, made, verdict="corrected", text="已改", version=version
            )
    town.later(hours=1)
    by = change(town, row, summary="已补三月")
    town.do("paul", feedback.answer, made, verdict="corrected", text="已改")
    found = now_of(town, made).answer
    assert found["correction"] == {"import_id": by.id, "version": 2}
    with pytest.raises(Invalid, match="only what was corrected"):
        town.do(
            "paul", feedback.answer, raised(town, row), verdict="rejected", text="否", version=2
        )


def test_a_version_that_only_says_a_new_name_corrects_nothing(town: Town) -> None:
    row = resource(town, 61, "公交站点", ["站名"])
    made = raised(town, row)
    town.later(hours=1)
    organisations.rename(town, town.party("bureau"), "市数据资源局")
    assert now_of(town, row).version == 2
    for version in (None, 2):
        with pytest.raises(Invalid, match="no such version"):
            town.do(
                "paul", feedback.answer, made, verdict="corrected", text="已改", version=version
            )
    change(town, now_of(town, row), summary="已补三月")
    organisations.rename(town, town.party("bureau"), "市数据管理局")
    town.do("paul", feedback.answer, made, verdict="corrected", text="已改")
    assert now_of(town, made).answer["correction"]["version"] == 3, "the newest that changed it"


def test_an_upheld_appeal_brings_a_new_day_and_a_duty(town: Town) -> None:
    made = raised(town, resource(town, 61, "公交站点", ["站名"]))
    town.do("paul", feedback.answer, made, verdict="rejected", text="无误")
    town.do("olga", feedback.appeal, made, "附现场照片")
    for login in ("paul", "olga", "otto"):
        with pytest.raises(NotAllowed):
            town.do(login, feedback.uphold, made, "成立")
    town.do("rita", feedback.uphold, made, "成立")
    back = now_of(town, made)
    assert (back.state, back.due["what"]) == ("raised", "answer")
    with town.reading() as session:
        duty = session.query(Duty).one()
        assert (duty.number, duty.cause) == (back.outcome["duty"], "feedback")
        assert (duty.party_id, duty.resource_id) == (town.parties["bureau"], made.resource_id)
    assert kinds(town, made)[-1] == "feedback.upheld"


def test_the_public_s_counts_and_the_members_results_name_nobody(village: Town) -> None:
    row = resource(village, 65, "公交卡", ["卡号段"])
    first, second, gone = (raised(village, row) for _ in range(3))
    village.do("paul", feedback.answer, first, verdict="explained", text="按月更新")
    village.do("olga", feedback.withdraw, gone, "看错了")
    with village.reading() as session:
        fresh = village.fresh(session, row)
        assert feedback.counts(session, fresh) == {"answered": 1, "raised": 2}
        told = feedback.results(session, village.actors["mona"], fresh)
    assert [(one["state"], one["text"]) for one in told] == [
        ("raised", None),
        ("answered", "按月更新"),
    ]
    names = (village.parties["operator"], village.actors["olga"].member_id, second.number)
    assert not any(name in repr(told) for name in names)
