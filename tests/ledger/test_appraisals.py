"""Appraisals: disclosed in full, recomputed by a second person, good for a year at most, in editions."""

import hashlib
import json
from datetime import timedelta
from fractions import Fraction
from threading import Thread
from typing import Any

import pytest
import yaml
from sqlalchemy import update

from ledger import appraisals, log
from ledger.appraisals import DISCLOSURES, Appraisal
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed, ProofFailed
from ledger.proof.encoding import canonical
from ledger.registration import Registration
from ledger.store import Evidence
from tests.conftest import DEMO, Town
from tests.ledger.test_supervision import audit
from valuation import InputError, ValuationError, methods
from valuation.money import exact_text
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


def test_it_is_approved_on_its_last_day_and_not_a_day_later(town: Town) -> None:
    made = town.appraisal(town.registration())
    town.later(days=366)
    with pytest.raises(Conflict, match=rf"held until {made.valid_until_on}: draft a new one"):
        town.do("abel", appraisals.approve, made)
    town.later(days=-1)
    assert local_date(town.now).isoformat() == made.valid_until_on
    town.do("abel", appraisals.approve, made)
    with town.reading() as session:
        found = appraisals.by_number(session, made.number)
    assert appraisals.standing(found, local_date(town.now)) == "approved"
    assert appraisals.standing(found, local_date(town.now) + timedelta(days=1)) == "lapsed"


def test_the_days_of_an_appraisal_lie_in_their_order(
    village: Town, registered: Registration
) -> None:
    today = local_date(village.now)
    for base, until, said in (
        (today + timedelta(days=1), None, "in the future"),
        (today, today - timedelta(days=1), "between the base day and"),
        (today, today.replace(year=today.year + 1) + timedelta(days=1), "a year later"),
        (today - timedelta(days=400), None, "over already"),
        (today - timedelta(days=9), today - timedelta(days=1), "over already"),
    ):
        assert said in refused(
            village, Invalid, registered, base_on=base, valid_until_on=until, purpose=f"{base}"
        )
    made = draft(village, registered, valid_until_on=today, purpose="当日")
    assert made.valid_until_on == made.base_on == today.isoformat()


@pytest.mark.parametrize(
    ("assumptions", "said"),
    [
        ([], "1 to 50 stated"),
        (["协议有效"] * 51, "1 to 50 stated"),
        (["协议有效", " "], "say something"),
    ],
)
def test_assumptions_are_stated_one_by_one(
    village: Town, registered: Registration, assumptions: list[str], said: str
) -> None:
    assert said in refused(village, Invalid, registered, assumptions=assumptions)


def approved(town: Town, registered: Registration, **changes: Any) -> Appraisal:
    made = draft(town, registered, **changes)
    town.do("abel", appraisals.approve, made)
    with town.reading() as session:
        return appraisals.by_number(session, made.number)


def more_cost(fen: int) -> dict[str, Any]:
    cost = DOCUMENT["documents"]["cost"]
    inputs = {k: v for k, v in cost["inputs"].items() if k != "direct_yuan"}
    return {**DOCUMENT["documents"], "cost": {**cost, "inputs": {**inputs, "direct_fen": fen}}}


def test_the_next_edition_names_the_one_before_and_supersedes_it(town: Town) -> None:
    registered = town.registration()
    first = approved(town, registered)
    other = approved(town, registered, purpose="融资")
    second = draft(town, registered, documents=more_cost(900_000_00))
    assert [(one.edition, one.replaces_id) for one in (first, other, second)] == [
        (1, None), (1, None), (2, first.id),
    ]  # fmt: skip
    town.do("abel", appraisals.approve, second)
    with town.reading() as session:
        states = {
            one.number: appraisals.by_number(session, one.number).state
            for one in (first, other, second)
        }
        last = log.payload_of(log.history(session, first.id)[-1])
    assert states == {
        first.number: "superseded",
        other.number: "approved",
        second.number: "approved",
    }
    assert (last["kind"], last["reason"]) == ("appraisal.superseded", second.number)
    third = draft(town, registered)
    assert (third.edition, third.replaces_id) == (3, second.id), "the first one's inputs once more"


def test_what_another_edition_has_overtaken_is_drafted_anew(town: Town) -> None:
    registered = town.registration()
    slow, quick = draft(town, registered), draft(town, registered, documents=more_cost(900_000_00))
    assert slow.edition == quick.edition == 1
    town.do("abel", appraisals.approve, quick)
    before = town.snapshot()
    with pytest.raises(Conflict, match=rf"does not replace {quick.number}.*draft it anew"):
        town.do("abel", appraisals.approve, slow)
    assert town.snapshot() == before
    again = draft(town, registered)
    assert (again.edition, again.replaces_id) == (2, quick.id)
    assert again.id != slow.id
    town.do("abel", appraisals.approve, again)


