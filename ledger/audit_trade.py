"""What is derived of trade, derived again: rows of confirmations and settlements, as differences."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import polars as pl
from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import Session

from ledger import salted_rows, settlements
from ledger import trade_rules as rules
from ledger.agreements import Agreement
from ledger.chain import keys
from ledger.confirmations import ROWS, Confirmation, Trade, header_again, typed_data
from ledger.errors import Invalid
from ledger.parties import Party
from ledger.proof.merkle import root
from ledger.refunds import Refund
from ledger.registration import Registration
from ledger.settlements import Settlement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher

Differences = Iterator[tuple[str, str, Any, Any]]
"""(place, field, known, derived)"""
FIELDS = ("day", "kind", "amount_fen", "vat_fen", "net_fen", "source_id", "row")


def of_rows(session: Session, made: Confirmation, origin: str) -> Differences:
    """Each difference between a confirmation's record and its stored trades.

    Root, subtree roots, count, digest and sums are derived anew from the rows, and who signed from the
    signature.
    """
    place = f"confirmations {made.number}"
    party = session.get(Party, made.exchange_id or "")  # who tampers may have left it empty
    prefix = f"{party.uscc} " if party else ""
    roots, count, gross, net, parts = [], 0, 0, 0, []
    for chunk in ROWS.chunks(session, made.no):
        numbers, trades, salts, stored = ([one[at] for one in chunk] for at in range(4))
        if numbers != list(range(count + 1, count + 1 + len(stored))):
            known = next(n for due, n in enumerate(numbers, start=count + 1) if n != due)
            yield f"trades {made.no} {known}", "n", known, "the next number"
        try:
            roots.append(root(salted_rows.leaves(salts, stored)))
            frame = rules.taken_apart(stored)
        except (TypeError, ValueError, pl.exceptions.PolarsError) as error:
            yield f"trades {made.no} {count + 1}", "rows", str(error)[:200], "readable rows"
            return
        frame = frame.with_columns(key=pl.Series(trades, dtype=pl.String))
        due = pl.concat_str(pl.lit(prefix), "trade")
        bad = frame.with_row_index("n", offset=count + 1).filter(
            ~pl.col("fits") | (pl.col("key") != due).fill_null(value=True)
        )
        for one in bad.select("n", "row", "key", "fits", due=due).iter_rows(named=True):
            where = f"trades {made.no} {one['n']}"
            if one["fits"]:
                yield where, "trade", one["key"], one["due"]
            else:
                yield where, "row", one["row"][:200], "a row in its canonical form"
        gross += int(frame["fen"].fill_null(0).sum())
        net += int(frame["net"].fill_null(0).sum())
        parts.append(frame["row"])
        count += len(stored)
    derived: dict[str, Any] = {
        "amount_fen": gross, "batch_root": root(roots).hex(), "net_fen": net, "row_count": count,
        "rows_digest": rules.digest_of(pl.concat(parts)) if parts else None,
        "subtree_roots": [one.hex() for one in roots], "vat_fen": gross - net,
    }  # fmt: skip
    derived["signed_by"] = "a signature by the exchange"
    if party is not None and session.get(Agreement, made.agreement_id or "") is not None:
        with suppress(Invalid, TypeError, ValueError):
            typed = typed_data(header_again(session, made, origin), made.chain_id)
            derived["signed_by"] = keys.recover_typed(typed, made.signature)
    for name, value in derived.items():
        if getattr(made, name) != value:
            yield place, name, getattr(made, name), value


def strays(session: Session) -> Differences:
    """Rows of a number that no confirmation has, as differences."""
    owned = set(session.scalars(select(Confirmation.no)))
    last = session.scalar(select(Trade.batch).order_by(Trade.batch).limit(1))
    while last is not None:
        if last not in owned:
            yield f"trades {last}", "batch", last, "a batch with this number"
        last = session.scalar(
            select(Trade.batch).where(Trade.batch > last).order_by(Trade.batch).limit(1)
        )


def of_settlements(session: Session) -> Differences:
    """Each difference between the settlements and the payments, refunds and trades they come from."""
    due: dict[str, int] = {}
    yield from _singles(session, "payment", Payment, Payment.received_on, due)
    yield from _singles(session, "refund", Refund, Refund.decided_on, due)
    for made in session.scalars(select(Confirmation).order_by(Confirmation.no)).all():
        due[made.agreement_id] = due.get(made.agreement_id, 0) + made.row_count
        yield from _trades(session, made)
    yield from _of_before(session, due)
    stored: dict[str, int] = dict(
        session.execute(
            select(Settlement.agreement_id, func.count()).group_by(Settlement.agreement_id)
        ).tuples().all()
    )  # fmt: skip
    for agreement_id in sorted({*due, *stored}):
        known, derived = stored.get(agreement_id, 0), due.get(agreement_id, 0)
        if known != derived:
            yield f"settlements {agreement_id}", "rows", known, derived
        taken = settlements.count(session, agreement_id)
        if taken != derived:
            yield f"numbers settlements {agreement_id}", "next", taken + 1, derived + 1


def _singles(session: Session, kind: str, model: Any, day: Any, due: dict[str, int]) -> Differences:
    """Payments or refunds, each with the row it has: what is asked for is only what differs."""
    sign = -1 if kind == "refund" else 1
    same = {
        Settlement.day: day, Settlement.kind: kind, Settlement.amount_fen: sign * model.amount_fen,
        Settlement.vat_fen: sign * model.vat_fen, Settlement.net_fen: sign * model.net_fen,
        Settlement.source_id: model.id, Settlement.row: 0,
    }  # fmt: skip
    wanted: Select[Any] = (
        select(model, Settlement)
        .outerjoin(
            Settlement,
            and_(Settlement.agreement_id == model.agreement_id, Settlement.n == model.n),
        )
        .where(
            model.n.is_not(None),
            or_(Settlement.n.is_(None), *(one.is_distinct_from(it) for one, it in same.items())),
        )
        .order_by(model.id)
    )
    for row, known in session.execute(wanted):
        derived = (
            getattr(row, day.key), kind, sign * row.amount_fen, sign * row.vat_fen, sign * row.net_fen,
            row.id, 0,
        )  # fmt: skip
        yield from _differ(row.agreement_id, row.n, known and _fields(known), derived)
    counted = select(model.agreement_id, func.count()).where(model.n.is_not(None))
    for agreement_id, count in session.execute(counted.group_by(model.agreement_id)):
        due[agreement_id] = due.get(agreement_id, 0) + count


def _trades(session: Session, made: Confirmation) -> Differences:
    """The settlements of a confirmation's rows, a chunk at a time."""
    n = made.first_n
    for chunk in ROWS.chunks(session, made.no):
        try:
            frame = rules.taken_apart([one[3] for one in chunk])
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            return  # told of the rows themselves
        derived = [
            (day, "trade", fen, (fen or 0) - (net or 0), net, made.id, row)
            for (row, *_), day, fen, net in zip(
                chunk, frame["day"], frame["fen"], frame["net"], strict=True
            )
        ]
        columns = (getattr(Settlement, one) for one in ("n", *FIELDS))
        stored = {
            place: tuple(rest)
            for place, *rest in session.execute(
                select(*columns).where(
                    Settlement.agreement_id == made.agreement_id, Settlement.n >= n,
                    Settlement.n < n + len(chunk),
                )
            )
        }  # fmt: skip
        for place, one in enumerate(derived, start=n):
            if stored.get(place) != one:
                yield from _differ(made.agreement_id, place, stored.get(place), one)
        n += len(chunk)


