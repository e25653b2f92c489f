"""The three lists 三张清单 and feedback: what their pages tell besides the row."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Flask, render_template, request, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import demands, feedback, log
from ledger.calendar import local_date
from ledger.catalogue import Audience, Resource, audiences, find
from ledger.demands import Demand
from ledger.errors import Missing
from ledger.exclusions import Exclusion, forbidden, overdue
from ledger.feedback import Feedback
from ledger.matching import names_of
from ledger.parties import Actor, actor_of, allowed
from ledger.proof.encoding import instant
from webapp import door
from webapp.deeds import DEEDS, QUESTIONS
from webapp.deeds.all import demands as demanding
from webapp.deeds.all import feedback as feeding
from webapp.deeds.all import responsibilities
from webapp.deeds.responsibilities import cycle
from webapp.language import language, tr
from webapp.pages import nouns
from webapp.pages.start import limit

# Why a resource may answer a demand: reason → what it says, over the facts of `ledger.matching`.
WHY = {
    "asked_for": "It was asked for by its code.",
    "items": "Among its data items: {words}.",
    "lacking": "Not among its data items: {words}.",
    "title": "In its title stands: {words}.",
    "keywords": "In its keywords stands: {words}.",
    "summary": "In its summary stands: {words}.",
    "cycle_fits": "Its update cycle ({cycle}) is as frequent as wanted.",
    "cycle_slower": "Its update cycle ({cycle}) is less frequent than wanted.",
    "sharing_unconditional": "It is shared without conditions.",
    "sharing_conditional": "It is shared under conditions: {condition}",
    "sharing_not_shared": "It is not shared.",
    "opening_unconditional": "It is open without conditions.",
    "opening_conditional": "It is open under conditions: {condition}",
    "opening_not_open": "It is not open.",
    "forbidden": "The negative list forbids this use: {entry}.",
}
# What is owed next, by the word that `due` has for it.
NEXT = {
    "assign": "The registrar names the department that has to answer.",
    "answer": "The department answers: it accepts, or refuses on a ground.",
    "supply": "The department supplies the data.",
    "decide": "The registrar decides on the appeal.",
}
FEEDBACK_NEXT = {**NEXT, "answer": "Whoever owes the answer gives it."}
NEXT_BY_STATE = {
    "fulfilled": "The demander closes the demand or appeals.",
    "refused": "The demander closes the demand or appeals.",
    "answered": "Who raised it closes it or appeals.",
}
# What happened, by the last word of a record's kind.
HAPPENED = {
    "submitted": "It was submitted.", "assigned": "It was assigned to a department.",
    "accepted": "The department accepted it.", "refused": "The department refused it.",
    "fulfilled": "The department supplied the data.", "closed": "It was closed.",
    "appealed": "An appeal was made.", "upheld": "The appeal was upheld.",
    "dismissed": "The appeal was dismissed.", "withdrawn": "It was withdrawn.",
    "raised": "It was raised.", "answered": "It was answered.",
    "succeeded": "It went over to the successor of an organisation.",
    "recounted": "Its day was counted anew by the calendar that was published.",
}  # fmt: skip
OPEN_STATES = ("submitted", "assigned", "refused", "appealed")


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and what templates ask for."""
    app.jinja_env.filters |= {"about": about, "left": left}
    app.jinja_env.globals |= {
        "DEMAND_MODES": demanding.MODES, "FEEDBACK_KINDS": feeding.KINDS,
        "FEEDBACK_VERDICTS": feeding.VERDICTS, "DEMAND_USES": demanding.USES, "cycle": cycle,
        "demand_address": demand_address, "feedback_on": feedback_on,
    }  # fmt: skip
    nouns.EXTRA |= {
        "demand": about_demand,
        "exclusion": about_exclusion,
        "feedback": about_feedback,
    }
    app.add_url_rule("/responsibilities", "responsibility_read", responsibility_list)
    app.add_url_rule("/demands/new", "demand_submit", demand_form, methods=["GET", "POST"])


# -- words ---------------------------------------------------------------------------------------


def left(due: Mapping[str, Any]) -> dict[str, Any]:
    """How a due day stands to today: its words and colour."""
    return limit({"deed": "", "due": due["on"]}, local_date(door.the_desk().now))


def about(value: str) -> str:
    """What feedback is about, in words."""
    kind, _, item = value.partition(":")
    return tr("Data item {item}", item=item) if item else tr(feeding.ABOUT.get(kind, kind))


def reasons(session: Session, why: list[Mapping[str, Any]]) -> list[str]:
    """The reasons of a match in words."""
    comma, made = "、" if language() == "zh" else ", ", []
    for one in why:
        entry = session.get(Exclusion, one.get("exclusion", ""))
        made.append(tr(
            WHY[one["reason"]], condition=one.get("condition") or tr("not said"),
            cycle=cycle(one.get("cycle")), entry=entry.number if entry else "",
            words=comma.join(one.get("words", ())),
        ))  # fmt: skip
    return made


# -- a demand ------------------------------------------------------------------------------------


