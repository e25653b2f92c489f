"""An independent program takes the export of a book, and refuses one in which anything was changed."""

import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from beancount import loader
from beancount.core.data import Balance, Open, Transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from ledger import beancount, books
from ledger.agreements import Agreement
from ledger.books import BANK, FEES, PAYABLE, UNDISTRIBUTED, VAT, Booking
from ledger.journals import Journal
from ledger.store import new_id
from tests.conftest import Town
from tests.ledger import bookings
from tests.ledger.bookings import line

DAY = "2026-03-02"


def written(session: Session, agreement: Agreement) -> str:
    return "".join(beancount.write_book(session, agreement))


def refused(text: str) -> list[str]:
    """What the program says against a text."""
    return [error.message for error in loader.load_string(text)[1]]


def enter(
    session: Session, town: Town, agreement: Agreement, some: list[tuple[str, list[Any]]]
) -> None:
    books.post_many(
        session, "system", town.now,
        [Booking("journal", new_id(), agreement.id, DAY, memo, lines) for memo, lines in some],
    )  # fmt: skip


@pytest.fixture
def kept(village: Town) -> tuple[Agreement, str]:
    """A book with receipts, a share, a reversal, a closed period and a hold; and its text."""
    agreement = village.agreement()
    payee = village.party("operator").uscc
    bookings.period(village, agreement)
    receipt = [line(BANK, 10_600, 0), line(UNDISTRIBUTED, 0, 10_000), line(VAT, 0, 600)]
    share = [line(UNDISTRIBUTED, 9_999, 0), line(PAYABLE, 0, 9_999, payee)]
    odd = [line(UNDISTRIBUTED, 1, 0), line(PAYABLE, 0, 1, 'a "code"\n; no account')]
    with village.deed() as session:
        enter(session, village, agreement, [('"收款"\n2026-01-01 open', receipt), ("分配\\", share),
                                            ("零头", odd)])  # fmt: skip
    with village.deed() as session:
        entry = books.post(
            session, "system", village.now, cause=Journal(id=new_id()), book_id=agreement.id,
            effective_on=DAY, memo="误记", lines=[line(FEES, 7, 0), line(BANK, 0, 7)],
        )  # fmt: skip
        books.reverse(session, "system", village.now, entry, cause=Journal(id=new_id()),
                      effective_on=DAY, memo="冲销")  # fmt: skip
    bookings.hold(village, agreement)
    with village.reading() as session:
        return agreement, written(session, agreement)


def test_the_program_takes_the_book_and_counts_as_we_do(
    village: Town, kept: tuple[Agreement, str], tmp_path: Path
) -> None:
    agreement, text = kept
    path = tmp_path / "books.beancount"
    path.write_text(text, "utf-8")
    entries, errors, _ = loader.load_file(str(path))
    assert errors == []
    made = [one for one in entries if isinstance(one, Transaction)]
    assert len(made) == 6
    assert {one.meta["number"] for one in made} <= set(re.findall(r"JZ2026-\d{6}", text))
    links = [one.links for one in made if one.narration in ("误记", "冲销")]
    assert links[0] == links[1]
    assert all(Decimal(one.meta["leaf"]) > 0 for one in made)
    sums: dict[str, Decimal] = {}
    for one in made:
        for posting in one.postings:
            sums[posting.account] = sums.get(posting.account, Decimal(0)) + posting.units.number
    with village.reading() as session:
        ours = {
            beancount.name_of(account, party or ""): Decimal(fen) / 100
            for (account, party), fen in books.balances(session, agreement.id).items()
        }
    assert sums == ours
    assert {one.account for one in entries if isinstance(one, Balance)} == set(ours)
    names = {one.meta.get("name") for one in entries if isinstance(one, Open)}
    assert village.party("operator").name in names
    assert "; ! YZ2026-" in text
    command = [str(Path(sys.executable).parent / "bean-check"), str(path)]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    path.write_text(text.replace("100.00 CNY", "100.01 CNY", 1), "utf-8")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_whatever_amount_is_changed_by_a_fen_the_program_refuses(
    kept: tuple[Agreement, str],
) -> None:
    text = kept[1]
    assert refused(text) == []
    amounts = [m for m in re.finditer(r"(-?\d+\.\d\d)( ~ 0\.00)? CNY$", text, re.M)
               if not text[: m.start()].rpartition("\n")[2].startswith(";")]  # fmt: skip
    assert len(amounts) > 15
    for found in amounts[:: max(1, len(amounts) // 12)]:
        changed = f"{Decimal(found[1]) + Decimal('0.01')}"
        assert refused(text[: found.start(1)] + changed + text[found.end(1) :]), found[0]


def test_a_transaction_left_out_is_missed(kept: tuple[Agreement, str]) -> None:
    text = kept[1]
    parts = re.split(r"(?m)^(?=\d{4}-\d\d-\d\d \*)", text)
    assert len(parts) == 7
    for n in range(1, 6):
        rest = "".join(parts[:n] + parts[n + 1 :])
        assert refused(rest) or "误记" in parts[n] or "冲销" in parts[n]


@pytest.mark.parametrize(
    "code", ["91330000MA27XXXX0Y", "a", "", "人", "X-61", 'q"\n', "A B", "A:B", "1-2", "-1"]
)
def test_every_party_has_a_legal_account_of_its_own(code: str) -> None:
    name = beancount.name_of(PAYABLE, code)
    assert refused(f"2026-01-01 open {name} CNY\n") == []
    others = ["91330000MA27XXXX0Y", "a", "人", "X-61", "A B"]
    assert len({beancount.name_of(PAYABLE, one) for one in {*others, code}}) == len({*others, code})


TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
PAYEES = st.sampled_from(["91330000MA27XXXX0Y", "91330000MA27XXXX1X", "甲", 'a"b'])


@pytest.mark.slow
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(st.lists(st.tuples(TEXTS, PAYEES, st.integers(0, 10**12)), min_size=1, max_size=40))
def test_whatever_is_booked_the_program_takes_it(
    village: Town, some: list[tuple[str, str, int]]
) -> None:
    agreement = village.agreement()
    with Session(village.home.engine) as session:
        enter(session, village, agreement, [
            (memo, [line(UNDISTRIBUTED, fen, 0), line(PAYABLE, 0, fen, payee)])
            for memo, payee, fen in some
        ])  # fmt: skip
        text = _without_records(session, agreement)
        session.rollback()
    assert refused(text) == []


def _without_records(session: Session, agreement: Agreement) -> str:
    """The text in a deed that is still under way: its records have their places first."""
    from ledger import log  # noqa: PLC0415

    log.sequence(session, session.connection().execute(books.select(log.Head.last_at)).scalar_one())
    return written(session, agreement)


@pytest.mark.slow
def test_a_book_of_thousands_of_entries_is_taken_whole(village: Town) -> None:
    agreement, payees = village.agreement(), [f"9133{n:014d}" for n in range(50)]
    with village.deed() as session:
        enter(session, village, agreement, [
            (f"分配 {n}", [line(UNDISTRIBUTED, n, 0), line(PAYABLE, 0, n, payees[n % 50])])
            for n in range(8_000)
        ])  # fmt: skip
    with village.reading() as session:
        text = written(session, agreement)
    entries, errors, _ = loader.load_string(text)
    assert errors == []
    assert sum(isinstance(one, Transaction) for one in entries) == 8_000