def test_a_retried_draft_or_approval_changes_nothing(town: Town) -> None:
    registered = town.registration()
    made = draft(town, registered)
    before = town.snapshot()
    assert draft(town, registered).id == made.id
    assert town.snapshot() == before
    town.do("abel", appraisals.approve, made)
    before = town.snapshot()
    assert draft(town, registered).id == made.id, "approved meanwhile, it is still the same"
    with pytest.raises(Conflict):
        town.do("abel", appraisals.approve, made)
    assert town.snapshot() == before
    mended = draft(town, registered, assumptions=["协议提前终止"])
    assert (mended.id != made.id, mended.edition) == (True, 2)


def test_of_two_reviewers_at_once_one_approves(town: Town) -> None:
    """Two editions of one purpose, and two approvals of one edition: never two approved, never twice."""
    registered = town.registration()
    one, other = draft(town, registered), draft(town, registered, documents=more_cost(900_000_00))
    outcomes: list[str] = []

    def approve(made: Appraisal) -> None:
        try:
            town.do("abel", appraisals.approve, made)
        except LedgerError as error:
            outcomes.append(error.code)
        else:
            outcomes.append("approved")

    threads = [Thread(target=approve, args=(made,)) for made in (one, one, other, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["approved", "conflict", "conflict", "conflict"]
    with town.reading() as session:
        found = [appraisals.by_number(session, made.number) for made in (one, other)]
        assert sorted(made.state for made in found) == ["approved", "drafted"]
        records = [len(log.history(session, made.id)) for made in found]
    assert sorted(records) == [1, 2]


def test_only_the_maker_withdraws_and_only_before_the_review(town: Town) -> None:
    registered = town.registration()
    made = draft(town, registered)
    with pytest.raises(NotAllowed, match=r"Only the maker withdraws"):
        town.do("abel", appraisals.withdraw, made, "参数有误")
    with pytest.raises(Invalid, match=r"ground"):
        town.do("anna", appraisals.withdraw, made, " ")
    with pytest.raises(NotAllowed, match=r"another person must decide"):
        town.do("anna", appraisals.approve, made)
    town.do("anna", appraisals.withdraw, made, "参数有误")
    with town.reading() as session:
        last = log.payload_of(log.history(session, made.id)[-1])
    assert (last["kind"], last["reason"], last["body"]["state"]) == (
        "appraisal.withdrawn", "参数有误", "withdrawn",
    )  # fmt: skip
    again = draft(town, registered)
    assert again.id != made.id
    town.do("abel", appraisals.approve, again)
    with pytest.raises(Conflict):
        town.do("anna", appraisals.withdraw, again, "参数有误")


ANALYSIS = {
    "range": {"seed": 7, "draws": 2_000, "inputs": [
        {"at": "rate.management", "distribution": "uniform", "low": "0.01", "high": "0.04"}]},
    "sensitivity": [{"at": "rate.management", "low": "0.01", "high": "0.04"}],
    "breakeven": {"at": "periods[*].share", "target_fen": 100_000_000, "low": "0", "high": "1"},
}  # fmt: skip


def test_analyses_are_recorded_with_their_requests_and_recompute(town: Town) -> None:
    made = draft(town, town.registration(), analyses={"income": ANALYSIS})
    assert made.analyses is not None
    known = made.analyses["income"]
    assert "figure" not in known, "it stands among the figures"
    assert known["request"] == {**ANALYSIS, "breakeven": ANALYSIS["breakeven"]}
    assert known["range"]["base_fen"] == int(made.figures["income"]["value"])
    assert appraisals.analysis_of(made.body(), "income").breakeven.value_fen == 100_000_000
    body = json.loads(canonical(made.body()))
    assert [name for name, _ in appraisals.recomputed(body)] == [
        "cost", "income", "market", "conclusion", "analyses.income", "inputs_digest", "method_versions",
    ]  # fmt: skip


def test_an_analysis_that_cannot_be_made_is_named_with_its_approach(
    village: Town, registered: Registration
) -> None:
    wrong = {"income": {"sensitivity": [{"at": "rate.moon", "low": "0", "high": "1"}]}}
    said = refused(village, InputError, registered, analyses=wrong)
    assert said.startswith("analyses.income.sensitivity[0].at")
    assert "unknown item quality" in refused(
        village, Invalid, registered, analyses={"quality": ANALYSIS}
    )


def test_the_digest_is_that_of_all_inputs_and_of_nothing_else(
    village: Town, registered: Registration
) -> None:
    made = draft(village, registered, purpose="摘要", analyses={"income": ANALYSIS})
    documents = {name: methods.run(one).document for name, one in DOCUMENT["documents"].items()}
    spelled = canonical({
        "analyses": {"income": ANALYSIS}, "documents": documents,
        "weights": [{**one, "weight": exact_text(Fraction(one["weight"]))} for one in DOCUMENT["weights"]],
    })  # fmt: skip
    assert made.inputs_digest == "sha256:" + hashlib.sha256(spelled).hexdigest()
    assert made.method_versions == dict.fromkeys(("cost", "income", "market", "reconcile"), "1")
    same = draft(village, registered, purpose="另一目的", analyses={"income": ANALYSIS})
    assert same.inputs_digest == made.inputs_digest
    assert draft(village, registered, purpose="摘要").inputs_digest != made.inputs_digest


def _changed(body: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    body = json.loads(json.dumps(body))
    target = body
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value(target[path[-1]]) if callable(value) else value
    return body


def test_a_fen_that_differs_anywhere_is_found_and_named(town: Town) -> None:
    made = draft(town, town.registration(), analyses={"income": ANALYSIS})
    body = made.body()
    more = lambda text: str(int(text) + 1)  # noqa: E731
    for path, value, said in (
        (("value_fen",), made.value_fen + 1, "value_fen differs"),
        (("conclusion", "value"), more, "conclusion.value"),
        (("figures", "cost", "steps", 1, "value"), more, "cost.steps: .* first at C_dir"),
        (("figures", "cost", "steps", 5, "value"), more, "cost.C: differs"),
        (("figures", "cost", "document", "inputs", "direct_fen"), 1, "cost.steps: .* first at C_dir"),
        (("analyses", "income", "range", "mean_fen"), 5, "analyses.income.range.mean_fen"),
        (("analyses", "income", "breakeven", "found"), "0.1", "analyses.income.breakeven.found"),
        (("inputs_digest",), "sha256:00", "inputs_digest differs"),
        (("method_versions", "cost"), "2", "method_versions differs"),
        (("figures", "market"), made.figures["cost"], "conclusion differs"),
        (("conclusion",), made.figures["cost"], "conclusion differs"),
        (("figures",), {}, "conclusion differs"),
        (("figures",), [], "figures: must be an object"),
        (("analyses", "income"), None, "analyses.income"),
    ):  # fmt: skip
        with pytest.raises((ValuationError, ProofFailed), match=said):
            list(appraisals.recomputed(_changed(body, path, value)))
    with pytest.raises(InputError, match=r"surplus: is not known"):
        list(appraisals.recomputed({**body, "surplus": 1}))


OLD_COLUMNS = (
    "edition",
    "replaces_id",
    "assumptions",
    "analyses",
    "inputs_digest",
    "method_versions",
)


def drafted_before(town: Town, registered: Registration, **changes: Any) -> Appraisal:
    """An appraisal as recorded before there were editions: neither its row nor its record has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Appraisal, "body",
            lambda row: {k: v for k, v in Evidence.body(row).items() if k not in OLD_COLUMNS},
        )  # fmt: skip
        made = draft(town, registered, **changes)
    with town.deed() as session:
        columns = dict.fromkeys(OLD_COLUMNS)
        session.execute(update(Appraisal).where(Appraisal.id == made.id).values(**columns))
    with town.reading() as session:
        assert "edition" not in log.payload_of(log.record_of(session, made.id, 1))["body"]
        return appraisals.by_number(session, made.number)


def test_what_was_recorded_before_there_were_editions_stays_right_and_is_followed(
    town: Town,
) -> None:
    registered = town.registration()
    old = drafted_before(town, registered)
    older = drafted_before(town, registered, documents=more_cost(900_000_00))
    assert appraisals.recompute(old) > 100
    with town.reading() as session:
        assert audit(town, session) == []
        assert appraisals.compared(session, old) is None
    for made in (old, older):
        town.do("abel", appraisals.approve, made)
    with town.reading() as session:
        known = [appraisals.by_number(session, one.number) for one in (old, older)]
    assert [(one.state, one.edition) for one in known] == [("superseded", 1), ("approved", 2)]
    assert appraisals.recompute(known[1]) > 100
    assert draft(town, registered).edition == 3
    with town.reading() as session:
        assert audit(town, session) == []


def test_the_edition_before_explains_the_value(town: Town) -> None:
    registered = town.registration()
    first = approved(town, registered)
    weights = [
        {**one, "weight": weight}
        for one, weight in zip(DOCUMENT["weights"], ("0.4", "0.4", "0.2"), strict=True)
    ]
    second = draft(town, registered, documents=more_cost(960_000_00), weights=weights)
    with town.reading() as session:
        assert appraisals.compared(session, first) is None
        told = appraisals.compared(session, second)
    assert told is not None
    assert (told.old_fen, told.new_fen) == (first.value_fen, second.value_fen)
    assert told.effects[0].zh == "成本法 · 直接成本"
    assert [one.at for one in told.effects[-1].changes] == [
        f"figures[{k}].weight" for k in range(3)
    ]
    assert sum(effect.effect_fen for effect in told.effects) == second.value_fen - first.value_fen
    # 100,000.00 yuan of cost x 0.97 x 1.1 x 0.9 x the weight of 0.2, rounded with the rest
    assert abs(told.effects[0].effect_fen - 19_206_00) <= 1


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
