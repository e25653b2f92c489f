"""Trades made at an exchange, as it confirms them (成交确认): a file of rows under a signed header.

The header binds the rows by their digest to an exchange, its number for the file, an agreement, a period
and this registry's log. A member of the exchange signs it (EIP-712) on his own machine with his own key.
A confirmation is accepted once, and each trade of an exchange once over all of its confirmations.

    header  {"agreement","amount_fen","exchange","from_on","log","number","row_count","rows_digest",
             "type":"shuzheng/trade-confirmation","until_on","v":1}
    signed  {"address","header","signature","type":"shuzheng/signed-trade-confirmation","v":1}
    booked  Dr 1122.<exchange> 应收账款   Cr 2202 待分配收入 net   Cr 2221 应交增值税

Its rows are kept salted (`ledger.salted_rows`, table "trades"), so that one can be proved alone;
each is a settlement of the agreement.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import (
    BigInteger,
    ForeignKey,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    select,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import agreements, books, log, periods, salted_rows, settlements, trading
from ledger import trade_rules as rules
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.errors import Conflict, Missing
from ledger.parties import Actor, Party, may
from ledger.proof.encoding import sha256
from ledger.proof.merkle import root
from ledger.registration import Registration
from ledger.salted_rows import Rows
from ledger.store import Base, Evidence, keeping_all, new_id, next_number
from ledger.vouchers import Voucher

HEADER_TYPE: Final = "shuzheng/trade-confirmation"
SIGNED_TYPE: Final = "shuzheng/signed-trade-confirmation"
TEXTS: Final = ("agreement", "exchange", "from_on", "log", "number", "rows_digest", "until_on")
NUMBERS: Final = ("amount_fen", "row_count")
DAYS_MAX: Final = 366
AMOUNT_FEN_MAX: Final = books.LINE_FEN_MAX
ROWS: Final = Rows("trades", "trade")


class Confirmation(Evidence):
    """A confirmation as accepted; `no` numbers its rows in "trades", `first_n` its settlements."""

    __tablename__ = "confirmations"
    __table_args__ = (UniqueConstraint("exchange_id", "exchange_number"),)
    subject_type = "confirmation"
    number: Mapped[str] = mapped_column(unique=True)
    no: Mapped[int] = mapped_column(BigInteger, unique=True)
    exchange_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    exchange_number: Mapped[str]
    """the exchange's own number for it"""
    agreement_id: Mapped[str] = mapped_column(String(36), ForeignKey("agreements.id"))
    from_on: Mapped[str]
    until_on: Mapped[str]
    row_count: Mapped[int]
    amount_fen: Mapped[int]
    vat_fen: Mapped[int]
    net_fen: Mapped[int]
    rows_digest: Mapped[str]
    batch_root: Mapped[str]
    subtree_roots: Mapped[list[Any]]
    """the root over each chunk of rows, so that a proof reads one chunk"""
    chain_id: Mapped[int]
    signed_by: Mapped[str]
    """the address of the signing member's key"""
    signature: Mapped[str]
    source_name: Mapped[str]
    first_n: Mapped[int]
    recorded_by: Mapped[str]


class Trade(Base):
    """A confirmed trade; counted once: `trade` is its exchange's code and the exchange's number for it."""

    __tablename__ = "trades"
    __table_args__ = ({"sqlite_with_rowid": False},)
    batch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    trade: Mapped[str] = mapped_column(
        Text().with_variant(Text(collation="C"), "postgresql"), unique=True
    )
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    row: Mapped[str]


@dataclass(frozen=True)
class Checked:
    """A confirmation found good: its header and signature, and its rows (key, canonical text, money)."""

    header: dict[str, Any]
    exchange_id: str
    agreement_id: str
    signed_by: str
    signature: str
    chain_id: int
    source_name: str
    terms: dict[str, rules.Term]
    frame: pl.DataFrame = field(repr=False)


# -- taking it in ------------------------------------------------------------------------------


