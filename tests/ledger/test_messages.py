"""Messages: made once, by a timer or in a deed, for whom it concerns and who may read of it."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from ledger import (
    announcements,
    demands,
    duties,
    exclusions,
    feedback,
    log,
    messages,
    motions,
    parties,
    registration,
    reminders,
    rights,
    vouchers,
)
from ledger.calendar import local_date
from ledger.duties import Duty
from ledger.errors import Conflict, Missing
from ledger.messages import KEPT_DAYS, Message, Reading, To
from ledger.nouns import evidence_tables
from ledger.parties import Member, actor_of
from tests.conftest import BASIS, Town
from tests.ledger import bookings, deals, neighbours, paying, registrations
from tests.webapp.test_language import record_kinds
from webapp import timers


def remind(town: Town) -> int:
    with town.deed() as session:
        return reminders.remind(session, town.now)


def told(town: Town, login: str) -> list[str]:
    """What somebody is told, the oldest first."""
    with town.reading() as session:
        actor = actor_of(session, town.actors[login].member_id)
        found = session.scalars(
            select(Message).where(messages.addressed(actor)).order_by(Message.id)
        )
        return [one.template.format(**one.facts) for one in found]


def quiet(town: Town) -> None:
    """Forget what was told so far."""
    with town.deed() as session:
        for one in session.scalars(select(Message)):
            session.delete(one)


def duty(town: Town, login: str = "rita") -> Duty:
    made: Duty = town.do(login, duties.report, party=town.party("bureau"), cause="law", description="-",
                         cause_on=local_date(town.now))  # fmt: skip
    return made


# ---------------------------------------------------------------- the timer


def test_a_deadline_that_nears_is_told_once_and_once_more_when_it_is_past(town: Town) -> None:
    made = duty(town)  # on Monday 2 March, due on Monday 16
    quiet(town)
    assert remind(town) == 0
    town.later(days=9)  # Wednesday 11: three working days are left
    assert remind(town) == 0
    town.later(days=1)
    assert remind(town) == 1
    near = f"Change of the catalogue: {made.number} is due on 2026-03-16."
    assert told(town, "paul") == [near]
    for _ in range(5):  # also on the day itself
        assert remind(town) == 0
        town.later(days=1)
    assert remind(town) == 3  # the 17th: whoever owes it, the registrars, the regulator
    past = f"Change of the catalogue: {made.number} was due on 2026-03-16 and is overdue."
    assert told(town, "paul") == [near, past]
    assert told(town, "rita") == told(town, "rob") == told(town, "gwen") == [past]
    assert told(town, "pia") == told(town, "olga") == told(town, "egon") == []
    town.later(days=30)
    assert remind(town) == 0


def test_what_was_settled_in_time_is_not_reminded_of(town: Town) -> None:
    made = duty(town)
    town.do("paul", duties.settle, made, not_needed="无需变更")
    quiet(town)
    town.later(days=60)
    assert remind(town) == 0


def test_what_is_paused_tells_nobody_and_what_moved_is_told_for_its_new_day(town: Town) -> None:
    made = duty(town)
    quiet(town)
    town.later(days=10)
    assert remind(town) == 1

    def put(**due: Any) -> None:
        with town.deed() as session:
            row = session.get_one(Duty, made.id)
            row.due = {**row.due, **due}
            log.append(session, row, "duty.reported", "system")

    put(left=2)
    quiet_before = len(told(town, "paul"))
    town.later(days=20)
    assert remind(town) == 0
    put(left=None, on=local_date(town.now + timedelta(days=1)).isoformat())
    assert remind(town) == 1
    assert len(told(town, "paul")) == quiet_before + 2, "the report, and the new day"


def test_an_application_is_owed_by_registrars_of_other_organisations(town: Town) -> None:
    made = town.application()
    quiet(town)
    town.later(days=2)
    remind(town)
    said = f"Acceptance of the application: {made.number} is due on 2026-03-05."
    assert told(town, "rita") == [said]
    assert told(town, "otto") == [], "he is of the applicant's own organisation"
    assert told(town, "olga") == []


def test_a_notice_that_is_over_tells_who_codes_and_nobody_that_it_is_late(town: Town) -> None:
    made = town.application("on_notice")
    quiet(town)
    town.later(days=15)
    remind(town)
    assert [one for one in told(town, "rita") if made.number in one] == [
        f"Public notice of the application: {made.number} stood its notice until 2026-03-16; it can be "
        "coded."
    ]
    assert told(town, "gwen") == []


def test_registrations_and_agreements_tell_before_they_end(town: Town) -> None:
    made = town.registration()
    agreement = town.get(registration.Agreement, made)
    ends = made.valid_until
    quiet(town)
    town.now = ends - timedelta(days=61)
    remind(town)
    assert told(town, "olga") == []
    town.later(days=1)
    remind(town)
    day = local_date(ends).isoformat()
    until = f"{made.code} is valid until {day}"
    assert told(town, "olga") == [
        f"Renewal of the registration: {until}; apply for its renewal before."
    ]
    town.now = ends - timedelta(days=10)
    remind(town)
    assert told(town, "olga")[1:] == [
        f"Validity of the registration: {made.code} is valid until {day}."
    ]
    town.now = ends + timedelta(days=1)
    remind(town)
    assert told(town, "olga")[2:] == [
        f"Validity of the registration: {made.code} was valid until {day}."
    ]
    assert remind(town) == 0
    town.later(days=366)
    remind(town)
    assert [one for one in told(town, "paul") if agreement.number in one] != []


def test_the_worker_s_timers_do_once_what_fell_due(town: Town) -> None:
    duty(town)
    quiet(town)
    town.later(days=10)
    assert timers.ring(town.home, town.now) == 1
    assert timers.ring(town.home, town.now) == 0


def test_two_workers_at_once_tell_nothing_twice(town: Town) -> None:
    for _ in range(5):
        duty(town)
    quiet(town)
    town.later(days=20)
    start, made = threading.Barrier(2), []

    def work() -> None:
        start.wait()
        for _ in range(3):
            try:
                made.append(remind(town))
            except Conflict:  # the database chose the other one
                continue

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(made) == 15
    assert len(told(town, "paul")) == 5
    assert len(told(town, "rita")) == 5


# ---------------------------------------------------------------- what a deed tells


def test_what_is_decided_on_an_application_is_told_its_applicant_in_the_same_deed(
    town: Town,
) -> None:
    made = town.application()
    submitted = f"Application {made.number} was submitted."
    assert submitted in told(town, "rita")
    assert submitted not in told(town, "otto"), "he cannot decide on it"
    assert submitted not in told(town, "olga")
    quiet(town)
    town.do("rita", registration.accept, made)
    assert told(town, "olga") == told(town, "opal") == [f"Application {made.number} was accepted."]
    assert told(town, "mallory") == told(town, "rita") == []
    town.do("rita", registration.reject, made, "来源不明")
    assert told(town, "olga")[1:] == [f"Application {made.number} was rejected."]
    assert "来源不明" not in str(town.snapshot()["messages"]), "the ground stands on its page"


def test_a_deed_that_is_refused_tells_nothing(town: Town) -> None:
    made = town.application()
    before = town.snapshot()["messages"]
    with pytest.raises(Conflict):
        town.do("rita", registration.give_notice, made)
    assert town.snapshot()["messages"] == before


def test_who_did_it_himself_is_not_told(town: Town) -> None:
    made = town.application()
    quiet(town)
    town.do("olga", registration.withdraw, made, "另行申请")
    assert told(town, "olga") == []
    assert told(town, "rita") == [f"Application {made.number} was withdrawn."]
    quiet(town)
    duty(town, "paul")
    assert told(town, "paul") == []


@pytest.mark.parametrize(
    ("verb", "said"),
    [("suspend", "was suspended"), ("revoke", "was revoked"), ("freeze", "was frozen")],
)
def test_what_happens_to_a_voucher_is_told_its_holder(town: Town, verb: str, said: str) -> None:
    voucher = town.voucher()
    quiet(town)
    town.change(verb, voucher)
    assert said in told(town, "olga")[0]
    assert told(town, "gwen") == told(town, "mallory") == []
    assert len(told(town, "rita")) == (verb == "freeze"), (
        "the regulator did it, the registrar hears it"
    )


def test_who_has_to_sign_is_told_and_who_proposed_hears_that_it_is_signed(town: Town) -> None:
    agreement = town.agreement()
    assert told(town, "paul") == [f"Agreement {agreement.number} waits for your signature."]
    assert told(town, "olga") == [f"Agreement {agreement.number} is signed and in force."]
    assert told(town, "pia") == []


def test_every_event_is_a_kind_that_some_verb_records() -> None:
    """A misspelt kind would never be told."""
    assert set(announcements.EVENTS) - record_kinds() == set()


def a_row_of_each_noun(town: Town) -> None:
    """At least one row of every noun whose records are told of."""
    town.catalogue_affairs()
    town.inquiry()
    town.alarm()
    town.price(town.agreement())
    bookings.hold(town)
    deals.order(town)
    deals.refund(town)
    deals.confirmation(town)
    bookings.period(town)
    bookings.limit(town)
    paying.prepared(town)
    paying.difference(town)
    town.authorisation()
    town.do("rita", motions.propose, town.voucher(), "split", "分别流通")
    registrations.object_to(town, town.application("on_notice"))
    registrations.apply(town, "correction", town.registration(), "paul")  # it needs a consent
    near = neighbours.Neighbour(town)
    neighbours.admitted(town, near)
    neighbours.recognise(town, near.bundle)


def test_every_event_is_of_a_record_that_names_whom_to_tell(town: Town) -> None:
    """What each kind tells is asked of real bodies of its noun; a misspelt column fails here."""
    a_row_of_each_noun(town)
    bodies: dict[str, list[Any]] = {}
    with town.reading() as session:
        for table in evidence_tables():
            rows = session.scalars(select(table)).all()
            bodies[table.subject_type] = [row.body() for row in rows]
        for kind, (template, whom) in announcements.EVENTS.items():
            noun = kind.partition(".")[0]
            assert bodies[noun], f"the town has no {noun}"
            for body in bodies[noun]:
                told = whom(session, body)
                assert told, kind
                assert all(isinstance(one, To) for one in told), kind
                assert {one.role for one in told} <= {None, *rights.ROLES}, kind
                number = "-" if noun == "scheme" else body.get("number") or body["code"]
                assert number in template.format(number=number), kind


def test_a_consent_is_told_to_the_applicant_and_to_whom_it_concerns(town: Town) -> None:
    made = registrations.apply(town, "correction", town.registration(), "paul")
    quiet(town)
    town.do("olga", registration.consent, made)
    said = f"A consent to application {made.number} was given."
    assert told(town, "paul") == told(town, "gwen") == told(town, "opal") == [said]
    assert told(town, "olga") == told(town, "mallory") == [], "she did it; it is not the bank's"


def test_affairs_of_the_catalogue_reach_both_sides(town: Town) -> None:
    town.catalogue_affairs()
    quiet(town)
    with town.reading() as session:
        found = session.scalars(select(feedback.Feedback)).one()
        wanted = session.scalars(select(demands.Demand)).one()
        entry = session.scalars(select(exclusions.Exclusion)).one()
    town.do("paul", feedback.answer, found, verdict="explained", text="无误")
    town.do("paul", demands.refuse, wanted, ground="依法")
    town.do("rita", exclusions.approve, entry)
    assert told(town, "olga") == [
        f"Feedback {found.number} was answered.", f"Demand {wanted.number} was refused.",
    ]  # fmt: skip
    assert told(town, "paul") == [f"Entry {entry.number} of the negative list is in force."]


# ---------------------------------------------------------------- reading, delivering, removing


def test_a_member_who_comes_later_reads_what_his_role_is_told_and_who_left_reads_nothing(
    town: Town,
) -> None:
    made = town.application()
    with town.deed() as session:
        rosa = parties.add_member(
            session, "system", town.now, party=session.get_one(parties.Party, town.parties["registry"]),
            login="rosa", display_name="Rosa", roles=["registrar"],
        )  # fmt: skip
        town.actors["rosa"] = actor_of(session, rosa.id)
    assert f"Application {made.number} was submitted." in told(town, "rosa")
    with town.deed() as session:
        session.get_one(Member, rosa.id).roles = []
    assert told(town, "rosa") == []


def test_one_member_can_be_told_alone(town: Town) -> None:
    made = duty(town)
    quiet(town)
    to = To(member_id=town.actors["rob"].member_id)
    facts: dict[str, Any] = {
        "to": [to, to], "template": "Duty {number} is open again.", "noun": "duty",
        "subject_id": made.id, "number": made.number, "facts": {"number": made.number}, "event": "once",
    }  # fmt: skip
    with town.deed() as session:
        assert messages.tell(session, town.now, **facts) == 1
        assert messages.tell(session, town.now, **facts) == 0
    assert told(town, "rob") == [f"Duty {made.number} is open again."]
    assert told(town, "rita") == []


def test_delivery_is_acknowledged_by_id_and_again_changes_nothing(town: Town) -> None:
    town.application()
    with town.reading() as session:
        ids = [one.id for one in messages.undelivered(session)]
    assert ids == sorted(ids)
    first = town.now
    with town.deed() as session:
        assert messages.acknowledge(session, first, ids[:1]) == 1
        with pytest.raises(Missing):
            messages.acknowledge(session, first, [*ids, "unknown"])
    town.later(hours=1)
    with town.deed() as session:
        assert messages.acknowledge(session, town.now, [*ids[:1], *ids[:1]]) == 0
        assert session.get_one(Message, ids[0]).delivered_at == first
        assert [one.id for one in messages.undelivered(session)] == ids[1:]
        assert [one.id for one in messages.undelivered(session, after=ids[1])] == ids[2:]


def test_what_was_read_is_removed_after_half_a_year_and_never_told_again(town: Town) -> None:
    duty(town)
    town.later(days=20)
    remind(town)
    paul = town.actors["paul"]
    with town.deed() as session:
        mine = session.scalars(select(Message.id).where(messages.addressed(paul))).all()
        assert messages.mark_read(session, paul, town.now, mine) == len(mine) == 2
        assert messages.mark_read(session, paul, town.now, mine) == 0
    town.later(days=KEPT_DAYS)

    def removed() -> int:
        with town.deed() as session:
            return messages.remove_old(session, town.now)

    assert removed() == 1, "the report; what the timer told is younger"
    town.later(days=1)
    assert removed() == 1
    assert removed() == 0
    assert told(town, "paul") == []
    assert remind(town) == 0
    assert len(told(town, "rita")) == 1, "nobody has read what the registrars were told"
    with town.reading() as session:
        assert session.scalars(select(Reading)).all() == []


def test_a_frozen_voucher_is_told_through_the_deed_of_the_town(town: Town) -> None:
    """The messages of a deed and its record are there together."""
    voucher = town.voucher()
    quiet(town)
    with town.deed() as session:
        row = session.get_one(vouchers.Voucher, voucher.id)
        vouchers.change(
            session, town.actors["gwen"], town.now, row, "freeze", "依法", "x/log", BASIS
        )
        assert session.scalars(select(Message)).all() == []
        town.home.record(session, town.now)
        assert len(session.scalars(select(Message)).all()) == 2
        town.home.record(session, town.now)
        assert len(session.scalars(select(Message)).all()) == 2
