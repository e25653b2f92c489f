"""Distribution: what a statement covers, corrections, questions, two checkers, reversal."""

from collections.abc import Callable
from datetime import date, timedelta
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from openpyxl import load_workbook
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ledger import (
    approvals,
    books,
    holds,
    inquiries,
    log,
    parties,
    periods,
    revenue,
    reversals,
    schemes,
    settings,
    settlements,
    statement_papers,
    statements,
    trading,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, Missing, NotAllowed
from ledger.parties import Member
from ledger.settlements import Settlement
from ledger.spreadsheet import write_distribution
from ledger.statements import Statement
from tests.chain.stage import Stage
from tests.conftest import CHECKER_KEYS, ORIGIN, PARTIES, Town

COSTS = {"platform_cost_fen": 1000}
OPERATOR, BUREAU, REGISTRY, TREASURY = (
    PARTIES[key][2] for key in ("operator", "bureau", "registry", "treasury")
)


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def refused(town: Town, refusal: type[Exception], act: Callable[[], Any], match: str = ".") -> None:
    before = town.snapshot()
    with pytest.raises(refusal, match=match):
        act()
    assert town.snapshot() == before


def draft(town: Town, agreement: Agreement, first: date, final: date, **facts: int) -> Statement:
    made: Statement = town.do(
        "mona", revenue.draft, agreement, from_on=first, until_on=final, facts={**COSTS, **facts}
    )
    return made


def refund(town: Town, agreement: Agreement, day: str, net_fen: int) -> int:
    with town.deed() as session:
        return settlements.enter(
            session, session.get_one(Agreement, agreement.id), day=day, kind="refund",
            amount_fen=-net_fen, vat_fen=0, net_fen=-net_fen, source_id="refund", row=0,
        )  # fmt: skip


# ---------------------------------------------------------------- what is covered


def test_late_refunds_are_told_apart_and_what_is_not_above_nought_waits(town: Town) -> None:
    agreement, licence = town.sold()
    first = town.statement_over(agreement, licence, "posted", facts=COSTS)
    refund(town, agreement, first.until_on, 500_000)
    day = local_date(town.now)
    town.payment(licence, 106_000, "SECOND")
    town.later(days=1)
    refused(
        town, Conflict, lambda: draft(town, agreement, day, day),
        "1000.00 yuan of the period and -5000.00 yuan of late",
    )  # fmt: skip
    town.do("mona", periods.close, agreement, from_on=day, until_on=day)
    after = day + timedelta(days=1)
    town.payment(licence, 1_060_000, "THIRD")
    refund(town, agreement, after.isoformat(), 300)
    town.later(days=1)
    made = draft(town, agreement, after, after)
    assert (made.own_fen, made.late_fen) == (100_000 + 1_000_000 - 300, -500_000)
    assert made.amount_fen == 599_700 == sum(line["amount_fen"] for line in made.lines)
    assert made.covers is not None
    assert made.covers["own"] == {
        "net_fen": 1_099_700, "refunded_fen": -300, "refunds": 1, "trades": 3
    }  # fmt: skip
    assert made.covers["late"] == {
        "net_fen": -500_000, "refunded_fen": -500_000, "refunds": 1, "trades": 1
    }  # fmt: skip
    with town.reading() as session:
        rows = session.scalars(select(Settlement).order_by(Settlement.n)).all()
        told = [revenue.statement_of(session, row) for row in rows]
        assert [one and one.number for one in told] == [first.number, *[made.number] * 4]
        assert revenue.undistributed(session, agreement).count == 0


def test_a_period_is_shared_by_one_edition_of_the_scheme(town: Town) -> None:
    agreement, licence = town.sold()
    first, begins = local_date(town.now), local_date(town.now) + timedelta(days=2)
    document = {**town.scheme_document(), "name": {"zh": "新方案", "en": "new scheme"}}
    other = town.do("olga", schemes.propose, agreement, document, begins)
    town.do("paul", schemes.agree, other, agreement)
    town.payment(licence, 106_000, "A")
    town.later(days=3)
    town.payment(licence, 212_000, "B")
    town.later(days=1)
    last = begins + timedelta(days=1)
    refused(
        town, Conflict, lambda: draft(town, agreement, first, last),
        f"let the period end on {begins - timedelta(days=1)} and the next begin on {begins}",
    )  # fmt: skip
    old = draft(town, agreement, first, begins - timedelta(days=1))
    town.book(old)
    new = draft(town, agreement, begins, last)
    assert (old.amount_fen, new.amount_fen, new.scheme_id) == (100_000, 200_000, other.id)


def test_what_was_received_under_one_edition_is_not_shared_by_the_next(town: Town) -> None:
    """Neither by closing its days without a statement, nor by beginning the first period after them."""
    agreement, licence = town.sold()
    first = local_date(town.now)
    begins = first + timedelta(days=1)
    document = {**town.scheme_document(), "name": {"zh": "新方案", "en": "new scheme"}}
    other = town.do("olga", schemes.propose, agreement, document, begins)
    town.do("paul", schemes.agree, other, agreement)
    town.payment(licence, 106_000, "A")
    town.later(days=1)
    town.payment(licence, 212_000, "B")
    town.later(days=1)
    said = f"received on {first} is not distributed yet, and edition 1 of the scheme shares it"
    refused(town, Conflict, lambda: draft(town, agreement, begins, begins), said)
    town.do("mona", periods.close, agreement, from_on=first, until_on=first)
    refused(town, Conflict, lambda: draft(town, agreement, begins, begins), said)
    old = draft(town, agreement, first, first)
    town.book(old)
    new = draft(town, agreement, begins, begins)
    assert (old.amount_fen, new.amount_fen, new.scheme_id) == (100_000, 200_000, other.id)


def test_what_came_to_nothing_under_one_edition_waits_for_the_next(town: Town) -> None:
    agreement, licence = town.sold()
    first = local_date(town.now)
    refund(town, agreement, first.isoformat(), 300)
    begins = first + timedelta(days=1)
    document = {**town.scheme_document(), "name": {"zh": "新方案", "en": "new scheme"}}
    other = town.do("olga", schemes.propose, agreement, document, begins)
    town.do("paul", schemes.agree, other, agreement)
    town.later(days=1)
    town.do("mona", periods.close, agreement, from_on=first, until_on=first)
    town.payment(licence, 212_000, "B")
    town.later(days=1)
    made = draft(town, agreement, begins, begins)
    assert (made.amount_fen, made.scheme_id) == (200_000 - 300, other.id)


def test_the_database_itself_refuses_what_is_distributed_twice(town: Town) -> None:
    agreement, licence = town.sold()
    first = town.statement_over(agreement, licence, "posted", facts=COSTS)
    second = town.statement_over(agreement, licence, "posted", facts=COSTS)

    def put(**changes: Any) -> Callable[[], None]:
        def act() -> None:
            with town.deed() as session:
                row = session.get_one(Statement, second.id).body()
                values = {**row, "id": "x", "number": "FP0", **changes}
                session.execute(Statement.__table__.insert().values(**values))  # type: ignore[attr-defined]

        return act

    def move_back(session: Session, **changes: Any) -> None:
        marks = ", ".join(f"{name} = :{name}" for name in changes)
        session.execute(
            text(f"UPDATE statements SET {marks} WHERE id = :of"), {**changes, "of": second.id}
        )

    beyond = (date.fromisoformat(second.until_on) + timedelta(days=1)).isoformat()
    for changes in ({}, {"until_on": first.until_on}, {"until_on": beyond, "through_n": 1}):
        refused(town, Conflict, put(**changes))
    for changes in ({"until_on": first.until_on}, {"through_n": 0}):
        with pytest.raises(Conflict), town.deed() as session:
            move_back(session, **changes)
    before = town.snapshot()["statements"]
    put(until_on=beyond)()
    assert len(town.snapshot()["statements"]) == len(before) + 1


def test_a_statement_of_before_reaches_to_the_last_payment_it_names(town: Town) -> None:
    """Payment 1 is of the second day, payment 2 of the first: the second statement's own number is 1."""
    agreement, licence = town.sold()
    days = [local_date(town.now), local_date(town.now) + timedelta(days=1)]
    town.later(days=1)
    made = [town.payment(licence, 106 * n, f"P{n}") for n in (100, 200, 300)]
    town.later(days=1)
    first = draft(town, agreement, days[0], days[1])
    with town.deed() as session:  # as it was recorded before periods were closed
        row = session.get_one(Statement, first.id)
        row.period_id = row.through_n = row.covers = row.own_fen = row.late_fen = None
        row.payment_ids, row.state = [one.id for one in made[:2]], "posted"
        log.append(session, row, "statement.posted", "tester")
        for one in made[:2]:
            payment = session.get_one(trading.Payment, one.id)
            payment.statement_id = first.id
            log.append(session, payment, "payment.assigned", "tester")
    with town.reading() as session:
        row = session.get_one(Statement, first.id)
        assert "payments" in statements.content(row)
        assert "covers" not in statements.content(row)
        assert statements.reach_of(session, row).through_n == 2
        found = revenue.undistributed(session, agreement)
        assert (found.count, found.late.net_fen) == (1, 30_000)
        rows = session.scalars(select(Settlement).order_by(Settlement.n)).all()
        told = [revenue.statement_of(session, one) for one in rows]
        assert [one and one.id for one in told] == [first.id, first.id, None]


# ---------------------------------------------------------------- corrections and questions


def test_a_draft_is_corrected_and_a_rejected_statement_comes_back_under_its_number(
    town: Town,
) -> None:
    made = town.statement()
    facts = {"platform_cost_fen": 2000}
    refused(town, NotAllowed, lambda: town.do("max", revenue.correct, made, facts, "成本有误"))
    refused(town, Invalid, lambda: town.do("mona", revenue.correct, made, facts, " "))
    town.do("mona", revenue.correct, made, facts, "成本有误")
    fixed = now_of(town, made)
    assert (fixed.number, fixed.facts, fixed.state) == (made.number, facts, "drafted")
    assert fixed.digest != made.digest
    assert fixed.line_salts != made.line_salts
    before = town.snapshot()
    town.do("mona", revenue.correct, made, facts, "再次")
    assert town.snapshot() == before, "the same facts again change nothing"
    town.do("mona", revenue.propose, made, ORIGIN)
    refused(town, Conflict, lambda: town.do("mona", revenue.correct, made, COSTS, "x"))
    town.do("carl", revenue.reject, made, "有误", ORIGIN)
    town.do("mona", revenue.correct, made, COSTS, "按审核意见")
    with town.reading() as session:
        row = session.get_one(Statement, made.id)
        told = revenue.corrections(session, row)
        assert [one["facts"]["platform_cost_fen"] for one in told] == [[1000, 2000], [2000, 1000]]
        assert [one["reason"] for one in told] == ["成本有误", "按审核意见"]
        keys = {statements.chain_key(ORIGIN, one).hex() for one in (made, row)}
        assert len(keys) == 2, "withdrawn on chain for good, it comes back under another key"
    town.book(made)
    assert now_of(town, made).state == "posted"
    refused(town, Conflict, lambda: town.do("mona", revenue.correct, made, COSTS, "x"))


def test_a_draft_is_corrected_though_the_next_period_is_closed(town: Town) -> None:
    made = town.statement()
    town.later(days=1)
    day = date.fromisoformat(made.until_on) + timedelta(days=1)
    town.do("mona", periods.close, town.get(Agreement, made), from_on=day, until_on=day)
    town.do("mona", revenue.correct, made, {"platform_cost_fen": 2000}, "成本有误")
    fixed = now_of(town, made)
    assert (fixed.facts, fixed.period_id, fixed.through_n) == (
        {"platform_cost_fen": 2000}, made.period_id, made.through_n,
    )  # fmt: skip
    assert fixed.state == "drafted"
    town.book(made)
    assert now_of(town, made).state == "posted"


def test_a_question_on_a_line_holds_the_last_approval_until_it_is_answered(town: Town) -> None:
    made = town.statement("proposed")
    mine = [line["party"] for line in made.lines].index(REGISTRY) + 1
    other = [line["party"] for line in made.lines].index(BUREAU) + 1

    def ask(login: str, line: int, question: str = "为何如此") -> Any:
        return town.do(login, inquiries.raise_, made, line=line, question=question)

    refused(town, NotAllowed, lambda: ask("rita", other), "another payee's")
    refused(town, NotAllowed, lambda: ask("mallory", mine), "another organisation")
    refused(town, NotAllowed, lambda: ask("mona", mine), "yourself")
    refused(town, Missing, lambda: ask("olga", 99), "no line 99")
    refused(town, Invalid, lambda: ask("olga", 1, " "), "State the question")
    asked = ask("rita", mine)
    before = town.snapshot()
    assert ask("rita", mine).id == asked.id
    assert town.snapshot() == before
    refused(town, Conflict, lambda: town.approve(made), f"wait for an answer: {asked.number}")
    refused(town, NotAllowed, lambda: town.do("max", inquiries.answer, asked, "如附"))
    refused(town, Invalid, lambda: town.do("mona", inquiries.answer, asked, " "))
    town.do("mona", inquiries.answer, asked, "按协议第三条")
    refused(town, NotAllowed, lambda: town.do("olga", inquiries.insist, asked, "不满意"))
    town.do("rita", inquiries.insist, asked, "未说明比例")
    refused(town, Conflict, lambda: town.approve(made), "wait for an answer")
    town.do("mona", inquiries.answer, asked, "比例为 9%")
    by_side = ask("olga", other)
    town.do("olga", inquiries.withdraw, by_side)
    town.approve(made)
    town.do("rita", inquiries.close, asked)
    assert now_of(town, asked).state == "closed"
    refused(town, Conflict, lambda: ask("rita", mine), "raised before it is approved")
    with town.reading() as session:
        assert [one.id for one in inquiries.of_statement(session, made)] == [asked.id, by_side.id]


# ---------------------------------------------------------------- under a statement nothing is reopened


def test_a_period_is_reopened_by_another_person_and_not_under_a_statement(town: Town) -> None:
    made = town.statement("proposed")
    period = town.get(periods.Period, made)

    def reopen() -> None:
        town.do("carl", periods.reopen, period, "补记")

    said = f"Statement {made.number} distributes the days until {made.until_on}"
    refused(town, Conflict, reopen, said)
    town.approve(made)
    refused(town, Conflict, reopen, said)
    town.settle(made)
    town.post()
    refused(town, Conflict, reopen, said)
    undoing = town.do("mona", reversals.reverse, made, "有误")
    refused(town, Conflict, reopen, said)
    town.book(undoing)
    with town.deed() as session:  # both roles at one person's: still another must do it
        both = town.actors["carl"]
        session.get_one(periods.Period, period.id).closed_by = both.member_id
    refused(town, NotAllowed, reopen, "another person must decide")
    town.do("cora", periods.reopen, period, "补记")
    first, final = date.fromisoformat(made.from_on), date.fromisoformat(made.until_on)
    again = draft(town, town.get(Agreement, made), first, final)
    assert again.period_id != period.id


# ---------------------------------------------------------------- two checkers


def test_above_the_threshold_two_other_persons_sign(town: Town) -> None:
    town.require_two()
    made = town.statement("proposed")
    assert (now_of(town, made).approvals_required, made.number) == (2, made.number)
    refused(
        town,
        NotAllowed,
        lambda: town.approve(made, "max", **town.approval(made, "cora")),
        "not by your key",
    )
    town.approve(made)
    half = now_of(town, made)
    assert (half.state, half.chain_version, len(half.approvals)) == ("proposed", 2, 1)
    assert town.post() == []
    refused(town, NotAllowed, lambda: town.approve(made), "yourself")
    town.approve(made, "cora")
    whole = now_of(town, made)
    assert (whole.state, whole.chain_version) == ("approved", 3)
    assert [one["checker_id"] for one in approvals.signatures(whole)] == [
        town.actors[login].member_id for login in ("carl", "cora")
    ]  # fmt: skip
    with town.reading() as session:
        acts = session.scalars(
            select(outbox.Act)
            .where(outbox.Act.subject_id == made.id)
            .order_by(outbox.Act.expected_version)
        ).all()
    assert [(one.function, one.expected_version) for one in acts] == [
        ("propose", 0), ("approve", 1), ("approve", 2)
    ]  # fmt: skip
    assert acts[0].arguments[3] == 2
    town.settle(made)
    assert [one.id for one in town.post()] == [made.id]


def becomes(town: Town, login: str, *roles: str) -> None:
    """What somebody is from now on; with no role he no longer acts."""
    with town.reading() as session:
        member = session.get_one(Member, town.actors[login].member_id)
    town.do("admin", parties.change_member, member, roles)
    with town.reading() as session:
        town.actors[login] = parties.actor_by_login(session, login)


def test_what_a_maker_who_left_began_a_colleague_brings_on(town: Town) -> None:
    made = town.statement("drafted")

    def propose() -> None:
        town.do("max", revenue.propose, made, ORIGIN)

    refused(town, NotAllowed, propose, "Only the maker")
    becomes(town, "mona", "finance_checker")
    propose()
    assert now_of(town, made).maker_id == town.actors["max"].member_id
    for login in ("mona", "max"):  # neither who drafted it nor who took it over

        def reject(login: str = login) -> None:
            town.do(login, revenue.reject, made, "有误", ORIGIN)

        refused(town, NotAllowed, reject, "another person")
    mine = [line["party"] for line in made.lines].index(REGISTRY) + 1
    asked = town.do("rita", inquiries.raise_, made, line=mine, question="为何如此")
    becomes(town, "max")
    becomes(town, "cora", "finance_maker")
    town.do("cora", inquiries.answer, asked, "按协议第三条")
    town.approve(made)
    town.settle(made)
    town.post()
    assert now_of(town, made).state == "posted"


def test_a_reversal_whose_maker_left_does_not_keep_payees_from_their_money(town: Town) -> None:
    made = town.statement("posted")
    undoing = town.do("mona", reversals.reverse, made, "有误")
    becomes(town, "mona")
    town.do("max", revenue.propose, undoing, ORIGIN)
    town.do("carl", revenue.reject, undoing, "无误", ORIGIN)
    with town.reading() as session:
        statements.require_no_reversal(session, made.agreement_id)


def test_raising_the_threshold_for_a_day_spares_no_second_signature(town: Town) -> None:
    town.require_two()
    made = town.statement("drafted")
    for value in ("1000000", "0"):
        with town.deed() as session:
            settings.change(session, town.actors["admin"], "third_approval_yuan", value)
        if value != "0":
            town.do("mona", revenue.propose, made, ORIGIN)
    assert now_of(town, made).approvals_required == 2


def test_short_periods_spare_no_second_signature(town: Town) -> None:
    """The threshold counts what stands of the agreement and ended within thirty days."""
    with town.deed() as session:
        settings.change(session, town.actors["admin"], "third_approval_yuan", "1000")
    agreement, licence = town.sold()

    def booked(fen: int) -> Statement:
        made = town.statement_over(
            agreement, licence, amount_fen=fen, facts={"platform_cost_fen": 0}
        )
        town.book(made)
        return now_of(town, made)

    first, second = booked(60_000), booked(60_000)
    assert (first.approvals_required, second.approvals_required) == (1, 2)
    undoing = town.reversal(second)
    assert now_of(town, undoing).approvals_required == 2, "taken back as it was made"
    town.later(days=30)
    third = booked(30_000)
    assert (third.amount_fen > 60_000, third.approvals_required) == (True, 1), (
        "long after the first"
    )
    assert booked(20_000).approvals_required == 2
    other, sold = town.sold()
    assert town.statement_over(other, sold, "posted", 60_000, {"platform_cost_fen": 0}), (
        "another agreement's sum is its own"
    )


def test_what_one_has_signed_is_corrected_no_more(town: Town) -> None:
    town.require_two()
    made = town.statement("proposed")
    town.approve(made)
    facts = {"platform_cost_fen": 2000}
    refused(
        town, Conflict, lambda: town.do("mona", revenue.correct, made, facts, "成本有误"),
        "proposed|drafted",
    )  # fmt: skip
    assert len(now_of(town, made).approvals) == 1


@pytest.mark.parametrize("refused_at", [1, 2])
def test_what_the_chain_refuses_is_signed_anew_and_what_it_took_stays(
    village: Town, refused_at: int
) -> None:
    village.require_two()
    made = village.statement("proposed")
    village.approve(made)
    village.approve(made, "cora")
    with village.deed() as session:
        for act in session.scalars(select(outbox.Act).where(outbox.Act.subject_id == made.id)):
            act.state = "effective" if act.expected_version < refused_at else "waiting"
            if act.expected_version == refused_at:
                act.state = "alarm"
    refused(village, NotAllowed, lambda: village.do("max", approvals.reopen, made))
    village.do("mona", approvals.reopen, made)
    again = now_of(village, made)
    assert (again.state, again.chain_version) == ("proposed", refused_at)
    assert len(again.approvals) == refused_at - 1
    for login in ("carl", "cora")[refused_at - 1 :]:
        village.approve(made, login)
    village.settle(made)
    assert made.id in [one.id for one in village.post()]


# ---------------------------------------------------------------- reversal


def test_a_reversal_takes_a_whole_statement_back_and_restores_the_deficits(town: Town) -> None:
    agreement, licence = town.sold()
    first = town.statement_over(agreement, licence, "posted", facts=COSTS)
    second = town.statement_over(agreement, licence, "posted", facts=COSTS)
    with town.reading() as session:
        before = books.balances(session)
    refused(
        town, Conflict, lambda: town.do("mona", reversals.reverse, first, "有误"), "Only the last"
    )
    refused(town, Invalid, lambda: town.do("mona", reversals.reverse, second, " "))
    refused(town, NotAllowed, lambda: town.do("carl", reversals.reverse, second, "有误"))
    undoing = town.do("mona", reversals.reverse, second, "口径有误")
    assert undoing.lines == second.lines
    assert undoing.line_salts != second.line_salts
    assert undoing.deficits_before == second.deficits_after
    assert undoing.deficits_after == second.deficits_before
    again = town.snapshot()
    assert town.do("mona", reversals.reverse, second, "再次").id == undoing.id
    assert town.snapshot() == again
    day = date.fromisoformat(second.until_on)
    refused(town, Conflict, lambda: draft(town, agreement, day, day, other=1), "other facts")
    next_day = day + timedelta(days=1)
    town.later(days=2)
    refused(town, Conflict, lambda: draft(town, agreement, next_day, next_day), "finish it first")
    town.book(undoing)
    assert (now_of(town, second).state, now_of(town, undoing).state) == ("reversed", "posted")
    with town.reading() as session:
        row = session.get_one(Statement, undoing.id)
        assert revenue.recompute(row, session.get_one(schemes.Scheme, row.scheme_id)).lines
        for key, fen in books.balances(session).items():
            gone = sum(
                line["amount_fen"] for line in second.lines
                if line["party"] == key[1] and key[0] in (books.PAYABLE, books.TREASURY)
            )  # fmt: skip
            gone -= second.amount_fen if key[0] == books.UNDISTRIBUTED else 0
            assert fen == before[key] + gone
        assert revenue.undistributed(session, agreement).amount_fen == second.amount_fen
        act = session.scalars(
            select(outbox.Act).where(
                outbox.Act.subject_id == undoing.id, outbox.Act.function == "propose"
            )
        ).one()
    assert act.arguments[4] == "0x" + statements.chain_key(ORIGIN, second).hex()
    refused(
        town, Conflict, lambda: town.do("mona", reversals.reverse, undoing, "有误"),
        "cannot be reversed",
    )  # fmt: skip
    with town.reading() as session:
        waiting = revenue.waiting_period(session, agreement)
        assert waiting is not None
        assert (waiting.from_on, waiting.until_on) == (second.from_on, second.until_on)
    redone = draft(town, agreement, day, day)
    with town.reading() as session:
        assert revenue.waiting_period(session, agreement) is None
    assert (redone.amount_fen, redone.lines) == (second.amount_fen, second.lines)
    assert redone.deficits_before == first.deficits_after


def test_what_is_set_aside_for_payment_is_not_reversed(town: Town) -> None:
    made = town.statement("posted")
    lines = [
        {"account": books.PAYABLE, "credit_fen": 0, "debit_fen": 10, "party_id": OPERATOR},
        {"account": books.BANK, "credit_fen": 10, "debit_fen": 0, "party_id": None},
    ]
    with town.deed() as session:
        held = holds.hold(
            session, "tester", town.now, cause=session.get_one(Statement, made.id), key="payout",
            book_id=made.agreement_id, lines=lines, expires_at=town.now + timedelta(days=1),
        )  # fmt: skip
    refused(
        town, Conflict, lambda: town.do("mona", reversals.reverse, made, "有误"),
        f"set aside for payment to {OPERATOR}",
    )  # fmt: skip
    with town.deed() as session:
        holds.void(session, "tester", town.now, session.get_one(holds.Hold, held.id), "改期")
    assert town.do("mona", reversals.reverse, made, "有误").reverses == made.id


# ---------------------------------------------------------------- the contract itself


@pytest.mark.slow
def test_the_contract_itself_takes_two_signatures_a_round_anew_and_a_reversal(town: Town) -> None:
    """Every act that waits for the chain is done on a real EVM, in its order, with its own arguments."""
    stage = Stage()
    signers = [keys.address_of(CHECKER_KEYS[login]) for login in ("carl", "cora")]
    contract = stage.deploy("RevenueBook", stage.admin, stage.maker, signers)
    _, _, _, chain_id, place, *_ = contract.functions.eip712Domain().call()
    there = outbox.Deployment(chain_id, "0x", {"RevenueBook": place}, 0)
    town.require_two()
    deadline = 4_000_000_000

    def approve(statement: Statement, login: str) -> None:
        with town.reading() as session:
            row = session.get_one(Statement, statement.id)
            nonce = contract.functions.nonces(keys.address_of(CHECKER_KEYS[login])).call()
            original = session.get(Statement, row.reverses or "")
            request = approvals.request_for(row, ORIGIN, there, nonce, deadline, original)
        signed = approvals.sign(request, CHECKER_KEYS[login])
        town.do(login, approvals.approve, statement, signed, ORIGIN, there)

    def carry(statement: Statement) -> None:
        """What the worker would send, one after the other; the reasons are the records' digests."""
        with town.deed() as session:
            acts = session.scalars(
                select(outbox.Act)
                .where(outbox.Act.subject_id == statement.id, outbox.Act.state == "waiting")
                .order_by(outbox.Act.id)
            ).all()
            for act in acts:
                reason = log.record_of(session, act.subject_id, act.subject_version).digest
                arguments = [
                    reason.replace("sha256:", "0x") if one == outbox.REASON else one
                    for one in act.arguments
                ]
                stage.do(getattr(contract.functions, act.function)(*arguments), stage.maker)
                act.state, act.confirmed_at = "effective", town.now

    def on_chain(statement: Statement) -> tuple[bool, int, int]:
        row = now_of(town, statement)
        content = (bytes.fromhex(row.digest[7:]), bytes.fromhex(row.line_root))
        fits, state, version = contract.functions.verify(
            statements.chain_key(ORIGIN, row), *content
        ).call()
        return fits, state, version

    agreement, licence = town.sold()
    made = town.statement_over(agreement, licence, "proposed", facts=COSTS)
    carry(made)
    approve(made, "carl")
    carry(made)
    town.do("cora", revenue.reject, made, "成本有误", ORIGIN)
    carry(made)
    assert on_chain(made) == (True, 3, 3)
    town.do("mona", revenue.correct, made, {"platform_cost_fen": 2000}, "按意见更正")
    town.do("mona", revenue.propose, made, ORIGIN)
    carry(made)
    approve(made, "cora")
    carry(made)
    assert on_chain(made) == (True, 1, 2)
    approve(made, "carl")
    carry(made)
    assert on_chain(made) == (True, 2, 3)
    assert [one.id for one in town.post()] == [made.id]
    undoing = town.do("mona", reversals.reverse, made, "口径有误")
    town.do("mona", revenue.propose, undoing, ORIGIN)
    carry(undoing)
    for login in ("carl", "cora"):
        approve(undoing, login)
        carry(undoing)
    assert on_chain(undoing) == (True, 2, 3)
    assert on_chain(made) == (True, 4, 4), "the original is marked reversed on chain"
    assert [one.id for one in town.post()] == [undoing.id]


# ---------------------------------------------------------------- documents


@pytest.mark.slow
def test_the_documents_tell_period_adjustments_and_signatures(town: Town) -> None:
    agreement, licence = town.sold()
    first = town.statement_over(agreement, licence, "posted", facts=COSTS)
    refund(town, agreement, first.until_on, 10_000)
    made = town.statement_over(agreement, licence, "approved", facts=COSTS)
    with town.reading() as session:
        row = session.get_one(Statement, made.id)
        target = BytesIO()
        parts = [("own", row.own_fen or 0), ("late", row.late_fen or 0)]
        again = revenue.recompute(row, session.get_one(schemes.Scheme, row.scheme_id))
        write_distribution(again, target, parts)
        pdf = statement_papers.statement_pdf(session, row)
        assert pdf == statement_papers.statement_pdf(session, row), "the same bytes again"
    [formulas, known] = (
        load_workbook(BytesIO(target.getvalue()), data_only=data).worksheets[0]
        for data in (False, True)
    )
    end = 4 + len(row.lines)  # the row of the total
    cells = [f"D{end + n}" for n in range(2, 6)]
    assert [known[cell].value for cell in cells] == [94_342, -10_000, 84_342, 0]
    assert formulas[cells[2]].value == f"=SUM(D{end + 2}:D{end + 3})"
    assert formulas[cells[3]].value == f"=D{end + 4}-D{end}"
    with pikepdf.open(BytesIO(pdf)) as opened:
        assert opened.docinfo["/Title"] == f"收益分配单 {row.number}"
        assert len(opened.pages) >= 2