def _of_before(session: Session, due: dict[str, int]) -> Differences:
    """Payments recorded before they were numbered: the first ones, in the order of their ids."""
    unnumbered = Payment.n.is_(None)
    wanted = (
        select(Settlement, Payment)
        .join(Payment, Payment.id == Settlement.source_id)
        .where(Settlement.kind == "payment", unnumbered)
        .order_by(Settlement.agreement_id, Payment.id)
    )
    settled = set()
    place: dict[str, int] = {}
    for known, payment in session.execute(wanted):
        n = place[known.agreement_id] = place.get(known.agreement_id, 0) + 1
        settled.add(payment.id)
        derived = (
            payment.received_on, "payment", payment.amount_fen, payment.vat_fen, payment.net_fen,
            payment.id, 0,
        )  # fmt: skip
        if known.n != n:
            yield f"settlements {known.agreement_id} {known.n}", "n", known.n, n
        yield from _differ(known.agreement_id, n, _fields(known), derived)
    for agreement_id, count in place.items():
        due[agreement_id] = due.get(agreement_id, 0) + count
    under: Any = (
        select(Payment.id, Registration.agreement_id)
        .join(Licence, Licence.id == Payment.licence_id)
        .join(Voucher, Voucher.id == Licence.voucher_id)
        .join(Registration, Registration.id == Voucher.registration_id)
        .where(unnumbered, Registration.agreement_id.is_not(None))
        .order_by(Payment.id)
    )
    for payment_id, under_id in session.execute(under):
        if payment_id not in settled:
            yield f"settlements {under_id}", "row", None, payment_id


def _fields(row: Settlement) -> tuple[Any, ...]:
    return tuple(getattr(row, one) for one in FIELDS)


def _differ(
    agreement_id: str | None, n: int, known: tuple[Any, ...] | None, derived: tuple[Any, ...]
) -> Differences:
    place = f"settlements {agreement_id} {n}"
    if known is None:
        yield place, "row", None, "a row"
        return
    for name, one, other in zip(FIELDS, known, derived, strict=True):
        if one != other:
            yield place, name, one, other
