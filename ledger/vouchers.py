"""Data asset vouchers (数据资产凭证): issue, change of state, what stands in another's place, status list.

A voucher is a W3C Verifiable Credential signed by the registry; its digest, holder and state stand in
the contract `VoucherRegistry`. Fields that may be withheld (the holder's name and code) stand in the
credential as salted digests; the disclosures are kept apart and travel only when wanted.

    suspend, resume, revoke, cancel, freeze, unfreeze   `change`
    renew       the same number, good until later       transfer    the same number, another holder
    supersede   a new voucher in its place              split       one voucher for each right in its place
    pledge, release                                     replace_key another address of the same holder

Each is one record of the voucher and one step on chain. Lapse is neither: it follows from the clock.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session

from ledger import log, pledges, uses, voucher_documents
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active
from ledger.proof import credential as credentials
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import instant
from ledger.registration import RIGHTS, Registration, check_code, coded
from ledger.states import move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.voucher_documents import STATUS_OF, status_list_id
from ledger.voucher_rows import (
    IN_FORCE,
    KINDS,
    Disclosure,
    Issuer,
    Voucher,
    put_on_chain,
    rights_mask,
    step_on_chain,
)

__all__ = ["Disclosure", "Issuer", "Voucher"]  # known to all by this module

VERBS = ("suspend", "resume", "revoke", "cancel", "freeze", "unfreeze")
FREEZING = ("freeze", "unfreeze")
STATUS_SUBJECT = "status-list"
FOLLOWS = ("cancelled", "revoked", "renewed", "changed", "transferred")


class StatusList(Evidence):
    """The registry's signed status list; one row, a new version at each publication."""

    __tablename__ = "status_lists"
    subject_type = "status_list"
    list_credential: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    next_at: Mapped[datetime]


# -- issue -----------------------------------------------------------------------------------------


def issue(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    registration: Registration,
    holder: Party,
    holder_address: str,
    origin: str,
    key: Ed25519PrivateKey,
) -> Voucher:
    """Issue the registration voucher of a registration, once, to its subject.

    The voucher is recorded now and effective when the worker has carried it to the chain.
    """
    may(actor, "voucher.issue", registration.party_id, f"Registration {registration.code}")
    lock(session, registration)
    found = next(iter(in_force(session, registration)), None)
    if found is not None:
        if found.holder_address != holder_address:
            raise Conflict(
                "Registration {code} already has voucher {number} for another address.",
                code=registration.code, number=found.number,
            )  # fmt: skip
        return found
    require_active(holder)
    _require_registered(registration, now)
    frozen = select(Voucher.number).where(
        Voucher.registration_id == registration.id, Voucher.frozen.is_(True)
    )
    barring = session.scalar(frozen.limit(1))
    if barring is not None:
        raise Conflict("Voucher {number} is frozen by the regulator.", number=barring)
    if holder.id != registration.party_id:
        raise Invalid("The holder must be the subject of the registration.")
    keys.check_address(holder_address)
    issuer = Issuer(origin, key)
    made = _draw_up(
        session, actor.member_id, now, issuer, registration, kind="registration", holder=holder,
        holder_address=holder_address, rights=registration.rights,
        valid_from=now, valid_until=registration.valid_until,
    )  # fmt: skip
    put_on_chain(session, now, made, origin, "issue", [_issue_on_chain(made, origin)])
    return made


def issue_authorised(
    session: Session,
    actor_id: str,
    now: datetime,
    issuer: Issuer,
    *,
    registration: Registration,
    subject: Party,
    provider: Party,
    user: Party,
    user_address: str,
    scene: str,
    max_uses: int,
    valid_from: datetime,
    valid_until: datetime,
) -> Voucher:
    """The voucher of an authorised use; that the subject has consented, `authorisations` sees to."""
    for party in (subject, provider, user):
        require_active(party)
    _require_registered(registration, now)
    keys.check_address(user_address)
    made = _draw_up(
        session, actor_id, now, issuer, registration, kind="authorised_use", holder=user,
        holder_address=user_address, rights=["use"], valid_from=valid_from, valid_until=valid_until,
        withheld={
            "provider_name": provider.name, "provider_uscc": provider.uscc,
            "subject_name": subject.name, "subject_uscc": subject.uscc,
        },
        provider_id=provider.id, scene=scene, max_uses=max_uses, used=0,
    )  # fmt: skip
    put_on_chain(session, now, made, issuer.origin, "issue", [_issue_on_chain(made, issuer.origin)])
    return made


