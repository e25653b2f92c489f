"""What is stored of payouts: the batch, and each payment of it (`payouts` says what becomes of them)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    String,
    UniqueConstraint,
    select,
    text,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.bank_accounts import BankAccount
from ledger.errors import Missing
from ledger.parties import Party
from ledger.store import Evidence

GIVEN = ("approved", "partly_paid", "paid", "closed")  # in which a payout has its file


class Payout(Evidence):
    """A batch of payments out of one book."""

    __tablename__ = "payouts"
    __table_args__ = (Index("payouts_of_a_book", "agreement_id", "state"),)
    subject_type = "payout"
    number: Mapped[str] = mapped_column(unique=True)
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    statement_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("statements.id"))
    """the one statement whose shares it pays; None for all that is due"""
    line_count: Mapped[int] = mapped_column(BigInteger)
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    left_out: Mapped[list[Any]]
    """who is owed and not paid with it: {"account", "amount_fen", "party", "why"}, and by which "limit" """
    expires_at: Mapped[datetime]
    maker_id: Mapped[str]
    approvals_required: Mapped[int] = mapped_column(BigInteger)
    approvals: Mapped[list[Any]]
    digests: Mapped[dict[str, Any] | None]
    """of its payment file as CSV and as XLSX, once approved"""
    results: Mapped[list[Any]]
    """the bank's result files imported, as `payout_results.confirm` answered"""
    state: Mapped[str]


class PayoutLine(Evidence):
    """One payment of a payout."""

    __tablename__ = "payout_lines"
    __table_args__ = (
        UniqueConstraint("payout_id", "n"),
        CheckConstraint("amount_fen > 0", name="payout_lines_amount"),
        # One debit of the bank may pay several lines, all of one payout: one of them leads under its
        # reference, unique over all books, and the others refer to that one. That it leads, which no
        # foreign key can ask, triggers do (migration 0020).
        CheckConstraint(
            "(bank_reference IS NULL) = (debit_id IS NULL)", name="payout_lines_debit_told"
        ),
        UniqueConstraint("id", "payout_id", "bank_reference"),
        ForeignKeyConstraint(
            ["debit_id", "payout_id", "bank_reference"],
            ["payout_lines.id", "payout_lines.payout_id", "payout_lines.bank_reference"],
            name="payout_lines_of_a_debit",
        ),
        Index(
            "payout_lines_debits", "bank_reference", unique=True, sqlite_where=text("debit_id = id"),
            postgresql_where=text("debit_id = id"),
        ),
        Index("payout_lines_referenced", "bank_reference"),
        Index("payout_lines_of_a_hold", "hold_id"),
    )  # fmt: skip
    subject_type = "payout_line"
    payout_id: Mapped[str] = mapped_column(String(36), ForeignKey("payouts.id"))
    n: Mapped[int] = mapped_column(BigInteger)
    serial: Mapped[str] = mapped_column(unique=True)
    party: Mapped[str]
    """the social credit code under which the book owes it"""
    account: Mapped[str]
    amount_fen: Mapped[int] = mapped_column(BigInteger)
    purpose: Mapped[str]
    bank_account_id: Mapped[str] = mapped_column(String(36), ForeignKey("bank_accounts.id"))
    hold_id: Mapped[str] = mapped_column(String(36), ForeignKey("holds.id"))
    paid_on: Mapped[str | None]
    bank_reference: Mapped[str | None]
    debit_id: Mapped[str | None] = mapped_column(String(36))
    """the line that came first under the bank's reference: itself, or another one of its payout"""
    returned_on: Mapped[str | None]
    return_reference: Mapped[str | None]
    """the bank's, of the movement by which a payment came back"""
    reason: Mapped[str | None]
    """why it was not paid, or came back"""
    state: Mapped[str]


def lines_of(session: Session, payout: Payout) -> list[PayoutLine]:
    """The payments of a payout in their order."""
    wanted = select(PayoutLine).where(PayoutLine.payout_id == payout.id)
    return list(session.scalars(wanted.order_by(PayoutLine.n)))


def by_number(session: Session, number: str) -> Payout:
    """The payout with a number; raises Missing."""
    found = session.scalar(select(Payout).where(Payout.number == number))
    if found is None:
        raise Missing("There is no payout {number}.", number=number)
    return found


def payee(session: Session, line: PayoutLine) -> Party:
    """Whom the bank pays."""
    return session.get_one(Party, session.get_one(BankAccount, line.bank_account_id).party_id)
