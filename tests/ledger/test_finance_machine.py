"""Finance under deeds made up at random, on a real database, beside a plain model: its laws hold.

Σ debit = Σ credit; what stands on an account is the fold of the entries; held is what is pending and there;
no negative share; lines sum to the amount; no party drifts by a fen; each settlement is in one standing
statement or none; a reversal leaves what was before; nobody is paid more than he was credited, but what is
told; what a limit keeps stays; a debit of the bank is of one payout, and its lines name one of them; a
refused deed leaves every byte as it was; the audit finds nothing.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from sqlalchemy import func, select

from ledger import books, parties, payout_dues
from ledger import settings as choices
from ledger.agreements import Agreement
from ledger.books import BookAccount, Entry, EntryLine
from ledger.holds import Hold
from ledger.inquiries import Inquiry
from ledger.journals import Journal
from ledger.limits import AccountLimit
from ledger.payout_rows import Payout, PayoutLine
from ledger.periods import Period
from ledger.proof.checkpoint import verifier_key
from ledger.proof.encoding import INT_MAX
from ledger.proof.trust import LogKey
from ledger.settlements import Settlement
from ledger.statements import Statement
from ledger.supervision import Audit, Ground
from tests.conftest import (
    DATABASES,
    LOG_KEY,
    ORIGIN,
    Town,
    create_database,
    found_town,
    fresh_database,
)
from tests.ledger import paying
from tests.ledger.finance_divisions import Dividing
from tests.ledger.finance_led import STORIES
from tests.ledger.finance_model import (
    LICENCE_FEN,
    OFFICE,
    OPERATOR,
    PARTNER,
    PAYOUT_DAYS,
    SHARES,
    THIRD_YUAN,
    scheme_document,
)
from tests.ledger.finance_walk import Open, serial

MET_BY_ALL = {  # deeds done and what came of them; then, of each, why it was refused or how it went
    "a debit told in parts", "anew after a reversal", "answer", "approve", "approve_refund",
    "approved by two", "ask_about", "cancel", "close", "close_payout", "correct_to",
    "corrected in a period closed anew", "decide_division_of", "decide_journal_of", "decide_limit_of",
    "divide_of", "draft", "file", "late rows distributed", "lifting proposed", "limit superseded",
    "move_account", "of a statement", "of a trade", "order", "paid twice, and told", "pay", "posted",
    "prepare_of", "propose", "proposed", "put", "receipt undone", "rejected", "remit",
    "reversal posted", "reversal rejected", "reverse_of", "send_back", "sent back and corrected",
    "several in one debit", "sign", "signed by two", "split", "take_back", "talk_of", "undo_of",
    "undoing proposed",
    *(f"{deed}: {how}" for deed, told in {
        "answer": "a debit of another sum; a debit of two days; a debit of two sums; "
                  "a debit without its sum; a limit keeps it; a limit keeps it in the bank; "
                  "a reference twice; a signed reversal takes it back; a stranger; another amount; "
                  "another payout's debit; before the approval; in the future; no rows; not approved; "
                  "not in the bank; otherwise; set aside for others",
        "approve": "a reversal is under way; by who took part; not prepared; paid elsewhere; "
                   "ran out",
        "approve_refund": "by who proposed it; decided; not in the bank; used",
        "ask_about": "by its maker; no such line; too late",
        "bank": "cancelled → paid; failed → paid; held → failed; held → paid; paid → returned",
        "cancel": "not prepared",
        "close": "not over",
        "close_payout": "by its maker; not with the bank",
        "correct_to": "a reversal; another is not finished; another stands since; "
                      "closed otherwise since; not a draft nor sent back; nothing to share",
        "decide_division_of": "a reversal is under way; a successor's is not free; by who proposed it; "
                              "closed since; decided; not free any more; unanswered; "
                              "withdrawn by another",
        "decide_journal_of": "by who proposed it; closed since; decided; not in the bank; "
                             "withdrawn by another",
        "decide_limit_of": "a reversal is under way; by who proposed it; decided; "
                           "not there any more; withdrawn by another",
        "decide_order": "by who placed it; decided",
        "divide_of": "a reversal is under way; before the split; closed; in the future; "
                     "more than is free; not divided; not split; not the sum; to a public body; "
                     "to a stranger; to no public body; unanswered; without a document",
        "divided": "; ".join(payout_dues.OWED),
        "division": "approve; reject; withdraw",
        "draft": "another is not finished; not over; nothing to share; with other facts",
        "file": "not approved; paid elsewhere",
        "journal": "approve; reject; withdraw",
        "keep": "below nought; nothing booked; takes none; with a party; without a ground; "
                "without a party",
        "left out": "limited; no_account; returned; split; unanswered",
        "limit": "approve; reject; withdraw",
        "move_account": "confirmed by who entered it; ended by a split",
        "order": "more than is free",
        "pay": "more than it costs; otherwise",
        "prepare_of": "a reversal is under way; not in the bank; nothing to pay",
        "propose": "cleared; more than is left; no such trade; not booked by itself; used",
        "proposed": "a lifting itself; another waits; does not hold; not there",
        "put": "closed; not between these accounts",
        "question": "answer; close; insist; withdraw",
        "remit": "more than is due",
        "reverse_of": "a limit keeps it; divided; money is set aside; not the last",
        "send_back": "approved",
        "sign": "a limit keeps it; a question is open; rejected by its maker; signed already",
        "step": "approved as a draft",
        "take_back": "by who closed it; not the last; under a standing statement",
        "talk_of": "answer out of turn; close out of turn; insist out of turn; insisted too late; "
                   "withdraw out of turn",
        "undo_of": "a reversal is under way; another waits; does not stand",
        "undoing": "approve; reject; withdraw",
    }.items() for how in told.split("; ")),
}  # fmt: skip
KEY = verifier_key(ORIGIN, LOG_KEY.public_key().public_bytes_raw())


class Finance(Dividing):
    """All deeds of finance, with the laws that hold after each of them."""

    audited: bool

    def teardown(self) -> None:
        try:
            if self.audited:
                self.audit()
        finally:
            super().teardown()

    def audit(self) -> None:
        self.town.seal()
        with self.town.reading() as session:
            work = Audit(session, Ground(ORIGIN, (LogKey(KEY, 1, INT_MAX),)), self.town.now)
            work.run()
            assert list(work.findings.differences()) == []

    # ------------------------------------------------------------ the laws

    @invariant()
    def books_are_the_model_s_and_balance(self) -> None:
        model = self.model
        due = without_noughts(model.accounts)
        with self.town.reading() as session:
            stands = session.execute(select(BookAccount)).scalars().all()
            entries = session.scalars(select(Entry)).all()
            sums = session.execute(
                select(EntryLine.book, func.sum(EntryLine.debit_fen), func.sum(EntryLine.credit_fen))
                .group_by(EntryLine.book)
            ).all()  # fmt: skip
            of_lines = books.balances(session, self.agreement.id)
            pending = session.scalars(select(Hold).where(Hold.state == "pending")).all()
        assert {(one.account, one.party): one.posted_fen for one in stands if one.posted_fen} == due
        assert all(debit == credit for _, debit, credit in sums)
        fold: Counter[tuple[str, str]] = Counter()
        for entry in entries:
            assert sum(one["debit_fen"] - one["credit_fen"] for one in entry.lines) == 0
            for one in entry.lines:
                fold[one["account"], one["party_id"] or ""] += one["debit_fen"] - one["credit_fen"]
        moved = {(account, party or ""): fen for (account, party), fen in of_lines.items()}
        assert without_noughts(moved) == without_noughts(fold)
        signed = {
            key: fen if books.ACCOUNTS[key[0]].side == "debit" else -fen
            for key, fen in fold.items()
        }
        assert without_noughts(signed) == due
        aside: Counter[tuple[str, str]] = Counter()
        for hold in pending:
            for one in hold.lines:
                fen = one["credit_fen"] - one["debit_fen"]
                falls = fen if books.ACCOUNTS[one["account"]].side == "debit" else -fen
                aside[one["account"], one["party_id"] or ""] += max(0, falls)
        held = {(one.account, one.party): one.held_fen for one in stands if one.held_fen}
        assert held == without_noughts(model.held) == +aside
        assert all(one.held_fen <= max(0, one.posted_fen) for one in stands)
        for one in stands:
            place = (one.account, one.party)
            limit = model.limits.get(place)
            number = limit.number if limit and limit.floor_fen is not None else None
            assert (one.floor_fen, one.limited_by) == (model.least(place), number)
            assert one.floor_fen is None or one.posted_fen - one.held_fen >= one.floor_fen

    @invariant()
    def each_settlement_is_in_one_standing_statement_or_in_none(self) -> None:
        model = self.model
        with self.town.reading() as session:
            wanted = select(Settlement.day, Settlement.kind, Settlement.net_fen).order_by(
                Settlement.n
            )
            assert [tuple(row) for row in session.execute(wanted)] == model.rows
            rows = {one.id: one for one in session.scalars(select(Statement))}
        taken: set[int] = set()
        for one, numbers in model.distributed():
            assert not taken & numbers
            taken |= numbers
            row = rows[one.id]
            assert (
                model.net(numbers)
                == row.amount_fen
                == sum(line["amount_fen"] for line in row.lines)
            )
            assert all(line["amount_fen"] >= 0 for line in row.lines)
            assert row.trade_count == len(numbers)
            assert (row.facts, row.period_id) == ({"cost_fen": one.cost_fen}, one.closing.id)
        assert {one.id: one.state for one in model.statements} == {
            key: row.state for key, row in rows.items()
        }
        posted = sum(one.amount_fen for one in model.standing() if one.state == "posted")
        undistributed = model.net(set(range(1, len(model.rows) + 1))) - posted
        assert model.accounts[books.UNDISTRIBUTED, ""] == undistributed

    @invariant()
    def nobody_drifts_by_a_fen(self) -> None:
        """Of what is shared once the costs are covered; a reversal leaves what each was short of before."""
        standing = self.model.standing()
        costs = sum(min(one.cost_fen, one.amount_fen) for one in standing)
        total = sum(one.amount_fen for one in standing) - costs
        for party, share in SHARES.items():
            got = sum(one.lines[party] for one in standing) - (costs if party == OPERATOR else 0)
            assert abs(total * share - got) < 1
        with self.town.reading() as session:
            for one in standing[-1:]:
                known = session.get_one(Statement, one.id).deficits_after
                assert {party: Fraction(value) for party, value in known.items()} == one.deficits
            for one in self.model.statements:
                if one.undoes and one.state != "rejected":
                    left = session.get_one(Statement, one.id).deficits_after
                    assert left == session.get_one(Statement, one.undoes.id).deficits_before

    @invariant()
    def all_else_is_as_the_model_has_it(self) -> None:
        """Closings, questions, vouchers, payouts with each of their payments and its hold."""
        with self.town.reading() as session:
            closed = session.scalars(
                select(Period).where(Period.state == "closed").order_by(Period.until_on)
            )
            assert [(one.id, one.from_on, one.until_on, one.through_n) for one in closed] == [
                (one.id, one.from_on, one.until_on, one.through_n) for one in self.model.closings
            ]
            asked = session.execute(select(Inquiry.id, Inquiry.state))
            assert dict(asked.tuples().all()) == {one.id: one.state for one in self.model.asked}
            waiting = session.scalars(select(Journal.id).where(Journal.state == "proposed"))
            assert set(waiting) == {
                *(one.id for one, _ in self.journals),
                *(one.id for one in self.model.divisions if one.state == "proposed"),
            }
            limited = session.execute(select(AccountLimit.id, AccountLimit.state))
            assert dict(limited.tuples().all()) == {one.id: one.state for one in self.limits}
            batches = session.execute(select(Payout.id, Payout.state))
            assert dict(batches.tuples().all()) == {
                one.id: one.state for one in self.payments.batches
            }
            lines = session.execute(
                select(PayoutLine.serial, PayoutLine.state, PayoutLine.amount_fen, Hold.state)
                .join(Hold, Hold.id == PayoutLine.hold_id)
            )  # fmt: skip
            found = {serial: (state, fen, hold) for serial, state, fen, hold in lines}
        assert {
            key: (state, fen, hold == "pending") for key, (state, fen, hold) in found.items()
        } == {line.serial: (line.state, line.fen, line.held) for _, line in self.payments.lines()}
        assert all(
            (hold == "posted") == (state in ("paid", "came_back"))
            for state, _, hold in found.values()
        )

    @invariant()
    def each_debit_of_the_bank_is_of_one_payout(self) -> None:
        """Its lines bear one reference and name one of themselves, which no other debit has."""
        with self.town.reading() as session:
            found = session.execute(
                select(PayoutLine.serial, PayoutLine.id, PayoutLine.bank_reference, PayoutLine.debit_id)
            ).tuples().all()  # fmt: skip
        told = {serial: reference for serial, _, reference, _ in found}
        assert told == {line.serial: line.reference or None for _, line in self.payments.lines()}
        debits: dict[str, set[str | None]] = {}
        for _, known, reference, debit in found:
            debits.setdefault(reference or "", set()).add(debit)
            assert (reference is None) == (debit is None)
            assert debit is None or (debit, reference, debit) in {
                (one, of, leads) for _, one, of, leads in found
            }, known
        assert all(len(those) == 1 for those in debits.values())
        batches = [
            {line.reference for line in batch.lines if line.reference}
            for batch in self.payments.batches
        ]
        assert len(set().union(*batches)) == sum(map(len, batches))

    @invariant()
    def nobody_is_paid_more_than_he_was_credited_but_what_is_told(self) -> None:
        """By the payments themselves: one paid twice would show, whatever the accounts say."""
        paid: Counter[tuple[str, str]] = Counter()
        for _, line in self.payments.lines():
            if line.state == "paid":
                paid[line.account, line.party] += line.fen - line.twice_fen
        assert all(fen <= self.model.peak[place] for place, fen in paid.items())


def without_noughts(accounts: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    return {key: fen for key, fen in accounts.items() if fen}


@contextmanager
def towns(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[Open]:
    """Gives copies of one town that has sold a licence."""
    with fresh_database(kind, request, folder, founded=False) as url:
        for town in found_town(url, folder):
            with town.deed() as session:
                for code, what in ((PARTNER, "enterprise"), (OFFICE, "public_body")):
                    parties.add_party(
                        session, "system", town.now, kind=what, name=f"单位 {code}", uscc=code
                    )
            registered = town.registration()
            agreement = town.get(Agreement, registered)
            town.scheme(agreement, scheme_document())
            licence = town.licence(town.voucher(registered), price_fen=LICENCE_FEN)
            with town.deed() as session:
                for name, given in (
                    ("third_approval_yuan", THIRD_YUAN),
                    ("payout_days", PAYOUT_DAYS),
                ):
                    choices.change(session, town.actors["admin"], name, str(given))
            for party in ("operator", "bureau", "bank"):
                paying.account(town, party)
            now = town.now
        uri = None if kind == "sqlite" else request.getfixturevalue("postgres")

        @contextmanager
        def copy() -> Iterator[tuple[Town, Any, Any]]:
            name = f"finance_{next(serial)}"
            if uri is None:
                path = folder / f"{name}.db"
                shutil.copy(url.removeprefix("sqlite:///"), path)
                fresh = f"sqlite:///{path}"
            else:
                create_database(uri, name, url.partition("?")[0].rpartition("/")[2])
                fresh = uri.replace("/postgres?", f"/{name}?")
            for town in found_town(fresh, folder / name):
                town.home.path.mkdir(parents=True)
                town.now = now
                yield town, agreement, licence
            if uri is None:
                path.unlink()
            else:
                with psycopg.connect(uri, autocommit=True) as connection:
                    connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

        yield copy


def machine(open_: Open, met: Counter[str], audited: bool) -> type[Finance]:
    named = {"audited": audited, "met": met, "open": staticmethod(open_)}
    return type("Machine", (Finance,), named)


def run(of: type[Finance], examples: int, steps: int) -> None:
    """Walks of so many steps."""
    run_state_machine_as_test(
        of,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True,
            suppress_health_check=list(HealthCheck), print_blob=True,
        ),
    )  # fmt: skip


def lead(one: Finance, story: Callable[[Dividing], None]) -> None:
    """A story, after which the laws hold."""
    try:
        story(one)
        for law in one.invariants:
            law.function(one)
    finally:
        one.teardown()


def test_the_laws_of_finance_hold_whatever_is_done(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    met = Counter[str]()
    with towns("sqlite", request, tmp_path) as open_:
        run(machine(open_, met, audited=False), examples=2, steps=3)
    assert met


@pytest.mark.slow
@pytest.mark.parametrize("kind", DATABASES)
def test_the_laws_of_finance_hold_over_many_and_long_walks(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Walks by chance, and stories led to where chance seldom gets, meet all that there is to judge."""
    met = Counter[str]()
    with towns(kind, request, tmp_path) as open_:
        made = machine(open_, met, audited=True)
        for story in STORIES:
            lead(made(), story)
        run(made, examples=25, steps=40)
    lacking = MET_BY_ALL - set(+met)
    assert not lacking, met
