"""Objections to what is on notice: the notice stands still meanwhile and is never shorter than its days."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, select

from ledger import agreements, log, objections, registration
from ledger.errors import Conflict, Invalid, NotAllowed
from ledger.objections import Objection
from ledger.parties import Account, Actor
from ledger.registration import Application
from tests.conftest import Town
from tests.ledger import registrations
from tests.ledger.registrations import object_to, row

pytestmark = pytest.mark.pages


def at(day: str, hour: int = 10) -> datetime:
    """An hour of a day in Shanghai."""
    return datetime.fromisoformat(f"{day}T{hour:02d}:00:00+08:00").astimezone(UTC)


def on_notice(town: Town, day: str) -> Application:
    """An application that goes on notice on a day."""
    town.now = at(day)
    return town.application("on_notice")


def until(town: Town, made: Any) -> Any:
    return row(town, Application, made.id).notice["until"]


def code(town: Town, made: Any) -> registration.Registration:
    found: registration.Registration = town.do(
        "rita", registration.code, made, town.get(agreements.Agreement, made)
    )
    return found


# ---------------------------------------------------------------- the notice stands still


@pytest.mark.parametrize(
    ("notice", "runs_until", "objected", "left", "settled", "ends"),
    [
        # over National Day 2026 (25 to 27 September and 1 to 7 October off, Sunday 20 September and
        # Saturday 10 October work)
        ("2026-09-17", "2026-10-08", "2026-09-18", 10, "2026-09-29", "2026-10-16"),
        ("2026-09-22", "2026-10-13", "2026-09-30", 6, "2026-10-03", "2026-10-14"),
        ("2026-09-22", "2026-10-13", "2026-10-03", 5, "2026-10-10", "2026-10-15"),
        # over Spring Festival 2026 (15 to 23 February off, Saturdays 14 and 28 February work)
        ("2026-02-09", "2026-02-28", "2026-02-13", 7, "2026-02-14", "2026-03-02"),
        ("2026-02-09", "2026-02-28", "2026-02-28", 1, "2026-03-10", "2026-03-10"),
        # on its first day, which does not count, and settled the same day; on its last one
        ("2026-03-02", "2026-03-16", "2026-03-02", 11, "2026-03-02", "2026-03-16"),
        ("2026-03-02", "2026-03-16", "2026-03-16", 1, "2026-03-20", "2026-03-20"),
        ("2026-03-02", "2026-03-16", "2026-03-16", 1, "2026-03-21", "2026-03-23"),
    ],
)
def test_the_notice_is_paused_and_goes_on_with_the_working_days_that_were_left(
    town: Town, notice: str, runs_until: str, objected: str, left: int, settled: str, ends: str
) -> None:
    made = on_notice(town, notice)
    assert until(town, made)["on"] == runs_until
    town.now = at(objected, 23)
    raised = object_to(town, made)
    assert (until(town, made)["left"], row(town, Application, made.id).state) == (
        left, "objection_review",
    )  # fmt: skip
    town.now = at(settled, 23)
    town.do("rob", objections.dismiss, raised, "查无实据")
    assert (until(town, made)["left"], until(town, made)["on"]) == (None, ends)
    town.now = at(ends, 23)
    with pytest.raises(Conflict, match=f"on notice until {ends}"):
        code(town, made)
    town.later(hours=1)
    assert code(town, made).state == "registered"


def test_nothing_is_coded_while_an_objection_is_open_however_long_it_takes(town: Town) -> None:
    made = on_notice(town, "2026-03-02")
    object_to(town, made)
    town.later(days=300)
    before = town.snapshot()
    with pytest.raises(Conflict):
        code(town, made)
    with pytest.raises(Conflict):  # nor does the applicant escape by taking it back
        town.do("olga", registration.withdraw, made, "不办了")
    assert town.snapshot() == before


def test_of_several_objections_the_last_one_settled_lets_the_notice_go_on(town: Town) -> None:
    made = on_notice(town, "2026-03-02")
    town.now = at("2026-03-04")
    first = object_to(town, made)
    town.now = at("2026-03-06")
    second, third = object_to(town, made, "paul"), object_to(town, made, "anna")
    assert until(town, made)["left"] == 9, "the day it was first raised counts"
    town.do("rob", objections.dismiss, second, "查无实据")
    town.do("mallory", objections.withdraw, first, "和解")
    assert row(town, Application, made.id).state == "objection_review"
    town.now = at("2026-03-10")
    town.do("rob", objections.dismiss, third, "查无实据")
    assert row(town, Application, made.id).state == "on_notice"
    assert until(town, made)["on"] == "2026-03-20"
    assert [row(town, Objection, one.id).state for one in (first, second, third)] == [
        "withdrawn", "dismissed", "dismissed",
    ]  # fmt: skip
    again = object_to(town, made, "egon")
    assert until(town, made)["left"] == 9
    assert again.number == "YY2026-000004"


def test_an_objection_upheld_terminates_and_takes_the_others_with_it(town: Town) -> None:
    made = on_notice(town, "2026-03-02")
    first, second = object_to(town, made), object_to(town, made, "paul")
    town.do("rob", objections.uphold, first, "权属确有争议")
    ended = row(town, Application, made.id)
    assert (ended.state, ended.deadlines) == ("terminated", {})
    for one in (first, second):
        found = row(town, Objection, one.id)
        assert (found.state, found.finding, found.decided_by) == (
            "upheld", "权属确有争议", town.actors["rob"].member_id,
        )  # fmt: skip
    before = town.snapshot()
    for verb in (objections.dismiss, objections.uphold):
        with pytest.raises(Conflict):
            town.do("rob", verb, second, "再看")
    with pytest.raises(Conflict):
        object_to(town, made, "anna")
    assert town.snapshot() == before


def test_an_objection_withdrawn_lets_the_notice_go_on(town: Town) -> None:
    made = on_notice(town, "2026-03-02")
    town.now = at("2026-03-03")
    raised = object_to(town, made)
    town.now = at("2026-03-05")
    town.do("mallory", objections.withdraw, raised, "和解")
    assert until(town, made)["on"] == "2026-03-18"
    with pytest.raises(Conflict):
        town.do("rob", objections.dismiss, raised, "查无实据")


def test_an_objection_is_decided_in_ten_working_days(town: Town) -> None:
    made = on_notice(town, "2026-09-29")
    assert object_to(town, made).due["on"] == "2026-10-19"


# ---------------------------------------------------------------- who, when, with what


@pytest.mark.parametrize("state", ["submitted", "in_review", "reviewed"])
def test_what_is_not_on_notice_is_not_objected_to(town: Town, state: str) -> None:
    made = town.application(state)
    before = town.snapshot()
    with pytest.raises(Conflict):
        object_to(town, made)
    assert town.snapshot() == before


def test_after_the_notice_it_is_too_late(town: Town) -> None:
    made = on_notice(town, "2026-03-02")
    town.now = at("2026-03-17", 0)
    with pytest.raises(Conflict, match=r"ended on 2026-03-16"):
        object_to(town, made)
    town.now = at("2026-03-16", 23)
    assert object_to(town, made).state == "raised"


@pytest.mark.parametrize("name", ["", " ", "Somebody", "mallory", "Mallor", "Mallory, Bank"])
def test_the_real_name_must_be_the_one_that_is_known(town: Town, name: str) -> None:
    made = town.application("on_notice")
    before = town.snapshot()
    with pytest.raises(Invalid, match=r"under your real name") as refused:
        town.do("mallory", objections.raise_, made, real_name=name, claim="权属", evidence="合同")
    assert town.snapshot() == before
    assert "Mallory" not in refused.value.sentence.replace(name or "-", "")


@pytest.mark.parametrize("name", ["Mallory", " Mallory ", "Mal lory", "Mal\u3000lory"])
def test_spaces_in_a_name_do_not_matter(town: Town, name: str) -> None:
    made = town.application("on_notice")
    assert object_to(town, made, real_name=name).state == "raised"


def test_everything_missing_is_named_at_once(town: Town) -> None:
    made, theirs = town.application("on_notice"), town.deposit("paul")
    before = town.snapshot()
    with pytest.raises(Invalid) as refused:
        town.do("mallory", objections.raise_, made, real_name="x", claim=" ", evidence="",
                attachments=[theirs.id, "nothing"])  # fmt: skip
    assert town.snapshot() == before
    said = str(refused.value.facts["faults"])
    for due in ("claim (异议事项)", "evidence (证据)", "under your real name",
                f"{theirs.id} was not deposited", "nothing was not deposited"):  # fmt: skip
        assert due in said


def test_evidence_is_the_objector_s_own_deposit(town: Town) -> None:
    made, mine = town.application("on_notice"), town.deposit("mallory")
    raised = town.do("mallory", objections.raise_, made, real_name="Mallory", claim="权属",
                     evidence="合同", attachments=[mine.id])  # fmt: skip
    assert raised.attachments == [{"deposit_id": mine.id, "material": "evidence"}]


@pytest.mark.parametrize("login", ["olga", "opal", "rita", "gwen", "admin"])
def test_neither_the_applicants_nor_who_decides_or_watches_objects(town: Town, login: str) -> None:
    made = town.application("on_notice")
    with pytest.raises(NotAllowed):
        object_to(town, made, login)


def test_a_joint_applicant_does_not_object_to_his_own_application(town: Town) -> None:
    made = town.do(
        "olga", registration.submit, **town.application_facts(), joint=[town.party("bank")]
    )
    town.do("mallory", registration.consent, made)
    registrations.passed(town, made)
    town.do("rita", registration.give_notice, made)
    with pytest.raises(NotAllowed, match=r"your own organisation's"):
        object_to(town, made)


def test_who_passed_the_review_or_raised_it_or_is_of_either_house_does_not_judge_it(
    town: Town,
) -> None:
    made = town.application("on_notice")
    raised = object_to(town, made)
    before, mallory = town.snapshot(), town.actors["mallory"]
    registrar = frozenset({"registrar"})
    town.actors["rob of the bank"] = Actor("somebody", town.parties["bank"], registrar)
    town.actors["mallory, moved"] = Actor(
        mallory.member_id, town.parties["registry"], registrar)  # fmt: skip
    for login, why in (
        ("rita", r"yourself"), ("otto", r"your own organisation's"),
        ("rob of the bank", r"your own organisation's"), ("mallory, moved", r"yourself"),
    ):  # fmt: skip
        for verb in (objections.uphold, objections.dismiss):
            with pytest.raises(NotAllowed, match=why):
                town.do(login, verb, raised, "经复核")
    for verb in (objections.uphold, objections.dismiss):
        with pytest.raises(Invalid, match=r"State what was found"):
            town.do("rob", verb, raised, " ")
    with pytest.raises(NotAllowed):
        town.do("paul", objections.withdraw, raised, "和解")
    assert town.snapshot() == before


# ---------------------------------------------------------------- the name stays with the registry


@contextmanager
def written(town: Town) -> Iterator[list[Any]]:
    """Every parameter of a statement that writes."""
    seen: list[Any] = []

    def look(_c: Any, _u: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("INSERT", "UPDATE")):
            seen.append(repr(parameters))

    event.listen(town.home.engine, "before_cursor_execute", look)
    try:
        yield seen
    finally:
        event.remove(town.home.engine, "before_cursor_execute", look)


def test_no_record_row_or_log_names_who_objects(
    town: Town, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    made = town.application("on_notice")
    caplog.set_level("DEBUG")
    with written(town) as seen:
        raised = object_to(town, made)
        town.do("rob", objections.uphold, raised, "成立")
    assert seen
    told = "".join(seen) + caplog.text + "".join(capsys.readouterr())
    with town.reading() as session:
        account = session.get_one(Account, raised.raised_by)
        payloads = session.scalars(select(log.Record.payload)).all()
        of_it = [log.payload_of(one) for one in log.history(session, raised.id)]
    told += "".join(payloads) + json.dumps([one["body"] for one in of_it], ensure_ascii=False)
    assert account.display_name == "Mallory"
    assert "Mallory" not in told
    assert {one["body"]["raised_by"] for one in of_it} == {account.member_id}
