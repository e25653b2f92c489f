"""Each year of an agreement is evaluated within three months of its last day."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from ledger import agreement_ends, agreements, evaluations
from ledger.calendar import months_after, years_after
from ledger.errors import Conflict, Invalid, NotAllowed
from tests.conftest import Town
from tests.ledger.test_agreement_ends import colleague, now_of

DAY = date(2026, 3, 2)


def at_noon(town: Town, day: date) -> None:
    town.now = datetime.fromisoformat(f"{day}T12:00:00+08:00")


def evaluate(town: Town, made: Any, verdict: str = "qualified", **more: Any) -> Any:
    return town.do("paul", evaluations.make, made, verdict=verdict, findings="披露及时", **more)


def unqualified(town: Town, made: Any) -> Any:
    return evaluate(
        town, made, "unqualified", mend="补充台账", mend_by=town.now.date() + timedelta(30)
    )


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [("2026-11-30", 3, "2027-02-28"), ("2027-11-30", 3, "2028-02-29"), ("2026-12-31", 1, "2027-01-31"),
     ("2026-01-15", 12, "2027-01-15")],
)  # fmt: skip
def test_months_are_counted_to_the_same_day_or_the_month_s_last(
    start: str, months: int, end: str
) -> None:
    assert months_after(date.fromisoformat(start), months) == date.fromisoformat(end)


def test_the_years_of_a_term_join_without_a_gap_and_end_with_it(town: Town) -> None:
    made = town.agreement(from_on=date(2024, 2, 29), until_on=date(2026, 5, 31))
    years = evaluations.periods(made)
    assert [(one.n, str(one.from_on), str(one.until_on), str(one.due_on)) for one in years] == [
        (1, "2024-02-29", "2025-02-27", "2025-05-27"),
        (2, "2025-02-28", "2026-02-27", "2026-05-27"),
        (3, "2026-02-28", "2026-05-31", "2026-08-31"),
    ]
    five = town.agreement(from_on=DAY, until_on=years_after(DAY, 5) - timedelta(1))
    assert len(evaluations.periods(five)) == 5


def test_a_year_is_evaluated_once_from_the_day_after_its_last(town: Town) -> None:
    made = town.agreement()
    last = years_after(DAY, 1) - timedelta(1)
    at_noon(town, last)
    with pytest.raises(Conflict, match="No year"):
        evaluate(town, made)
    at_noon(town, last + timedelta(1))
    done = evaluate(town, made, score=93)
    assert (done.number, done.period, done.due_on) == ("PJ2027-0001", 1, "2027-06-01")
    with pytest.raises(Conflict, match="No year"):
        evaluate(town, made)


def test_an_early_end_cuts_the_last_year_short(town: Town) -> None:
    made = town.agreement()
    at_noon(town, DAY + timedelta(100))
    town.do("olga", agreement_ends.propose_end, made, kind="by_agreement", ground="调整")
    town.do("paul", agreement_ends.end, made)
    with town.reading() as session:
        row = session.get_one(agreements.Agreement, made.id)
        assert evaluations.open_periods(session, row, DAY + timedelta(100)) == []
        [part] = evaluations.open_periods(session, row, DAY + timedelta(101))
    assert (part.n, part.until_on) == (1, DAY + timedelta(100))


def test_what_is_not_qualified_names_what_to_mend_and_by_when(town: Town) -> None:
    made = town.agreement(from_on=DAY - timedelta(400))
    with pytest.raises(Invalid) as refused:
        town.do("paul", evaluations.make, made, verdict="to_improve", findings=" ", score=101)
    assert set(refused.value.facts["faults"].by_place(str)) == {"findings", "score", "mend"}
    with pytest.raises(Invalid, match="has passed"):
        evaluate(town, made, "unqualified", mend="台账", mend_by=DAY - timedelta(1))
    with pytest.raises(Invalid, match="verdict"):
        evaluate(town, made, "fine")
    assert unqualified(town, made).mend_by_on == "2026-04-01"


def test_only_the_implementing_body_evaluates_and_only_the_operator_comments(town: Town) -> None:
    made = town.agreement(from_on=DAY - timedelta(400))
    for stranger in ("olga", "pia", "rita"):
        with pytest.raises(NotAllowed):
            town.do(stranger, evaluations.make, made, verdict="qualified", findings="好")
    done = evaluate(town, made)
    for stranger in ("paul", "mallory"):
        with pytest.raises(NotAllowed):
            town.do(stranger, evaluations.comment, done, "意见")
    town.do("opal", evaluations.comment, done, "已整改")
    assert now_of(town, done).comment == "已整改"
    with pytest.raises(Conflict):
        town.do("olga", evaluations.comment, done, "再说")


@pytest.mark.parametrize(
    ("verdicts", "may_end"),
    [(["unqualified"], False), (["unqualified", "unqualified"], True),
     (["unqualified", "to_improve"], False), (["unqualified", "unqualified", "qualified"], False),
     (["qualified", "unqualified", "unqualified"], True)],
)  # fmt: skip
def test_two_unqualified_years_in_a_row_let_the_implementing_body_end_it(
    town: Town, verdicts: list[str], may_end: bool
) -> None:
    pan = colleague(town)
    made = town.agreement(from_on=DAY - timedelta(1200), until_on=DAY + timedelta(300))
    for verdict in verdicts:
        evaluate(town, made, verdict, mend="台账", mend_by=DAY)
    if not may_end:
        with pytest.raises(Invalid, match="not both unqualified"):
            town.do(
                "paul", agreement_ends.propose_end, made, kind="evaluation", ground="两年不合格"
            )
        return
    town.do("paul", agreement_ends.propose_end, made, kind="evaluation", ground="两年不合格")
    town.do(pan, agreement_ends.end, made)
    assert now_of(town, made).state == "ended"