def _draw_up(
    session: Session,
    actor_id: str,
    now: datetime,
    issuer: Issuer,
    registration: Registration,
    *,
    kind: str,
    holder: Party,
    holder_address: str,
    rights: Sequence[str],
    valid_from: datetime,
    valid_until: datetime,
    withheld: Mapping[str, str] | None = None,
    **more: Any,
) -> Voucher:
    """A new voucher, recorded; its act on chain is the caller's to note."""
    prefix = f"PZ{local_date(now):%Y%m}"
    number = coded(prefix, next_number(session, prefix))
    index = next_number(session, STATUS_SUBJECT) - 1
    valid_from = valid_from.replace(microsecond=0)
    signed, disclosures = voucher_documents.make(
        issuer, now, registration, kind=kind, number=number, index=index,
        holder_address=holder_address, rights=rights,
        withheld={**_holder(holder), **(withheld or {})},
        valid_from=valid_from, valid_until=valid_until,
        more={name: more[name] for name in ("scene", "max_uses") if name in more},
    )  # fmt: skip
    made = Voucher(
        id=new_id(), number=number, kind=kind, registration_id=registration.id,
        party_id=holder.id, holder_address=holder_address, rights=list(rights),
        valid_from=valid_from, valid_until=valid_until, status_index=index, credential=signed,
        digest=_digest(signed), issued_by=actor_id, state=move("voucher", "issue", None),
        frozen=False, pledged=False, **more,
    )  # fmt: skip
    log.append(session, made, "voucher.issued", actor_id)
    session.flush()
    _disclose(session, made, disclosures)
    return made


def _holder(party: Party) -> dict[str, str]:
    return {"holder_name": party.name, "holder_uscc": party.uscc}


def _digest(signed: Mapping[str, Any]) -> str:
    return "sha256:" + credentials.credential_digest(dict(signed)).hex()


def _disclose(
    session: Session, voucher: Voucher, disclosures: Mapping[str, Mapping[str, str]]
) -> None:
    """Keep what a voucher withholds; a field that a new credential withholds anew replaces the old one."""
    for name, disclosure in disclosures.items():
        session.merge(Disclosure(voucher_id=voucher.id, name=name, **disclosure))


def _issue_on_chain(voucher: Voucher, origin: str, reason: str = outbox.REASON) -> dict[str, Any]:
    return {
        "id": "0x" + voucher_key(origin, voucher.number).hex(),
        "holder": voucher.holder_address,
        "validUntil": int(voucher.valid_until.timestamp()),
        "kind": KINDS[voucher.kind],
        "rights": rights_mask(voucher.rights),
        "maxUses": voucher.max_uses or 0,
        "digest": _on_chain(voucher),
        "reason": reason,
    }


def _on_chain(voucher: Voucher) -> str:
    """The digest of its credential as an argument of an act."""
    return "0x" + voucher.digest.removeprefix("sha256:")


def _require_registered(registration: Registration, now: datetime) -> None:
    if registration.state != "registered" or now > registration.valid_until:
        raise Conflict(
            "Registration {code} is {state} and valid until {until}: no voucher can be issued.",
            code=registration.code, state=registration.state, until=instant(registration.valid_until),
        )  # fmt: skip


# -- its state -------------------------------------------------------------------------------------


def change(
    session: Session,
    actor: Actor,
    now: datetime,
    voucher: Voucher,
    verb: str,
    reason: str,
    origin: str,
    basis: str = "",
) -> None:
    """Suspend, resume, revoke, cancel, freeze or unfreeze a voucher; the ground must be stated.

    Who freezes or unfreezes names the law or decision it rests on too (`basis`); both stay with it.
    """
    if verb not in VERBS:
        raise Invalid("A voucher can be made to {verbs}.", verbs=", ".join(VERBS))
    may(actor, f"voucher.{verb}", voucher.party_id, f"Voucher {voucher.number}")
    set_state(session, actor.member_id, now, voucher, verb, reason, origin, basis)


