"""Appraisals: disclosed in full, recomputed by a second person, good for a year."""

from datetime import timedelta
from typing import Any

import pytest
import yaml
from sqlalchemy import update

from ledger import appraisals, log
from ledger.appraisals import DISCLOSURES, Appraisal
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, Missing
from ledger.registration import Registration
from tests.conftest import DEMO, Town
from valuation import InputError, ValuationError, methods
from valuation.reconciliation import reconcile

DOCUMENT = yaml.load((DEMO / "appraisal.yaml").read_bytes(), yaml.CSafeLoader)


@pytest.fixture(scope="module")
def registered(village: Town) -> Registration:
    return village.registration()


def draft(town: Town, registered: Registration, **changes: Any) -> Appraisal:
    facts = {**DOCUMENT, "base_on": local_date(town.now), **changes}
    return town.do("anna", appraisals.draft, registration=registered, **facts)


def refused(town: Town, refusal: type[Exception], registered: Registration, **changes: Any) -> str:
    before = town.snapshot()
    with pytest.raises(refusal) as caught:
        draft(town, registered, **changes)
    assert town.snapshot() == before
    return str(caught.value)


def test_all_that_a_report_must_disclose_is_asked_for_at_once(
    village: Town, registered: Registration
) -> None:
    said = refused(
        village, Invalid, registered, disclosures={"extra": "x"}, purpose=" ", weights=[],
        base_on=local_date(village.now) + timedelta(days=1),
    )  # fmt: skip
    for key, zh in DISCLOSURES.items():
        assert f"{key} ({zh})" in said
    for other in ("unknown item extra", "purpose (", "one weight", "in the future"):
        assert other in said


@pytest.mark.parametrize("key", DISCLOSURES)
def test_each_disclosure_is_needed(village: Town, registered: Registration, key: str) -> None:
    blank = {**DOCUMENT["disclosures"], key: " "}
    assert f"{key} (" in refused(village, Invalid, registered, disclosures=blank)


def test_an_unknown_approach_is_refused(village: Town, registered: Registration) -> None:
    documents = {**DOCUMENT["documents"], "guess": {}}
    assert "unknown item guess" in refused(village, Invalid, registered, documents=documents)


def test_what_a_method_refuses_is_no_appraisal(village: Town, registered: Registration) -> None:
    cost = {"cost": {"method": "cost", "version": "1", "inputs": {}}}
    weights = [{"method": "cost", "weight": "1", "reason": "唯一"}]
    refused(village, ValuationError, registered, documents=cost, weights=weights)
    weights = [{**one, "weight": "0.4"} for one in DOCUMENT["weights"]]
    refused(village, InputError, registered, weights=weights)


def test_the_value_is_the_weighted_conclusion_and_every_figure_can_be_recomputed(
    village: Town, registered: Registration
) -> None:
    made = draft(village, registered)
    figures = {name: methods.verify(figure) for name, figure in made.figures.items()}
    assert set(figures) == {"cost", "income", "market"}
    conclusion = methods.verify(made.conclusion)
    again = reconcile(
        [(figures[w["method"]], w["weight"], w["reason"]) for w in DOCUMENT["weights"]]
    )
    assert made.value_fen == conclusion.value == again.value
    assert made.valid_until_on == f"{int(made.base_on[:4]) + 1}{made.base_on[4:]}"
    assert made.number.startswith(f"PG{village.now.year}-")


def test_the_same_inputs_are_the_same_appraisal_and_after_a_rejection_another(town: Town) -> None:
    registered = town.registration()
    first = draft(town, registered)
    before = town.snapshot()
    assert draft(town, registered).id == first.id
    assert town.snapshot() == before
    assert draft(town, registered, purpose="融资").id != first.id
    with pytest.raises(Invalid, match=r"reasons"):
        town.do("abel", appraisals.reject, first, "")
    town.do("abel", appraisals.reject, first, "可比案例不足")
    assert draft(town, registered).id != first.id
    with town.reading() as session:
        last = log.payload_of(log.history(session, first.id)[-1])
    assert (last["reason"], last["body"]["state"]) == ("可比案例不足", "rejected")


def test_the_reviewer_recomputes_and_a_changed_figure_is_not_approved(town: Town) -> None:
    made = town.appraisal(town.registration())
    conclusion = {**made.conclusion, "value": str(int(made.conclusion["value"]) + 1)}
    with town.deed() as session:
        session.execute(
            update(Appraisal).where(Appraisal.id == made.id).values(conclusion=conclusion)
        )
    before = town.snapshot()
    with pytest.raises(InputError):
        town.do("abel", appraisals.approve, made)
    assert town.snapshot() == before


def test_an_appraisal_older_than_a_year_is_not_approved(town: Town) -> None:
    made = town.appraisal(town.registration())
    town.later(days=365)
    town.later(days=1)
    with pytest.raises(Conflict, match=r"older than a year"):
        town.do("abel", appraisals.approve, made)
    town.later(days=-1)
    town.do("abel", appraisals.approve, made)


def test_the_newest_approved_appraisal_counts(town: Town) -> None:
    registered = town.registration()
    first = draft(town, registered)
    second = draft(town, registered, purpose="融资")

    def latest() -> str | None:
        with town.reading() as session:
            found = appraisals.latest_approved(session, registered.id)
            return found and found.number

    assert latest() is None
    town.do("abel", appraisals.approve, first)
    assert latest() == first.number
    town.do("abel", appraisals.approve, second)
    assert latest() == second.number
    with town.reading() as session:
        found = appraisals.by_number(session, second.number)
        assert found.reviewer_id == town.actors["abel"].member_id
        with pytest.raises(Missing):
            appraisals.by_number(session, "PG1999-0001")
