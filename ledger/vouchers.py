"""Data asset vouchers (数据资产凭证): issue, change of state, status list.

A voucher is a W3C Verifiable Credential signed by the registry; its digest, holder and state stand in
the contract `VoucherRegistry`. Fields that may be withheld (the holder's name and code) stand in the
credential as salted digests; the disclosures are kept apart and travel only when wanted.

Issue, and each of suspend, resume, revoke, cancel, freeze and unfreeze, is one record of the voucher and
one step on chain. Lapse is neither: it follows from the clock. Renewal, transfer, split, pledge and the
like are in `ledger.voucher_moves`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session

from ledger import log, uses, voucher_documents
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active
from ledger.proof import credential as credentials
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import instant
from ledger.registration import Registration, check_code, coded
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
    require_registered(registration, now)
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
    made = draw_up(
        session, actor.member_id, now, issuer, registration, kind="registration", holder=holder,
        holder_address=holder_address, rights=registration.rights,
        valid_from=now, valid_until=registration.valid_until,
    )  # fmt: skip
    put_on_chain(session, now, made, origin, "issue", [issue_on_chain(made, origin)])
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
    require_registered(registration, now)
    keys.check_address(user_address)
    made = draw_up(
        session, actor_id, now, issuer, registration, kind="authorised_use", holder=user,
        holder_address=user_address, rights=["use"], valid_from=valid_from, valid_until=valid_until,
        withheld={
            "provider_name": provider.name, "provider_uscc": provider.uscc,
            "subject_name": subject.name, "subject_uscc": subject.uscc,
        },
        provider_id=provider.id, scene=scene, max_uses=max_uses, used=0,
    )  # fmt: skip
    put_on_chain(session, now, made, issuer.origin, "issue", [issue_on_chain(made, issuer.origin)])
    return made


def draw_up(
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
        withheld={**holder_facts(holder), **(withheld or {})},
        valid_from=valid_from, valid_until=valid_until,
        more={name: more[name] for name in ("scene", "max_uses") if name in more},
    )  # fmt: skip
    made = Voucher(
        id=new_id(), number=number, kind=kind, registration_id=registration.id,
        party_id=holder.id, holder_address=holder_address, rights=list(rights),
        valid_from=valid_from, valid_until=valid_until, status_index=index, credential=signed,
        digest=digest_of(signed), issued_by=actor_id, state=move("voucher", "issue", None),
        frozen=False, pledged=False, **more,
    )  # fmt: skip
    log.append(session, made, "voucher.issued", actor_id)
    session.flush()
    disclose(session, made, disclosures)
    return made


def holder_facts(party: Party) -> dict[str, str]:
    """What a credential withholds of its holder."""
    return {"holder_name": party.name, "holder_uscc": party.uscc}


def digest_of(signed: Mapping[str, Any]) -> str:
    """The digest of a signed credential, as its record holds it."""
    return "sha256:" + credentials.credential_digest(dict(signed)).hex()


def disclose(
    session: Session, voucher: Voucher, disclosures: Mapping[str, Mapping[str, str]]
) -> None:
    """Keep what a voucher withholds; a field that a new credential withholds anew replaces the old one."""
    for name, disclosure in disclosures.items():
        session.merge(Disclosure(voucher_id=voucher.id, name=name, **disclosure))


def issue_on_chain(voucher: Voucher, origin: str, reason: str = outbox.REASON) -> dict[str, Any]:
    """A voucher as the contract wants it told when it is issued."""
    return {
        "id": "0x" + voucher_key(origin, voucher.number).hex(),
        "holder": voucher.holder_address,
        "validUntil": int(voucher.valid_until.timestamp()),
        "kind": KINDS[voucher.kind],
        "rights": rights_mask(voucher.rights),
        "maxUses": voucher.max_uses or 0,
        "digest": digest_on_chain(voucher),
        "reason": reason,
    }


def digest_on_chain(voucher: Voucher) -> str:
    """The digest of its credential as an argument of an act."""
    return "0x" + voucher.digest.removeprefix("sha256:")


def require_registered(registration: Registration, now: datetime) -> None:
    """Refuse to issue anything under a registration that has ended."""
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
    require_ground(reason)
    require_free(
        voucher, frozen=verb not in ("unfreeze", "suspend", "revoke"), pledged=verb == "cancel"
    )
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


def require_ground(reason: str) -> None:
    """Refuse a decision without a ground."""
    if not reason.strip():
        raise Invalid("State the ground of the decision.")


def require_free(voucher: Voucher, *, frozen: bool = True, pledged: bool = False) -> None:
    """Refuse what the contract bars while a voucher is frozen, or pledged."""
    if frozen and voucher.frozen:
        raise Conflict("Voucher {number} is frozen by the regulator.", number=voucher.number)
    if pledged and voucher.pledged:
        raise Conflict("Voucher {number} is pledged.", number=voucher.number)


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
