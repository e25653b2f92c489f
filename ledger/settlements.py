"""Settlements (清结算): what was received, traded or given back under an agreement, one dense row each.

Rows are numbered from 1 without a gap within their agreement, and a closing notes how far the numbers had
come; so what a statement distributes is a range of numbers and days, assigned to it row by row nowhere.

    agreement  n   day         kind     amount  vat  net   source      row
    01997e…    1   2026-03-02  payment  10600   600  10000 <payment>    0
    01997e…    2   2026-03-02  trade      106     6    100 <confirm.>   1
    01997e…    3   2026-03-09  refund   -1060   -60  -1000 <refund>     0

They are derived from evidence (`Payment.n`, `Refund.n`, `Confirmation.first_n`), and the audit derives
them again.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Index, String, func, select, text
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.agreements import Agreement
from ledger.store import Base, Number, as_driven, keeping_all, lock, next_numbers, put_rows

KINDS: Final = ("payment", "trade", "refund")


class Settlement(Base):
    """Money of an agreement: gross, the VAT in it, and what is left to be shared; refunds below
    nought (operational: derived from what it names)."""

    __tablename__ = "settlements"
    agreement_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    day: Mapped[str]
    kind: Mapped[str]
    amount_fen: Mapped[int]
    vat_fen: Mapped[int]
    net_fen: Mapped[int]
    source_id: Mapped[str] = mapped_column(String(36))
    row: Mapped[int]
    __table_args__ = (
        # sums over a range of days among low numbers are read from this alone
        Index("settlements_by_day", "agreement_id", "day", "n", "net_fen"),
        # of the few refunds, alone too
        Index("settlements_refunds", "agreement_id", "day", "n", "net_fen",
              sqlite_where=text("kind = 'refund'"), postgresql_where=text("kind = 'refund'")),
        {"sqlite_with_rowid": False},
    )  # fmt: skip


def enter(
    session: Session, agreement: Agreement, *, day: str, kind: str, amount_fen: int, vat_fen: int,
    net_fen: int, source_id: str, row: int = 0,
) -> int:  # fmt: skip
    """Enter one row under the agreement's next number, which is returned."""
    return enter_many(
        session, agreement, kind, source_id, [(day, amount_fen, vat_fen, net_fen, row)]
    )


@keeping_all()
def enter_many(
    session: Session, agreement: Agreement, kind: str, source_id: str,
    rows: Sequence[tuple[str, int, int, int, int]],
) -> int:  # fmt: skip
    """Enter rows (day, amount, VAT, net, row) of one source; their first number, the others follow.

    Holds the agreement until the deed ends: whoever closes a period takes the same lock, so no row comes
    to light later under a number that the closing counted as not there.
    """
    assert kind in KINDS, kind
    lock(session, agreement)
    first = next_numbers(session, _prefix(agreement.id), len(rows))
    connection = session.connection()
    key = as_driven(connection, Settlement.__table__, "agreement_id", agreement.id)  # type: ignore[arg-type]
    put_rows(
        connection, Settlement.__table__,  # type: ignore[arg-type]
        ("agreement_id", "n", "day", "kind", "amount_fen", "vat_fen", "net_fen", "source_id", "row"),
        [
            (key, n, day, kind, amount, vat, net, source_id, row)
            for n, (day, amount, vat, net, row) in enumerate(rows, start=first)
        ],
    )  # fmt: skip
    return first


def count(session: Session, agreement_id: str) -> int:
    """How many rows the agreement has, so the number of its last one; 0 where it has none."""
    found = session.scalar(select(Number.next).where(Number.prefix == _prefix(agreement_id)))
    return 0 if found is None else found - 1


def book_of(session: Session, payment_id: str, day: str) -> str | None:
    """The agreement under which a payment stands that does not say so itself, as those of before."""
    return session.scalar(
        select(Settlement.agreement_id).where(
            Settlement.agreement_id.in_(select(Agreement.id)), Settlement.day == day,
            Settlement.source_id == payment_id, Settlement.kind == "payment",
        )
    )  # fmt: skip


def total(session: Session, agreement_id: str, *conditions: Any) -> int:
    """The net fen of some of its rows."""
    wanted = select(func.coalesce(func.sum(Settlement.net_fen), 0))
    found = session.scalar(wanted.where(Settlement.agreement_id == agreement_id, *conditions))
    return int(found or 0)


def of_source(session: Session, agreement_id: str, n: int) -> Settlement | None:
    """The row with a number."""
    return session.get(Settlement, (agreement_id, n))


def _prefix(agreement_id: str) -> str:
    return f"settlements {agreement_id}"
