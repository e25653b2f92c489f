"""Freezes (冻结): what the regulator may do, for every voucher of a registration at once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.errors import Conflict
from ledger.parties import Actor, may
from ledger.registration import Registration
from ledger.states import MOVES
from ledger.vouchers import FREEZING, Voucher, change


def change_all(
    session: Session,
    actor: Actor,
    now: datetime,
    registration: Registration,
    verb: str,
    *,
    basis: str,
    reason: str,
    origin: str,
) -> list[Voucher]:
    """Freeze or unfreeze all vouchers of a registration at once, each with its own record."""
    assert verb in FREEZING, verb
    may(actor, f"registration.{verb}", registration.party_id, f"Registration {registration.code}")
    found = session.scalars(
        select(Voucher)
        .where(
            Voucher.registration_id == registration.id,
            Voucher.state.in_([state for state in MOVES["voucher"][verb] if state is not None]),
            Voucher.frozen.is_(verb == "unfreeze"),
        )
        .order_by(Voucher.id)
    ).all()
    if not found:
        raise Conflict(
            "No voucher of registration {code} can be made to {verb}.",
            code=registration.code, verb=verb,
        )  # fmt: skip
    for voucher in found:
        change(session, actor, now, voucher, verb, reason, origin, basis)
    return list(found)
