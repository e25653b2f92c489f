"""The regulator's overview, what an alarm's page needs, and what a freeze is about."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, render_template, url_for
from flask_limiter import Limiter
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import alarms
from ledger.alarm_rows import Alarm
from ledger.calendar import local_date
from ledger.errors import fill, spoken
from ledger.parties import Party, allowed
from ledger.registration import Registration
from ledger.trading import Licence
from ledger.vouchers import Voucher
from webapp import audits, door
from webapp.deeds.all import alarms as deeds
from webapp.deeds.subjects import BY_NOUN
from webapp.language import translate
from webapp.pages import nouns


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the route, and what the templates ask for."""
    app.jinja_env.globals |= {
        "ALARM_KINDS": deeds.KINDS, "ALARM_STATES": deeds.STATES, "freeze_facts": freeze_facts,
        "alarm_said": lambda row: _said(row.template, row.facts),
    }  # fmt: skip
    nouns.EXTRA["alarm"] = about_alarm
    app.add_url_rule("/supervision", "supervision_read", overview)


@door.guard(deeds.overview)
def overview() -> str:
    """Alarms by kind and state, and the oldest that are open."""
    found = door.the_desk().ask(deeds.overview, door.who, {}, {})
    for one in found["oldest"]:
        one["told"] = _said(one["reason"]["template"], one["reason"]["facts"])
    return render_template("supervision.html", question=deeds.overview, found=found)


def about_alarm(session: Session, row: Alarm) -> dict[str, Any]:
    """What is wrong in the reader's words, and where its subject is."""
    seen = row.about_type in BY_NOUN and f"{row.about_type}_read" in _endpoints()
    subject = BY_NOUN[row.about_type] if seen else None
    found = session.get(subject.model, row.about_id) if subject else None
    may = subject and found and allowed(
        door.actor(), f"{row.about_type}.read", subject.owners(session, found)
    )  # fmt: skip
    return {
        "about": nouns.page_of(row.about_type, subject.number(found)) if subject and may else None,
        "first": [audits.told(one) for one in row.facts.get("first", [])],
        "late": alarms.is_late(row, local_date(door.the_desk().now).isoformat()),
        "told": _said(row.template, row.facts),
    }


def _said(template: str, facts: Mapping[str, Any]) -> str:
    """What is wrong, as the reader's language says it."""
    return fill(translate(template), spoken(facts, translate))


def _endpoints() -> Any:
    from flask import current_app  # noqa: PLC0415

    return current_app.view_functions


def freeze_facts(row: Voucher | Registration) -> dict[str, Any]:
    """Whom a freeze would touch: the holder, the vouchers, and the licences under them."""
    with door.the_desk().home.reading() as session:
        wanted = select(Voucher).where(Voucher.state.in_(("valid", "suspended")))
        if isinstance(row, Voucher):
            wanted = wanted.where(Voucher.id == row.id)
        else:
            wanted = wanted.where(Voucher.registration_id == row.id)
        found = list(session.scalars(wanted.order_by(Voucher.id)))
        under = select(func.count()).select_from(Licence).where(
            Licence.voucher_id.in_([one.id for one in found]), Licence.state == "granted"
        )  # fmt: skip
        return {
            "holder": session.get_one(Party, row.party_id).name,
            "licences": session.scalar(under) or 0,
            "vouchers": [(one.number, url_for("voucher_read", voucher_number=one.number),
                          "frozen" if one.frozen else one.state) for one in found],
        }  # fmt: skip
