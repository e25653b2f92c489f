"""Confirmations of trades before they are accepted: signed on the exchange's machine, judged here.

Signing needs no network and no database: the file, the key, and of the registry its log's origin and chain.
What is judged is told all at once: each faulty row with its line, column and reason, and nothing is stored.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import polars as pl
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import agreements, log, prices, salted_rows
from ledger import trade_rules as rules
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.chain import keys
from ledger.confirmations import (
    AMOUNT_FEN_MAX,
    DAYS_MAX,
    HEADER_TYPE,
    NUMBERS,
    SIGNED_TYPE,
    TEXTS,
    Checked,
    Confirmation,
    Trade,
    accepted,
    terms_of,
    typed_data,
)
from ledger.errors import Faults, Invalid, NotAllowed
from ledger.parties import Actor, Member, Party, may, party_by_uscc
from ledger.registration import Registration
from ledger.row_faults import refuse, told
from ledger.tables.events import EventFile
from ledger.vouchers import Voucher
from valuation.money import yuan

# -- on the exchange's own machine -------------------------------------------------------------


def header_of(
    given: EventFile, name: str, *, exchange: str, number: str, agreement: str, log_origin: str,
    from_on: str | None = None, until_on: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The header over a file's rows; raises Unusable with every row that cannot be used.

    Without a period it is that of the rows, first to last day.
    """
    frame = _well_formed(given, name)
    rows = rules.spelled(frame)
    return {
        "agreement": agreement, "amount_fen": int(frame["fen"].sum()), "exchange": exchange,
        "from_on": from_on or str(frame["day"].min()), "log": log_origin, "number": number,
        "row_count": frame.height, "rows_digest": rules.digest_of(rows), "type": HEADER_TYPE,
        "until_on": until_on or str(frame["day"].max()), "v": 1,
    }  # fmt: skip


def sign(header: Mapping[str, Any], chain_id: int, private_key: bytes) -> dict[str, Any]:
    """The signed header that is handed in beside the file."""
    return {
        "address": keys.address_of(private_key),
        "header": dict(header),
        "signature": keys.sign_typed(typed_data(header, chain_id), private_key),
        "type": SIGNED_TYPE,
        "v": 1,
    }


# -- what is handed in, judged -----------------------------------------------------------------


def check(
    session: Session, actor: Actor, now: datetime, given: EventFile, name: str,
    signed: Mapping[str, Any], *, origin: str, chain_id: int,
) -> Checked | Confirmation:  # fmt: skip
    """A confirmation found good, or the one that was accepted before.

    Raises Invalid, NotAllowed or Conflict for what is wrong with header and signature, Unusable with
    every row that cannot be used.
    """
    may(actor, "confirmation.record")
    header = _header(signed, origin, local_date(now))
    exchange = party_by_uscc(session, header["exchange"])
    if exchange.uscc != header["exchange"]:  # what is due is booked under the code that was signed
        raise Invalid(
            "The exchange {given} is written {known}: sign the confirmation anew.",
            given=header["exchange"], known=exchange.uscc,
        )  # fmt: skip
    if exchange.id not in actor.parties:
        raise NotAllowed(
            "{what} belongs to another organisation, not to yours.",
            what=f"confirmation {header['number']}",
        )
    signer = _signer(session, exchange, header, signed, chain_id)
    agreement = agreements.by_number(session, header["agreement"])
    known = accepted(session, exchange.id, header)
    frame = _well_formed(
        given, name, () if known else _judged(session, exchange, agreement, header, now)
    )
    rows = rules.spelled(frame)
    fits = {
        "amount_fen": int(frame["fen"].sum()), "row_count": frame.height,
        "rows_digest": rules.digest_of(rows),
    }  # fmt: skip
    if any(header[one] != value for one, value in fits.items()):
        raise Invalid("{name} does not hold the rows that were signed.", name=name)
    if known is not None:
        return known
    key = pl.concat_str(pl.lit(f"{exchange.uscc} "), pl.col("trade"))
    return Checked(
        header=header, exchange_id=exchange.id, agreement_id=agreement.id, signed_by=signer,
        signature=str(signed["signature"]), chain_id=chain_id, source_name=name,
        terms=terms_of(session, agreement, frame["voucher"].unique().to_list()),
        frame=frame.select("day", "fen", "net", key=key, row=rows),
    )  # fmt: skip


def _header(signed: Mapping[str, Any], origin: str, today: date) -> dict[str, Any]:
    """The header of a signed confirmation, if it is one of this registry's."""
    header = signed.get("header")
    is_one = (
        signed.get("type") == SIGNED_TYPE and type(header) is dict
        and header.get("type") == HEADER_TYPE and header.get("v") == 1
        and set(header) == {*TEXTS, *NUMBERS, "type", "v"}
        and all(type(header[one]) is str and 0 < len(header[one]) <= 200 for one in TEXTS)
        and all(type(header[one]) is int and header[one] > 0 for one in NUMBERS)
    )  # fmt: skip
    if not is_one or type(header) is not dict:
        raise Invalid("This is no signed confirmation of trades.")
    faults = Faults()
    if header["log"] != origin:
        faults.name_fault(
            "it is for the log {given}, not for {known}", at="signature", given=header["log"],
            known=origin,
        )  # fmt: skip
    try:
        first, last = (date.fromisoformat(header[one]) for one in ("from_on", "until_on"))
        if not first <= last or (last - first).days > DAYS_MAX:
            raise ValueError
        if last > today:
            faults.name_fault(
                "its period ends after today, on {day}", at="signature", day=str(last)
            )
    except ValueError:
        faults.name_fault(
            "its period is no period of at most {most} days", at="signature", most=DAYS_MAX
        )
    if header["amount_fen"] > AMOUNT_FEN_MAX:
        faults.name_fault(
            "its amount is above {most} fen: split it", at="signature", most=AMOUNT_FEN_MAX
        )
    if faults:
        raise Invalid("The confirmation breaks: {faults}.", faults=faults)
    return dict(header)


