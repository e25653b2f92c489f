"""The deeds of authorised use 授权使用: asked for, consented to in the subject's own space, counted."""

from datetime import date
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger import authorisations, parties, registration, uses
from ledger.authorisations import USES_MAX, Authorisation
from ledger.calendar import end_of_day, start_of_day
from ledger.parties import Actor, Party
from ledger.proof.encoding import instant
from ledger.registration import Registration
from ledger.uses import COUNT_MAX, REFERENCE_MAX
from ledger.vouchers import Voucher
from webapp.deeds import Desk, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema
from webapp.deeds.circulation import ADDRESS
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import MISSHAPEN, Body, day, said, text
from webapp.deeds.vouchers import issuer

ONE = "/authorisations/<authorisation_number>"
SHOWN = 200


def _number(title: str, most: int) -> fields.Integer:
    return fields.Integer(
        required=True, strict=False, metadata={"title": title, "hint": "", "kind": "number"},
        validate=validate.Range(1, most, error=said(MISSHAPEN, f"number from 1 to {most}")),
    )  # fmt: skip


class RequestBody(Body):
    """What a data subject is asked to allow."""

    registration = text("Registration code", most=40, hint="of what is to be used")
    subject = text("Data subject", most=18, hint="its code, as it told you")
    provider = text("Data provider", most=18, hint="its social credit code", source="parties")
    user = text("Data user", most=18, hint="its social credit code", source="parties")
    user_address = text("User's chain address", most=42, pattern=ADDRESS, example="address 0x…",
                        hint="the user's own, told by him")  # fmt: skip
    scene = text("Scene of use", most=200, hint="in public words: it stands in the voucher")
    purpose = text("What for, in words for the subject", area=True)
    from_on = day("First day")
    until_on = day("Last day")
    max_uses = _number("Number of uses", USES_MAX)


class UseBody(Body):
    """Uses to be counted."""

    scene = text("Scene of use", most=200, hint="as it stands in the voucher")
    count = _number("Number of uses", COUNT_MAX)
    reference = text(
        "Your own reference", most=REFERENCE_MAX, hint="unique; the same again counts once"
    )


class UseAnswer(Schema):
    """Uses counted at once."""

    at = fields.String(required=True)
    count = fields.Integer(required=True)
    total = fields.Integer(required=True)
    scene = fields.String(required=True)
    by = fields.String(required=True)


class SpaceItem(Schema):
    """What was asked of a subject, and how it stands."""

    number = fields.String(required=True)
    state = fields.String(required=True)
    version = fields.Integer(required=True)
    title = fields.String(required=True)
    provider = fields.String(required=True)
    user = fields.String(required=True)
    scene = fields.String(required=True)
    purpose = fields.String(required=True)
    valid_from = fields.String(required=True)
    valid_until = fields.String(required=True)
    max_uses = fields.Integer(required=True)
    used = fields.Integer(required=True)
    voucher = fields.String(required=True, allow_none=True)
    voucher_state = fields.String(required=True, allow_none=True)
    uses = fields.List(fields.Nested(UseAnswer), required=True)


class SpaceAnswer(Schema):
    """A subject's own space 个人和法人数字空间."""

    code = fields.String(required=True)
    items = fields.List(fields.Nested(SpaceItem), required=True)


def _not_over(session: Session, answer: dict[str, Any]) -> bool:
    """Whether what was asked for was neither refused nor has ended: the same may be asked for again."""
    found = authorisations.by_number(session, answer["number"])
    return found.state in ("requested", "consented", "in_force")


@deed("authorisation.request", "/authorisations", "Ask for an authorised use",
      "Authorisation {number} is asked for; the data subject decides in its own space.",
      body=RequestBody, still=_not_over)  # fmt: skip
def request(
    desk: Desk, session: Session, actor: Actor, *, from_on: date, until_on: date, **body: Any
) -> dict[str, Any]:
    """The term runs over whole days in Shanghai."""
    subject, provider, user = (
        parties.party_by_uscc(session, body.pop(name)) for name in ("subject", "provider", "user")
    )
    made = authorisations.request(
        session, actor, desk.now, subject=subject, provider=provider, user=user,
        registration=registration.by_code(session, body.pop("registration")),
        valid_from=start_of_day(from_on), valid_until=end_of_day(until_on), **body,
    )  # fmt: skip
    return _told(made)


def _told(found: Authorisation) -> dict[str, Any]:
    return {"number": found.number, "state": found.state}


def _subject(_session: Session, row: Authorisation) -> tuple[str]:
    return (row.subject_id,)


@deed("authorisation.consent", f"{ONE}/consent", "Consent", "You have consented to {number}.",
      changes=True, owners=_subject)  # fmt: skip
def consent(desk: Desk, session: Session, actor: Actor, found: Authorisation) -> dict[str, Any]:
    authorisations.consent(session, actor, desk.now, found)
    return _told(found)


@deed("authorisation.refuse", f"{ONE}/refuse", "Refuse consent", "You have refused {number}.",
      changes=True, owners=_subject)  # fmt: skip
