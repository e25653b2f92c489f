"""The regulator's overview 监管总览, alarms 预警, and the freeze of all vouchers of a registration."""

from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import alarm_rules, alarms, freezes
from ledger.alarm_rows import Alarm
from ledger.calendar import local_date
from ledger.errors import fill
from ledger.parties import Actor, Party
from ledger.proof.encoding import instant
from ledger.registration import Registration
from ledger.vouchers import Voucher
from webapp.deeds import Desk, deed, question
from webapp.deeds.answers import PAGE, PageQuery, history_of, list_schema, page_of, shown_schema
from webapp.deeds.circulation import FreezeBody
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, text

ONE = "/alarms/<alarm_number>"
OLDEST = 20
KINDS = {
    "overdue": "Overdue", "lapsed_used": "Used after its lapse", "outside_scene": "Outside its scene",
    "above_cap": "Price above the cap", "audit_difference": "Audit difference",
    "fork": "Forked history", "act_failed": "Failed on chain",
}  # fmt: skip
assert set(KINDS) == set(alarm_rules.KINDS)
STATES = ("raised", "explained", "closed", "resolved")
LISTED = ("number", "kind", "about_type", "about_number", "owner_id", "raised_at", "due", "state")


class ExplainBody(Body):
    """How an alarm came about."""

    text = text("Explanation", area=True, hint="how it came about and what was done")


class AlarmQuery(PageQuery):
    """Which alarms are wanted."""

    kind = text("Kind", required=False, blank=True, choices={"": "All", **KINDS})


AlarmShown: type[Schema] = type(
    "AlarmShownAnswer", (shown_schema(Alarm),), {"told": fields.String(required=True)}
)


class AlarmCounts(Schema):
    """How many alarms of a kind stand in each state, and how many were not answered in time."""

    kind = fields.String(required=True)
    raised = fields.Integer(required=True)
    explained = fields.Integer(required=True)
    closed = fields.Integer(required=True)
    resolved = fields.Integer(required=True)
    late = fields.Integer(required=True)


class OpenAlarm(Schema):
    """An alarm that is still open."""

    number = fields.String(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True)
    owner = fields.String(required=True, allow_none=True)
    raised_at = fields.String(required=True)
    due_on = fields.String(required=True, allow_none=True)
    late = fields.Boolean(required=True)
    told = fields.String(required=True)
    reason = fields.Dict(required=True)


class SupervisionAnswer(Schema):
    """The overview, as of a day: alarms by kind and state, the oldest open ones, what is frozen."""

    day = fields.String(required=True)
    kinds = fields.List(fields.Nested(AlarmCounts), required=True)
    oldest = fields.List(fields.Nested(OpenAlarm), required=True)
    frozen = fields.Integer(required=True)


@question("supervision.read", "/supervision", "Supervision overview", answer=SupervisionAnswer)
def overview(desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    """How many alarms there are, and the oldest that are still open."""
    today = local_date(desk.now).isoformat()
    counts, late = alarms.counts(session), alarms.late(session, today)
    names = dict(session.execute(select(Party.id, Party.name)).tuples().all())
    frozen = select(func.count()).select_from(Voucher).where(Voucher.frozen.is_(True))
    return {
        "day": today,
        "frozen": session.scalar(frozen) or 0,
        "kinds": [
            {"kind": kind, "late": late.get(kind, 0),
             **{state: counts.get((kind, state), 0) for state in STATES}}
            for kind in KINDS
        ],
        "oldest": [
            {"due_on": row.due["on"] if row.due else None, "kind": row.kind,
             "late": alarms.is_late(row, today), "number": row.number,
             "owner": names.get(row.owner_id or ""), "raised_at": instant(row.raised_at),
             "reason": {"facts": row.facts, "template": row.template}, "state": row.state,
             "told": told(row)}
            for row in alarms.oldest(session, OLDEST)
        ],
    }  # fmt: skip


def told(row: Alarm) -> str:
    """What is wrong, as a sentence."""
    return fill(row.template, row.facts)


@question("alarm.read", "/alarms", "Alarms of supervision", name="alarm.list",
          answer=list_schema(Alarm, LISTED), query=AlarmQuery, listed=True)  # fmt: skip
def list_alarms(
    _desk: Desk, session: Session, actor: Actor, limit: int = PAGE, after: str = "", words: str = "",
    state: str = "", kind: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Those that the person may see, the newest first."""
    rows = page_of(session, actor, "alarm", limit=limit, after=after, words=words, state=state,
                   columns=(Alarm.number, Alarm.about_number),
                   where=Alarm.kind == kind if kind else None)  # fmt: skip
    kept = rows[:limit]
    bodies = [row.body() for row in kept]
    return {
        "items": [{name: body[name] for name in ("id", "version", *LISTED)} for body in bodies],
        "next": kept[-1].id if len(rows) > limit else None,
    }


@question("alarm.read", ONE, "Alarm", answer=AlarmShown)
def show(_desk: Desk, session: Session, _actor: Actor, found: Alarm) -> dict[str, Any]:
    """As recorded, with what is wrong as a sentence, and its history."""
    return {**found.body(), "history": history_of(session, found.id), "told": told(found)}


def _facts(found: Alarm) -> dict[str, Any]:
    return {"number": found.number, "state": found.state}


@deed("alarm.explain", f"{ONE}/explain", "Explain", "Alarm {number} is explained; the regulator decides.",
      body=ExplainBody, changes=True)  # fmt: skip
def explain(desk: Desk, session: Session, actor: Actor, found: Alarm, text: str) -> dict[str, Any]:
    alarms.explain(session, actor, desk.now, found, text)
    return _facts(found)


@deed("alarm.close", f"{ONE}/close", "Close the alarm", "Alarm {number} is closed.", body=ReasonBody,
      changes=True)  # fmt: skip
def close(desk: Desk, session: Session, actor: Actor, found: Alarm, reason: str) -> dict[str, Any]:
    alarms.close(session, actor, desk.now, found, reason)
    return _facts(found)


@deed("alarm.reopen", f"{ONE}/reopen", "Ask for another explanation",
      "Alarm {number} is to be explained anew.", body=ReasonBody, changes=True)  # fmt: skip
def reopen(desk: Desk, session: Session, actor: Actor, found: Alarm, reason: str) -> dict[str, Any]:
    alarms.reopen(session, actor, desk.now, found, reason)
    return _facts(found)


# -- all vouchers of a registration --------------------------------------------------------------------


def _change_all(verb: str, title: str, says: str) -> Any:
    def act(
        desk: Desk, session: Session, actor: Actor, found: Registration, basis: str, reason: str
    ) -> dict[str, Any]:
        made = freezes.change_all(session, actor, desk.now, found, verb, basis=basis, reason=reason,
                                   origin=desk.origin)  # fmt: skip
        return {"code": found.code, "count": len(made), "vouchers": [row.number for row in made]}

    return deed(f"registration.{verb}", f"/registrations/<registration_code>/{verb}", title, says,
                body=FreezeBody)(act)  # fmt: skip


FREEZES = {
    "freeze": _change_all(
        "freeze", "Freeze all its vouchers", "{count} vouchers of registration {code} are frozen."
    ),
    "unfreeze": _change_all(
        "unfreeze", "Unfreeze all its vouchers",
        "{count} vouchers of registration {code} are no longer frozen.",
    ),
}  # fmt: skip
