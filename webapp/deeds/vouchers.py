"""The deeds on a voucher beyond its state: renewal, succession, pledge, lost key; motions of two people."""

from typing import Any

from sqlalchemy.orm import Session

from ledger import motions, voucher_moves
from ledger.calendar import local_date
from ledger.motions import Motion
from ledger.parties import Actor
from ledger.registration import Registration
from ledger.vouchers import Issuer, Voucher
from webapp.deeds import Desk, deed
from webapp.deeds.answers import lists, shows
from webapp.deeds.circulation import ADDRESS
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import text

ONE = "/vouchers/<voucher_number>"
MOTION = "/motions/<motion_number>"
PROPOSED = "Motion {number} on voucher {voucher} is proposed; another registrar decides."


class AddressBody(ReasonBody):
    """The holder's address on chain, and the ground."""

    holder_address = text("Holder's chain address", most=42, pattern=ADDRESS, example="address 0x…",
                          hint="the holder's own, told by him")  # fmt: skip


class PledgeBody(ReasonBody):
    """To whom a voucher is pledged."""

    pledgee = text("Pledgee", most=18, hint="its social credit code", source="parties")


def issuer(desk: Desk) -> Issuer:
    """Under which log and with which key this house signs credentials."""
    return Issuer(desk.origin, desk.credential_key)


def _told(found: Voucher) -> dict[str, Any]:
    return {
        "number": found.number, "pledged": found.pledged, "state": found.state,
        "until": local_date(found.valid_until).isoformat(),
    }  # fmt: skip


@deed("voucher.renew", f"{ONE}/renew", "Renew", "Voucher {number} is good until {until}.",
      body=ReasonBody, changes=True)  # fmt: skip
def renew(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str
) -> dict[str, Any]:
    """As long as its registration is."""
    until = session.get_one(Registration, found.registration_id).valid_until
    voucher_moves.renew(session, actor, desk.now, found, until, reason, issuer(desk))
    return _told(found)


@deed("voucher.supersede", f"{ONE}/supersede", "Supersede",
      "Voucher {successor} stands in the place of {number}.", body=ReasonBody, changes=True)  # fmt: skip
def supersede(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str
) -> dict[str, Any]:
    made = voucher_moves.supersede(session, actor, desk.now, found, reason, issuer(desk))
    return {**_told(found), "successor": made.number}


@deed("voucher.release", f"{ONE}/release", "Release the pledge",
      "Voucher {number} is no longer pledged.", body=ReasonBody, changes=True)  # fmt: skip
def release(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str
) -> dict[str, Any]:
    voucher_moves.release(session, actor, desk.now, found, reason, desk.origin)
    return _told(found)


@deed("voucher.replace_key", f"{ONE}/replace-key", "Replace a lost key",
      "Voucher {number} is held at another address of the same holder.", body=AddressBody,
      changes=True)  # fmt: skip
def replace_key(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str, holder_address: str
) -> dict[str, Any]:
    voucher_moves.replace_key(session, actor, desk.now, found, holder_address, reason, desk.origin)
    return _told(found)


def _propose(
    desk: Desk, session: Session, actor: Actor, found: Voucher, verb: str, reason: str, **facts: str
) -> dict[str, Any]:
    made = motions.propose(session, actor, desk.now, found, verb, reason, **facts)
    return {"number": made.number, "state": made.state, "voucher": found.number}


@deed("voucher.transfer", f"{ONE}/transfer", "Propose a transfer", PROPOSED, body=AddressBody,
      changes=True)  # fmt: skip
def transfer(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str, holder_address: str
) -> dict[str, Any]:
    """To whom the registration was transferred."""
    return _propose(desk, session, actor, found, "transfer", reason, holder_address=holder_address)


@deed("voucher.pledge", f"{ONE}/pledge", "Propose a pledge", PROPOSED, body=PledgeBody,
      changes=True)  # fmt: skip
def pledge(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str, pledgee: str
) -> dict[str, Any]:
    return _propose(desk, session, actor, found, "pledge", reason, pledgee=pledgee)


@deed("voucher.split", f"{ONE}/split", "Propose a split by right", PROPOSED, body=ReasonBody,
      changes=True)  # fmt: skip
def split(
    desk: Desk, session: Session, actor: Actor, found: Voucher, reason: str
) -> dict[str, Any]:
    return _propose(desk, session, actor, found, "split", reason)


@deed("motion.confirm", f"{MOTION}/confirm", "Confirm", "Motion {number} is confirmed and done.",
      changes=True)  # fmt: skip
def confirm(desk: Desk, session: Session, actor: Actor, found: Motion) -> dict[str, Any]:
    motions.confirm(session, actor, desk.now, found, issuer(desk))
    return {"number": found.number, "state": found.state}


@deed("motion.reject", f"{MOTION}/reject", "Reject", "Motion {number} is rejected.", body=ReasonBody,
      changes=True)  # fmt: skip
def reject(
    desk: Desk, session: Session, actor: Actor, found: Motion, reason: str
) -> dict[str, Any]:
    motions.reject(session, actor, desk.now, found, reason)
    return {"number": found.number, "state": found.state}


list_motions = lists("motion", "/motions", "Motions on vouchers", "number verb ground state",
                     (Motion.number, Motion.ground))  # fmt: skip
show_motion = shows("motion", MOTION, "Motion on a voucher")
