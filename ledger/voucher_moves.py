"""What becomes of a registration voucher as its registration moves, or its holder does.

    renew       the same number, good until later       transfer    the same number, another holder
    supersede   a new voucher in its place              split       one voucher for each right in its place
    pledge, release                                     replace_key another address of the same holder

Each is one record of the voucher and one step on chain.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from ledger import log, pledges, uses, voucher_documents
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid
from ledger.parties import Actor, Party, may, require_active
from ledger.proof.encoding import instant
from ledger.registration import RIGHTS, Registration
from ledger.states import move
from ledger.store import lock, next_number
from ledger.voucher_rows import Issuer, Voucher, put_on_chain, step_on_chain
from ledger.vouchers import (
    STATUS_SUBJECT,
    by_number,
    change,
    digest_of,
    digest_on_chain,
    disclose,
    draw_up,
    holder_facts,
    in_force,
    issue_on_chain,
    require_free,
    require_ground,
    require_registered,
)

FOLLOWS = ("cancelled", "revoked", "renewed", "changed", "transferred")


def _begin(
    session: Session, actor: Actor, voucher: Voucher, verb: str, reason: str, *, pledged: bool
) -> Registration:
    """What every verb on a registration voucher asks first; moves its state."""
    may(actor, f"voucher.{verb}", voucher.party_id, f"Voucher {voucher.number}")
    require_ground(reason)
    if voucher.kind != "registration":
        raise Conflict(
            "Voucher {number} rests on a person's consent: a new one needs a new consent.",
            number=voucher.number,
        )
    require_free(voucher, pledged=pledged)
    voucher.freeze_ground = None  # of a freeze that is over: it stays with its own records
    voucher.state = move("voucher", verb, voucher.state)
    return session.get_one(Registration, voucher.registration_id)


def renew(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    valid_until: datetime,
    reason: str,
    issuer: Issuer,
) -> None:
    """Prolong a voucher as its registration was prolonged: new credential, same number."""
    registration = _begin(session, actor, voucher, "renew", reason, pledged=False)
    require_registered(registration, now)
    if not voucher.valid_until < valid_until <= registration.valid_until:
        raise Conflict(
            "Voucher {number} is good until {until}, its registration until {end}: it can be renewed "
            "to a day between.",
            number=voucher.number, until=instant(voucher.valid_until),
            end=instant(registration.valid_until),
        )  # fmt: skip
    voucher.credential = voucher_documents.prolong(issuer, now, voucher.credential, valid_until)
    voucher.digest, voucher.valid_until = digest_of(voucher.credential), valid_until
    log.append(session, voucher, "voucher.renew", actor.member_id, reason=reason)
    step_on_chain(session, now, voucher, issuer.origin, "renew", int(valid_until.timestamp()),
                  digest_on_chain(voucher))  # fmt: skip


def transfer(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    holder: Party,
    holder_address: str,
    reason: str,
    issuer: Issuer,
) -> None:
    """Give a voucher to another holder: new credential, same number.

    The credential before has another place in the status list, where it reads *superseded* from now on.
    """
    registration = _begin(session, actor, voucher, "transfer", reason, pledged=True)
    require_registered(registration, now)
    may(actor, "voucher.transfer", holder.id, holder.name)
    require_active(holder)
    keys.check_address(holder_address)
    if holder.id == voucher.party_id or holder_address.lower() == voucher.holder_address.lower():
        raise Conflict("Voucher {number} is with this holder already.", number=voucher.number)
    index = next_number(session, STATUS_SUBJECT) - 1
    signed, disclosures = voucher_documents.make(
        issuer, now, registration, kind=voucher.kind, number=voucher.number, index=index,
        holder_address=holder_address, rights=voucher.rights, withheld=holder_facts(holder),
        valid_from=now.replace(microsecond=0), valid_until=voucher.valid_until,
    )  # fmt: skip
    voucher.former_indexes = [*(voucher.former_indexes or []), voucher.status_index]
    voucher.status_index, voucher.valid_from = index, now.replace(microsecond=0)
    voucher.party_id, voucher.holder_address = holder.id, holder_address
    voucher.credential, voucher.digest = signed, digest_of(signed)
    log.append(session, voucher, "voucher.transfer", actor.member_id, reason=reason)
    disclose(session, voucher, disclosures)
    step_on_chain(session, now, voucher, issuer.origin, "transfer", holder_address,
                  digest_on_chain(voucher))  # fmt: skip


def supersede(
    session: Session, actor: Actor, now: datetime, voucher: Voucher, reason: str, issuer: Issuer
) -> Voucher:
    """Put a new voucher of the registration's present facts in the place of an old one."""
    registration = _begin(session, actor, voucher, "supersede", reason, pledged=True)
    rights = list(registration.rights)
    if _is_part(session, voucher):
        rights = [right for right in voucher.rights if right in rights]
    if not rights:
        raise Conflict(
            "Registration {code} has none of the rights of voucher {number} left: cancel it.",
            code=registration.code, number=voucher.number,
        )  # fmt: skip
    made = _draw_up_successors(session, actor, now, voucher, registration, [rights], issuer)
    log.append(session, voucher, "voucher.supersede", actor.member_id, reason=reason)
    _supersede_on_chain(session, now, voucher, made, issuer.origin)
    return made[0]


