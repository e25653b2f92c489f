"""Registration by many at once and in any order: one wins, a deadline runs only while it is owed."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from threading import Barrier
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger import agreements, log, objections, registration, registration_changes
from ledger.calendar import is_workday, local_date
from ledger.errors import Conflict
from ledger.objections import Objection
from ledger.parties import Actor
from ledger.registration import Application, Registration
from tests.conftest import START, Town, compliance
from tests.ledger import registrations
from tests.ledger.registrations import apply, object_to, passed, row

Deed = tuple[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]]
PATIENCE_S = 30


def at_once(town: Town, *deeds: Deed) -> list[str]:
    """The deeds in threads of their own; on PostgreSQL each has read its rows before any goes on."""
    meet = Barrier(len(deeds), timeout=PATIENCE_S)
    many_writers = town.home.engine.dialect.name == "postgresql"

    def one(deed: Deed) -> str:
        login, verb, args, named = deed
        if not many_writers:
            meet.wait()
        try:
            with town.deed() as session:
                fresh = [town.fresh(session, value) for value in args]
                if many_writers:
                    meet.wait()
                verb(session, town.actors[login], town.now, *fresh, **named)
        except Conflict:
            return "conflict"
        return "done"

    with ThreadPoolExecutor(len(deeds)) as pool:
        return list(pool.map(one, deeds))


def records(town: Town, made: Any) -> int:
    with town.reading() as session:
        return len(log.history(session, made.id))


def test_of_two_registrars_who_decide_at_once_one_does(town: Town) -> None:
    for _ in range(4):
        made = town.application()
        outcomes = at_once(
            town, ("rita", registration.accept, (made,), {}),
            ("rob", registration.refuse, (made, "不符"), {}),
        )  # fmt: skip
        assert sorted(outcomes) == ["conflict", "done"]
        won = "in_review" if outcomes[0] == "done" else "not_accepted"
        assert row(town, Application, made.id).state == won
        assert records(town, made) == 2


def test_the_right_to_hold_goes_to_one_of_two_that_are_coded_at_once(town: Town) -> None:
    """They came in before the rule, or past it: one is coded, and the other never can be."""
    made = []
    for place in (0, 1):
        facts = {
            **town.application_facts(), "agreement": None, "deposits": [town.deposit("paul")],
            "object_kind": "resource", "resource_ids": town.resources()[place : place + 1],
            "rights": ["holding"],
        }  # fmt: skip
        made.append(passed(town, town.do("paul", registration.submit, **facts)))
        town.do("rita", registration.give_notice, made[-1])
    with town.deed() as session:
        table = Application.__table__
        same = table.update().where(table.c.id == made[1].id)
        session.execute(same.values(resource_ids=made[0].resource_ids))
    town.later(days=21)
    outcomes = at_once(
        town, ("rita", registration.code, (made[0], None), {}),
        ("rob", registration.code, (made[1], None), {}),
    )  # fmt: skip
    assert sorted(outcomes) == ["conflict", "done"]
    lost = made[outcomes.index("conflict")]
    with pytest.raises(Conflict, match=r"is registered or applied for already \(DJ"):
        town.do("rita", registration.code, lost, None)
    with town.reading() as session:
        assert session.query(Registration).count() == 1


def test_what_is_concluded_twice_at_once_is_concluded_once(town: Town) -> None:
    registered = town.registration()
    made = passed(town, apply(town, "correction", registered))
    before = records(town, registered)
    deed = registration_changes.conclude
    assert sorted(
        at_once(town, ("rita", deed, (made, "属实"), {}), ("rob", deed, (made, "属实"), {}))
    ) == ["conflict", "done"]
    assert records(town, registered) == before + 1


def test_two_conclusions_about_one_registration_both_stand_or_one_is_tried_again(
    town: Town,
) -> None:
    registrations.profile(town, "shenzhen")
    registered = town.registration()
    claim = passed(town, apply(town, "objection", registered, "mallory"))
    made = passed(town, apply(town, "correction", registered))
    deed = registration_changes.conclude
    outcomes = at_once(town, ("rita", deed, (claim, "属实"), {}), ("rob", deed, (made, "属实"), {}))
    assert "done" in outcomes
    for one, outcome in zip((claim, made), outcomes, strict=True):
        if outcome == "conflict":
            town.do("rita", deed, one, "属实")
    found = row(town, Registration, registered.id)
    assert (found.disputes, found.summary) == ([claim.number], "更正后的摘要")


def test_of_two_who_apply_at_once_about_one_registration_one_comes_first(town: Town) -> None:
    registered = town.registration()

    def asks(type_: str, ground: str, **asked: Any) -> Deed:
        named = {"ground": ground, "asked": registration_changes.Asked(**asked)}
        return "olga", registration_changes.apply, (registered, type_), named | registrations.WORDS

    assert sorted(
        at_once(town, asks("change", "product", title="甲"), asks("cancellation", "lost"))
    ) == ["conflict", "done"]


def test_the_last_objections_settled_at_once_let_the_notice_go_on(town: Town) -> None:
    town.actors["ron"] = Actor("ron", town.parties["registry"], frozenset({"registrar"}))
    for _ in range(4):
        made = town.application("on_notice")
        first, second = object_to(town, made), object_to(town, made, "anna")
        outcomes = at_once(
            town, ("rob", objections.dismiss, (first, "查无实据"), {}),
            ("ron", objections.dismiss, (second, "查无实据"), {}),
        )  # fmt: skip
        assert outcomes == ["done", "done"]
        assert row(town, Application, made.id).state == "on_notice"


# ---------------------------------------------------------------- in any order


@dataclass
class Walk:
    """An application on some way through its verbs, with the days its notice really ran."""

    town: Town
    made: Application
    registered: Registration | None
    ran: set[date] = field(default_factory=set)
    came: set[str] = field(default_factory=set)

    def now(self) -> Application:
        return row(self.town, Application, self.made.id)  # type: ignore[no-any-return]

    def days(self, count: int) -> None:
        """Days go by; a working day counts for the notice when it still ran at that day's end."""
        found = self.now()
        for _ in range(count):
            today = local_date(self.town.now)
            if found.state == "on_notice" and today.isoformat() > found.notice["from"]:
                self.ran |= {today} if is_workday(today)[0] else set()
            self.town.later(days=1)

    def go(self, step: str | int) -> None:
        """A step, as far as it is legal now; what must be true then is true."""
        if isinstance(step, int):
            self.days(step)
        else:
            with suppress(Conflict):
                STEPS[step](self)
        found = self.now()
        assert set(found.deadlines) == OWED.get(found.state, set())
        assert all(due["left"] is None for due in found.deadlines.values())
        if found.state in ("on_notice", "objection_review"):
            paused = found.notice["until"]["left"] is not None
            assert paused == (found.state == "objection_review")
        if found.state in ("registered", "concluded"):
            assert len(self.ran) >= 10
        came.add(found.state)

    def settle(self, verb: str) -> None:
        with self.town.reading() as session:
            found = session.query(Objection).filter_by(
                application_id=self.made.id, state="raised"
            ).first()  # fmt: skip
        if found is not None:
            login = "mallory" if verb == "withdraw" else "rob"
            self.town.do(login, getattr(objections, verb), found, "经复核")

    def again(self) -> None:
        if self.registered is None:
            facts = self.town.application_facts()
            self.town.do("olga", registration.submit, **facts, resubmits=self.now())
        else:
            apply(self.town, "change", self.registered, amends=self.now(), title="再改")

    def end(self) -> None:
        if self.registered is None:
            agreement = self.town.get(agreements.Agreement, self.made)
            self.town.do("rita", registration.code, self.made, agreement)
        else:
            self.town.do("rita", registration_changes.conclude, self.made, "属实")


