"""Deadlines of the field: whose they are, how urgent, counted anew when a year's calendar comes."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import select

from ledger import calendar, deadlines, duties, log, registration, registration_profiles
from ledger.agreements import Agreement
from ledger.calendar import clock, local_date, pause, recount, resume
from ledger.deadlines import KEPT, TERMS, first_due, running, settled_by, standing
from ledger.duties import Duty
from ledger.messages import To
from ledger.registration import Application
from ledger.states import MOVES
from tests.conftest import Town
from tests.ledger import paying, registrations
from tests.ledger.test_supervision import audit


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The last year whose calendar is published: a test turns the page by changing it."""
    year = {"last": calendar.LAST_YEAR}
    monkeypatch.setattr(calendar, "published", lambda asked: asked <= year["last"])
    return year


def at(day: date) -> datetime:
    """Ten in the morning of a day in Shanghai."""
    return datetime(day.year, day.month, day.day, 2, tzinfo=UTC)


def kinds(town: Town, row: Any) -> list[str]:
    with town.reading() as session:
        return [one.kind for one in log.history(session, row.id)]


def fresh(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def recounted(town: Town) -> int:
    with town.deed() as session:
        return deadlines.recount_all(session, town.now)


def counted(town: Town, state: str) -> Application:
    """An application whose deadlines are clocks from today."""
    made = town.application(state)
    today = local_date(town.now)
    with town.deed() as session:
        row = session.get_one(Application, made.id)
        days = registration_profiles.profile(row.profile).days
        row.deadlines = {name: clock(today, days[name]) for name in row.deadlines}
        if row.notice:
            until = clock(today, days["notice"])
            row.notice = {**row.notice, "until": until}
        log.append(session, row, "application.accepted", "system")
    return made


# ---------------------------------------------------------------- the table


def test_every_term_runs_in_states_of_its_noun() -> None:
    for name, term in TERMS.items():
        states = {state for move in MOVES[term.noun].values() for state in move.values()}
        assert set(term.states) <= states, name
        assert name == term.name
        assert name.partition(".")[0] == term.noun


def test_every_state_in_which_a_day_is_owed_has_its_term(town: Town) -> None:
    """An application that waits for the registrar, and each affair of the catalogue, has one that runs."""
    town.catalogue_affairs()
    made = [
        town.application("submitted"), town.application("in_review"), town.application("on_notice"),
    ]  # fmt: skip
    found = [[term.name for term, _ in running(fresh(town, row))] for row in made]
    assert found == [["application.accept"], ["application.review"], ["application.notice"]]
    with town.reading() as session:
        for table in (Duty, deadlines.Demand, deadlines.Feedback):
            row: Any = session.scalars(select(table)).first()
            assert [due for _, due in running(row)] == [row.due], table
    alarm = town.alarm()
    assert [(term.name, term.owed(alarm)) for term, _ in running(alarm)] == [
        ("alarm.explain", (To(party_id=town.parties["operator"]),))
    ]


def test_a_deed_settles_the_deadline_that_falls_first(town: Town) -> None:
    row = Application(
        state="in_review", notice={},
        deadlines={"review": clock(date(2026, 3, 2), 20), "cancellation": clock(date(2026, 3, 2), 10)},
    )  # fmt: skip
    found = settled_by(row, "application.pass")
    assert found is not None
    assert found[0].name == "application.cancellation"
    assert settled_by(row, "application.code") is None


# ---------------------------------------------------------------- how urgent


@pytest.mark.parametrize(
    ("today", "urgency", "left"),
    [
        # due on Saturday 28 February 2026, which is worked for the Spring Festival of 15 to 23 February
        (date(2026, 2, 12), "later", 7), (date(2026, 2, 14), "later", 5), (date(2026, 2, 23), "later", 5),
        (date(2026, 2, 25), "later", 3), (date(2026, 2, 26), "near", 2), (date(2026, 2, 27), "near", 1),
        (date(2026, 2, 28), "today", 0), (date(2026, 3, 1), "overdue", -1),
        (date(2026, 3, 2), "overdue", -1), (date(2026, 3, 3), "overdue", -2),
    ],
)  # fmt: skip
def test_urgency_is_in_working_days_over_the_spring_festival(
    today: date, urgency: str, left: int
) -> None:
    how = standing(clock(date(2026, 2, 12), 7), today, TERMS["application.accept"])
    assert (how.on, how.urgency, how.left) == ("2026-02-28", urgency, left)


@pytest.mark.parametrize(
    ("today", "urgency"),
    [(date(2026, 2, 17), "later"), (date(2026, 2, 18), "near"), (date(2026, 2, 28), "today"),
     (date(2026, 3, 1), "overdue")],
)  # fmt: skip
def test_a_review_is_near_ten_days_of_the_calendar_before(today: date, urgency: str) -> None:
    due = {"on": "2026-02-28", "provisional": False}
    assert standing(due, today, TERMS["exclusion.review"]).urgency == urgency


def test_the_window_of_renewal_opens_sixty_days_before() -> None:
    due = {"on": "2026-12-31", "provisional": False}
    term = TERMS["registration.renewal"]
    assert standing(due, date(2026, 10, 31), term).urgency == "later"
    assert standing(due, date(2026, 11, 1), term).urgency == "near"


def test_a_paused_deadline_is_never_late_and_keeps_what_was_left() -> None:
    due = clock(date(2025, 9, 26), 10)  # to 16 October, over National Day
    assert due["on"] == "2025-10-16"
    stopped = pause(due, date(2025, 9, 29))
    how = standing(stopped, date(2026, 5, 1))
    assert (how.urgency, how.left) == ("paused", 9)  # Sunday 28 September was worked
    again = resume(stopped, date(2025, 10, 9))
    days = [date(2025, 10, n) for n in (9, 10, 11, 13, 14, 15, 16, 17, 20)]  # Saturday 11 is worked
    assert again["on"] == days[-1].isoformat()


def test_what_belongs_to_a_deadline_stays_when_it_is_paused_or_counted_anew() -> None:
    due = {**clock(date(2031, 3, 3), 5), "what": "answer"}
    assert resume(pause(due, date(2031, 3, 4)), date(2031, 3, 10))["what"] == "answer"
    assert recount(due) == due


# ---------------------------------------------------------------- first registration, 26号 art. 9(1)


def test_an_agreement_opens_twenty_working_days_and_an_old_one_thirty_from_the_first_of_march() -> (
    None
):
    new = Agreement(from_on="2026-02-02")
    assert first_due(new)["on"] == "2026-03-06"  # Saturdays 14 and 28 February are worked
    old = Agreement(from_on="2024-06-01")
    assert first_due(old)["on"] == "2025-04-14"  # thirty, the day of Qingming being off


def test_an_agreement_without_application_waits_until_its_operator_applies(town: Town) -> None:
    agreement = town.agreement()
    term = TERMS["agreement.first_due"]

    def waiting() -> list[str]:
        with town.reading() as session:
            found = deadlines.rows_of(session, term, local_date(town.now))
            return [row.number for row, _ in found]

    assert waiting() == [], "it is far off"
    town.later(days=30)
    assert waiting() == [agreement.number]
    town.do("olga", registration.submit, **town.application_facts(agreement))
    assert waiting() == []


# ---------------------------------------------------------------- the calendar comes out


CASES = {  # the day, working days, its last day by weekends only, and by the calendar of 2026
    "over_the_spring_festival": (date(2025, 12, 31), 35, "2026-02-18", "2026-02-26"),
    "to_a_make_up_workday": (date(2025, 12, 31), 37, "2026-02-20", "2026-02-28"),
    "over_new_year": (date(2025, 12, 30), 3, "2026-01-02", "2026-01-05"),
    "to_the_make_up_sunday": (date(2025, 12, 30), 2, "2026-01-01", "2026-01-04"),
}


@pytest.mark.parametrize("case", CASES)
def test_in_december_it_is_provisional_and_moves_when_the_calendar_comes(
    town: Town, known: dict[str, int], case: str
) -> None:
    start, days, before, after = CASES[case]
    known["last"] = 2025
    counted = clock(start, days)
    assert (counted["on"], counted["provisional"]) == (before, True)
    assert recount(counted) == counted
    known["last"] = 2026
    again = recount(counted)
    assert (again["on"], again["provisional"]) == (after, False)
    assert again == clock(start, days)


def test_over_national_day_the_make_up_workdays_count(known: dict[str, int]) -> None:
    known["last"] = 2024
    counted = clock(date(2025, 9, 26), 10)
    assert (counted["on"], counted["provisional"]) == ("2025-10-10", True)
    known["last"] = 2025
    assert recount(counted)["on"] == "2025-10-16"


def test_every_running_deadline_is_recounted_once_with_a_record_and_no_other_row(
    town: Town, known: dict[str, int]
) -> None:
    known["last"] = 2025
    town.now = at(date(2025, 12, 29))
    town.catalogue_affairs()
    late, review = counted(town, "on_notice"), counted(town, "in_review")
    registrations.object_to(town, town.application("on_notice"))
    town.alarm()
    paying.difference(town)
    ended = town.do("rita", duties.report, party=town.party("bureau"), cause="law", description="-",
                    cause_on=date(2025, 12, 1))  # fmt: skip
    with town.reading() as session:
        affairs = [session.scalars(select(kept.model)).first() for kept in KEPT[2:]]
    assert None not in affairs, "each noun that keeps a deadline"
    assert recounted(town) == 0, "nothing new is known"
    known["last"] = 2026
    before = {row.id: kinds(town, row) for row in (*affairs, late, review, ended)}
    assert recounted(town) == 8
    for row in (*affairs, late, review):
        assert kinds(town, row) == [*before[row.id], f"{row.subject_type}.recounted"]
    assert kinds(town, ended) == before[ended.id], "its days were all in the published year"
    until = fresh(town, late).notice["until"]
    assert until == clock(date(2025, 12, 29), 10)
    assert until["on"] == "2026-01-13"
    assert fresh(town, review).deadlines["review"]["on"] == "2026-01-27"
    feedback = next(row for row in affairs if row.subject_type == "feedback")
    assert fresh(town, feedback).due["what"] == "answer"
    assert recounted(town) == 0
    with town.reading() as session:
        records = [one for one in log.history(session, late.id) if one.kind.endswith("recounted")]
        assert [one.actor for one in records] == ["system"]


def test_what_is_paused_decided_or_older_than_clocks_is_not_recounted(
    town: Town, known: dict[str, int]
) -> None:
    known["last"] = 2025
    town.now = at(date(2025, 12, 29))
    old, decided = (
        town.do("rita", duties.report, party=town.party("bureau"), cause="law", description="-",
                cause_on=date(2025, 12, 29))
        for _ in range(2)
    )  # fmt: skip
    paused = counted(town, "in_review")
    with town.deed() as session:
        row = session.get_one(Duty, old.id)
        row.due = {"on": row.due["on"], "provisional": True}
        log.append(session, row, "duty.reported", "system")
        waiting = session.get_one(Application, paused.id)
        stopped = pause(waiting.deadlines["review"], date(2025, 12, 30))
        waiting.deadlines = {"review": stopped}
        log.append(session, waiting, "application.accepted", "system")
    town.do("paul", duties.settle, decided, not_needed="无需变更")
    known["last"] = 2026
    assert recounted(town) == 0
    assert fresh(town, old).due["on"] == "2026-01-12"
    town.later(days=30)
    assert standing(fresh(town, old).due, local_date(town.now)).urgency == "overdue", "as before"


def test_the_audit_finds_nothing_wrong_with_what_was_recounted(
    town: Town, known: dict[str, int]
) -> None:
    known["last"] = 2025
    town.now = at(date(2025, 12, 29))
    town.catalogue_affairs()
    known["last"] = 2026
    assert recounted(town) == 3
    town.later(days=1)
    town.seal()
    with town.reading() as session:
        assert audit(town, session) == []