def split(
    session: Session, actor: Actor, now: datetime, voucher: Voucher, reason: str, issuer: Issuer
) -> list[Voucher]:
    """Put one voucher for each right in the place of one that has several (按权利拆分)."""
    registration = _begin(session, actor, voucher, "split", reason, pledged=True)
    if len(voucher.rights) < 2:
        raise Conflict(
            "Voucher {number} has one right: there is nothing to split.", number=voucher.number
        )
    groups = [[right] for right in RIGHTS if right in voucher.rights]
    made = _draw_up_successors(session, actor, now, voucher, registration, groups, issuer)
    log.append(session, voucher, "voucher.split", actor.member_id, reason=reason)
    _supersede_on_chain(session, now, voucher, made, issuer.origin)
    return made


def _draw_up_successors(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    registration: Registration,
    groups: Sequence[Sequence[str]],
    issuer: Issuer,
) -> list[Voucher]:
    """A voucher for each group of rights, to stand in an old one's place."""
    require_registered(registration, now)
    holder = session.get_one(Party, voucher.party_id)
    made = [
        draw_up(
            session, actor.member_id, now, issuer, registration, kind=voucher.kind, holder=holder,
            holder_address=voucher.holder_address, rights=rights, valid_from=now,
            valid_until=registration.valid_until, predecessor=voucher.number,
        )
        for rights in groups
    ]  # fmt: skip
    voucher.successors = [one.number for one in made]
    return made


def _supersede_on_chain(
    session: Session, now: datetime, voucher: Voucher, made: Sequence[Voucher], origin: str
) -> None:
    """On chain the successors are issued in the transaction that supersedes the old voucher.

    So their own acts send nothing; they wait for their events.
    """
    structs = [issue_on_chain(one, origin, outbox.reason_of(one.id, one.version)) for one in made]
    step_on_chain(session, now, voucher, origin, "supersede", structs)
    for one in made:
        put_on_chain(session, now, one, origin, outbox.AWAITED, [])


def _is_part(session: Session, voucher: Voucher) -> bool:
    """Whether a voucher, or one it stands in place of, came of a split."""
    while voucher.predecessor is not None:
        voucher = by_number(session, voucher.predecessor)
        if len(voucher.successors or []) > 1:
            return True
    return False


# -- pledge, lost key ------------------------------------------------------------------------------