def by_rita(verb: Callable[..., Any], *args: Any, **named: Any) -> Callable[[Walk], Any]:
    return lambda walk: walk.town.do("rita", verb, walk.made, *args, **named)


STEPS: dict[str, Callable[[Walk], Any]] = {
    "accept": by_rita(registration.accept),
    "pass": by_rita(registration.pass_review, formal="全", compliance=compliance()),
    "notice": by_rita(registration.give_notice),
    "object": lambda walk: object_to(walk.town, walk.made),
    "dismiss": lambda walk: walk.settle("dismiss"),
    "withdraw_objection": lambda walk: walk.settle("withdraw"),
    "end": lambda walk: walk.end(),
    "return": by_rita(registration.send_back, ["缺"]),
    "again": lambda walk: walk.again(),
    "uphold": lambda walk: walk.settle("uphold"),
    "refuse": by_rita(registration.refuse, "不符"),
    "reject": by_rita(registration.reject, "不符"),
    "withdraw": lambda walk: walk.town.do("olga", registration.withdraw, walk.made, "不办了"),
}
OWED = {"submitted": {"accept"}, "in_review": {"review"}}
# Most walks come as far as the notice, and much happens there; some take any way at all.
NOTICED = ["accept", "pass", "notice"]
ON_NOTICE = st.sampled_from(["object", "dismiss", "withdraw_objection", "end", 1, 2, 5, 13])
ANY = st.sampled_from([*STEPS, 1, 3, 15])
WALKS = st.one_of(
    st.lists(ON_NOTICE, min_size=4, max_size=14).map(lambda steps: [*NOTICED, *steps]),
    st.lists(ANY, min_size=4, max_size=12),
)
came: set[str] = set()


@pytest.fixture(scope="module")
def one_village(village: Town) -> Town:
    if village.home.engine.dialect.name != "sqlite":
        pytest.skip("once is enough: the rules ask no database")
    return village


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
)  # fmt: skip
@given(steps=WALKS, first=st.booleans())
def test_a_deadline_runs_only_while_it_is_owed_and_no_notice_is_shorter_than_its_days(
    one_village: Town, steps: list[Any], first: bool
) -> None:
    town = one_village
    town.now = START
    registered = None if first else town.registration()
    made = town.application() if registered is None else apply(town, "change", registered)
    walk = Walk(town, made, registered)
    for step in steps:
        walk.go(step)
    while walk.now().state == "objection_review":
        walk.go("dismiss")
    while walk.now().state == "on_notice":  # it ends on the first day on which it may
        walk.go("end")
        walk.days(1)


def test_the_walks_came_everywhere(one_village: Town) -> None:
    """Else the property above would be asked of too little."""
    assert came >= {
        "submitted", "returned", "in_review", "reviewed", "on_notice", "objection_review",
        "registered", "concluded",
    }  # fmt: skip
