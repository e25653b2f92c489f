"""What another one does between two questions of a deed of finance: one of both comes first, whole."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import date
from typing import Any

import pytest
from sqlalchemy import func, select

from ledger import (
    approvals,
    books,
    inquiries,
    journals,
    log,
    orders,
    remittances,
    revenue,
    schemes,
    trading,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, LedgerError, NotAllowed
from ledger.inquiries import Inquiry
from ledger.journals import Journal
from ledger.parties import Member
from ledger.vouchers import Voucher
from tests.conftest import CHECKER_KEYS, ORIGIN, PARTIES, Town

WAIT_S = 1.5  # so long another deed is waited for that may have to wait for ours
REGISTRY = PARTIES["registry"][2]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`meanwhile(module, name, deed)`: as soon as a deed has asked `name`, another one does `deed`.

    What comes back tells how that ended. `first`: just before it asks.
    """

    def begin(
        module: Any, name: str, deed: Callable[[], Any], *, first: bool = False
    ) -> Callable[[], Any]:
        asked, pool, begun = getattr(module, name), ThreadPoolExecutor(1), list[Future[Any]]()

        def interrupt() -> None:
            if not begun:
                begun.append(Future())  # the other one asks too
                begun[0] = pool.submit(deed)
                wait(begun, WAIT_S)

        def ask(*args: Any, **facts: Any) -> Any:
            if first:
                interrupt()
            found = asked(*args, **facts)
            if not first:
                interrupt()
            return found

        def ended() -> Any:
            assert begun, "it was never asked"
            with pool:
                try:
                    return begun[0].result(60)
                except LedgerError as error:
                    return error

        monkeypatch.setattr(module, name, ask)
        return ended

    return begin


def now_of(town: Town, row: Any) -> Any:
    with town.reading() as session:
        return session.get_one(type(row), row.id)


def count(town: Town, table: Any, **facts: Any) -> int:
    with town.reading() as session:
        wanted = select(func.count()).select_from(table).filter_by(**facts)
        return session.scalar(wanted) or 0


def leaf(town: Town, row: Any, kind: str) -> int:
    """Where the log has a record of this kind."""
    with town.reading() as session:
        return next(one.leaf_index for one in log.history(session, row.id) if one.kind == kind)


# ---------------------------------------------------------------- statements


def test_nothing_is_approved_over_a_question_that_is_raised_at_that_moment(
    town: Town, meanwhile: Any
) -> None:
    made = town.statement("proposed")
    mine = [line["party"] for line in made.lines].index(REGISTRY) + 1
    asked = meanwhile(
        inquiries, "require_answered",
        lambda: town.do("rita", inquiries.raise_, made, line=mine, question="为何如此"),
    )  # fmt: skip
    town.approve(made)
    assert isinstance(asked(), Conflict)
    assert now_of(town, made).state == "approved"
    assert count(town, Inquiry, state="raised") == 0


def test_nothing_is_approved_over_an_answer_that_does_not_satisfy_at_that_moment(
    town: Town, meanwhile: Any
) -> None:
    made = town.statement("proposed")
    mine = [line["party"] for line in made.lines].index(REGISTRY) + 1
    question = town.do("rita", inquiries.raise_, made, line=mine, question="为何如此")
    town.do("mona", inquiries.answer, question, "按协议第三条")
    insisted = meanwhile(
        inquiries, "require_answered",
        lambda: town.do("rita", inquiries.insist, question, "未说明比例"),
    )  # fmt: skip
    town.approve(made)
    assert isinstance(insisted(), Conflict)
    assert (now_of(town, made).state, now_of(town, question).state) == ("approved", "answered")


def test_an_approval_that_is_taken_back_is_not_tried_again_at_that_moment(
    town: Town, meanwhile: Any
) -> None:
    made = town.statement("approved")
    with town.deed() as session:
        for act in session.scalars(select(outbox.Act).where(outbox.Act.subject_id == made.id)):
            act.state = "effective" if act.function == "propose" else "alarm"
            act.problem = outbox.problem_of(outbox.REFUSED, why="DeadlinePassed")

    def retry() -> int:
        with town.deed() as session:
            return outbox.retry(session)

    tried = meanwhile(approvals, "refused", retry)
    town.do("mona", approvals.reopen, made)
    assert tried() == 0
    assert count(town, outbox.Act, subject_id=made.id, state="dropped") == 1
    assert now_of(town, made).state == "proposed"


def edition_from(town: Town, agreement: Agreement, day: date) -> schemes.Scheme:
    """Another edition of the scheme, proposed."""
    document = {**town.scheme_document(), "name": {"zh": f"方案 {day}", "en": f"scheme {day}"}}
    made: schemes.Scheme = town.do("olga", schemes.propose, agreement, document, day)
    return made


