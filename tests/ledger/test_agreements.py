"""An operation agreement has its 13 elements, ends after five years at most, and needs two sides."""

from datetime import date, timedelta
from typing import Any

import pytest

from ledger import agreements
from ledger.calendar import years_after
from ledger.errors import Invalid, Missing
from tests.conftest import Town

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
