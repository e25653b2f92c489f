"""The register (登记簿): what becomes of a registration besides what its subject applies for.

    inquire 核实 → clear 核实无误 | revoke 撤销 (art. 20) | cancel 注销 by the registrar (art. 9(4))
    lapse 期满未续 → cancelled (art. 15), by the system
    lift           an objection registered before is settled

What is taken away is verified first, by one registrar, and decided by another. Revoked, cancelled and
terminated (before coding) are kept apart.
"""

from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log
from ledger.calendar import end_of_day, local_date, working_days_after
from ledger.errors import Conflict, Invalid
from ledger.parties import Actor, may, require_other
from ledger.registration import Application, Registration, check_ground, owners
from ledger.registration_profiles import profile
from ledger.states import move

OPEN_STATES = ("submitted", "returned", "in_review", "reviewed", "on_notice", "objection_review")
MENDED_WITHIN = (
    20  # working days, ours: so long a returned renewal keeps its registration from lapsing
)
LAPSED_AT_ONCE = 200  # a round takes no more: the rest is the next one's


def inquire(
    session: Session, actor: Actor, now: datetime, registration: Registration, ground: str
) -> None:
    """A registrar begins to verify what is said against a registration; nothing else moves meanwhile."""
    _act(actor, registration, "inquire", ground)
    registration.inquiry = {"by": actor.member_id, "ground": ground}
    log.append(session, registration, "registration.inquired", actor.member_id, reason=ground)


def clear(
    session: Session, actor: Actor, now: datetime, registration: Registration, finding: str
) -> None:
    """Nothing was found against it; another registrar says so."""
    _act(actor, registration, "clear", finding)
    registration.inquiry = None
    log.append(session, registration, "registration.cleared", actor.member_id, reason=finding)


def revoke(
    session: Session, actor: Actor, now: datetime, registration: Registration, *, ground: str,
    finding: str,
) -> None:  # fmt: skip
    """Revoke what was verified (撤销, art. 20): another registrar does, on a ground of the rules."""
    check_ground(profile(registration.profile).revocation_grounds, ground)
    _act(actor, registration, "revoke", finding)
    registration.ending = {"application": None, "ground": ground}
    log.append(session, registration, "registration.revoked", actor.member_id, reason=finding)


def cancel(
    session: Session, actor: Actor, now: datetime, registration: Registration, *, ground: str,
    finding: str,
) -> None:  # fmt: skip
    """Cancel ex officio what was verified (注销), such as when its subject is no more (art. 9(4))."""
    if registration.state != "under_inquiry":
        raise Conflict(
            "Registration {code} is cancelled on its subject's application, or after an inquiry.",
            code=registration.code,
        )
    check_ground(profile(registration.profile).types["cancellation"].grounds, ground)
    _act(actor, registration, "cancel", finding)
    registration.ending = {"application": None, "ground": ground}
    log.append(session, registration, "registration.cancelled", actor.member_id, reason=finding)


def lift(
    session: Session, actor: Actor, now: datetime, registration: Registration, *, application: str,
    finding: str,
) -> None:  # fmt: skip
    """Take a registered objection (异议登记) away again: it is settled."""
    _act(actor, registration, "lift", finding)
    if application not in (registration.disputes or []):
        raise Invalid(
            "Registration {code} bears no objection {number}; it bears: {known}.",
            code=registration.code, number=application,
            known=", ".join(registration.disputes or []) or "-",
        )  # fmt: skip
    registration.disputes = [one for one in registration.disputes or [] if one != application]
    log.append(session, registration, "registration.lifted", actor.member_id, reason=finding)


def lapse(session: Session, now: datetime) -> int:
    """Cancel every registration that ran out and for whose renewal nothing is open; says how many.

    A renewal that was returned is open for as long as it may be mended.
    """
    today = local_date(now)
    renewals = select(Application).where(
        Application.type == "renewal", Application.state.in_(OPEN_STATES)
    )
    given_up = [
        one.id for one in session.scalars(renewals.where(Application.state == "returned"))
        if not _may_be_mended(one, today)
    ]  # fmt: skip
    waiting = renewals.with_only_columns(Application.registration_id).where(
        Application.id.not_in(given_up)
    )
    ended = end_of_day(today).replace(hour=0, minute=0, second=0)
    wanted = (
        select(Registration)
        .where(Registration.state == "registered", Registration.valid_until < ended,
               Registration.id.not_in(waiting.where(Application.registration_id.is_not(None))))
        .order_by(Registration.id)
        .limit(LAPSED_AT_ONCE)
    )  # fmt: skip
    found = list(session.scalars(wanted))
    for row in found:
        row.state = move("registration", "lapse", row.state)
        row.ending = {"application": None, "ground": "expired"}
        log.append(session, row, "registration.lapsed", "system", reason="期满未续展")
    return len(found)


def _may_be_mended(application: Application, today: date) -> bool:
    returned_on = application.review.get("returned_on")
    if returned_on is None:
        return False
    return working_days_after(date.fromisoformat(returned_on), MENDED_WITHIN).on >= today


def _act(actor: Actor, registration: Registration, verb: str, reason: str) -> None:
    """Move on, with a stated reason; what is decided after an inquiry is decided by another person."""
    may(actor, f"registration.{verb}", owners(registration), f"Registration {registration.code}")
    if not reason.strip():
        raise Invalid("State the ground of the decision.")
    state = move("registration", verb, registration.state)
    if registration.inquiry is not None and verb != "lift":
        what = f"the inquiry of {registration.code}"
        require_other(actor, [registration.inquiry["by"]], what)
    registration.state = state
