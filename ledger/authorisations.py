"""Authorised use (授权使用): a data subject consents that one body's data on it are used by another.

    request 申请 → consent 同意 (in the subject's own space) → issue 发证 → uses 计次 → withdraw 撤回 / end

The subject 数据主体 is an organisation or a natural person, the provider 数据提供方 has the data, the user
数据使用方 may use them in one scene, for one term, a number of times. Consent can be withdrawn at any
time; the voucher ends on chain with the same deed. None of the three is named in the credential, on chain
or in the log's public part.
"""

from datetime import datetime

from sqlalchemy import ForeignKey, String, or_, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from sqlalchemy.sql.elements import ColumnElement

from ledger import log, vouchers
from ledger.calendar import local_date
from ledger.chain import keys
from ledger.errors import Conflict, Faults, Invalid, Missing
from ledger.parties import Actor, Party, may, require_active, require_other
from ledger.proof.encoding import instant
from ledger.registration import Registration
from ledger.states import MOVES, move
from ledger.store import Evidence, lock, new_id, next_number
from ledger.voucher_rows import IN_FORCE, Issuer, Voucher

USES_MAX = 1_000_000_000
WITHDRAWN = "consent withdrawn"  # the ground on which a voucher ends, as recorded


class Authorisation(Evidence):
    """What is asked of a data subject, and what it said."""

    __tablename__ = "authorisations"
    subject_type = "authorisation"
    number: Mapped[str] = mapped_column(unique=True)
    registration_id: Mapped[str] = mapped_column(String(36), ForeignKey("registrations.id"))
    subject_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    provider_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    user_id: Mapped[str] = mapped_column(String(36), ForeignKey("parties.id"))
    user_address: Mapped[str]
    scene: Mapped[str]
    purpose: Mapped[str]
    valid_from: Mapped[datetime]
    valid_until: Mapped[datetime]
    max_uses: Mapped[int]
    requested_by: Mapped[str]
    consented_by: Mapped[str | None]
    voucher_id: Mapped[str | None] = mapped_column(String(36), ForeignKey("vouchers.id"))
    state: Mapped[str]


def request(
    session: Session,
    actor: Actor,
    now: datetime,
    *,
    registration: Registration,
    subject: Party,
    provider: Party,
    user: Party,
    user_address: str,
    scene: str,
    purpose: str,
    valid_from: datetime,
    valid_until: datetime,
    max_uses: int,
) -> Authorisation:
    """Ask a data subject, as the user or the provider; everything that does not fit is named at once."""
    may(actor, "authorisation.request", (provider.id, user.id), "authorisation")
    faults = Faults()
    faults.name_missing({"scene": "场景", "purpose": "用途"}, {"scene": scene, "purpose": purpose})
    if len({subject.id, provider.id, user.id}) < 3:
        faults.name_fault("subject, provider and user must be three", at="subject")
    if not keys.is_address_spelled(user_address):
        faults.name_fault("{address} is no address", at="user_address", address=user_address)
    if not 1 <= max_uses <= USES_MAX:
        faults.name_fault("grant 1 to {most} uses", at="max_uses", most=USES_MAX)
    if not valid_from < valid_until:
        faults.name_fault("the term ends before it begins", at="until_on")
    if valid_until > registration.valid_until:
        faults.name_fault(
            "the registration ends on {end}", at="until_on",
            end=local_date(registration.valid_until).isoformat(),
        )  # fmt: skip
    if valid_until <= now:
        faults.name_fault("the term is over", at="until_on")
    if faults:
        raise Invalid("The authorisation lacks or breaks: {faults}.", faults=faults)
    for party in (subject, provider, user):
        require_active(party)
    _require_vouched(session, now, registration)
    year = local_date(now).year
    made = Authorisation(
        id=new_id(), number=f"SY{year}-{next_number(session, f'SY{year}'):06d}",
        registration_id=registration.id, subject_id=subject.id, provider_id=provider.id,
        user_id=user.id, user_address=user_address, scene=scene.strip(), purpose=purpose.strip(),
        valid_from=valid_from, valid_until=valid_until, max_uses=max_uses,
        requested_by=actor.member_id, state=move("authorisation", "request", None),
    )  # fmt: skip
    log.append(session, made, "authorisation.requested", actor.member_id)
    session.flush()
    return made


def consent(session: Session, actor: Actor, now: datetime, row: Authorisation) -> None:
    """Consent, as the data subject, to what is asked (同意)."""
    _as_subject(actor, row, "consent")
    if now > row.valid_until:
        raise Conflict("The term of {number} is over.", number=row.number)
    row.state, row.consented_by = move("authorisation", "consent", row.state), actor.member_id
    log.append(session, row, "authorisation.consented", actor.member_id)


def refuse(session: Session, actor: Actor, now: datetime, row: Authorisation) -> None:
    """Refuse, as the data subject, what is asked; no reason is owed."""
    _as_subject(actor, row, "refuse")
    row.state = move("authorisation", "refuse", row.state)
    log.append(session, row, "authorisation.refused", actor.member_id)


