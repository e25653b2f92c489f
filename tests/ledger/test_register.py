"""The register: inquiry, revocation, cancellation and lapse, each kept apart from the others."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ledger import log, register, registration
from ledger.calendar import local_date
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.registration import Registration
from tests.conftest import Town
from tests.ledger import registrations
from tests.ledger.registrations import inquire, registered_under, row

pytestmark = pytest.mark.pages


def at(day: date | str, hour: int = 10, minute: int = 0) -> datetime:
    """A time of a day in Shanghai."""
    return datetime.fromisoformat(f"{day}T{hour:02d}:{minute:02d}:00+08:00").astimezone(UTC)


def lapse(town: Town) -> int:
    with town.deed() as session:
        return register.lapse(session, town.now)


def kinds(town: Town, registered: Registration) -> list[str]:
    with town.reading() as session:
        return [one.kind for one in log.history(session, registered.id)]


ENDINGS: dict[str, Callable[[Town, Any], Any]] = {
    "clear": lambda t, row: t.do("rob", register.clear, row, "核实无误"),
    "revoke": lambda t, row: t.do(
        "rob", register.revoke, row, ground="false_material", finding="虚假"),
    "cancel": lambda t, row: t.do(
        "rob", register.cancel, row, ground="subject_ended", finding="解散"),
}  # fmt: skip


# ---------------------------------------------------------------- inquiry


@pytest.mark.parametrize(
    ("verb", "state", "ending", "kind"),
    [
        ("clear", "registered", None, "registration.cleared"),
        ("revoke", "revoked", {"application": None, "ground": "false_material"},
         "registration.revoked"),
        ("cancel", "cancelled", {"application": None, "ground": "subject_ended"},
         "registration.cancelled"),
    ],
)  # fmt: skip
def test_what_is_verified_is_decided_by_another_person(
    town: Town, verb: str, state: str, ending: Any, kind: str
) -> None:
    registered = town.registration()
    inquire(town, registered)
    waiting = row(town, Registration, registered.id)
    assert (waiting.state, waiting.inquiry) == (
        "under_inquiry", {"by": town.actors["rita"].member_id, "ground": "举报"},
    )  # fmt: skip
    before = town.snapshot()
    town.actors["rob"], rob = town.actors["rita"], town.actors["rob"]
    with pytest.raises(NotAllowed, match=r"yourself"):
        ENDINGS[verb](town, registered)
    town.actors["rob"] = town.actors["otto"]
    with pytest.raises(NotAllowed, match=r"your own organisation's"):
        ENDINGS[verb](town, registered)
    assert town.snapshot() == before
    town.actors["rob"] = rob
    ENDINGS[verb](town, registered)
    decided = row(town, Registration, registered.id)
    assert (decided.state, decided.ending) == (state, ending)
    assert kinds(town, registered)[-2:] == ["registration.inquired", kind]


@pytest.mark.parametrize("verb", ENDINGS)
def test_nothing_is_taken_away_without_an_inquiry(town: Town, verb: str) -> None:
    registered = town.registration()
    before = town.snapshot()
    with pytest.raises(Conflict):
        ENDINGS[verb](town, registered)
    assert town.snapshot() == before


def test_what_was_cleared_is_verified_anew_by_whoever(town: Town) -> None:
    registered = town.registration()
    inquire(town, registered)
    ENDINGS["clear"](town, registered)
    town.do("rob", register.inquire, registered, "再次举报")
    with pytest.raises(NotAllowed, match=r"yourself"):
        ENDINGS["revoke"](town, registered)
    town.do("rita", register.clear, registered, "无误")


def test_grounds_are_those_of_the_rules_and_findings_are_stated(town: Town) -> None:
    registered = town.registration()
    with pytest.raises(Invalid, match=r"State the ground"):
        town.do("rita", register.inquire, registered, " ")
    inquire(town, registered)
    before = town.snapshot()
    for verb, ground, why in (
        (register.revoke, "weather", r"false_material \(隐瞒事实"),
        (register.revoke, "", r"must be one of"),
        (register.revoke, "tampering", r"State the ground"),
        (register.cancel, "tampering", r"subject_ended \("),
    ):
        finding = " " if ground == "tampering" and verb is register.revoke else "属实"
        with pytest.raises(Invalid, match=why):
            town.do("rob", verb, registered, ground=ground, finding=finding)
    assert town.snapshot() == before


def test_revoked_cancelled_and_terminated_are_kept_apart(town: Town) -> None:
    """Revoked and cancelled are registrations that were; terminated is what never became one."""
    revoked, cancelled, lapsed = (town.registration() for _ in range(3))
    for one in (revoked, cancelled):
        inquire(town, one)
    ENDINGS["revoke"](town, revoked)
    ENDINGS["cancel"](town, cancelled)
    applied_for = town.registration()
    registrations.conclude(town, registrations.apply(town, "cancellation", applied_for))
    noticed = town.application("on_notice")
    registrations.object_to(town, noticed)
    registrations.decide(town, noticed, "uphold")
    town.now = lapsed.valid_until + timedelta(days=1)
    assert lapse(town) == 1
    found = [row(town, Registration, one.id) for one in (revoked, cancelled, applied_for, lapsed)]
    assert [(one.state, one.ending["ground"]) for one in found] == [
        ("revoked", "false_material"), ("cancelled", "subject_ended"),
        ("cancelled", "given_up_or_expired"), ("cancelled", "expired"),
    ]  # fmt: skip
    assert [kinds(town, one)[-1] for one in found] == [
        "registration.revoked", "registration.cancelled", "registration.cancelled",
        "registration.lapsed",
    ]  # fmt: skip
    ended = row(town, registration.Application, noticed.id)
    assert ended.state == "terminated"
    with town.reading() as session:
        assert session.query(Registration).filter_by(application_id=noticed.id).count() == 0
    for one in found:
        before = town.snapshot()
        with pytest.raises(Conflict):
            inquire(town, one)
        assert town.snapshot() == before


# ---------------------------------------------------------------- lapse


def test_a_registration_lapses_the_day_after_its_last_in_shanghai_and_once(town: Town) -> None:
    registered = town.registration()
    last = local_date(registered.valid_until)
    before = town.snapshot()
    for when in (at(last, 0), at(last, 23, 59)):
        town.now = when
        assert lapse(town) == 0
    assert town.snapshot() == before
    town.now = at(last + timedelta(days=1), 0)
    assert town.now.date() == last, "in London it is still that day"
    assert lapse(town) == 1
    ended = row(town, Registration, registered.id)
    assert (ended.state, ended.ending) == ("cancelled", {"application": None, "ground": "expired"})
    with town.reading() as session:
        record = log.payload_of(log.history(session, registered.id)[-1])
    assert (record["actor"], record["reason"]) == ("system", "期满未续展")
    after = town.snapshot()
    assert lapse(town) == 0
    assert town.snapshot() == after


def test_over_the_year_s_end_it_lapses_in_january(town: Town) -> None:
    town.now = at("2026-12-01")
    soon = town.agreement(until_on=date(2026, 12, 31))
    registered = registered_under(town, soon)
    assert registered.code.startswith("DJ202612-")
    town.now = at("2026-12-31", 23, 59)
    assert lapse(town) == 0
    town.now = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)  # midnight in Shanghai
    assert lapse(town) == 1
    assert registrations.apply(town, "cancellation", town.registration()).number.startswith(
        "SQ2027-"
    )


def test_a_registration_coded_on_a_leap_day_has_its_last_on_the_28th(town: Town) -> None:
    town.now = at("2028-02-08")
    made = town.application("on_notice")
    town.now = at("2028-02-29")
    agreement = town.get(registrations.Agreement, made)
    registered = town.do("rita", registration.code, made, agreement)
    assert local_date(registered.valid_until) == date(2031, 2, 28)


def test_what_is_verified_does_not_lapse_until_it_is_cleared(town: Town) -> None:
    registered = town.registration()
    inquire(town, registered)
    town.now = registered.valid_until + timedelta(days=1)
    assert lapse(town) == 0
    ENDINGS["clear"](town, registered)
    assert lapse(town) == 1


def test_a_round_takes_so_many_and_the_next_one_the_rest(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = town.registration()
    for _ in range(2):
        town.registration()
    monkeypatch.setattr(register, "LAPSED_AT_ONCE", 2)
    town.now = first.valid_until + timedelta(days=400)
    assert [lapse(town) for _ in range(3)] == [2, 1, 0]


# ---------------------------------------------------------------- lifting


def test_only_an_objection_that_it_bears_is_lifted(town: Town) -> None:
    registered = registrations.disputed(town)
    [number] = registered.disputes or []
    with pytest.raises(Invalid, match=f"bears no objection SQ2026-000999; it bears: {number}"):
        town.do("rob", register.lift, registered, application="SQ2026-000999", finding="和解")
    with pytest.raises(Invalid, match=r"State the ground"):
        town.do("rob", register.lift, registered, application=number, finding=" ")
    inquire(town, registered)  # it may be lifted while it is verified
    town.do("rita", register.lift, registered, application=number, finding="和解")
    lifted = row(town, Registration, registered.id)
    assert (lifted.state, lifted.disputes) == ("under_inquiry", [])
    with pytest.raises(Invalid, match=r"it bears: -"):
        town.do("rob", register.lift, registered, application=number, finding="和解")


def test_a_returned_renewal_keeps_the_lapse_away_until_the_day_to_mend_it_by(town: Town) -> None:
    """Else a renewal that nobody mends would keep a registration for ever."""
    registered = registrations.registered_under(town, town.agreement())
    last = local_date(registered.valid_until)
    town.now = at((last - timedelta(days=3)).isoformat())
    longer = registrations.agreement_with(town, "olga")
    made = registrations.apply(town, "renewal", registered, agreement=longer)
    town.do("rita", registration.send_back, made, ["缺证明"])
    returned = registrations.row(town, registration.Application, made.id)
    by = date.fromisoformat(returned.review["amend_by"])
    for day, count in ((by, 0), (by + timedelta(days=1), 1)):
        town.now = at(day.isoformat())
        with town.deed() as session:
            assert register.lapse(session, town.now) == count
