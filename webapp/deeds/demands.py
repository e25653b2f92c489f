"""The deeds of the demand list 需求清单: what is wanted, who answers it, what came of it."""

from datetime import date
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import catalogue, demands, exclusions, parties
from ledger.calendar import days_overdue, local_date
from ledger.catalogue_values import CYCLES
from ledger.demands import Demand
from ledger.exclusions import Exclusion
from ledger.parties import Actor
from webapp.deeds import Deed, Desk, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, text, texts
from webapp.deeds.forms import day as day_field
from webapp.deeds.subjects import SUBJECTS

USES = {
    "sharing": "Sharing between public bodies", "opening": "Opening to everybody",
    "operation": "Operation under an agreement",
}  # fmt: skip
MODES = {
    "interface": "Interface", "file": "File", "database": "Database exchange", "medium": "On a medium",
    "open_site": "On the open data site", "operation": "By the operator under its agreement",
}  # fmt: skip
CYCLE_NAMES = {freq: cycle.en for freq, cycle in CYCLES.items()}
ONE = "/demands/<demand_number>"


class DemandBody(Body):
    """What is wanted, and for what."""

    title = text("Title", most=200, hint="what the data are about, in words of the catalogue")
    resource = text("Resource asked for", most=64, required=False, blank=True,
                    hint="its catalogue code, if you know it")  # fmt: skip
    items = texts("Data items wanted", hint="one a line, such as 企业名称")
    purpose = text("Purpose of use", area=True, hint="what the data are used for")
    use = text("How the data are to come", choices=USES)
    basis = text(
        "Legal basis", area=True, hint="the function, rule or contract that needs the data"
    )
    cycle = text("Update cycle wanted", required=False, blank=True, choices={"": "", **CYCLE_NAMES})
    for_name = text("Acting for", most=200, required=False, blank=True,
                    hint="a broker names the organisation he acts for; others leave it empty")  # fmt: skip


class AssignBody(Body):
    """Who has to answer."""

    department = text("Responsible department", most=18, source="parties",
                      hint="its social credit code")  # fmt: skip


class AcceptBody(Body):
    """What is supplied, how, and by which day."""

    resource = text("Resource", most=64, hint="the catalogue code of a resource of your department")
    mode = text("Mode of supply", choices=MODES)
    by_on = day_field("Supplied by", hint="it stands on the responsibility list with this day")


class RefuseBody(Body):
    """On which ground it is refused."""

    ground = text("Legal ground", area=True, hint="as it is told to those concerned")
    exclusion = text("Entry of the negative list", most=40, required=False, blank=True,
                     hint="its number, if one in force forbids this use")  # fmt: skip


class FulfilBody(Body):
    """What was supplied, and how."""

    resource = text("Resource", most=64, required=False, blank=True,
                    hint="empty: the one that was accepted")  # fmt: skip
    mode = text("Mode of supply", required=False, blank=True, choices={"": "", **MODES},
                hint="empty: as it was accepted")  # fmt: skip
    how = text("How it was supplied", area=True, hint="where the data are found, since when")


class WhyAnswer(Schema):
    """One resource that may answer a demand, and each reason by its name with its facts."""

    code = fields.String(required=True)
    id = fields.String(required=True)
    title = fields.String(required=True)
    score = fields.Integer(required=True)
    why = fields.List(fields.Dict(), required=True)


class MatchesAnswer(Schema):
    """The resources that may answer a demand, the best first, as far as they exist for the reader."""

    items = fields.List(fields.Nested(WhyAnswer), required=True)


DemandShown = type(
    "DemandShownAnswer", (shown_schema(Demand),), {"days_late": fields.Integer(required=True)}
)


@deed("demand.submit", "/demands", "Submit a demand",
      "Demand {number} is submitted; it is {state}, and the next step is due by {due}.",
      body=DemandBody)  # fmt: skip
def submit(
    desk: Desk, session: Session, actor: Actor, *, resource: str = "", cycle: str = "",
    for_name: str = "", **body: Any,
) -> dict[str, Any]:  # fmt: skip
    asked = catalogue.find(session, actor, resource.strip()) if resource.strip() else None
    made = demands.submit(
        session, actor, desk.now, resource=asked, cycle=cycle or None, for_name=for_name or None, **body
    )  # fmt: skip
    return _facts(made)


def _facts(found: Demand) -> dict[str, Any]:
    return {"due": (found.due or {}).get("on"), "number": found.number, "state": found.state}


def _department(_session: Session, found: Demand) -> tuple[str, ...]:
    return (found.department_id,) if found.department_id else ()


def _demander(_session: Session, found: Demand) -> tuple[str, ...]:
    return (found.party_id,)


@deed("demand.assign", f"{ONE}/assign", "Assign to a department",
      "Demand {number} is assigned; the answer is due by {due}.",
      body=AssignBody, changes=True)  # fmt: skip