@keeping_all()
def record(session: Session, actor: Actor, now: datetime, checked: Checked) -> Confirmation:
    """Record a confirmation found good: its rows, its settlements and its entry, in this transaction."""
    may(actor, "confirmation.record")
    header, agreement = checked.header, session.get_one(Agreement, checked.agreement_id)
    known = accepted(session, checked.exchange_id, header)
    if known is not None:
        return known
    if checked.terms != terms_of(session, agreement, list(checked.terms)):
        raise Conflict(
            "A voucher of these trades was changed meanwhile; hand the confirmation in again."
        )
    year = local_date(now).year
    number = f"CJ{year}-{next_number(session, f'CJ{year}'):06d}"
    no = next_number(session, "trade batches")
    roots = []
    frame = checked.frame.rename({"key": "trade"})
    try:
        for place, start in enumerate(range(0, frame.height, salted_rows.CHUNK)):
            chunk = frame.slice(start, salted_rows.CHUNK).select("trade", "row")
            roots.append(ROWS.put(session, no, place, chunk))
    except salted_rows.Repeated as error:
        raise Conflict(
            "Some of these trades are being handed in at this moment by another one; try again."
        ) from error
    made = Confirmation(
        id=new_id(), number=number, no=no, exchange_id=checked.exchange_id,
        exchange_number=header["number"], agreement_id=agreement.id, from_on=header["from_on"],
        until_on=header["until_on"], row_count=frame.height, amount_fen=header["amount_fen"],
        net_fen=(net_fen := int(frame["net"].sum())), vat_fen=header["amount_fen"] - net_fen,
        rows_digest=header["rows_digest"], batch_root=root(roots).hex(),
        subtree_roots=[one.hex() for one in roots], chain_id=checked.chain_id,
        signed_by=checked.signed_by, signature=checked.signature, source_name=checked.source_name,
        first_n=0, recorded_by=actor.member_id,
    )  # fmt: skip
    days, gross, net = (frame[one].to_list() for one in ("day", "fen", "net"))
    made.first_n = settlements.enter_many(
        session, agreement, "trade", made.id,
        [
            (day, fen, fen - part, part, n)
            for n, (day, fen, part) in enumerate(zip(days, gross, net, strict=True), start=1)
        ],
    )  # fmt: skip
    log.append(session, made, "confirmation.recorded", actor.member_id)
    session.flush()
    books.post(
        session, actor.member_id, now, cause=made, book_id=agreement.id,
        effective_on=periods.open_day(session, agreement.id, max(days)),
        memo=f"成交确认 {made.number}",
        lines=trading.earned(
            books.DUE, str(header["exchange"]), made.amount_fen, made.net_fen
        ),
    )  # fmt: skip
    return made


# -- what is there -----------------------------------------------------------------------------


def trade(session: Session, confirmation: Confirmation, n: int) -> dict[str, Any]:
    """A confirmed trade as recorded, with `vat_fen` and `net_fen`; raises Missing."""
    found = session.get(Trade, (confirmation.no, n))
    if found is None:
        raise Missing("Confirmation {number} has no row {row}.", number=confirmation.number, row=n)
    one = salted_rows.parsed(found.row)
    net_fen = trading.net_of(one["amount_fen"])
    return {**one, "n": n, "net_fen": net_fen, "vat_fen": one["amount_fen"] - net_fen}


def row_number(session: Session, confirmation: Confirmation, text: str) -> int:
    """The number of a row (from 1) that is named by its trade, or else by that number; raises Missing."""
    uscc = session.get_one(Party, confirmation.exchange_id).uscc
    found = session.scalar(
        select(Trade.n).where(
            Trade.batch == confirmation.no, Trade.trade == f"{uscc} {text.strip()}"
        )
    )
    if found is None and text.isascii() and text.isdecimal() and len(text) < 10:
        found = int(text) if 1 <= int(text) <= confirmation.row_count else None
    if found is None:
        raise Missing(
            "Confirmation {number} has no row {row}.", number=confirmation.number, row=text
        )
    return found


def rows_of(
    session: Session, confirmation: Confirmation, after: int, limit: int
) -> list[dict[str, Any]]:
    """Some trades of a confirmation in their order, after a number."""
    wanted = select(Trade).where(Trade.batch == confirmation.no, Trade.n > after)
    return [
        {"n": one.n, "row": salted_rows.parsed(one.row)}
        for one in session.scalars(wanted.order_by(Trade.n).limit(limit))
    ]


def row_proof(session: Session, confirmation: Confirmation, n: int) -> dict[str, Any]:
    """A trade with its salt and its path to the confirmation's root; it reveals no other trade."""
    roots = [bytes.fromhex(one) for one in confirmation.subtree_roots]
    told_ = ROWS.proof(
        session, confirmation.no, n, roots, confirmation.batch_root, confirmation.row_count
    )
    if told_ is None:
        raise Conflict(
            "The rows of confirmation {number} are not those that were recorded: run the audit.",
            number=confirmation.number,
        )
    return told_


