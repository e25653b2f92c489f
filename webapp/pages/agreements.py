"""Operation agreements: what their page tells besides the row, evaluations due, and the disclosure."""

from typing import Any

from flask import Flask, render_template, request
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import evaluations, prices
from ledger.agreements import Agreement, runs_on
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.evaluations import Evaluation
from ledger.parties import allowed
from ledger.registration import Registration
from ledger.trading import Licence
from ledger.vouchers import Voucher
from webapp import door
from webapp.deeds import QUESTIONS
from webapp.deeds import agreements as deeds
from webapp.deeds.subjects import visible
from webapp.pages import nouns


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.globals |= {
        "ELEMENTS": deeds.ELEMENTS, "MODES": deeds.MODES, "END_KINDS": deeds.END_KINDS,
        "HAND_BACK_POINTS": deeds.POINTS, "EVALUATION_VERDICTS": deeds.VERDICTS,
    }  # fmt: skip
    nouns.EXTRA |= {"agreement": about_agreement, "evaluation": about_evaluation}
    app.add_url_rule("/disclosures", "disclosure_list", disclosures)
    app.add_url_rule("/evaluations/due", "evaluation_due", evaluations_due)


def about_agreement(session: Session, row: Agreement) -> dict[str, Any]:
    """Its resources, its schemes, what is registered and licensed under it, and its evaluations."""
    schemes = None
    sides = (row.operator_id, row.implementer_id)
    today = local_date(door.the_desk().now)
    if allowed(door.actor(), "scheme.read", sides):
        keys = {"agreement_number": row.number}
        schemes = door.the_desk().ask(QUESTIONS["scheme.list"], door.who, keys, {"limit": "200"})[
            "items"
        ]
    wanted = select(Registration).where(Registration.agreement_id == row.id)
    may_see = allowed(door.actor(), "evaluation.read", sides)
    return {
        "evaluations": evaluations.of(session, row) if may_see else None,
        "evaluations_due": evaluations.open_periods(session, row, today) if may_see else [],
        "licences": _licences(session, row),
        "licences_seen": _licences_seen(session, row),
        "registrations": session.scalars(wanted.order_by(Registration.id)).all(),
        "prices": prices.of(session, row) if allowed(door.actor(), "price.read", sides) else None,
        "resources": _resources(session, row.resource_ids), "runs": runs_on(row, today),
        "schemes": schemes, "today": today.isoformat(),
    }  # fmt: skip


def _under(row: Agreement) -> Any:
    return (
        select(Licence)
        .join(Voucher, Voucher.id == Licence.voucher_id)
        .join(Registration, Registration.id == Voucher.registration_id)
        .where(Registration.agreement_id == row.id)
        .order_by(Licence.id)
    )


def _licences(session: Session, row: Agreement) -> list[Licence]:
    """The licences sold under it, for both sides and who supervises them; none for other bodies."""
    sides = (row.operator_id, row.implementer_id)
    return list(session.scalars(_under(row))) if allowed(door.actor(), "scheme.read", sides) else []


def _licences_seen(session: Session, row: Agreement) -> set[str]:
    """The ids of those whose own page the reader may see."""
    seen, wanted = visible(session, door.actor(), "licence"), _under(row)
    return {one.id for one in session.scalars(wanted if seen is None else wanted.where(seen))}


def about_evaluation(session: Session, row: Evaluation) -> dict[str, Any]:
    """The agreement it is of."""
    return {"agreement": session.get_one(Agreement, row.agreement_id)}


def _resources(session: Session, ids: list[str]) -> list[Resource]:
    """Those of the resources that exist for the reader."""
    wanted = select(Resource).where(Resource.id.in_(ids))
    seen = visible(session, door.actor(), "resource")
    wanted = wanted if seen is None else wanted.where(seen)
    return list(session.scalars(wanted.order_by(Resource.code)))


@door.guard(deeds.disclosures)
def disclosures() -> str:
    """The agreements in force, for everybody."""
    desk = door.the_desk()
    asked = {name: value for name, value in request.args.items() if value}
    found = desk.ask(deeds.disclosures, door.who, {}, asked)
    return render_template("agreement_disclosures.html", found=found, asked=asked)


@door.guard(deeds.evaluations_due)
def evaluations_due() -> str:
    """The years of agreements that wait for their evaluation."""
    found = door.the_desk().ask(deeds.evaluations_due, door.who, {}, {})
    return render_template("agreement_evaluations_due.html", found=found)
