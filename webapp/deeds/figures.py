"""The bare calculations, of which nothing is kept: a value with its steps, an amount shared out."""

from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger import disclosures
from ledger.errors import Invalid
from ledger.parties import Actor
from valuation import accounting, allocation, contribution, disclosure, methods, sharing
from webapp.deeds import Desk, File, question
from webapp.deeds.forms import MISSHAPEN, Body, document, said, text
from webapp.tables import XLSX


class ValueBody(Body):
    """A method's inputs."""

    inputs = document("Inputs", hint="as the method asks")
    version = text("Version of the method", most=10, required=False, blank=True)


class ShareBody(Body):
    """A scheme and the amount to be shared by it."""

    scheme = document("Scheme")
    amount_yuan = text("Amount (yuan)", most=20, required=False, blank=True)
    amount_fen = fields.Integer(metadata={"title": "Amount (fen)", "hint": ""})
    facts = document("Facts (fen)", required=False)
    deficits = document("Deficits carried over", required=False)
    statements = fields.List(
        fields.Dict(error_messages={"invalid": said(MISSHAPEN, "map")}),
        error_messages={"invalid": said(MISSHAPEN, "list")},
        metadata={"title": "Statements, instead of an amount", "hint": "amount_fen or amount_yuan, name"},
    )  # fmt: skip


class ContributionBody(Body):
    """A game: who takes part, and what each coalition is worth."""

    document = document("Game", hint="v, game, players, and coalitions, a formula or uses")


class PlayerAnswer(Schema):
    """What a player contributed; amounts are exact texts in fen, such as 1250/3."""

    id = fields.String(required=True)
    value = fields.String(required=True)
    share = fields.String(required=True)
    leave_one_out = fields.String(required=True)
    leave_one_out_share = fields.String(required=True, allow_none=True)
    error_fen = fields.Integer(required=True, allow_none=True)


class ContributionAnswer(Schema):
    """Who contributed how much: Shapley values that sum to `total`, shares that sum to 1."""

    bound_fen = fields.Integer(required=True, allow_none=True)
    confidence = fields.String(required=True, allow_none=True)
    derivation = fields.Dict(required=True, allow_none=True)
    document = fields.Dict(required=True)
    how = fields.String(required=True, validate=validate.OneOf(("exact", "closed", "sampled")))
    notes = fields.List(fields.Dict(), required=True)
    players = fields.List(fields.Nested(PlayerAnswer), required=True)
    total = fields.String(required=True)
    v = fields.Integer(required=True)
    valued = fields.Integer(required=True)
    version = fields.String(required=True)


class FigureAnswer(Schema):
    """A figure with its derivation."""

    class Meta:
        unknown = "include"


@question("figure.compute", "/figures/value/<method>", "Compute a value", name="figure.value",
          query=ValueBody, answer=FigureAnswer, method="POST")  # fmt: skip
def value(
    _desk: Desk, _session: Session, _actor: Actor, method: str, *, inputs: dict[str, Any],
    version: str = "",
) -> dict[str, Any]:  # fmt: skip
    if method not in methods.METHODS:
        raise Invalid("Unknown method {method}: one of {methods}.", method=method,
                      methods=", ".join(sorted(methods.METHODS)))  # fmt: skip
    wanted = version or methods.describe(method)["version"]
    return methods.run({"inputs": inputs, "method": method, "version": wanted}).to_dict()


@question("figure.compute", "/figures/share", "Share an amount", name="figure.share",
          query=ShareBody, answer=FigureAnswer, method="POST")  # fmt: skip
def share(_desk: Desk, _session: Session, _actor: Actor, **given: Any) -> dict[str, Any]:
    stated = {name: value for name, value in given.items() if value != ""}
    if "statements" in stated:
        return allocation.run(stated).to_dict()
    return sharing.run(stated).to_dict()


@question("figure.compute", "/figures/contribution", "Contributions", name="figure.contribution",
          query=ContributionBody, answer=ContributionAnswer, method="POST")  # fmt: skip
def contribute(
    _desk: Desk, _session: Session, _actor: Actor, *, document: dict[str, Any]
) -> dict[str, Any]:
    return contribution.run(document).to_dict()


class RecognitionBody(Body):
    """Answers to the recognition test, each with its grounds."""

    subject = text("Subject")
    answers = document("Answers", hint="question: {answer, grounds}")


class DisclosureBody(Body):
    """What a disclosure table is made of."""

    document = document("Document", hint="table, entity, period, movements or items")


@question("figure.compute", "/figures/recognition", "Recognition test", name="figure.recognition",
          query=RecognitionBody, answer=FigureAnswer, method="POST")  # fmt: skip
def recognition(_desk: Desk, _session: Session, _actor: Actor, **given: Any) -> dict[str, Any]:
    return accounting.run(given).to_dict()


@question("figure.compute", "/figures/disclosure", "Disclosure table", name="figure.disclosure",
          query=DisclosureBody, answer=FigureAnswer, method="POST")  # fmt: skip
def disclose(
    _desk: Desk, _session: Session, _actor: Actor, *, document: dict[str, Any]
) -> dict[str, Any]:
    return disclosure.run(document).to_dict()


@question("figure.compute", "/figures/disclosure.xlsx", "Disclosure table as a workbook",
          name="figure.disclosure_xlsx", query=DisclosureBody, method="POST", media_type=XLSX)  # fmt: skip
def disclose_xlsx(
    _desk: Desk, _session: Session, _actor: Actor, *, document: dict[str, Any]
) -> File:
    made = disclosure.run(document)
    return File(disclosures.to_bytes(made), XLSX, f"disclosure-{made.table.id}.xlsx")