def set_state(
    session: Session,
    actor_id: str,
    now: datetime,
    voucher: Voucher,
    verb: str,
    reason: str,
    origin: str,
    basis: str = "",
) -> None:
    """`change`, by whoever may for another reason: a subject that withdraws its consent."""
    _reasoned(reason)
    _bar(voucher, frozen=verb not in ("unfreeze", "suspend", "revoke"), pledged=verb == "cancel")
    if verb in FREEZING and not basis.strip():
        raise Invalid("Name the law or the decision that it rests on.")
    if voucher.frozen != (verb == "unfreeze") and verb in FREEZING:
        raise Conflict("Voucher {number} is not frozen.", number=voucher.number)
    uses.post_one(session, now, voucher, origin, actor_id)  # the contract counts none afterwards
    voucher.state = move("voucher", verb, voucher.state)
    if verb in FREEZING:
        voucher.frozen = verb == "freeze"
        voucher.freeze_ground = {
            "at": instant(now), "basis": basis.strip(), "by": actor_id, "reason": reason.strip(),
            "verb": verb,
        }  # fmt: skip
    log.append(session, voucher, f"voucher.{verb}", actor_id, reason=reason)
    step_on_chain(session, now, voucher, origin, verb)


def _reasoned(reason: str) -> None:
    if not reason.strip():
        raise Invalid("State the ground of the decision.")


def _bar(voucher: Voucher, *, frozen: bool = True, pledged: bool = False) -> None:
    """Refuse what the contract bars while a voucher is frozen, or pledged."""
    if frozen and voucher.frozen:
        raise Conflict("Voucher {number} is frozen by the regulator.", number=voucher.number)
    if pledged and voucher.pledged:
        raise Conflict("Voucher {number} is pledged.", number=voucher.number)


