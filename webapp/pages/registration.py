"""Registration: what the pages of its nouns tell besides the row, and the public notices."""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from flask import Flask, render_template, request
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log, registration_changes
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.appraisals import Appraisal
from ledger.calendar import local_date, working_days_left
from ledger.catalogue import Resource
from ledger.objections import Objection
from ledger.parties import Account, Party, allowed
from ledger.registration import Application, Deposit, Registration
from ledger.registration_profiles import in_use, profile, profiles
from ledger.vouchers import Voucher
from webapp import door
from webapp.deeds.all import field, register
from webapp.deeds.subjects import visible
from webapp.language import tr
from webapp.pages import nouns, wizard
from webapp.pages.quality import percent, quality_of
from webapp.wording import spoken

# What an application may ask for, and what that is called.
ASKED = {
    "title": "New title", "summary": "New summary", "resource_ids": "New resources",
    "deposit_ids": "New files", "party_id": "Other organisation", "right": "Right",
    "address": "The receiver's address on chain", "agreement_id": "Operation agreement",
    "from_on": "First day", "until_on": "Last day", "terms": "Terms of the licence",
    "claim": "What is objected to",
}  # fmt: skip
REVIEWED = ("submitted", "in_review", "reviewed")
CONSENTS = {
    "joint": "applies with it",
    "receiver": "receives it",
    "subject": "it is registered for",
}


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.filters["percent"] = percent
    app.jinja_env.globals |= {
        "application_facts": application_facts, "MATERIALS": field.MATERIALS,
        "COMPLIANCE": field.COMPLIANCE, "OBJECTS": field.OBJECTS, "RIGHTS": field.RIGHTS,
    }  # fmt: skip
    nouns.EXTRA |= {
        "application": about_application, "objection": about_objection,
        "registration": about_registration,
    }  # fmt: skip
    wizard.enter(app)
    app.add_url_rule("/notices", "notices", notices)


def about_application(session: Session, row: Application) -> dict[str, Any]:
    """Its agreement, resources, files and their quality, deadlines, ground, and registration."""
    me, today = door.actor(), local_date(door.the_desk().now)
    agreement = session.get(Agreement, row.agreement_id) if row.agreement_id else None
    last = log.history(session, row.id)[-1]
    # What is said in the review while it goes on, only those hear who see the review.
    told = row.state != "returned" and (row.state not in REVIEWED or bool(row.review))
    limits = profile(row.profile).days
    return {
        "agreement": agreement,
        "deposits": _deposits(session, row.deposit_ids),
        "due": [_due(what, due, limits.get(what, 0), today) for what, due in row.deadlines.items()],
        "ground": log.payload_of(last)["reason"] if told else None,
        "may_mend": row.state == "returned" and allowed(me, field.submit.verb, row.party_id),
        "may_see_agreement": agreement is not None
        and allowed(me, "agreement.read", (agreement.operator_id, agreement.implementer_id)),
        "may_see_deposits": allowed(me, "evidence.read", row.party_id),
        "notice_due": _due("notice", row.notice["until"], limits["notice"], today)
        if row.notice else None,
        "asked": _asked(session, row),
        "files": [
            {"deposit": session.get_one(Deposit, one["deposit_id"]), "material": one["material"]}
            for one in row.attachments or []
        ],
        "ground_name": ground_of(row.type, row.ground),
        "lacking": [one for one in row.consents or [] if one["by"] is None]
        if row.state in registering.CONSENTED_IN else [],
        "materials": {key: tr(label) for key, label in (
            field.MATERIALS if row.type == "first" else register.MATERIALS).items()},
        "consents": [{**one, "as": tr(CONSENTS[one["as"]])} for one in row.consents or []],
        "mend_address": _mend_address(session, row),
        "objections": _objections(session, row),
        "rules": profile(row.profile),
        "seven": _seven(session, row),
        "target": session.get(Registration, row.registration_id) if row.registration_id else None,
        "type_name": type_of(row),
        "quality": [quality_of(one) for one in row.quality],
        "registration": session.scalar(
            select(Registration).where(Registration.application_id == row.id)
        ),
        "resources": _resources(session, row.resource_ids),
    }  # fmt: skip


def type_of(row: Application) -> str:
    """What the type of an application is called where it was made."""
    kind = profile(row.profile).types[row.type]
    return spoken(kind.zh, kind.en)


def ground_of(type_: str, ground: str | None) -> str:
    """A ground in words."""
    known = register.GROUNDS.get(type_, {})
    return tr(known[ground]) if ground in known else ""


def _seven(session: Session, row: Application) -> dict[str, Any]:
    """The seven materials: the application's own, or those of the first registration that it is about."""
    if row.registration_id is None:
        return row.materials
    target = session.get_one(Registration, row.registration_id)
    return session.get_one(Application, target.application_id).materials


def _asked(session: Session, row: Application) -> list[tuple[str, str]]:
    """What an application asks for, in words."""
    asked, found = dict(row.asked or {}), []
    for name, label in ASKED.items():
        value = asked.get(name)
        if not value:
            continue
        if name == "party_id":
            value = session.get_one(Party, value).name
        elif name == "agreement_id":
            agreement = session.get(Agreement, value)
            value = agreement.number if agreement else ""
        elif name == "right":
            value = tr(field.RIGHTS[value])
        elif name == "resource_ids":
            value = ", ".join(resource.code for resource in _resources(session, value))
        elif name == "deposit_ids":
            value = ", ".join(one.name for one in _deposits(session, value))
        found.append((tr(label), str(value)))
    return found