def assign(
    desk: Desk, session: Session, actor: Actor, found: Demand, department: str
) -> dict[str, Any]:
    demands.assign(session, actor, desk.now, found, parties.party_by_uscc(session, department))
    return _facts(found)


@deed("demand.accept", f"{ONE}/accept", "Accept the demand",
      "Demand {number} is accepted; the data are due by {due}.", body=AcceptBody, changes=True,
      owners=_department)  # fmt: skip
def accept(
    desk: Desk, session: Session, actor: Actor, found: Demand, resource: str, mode: str, by_on: date
) -> dict[str, Any]:
    row = catalogue.find(session, actor, resource.strip())
    demands.accept(session, actor, desk.now, found, resource=row, mode=mode, by_on=by_on)
    return _facts(found)


@deed("demand.refuse", f"{ONE}/refuse", "Refuse the demand", "Demand {number} is refused.",
      body=RefuseBody, changes=True, owners=_department)  # fmt: skip
def refuse(
    desk: Desk, session: Session, actor: Actor, found: Demand, ground: str, exclusion: str = ""
) -> dict[str, Any]:
    entry = entry_of(session, actor, exclusion.strip()) if exclusion.strip() else None
    demands.refuse(session, actor, desk.now, found, ground=ground, exclusion=entry)
    return _facts(found)


def entry_of(session: Session, actor: Actor, number: str) -> Exclusion:
    """The entry of the negative list with a number, if it exists for the actor; raises Missing."""
    found = exclusions.by_number(session, number)
    SUBJECTS["exclusion_number"].require_seen(session, actor, found)
    return found


@deed("demand.fulfil", f"{ONE}/fulfil", "Say it was supplied", "Demand {number} is fulfilled.",
      body=FulfilBody, changes=True, owners=_department)  # fmt: skip
def fulfil(
    desk: Desk, session: Session, actor: Actor, found: Demand, how: str, resource: str = "",
    mode: str = "",
) -> dict[str, Any]:  # fmt: skip
    row = session.get(catalogue.Resource, found.resource_id) if found.resource_id else None
    if resource.strip() or row is None:
        row = catalogue.find(session, actor, resource.strip())
    mode = mode or str((found.answer or {}).get("mode", ""))
    demands.fulfil(session, actor, desk.now, found, resource=row, mode=mode, how=how)
    return _facts(found)


@deed("demand.close", f"{ONE}/close", "Close the demand", "Demand {number} is closed.", changes=True,
      owners=_demander)  # fmt: skip
def close(desk: Desk, session: Session, actor: Actor, found: Demand) -> dict[str, Any]:
    demands.close(session, actor, desk.now, found)
    return _facts(found)


def _on_a_ground(verb: str, title: str, says: str, act: Any, **more: Any) -> Deed:
    """A deed on a demand that states its ground and nothing more."""

    def whole(
        desk: Desk, session: Session, actor: Actor, found: Demand, reason: str
    ) -> dict[str, Any]:
        act(session, actor, desk.now, found, reason)
        return _facts(found)

    path = f"{ONE}/{verb.partition('.')[2]}"
    return deed(verb, path, title, says, body=ReasonBody, changes=True, **more)(whole)


appeal = _on_a_ground("demand.appeal", "Appeal",
                      "Demand {number} goes to the registrar, who decides by {due}.",
                      demands.appeal, owners=_demander)  # fmt: skip
uphold = _on_a_ground("demand.uphold", "Uphold the appeal",
                      "The appeal on demand {number} is upheld; a new answer is due by {due}.",
                      demands.uphold)  # fmt: skip
dismiss = _on_a_ground("demand.dismiss", "Dismiss the appeal",
                       "The appeal on demand {number} is dismissed.", demands.dismiss)  # fmt: skip
withdraw = _on_a_ground("demand.withdraw", "Withdraw the demand", "Demand {number} is withdrawn.",
                        demands.withdraw, owners=_demander)  # fmt: skip

list_demands = lists("demand", "/demands", "Demands",
                     "number title use party_id department_id due state submitted_at",
                     (Demand.number, Demand.title, Demand.items))  # fmt: skip


@question("demand.read", ONE, "Demand", answer=DemandShown)
def show(desk: Desk, session: Session, actor: Actor, found: Demand) -> dict[str, Any]:
    """A demand as far as its reader may see it: no resource that does not exist for him."""
    return {
        **demands.as_seen(session, actor, found), "history": history_of(session, found.id),
        "days_late": days_overdue(found.due, local_date(desk.now)),
    }  # fmt: skip


@question("demand.read", f"{ONE}/matches", "Resources that may answer it", name="demand.matches",
          answer=MatchesAnswer)  # fmt: skip
def show_matches(
    _desk: Desk, session: Session, actor: Actor, found: Demand
) -> dict[str, list[Any]]:
    """The catalogue looked through anew, as far as it exists for the reader: all of it for a registrar."""
    return {"items": [match.as_dict() for match in demands.matched(session, actor, found)]}
