"""The bare calculations, of which nothing is kept: a value with its steps, an amount shared out."""

from typing import Any

from marshmallow import Schema, fields
from sqlalchemy.orm import Session

from ledger.errors import Invalid
from ledger.parties import Actor
from valuation import methods, sharing
from webapp.deeds import Desk, question
from webapp.deeds.forms import Body, document, text


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
    return sharing.run({name: value for name, value in given.items() if value != ""}).to_dict()
