"""Motions (双人复核): what is weighty on a voucher is proposed by one registrar and decided by another.

    transfer    to the subject of the registration, at his address
    pledge      to a pledgee
    split       into one voucher for each right

Nothing happens to the voucher before the second one has confirmed; then the verb itself asks anew whether
it may. To suspend or revoke is immediate: a danger wants no delay.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log, voucher_moves
from ledger.calendar import local_date
from ledger.chain.keys import check_address
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Party, may, party_by_uscc, require_other
from ledger.registration import Registration
from ledger.states import MOVES, move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.voucher_rows import Issuer, Voucher

VERBS = ("transfer", "pledge", "split")


class Motion(Evidence):
    """A proposal on a voucher, until it is confirmed or rejected."""

    __tablename__ = "motions"
    subject_type = "motion"
    number: Mapped[str] = mapped_column(unique=True)
    voucher_id: Mapped[str] = mapped_column(String(36), ForeignKey("vouchers.id"))
    verb: Mapped[str]
    facts: Mapped[dict[str, Any]]
    """transfer: holder_address and holder (its code); pledge: pledgee (its code); split: nothing"""
    ground: Mapped[str]
    proposed_by: Mapped[str]
    decided_by: Mapped[str | None]
    state: Mapped[str]


def propose(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    verb: str,
    ground: str,
    **facts: str,
) -> Motion:
    """Propose a transfer, a pledge or a split; what could not be done anyway is refused now."""
    if verb not in VERBS:
        raise Invalid("A motion is for one of {verbs}.", verbs=", ".join(VERBS))
    may(actor, f"voucher.{verb}", voucher.party_id, f"Voucher {voucher.number}")
    if not ground.strip():
        raise Invalid("State the ground of the decision.")
    lock(session, voucher)
    if voucher.state not in MOVES["voucher"][verb]:
        move("voucher", verb, voucher.state)
    if verb == "pledge":
        party_by_uscc(session, facts["pledgee"])
        voucher_moves.require_pledgeable(session, voucher)
    elif verb == "transfer":
        check_address(facts["holder_address"])
        facts["holder"] = _new_holder(session, voucher).uscc
    waiting = session.scalar(
        select(Motion).where(Motion.voucher_id == voucher.id, Motion.state == "proposed")
    )
    if waiting is not None:
        raise Conflict(
            "Motion {motion} on voucher {number} waits to be decided first.",
            motion=waiting.number, number=voucher.number,
        )  # fmt: skip
    year = local_date(now).year
    made = Motion(
        id=new_id(), number=f"FH{year}-{next_number(session, f'FH{year}'):06d}",
        voucher_id=voucher.id, verb=verb, facts=dict(facts), ground=ground.strip(),
        proposed_by=actor.member_id, state=move("motion", "propose", None),
    )  # fmt: skip
    log.append(session, made, "motion.proposed", actor.member_id, reason=ground)
    session.flush()
    return made


def confirm(session: Session, actor: Actor, now: datetime, motion: Motion, issuer: Issuer) -> None:
    """Confirm what another one has proposed, and do it."""
    voucher = _decide(session, actor, motion, "confirm")
    log.append(session, motion, "motion.confirmed", actor.member_id)
    facts, ground = motion.facts, motion.ground
    if motion.verb == "split":
        voucher_moves.split(session, actor, now, voucher, ground, issuer)
    elif motion.verb == "pledge":
        pledgee = party_by_uscc(session, facts["pledgee"])
        voucher_moves.pledge(session, actor, now, voucher, pledgee, ground, issuer.origin)
    else:
        holder = _new_holder(session, voucher)
        if facts.get("holder", holder.uscc) != holder.uscc:
            raise Conflict(
                "Registration {code} went to another since motion {motion} was proposed: reject it, "
                "and propose anew with the address of {name}.",
                code=session.get_one(Registration, voucher.registration_id).code,
                motion=motion.number, name=holder.name,
            )  # fmt: skip
        voucher_moves.transfer(
            session, actor, now, voucher, holder, facts["holder_address"], ground, issuer
        )


def reject(session: Session, actor: Actor, now: datetime, motion: Motion, reason: str) -> None:
    """Reject what another one has proposed; the reason must be stated."""
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    _decide(session, actor, motion, "reject")
    log.append(session, motion, "motion.rejected", actor.member_id, reason=reason)


def by_number(session: Session, number: str) -> Motion:
    """The motion with a number; raises Missing."""
    found = session.scalar(select(Motion).where(Motion.number == number))
    if found is None:
        raise Missing("There is no motion {number}.", number=number)
    return found


def owners(session: Session, motion: Motion) -> tuple[str]:
    """Whose the motion's voucher is."""
    return (session.get_one(Voucher, motion.voucher_id).party_id,)


def _decide(session: Session, actor: Actor, motion: Motion, verb: str) -> Voucher:
    voucher = session.get_one(Voucher, motion.voucher_id)
    may(actor, f"motion.{verb}", voucher.party_id, f"Voucher {voucher.number}")
    require_other(actor, [motion.proposed_by], f"motion {motion.number}")
    motion.state, motion.decided_by = move("motion", verb, motion.state), actor.member_id
    return voucher


def _new_holder(session: Session, voucher: Voucher) -> Party:
    """The subject of the voucher's registration: a voucher goes to nobody else."""
    registration = session.get_one(Registration, voucher.registration_id)
    if registration.party_id == voucher.party_id:
        raise Conflict(
            "Registration {code} is still the holder's: register its transfer first.",
            code=registration.code,
        )
    return session.get_one(Party, registration.party_id)