def test_no_edition_begins_to_bind_on_days_that_a_statement_distributes_by_another(
    town: Town,
) -> None:
    made = town.statement("proposed")
    agreement, until = town.get(Agreement, made), date.fromisoformat(made.until_on)
    other = edition_from(town, agreement, until)
    before = town.snapshot()
    with pytest.raises(Conflict, match=f"{made.number} distributes the days until {until}"):
        town.do("paul", schemes.agree, other, agreement)
    assert town.snapshot() == before
    later = edition_from(town, agreement, local_date(town.now))
    town.do("paul", schemes.agree, later, agreement)
    town.do("carl", revenue.reject, made, "方案有变", ORIGIN)
    town.do("paul", schemes.agree, other, agreement)
    with town.reading() as session:
        assert schemes.scheme_on(session, agreement, until).id == other.id


def test_an_edition_that_is_agreed_as_a_statement_is_drafted_does_not_bind_on_its_days(
    town: Town, meanwhile: Any
) -> None:
    agreement, licence = town.sold()
    day = local_date(town.now)
    other = edition_from(town, agreement, day)
    agreed = meanwhile(schemes, "one_for", lambda: town.do("paul", schemes.agree, other, agreement))
    made = town.statement_over(agreement, licence, facts={"platform_cost_fen": 0})
    assert isinstance(agreed(), Conflict)
    with town.reading() as session:
        assert schemes.scheme_on(session, agreement, day).id == made.scheme_id


def test_whoever_made_a_statement_does_not_sign_it_by_his_own_key_under_another_name(
    town: Town,
) -> None:
    made = town.statement("proposed")
    with town.deed() as session:
        mona = session.get_one(Member, town.actors["mona"].member_id)
        mona.signing_address = keys.address_of(CHECKER_KEYS["carl"])
    before = town.snapshot()
    with pytest.raises(NotAllowed, match="another person signs with another key"):
        town.approve(made)
    assert town.snapshot() == before
    town.approve(made, "cora")
    assert now_of(town, made).state == "approved"


# ---------------------------------------------------------------- the same at once


def test_the_same_voucher_proposed_at_once_is_one(town: Town, meanwhile: Any) -> None:
    agreement = town.agreement()

    def propose() -> Journal:
        made: Journal = town.do(
            "mona", journals.propose, agreement, debit=books.FEES, credit=books.BANK, amount_fen=1_000,
            effective_on=local_date(town.now), memo="手续费",
        )  # fmt: skip
        return made

    again = meanwhile(books, "require_open", propose)
    assert propose().id == again().id
    assert count(town, Journal) == 1


def test_the_same_receipt_recorded_at_once_is_one(town: Town, meanwhile: Any) -> None:
    agreement, licence = town.sold()
    again = meanwhile(trading, "receipt_faults", lambda: town.payment(licence, 10_600), first=True)
    assert town.payment(licence, 10_600).id == again().id
    with town.reading() as session:
        assert books.balance(session, agreement.id, books.BANK) == 10_600


def test_the_same_remittance_recorded_at_once_is_one(town: Town, meanwhile: Any) -> None:
    agreement, _ = town.sold()
    again = meanwhile(
        trading, "receipt_faults", lambda: town.remittance(agreement, 10_600), first=True
    )
    assert town.remittance(agreement, 10_600).id == again().id
    assert count(town, remittances.Remittance) == 1


def test_the_same_order_placed_and_sold_at_once_is_one(
    town: Town, monkeypatch: pytest.MonkeyPatch, meanwhile: Any
) -> None:
    _, licence = town.sold()
    voucher = town.get(Voucher, licence)
    facts = town.order_facts(voucher)
    again = meanwhile(trading, "name_terms", lambda: town.do("olga", orders.place, **facts))
    assert town.do("olga", orders.place, **facts).id == again().id
    sale = town.licence_facts(voucher)
    monkeypatch.undo()
    again = meanwhile(trading, "name_terms", lambda: town.do("olga", trading.grant, **sale))
    assert town.do("olga", trading.grant, **sale).id == again().id


def test_what_is_suspended_at_that_moment_is_sold_before_or_not_at_all(
    town: Town, meanwhile: Any
) -> None:
    _, licence = town.sold()
    voucher = town.get(Voucher, licence)
    suspended = meanwhile(trading, "name_terms", lambda: town.change("suspend", voucher))
    sold = town.licence(voucher)
    assert suspended() is None
    assert leaf(town, sold, "licence.granted") < leaf(town, voucher, "voucher.suspend")