def _begin(
    session: Session, actor: Actor, voucher: Voucher, verb: str, reason: str, *, pledged: bool
) -> Registration:
    """What every verb on a registration voucher asks first; moves its state."""
    may(actor, f"voucher.{verb}", voucher.party_id, f"Voucher {voucher.number}")
    _reasoned(reason)
    if voucher.kind != "registration":
        raise Conflict(
            "Voucher {number} rests on a person's consent: a new one needs a new consent.",
            number=voucher.number,
        )
    _bar(voucher, pledged=pledged)
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
    _require_registered(registration, now)
    if not voucher.valid_until < valid_until <= registration.valid_until:
        raise Conflict(
            "Voucher {number} is good until {until}, its registration until {end}: it can be renewed "
            "to a day between.",
            number=voucher.number, until=instant(voucher.valid_until),
            end=instant(registration.valid_until),
        )  # fmt: skip
    voucher.credential = voucher_documents.prolong(issuer, now, voucher.credential, valid_until)
    voucher.digest, voucher.valid_until = _digest(voucher.credential), valid_until
    log.append(session, voucher, "voucher.renew", actor.member_id, reason=reason)
    step_on_chain(session, now, voucher, issuer.origin, "renew", int(valid_until.timestamp()),
                  _on_chain(voucher))  # fmt: skip


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
    _require_registered(registration, now)
    may(actor, "voucher.transfer", holder.id, holder.name)
    require_active(holder)
    keys.check_address(holder_address)
    if holder.id == voucher.party_id or holder_address.lower() == voucher.holder_address.lower():
        raise Conflict("Voucher {number} is with this holder already.", number=voucher.number)
    index = next_number(session, STATUS_SUBJECT) - 1
    signed, disclosures = voucher_documents.make(
        issuer, now, registration, kind=voucher.kind, number=voucher.number, index=index,
        holder_address=holder_address, rights=voucher.rights, withheld=_holder(holder),
        valid_from=now.replace(microsecond=0), valid_until=voucher.valid_until,
    )  # fmt: skip
    voucher.former_indexes = [*(voucher.former_indexes or []), voucher.status_index]
    voucher.status_index, voucher.valid_from = index, now.replace(microsecond=0)
    voucher.party_id, voucher.holder_address = holder.id, holder_address
    voucher.credential, voucher.digest = signed, _digest(signed)
    log.append(session, voucher, "voucher.transfer", actor.member_id, reason=reason)
    _disclose(session, voucher, disclosures)
    step_on_chain(session, now, voucher, issuer.origin, "transfer", holder_address,
                  _on_chain(voucher))  # fmt: skip


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
    _require_registered(registration, now)
    holder = session.get_one(Party, voucher.party_id)
    made = [
        _draw_up(
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
    structs = [_issue_on_chain(one, origin, outbox.reason_of(one.id, one.version)) for one in made]
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
    _require_registered(registration, now)
    may(actor, "voucher.pledge", pledgee.id, pledgee.name)
    require_active(pledgee)
    if pledgee.id == voucher.party_id:
        raise Invalid("The pledgee must be another organisation than the holder.")
    public = pledges.barred_by(session, voucher, registration)
    if public:
        raise Conflict(
            "Voucher {number} cannot be pledged: {names} may not pledge or guarantee with data assets.",
            number=voucher.number, names=", ".join(public),
        )  # fmt: skip
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
    _reasoned(reason)
    _bar(voucher)
    keys.check_address(holder_address)
    if holder_address.lower() == voucher.holder_address.lower():
        raise Conflict("Voucher {number} is with this holder already.", number=voucher.number)
    uses.post_one(session, now, voucher, origin, actor.member_id)
    voucher.state = move("voucher", "replace_key", voucher.state)
    voucher.holder_address = holder_address
    log.append(session, voucher, "voucher.replace_key", actor.member_id, reason=reason)
    step_on_chain(session, now, voucher, origin, "replaceHolderKey", holder_address)


# -- with its registration ---------------------------------------------------------------------------


def in_force(
    session: Session, registration: Registration, kind: str = "registration"
) -> list[Voucher]:
    """The vouchers of a registration that have not ended, the eldest first."""
    found = select(Voucher).where(
        Voucher.registration_id == registration.id,
        Voucher.kind == kind,
        Voucher.state.in_(IN_FORCE),
    )
    return list(session.scalars(found.order_by(Voucher.id)))


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


# -- status list -------------------------------------------------------------------------------------


def publish_status(
    session: Session,
    now: datetime,
    next_at: datetime,
    *,
    origin: str,
    key: Ed25519PrivateKey,
    actor_id: str,
) -> StatusList:
    """Publish the signed status list as of `now`, good until `next_at`; itself a record."""
    statuses = {}
    for voucher in session.scalars(select(Voucher)):
        word = voucher.state
        if word == "valid" and now > voucher.valid_until:
            word = "lapsed"
        statuses[voucher.status_index] = STATUS_OF[word] | (
            credentials.FROZEN_BIT if voucher.frozen else 0
        )
        for former in voucher.former_indexes or []:
            statuses[int(former)] = STATUS_OF["superseded"]
    document = {
        "@context": [credentials.CONTEXT],
        "credentialSubject": {
            "encodedList": credentials.encode_status_list(statuses, max(statuses, default=-1) + 1),
            "id": status_list_id(origin) + "#list",
            "statusPurpose": "message",
            "type": "BitstringStatusList",
        },
        "id": status_list_id(origin),
        "issuer": credentials.did_key(key.public_key().public_bytes_raw()),
        "type": ["VerifiableCredential", "BitstringStatusListCredential"],
        "validFrom": instant(now),
        "validUntil": instant(next_at),
    }
    published = session.scalar(select(StatusList)) or StatusList(id=new_id())
    published.list_credential = credentials.sign(document, key, now)
    published.published_at, published.next_at = now.replace(microsecond=0), next_at
    log.append(session, published, "status.published", actor_id)
    session.flush()
    return published


def current_status(session: Session) -> StatusList | None:
    """The status list last published."""
    return session.scalar(select(StatusList))


def by_number(session: Session, number: str) -> Voucher:
    """The voucher with a number; a mistyped one raises Invalid, an unknown one Missing."""
    found = session.scalar(select(Voucher).where(Voucher.number == check_code(number)))
    if found is None:
        raise Missing("There is no voucher {number}.", number=number)
    return found


def disclosures_of(session: Session, voucher: Voucher) -> dict[str, Mapping[str, str]]:
    """The withheld fields of a voucher in clear, with their salts."""
    found = session.scalars(select(Disclosure).where(Disclosure.voucher_id == voucher.id))
    return {row.name: {"salt": row.salt, "value": row.value} for row in found}
