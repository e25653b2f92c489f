"""The deeds on operation agreements 授权运营协议: proposal to hand-back, yearly evaluation, disclosure."""

from collections.abc import Callable
from datetime import date
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from ledger import agreement_ends, agreements, catalogue, evaluations, parties
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.catalogue import Resource
from ledger.evaluations import Evaluation
from ledger.parties import Actor, Party
from ledger.registration import Registration
from webapp.deeds import Deed, Desk, deed, question
from webapp.deeds.answers import PageQuery, history_of, lists, shown_schema, shows
from webapp.deeds.catalogue import resource_ids
from webapp.deeds.field import ReasonBody
from webapp.deeds.forms import MISSHAPEN, Body, group, rows, said, terms, text, texts, yuan
from webapp.deeds.forms import day as day_field
from webapp.deeds.subjects import matching, visible

ONE = "/agreements/<agreement_number>"
MODES = {
    "whole": "Authorised as a whole", "by_field": "Authorised by field",
    "by_scene": "Authorised by scene",
}  # fmt: skip
ELEMENTS = {
    "scope": "Scope of resources", "term": "Term of operation", "products": "Products and services",
    "platform": "Technical platform", "ownership": "Ownership of assets",
    "disclosure": "Disclosure", "accounting_sharing": "Accounting and revenue sharing",
    "security": "Security and risk", "evaluation_exit": "Evaluation and exit",
    "breach": "Breach", "dispute": "Disputes", "change_end": "Change and end",
    "other": "Other matters",
}  # fmt: skip
END_KINDS = {
    "by_agreement": "By agreement of both sides", "breach": "Breach of the agreement",
    "law": "Law, rule or policy", "withdrawn_authorisation": "Authorised resources are withdrawn",
    "operator_ended": "The operator ended or lost its qualification",
    "evaluation": "Two unqualified evaluations in a row",
}  # fmt: skip
POINTS = {
    "resources": "Data deleted or returned", "platform": "Platform and keys handed over",
    "products": "Products withdrawn from the market", "accounts": "Accounts closed",
    "personal_data": "Personal data destroyed",
}  # fmt: skip
VERDICTS = {
    "qualified": "Qualified", "to_improve": "To be improved", "unqualified": "Unqualified",
}  # fmt: skip
assert set(END_KINDS) == set(agreement_ends.KINDS)
assert set(POINTS) == set(agreement_ends.POINTS)
assert set(VERDICTS) == set(evaluations.VERDICTS)

AgreementElements = terms("AgreementElements", agreements.ELEMENTS, ELEMENTS)
HandBackBody = terms("HandBackBody", agreement_ends.POINTS, POINTS)


class SceneBody(Body):
    """A scene 场景 for which the data may be used."""

    name = text("Scene", most=100)
    use = text("What it is used for", required=False, blank=True)


class AgreementBody(Body):
    """An operation agreement 授权运营协议 as proposed."""

    title = text("Title", most=200)
    mode = text("Mode of authorisation", choices=MODES)
    implementer = text("Implementing body", most=18, source="implementers",
                       hint="its social credit code")  # fmt: skip
    resources = texts("Resources", source="resources", hint="catalogue codes")
    from_on = day_field("First day")
    until_on = day_field("Last day", hint="at most five years")
    domains = texts("Fields", least=0, hint="one a line; authorisation by field needs one")
    scenes = rows("Scenes of use", SceneBody, least=0,
                  hint="authorisation by scene needs one; what is sold names one of them")  # fmt: skip
    price_cap_yuan = yuan("Highest price of one licence (yuan)", required=False,
                          hint="empty: the agreement sets none")  # fmt: skip
    renews = text("Renews the agreement", most=40, required=False, blank=True,
                  hint="its number; one in force or expired")  # fmt: skip
    elements = group("The thirteen elements", AgreementElements)


class ConsentBody(Body):
    """On what a body's consent to the use of its data rests."""

    basis = text("Basis of the consent", area=True, hint="the document by which it was given")


class EndBody(Body):
    """Why an agreement is to end before its day."""

    kind = text("Kind of ground", choices=END_KINDS)
    ground = text("Ground", area=True, hint="as it is told to those concerned")


class EvaluationBody(Body):
    """How a year of an agreement was judged."""

    verdict = text("Verdict", choices=VERDICTS)
    score = fields.Integer(
        required=False, allow_none=True,
        validate=validate.Range(0, evaluations.SCORE_MAX, error=said(MISSHAPEN, "number from 0 to 100")),
        error_messages={"invalid": said(MISSHAPEN, "whole number")},
        metadata={"title": "Score", "hint": "from 0 to 100, if one was given"},
    )  # fmt: skip
    findings = text("Findings", area=True)
    mend = text("What must be mended", area=True, required=False, blank=True)
    mend_by_on = day_field("To be mended by", required=False)


