"""Alarms: each is raised by its cause, once, answered by who has to, closed by the regulator alone."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from ledger import (
    alarms,
    catalogue,
    duties,
    freezes,
    log,
    registration,
    supervision,
    trading,
    voucher_moves,
    vouchers,
)
from ledger.agreements import Agreement
from ledger.alarm_rows import Alarm
from ledger.calendar import local_date
from ledger.chain import outbox
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.proof.checkpoint import verifier_key
from ledger.proof.encoding import INT_MAX
from ledger.proof.trust import LogKey
from tests.conftest import BASIS, LOG_KEY, ORIGIN, Town
from tests.ledger import registrations
from tests.ledger.test_usage import Counter, ndjson
from webapp import audits, timers


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


def last_record(town: Town, alarm: Alarm) -> dict[str, Any]:
    with town.reading() as session:
        return log.payload_of(log.history(session, alarm.id)[-1])


def amended(town: Town, **facts: Any) -> None:
    """Every agreement says something else from now on."""
    with town.deed() as session:
        session.execute(update(Agreement).values(**facts))


def sold_before(town: Town, voucher: vouchers.Voucher, terms: dict[str, Any]) -> trading.Licence:
    """A licence sold when its agreement named no scenes yet, though it authorises by scene."""
    amended(town, scenes=None)
    return town.licence(voucher, terms=terms)


# ---------------------------------------------------------------- what is late


def test_a_decision_past_its_day_is_an_alarm_of_the_registrars_and_resolved_when_made(
    town: Town,
) -> None:
    made = town.application()
    assert look(town) == 0
    town.later(days=4)  # acceptance was due within three working days
    assert look(town) == 1
    alarm = only(town, "overdue")
    assert (alarm.about_number, alarm.state, alarm.number) == (
        made.number,
        "raised",
        "JB2026-000001",
    )
    assert alarm.owner_id == town.parties["registry"]
    assert alarm.facts == {"due": "2026-03-05", "number": made.number}
    assert look(town) == 0, "once"
    town.do("rita", registration.accept, made)
    assert look(town) == 1
    alarm = only(town, "overdue")
    assert (alarm.state, alarm.gone_at, alarm.due) == ("resolved", town.now, None)
    assert last_record(town, alarm)["actor"] == "system"
    assert look(town) == 0


def test_a_paused_deadline_is_not_late(town: Town) -> None:
    made = town.application()
    with town.deed() as session:
        row = session.get_one(registration.Application, made.id)
        row.deadlines = {"accept": {**row.deadlines["accept"], "left": 2}}
        log.append(session, row, "application.submitted", "system")
    town.later(days=30)
    assert look(town) == 0


def test_an_objection_past_its_day_is_an_alarm_and_an_unanswered_alarm_is_none_of_its_own(
    town: Town,
) -> None:
    objected = registrations.object_to(town, town.application("on_notice"))
    town.later(days=40)
    assert look(town) == 1
    alarm = only(town, "overdue")
    assert (alarm.about_type, alarm.about_number) == ("objection", objected.number)
    assert alarm.owner_id == town.parties["registry"]
    town.later(days=40)
    assert look(town) == 0
    registrations.decide(town, town.get(registration.Application, objected), "dismiss")
    assert look(town) == 1
    assert only(town, "overdue").state == "resolved"


def test_a_department_answers_for_its_duties_and_stale_data(town: Town) -> None:
    town.resources()
    town.do("rita", duties.report, party=town.party("bureau"), cause="law", description="新规定",
            cause_on=local_date(town.now))  # fmt: skip
    with town.deed() as session:
        for n in (7, 8):
            catalogue.add_resource(
                session, town.actors["rita"], town.now, code=f"307001001/00000{n}", title="日报",
                provider="市数据局", elements={"update_cycle": "daily", "updated_on": "2026-03-02"},
            )  # fmt: skip
    assert look(town) == 0
    town.later(days=30)
    assert look(town) == 2
    told = {one.about_type: one for one in found(town, "overdue")}
    assert {one.owner_id for one in told.values()} == {town.parties["bureau"]}
    assert told["party"].facts == {"count": 2, "name": "市数据局"}
    assert set(told) == {"duty", "party"}


# ---------------------------------------------------------------- usage


@pytest.mark.parametrize(("stop", "go_on"), [("suspend", "resume"), ("freeze", "unfreeze"),
                                             ("revoke", "")])  # fmt: skip
def test_usage_while_its_voucher_was_not_in_force_is_an_alarm_of_the_seller(
    town: Town, stop: str, go_on: str
) -> None:
    counter = Counter(town)
    counter.hand_in(ndjson([counter.row(n) for n in range(3)]))
    look(town)
    assert found(town) == []
    with town.reading() as session:
        voucher = session.scalars(select(vouchers.Voucher)).one()
    town.change(stop, voucher)
    town.later(hours=1)
    if go_on:
        town.change(go_on, voucher)
        town.later(minutes=3)  # the last four events are lawful again
    rows = [counter.row(n, event=f"F-{n}") for n in range(8)]  # one a minute
    rows.append(counter.row(90, event="F-90"))  # an hour and a half ago: before
    batch = counter.hand_in(ndjson(rows), "late.ndjson")
    assert look(town) == 1
    alarm = only(town, "lapsed_used")
    assert alarm.facts == {
        "count": 4 if go_on else 8, "number": batch.number,
        "orders": counter.licence.order_reference,
    }  # fmt: skip
    assert (alarm.owner_id, alarm.about_number) == (town.parties["operator"], batch.number)
    assert look(town) == 0
    counter.hand_in(ndjson([counter.row(95, event="G-1")]), "lawful.ndjson")
    assert look(town) == 0, "an event before it is no alarm, whenever it is handed in"


def recorded(town: Town, agreement: Agreement, **columns: Any) -> None:
    """The agreement is another one from now on, as a record says: of before scenes, or with a lower cap."""
    with town.deed() as session:
        row = session.get_one(Agreement, agreement.id)
        for name, value in columns.items():
            setattr(row, name, value)
        log.append(session, row, "agreement.signed", "system")


def agreement_of(town: Town, voucher: vouchers.Voucher) -> Agreement:
    registered = town.get(registration.Registration, voucher)
    return town.get(Agreement, registered)  # type: ignore[no-any-return]


def scene(name: str) -> dict[str, str]:
    return {"name": name, "use": "如约定"}


def test_usage_under_a_licence_without_scene_of_an_agreement_by_scene_is_outside(
    town: Town,
) -> None:
    counter = Counter(town)
    with town.reading() as session:
        voucher = session.scalars(select(vouchers.Voucher)).one()
    recorded(town, agreement_of(town, voucher), scenes=None)  # of before scenes were kept
    plain = town.licence(voucher, terms={"delivery": "接口"})
    town.later(hours=1)
    rows = [counter.row(n, licence=plain.order_reference) for n in range(4)]
    batch = counter.hand_in(ndjson([*rows, counter.row(9)]))
    assert look(town) == 1
    alarm = only(town, "outside_scene")
    assert alarm.facts == {
        "count": 4, "number": batch.number, "orders": plain.order_reference,
    }  # fmt: skip
    assert alarm.owner_id == town.parties["operator"]
    assert look(town) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"scenes": [scene("风险评估"), scene("贷前审查")]}, {"scenes": [scene("城市治理")]}),
        ({"domains": ["金融服务"]}, {"domains": ["交通运输"]}),
    ],
    ids=("scene", "field"),
)
def test_usage_for_what_the_agreement_does_not_grant_any_more_is_outside(
    town: Town, before: dict[str, Any], after: dict[str, Any]
) -> None:
    counter = Counter(town)
    with town.reading() as session:
        voucher = session.scalars(select(vouchers.Voucher)).one()
    agreement = agreement_of(town, voucher)
    recorded(town, agreement, **before)
    counter.licence = town.licence(voucher, terms={"scene": "风险评估", "field": "金融服务"})
    town.later(hours=1)
    counter.hand_in(ndjson([counter.row(1)]))
    assert look(town) == 0
    recorded(town, agreement, **after)
    counter.hand_in(ndjson([counter.row(2)]), "second.ndjson")
    assert look(town) == 1
    assert only(town, "outside_scene").facts["count"] == 1


def test_usage_after_its_voucher_was_split_is_an_alarm(town: Town) -> None:
    counter = Counter(town)
    with town.reading() as session:
        voucher = session.scalars(select(vouchers.Voucher)).one()
    town.do("rita", voucher_moves.split, voucher, "按权利拆分", town.issuer())
    town.later(hours=1)
    counter.hand_in(ndjson([counter.row(n) for n in range(3)]))
    assert look(town) == 1
    assert only(town, "lapsed_used").facts["count"] == 3


def test_of_many_batches_each_is_looked_at_once_a_few_a_round(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(town)
    with town.reading() as session:
        voucher = session.scalars(select(vouchers.Voucher)).one()
    recorded(town, agreement_of(town, voucher), scenes=None)
    plain = town.licence(voucher, terms={})
    town.later(hours=1)
    for n in range(3):
        row = counter.row(n, licence=plain.order_reference)
        counter.hand_in(ndjson([row]), f"{n}.ndjson")
    monkeypatch.setattr(alarms, "BATCHES_A_ROUND", 2)
    assert [look(town) for _ in range(3)] == [2, 1, 0]


# ---------------------------------------------------------------- prices


def test_a_price_above_the_cap_is_an_alarm_until_the_licence_is_revoked(town: Town) -> None:
    voucher = town.voucher()
    agreement = agreement_of(town, voucher)
    recorded(town, agreement, price_cap_fen=38_000_000)
    licence = town.licence(voucher)
    assert look(town) == 0, "at the cap"
    recorded(town, agreement, price_cap_fen=37_999_999)
    assert look(town) == 1
    alarm = only(town, "above_cap")
    assert (alarm.about_number, alarm.owner_id) == (
        licence.order_reference, town.parties["operator"],
    )  # fmt: skip
    assert (alarm.facts["price"], alarm.facts["cap"]) == ("380000.00", "379999.99")
    town.do("olga", trading.revoke, licence, town.get(vouchers.Voucher, licence), "改价", ORIGIN)
    look(town)
    assert only(town, "above_cap").state == "resolved"


# ---------------------------------------------------------------- the chain


def failed(town: Town, template: str, **facts: Any) -> None:
    with town.deed() as session:
        problem = {"facts": facts, "template": template}
        session.execute(update(outbox.Act).values(state="alarm", problem=problem))


def test_an_act_in_alarm_is_the_administrators_and_gone_when_tried_again(town: Town) -> None:
    voucher = town.voucher()
    failed(town, outbox.REFUSED, why="Frozen")
    assert look(town) == 1
    alarm = only(town, "act_failed")
    assert (alarm.about_type, alarm.about_number) == ("voucher", voucher.number)
    assert alarm.owner_id == town.parties["registry"]
    assert look(town) == 0
    with town.deed() as session:
        outbox.retry(session)
    look(town)
    assert only(town, "act_failed").state == "resolved"
    failed(town, outbox.REFUSED, why="Frozen")
    assert look(town) == 1
    assert [(one.occurrence, one.state) for one in found(town, "act_failed")] == [
        (1, "resolved"), (2, "raised"),
    ]  # fmt: skip


def test_a_fork_is_an_alarm_of_its_own_kind(town: Town) -> None:
    made = town.seal()
    with town.deed() as session:
        outbox.enqueue_anchor(session, town.now, made.tree_size, bytes.fromhex(made.root))
    failed(town, outbox.FORK, size=made.tree_size)
    assert look(town) == 1
    alarm = only(town, "fork")
    assert (alarm.about_type, alarm.about_number) == ("checkpoint", str(made.tree_size))


# ---------------------------------------------------------------- the audit


def audited(town: Town, folder: Path) -> dict[str, Any]:
    """What a real audit finds, as far as it goes without a chain."""
    key = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())
    ground = supervision.Ground(ORIGIN, (LogKey(key, 1, INT_MAX),))
    return audits.audit(
        town.home, ground, town.now, folder / "audit.db", lambda *_: None, again=True
    )


def test_a_tampered_row_found_by_the_audit_is_one_alarm_without_what_stands_there(
    town: Town, tmp_path: Path
) -> None:
    registered = town.registration()
    clean = audited(town, tmp_path)
    assert clean["count"] == 0
    with town.deed() as session:
        assert alarms.of_audit(session, town.now, clean) is None
        session.execute(text("UPDATE registrations SET title = '秘密'"))
    answer = audited(town, tmp_path)
    with town.deed() as session:
        number = alarms.of_audit(session, town.now, answer)
    with town.deed() as session:
        assert alarms.of_audit(session, town.now, answer) == number, "the same again is no other"
    alarm = only(town, "audit_difference")
    assert (alarm.number, alarm.owner_id) == (number, town.parties["registry"])
    assert alarm.facts["count"] == answer["count"] > 0
    assert any(registered.id in one["name"] for one in alarm.facts["first"])
    assert "秘密" not in str(last_record(town, alarm))
    with town.deed() as session:
        session.execute(
            text("UPDATE registrations SET title = :title"), {"title": registered.title}
        )
    mended = audited(town, tmp_path)
    assert mended["count"] == 0, "the alarm itself is in order"
    with town.deed() as session:
        alarms.of_audit(session, town.now, mended)
    assert only(town, "audit_difference").state == "raised", "without the chain nothing is cleared"
    with town.deed() as session:
        alarms.of_audit(session, town.now, {**mended, "offline": False})
    assert only(town, "audit_difference").state == "resolved"


# ---------------------------------------------------------------- once, whoever looks


def test_two_workers_at_once_raise_one(town: Town) -> None:
    town.application()
    town.later(days=4)
    start = threading.Barrier(4)
    errors: list[Exception] = []

    def work() -> None:
        start.wait()
        try:
            look(town)
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()
    assert not errors
    assert len(found(town)) == 1


def test_the_timer_looks(town: Town) -> None:
    town.application()
    town.later(days=4)
    timers.ring(town.home, town.now)
    assert len(found(town, "overdue")) == 1


def test_what_was_closed_stays_closed_until_its_cause_was_gone_and_came_back(town: Town) -> None:
    made = town.do("rita", duties.report, party=town.party("bureau"), cause="law",
                   description="新规定", cause_on=local_date(town.now))  # fmt: skip
    town.later(days=30)
    look(town)
    alarm = only(town, "overdue")
    town.do("paul", alarms.explain, alarm, "人手不足")
    town.do("gwen", alarms.close, alarm, "属实")
    assert look(town) == 0, "the regulator has accepted it"
    town.do("paul", duties.settle, made, not_needed="目录已写明")
    look(town)
    alarm = only(town, "overdue")
    assert (alarm.state, alarm.gone_at) == ("closed", town.now)
    town.do("rita", duties.reopen, made, "仍须变更")
    assert look(town) == 1
    assert [one.state for one in found(town, "overdue")] == ["closed", "raised"]


# ---------------------------------------------------------------- who may


def test_only_who_has_to_answer_explains_and_only_the_regulator_decides(town: Town) -> None:
    alarm = town.alarm()
    for login in ("mallory", "rita", "gwen", "paul", "admin"):
        with pytest.raises(NotAllowed):
            town.do(login, alarms.explain, alarm, "与我无关")
    with pytest.raises(Invalid):
        town.do("olga", alarms.explain, alarm, " ")
    with pytest.raises(Conflict):
        town.do("gwen", alarms.close, alarm, "尚未说明")
    town.do("opal", alarms.explain, alarm, "系统时钟有误")
    for login in ("olga", "opal", "rita", "admin", "mona", "egon"):
        for verb in (alarms.close, alarms.reopen):
            with pytest.raises(NotAllowed):
                town.do(login, verb, alarm, "无妨")
    town.later(days=1)
    town.do("gwen", alarms.reopen, alarm, "未说明如何更正")
    alarm = only(town, "lapsed_used")
    assert alarm.due is not None
    assert (alarm.state, alarm.due["on"]) == ("raised", "2026-03-10")
    assert alarm.explanation is not None
    town.do("olga", alarms.explain, alarm, "已更正，附日志")
    town.do("gwen", alarms.close, alarm, "属实")
    alarm = only(town, "lapsed_used")
    assert alarm.decision is not None
    assert (alarm.state, alarm.decision["verdict"]) == ("closed", "close")


def test_who_has_not_answered_by_his_day_is_late(town: Town) -> None:
    alarm = town.alarm()
    today = local_date(town.now)
    assert not alarms.is_late(alarm, (today + timedelta(days=7)).isoformat())
    assert alarms.is_late(alarm, (today + timedelta(days=8)).isoformat())
    with town.reading() as session:
        assert alarms.late(session, (today + timedelta(days=8)).isoformat()) == {"lapsed_used": 1}


# ---------------------------------------------------------------- freezes


def test_a_freeze_keeps_its_basis_and_its_ground(town: Town) -> None:
    voucher = town.voucher()
    with pytest.raises(Invalid, match="law or the decision"):
        town.do("gwen", vouchers.change, voucher, "freeze", "涉嫌造假", ORIGIN)
    town.change("freeze", voucher, "涉嫌造假")
    with town.reading() as session:
        row = session.get_one(vouchers.Voucher, voucher.id)
    assert row.freeze_ground is not None
    assert (row.freeze_ground["basis"], row.freeze_ground["reason"]) == (BASIS, "涉嫌造假")
    with pytest.raises(Conflict, match="frozen"):
        town.licence(voucher)


def test_all_vouchers_of_a_registration_are_frozen_at_once_each_with_its_record(town: Town) -> None:
    voucher = town.voucher()
    registered = town.get(registration.Registration, voucher)
    given = {"basis": BASIS, "reason": "涉嫌造假", "origin": ORIGIN}
    with pytest.raises(NotAllowed):
        town.do("rita", freezes.change_all, registered, "freeze", **given)
    with pytest.raises(Conflict):
        town.do("gwen", freezes.change_all, registered, "unfreeze", **given)
    made = town.do("gwen", freezes.change_all, registered, "freeze", **given)
    assert [one.number for one in made] == [voucher.number]
    with town.reading() as session:
        assert log.history(session, voucher.id)[-1].kind == "voucher.freeze"
        assert session.get_one(vouchers.Voucher, voucher.id).frozen
    with pytest.raises(Conflict):
        town.do("gwen", freezes.change_all, registered, "freeze", **given)
    town.do("gwen", freezes.change_all, registered, "unfreeze", **given)
    with town.reading() as session:
        assert not session.get_one(vouchers.Voucher, voucher.id).frozen
