"""An operation agreement has its 13 elements, ends after five years at most, and needs two sides."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ledger import (
    agreement_ends,
    agreements,
    catalogue,
    catalogue_imports,
    log,
    registration,
    vouchers,
)
from ledger.agreements import Agreement
from ledger.calendar import years_after
from ledger.errors import Conflict, Invalid, Missing, NotAllowed
from tests.conftest import Town, compliance
from webapp.timers import TIMERS

DAY = date(2026, 3, 2)


def facts(town: Town, **changes: Any) -> dict[str, Any]:
    return {
        "elements": dict.fromkeys(agreements.ELEMENTS, "如约定"), "from_on": DAY,
        "implementer": town.party("bureau"), "mode": "whole", "resource_ids": ["r2", "r1", "r2"],
        "title": "协议", "until_on": years_after(DAY, 5), **changes,
    }  # fmt: skip


def refusal(town: Town, **changes: Any) -> str:
    before = town.snapshot()
    with pytest.raises(Invalid) as refused:
        town.do("olga", agreements.propose, **facts(town, **changes))
    assert town.snapshot() == before
    return str(refused.value.facts["faults"])


def test_all_thirteen_elements_that_are_missing_are_named_at_once(village: Town) -> None:
    assert len(agreements.ELEMENTS) == 13
    faults = refusal(village, elements={})
    for key, zh in agreements.ELEMENTS.items():
        assert f"{key} ({zh})" in faults


@pytest.mark.parametrize("element", agreements.ELEMENTS)
def test_each_element_must_say_something(village: Town, element: str) -> None:
    elements = {**dict.fromkeys(agreements.ELEMENTS, "如约定"), element: "  "}
    assert refusal(village, elements=elements) == f"{element} ({agreements.ELEMENTS[element]})"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"until_on": years_after(DAY, 5) + timedelta(days=1)}, "at most 5 years"),
        ({"until_on": DAY - timedelta(days=1)}, "at most 5 years"),
        ({"mode": "anyhow"}, "mode must be one of"),
        ({"resource_ids": []}, "no resource in scope"),
        ({"mode": "by_scene"}, "names at least one scene"),
        ({"mode": "by_field", "domains": [" "]}, "names at least one field"),
        ({"scenes": [{"name": " ", "use": "x"}]}, "the field name is empty"),
        (
            {"scenes": [{"name": "甲", "use": ""}, {"name": " 甲", "use": "x"}]},
            "stands there twice",
        ),
        ({"price_cap_fen": 0}, "more than nothing"),
    ],
)
def test_a_broken_limit_is_refused(village: Town, changes: dict[str, Any], fault: str) -> None:
    assert fault in refusal(village, **changes)


def test_faults_of_different_kinds_are_told_together(village: Town) -> None:
    faults = refusal(
        village, elements={"extra": "x"}, mode="?", resource_ids=[],
        implementer=village.party("operator"),
    )  # fmt: skip
    for expected in ("scope (", "unknown item extra", "mode", "no resource", "are the same"):
        assert expected in faults


def test_an_agreement_of_five_years_is_numbered_by_its_year_and_signed_by_the_other_side(
    town: Town,
) -> None:
    made = town.do("olga", agreements.propose, **facts(town))
    assert (made.number, made.state, made.resource_ids) == ("XY2026-0001", "proposed", ["r1", "r2"])
    town.do("paul", agreements.sign, made)
    with town.reading() as session:
        found = agreements.by_number(session, made.number)
        assert (found.state, found.signed_by) == ("in_force", town.actors["paul"].member_id)
        with pytest.raises(Missing):
            agreements.by_number(session, "XY2026-0002")


@pytest.mark.parametrize(
    ("day", "inside"),
    [(DAY - timedelta(days=1), False), (DAY, True), (DAY + timedelta(days=9), True),
     (DAY + timedelta(days=10), False)],
)  # fmt: skip
def test_an_agreement_is_in_force_from_its_first_to_its_last_day(
    village: Town, day: date, inside: bool
) -> None:
    made = village.do(
        "olga", agreements.propose, **facts(village, until_on=DAY + timedelta(days=9))
    )
    with pytest.raises(Invalid, match=r"is proposed"):
        agreements.require_in_force(made, DAY)
    village.do("paul", agreements.sign, made)
    with village.reading() as session:
        signed = agreements.by_number(session, made.number)
    if inside:
        agreements.require_in_force(signed, day)
    else:
        with pytest.raises(Invalid, match=r"is outside"):
            agreements.require_in_force(signed, day)


# ---------------------------------------------------------------- scenes, fields, price


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def kinds_of(town: Town, row: Any) -> list[tuple[str, str | None]]:
    """The records of a row: what happened, and who did it."""
    with town.reading() as session:
        return [(one.kind, log.payload_of(one)["actor"]) for one in log.history(session, row.id)]


def test_a_scene_is_checked_by_name_and_an_agreement_without_scenes_checks_none(town: Town) -> None:
    scenes = [{"name": " 贷前审查 ", "use": "银行"}, {"name": "核保", "use": ""}]
    made = town.do("olga", agreements.propose, **facts(town, mode="by_scene", scenes=scenes))
    assert made.scenes == [{"name": "贷前审查", "use": "银行"}, {"name": "核保", "use": ""}]
    assert not agreements.faults_of_use(made, {"scene": "核保"}, 0)
    assert "贷前审查, 核保" in str(agreements.faults_of_use(made, {"scene": "营销"}, 0))
    whole = town.do("olga", agreements.propose, **facts(town))
    assert not agreements.faults_of_use(whole, {"scene": "营销"}, 0)


def test_a_licence_names_a_scene_of_its_agreement(town: Town) -> None:
    voucher = town.voucher()
    for terms in ({"scene": "营销"}, {}, {"scene": ""}):
        before = town.snapshot()
        with pytest.raises(Invalid, match="which names: 风险评估"):
            town.licence(voucher, terms=terms)
        assert town.snapshot() == before
    assert town.licence(voucher).state == "granted"


def test_a_licence_stays_in_the_fields_and_under_the_highest_price_of_its_agreement(
    town: Town,
) -> None:
    agreement = town.agreement(
        mode="by_field", scenes=[], domains=["金融", "金融", "医疗"], price_cap_fen=1_000_01
    )
    assert agreement.domains == ["金融", "医疗"]
    made = town.do("olga", registration.submit, **town.application_facts(agreement))
    voucher = town.voucher(registered(town, made))
    with pytest.raises(Invalid) as refused:
        town.licence(voucher, terms={"field": "教育"}, price_fen=1_000_02)
    told = str(refused.value.facts["faults"])
    assert "金融, 医疗" in told
    assert "above 1000.01 yuan" in told
    assert town.licence(voucher, terms={"field": "金融"}, price_fen=1_000_01).state == "granted"


def registered(town: Town, made: Any) -> registration.Registration:
    town.do("rita", registration.accept, made)
    town.do("rita", registration.pass_review, made, formal="齐全", compliance=compliance())
    town.do("rita", registration.give_notice, made)
    town.later(days=21)
    return town.do("rita", registration.code, made, town.get(Agreement, made))


def test_an_application_s_resources_and_scenes_outside_the_agreement_are_named_at_once(
    town: Town,
) -> None:
    agreement = town.agreement()
    with town.deed() as session:
        other = catalogue.add_resource(
            session, town.actors["rita"], town.now, code="307001001/000099", title="别的",
            provider="市数据局", elements={},
        ).id  # fmt: skip
    with town.reading() as session:
        inside = agreements.faults_of_scope(
            session, agreement, agreement.resource_ids, ["风险评估"]
        )
        assert not inside
        outside = agreements.faults_of_scope(
            session, agreement, [other, "r?"], ["营销", "风险评估"]
        )
    assert outside.by_place(str) == {
        "resources": [
            "resource 307001001/000099 is outside agreement XY2026-0001",
            "resource r? is outside agreement XY2026-0001",
        ],
        "scenes": ["the scene 营销 is outside agreement XY2026-0001, which names: 风险评估"],
    }


# ---------------------------------------------------------------- consent of other bodies


def shared(town: Town, provider: str, n: int) -> str:
    with town.deed() as session:
        return catalogue.add_resource(
            session, town.actors["rita"], town.now, code=f"307001001/00005{n}", title=f"共享 {n}",
            provider=provider, elements={},
        ).id  # fmt: skip


def test_it_is_signed_once_every_other_body_has_consented_to_the_use_of_its_data(
    town: Town,
) -> None:
    ids = [
        shared(town, "城市商业银行", 1),
        shared(town, "城市商业银行", 2),
        shared(town, "未入驻单位", 3),
    ]
    made = town.do(
        "olga", agreements.propose, **facts(town, resource_ids=[*town.resources(), *ids])
    )
    assert made.provider_ids == [town.parties["bank"]]
    with pytest.raises(Conflict) as refused:
        town.do("paul", agreements.sign, made)
    told = str(refused.value.facts["faults"])
    assert "城市商业银行 to the use of 307001001/000051, 307001001/000052" in told
    assert "未入驻单位 to the use of 307001001/000053" in told
    with pytest.raises(NotAllowed):
        town.do("paul", agreements.consent, made, "同意函")  # of none of them
    with pytest.raises(Invalid, match="ground"):
        town.do("pia", agreements.consent, made, " ")
    codes = town.do("pia", agreements.consent, made, "同意函〔2026〕1号")
    assert codes == ["307001001/000051", "307001001/000052"]
    with pytest.raises(Conflict, match="waits for your consent"):
        town.do("pia", agreements.consent, made, "同意函〔2026〕1号")
    with pytest.raises(Conflict, match="未入驻单位"):
        town.do("paul", agreements.sign, made)
    assert town.do("rita", agreements.consent, made, "书面同意") == ["307001001/000053"]
    town.do("paul", agreements.sign, made)
    signed = now_of(town, made)
    assert signed.state == "in_force"
    assert [(one["basis"], one["by"]) for one in signed.consents] == [
        ("同意函〔2026〕1号", town.actors["pia"].member_id),
        ("书面同意", town.actors["rita"].member_id),
    ]


def test_a_resource_that_went_to_another_body_meanwhile_needs_that_one_s_consent(
    town: Town,
) -> None:
    made = town.do("olga", agreements.propose, **facts(town, resource_ids=town.resources()))
    town.do("rita", catalogue_imports.bring_one, "307001001/000001",
            {"title": "资源 1", "provider": "城市商业银行"}, "职能划转")  # fmt: skip
    with pytest.raises(Conflict, match="城市商业银行"):
        town.do("paul", agreements.sign, made)
    town.do("pia", agreements.consent, made, "同意函")
    town.do("paul", agreements.sign, made)
    assert now_of(town, made).state == "in_force"


# ---------------------------------------------------------------- expiry and renewal


def test_what_has_run_out_is_expired_by_the_timer_once_and_as_the_system_s(town: Town) -> None:
    agreement = town.agreement(until_on=DAY + timedelta(days=9))
    tick = TIMERS["agreements"]
    last = datetime.fromisoformat("2026-03-11T23:59:00+08:00")
    with town.deed() as session:
        assert tick(session, last) == 0
    with town.deed() as session:
        assert tick(session, last + timedelta(minutes=2)) == 1
    with town.deed() as session:
        assert tick(session, last + timedelta(minutes=3)) == 0
    expired = now_of(town, agreement)
    assert (expired.state, expired.ended_on) == ("expired", "2026-03-11")
    assert kinds_of(town, agreement)[-1] == ("agreement.expired", "system")


def test_after_its_last_day_nothing_is_sold_though_no_timer_has_rung(town: Town) -> None:
    agreement = town.agreement(until_on=DAY + timedelta(days=60))
    made = town.do("olga", registration.submit, **town.application_facts(agreement))
    voucher: vouchers.Voucher = town.voucher(registered(town, made))
    licence = town.licence(voucher, valid_until=town.now + timedelta(days=9))
    town.later(days=40)  # the voucher ends with it too: what refuses a sale is either of them
    with pytest.raises((Invalid, Conflict)):
        town.licence(voucher, valid_until=town.now + timedelta(days=9))
    with pytest.raises(Invalid, match="is outside"):
        town.do("olga", registration.submit, **town.application_facts(now_of(town, agreement)))
    assert now_of(town, licence).state == "granted"


def test_what_ended_opens_no_resources_and_lets_them_be_withdrawn(town: Town) -> None:
    agreement = town.agreement()

    def seen() -> bool:
        with town.reading() as session:
            row = catalogue.resource_by_code(session, "307001001/000001")
            return catalogue.audiences(session, town.actors["olga"]).sees(row)

    def withdraw() -> None:
        town.do("rita", catalogue_imports.bring_one, "307001001/000001", None, "停办")

    assert seen()
    town.do("olga", agreement_ends.propose_end, agreement, kind="by_agreement", ground="调整")
    assert seen()
    with pytest.raises(Conflict, match="XY2026-0001"):
        withdraw()
    town.do("paul", agreement_ends.end, agreement)
    assert not seen()
    withdraw()


def test_a_lapsed_agreement_keeps_no_resource_in_the_catalogue_though_no_timer_has_rung(
    town: Town,
) -> None:
    town.agreement(until_on=DAY + timedelta(days=9))
    town.later(days=9)
    with pytest.raises(Conflict):
        town.do("rita", catalogue_imports.bring_one, "307001001/000001", None, "停办")
    town.later(days=1)
    town.do("rita", catalogue_imports.bring_one, "307001001/000001", None, "停办")


def test_a_renewal_follows_one_in_force_or_expired_between_the_same_sides(town: Town) -> None:
    old = town.agreement(until_on=DAY + timedelta(days=9))
    after = DAY + timedelta(days=10)
    more: dict[str, Any] = {"renews": old, "from_on": after, "until_on": after}
    assert town.do("olga", agreements.propose, **facts(town, **more)).renews_id == old.id
    assert "a renewal begins after 2026-03-11" in refusal(
        town, **{**more, "from_on": after - timedelta(days=1)}
    )
    assert "between other sides" in refusal(town, **more, implementer=town.party("treasury"))
    town.later(days=20)
    with town.deed() as session:
        agreements.expire(session, town.now)
    expired = now_of(town, old)
    made = town.do("olga", agreements.propose, **facts(town, **{**more, "renews": expired}))
    assert made.renews_id == old.id
    town.do("olga", agreements.withdraw, made, "改期")
    assert "only one in force or expired is renewed" in refusal(
        town, **{**more, "renews": now_of(town, made), "from_on": after + timedelta(days=1),
                 "until_on": after + timedelta(days=1)},
    )  # fmt: skip


def test_a_proposal_whose_term_is_over_is_signed_no_more(town: Town) -> None:
    made = town.do("olga", agreements.propose, **facts(town, until_on=DAY))
    town.later(days=1)
    with pytest.raises(Conflict, match="has ended on 2026-03-02"):
        town.do("paul", agreements.sign, made)


def test_a_proposal_is_withdrawn_by_the_operator_or_declined_by_the_other_side_with_its_ground(
    town: Town,
) -> None:
    made = town.do("olga", agreements.propose, **facts(town))
    for who, verb in (("paul", agreements.withdraw), ("olga", agreements.decline),
                      ("mallory", agreements.withdraw), ("pia", agreements.decline)):  # fmt: skip
        with pytest.raises(NotAllowed):
            town.do(who, verb, made, "理由")
    with pytest.raises(Invalid, match="ground"):
        town.do("paul", agreements.decline, made, "")
    town.do("paul", agreements.decline, made, "范围过宽")
    with pytest.raises(Conflict):
        town.do("paul", agreements.sign, made)