class CommentBody(Body):
    """What the operator says to its evaluation."""

    comment = text("Comment", area=True)


def _implementer(_session: Session, row: Agreement) -> tuple[str, ...]:
    return (row.implementer_id,)


def _operator(_session: Session, row: Agreement) -> tuple[str, ...]:
    return (row.operator_id,)


def _sides(_session: Session, row: Agreement) -> tuple[str, ...]:
    return agreements.owners(row)


@deed("agreement.propose", "/agreements", "Propose an agreement",
      "Agreement {number} is proposed; the implementing body signs it next.",
      body=AgreementBody)  # fmt: skip
def propose(
    desk: Desk, session: Session, actor: Actor, *, implementer: str, resources: list[str],
    from_on: date, until_on: date, price_cap_yuan: int | None = None, renews: str = "", **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """By the operator's own organisation; what it names is looked up."""
    made = agreements.propose(
        session, actor, desk.now, implementer=parties.party_by_uscc(session, implementer),
        resource_ids=resource_ids(session, actor, resources), from_on=from_on, until_on=until_on,
        price_cap_fen=price_cap_yuan, renews=_own(session, actor, renews) if renews.strip() else None,
        **more,
    )  # fmt: skip
    return {"number": made.number, "state": made.state}


def _own(session: Session, actor: Actor, number: str) -> Agreement:
    found = agreements.by_number(session, number.strip())
    parties.may(actor, "agreement.propose", found.operator_id, f"Agreement {found.number}")
    return found


def _move(
    verb: str, path: str, title: str, says: str, **more: Any
) -> Callable[[Callable[..., Any]], Deed]:
    """A deed on an agreement; it answers number and state and what `act` adds."""

    def enter(act: Callable[..., Any]) -> Deed:
        def whole(
            desk: Desk, session: Session, actor: Actor, found: Agreement, **body: Any
        ) -> dict[str, Any]:
            added = act(desk, session, actor, found, **body) or {}
            return {"number": found.number, "state": found.state, **added}

        return deed(f"agreement.{verb}", f"{ONE}/{path}", title, says, changes=True, **more)(whole)

    return enter


@_move("sign", "sign", "Sign", "Agreement {number} is in force.", owners=_implementer)
def sign(desk: Desk, session: Session, actor: Actor, found: Agreement) -> None:
    agreements.sign(session, actor, desk.now, found)


@_move("consent", "consent", "Consent to the use of data", "The use of {codes} is consented to.",
       body=ConsentBody, owners=agreements.asked)  # fmt: skip
def consent(
    desk: Desk, session: Session, actor: Actor, found: Agreement, basis: str
) -> dict[str, Any]:
    return {"codes": ", ".join(agreements.consent(session, actor, desk.now, found, basis))}


@_move("withdraw", "withdraw", "Withdraw", "Agreement {number} is withdrawn.", body=ReasonBody,
       owners=_operator)  # fmt: skip
def withdraw(desk: Desk, session: Session, actor: Actor, found: Agreement, reason: str) -> None:
    agreements.withdraw(session, actor, desk.now, found, reason)


@_move("decline", "decline", "Decline to sign", "Agreement {number} is declined.", body=ReasonBody,
       owners=_implementer)  # fmt: skip
def decline(desk: Desk, session: Session, actor: Actor, found: Agreement, reason: str) -> None:
    agreements.decline(session, actor, desk.now, found, reason)


@_move("propose_end", "propose-end", "Propose an early end",
       "The end of agreement {number} is proposed; another person confirms it.", body=EndBody,
       owners=_sides)  # fmt: skip
def propose_end(
    desk: Desk, session: Session, actor: Actor, found: Agreement, kind: str, ground: str
) -> None:
    agreement_ends.propose_end(session, actor, desk.now, found, kind=kind, ground=ground)


@_move("end", "end", "Confirm the end", "Agreement {number} has ended.", owners=_sides)
def end(desk: Desk, session: Session, actor: Actor, found: Agreement) -> None:
    agreement_ends.end(session, actor, desk.now, found)


@_move("keep", "keep", "Do not end it", "Agreement {number} stays in force.", body=ReasonBody,
       owners=_sides)  # fmt: skip
def keep(desk: Desk, session: Session, actor: Actor, found: Agreement, reason: str) -> None:
    agreement_ends.keep(session, actor, desk.now, found, reason)


@_move("hand_back", "hand-back", "Report the hand-back",
       "The hand-back of agreement {number} is reported; the implementing body confirms it.",
       body=HandBackBody, owners=_operator)  # fmt: skip
def hand_back(
    desk: Desk, session: Session, actor: Actor, found: Agreement, **points: str
) -> None:  # fmt: skip
    agreement_ends.hand_back(session, actor, desk.now, found, points)


@_move("confirm_hand_back", "confirm-hand-back", "Confirm the hand-back",
       "All of agreement {number} is handed back.", owners=_implementer)  # fmt: skip
def confirm_hand_back(desk: Desk, session: Session, actor: Actor, found: Agreement) -> None:
    agreement_ends.confirm_hand_back(session, actor, desk.now, found)


@_move("reopen_hand_back", "reopen-hand-back", "Reopen the hand-back",
       "The hand-back of agreement {number} is open again.", body=ReasonBody,
       owners=_implementer)  # fmt: skip
def reopen_hand_back(
    desk: Desk, session: Session, actor: Actor, found: Agreement, reason: str
) -> None:
    agreement_ends.reopen_hand_back(session, actor, desk.now, found, reason)


list_agreements = lists("agreement", "/agreements", "Agreements",
                        "number title mode from_on until_on state",
                        (Agreement.number, Agreement.title))  # fmt: skip
AgreementShown: type[Schema] = type(
    "AgreementShownAnswer", (shown_schema(Agreement),),
    {
        "consents_lacking": fields.Dict(required=True),
        "renewed_by": fields.List(fields.String(), required=True),
        "renews": fields.String(required=True, allow_none=True),
    },
)  # fmt: skip


@question("agreement.read", ONE, "Agreement", answer=AgreementShown)
def show(_desk: Desk, session: Session, actor: Actor, found: Agreement) -> dict[str, Any]:
    """As recorded; of its resources those that exist for the asker."""
    wanted = select(Resource.id, Resource.code).where(Resource.id.in_(found.resource_ids))
    seen = catalogue.visible(session, actor)
    rows_ = session.execute(wanted if seen is None else wanted.where(seen)).tuples().all()
    codes = {code for _, code in rows_}
    lacking = agreements.lacking_consents(session, found) if found.state == "proposed" else {}
    old = session.get(Agreement, found.renews_id) if found.renews_id else None
    newer = select(Agreement.number).where(Agreement.renews_id == found.id)
    ids = {one for one, _ in rows_}
    return {
        **found.body(), "history": history_of(session, found.id),
        "consents": [
            {**one, "resource_ids": [each for each in one["resource_ids"] if each in ids]}
            for one in found.consents or ()
        ],
        "consents_lacking": {
            name: [code for code in named if code in codes] for name, named in lacking.items()
        },
        "renewed_by": list(session.scalars(newer.order_by(Agreement.id))),
        "renews": old and old.number,
        "resource_ids": [one for one in found.resource_ids if one in ids],
    }  # fmt: skip


# -- yearly evaluation ------------------------------------------------------------------------------


@deed("evaluation.make", f"{ONE}/evaluations", "Evaluate a year",
      "Year {period} of agreement {agreement} is evaluated: {number}.", body=EvaluationBody,
      owners=_implementer)  # fmt: skip
def evaluate(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, verdict: str, findings: str,
    score: int | None = None, mend: str = "", mend_by_on: date | None = None,
) -> dict[str, Any]:  # fmt: skip
    made = evaluations.make(session, actor, desk.now, found, verdict=verdict, findings=findings,
                            score=score, mend=mend, mend_by=mend_by_on)  # fmt: skip
    return {"agreement": found.number, "number": made.number, "period": made.period}


@deed("evaluation.comment", "/evaluations/<evaluation_number>/comment", "Comment",
      "Evaluation {number} has the operator's comment.", body=CommentBody, changes=True,
      owners=lambda s, row: (s.get_one(Agreement, row.agreement_id).operator_id,))  # fmt: skip
def comment(
    desk: Desk, session: Session, actor: Actor, found: Evaluation, comment: str
) -> dict[str, Any]:
    evaluations.comment(session, actor, desk.now, found, comment)
    return {"number": found.number, "state": found.state}


list_evaluations = lists("evaluation", "/evaluations", "Yearly evaluations",
                         "number period from_on until_on verdict score state",
                         (Evaluation.number, Evaluation.findings))  # fmt: skip
show_evaluation = shows("evaluation", "/evaluations/<evaluation_number>", "Yearly evaluation")


class DueItem(Schema):
    """A year of an agreement that waits for its evaluation."""

    agreement = fields.String(required=True)
    title = fields.String(required=True)
    period = fields.Integer(required=True)
    from_on = fields.String(required=True)
    until_on = fields.String(required=True)
    due_on = fields.String(required=True)
    overdue = fields.Boolean(required=True)


class DueAnswer(Schema):
    """All years that wait for their evaluation, the one due first at the top."""

    items = fields.List(fields.Nested(DueItem), required=True)


@question("evaluation.read", "/evaluations/due", "Evaluations due", name="evaluation.due",
          answer=DueAnswer)  # fmt: skip
def evaluations_due(desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """Of the agreements that the asker may see."""
    wanted, mine = select(Agreement).order_by(Agreement.id), visible(session, actor, "agreement")
    found = session.scalars(wanted if mine is None else wanted.where(mine)).all()
    today = local_date(desk.now)
    items = [
        {
            "agreement": row.number, "due_on": period.due_on.isoformat(),
            "from_on": period.from_on.isoformat(), "overdue": today > period.due_on,
            "period": period.n, "title": row.title, "until_on": period.until_on.isoformat(),
        }
        for row, period in evaluations.due(session, found, today)
    ]  # fmt: skip
    return {"items": sorted(items, key=lambda item: (item["due_on"], item["agreement"]))}


# -- what everybody is told -------------------------------------------------------------------------


class DisclosureQuery(PageQuery):
    """Which part of the agreements in force is wanted; others are not public."""

    class Meta(Body.Meta):
        exclude = ("state",)


class ProductAnswer(Schema):
    """A product or service that is registered under an agreement."""

    code = fields.String(required=True)
    title = fields.String(required=True)


class DisclosureAnswer(Schema):
    """An agreement in force as the rule (27号 art. 18, 19) wants it told, and nothing more."""

    number = fields.String(required=True)
    title = fields.String(required=True)
    implementer = fields.String(required=True)
    operator = fields.String(required=True)
    mode = fields.String(required=True)
    domains = fields.List(fields.String(), required=True)
    scenes = fields.List(fields.String(), required=True)
    resources = fields.List(fields.String(), required=True)
    products = fields.List(fields.Nested(ProductAnswer), required=True)
    from_on = fields.String(required=True)
    until_on = fields.String(required=True)


class DisclosuresAnswer(Schema):
    """A page of them, the newest first."""

    items = fields.List(fields.Nested(DisclosureAnswer), required=True)
    next = fields.String(required=True, allow_none=True)


@question("disclosure.read", "/disclosures", "Authorised operation", name="disclosure.list",
          answer=DisclosuresAnswer, query=DisclosureQuery)  # fmt: skip
def disclosures(
    desk: Desk, session: Session, actor: Actor, limit: int, after: str = "", words: str = ""
) -> dict[str, Any]:  # fmt: skip
    """The agreements in force today; of their resources those that exist for the asker."""
    today = local_date(desk.now).isoformat()
    wanted = (
        select(Agreement)
        .where(Agreement.state.in_(agreements.RUNNING), Agreement.from_on <= today,
               Agreement.until_on >= today)
        .order_by(Agreement.id.desc())
        .limit(limit + 1)
    )  # fmt: skip
    if after:
        wanted = wanted.where(Agreement.id < after)
    if words:
        named = select(Party.id).where(matching(Party, words, Party.name))
        wanted = wanted.where(or_(
            matching(Agreement, words, Agreement.number, Agreement.title),
            Agreement.operator_id.in_(named), Agreement.implementer_id.in_(named),
        ))  # fmt: skip
    found = list(session.scalars(wanted))
    return {
        "items": [_disclosed(session, actor, row) for row in found[:limit]],
        "next": found[limit - 1].id if len(found) > limit else None,
    }


def _disclosed(session: Session, actor: Actor, row: Agreement) -> dict[str, Any]:
    resources = select(Resource.title).where(Resource.id.in_(row.resource_ids))
    seen = catalogue.visible(session, actor)
    resources = resources if seen is None else resources.where(seen)
    products = select(Registration.code, Registration.title).where(
        Registration.agreement_id == row.id, Registration.state == "registered"
    )
    return {
        "domains": row.domains or [], "from_on": row.from_on,
        "implementer": session.get_one(Party, row.implementer_id).name, "mode": row.mode,
        "number": row.number, "operator": session.get_one(Party, row.operator_id).name,
        "products": [
            {"code": code, "title": title}
            for code, title in session.execute(products.order_by(Registration.code))
        ],
        "resources": list(session.scalars(resources.order_by(Resource.code))),
        "scenes": [one["name"] for one in row.scenes or ()], "title": row.title,
        "until_on": row.until_on,
    }  # fmt: skip
