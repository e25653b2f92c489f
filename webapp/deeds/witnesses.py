"""Witnesses: who cosigns the log's checkpoints, what each has cosigned, and cosignatures by file."""

from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from ledger import witnesses
from ledger.errors import Conflict
from ledger.parties import Actor
from ledger.proof.trust import parse_trust
from webapp.deeds import Desk, File, deed, question
from webapp.deeds.forms import MISSHAPEN, Body, said, text


class WitnessBody(Body):
    """A witness: its verifier key, who runs it, and where it is asked."""

    vkey = text("Verifier key", most=400, hint="name+hash+key, as its operator publishes it")
    operator = text("Who runs it", most=200)
    url = text("Address", most=300, required=False, blank=True,
               hint="https://…; none: cosignatures come by file")  # fmt: skip


class CosignatureBody(Body):
    """What a witness answered: a cosigned checkpoint, or its signature lines alone."""

    note = text("Cosignature", most=40_000, area=True,
                hint="lines that begin with —, or the whole cosigned checkpoint")  # fmt: skip


class HeldQuery(Body):
    """The size that the witness said it holds, where that is not what we know."""

    held = fields.Integer(
        load_default=None, allow_none=True,
        validate=validate.Range(0, 2**53 - 1, error=said(MISSHAPEN, "whole number")),
        metadata={"title": "Size the witness holds", "hint": ""},
    )  # fmt: skip


class WitnessAnswer(Schema):
    """A witness and how it stands; `problem` is a template with its facts."""

    age_s = fields.Integer(required=True, allow_none=True)
    behind = fields.Integer(required=True)
    cosigned_at = fields.String(required=True, allow_none=True)
    cosigned_size = fields.Integer(required=True)
    id = fields.String(required=True)
    name = fields.String(required=True)
    operator = fields.String(required=True)
    problem = fields.Dict(required=True, allow_none=True)
    url = fields.String(required=True, allow_none=True)
    vkey = fields.String(required=True)


class WitnessesAnswer(Schema):
    """The witnesses that were not removed."""

    items = fields.List(fields.Nested(WitnessAnswer), required=True)


@deed("witness.add", "/witnesses", "Make a witness known",
      "The witness {name} is known; from now on it is asked to cosign.", body=WitnessBody)  # fmt: skip
def add(
    desk: Desk, session: Session, actor: Actor, vkey: str, operator: str, url: str = ""
) -> dict[str, Any]:
    made = witnesses.admit(session, actor, desk.now, vkey=vkey, operator=operator, url=url)
    parse_trust(
        desk.home.trust(witnesses.trust_keys(session))
    )  # refuses, for one, the log's own key
    return {"id": made.id, "name": made.name}


@deed("witness.remove", "/witnesses/<witness_id>/remove", "Remove the witness",
      "The witness {name} is no longer asked.")  # fmt: skip
def remove(desk: Desk, session: Session, actor: Actor, witness_id: str) -> dict[str, Any]:
    found = witnesses.by_id(session, witness_id)
    witnesses.remove(session, actor, desk.now, found)
    return {"id": found.id, "name": found.name}


@deed("witness.cosign", "/cosignatures", "Hand in a cosignature",
      "Cosigned by {names} at size {size}.", body=CosignatureBody, records=False)  # fmt: skip
def cosign(desk: Desk, session: Session, actor: Actor, note: str) -> dict[str, Any]:
    size, names = witnesses.hand_in(session, actor, desk.now, note)
    return {"names": ", ".join(names), "size": size}


@question("witness.read", "/witnesses", "Witnesses", name="witness.list", answer=WitnessesAnswer)
def known(desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    """Each witness, the newest checkpoint it cosigned, and what is wrong with it."""
    return {"items": witnesses.standing(session, desk.now)}


@question("witness.read", "/witnesses/<witness_id>/request", "Request to cosign",
          name="witness.request", query=HeldQuery, media_type="text/plain")  # fmt: skip
def request(
    _desk: Desk, session: Session, _actor: Actor, witness_id: str, *, held: int | None
) -> File:
    """What the witness is to be asked next (C2SP tlog-witness add-checkpoint), to be carried there."""
    found = witnesses.next_request(session, witnesses.by_id(session, witness_id), held)
    if found is None:
        raise Conflict("There is nothing this witness has not cosigned.")
    return File(found.body, "text/plain; charset=utf-8", f"add-checkpoint-{found.tree_size}.txt")