def issue(
    session: Session, actor: Actor, now: datetime, row: Authorisation, issuer: Issuer
) -> Voucher:
    """Issue the voucher of what the subject has consented to; by a registrar of none of the three."""
    may(actor, "authorisation.issue", owners(session, row), f"Authorisation {row.number}")
    makers = (row.requested_by, row.consented_by)
    require_other(actor, makers, f"authorisation {row.number}")
    lock(session, row)
    row.state = move("authorisation", "issue", row.state)
    if now > row.valid_until:
        raise Conflict("The term of {number} is over.", number=row.number)
    registration = session.get_one(Registration, row.registration_id)
    _require_vouched(session, now, registration)
    parties = {
        name: session.get_one(Party, one)
        for name, one in (
            ("subject", row.subject_id), ("provider", row.provider_id), ("user", row.user_id),
        )
    }  # fmt: skip
    made = vouchers.issue_authorised(
        session, actor.member_id, now, issuer, registration=registration, **parties,
        user_address=row.user_address, scene=row.scene, max_uses=row.max_uses,
        valid_from=row.valid_from, valid_until=min(row.valid_until, registration.valid_until),
    )  # fmt: skip
    row.voucher_id = made.id
    log.append(session, row, "authorisation.issued", actor.member_id)
    session.flush()
    return made


def withdraw(
    session: Session, actor: Actor, now: datetime, row: Authorisation, origin: str
) -> None:
    """Withdraw the consent (撤回), at any time: the voucher ends on chain with the same deed."""
    _as_subject(actor, row, "withdraw")
    lock(session, row)
    row.state = move("authorisation", "withdraw", row.state)
    log.append(session, row, "authorisation.withdrawn", actor.member_id, reason=WITHDRAWN)
    _end_voucher(session, actor, now, row, WITHDRAWN, origin)


def end(
    session: Session, actor: Actor, now: datetime, row: Authorisation, reason: str, origin: str
) -> None:
    """End it as the user or the provider: it is no longer wanted."""
    owned = (row.provider_id, row.user_id)
    may(actor, "authorisation.end", owned, f"Authorisation {row.number}")
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    lock(session, row)
    row.state = move("authorisation", "end", row.state)
    log.append(session, row, "authorisation.ended", actor.member_id, reason=reason)
    _end_voucher(session, actor, now, row, reason, origin)


def end_all(
    session: Session, actor: Actor, now: datetime, registration: Registration, reason: str, origin: str
) -> int:  # fmt: skip
    """End every use authorised under a registration that ended, or went to another; says how many.

    A consent is given to one provider: whoever follows him asks anew.
    """
    running = select(Authorisation).where(
        Authorisation.registration_id == registration.id,
        Authorisation.state.in_([one for one in MOVES["authorisation"]["end"] if one is not None]),
    )
    found = session.scalars(running.order_by(Authorisation.id)).all()
    for row in found:
        row.state = move("authorisation", "end", row.state)
        log.append(session, row, "authorisation.ended", actor.member_id, reason=reason)
        _end_voucher(session, actor, now, row, reason, origin)
    return len(found)


def _end_voucher(
    session: Session, actor: Actor, now: datetime, row: Authorisation, reason: str, origin: str
) -> None:
    """End the voucher of an authorisation that is over, if there is one still in force."""
    voucher = session.get(Voucher, row.voucher_id) if row.voucher_id else None
    if voucher is not None and voucher.state in IN_FORCE:
        # A freeze bars cancelling on chain, but holds nobody to his consent.
        how = "revoke" if voucher.frozen else "cancel"
        vouchers.set_state(session, actor.member_id, now, voucher, how, reason, origin)


def by_number(session: Session, number: str) -> Authorisation:
    """The authorisation with a number; raises Missing."""
    found = session.scalar(select(Authorisation).where(Authorisation.number == number))
    if found is None:
        raise Missing("There is no authorisation {number}.", number=number)
    return found


def owners(_session: Session, row: Authorisation) -> tuple[str, str, str]:
    """Whose it is: the subject's, the provider's, the user's."""
    return row.subject_id, row.provider_id, row.user_id


def of_party(party: str) -> ColumnElement[bool]:
    """Which are an organisation's, in any of the three parts."""
    return or_(
        Authorisation.subject_id == party,
        Authorisation.provider_id == party,
        Authorisation.user_id == party,
    )


def of_subject(session: Session, actor: Actor) -> list[Authorisation]:
    """What was asked of the actor's party as a data subject, the newest first."""
    found = select(Authorisation).where(Authorisation.subject_id.in_(actor.parties))
    return list(session.scalars(found.order_by(Authorisation.id.desc())))


def _as_subject(actor: Actor, row: Authorisation, verb: str) -> None:
    may(actor, f"authorisation.{verb}", row.subject_id, f"Authorisation {row.number}")
    if verb != "withdraw":
        require_other(actor, [row.requested_by], f"authorisation {row.number}")


def _require_vouched(session: Session, now: datetime, registration: Registration) -> None:
    """The registration and a registration voucher of it are valid."""
    good = [
        one for one in vouchers.in_force(session, registration)
        if one.state == "valid" and not one.frozen and now <= one.valid_until
    ]  # fmt: skip
    if registration.state != "registered" or not good:
        raise Conflict(
            "Registration {code} is {state} until {until} and has no valid voucher: no use can be "
            "authorised under it.",
            code=registration.code, state=registration.state, until=instant(registration.valid_until),
        )  # fmt: skip