def _mend_address(session: Session, row: Application) -> str | None:
    """The form in which a returned application about a registration is mended."""
    if row.registration_id is None:
        return None
    target = session.get_one(Registration, row.registration_id)
    asked = {name: value for name, value in (row.asked or {}).items() if isinstance(value, str)}
    names = {"claim": "terms"}
    shown = {
        names.get(name, name): value for name, value in asked.items() if not name.endswith("_id")
    }
    endpoint = f"application_{registration_changes.VERBS[row.type]}"
    return nouns.address(endpoint, {
        "registration_code": target.code, "amends": row.number, "ground": row.ground or "",
        **row.materials, **shown,
    })  # fmt: skip


def _objections(session: Session, row: Application) -> list[Objection]:
    """The objections to an application that the reader may see."""
    wanted = select(Objection).where(Objection.application_id == row.id).order_by(Objection.id)
    if not allowed(door.actor(), "objection.read"):
        return []
    seen = visible(session, door.actor(), "objection")
    return list(session.scalars(wanted if seen is None else wanted.where(seen)))


def about_objection(session: Session, row: Objection) -> dict[str, Any]:
    """The application it is to; who raised it, for whoever decides."""
    me, application = door.actor(), session.get_one(Application, row.application_id)
    knows = bool(row.party_id)  # it is empty for whom it is hidden
    account = session.get(Account, row.raised_by) if knows else None
    return {
        "application": application,
        "files": [session.get_one(Deposit, one["deposit_id"]) for one in row.attachments]
        if knows else [],
        "may_see_application": allowed(me, "application.read", registering.owners(application)),
        "real_name": account.display_name if account else None,
    }  # fmt: skip


def application_facts(row: Application) -> dict[str, Any]:
    """The same for the form of its review, which is made from the deed."""
    with door.the_desk().home.reading() as session:
        party = session.get_one(Party, row.party_id)
        return {**about_application(session, row), "party": party.name}


def about_registration(session: Session, row: Registration) -> dict[str, Any]:
    """Where it comes from, and what rests on it, as far as the reader may see that."""
    me = door.actor()
    application = session.get(Application, row.application_id)
    agreement = session.get(Agreement, row.agreement_id) if row.agreement_id else None
    return {
        "agreement": agreement
        if agreement is not None
        and allowed(me, "agreement.read", (agreement.operator_id, agreement.implementer_id))
        else None,
        "application": application if allowed(me, "application.read", row.party_id) else None,
        "appraisals": _seen(session, "appraisal", Appraisal, row),
        "applications": _about(session, row),
        "ending_name": _ending(row),
        "type_of": type_of,
        "lapsed": row.state == "registered" and row.valid_until < door.the_desk().now,
        "resources": _resources(session, row.resource_ids),
        "vouchers": _seen(session, "voucher", Voucher, row),
    }  # fmt: skip


def _about(session: Session, row: Registration) -> list[Application]:
    """The applications about a registration that the reader may see."""
    if not allowed(door.actor(), "application.read"):
        return []
    wanted = select(Application).where(Application.registration_id == row.id)
    seen = visible(session, door.actor(), "application")
    found = wanted if seen is None else wanted.where(seen)
    return list(session.scalars(found.order_by(Application.id)))


def _ending(row: Registration) -> str:
    """Why a registration is no more, in words."""
    ground = (row.ending or {}).get("ground", "")
    known = {**register.GROUNDS["revocation"], **register.GROUNDS["cancellation"],
             "expired": "Not renewed in time"}  # fmt: skip
    return tr(known[ground]) if ground in known else ""


def _seen(session: Session, noun: str, model: Any, row: Registration) -> list[Any]:
    """What of a noun rests on a registration and may be seen by the reader."""
    wanted = select(model).where(model.registration_id == row.id).order_by(model.id)
    condition = visible(session, door.actor(), noun)
    return list(session.scalars(wanted if condition is None else wanted.where(condition)))


def _resources(session: Session, ids: Iterable[str]) -> list[Resource]:
    """Those of the resources that exist for the reader."""
    wanted = select(Resource).where(Resource.id.in_(list(ids)))
    seen = visible(session, door.actor(), "resource")
    wanted = wanted if seen is None else wanted.where(seen)
    return list(session.scalars(wanted.order_by(Resource.code)))


def _deposits(session: Session, ids: Iterable[str]) -> list[Deposit]:
    """The deposits in the order in which they are named."""
    return [session.get_one(Deposit, one) for one in ids]


def _due(what: str, due: Mapping[str, Any], days: int, today: date) -> dict[str, Any]:
    """A deadline: how many working days it is long, and how many are left."""
    left, _ = working_days_left(today, date.fromisoformat(due["on"]))
    return {**due, "days": days, "left": left, "what": what}


# -- public notices ----------------------------------------------------------------------------


@door.guard(field.notices)
def notices() -> str:
    """The applications on public notice, for everybody."""
    desk = door.the_desk()
    asked = {name: value for name, value in request.args.items() if value}
    found = desk.ask(field.notices, door.who, {}, asked)
    today = local_date(desk.now).isoformat()
    with desk.home.reading() as session:
        every = [one.types for one in profiles().values()]
        types = dict(ChainMap(dict(in_use(session).types), *map(dict, every)))
    return render_template(
        "notices.html", found=found, asked=asked, today=today,
        may_object=bool(door.actor().member_id) and allowed(door.actor(), "objection.raise"),
        type_names={name: spoken(one.zh, one.en) for name, one in types.items()},
    )  # fmt: skip