def _signer(
    session: Session, exchange: Party, header: Mapping[str, Any], signed: Mapping[str, Any],
    chain_id: int,
) -> str:  # fmt: skip
    """The address that signed, which is a member's of the exchange; raises NotAllowed."""
    address = keys.recover_typed(typed_data(header, chain_id), signed.get("signature"))
    members = session.scalars(
        select(Member).where(Member.party_id == exchange.id, Member.signing_address == address)
    )
    if not any("exchange" in member.roles for member in members):
        raise NotAllowed(
            "The signature on confirmation {number} is by {address}, whose key is no member's of "
            "{name}: the administrator enters signing addresses.",
            number=header["number"], address=address, name=exchange.name,
        )  # fmt: skip
    return address


Judge = Callable[[pl.DataFrame], list[pl.DataFrame]]


def _well_formed(given: EventFile, name: str, judges: Sequence[Judge] = ()) -> pl.DataFrame:
    """The rows of a file, prepared; raises Unusable with all that is wrong with any of them."""
    if not given.rows.height and not given.faults.height:
        raise Invalid("{name} holds no trades.", name=name)
    frame = rules.prepared(given.rows)
    lacking = set(given.faults.filter(pl.col("code") == "no_column")["column"])
    faults = [given.faults, *rules.faults_of_form(frame, lacking)]
    for judge in judges:
        faults += judge(frame)
    if any(one.height for one in faults):
        refuse(pl.concat(faults), name, rules.REASONS)
    return frame


def _judged(
    session: Session,
    exchange: Party,
    agreement: Agreement,
    header: Mapping[str, Any],
    now: datetime,
) -> list[Judge]:
    """What only the ledger knows of the rows: vouchers, terms, caps, and trades that are there already."""
    until = min(str(header["until_on"]), local_date(now).isoformat(), agreement.until_on)
    since = max(str(header["from_on"]), agreement.from_on)

    def vouchers(frame: pl.DataFrame) -> list[pl.DataFrame]:
        named = frame["voucher"].unique().drop_nulls().to_list()
        terms = terms_of(session, agreement, named)
        return list(rules.faults_of_terms(frame, agreement.number, terms, since, until))

    def caps(frame: pl.DataFrame) -> list[pl.DataFrame]:
        return list(rules.faults_of_caps(frame, _caps(session, agreement, frame)))

    def again(frame: pl.DataFrame) -> list[pl.DataFrame]:
        return [_recorded(session, exchange, frame)]

    return [vouchers, caps, again]


def _caps(
    session: Session, agreement: Agreement, frame: pl.DataFrame
) -> dict[tuple[str, str, str], rules.Cap]:
    """The cap of each voucher, day and unit among the rows, where a price setting holds."""
    named = frame["voucher"].unique().drop_nulls().to_list()
    codes: dict[str, str] = {}
    for start in range(0, len(named), log.ROWS_A_STATEMENT):
        codes |= dict(
            session.execute(
                select(Voucher.number, Registration.code)
                .join(Registration, Registration.id == Voucher.registration_id)
                .where(Voucher.number.in_(named[start : start + log.ROWS_A_STATEMENT]))
            ).tuples().all()
        )  # fmt: skip
    of_day: dict[str, prices.Price | None] = {}
    found: dict[tuple[str, str, str], rules.Cap] = {}
    kinds = frame.select("voucher", "day", "unit").unique().drop_nulls()
    for voucher, day, unit in kinds.iter_rows():
        if day not in of_day:
            of_day[day] = prices.in_force(session, agreement, date.fromisoformat(day))
        price = of_day[day]
        if price is None or voucher not in codes:
            continue
        line = prices.line_of(price, codes[voucher], unit)
        if line is None:
            found[voucher, day, unit] = rules.Cap(0, 0, price.number)
            continue
        per = int(line.get("per", 1))
        said = f"{yuan(line['cap_fen'])} / {per} {unit} ({price.number})"
        found[voucher, day, unit] = rules.Cap(int(line["cap_fen"]), per, said)
    return found


def _recorded(session: Session, exchange: Party, frame: pl.DataFrame) -> pl.DataFrame:
    """A fault for each row whose trade a confirmation of the exchange has already.

    Asked one by one only where some recorded trade lies between the first and the last of the file.
    """
    prefix = f"{exchange.uscc} "
    trades = frame["trade"].drop_nulls()
    between = select(Trade.n).where(
        Trade.trade >= prefix + str(trades.min()), Trade.trade <= prefix + str(trades.max())
    )
    asked = trades.to_list() if session.scalar(between.limit(1)) is not None else []
    known = salted_rows.places(session, Trade.trade, Confirmation.number, prefix, asked)
    rows = frame.select("line", "trade").join(known, on="trade")
    return told(rows, "trade", "recorded", pl.col("fact"))
