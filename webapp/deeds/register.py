"""The deeds about what is registered: applications for changes, their conclusion, the register itself."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from marshmallow import fields, validate
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    authorisations,
    parties,
    register,
    registration_changes,
    voucher_moves,
)
from ledger import registration as registering
from ledger.parties import Actor, Party
from ledger.registration import Application, Registration
from ledger.registration_changes import Asked
from ledger.voucher_rows import Issuer
from webapp.deeds import Deed, Desk, deed
from webapp.deeds.catalogue import resource_ids
from webapp.deeds.field import DIGEST, RIGHTS, attached, decision, own_deposits
from webapp.deeds.forms import MISSHAPEN, Body, rows, said, text, texts
from webapp.deeds.forms import day as day_field

MATERIALS = {"statement": "Statement of the applicant", "proof": "What proves it"}
GROUNDS = {  # ground → English, for all profiles
    "change": {"source": "Source of the data", "resource": "The data resource",
               "product": "Product and service", "evidence": "Evidence deposited",
               "subject": "The applicant"},
    "correction": {"consent": "With the subject's written consent", "error": "Evidence of an error"},
    "cancellation": {"lost": "Data lost beyond recovery",
                     "given_up_or_expired": "Rights given up or expired",
                     "subject_ended": "The subject is no more", "statutory": "By statute"},
    "revocation": {"false_material": "False materials", "tampering": "Tampering with what is registered",
                   "illegal_use": "Illegal use of what is registered",
                   "other_illegal": "Another breach of law"},
}  # fmt: skip
YEARS_MAX = 5


class AttachmentBody(Body):
    """A deposited file that belongs to a material."""

    material = text("To which material", choices=MATERIALS)
    digest = text("Deposited file", most=71, pattern=DIGEST, example="digest sha256:…",
                  source="deposits")  # fmt: skip


def _body(name: str, doc: str, **own: fields.Field[Any]) -> type[Body]:
    """The body of an application about a registration: its own fields, then those that all have."""
    shared: dict[str, Any] = {
        "statement": text("Statement of the applicant", area=True),
        "proof": text("What proves it", area=True),
        "attachments": rows("Files to the materials", AttachmentBody, least=0),
        "amends": text("Mends the returned application", most=40, required=False, blank=True,
                       kind="hidden"),
    }  # fmt: skip
    return type(name, (Body,), {"__doc__": doc, **own, **shared})


def _ground(type_: str) -> fields.Field[Any]:
    return text("Ground", choices=GROUNDS[type_])


def _content_fields() -> dict[str, Any]:
    return {
        "title": text("Title", most=200, required=False, blank=True, hint=UNCHANGED),
        "summary": text("Summary", area=True, required=False, blank=True, hint=UNCHANGED),
        "resources": texts("Resources", source="resources", hint="catalogue codes", least=0),
        "data": texts("Deposited files", source="deposits", least=0),
    }


UNCHANGED = "left empty, it stays as it is"
ContentBody = _body("ContentBody", "A change 变更.", ground=_ground("change"), **_content_fields())
CorrectionBody = _body(
    "CorrectionBody", "A correction 更正.", ground=_ground("correction"), **_content_fields()
)
CancellationBody = _body("CancellationBody", "A cancellation 注销.", ground=_ground("cancellation"))
RenewalBody = _body(
    "RenewalBody", "A renewal 续展.",
    years=fields.Integer(
        required=True,
        validate=validate.Range(1, YEARS_MAX, error=said(MISSHAPEN, f"number from 1 to {YEARS_MAX}")),
        metadata={"title": "Years", "hint": "counted from the day after it would end"},
    ),
    agreement=text("Operation agreement", most=40, required=False, blank=True, source="agreements",
                   hint="a new one, if the old one ends"),
)  # fmt: skip
TransferBody = _body(
    "TransferBody", "A transfer 转移.",
    party=text("Receiving organisation", most=18, source="parties", hint="its social credit code"),
    address=text("The receiver's address on chain", most=42, example="0x…"),
    agreement=text("The receiver's operation agreement", most=40, required=False, blank=True),
)  # fmt: skip
LicenceRecordBody = _body(
    "LicenceRecordBody", "A licence 许可, registered.",
    party=text("Licensee", most=18, source="parties", hint="its social credit code"),
    right=text("Right", choices=RIGHTS), from_on=day_field("First day"),
    until_on=day_field("Last day"), terms=text("Terms of the licence", area=True),
)  # fmt: skip
DisputeBody = _body(
    "DisputeBody", "An objection 异议, registered.", terms=text("What is objected to", area=True)
)


class FoundBody(Body):
    """What was found."""

    finding = text("Finding", area=True, hint="as it is told to those concerned")


class RevocationBody(FoundBody):
    """A revocation 撤销 after an inquiry."""

    ground = text("Ground", choices=GROUNDS["revocation"])


class OfficialEndBody(FoundBody):
    """A cancellation 注销 by the registrar after an inquiry."""

    ground = text("Ground", choices=GROUNDS["cancellation"])


class LiftBody(FoundBody):
    """Which registered objection is settled."""

    application = text("Number of the objection's application", most=40)


class InquiryBody(Body):
    """What is to be verified."""

    reason = text("Ground", area=True, hint="what is said against it; its subject is told this")


def _applied(
    type_: str, path: str, title: str, body: type[Body], asked_of: Callable[..., dict[str, Any]]
) -> Deed:
    """The deed that applies for a type; `asked_of(session, actor, body)` gives what is asked."""

    def act(
        desk: Desk, session: Session, actor: Actor, found: Registration, *, statement: str, proof: str,
        attachments: Sequence[Mapping[str, str]] = (), amends: str = "", ground: str = "", **more: Any,
    ) -> dict[str, Any]:  # fmt: skip
        asked = Asked(
            attachments=attached(session, actor, attachments), **asked_of(session, actor, **more)
        )
        made = registration_changes.apply(
            session, actor, desk.now, found, type_, ground=ground, statement=statement, proof=proof,
            asked=asked,
            amends=registering.application_by_number(session, amends) if amends else None,
        )  # fmt: skip
        return {"due": made.deadlines["accept"]["on"], "number": made.number, "state": made.state}

    verb = f"application.{registration_changes.VERBS[type_]}"
    return deed(verb, f"/registrations/<registration_code>/{path}", title,
                "Application {number} is submitted; acceptance is due by {due}.", body=body,
                owners=lambda _s, row: registering.owners(row))(act)  # fmt: skip


def _content(
    session: Session, actor: Actor, *, title: str = "", summary: str = "",
    resources: Sequence[str] = (), data: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    return {
        "deposits": own_deposits(session, actor, [{"digest": one} for one in data]),
        "resource_ids": resource_ids(session, actor, list(resources)), "summary": summary,
        "title": title,
    }  # fmt: skip


def _nothing(_session: Session, _actor: Actor) -> dict[str, Any]:
    return {}


def _renewal(session: Session, _actor: Actor, *, years: int, agreement: str = "") -> dict[str, Any]:
    named = agreements.by_number(session, agreement) if agreement else None
    return {"agreement": named, "years": years}


def _transfer(
    session: Session, _actor: Actor, *, party: str, address: str, agreement: str = ""
) -> dict[str, Any]:
    named = agreements.by_number(session, agreement) if agreement else None
    return {"address": address, "agreement": named, "party": parties.party_by_uscc(session, party)}


def _licence(
    session: Session, _actor: Actor, *, party: str, right: str, from_on: date, until_on: date,
    terms: str,
) -> dict[str, Any]:  # fmt: skip
    return {"from_on": from_on, "party": parties.party_by_uscc(session, party), "right": right,
            "terms": terms, "until_on": until_on}  # fmt: skip


def _dispute(_session: Session, _actor: Actor, *, terms: str) -> dict[str, Any]:
    return {"terms": terms}


change = _applied("change", "change", "Apply for a change", ContentBody, _content)
correct = _applied("correction", "correct", "Apply for a correction", CorrectionBody, _content)
cancel = _applied("cancellation", "cancel", "Apply for cancellation", CancellationBody, _nothing)
renew = _applied("renewal", "renew", "Apply for renewal", RenewalBody, _renewal)
transfer = _applied("transfer", "transfer", "Apply for a transfer", TransferBody, _transfer)
licence = _applied("licence", "license", "Have a licence registered", LicenceRecordBody, _licence)
dispute = _applied("objection", "dispute", "Have an objection registered", DisputeBody, _dispute)


@decision("application.conclude", "conclude", "Conclude",
          "Application {number} is concluded; registration {code} is as it asked.",
          body=FoundBody)  # fmt: skip
def conclude(
    desk: Desk, session: Session, actor: Actor, found: Application, finding: str
) -> dict[str, Any]:
    """What it asked for is done, and the vouchers of the registration follow in the same deed."""
    made = registration_changes.conclude(session, actor, desk.now, found, finding)
    if found.type in FOLLOWED:
        asked = found.asked or {}
        to: dict[str, Any] = {}
        if found.type == "transfer":
            holder = session.get_one(Party, made.party_id)
            to = {"holder": holder, "holder_address": asked["address"]}
        _follow(desk, session, actor, made, FOLLOWED[found.type], finding, **to)
    return {"code": made.code}


# What becomes of a registration's vouchers when an application about it is concluded.
FOLLOWED = {
    "cancellation": "cancelled", "change": "changed", "correction": "changed", "renewal": "renewed",
    "transfer": "transferred",
}  # fmt: skip


def _follow(
    desk: Desk, session: Session, actor: Actor, found: Registration, what: str, reason: str,
    **more: Any,
) -> None:  # fmt: skip
    """The vouchers of a registration, and the uses under it, go the way it went, in the same deed."""
    if what in ("cancelled", "revoked", "transferred"):
        authorisations.end_all(session, actor, desk.now, found, reason, desk.origin)
    issuer = Issuer(desk.origin, desk.credential_key)
    voucher_moves.follow(session, actor, desk.now, found, what, issuer, reason=reason, **more)


def _registered(
    verb: str, path: str, title: str, says: str, **more: Any
) -> Callable[[Callable[..., Any]], Deed]:
    """A deed on a registration; it answers code and state."""

    def enter(act: Callable[..., Any]) -> Deed:
        def whole(
            desk: Desk, session: Session, actor: Actor, found: Registration, **body: Any
        ) -> dict[str, Any]:
            act(desk, session, actor, found, **body)
            return {"code": found.code, "state": found.state}

        return deed(verb, f"/registrations/<registration_code>/{path}", title, says, changes=True,
                    **more)(whole)  # fmt: skip

    return enter


@_registered("registration.inquire", "inquire", "Begin an inquiry",
             "Registration {code} is being verified.", body=InquiryBody)  # fmt: skip
def inquire(desk: Desk, session: Session, actor: Actor, found: Registration, reason: str) -> None:
    register.inquire(session, actor, desk.now, found, reason)


@_registered("registration.clear", "clear", "Nothing was found", "Registration {code} is in order.",
             body=FoundBody)  # fmt: skip
def clear(desk: Desk, session: Session, actor: Actor, found: Registration, finding: str) -> None:
    register.clear(session, actor, desk.now, found, finding)


@_registered("registration.revoke", "revoke", "Revoke the registration",
             "Registration {code} is revoked.", body=RevocationBody)  # fmt: skip
def revoke(
    desk: Desk, session: Session, actor: Actor, found: Registration, *, ground: str, finding: str
) -> None:
    register.revoke(session, actor, desk.now, found, ground=ground, finding=finding)
    _follow(desk, session, actor, found, "revoked", finding)


@_registered("registration.cancel", "end", "Cancel the registration",
             "Registration {code} is cancelled.", body=OfficialEndBody)  # fmt: skip
def end(
    desk: Desk, session: Session, actor: Actor, found: Registration, *, ground: str, finding: str
) -> None:
    register.cancel(session, actor, desk.now, found, ground=ground, finding=finding)
    _follow(desk, session, actor, found, "cancelled", finding)


@_registered("registration.lift", "lift", "Lift an objection", "The objection is lifted from {code}.",
             body=LiftBody)  # fmt: skip
def lift(
    desk: Desk, session: Session, actor: Actor, found: Registration, *, application: str,
    finding: str,
) -> None:  # fmt: skip
    register.lift(session, actor, desk.now, found, application=application, finding=finding)