@door.guard(demanding.submit)
def demand_form() -> Any:
    """The form of a demand; one for a resource that exists for him begins with its items and cycle."""
    if request.method == "POST":
        return nouns.submit(demanding.submit, {})
    values: dict[str, Any] = {**request.args.to_dict(), "items": []}
    with door.the_desk().home.reading() as session, suppress(Missing):
        row = find(session, door.actor(), values.get("resource", ""))
        values |= {
            "cycle": row.elements.get("update_cycle") or "", "items": names_of(row.elements),
            "title": values.get("title") or row.title,
        }  # fmt: skip
    return nouns.deed_page(demanding.submit, {}, values, {}, None)


def about_demand(session: Session, row: Demand) -> dict[str, Any]:
    """What happened and what comes next, and the resources that may answer, as the reader may see them."""
    me = door.actor()
    seen = demands.as_seen(session, me, row)
    looked = row.state in OPEN_STATES
    found = (
        [match.as_dict() for match in demands.matched(session, me, row)]
        if looked
        else seen["matches"]
    )
    known = {one.id: one for one in session.scalars(
        select(Resource).where(Resource.id.in_([match["id"] for match in found])))}  # fmt: skip
    demander = _submitter(session, row) if allowed(me, "demand.assign") else None
    entry = (seen["answer"] or {}).get("exclusion_id")
    return {
        "answer": seen["answer"], "outcome": seen["outcome"] or {},
        "entry": session.get(Exclusion, entry) if entry else None,
        "forbidden_by": _forbidden_by(session, me, row, seen),
        "looked": looked,
        "matches": [
            {
                **match, "provider": known[match["id"]].provider,
                "hidden": demander is not None and not demander.sees(known[match["id"]]),
                "own": known[match["id"]].provider_id in me.parties,
                "reasons": reasons(session, match["why"]),
            }
            for match in found if match["id"] in known
        ],
        "resource": session.get(Resource, seen["resource_id"]) if seen["resource_id"] else None,
        "steps": steps(session, row),
    }  # fmt: skip


def _submitter(session: Session, row: Demand) -> Audience:
    return audiences(session, actor_of(session, row.submitted_by))


def _forbidden_by(
    session: Session, me: Actor, row: Demand, seen: Mapping[str, Any]
) -> Exclusion | None:  # fmt: skip
    """The entry that forbids the use of the resource asked for, for whoever sees that resource."""
    if row.state not in ("submitted", "assigned", "accepted") or not seen["resource_id"]:
        return None
    found = forbidden(session, seen["resource_id"], row.use)
    return found if found is not None and allowed(me, "exclusion.read") else None


def steps(session: Session, row: Demand | Feedback) -> list[dict[str, Any]]:
    """What happened, each with its time and ground, and what comes next with its last day."""
    made: list[dict[str, Any]] = [
        {
            "at": instant(record.at),
            "ground": _ground(record),
            "happened": HAPPENED[record.kind.partition(".")[2]],
        }
        for record in log.history(session, row.id)
    ]
    if row.due is not None:
        table = NEXT if isinstance(row, Demand) else FEEDBACK_NEXT
        made.append({"due": row.due, "next": table[row.due["what"]]})
    elif row.state in NEXT_BY_STATE:
        made.append({"due": None, "next": NEXT_BY_STATE[row.state]})
    return made


def _ground(record: log.Record) -> str | None:
    """The ground a deed stated; of a succession the record only names it."""
    reason: str | None = log.payload_of(record)["reason"]
    return None if record.kind.endswith(".succeeded") else reason


# -- the negative list, feedback -----------------------------------------------------------------


def about_exclusion(session: Session, row: Exclusion) -> dict[str, Any]:
    """Its resource, and whether its review is overdue."""
    return {
        "overdue": overdue(row, local_date(door.the_desk().now)),
        "resource": session.get(Resource, row.resource_id) if row.resource_id else None,
    }  # fmt: skip


def about_feedback(session: Session, row: Feedback) -> dict[str, Any]:
    """Its resource while that exists for the reader, and what happened."""
    seen = feedback.as_seen(session, door.actor(), row)
    return {
        "answer": row.answer, "outcome": row.outcome or {}, "resource": seen["resource"],
        "steps": steps(session, row),
    }  # fmt: skip


def feedback_on(row: Resource) -> dict[str, Any]:
    """What was raised on a resource, as the reader may see it, and what he may begin."""
    me = door.actor()
    keys = {"resource_code": row.code}
    found = door.the_desk().ask(QUESTIONS["feedback.of_resource"], door.who, keys, {})
    with door.the_desk().home.reading() as session:
        wanted = select(Exclusion).where(
            Exclusion.resource_id == row.id, Exclusion.state == "in_force"
        )
        entries = list(session.scalars(wanted)) if allowed(me, "exclusion.read") else []
    return {
        **found, "entries": entries
    }  # fmt: skip


def demand_address(row: Resource) -> str | None:
    """The form of a demand for a resource, for whoever may submit one."""
    if row.state != "listed" or not allowed(door.actor(), DEEDS["demand.submit"].verb):
        return None
    return url_for("demand_submit", resource=row.code)


# -- the responsibility list ---------------------------------------------------------------------


@door.guard(responsibilities.show)
def responsibility_list() -> str:
    """What each department answers for, by when, and what of it is late."""
    found = door.the_desk().ask(responsibilities.show, door.who, {}, {})
    return render_template(
        "responsibilities.html", found=found, question=responsibilities.show,
        address=nouns.page_of, late=sum(one["late_count"] for one in found["items"]),
    )  # fmt: skip
