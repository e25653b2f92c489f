"""Registration: what the pages of its nouns tell besides the row, and the public notices."""

from collections.abc import Iterable, Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from flask import Flask, render_template, request
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import log
from ledger import registration as registering
from ledger.agreements import Agreement
from ledger.appraisals import Appraisal
from ledger.calendar import local_date, working_days_left
from ledger.catalogue import Resource
from ledger.parties import Party, allowed
from ledger.registration import Application, Deposit, Registration
from ledger.vouchers import Voucher
from valuation import methods
from webapp import door
from webapp.deeds import QUESTIONS
from webapp.deeds.all import field
from webapp.deeds.subjects import visible
from webapp.pages import nouns, wizard


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.filters["percent"] = percent
    app.jinja_env.globals |= {
        "application_facts": application_facts, "MATERIALS": field.MATERIALS,
        "COMPLIANCE": field.COMPLIANCE, "ELEMENTS": field.ELEMENTS, "OBJECTS": field.OBJECTS,
        "MODES": field.MODES, "RIGHTS": field.RIGHTS,
    }  # fmt: skip
    nouns.EXTRA |= {
        "agreement": about_agreement, "application": about_application,
        "registration": about_registration,
    }  # fmt: skip
    wizard.enter(app)
    app.add_url_rule("/notices", "notices", notices)


def about_application(session: Session, row: Application) -> dict[str, Any]:
    """Its agreement, resources, files and their quality, deadlines, ground, and registration."""
    me, today = door.actor(), local_date(door.the_desk().now)
    agreement = session.get(Agreement, row.agreement_id) if row.agreement_id else None
    last = log.history(session, row.id)[-1]
    limits = {
        "accept": registering.ACCEPT_WORKING_DAYS, "review": registering.REVIEW_WORKING_DAYS,
    }  # fmt: skip
    return {
        "agreement": agreement,
        "deposits": _deposits(session, row.deposit_ids),
        "due": [_due(what, due, limits.get(what, 0), today) for what, due in row.deadlines.items()],
        "ground": log.payload_of(last)["reason"] if row.state != "returned" else None,
        "may_mend": row.state == "returned" and allowed(me, field.submit.verb, row.party_id),
        "may_see_agreement": agreement is not None
        and allowed(me, "agreement.read", (agreement.operator_id, agreement.implementer_id)),
        "may_see_deposits": allowed(me, "evidence.read", row.party_id),
        "notice_due": _due("notice", row.notice["until"], registering.NOTICE_WORKING_DAYS, today)
        if row.notice else None,
        "quality": [quality_of(profile) for profile in row.quality],
        "registration": session.scalar(
            select(Registration).where(Registration.application_id == row.id)
        ),
        "resources": _resources(session, row.resource_ids),
    }  # fmt: skip


def application_facts(row: Application) -> dict[str, Any]:
    """The same for the form of its review, which is made from the deed."""
    with door.the_desk().home.reading() as session:
        party = session.get_one(Party, row.party_id)
        return {**about_application(session, row), "party": party.name}


def about_agreement(session: Session, row: Agreement) -> dict[str, Any]:
    """Its resources, the schemes agreed under it, and what is registered under it."""
    schemes = None
    owners = (row.operator_id, row.implementer_id)
    if allowed(door.actor(), "scheme.read", owners):
        keys = {"agreement_number": row.number}
        schemes = door.the_desk().ask(QUESTIONS["scheme.list"], door.who, keys, {"limit": "200"})[
            "items"
        ]
    wanted = select(Registration).where(Registration.agreement_id == row.id)
    return {
        "registrations": session.scalars(wanted.order_by(Registration.id)).all(),
        "resources": _resources(session, row.resource_ids), "schemes": schemes,
    }  # fmt: skip


def about_registration(session: Session, row: Registration) -> dict[str, Any]:
    """Where it comes from, and what rests on it, as far as the reader may see that."""
    me = door.actor()
    application = session.get_one(Application, row.application_id)
    agreement = session.get(Agreement, row.agreement_id) if row.agreement_id else None
    return {
        "agreement": agreement
        if agreement is not None
        and allowed(me, "agreement.read", (agreement.operator_id, agreement.implementer_id))
        else None,
        "application": application if allowed(me, "application.read", row.party_id) else None,
        "appraisals": _seen(session, "appraisal", Appraisal, row),
        "lapsed": row.state == "registered" and row.valid_until < door.the_desk().now,
        "resources": _resources(session, row.resource_ids),
        "vouchers": _seen(session, "voucher", Voucher, row),
    }  # fmt: skip


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


def quality_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A measured profile for the eye: each indicator with its score, the weakest, the whole."""
    made = []
    for one in profile["indicators"]:
        share = Fraction(one["a"], one["b"])
        made.append({**one, "score": 1 - share if one["inverse"] else share})
    least = min((one["score"] for one in made), default=None)
    weakest = [one for one in made if one["score"] == least and least != 1]
    given = [{"a": i["a"], "b": i["b"], "code": i["code"], "weight": "1"} for i in made]
    version = methods.describe("quality")["version"]
    inputs = {"inputs": {"indicators": given}, "method": "quality", "version": version}
    return {
        **profile, "indicators": made, "score": methods.run(inputs).value if made else None,
        "weakest": weakest,
    }  # fmt: skip


def percent(share: Fraction) -> str:
    """A share in percent, rounded down: what is not perfect never reads as 100 %."""
    hundredths = share.numerator * 10_000 // share.denominator
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


# -- public notices ----------------------------------------------------------------------------


@door.guard(field.notices)
def notices() -> str:
    """The applications on public notice, for everybody."""
    desk = door.the_desk()
    asked = {name: value for name, value in request.args.items() if value}
    found = desk.ask(field.notices, door.who, {}, asked)
    today = local_date(desk.now).isoformat()
    return render_template("notices.html", found=found, asked=asked, today=today)