def require_pledgeable(session: Session, voucher: Voucher) -> None:
    """Raise Conflict for what a public body holds or provides."""
    registration = session.get_one(Registration, voucher.registration_id)
    public = pledges.barred_by(session, voucher, registration)
    if public:
        raise Conflict(
            "Voucher {number} cannot be pledged: {names} may not pledge or guarantee with data assets.",
            number=voucher.number, names=", ".join(public),
        )  # fmt: skip


def pledge(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    pledgee: Party,
    reason: str,
    origin: str,
) -> None:
    """Note that a voucher is pledged (质押); never of what a public body holds or provides."""
    registration = _begin(session, actor, voucher, "pledge", reason, pledged=True)
    require_registered(registration, now)
    may(actor, "voucher.pledge", pledgee.id, pledgee.name)
    require_active(pledgee)
    if pledgee.id == voucher.party_id:
        raise Invalid("The pledgee must be another organisation than the holder.")
    require_pledgeable(session, voucher)
    voucher.pledged, voucher.pledgee_id = True, pledgee.id
    log.append(session, voucher, "voucher.pledge", actor.member_id, reason=reason)
    step_on_chain(session, now, voucher, origin, "pledge")


def release(
    session: Session, actor: Actor, now: datetime, voucher: Voucher, reason: str, origin: str
) -> None:
    """Note that a pledge has ended (解除质押)."""
    _begin(session, actor, voucher, "release", reason, pledged=False)
    if not voucher.pledged:
        raise Conflict("Voucher {number} is not pledged.", number=voucher.number)
    voucher.pledged, voucher.pledgee_id = False, None
    log.append(session, voucher, "voucher.release", actor.member_id, reason=reason)
    step_on_chain(session, now, voucher, origin, "release")


def replace_key(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    holder_address: str,
    reason: str,
    origin: str,
) -> None:
    """Put a new address in place of the one whose key the holder lost (密钥遗失); its credential stays."""
    may(actor, "voucher.replace_key", voucher.party_id, f"Voucher {voucher.number}")
    require_ground(reason)
    require_free(voucher)
    keys.check_address(holder_address)
    if holder_address.lower() == voucher.holder_address.lower():
        raise Conflict("Voucher {number} is with this holder already.", number=voucher.number)
    uses.post_one(session, now, voucher, origin, actor.member_id)
    voucher.state = move("voucher", "replace_key", voucher.state)
    voucher.holder_address = holder_address
    log.append(session, voucher, "voucher.replace_key", actor.member_id, reason=reason)
    step_on_chain(session, now, voucher, origin, "replaceHolderKey", holder_address)


# -- with its registration ---------------------------------------------------------------------------


def follow(
    session: Session,
    actor: Actor,
    now: datetime,
    registration: Registration,
    what: str,
    issuer: Issuer,
    *,
    reason: str,
    holder: Party | None = None,
    holder_address: str = "",
) -> list[Voucher]:
    """Let a registration's vouchers follow what became of it, in the deed that changed it; returns them.

    `what`: cancelled, revoked, renewed, changed, or transferred (to `holder`, at `holder_address`). With a
    registration that ended, the uses authorised under it end too. What the contract does not allow of
    a voucher (one suspended, frozen or pledged) is a Conflict, and the registration stays as it was.
    """
    if what not in FOLLOWS:
        raise Invalid("A registration was {choices}.", choices=", ".join(FOLLOWS))
    lock(session, registration)
    found = in_force(session, registration)
    if what in ("cancelled", "revoked"):
        found += in_force(session, registration, "authorised_use")
        verb = {"cancelled": "cancel", "revoked": "revoke"}[what]
        for voucher in found:
            change(session, actor, now, voucher, verb, reason, issuer.origin)
        return found
    for voucher in found:
        if what == "renewed":
            renew(session, actor, now, voucher, registration.valid_until, reason, issuer)
        elif what == "changed":
            supersede(session, actor, now, voucher, reason, issuer)
        elif holder is None:
            raise Invalid("Name the new holder and his address.")
        else:
            transfer(session, actor, now, voucher, holder, holder_address, reason, issuer)
    return found