def owners(session: Session, confirmation: Confirmation) -> tuple[str, ...]:
    """Whose business a confirmation is: the exchange's, and both sides' of the agreement."""
    agreement = session.get_one(Agreement, confirmation.agreement_id)
    return confirmation.exchange_id, *agreements.owners(agreement)


def by_number(session: Session, number: str) -> Confirmation:
    """The confirmation with a number of ours; raises Missing."""
    found = session.scalar(select(Confirmation).where(Confirmation.number == number))
    if found is None:
        raise Missing("There is no confirmation {number}.", number=number)
    return found


def accepted(session: Session, exchange_id: str, header: Mapping[str, Any]) -> Confirmation | None:
    """The confirmation under an exchange's number, if it was accepted; Conflict for another one."""
    found = session.scalar(
        select(Confirmation).where(
            Confirmation.exchange_id == exchange_id,
            Confirmation.exchange_number == header["number"],
        )
    )
    if found is None:
        return None
    if header_again(session, found, str(header["log"])) != dict(header):
        raise Conflict(
            "Confirmation {number} of {name} was accepted with other contents ({known}).",
            number=header["number"], name=session.get_one(Party, exchange_id).name,
            known=found.number,
        )  # fmt: skip
    return found


def header_again(session: Session, found: Confirmation, origin: str) -> dict[str, Any]:
    """The header that was signed, from what is recorded."""
    return {
        "agreement": session.get_one(Agreement, found.agreement_id).number,
        "amount_fen": found.amount_fen, "exchange": session.get_one(Party, found.exchange_id).uscc,
        "from_on": found.from_on, "log": origin, "number": found.exchange_number,
        "row_count": found.row_count, "rows_digest": found.rows_digest, "type": HEADER_TYPE,
        "until_on": found.until_on, "v": 1,
    }  # fmt: skip


def typed_data(header: Mapping[str, Any], chain_id: int) -> dict[str, Any]:
    """The header as typed data (EIP-712), bound to the registry's chain and, as salt, its log."""
    fields = [
        ("exchange", "string"), ("number", "string"), ("agreement", "string"), ("fromOn", "string"),
        ("untilOn", "string"), ("rowCount", "uint256"), ("amountFen", "uint256"),
        ("rowsDigest", "string"),
    ]  # fmt: skip
    domain = [
        ("name", "string"),
        ("version", "string"),
        ("chainId", "uint256"),
        ("salt", "bytes32"),
    ]
    return {
        "domain": {
            "chainId": chain_id, "name": "Shuzheng TradeConfirmation",
            "salt": "0x" + sha256(str(header["log"]).encode()).hex(), "version": "1",
        },
        "message": {
            "agreement": header["agreement"], "amountFen": header["amount_fen"],
            "exchange": header["exchange"], "fromOn": header["from_on"], "number": header["number"],
            "rowCount": header["row_count"], "rowsDigest": header["rows_digest"],
            "untilOn": header["until_on"],
        },
        "primaryType": "TradeConfirmation",
        "types": {
            "EIP712Domain": [{"name": name, "type": kind} for name, kind in domain],
            "TradeConfirmation": [{"name": name, "type": kind} for name, kind in fields],
        },
    }  # fmt: skip


def terms_of(session: Session, agreement: Agreement, numbers: list[str]) -> dict[str, rules.Term]:
    """The vouchers of the agreement's registrations among those named, as they stand now."""
    found: dict[str, rules.Term] = {}
    for start in range(0, len(numbers), log.ROWS_A_STATEMENT):
        wanted = (
            select(Voucher)
            .join(Registration, Registration.id == Voucher.registration_id)
            .where(
                Registration.agreement_id == agreement.id, Voucher.kind == "registration",
                Voucher.number.in_(numbers[start : start + log.ROWS_A_STATEMENT]),
            )
        )  # fmt: skip
        for one in session.scalars(wanted):
            state = "frozen" if one.frozen else one.state
            first, last = local_date(one.valid_from), local_date(one.valid_until)
            found[one.number] = rules.Term(state, first.isoformat(), last.isoformat())
    return found
