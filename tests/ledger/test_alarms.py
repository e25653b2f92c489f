"""Alarms: each is raised by its cause, once, answered by who has to, closed by the regulator alone."""

from sqlalchemy import select

from ledger import alarms, registration, vouchers
from ledger.alarms import Alarm
from tests.conftest import Town
from tests.ledger.test_usage import Counter, ndjson


def look(town: Town) -> int:
    with town.deed() as session:
        return alarms.look(session, town.now)


def found(town: Town, kind: str = "") -> list[Alarm]:
    with town.reading() as session:
        wanted = select(Alarm).order_by(Alarm.id)
        return list(session.scalars(wanted.where(Alarm.kind == kind) if kind else wanted))


def only(town: Town, kind: str) -> Alarm:
    (one,) = found(town, kind)
    return one


def test_a_decision_past_its_day_is_an_alarm_of_the_registrars_and_resolved_when_made(
    town: Town,
) -> None:
    made = town.application()
    assert look(town) == 0
    town.later(days=4)  # acceptance was due within three working days
    assert look(town) == 1
    alarm = only(town, "overdue")
    assert (alarm.about_number, alarm.state) == (made.number, "raised")
    assert alarm.owner_id == town.parties["registry"]
    assert look(town) == 0, "once"
    town.do("rita", registration.accept, made)
    assert look(town) == 1
    alarm = only(town, "overdue")
    assert (alarm.state, alarm.gone_at, alarm.due) == ("resolved", town.now, None)
    assert look(town) == 0


def test_usage_while_its_voucher_was_suspended_is_an_alarm_of_the_seller(town: Town) -> None:
    counter = Counter(town)
    counter.hand_in(ndjson([counter.row(n) for n in range(3)]))
    look(town)
    assert found(town) == []
    with town.reading() as session:
        voucher = session.scalars(select(vouchers.Voucher)).one()
    town.change("suspend", voucher)
    town.later(hours=1)
    rows = [counter.row(n, event=f"F-{n}") for n in range(5)]  # one a minute, all since
    rows.append(counter.row(90, event="F-90"))  # an hour and a half ago: before
    batch = counter.hand_in(ndjson(rows), "late.ndjson")
    assert look(town) == 1
    alarm = only(town, "lapsed_used")
    assert alarm.facts == {
        "count": 5, "number": batch.number, "orders": counter.licence.order_reference,
    }  # fmt: skip
    assert (alarm.owner_id, alarm.about_number) == (town.parties["operator"], batch.number)
    assert look(town) == 0
