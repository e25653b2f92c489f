"""The deeds of objections 异议 and quality feedback 质量反馈: raised, answered, appealed, decided."""

from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger import feedback
from ledger.calendar import days_overdue, local_date
from ledger.catalogue import Resource
from ledger.catalogue_fields import FIELDS
from ledger.feedback import Feedback
from ledger.parties import Actor, roles_of
from ledger.rights import MEMBER
from webapp.deeds import Deed, Desk, deed, question
from webapp.deeds.answers import history_of, lists, shown_schema
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import Body, text

KINDS = {"objection": "Objection", "quality": "Quality feedback"}
VERDICTS = {
    "corrected": "It was corrected", "explained": "It is right as it is, and here is why",
    "rejected": "It is rejected",
}  # fmt: skip
ABOUT = {
    feedback.QUALITY: "Quality of the data", feedback.ITEM: "A data item",
    **{name: one.en[:1].upper() + one.en[1:] for name, one in FIELDS.items()},
}  # fmt: skip
ONE = "/feedback/<feedback_number>"
OF_RESOURCE = "/resources/<path:resource_code>/feedback"


class FeedbackBody(Body):
    """What is wrong with a resource."""

    kind = text("Kind", choices=KINDS)
    about = text("What it is about", choices=ABOUT)
    item = text("Which data item", most=200, required=False, blank=True,
                hint="only where it is about a data item")  # fmt: skip
    description = text("Description", area=True,
                       hint="what is wrong, and how you know; no names of persons")  # fmt: skip


class AnswerBody(Body):
    """What came of it."""

    verdict = text("Verdict", choices=VERDICTS)
    text = text("Answer", area=True, hint="as it is told to those concerned")
    version = fields.Integer(
        load_default=None, allow_none=True,
        metadata={"title": "Version of the resource that corrected it",
                  "hint": "empty: the newest, which must be younger than the feedback"},
    )  # fmt: skip


class ResultAnswer(Schema):
    """What was raised on a resource and what came of it, without who."""

    about = fields.String(required=True)
    kind = fields.String(required=True)
    raised_at = fields.String(required=True)
    state = fields.String(required=True)
    text = fields.String(required=True, allow_none=True)
    verdict = fields.String(required=True, allow_none=True)


class ResultsAnswer(Schema):
    """How many were raised and answered; members see the results."""

    answered = fields.Integer(required=True)
    raised = fields.Integer(required=True)
    results = fields.List(fields.Nested(ResultAnswer))


FeedbackShown = type("FeedbackShownAnswer", (shown_schema(Feedback),), {
    "days_late": fields.Integer(required=True),
    "resource": fields.Dict(required=True, allow_none=True),
    "resource_id": fields.String(required=True, allow_none=True),
})  # fmt: skip


@deed("feedback.raise", OF_RESOURCE, "Raise an objection or feedback",
      "Feedback {number} is raised; the answer is due by {due}.", body=FeedbackBody)  # fmt: skip
def raise_(
    desk: Desk, session: Session, actor: Actor, found: Resource, **body: Any
) -> dict[str, Any]:
    return _facts(feedback.raise_(session, actor, desk.now, resource=found, **body))


def _facts(found: Feedback) -> dict[str, Any]:
    return {"due": (found.due or {}).get("on"), "number": found.number, "state": found.state}


def _raiser(_session: Session, found: Feedback) -> tuple[str, ...]:
    return (found.party_id,)


@deed("feedback.answer", f"{ONE}/answer", "Answer the feedback", "Feedback {number} is answered.",
      body=AnswerBody, changes=True, owners=feedback.answerers)  # fmt: skip
def answer(
    desk: Desk, session: Session, actor: Actor, found: Feedback, **body: Any
) -> dict[str, Any]:
    feedback.answer(session, actor, desk.now, found, **body)
    return _facts(found)


@deed("feedback.close", f"{ONE}/close", "Close the feedback", "Feedback {number} is closed.",
      changes=True, owners=_raiser)  # fmt: skip
def close(desk: Desk, session: Session, actor: Actor, found: Feedback) -> dict[str, Any]:
    feedback.close(session, actor, desk.now, found)
    return _facts(found)


def _on_a_ground(verb: str, title: str, says: str, act: Any, **more: Any) -> Deed:
    def whole(
        desk: Desk, session: Session, actor: Actor, found: Feedback, reason: str
    ) -> dict[str, Any]:
        act(session, actor, desk.now, found, reason)
        return _facts(found)

    path = f"{ONE}/{verb.partition('.')[2]}"
    return deed(verb, path, title, says, body=ReasonBody, changes=True, **more)(whole)


appeal = _on_a_ground("feedback.appeal", "Appeal",
                      "Feedback {number} goes to the registrar, who decides by {due}.",
                      feedback.appeal, owners=_raiser)  # fmt: skip
uphold = _on_a_ground("feedback.uphold", "Uphold the appeal",
                      "The appeal on feedback {number} is upheld; a new answer is due by {due}.",
                      feedback.uphold)  # fmt: skip
dismiss = _on_a_ground("feedback.dismiss", "Dismiss the appeal",
                       "The appeal on feedback {number} is dismissed.", feedback.dismiss)  # fmt: skip
withdraw = _on_a_ground("feedback.withdraw", "Withdraw the feedback", "Feedback {number} is withdrawn.",
                        feedback.withdraw, owners=_raiser)  # fmt: skip

list_feedback = lists("feedback", "/feedback", "Objections and feedback",
                      "number kind about party_id department_id due state raised_at",
                      (Feedback.number, Feedback.about, Feedback.description))  # fmt: skip


@question("feedback.read", ONE, "Feedback", answer=FeedbackShown)
def show(desk: Desk, session: Session, actor: Actor, found: Feedback) -> dict[str, Any]:
    """Feedback as recorded, and its resource while that exists for the reader."""
    return {
        **feedback.as_seen(session, actor, found), "history": history_of(session, found.id),
        "days_late": days_overdue(found.due, local_date(desk.now)),
    }  # fmt: skip


@question("resource.read", OF_RESOURCE, "Feedback on a resource", name="feedback.of_resource",
          answer=ResultsAnswer)  # fmt: skip
def of_resource(_desk: Desk, session: Session, actor: Actor, found: Resource) -> dict[str, Any]:
    """How many were raised and answered, for everybody; what came of them, for members."""
    told: dict[str, Any] = feedback.counts(session, found)
    if MEMBER in roles_of(actor):
        told["results"] = feedback.results(session, actor, found)
    return told
