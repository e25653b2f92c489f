"""The deeds about objections 异议 to what is on public notice."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from ledger import objections, registration_views
from ledger.objections import Objection
from ledger.parties import Actor
from ledger.registration import Application, owners
from webapp.deeds import Desk, deed, question
from webapp.deeds.answers import history_of, lists, seen_schema
from webapp.deeds.field import ReasonBody, own_deposits
from webapp.deeds.forms import Body, text, texts
from webapp.deeds.register import FoundBody


class ObjectionBody(Body):
    """An objection, under one's real name."""

    real_name = text("Your real name", most=100, hint="as it is known here; it is not published")
    claim = text("What is objected to", area=True)
    evidence = text("Evidence", area=True)
    files = texts("Deposited files", least=0, source="deposits")


@deed("objection.raise", "/applications/<application_number>/objections", "Object",
      "Objection {number} is raised; it is to be decided by {due}, and the notice stands still.",
      body=ObjectionBody, owners=lambda _s, row: owners(row), private=("real_name",))  # fmt: skip
def raise_(
    desk: Desk, session: Session, actor: Actor, found: Application, *, real_name: str, claim: str,
    evidence: str, files: Sequence[str] = (),
) -> dict[str, Any]:  # fmt: skip
    deposits = own_deposits(session, actor, [{"digest": one} for one in files])
    made = objections.raise_(
        session, actor, desk.now, found, real_name=real_name, claim=claim, evidence=evidence,
        attachments=[one.id for one in deposits],
    )  # fmt: skip
    return {"due": made.due["on"], "number": made.number, "state": made.state}


@deed("objection.uphold", "/objections/<objection_number>/uphold", "Uphold the objection",
      "Objection {number} is upheld; application {application} is terminated.", changes=True,
      body=FoundBody)  # fmt: skip
def uphold(
    desk: Desk, session: Session, actor: Actor, found: Objection, finding: str
) -> dict[str, Any]:
    application = objections.uphold(session, actor, desk.now, found, finding)
    return {"application": application.number, "number": found.number, "state": found.state}


@deed("objection.dismiss", "/objections/<objection_number>/dismiss", "Dismiss the objection",
      "Objection {number} is dismissed.", changes=True, body=FoundBody)  # fmt: skip
def dismiss(
    desk: Desk, session: Session, actor: Actor, found: Objection, finding: str
) -> dict[str, Any]:
    objections.dismiss(session, actor, desk.now, found, finding)
    return {"number": found.number, "state": found.state}


@deed("objection.withdraw", "/objections/<objection_number>/withdraw", "Take the objection back",
      "Objection {number} is taken back.", changes=True, body=ReasonBody,
      owners=lambda _s, row: (row.party_id,))  # fmt: skip
def withdraw(
    desk: Desk, session: Session, actor: Actor, found: Objection, reason: str
) -> dict[str, Any]:
    objections.withdraw(session, actor, desk.now, found, reason)
    return {"number": found.number, "state": found.state}


list_objections = lists("objection", "/objections", "Objections", "number title state due raised_at",
                        (Objection.number, Objection.title))  # fmt: skip


@question("objection.read", "/objections/<objection_number>", "Objection",
          answer=seen_schema(Objection))  # fmt: skip
def show_objection(_desk: Desk, session: Session, actor: Actor, found: Objection) -> dict[str, Any]:
    """Whole for who raised it and who decides; the applicants are told the claim, not whose it is."""
    return {
        **registration_views.told(actor, "objection", found),
        "history": history_of(session, found.id),
    }
