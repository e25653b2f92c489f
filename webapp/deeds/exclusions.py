"""The deeds of the negative list 负面清单: entries proposed, approved by another one, reviewed, ended."""

from datetime import date
from typing import Any

from sqlalchemy.orm import Session

from ledger import catalogue, exclusions
from ledger.exclusions import Exclusion
from ledger.parties import Actor
from webapp.deeds import Deed, Desk, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema
from webapp.deeds.demands import USES
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, text, texts
from webapp.deeds.forms import day as day_field

ONE = "/exclusions/<exclusion_number>"


class ExclusionBody(Body):
    """What may not be done with which data, and on which legal ground."""

    title = text("Title", most=200, hint="the data concerned")
    resource = text("Resource", most=64, required=False, blank=True,
                    hint="its catalogue code; empty: a kind of data of your department")  # fmt: skip
    forbids = texts("What is forbidden", choices=USES)
    basis = text("Legal basis", area=True, hint="law, rule and article")
    from_on = day_field("First day")
    review_on = day_field("To be reviewed by", hint="at most two years after the first day")


@deed("exclusion.propose", "/exclusions", "Propose an entry",
      "Entry {number} is proposed; the registrar decides.", body=ExclusionBody)  # fmt: skip
def propose(
    desk: Desk, session: Session, actor: Actor, *, resource: str = "", from_on: date, review_on: date,
    **body: Any,
) -> dict[str, Any]:  # fmt: skip
    row = catalogue.find(session, actor, resource.strip()) if resource.strip() else None
    made = exclusions.propose(
        session, actor, desk.now, resource=row, from_on=from_on, review_on=review_on, **body
    )
    return _facts(made)


def _facts(found: Exclusion) -> dict[str, Any]:
    return {"number": found.number, "state": found.state}


@deed("exclusion.approve", f"{ONE}/approve", "Put in force", "Entry {number} is in force.",
      changes=True)  # fmt: skip
def approve(desk: Desk, session: Session, actor: Actor, found: Exclusion) -> dict[str, Any]:
    exclusions.approve(session, actor, desk.now, found)
    return _facts(found)


def _on_a_ground(verb: str, title: str, says: str, act: Any) -> Deed:
    def whole(
        desk: Desk, session: Session, actor: Actor, found: Exclusion, reason: str
    ) -> dict[str, Any]:
        act(session, actor, desk.now, found, reason)
        return _facts(found)

    path = f"{ONE}/{verb.partition('.')[2]}"
    return deed(verb, path, title, says, body=ReasonBody, changes=True)(whole)


reject = _on_a_ground("exclusion.reject", "Reject the entry", "Entry {number} is rejected.",
                      exclusions.reject)  # fmt: skip
end = _on_a_ground("exclusion.end", "End the entry", "Entry {number} no longer forbids anything.",
                   exclusions.end)  # fmt: skip

list_exclusions = lists("exclusion", "/exclusions", "Negative list",
                        "number title forbids basis party_id review_on state",
                        (Exclusion.number, Exclusion.title, Exclusion.basis))  # fmt: skip


@question("exclusion.read", ONE, "Entry of the negative list", answer=shown_schema(Exclusion))
def show(_desk: Desk, session: Session, _actor: Actor, found: Exclusion) -> dict[str, Any]:
    """An entry as recorded; one on a resource that does not exist for the reader does not either."""
    return {**found.body(), "history": history_of(session, found.id)}
