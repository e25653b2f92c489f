"""Data asset vouchers (数据资产凭证): issue, change of state, status list.

A voucher is a W3C Verifiable Credential signed by the registry; its digest, holder and state stand in
the contract `VoucherRegistry`. Fields that may be withheld (the holder's name and code) stand in the
credential as salted digests; the disclosures are kept apart and travel only when wanted.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger import log
from ledger.calendar import local_date
from ledger.chain import keys, outbox
from ledger.errors import Conflict, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active
from ledger.proof import credential as credentials
from ledger.proof.bundle import voucher_key
from ledger.proof.encoding import instant
from ledger.registration import RIGHTS, Registration, check_code, coded
from ledger.states import MOVES, move
from ledger.store import Base, Evidence, lock, new_id, next_number

KINDS = {"registration": 1, "authorised_use": 2}  # 登记凭证, 授权使用凭证; the numbers on chain
VERBS = ("suspend", "resume", "revoke", "cancel", "freeze", "unfreeze")
FREEZING = ("freeze", "unfreeze")
STATUS_OF = {word: number for number, word in enumerate(credentials.STATUS_WORDS)}
STATUS_SUBJECT = "status-list"


class Voucher(Evidence):
    """A voucher as it stands."""

    __tablename__ = "vouchers"
    subject_type = "voucher"
    number: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    registration_id: Mapped[str] = mapped_column(String(36), ForeignKey("registrations.id"))
    party_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    holder_address: Mapped[str]
    rights: Mapped[list[Any]]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    status_index: Mapped[int] = mapped_column(unique=True)
    credential: Mapped[dict[str, Any]]
    digest: Mapped[str]
    issued_by: Mapped[str]
    state: Mapped[str]
    frozen: Mapped[bool]
    pledged: Mapped[bool]
    freeze_ground: Mapped[dict[str, Any] | None]
    """why it was last frozen or unfrozen: {"at", "basis", "by", "reason", "verb"}"""


class Disclosure(Base):
    """A withheld field in clear, with its salt (operational: handed out only when wanted)."""

    __tablename__ = "disclosures"
    voucher_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    salt: Mapped[str]
    value: Mapped[str]


class StatusList(Evidence):
    """The registry's signed status list; one row, a new version at each publication."""

    __tablename__ = "status_lists"
    subject_type = "status_list"
    list_credential: Mapped[dict[str, Any]]
    published_at: Mapped[datetime]
    next_at: Mapped[datetime]


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
    found = session.scalar(
        select(Voucher).where(
            Voucher.registration_id == registration.id, Voucher.state.in_(("valid", "suspended"))
        )
    )
    if found is not None:
        if found.holder_address != holder_address:
            raise Conflict(
                "Registration {code} already has voucher {number} for another address.",
                code=registration.code, number=found.number,
            )  # fmt: skip
        return found
    require_active(holder)
    if registration.state != "registered" or now > registration.valid_until:
        raise Conflict(
            "Registration {code} is {state} and valid until {until}: no voucher can be issued.",
            code=registration.code, state=registration.state, until=instant(registration.valid_until),
        )  # fmt: skip
    if holder.id != registration.party_id:
        raise Invalid("The holder must be the subject of the registration.")
    keys.check_address(holder_address)
    prefix = f"PZ{local_date(now):%Y%m}"
    number = coded(prefix, next_number(session, prefix))
    index = next_number(session, STATUS_SUBJECT) - 1
    withheld = {"holder_name": holder.name, "holder_uscc": holder.uscc}
    salts = {name: secrets.token_bytes(16) for name in withheld}
    disclosures = credentials.withhold(withheld, salts)
    valid_from = now.replace(microsecond=0)
    document = {
        "@context": [credentials.CONTEXT],
        "credentialStatus": {
            "statusListCredential": status_list_id(origin),
            "statusListIndex": str(index),
            "statusMessage": [
                {"message": word, "status": hex(value)} for word, value in STATUS_OF.items()
            ],
            "statusPurpose": "message",
            "statusSize": credentials.STATUS_SIZE,
            "type": "BitstringStatusListEntry",
        },
        "credentialSubject": {
            "id": f"urn:shuzheng:{origin}:holder:{holder_address}",
            "kind": "registration",
            "log": origin,
            "nonce": secrets.token_hex(16),
            "number": number,
            "object": registration.object,
            "registration_code": registration.code,
            "rights": list(registration.rights),
            "summary": registration.summary,
            "title": registration.title,
            "withheld": {
                name: credentials.disclosure_digest(name, disclosures[name]) for name in withheld
            },
        },
        "id": f"urn:shuzheng:{origin}:voucher:{number}",
        "issuer": credentials.did_key(key.public_key().public_bytes_raw()),
        "type": ["VerifiableCredential", "DataAssetVoucher"],
        "validFrom": instant(valid_from),
        "validUntil": instant(registration.valid_until),
    }
    signed = credentials.sign(document, key, now)
    digest = credentials.credential_digest(signed)
    voucher = Voucher(
        id=new_id(), number=number, kind="registration", registration_id=registration.id,
        party_id=holder.id, holder_address=holder_address, rights=list(registration.rights),
        valid_from=valid_from, valid_until=registration.valid_until, status_index=index,
        credential=signed, digest="sha256:" + digest.hex(), issued_by=actor.member_id,
        state=move("voucher", "issue", None), frozen=False, pledged=False, freeze_ground=None,
    )  # fmt: skip
    log.append(session, voucher, "voucher.issued", actor.member_id)
    session.flush()
    for name, disclosure in disclosures.items():
        session.add(Disclosure(voucher_id=voucher.id, name=name, **disclosure))
    on_chain = {
        "id": "0x" + voucher_key(origin, number).hex(),
        "holder": holder_address,
        "validUntil": int(registration.valid_until.timestamp()),
        "kind": KINDS["registration"],
        "rights": rights_mask(registration.rights),
        "maxUses": 0,
        "digest": "0x" + digest.hex(),
        "reason": outbox.REASON,
    }
    _on_chain(session, now, voucher, origin, "issue", [on_chain])
    return voucher


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
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    if verb in FREEZING and not basis.strip():
        raise Invalid("Name the law or the decision that it rests on.")
    if voucher.frozen and verb not in ("unfreeze", "suspend", "revoke"):
        raise Conflict("Voucher {number} is frozen by the regulator.", number=voucher.number)
    if voucher.frozen != (verb == "unfreeze") and verb in FREEZING:
        raise Conflict("Voucher {number} is not frozen.", number=voucher.number)
    if voucher.pledged and verb == "cancel":
        raise Conflict("Voucher {number} is pledged.", number=voucher.number)
    voucher.state = move("voucher", verb, voucher.state)
    if verb in FREEZING:
        voucher.frozen = verb == "freeze"
        voucher.freeze_ground = {
            "at": instant(now), "basis": basis.strip(), "by": actor.member_id, "reason": reason.strip(),
            "verb": verb,
        }  # fmt: skip
    log.append(session, voucher, f"voucher.{verb}", actor.member_id, reason=reason)
    arguments = [
        "0x" + voucher_key(origin, voucher.number).hex(),
        voucher.version - 1,
        outbox.REASON,
    ]
    _on_chain(session, now, voucher, origin, verb, arguments)


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


def status_list_id(origin: str) -> str:
    return f"urn:shuzheng:{origin}:status"


def rights_mask(rights: Sequence[Any]) -> int:
    """The rights as bits on chain: holding 1, use 2, operating 4."""
    return sum(RIGHTS[right] for right in rights)


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


def _on_chain(
    session: Session,
    now: datetime,
    voucher: Voucher,
    origin: str,
    function: str,
    arguments: list[Any],
) -> None:
    outbox.enqueue(
        session, now, lane="registrar", contract="VoucherRegistry", function=function,
        arguments=arguments, key=voucher_key(origin, voucher.number),
        expected_version=voucher.version - 1, subject_id=voucher.id,
        subject_version=voucher.version,
    )  # fmt: skip