def refuse(desk: Desk, session: Session, actor: Actor, found: Authorisation) -> dict[str, Any]:
    authorisations.refuse(session, actor, desk.now, found)
    return _told(found)


@deed("authorisation.withdraw", f"{ONE}/withdraw", "Withdraw the consent",
      "Your consent to {number} is withdrawn; nothing may be used under it any more.", changes=True,
      owners=_subject)  # fmt: skip
def withdraw(desk: Desk, session: Session, actor: Actor, found: Authorisation) -> dict[str, Any]:
    authorisations.withdraw(session, actor, desk.now, found, desk.origin)
    return _told(found)


@deed("authorisation.issue", f"{ONE}/issue", "Issue the authorised-use voucher",
      "Voucher {voucher} is recorded; it is effective once the worker has carried it to the chain.",
      changes=True)  # fmt: skip
def issue(desk: Desk, session: Session, actor: Actor, found: Authorisation) -> dict[str, Any]:
    made = authorisations.issue(session, actor, desk.now, found, issuer(desk))
    return {**_told(found), "voucher": made.number}


@deed("authorisation.end", f"{ONE}/end", "End the authorised use", "Authorisation {number} has ended.",
      body=ReasonBody, changes=True,
      owners=lambda _s, row: (row.provider_id, row.user_id))  # fmt: skip
def end(
    desk: Desk, session: Session, actor: Actor, found: Authorisation, reason: str
) -> dict[str, Any]:
    authorisations.end(session, actor, desk.now, found, reason, desk.origin)
    return _told(found)


@deed("use.count", "/vouchers/<voucher_number>/uses", "Count uses",
      "{count} uses counted under {voucher}: {total} of {most}.", body=UseBody,
      owners=lambda _s, row: (row.provider_id or row.party_id,))  # fmt: skip
def count(
    desk: Desk, session: Session, actor: Actor, found: Voucher, **body: Any
) -> dict[str, Any]:
    made = uses.count(session, actor, desk.now, found, **body)
    return {
        "count": made.count, "most": found.max_uses, "total": made.total, "voucher": found.number,
    }  # fmt: skip


list_authorisations = lists(
    "authorisation", "/authorisations", "Authorised uses",
    "number scene subject_id provider_id user_id valid_until max_uses state",
    (Authorisation.number, Authorisation.scene),
)  # fmt: skip
AuthorisationShown: type[Schema] = type(
    "AuthorisationShownAnswer", (shown_schema(Authorisation),),
    {
        "registration_code": fields.String(required=True),
        "uses": fields.List(fields.Nested(UseAnswer), required=True),
        "voucher": fields.String(required=True, allow_none=True),
    },
)  # fmt: skip


@question("authorisation.read", ONE, "Authorised use", answer=AuthorisationShown)
def show(_desk: Desk, session: Session, _actor: Actor, found: Authorisation) -> dict[str, Any]:
    """As recorded, with the newest uses counted under it."""
    voucher = session.get(Voucher, found.voucher_id) if found.voucher_id else None
    return {
        **found.body(), "history": history_of(session, found.id),
        "registration_code": session.get_one(Registration, found.registration_id).code,
        "uses": _uses(session, found), "voucher": voucher and voucher.number,
    }  # fmt: skip


def _uses(session: Session, found: Authorisation) -> list[dict[str, Any]]:
    """The newest uses under an authorisation: when, how many, in which scene, told by whom."""
    if found.voucher_id is None:
        return []
    return [
        {
            "at": instant(one.used_at), "by": session.get_one(Party, one.party_id).name,
            "count": one.count, "scene": one.scene, "total": one.total,
        }
        for one in uses.of(session, found.voucher_id, SHOWN)
    ]  # fmt: skip


@question("space.read", "/space", "My data space", answer=SpaceAnswer)
def space(_desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """What others want of the subject, what it has consented to, and each use that was counted."""
    return {
        "code": session.get_one(Party, actor.party_id).uscc,
        "items": [_item(session, one) for one in authorisations.of_subject(session, actor)],
    }


def _item(session: Session, row: Authorisation) -> dict[str, Any]:
    voucher = session.get(Voucher, row.voucher_id) if row.voucher_id else None
    counted = _uses(session, row)
    state = None
    if voucher is not None:
        state = "frozen" if voucher.frozen and voucher.state == "valid" else voucher.state
    return {
        "max_uses": row.max_uses, "number": row.number,
        "provider": session.get_one(Party, row.provider_id).name, "purpose": row.purpose,
        "scene": row.scene, "state": row.state,
        "title": session.get_one(Registration, row.registration_id).title,
        "used": counted[0]["total"] if counted else 0,
        "user": session.get_one(Party, row.user_id).name, "uses": counted,
        "valid_from": instant(row.valid_from), "valid_until": instant(row.valid_until),
        "version": row.version, "voucher": voucher and voucher.number, "voucher_state": state,
    }  # fmt: skip
