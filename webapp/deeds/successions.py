"""Organisations are renamed, merged, split; what they held follows."""

from datetime import date
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import parties, successions
from ledger.parties import Actor, Member, Party
from ledger.proof.encoding import instant
from ledger.successions import Succession
from webapp import accounts
from webapp.deeds import Desk, deed, question
from webapp.deeds.forms import Body, day, rows, text, texts

GIVEN = {
    "resource": "Resource", "agreement": "Agreement", "application": "Application",
    "registration": "Registration", "deposit": "Deposit", "demand": "Demand",
    "exclusion": "Exclusion", "feedback": "Feedback", "duty": "Duty", "alarm": "Alarm", "member": "Member",
}  # fmt: skip
GROUND = text("Ground", area=True, hint="the document that ordered it, with its number")
DAY = day("Day from which it holds", hint="not later than today")
FOLLOWED = "{name} was {state}: {count} things followed, {left} stay, with their reasons."


COUNTED_FOR = frozenset({"administrator", "registrar", "regulator"})


class RenameBody(Body):
    """The new name."""

    name = text("New name", most=200)
    ground = GROUND
    effective_on = DAY


class MergeBody(Body):
    """Who succeeds the organisation."""

    into = text("Successor", most=18, source="parties")
    ground = GROUND
    effective_on = DAY


class GivenBody(Body):
    """One thing, and who gets it."""

    noun = text("What", choices=GIVEN)
    number = text("Its number", most=100, hint="its code or number; of a member the login")
    to = text("Who gets it", most=18, source="parties")


class SplitBody(Body):
    """Who succeeds the organisation, and who gets what."""

    main = text("Main successor", most=18, source="parties",
                hint="it gets whatever is not named below, and manages what cannot follow; an "
                     "organisation that goes on 存续分立 is its own")  # fmt: skip
    others = texts("Other successors", hint="one social credit code a line")
    who_gets = rows("What goes to whom", GivenBody, least=0)
    ground = GROUND
    effective_on = DAY


class LeftAnswer(Schema):
    """What of a noun stays, and why."""

    noun = fields.String(required=True)
    count = fields.Integer(required=True)
    numbers = fields.List(fields.String(), required=True)
    reason = fields.String(required=True)


class SuccessionAnswer(Schema):
    """A merger, split or new name."""

    id = fields.String(required=True)
    kind = fields.String(required=True)
    of = fields.String(required=True)
    to = fields.List(fields.String(), required=True)
    ground = fields.String(required=True)
    effective_on = fields.String(required=True)
    moved = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    left = fields.List(fields.Nested(LeftAnswer), required=True)
    done_at = fields.String(required=True)


class HeldAnswer(Schema):
    """What an organisation holds: what would follow, what would stay, and what it went through.

    `told`: whether the reader is told the counts.
    """

    told = fields.Boolean(required=True)

    follows = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    stays = fields.List(fields.Nested(LeftAnswer), required=True)
    successions = fields.List(fields.Nested(SuccessionAnswer), required=True)


@deed("party.rename", "/parties/<uscc>/name", "Rename",
      "{former} is now called {name}; {count} resources say so.", body=RenameBody,
      changes=True)  # fmt: skip
def rename(
    desk: Desk, session: Session, actor: Actor, party: Party, *, name: str, ground: str,
    effective_on: date,
) -> dict[str, Any]:  # fmt: skip
    """A new name; the resources the organisation provides say it too."""
    former = party.name
    made = successions.rename(
        session, actor, desk.now, party, name=name, ground=ground, effective_on=effective_on
    )
    count = sum(made.moved.values())
    return {
        "former": former,
        "name": party.name,
        "uscc": party.uscc,
        "count": count,
        "succession": made.id,
    }


@deed("party.merge", "/parties/<uscc>/merger", "Merge into another", FOLLOWED, body=MergeBody,
      changes=True)  # fmt: skip
def merge(
    desk: Desk, session: Session, actor: Actor, party: Party, *, into: str, ground: str,
    effective_on: date,
) -> dict[str, Any]:  # fmt: skip
    members = _members(session, party)
    made = successions.merge(
        session, actor, desk.now, party, into=parties.party_by_uscc(session, into), ground=ground,
        effective_on=effective_on,
    )  # fmt: skip
    return _followed(session, party, made, members)


@deed("party.split", "/parties/<uscc>/split", "Split", FOLLOWED, body=SplitBody, changes=True)
def split(
    desk: Desk, session: Session, actor: Actor, party: Party, *, main: str, others: list[str],
    ground: str, effective_on: date, who_gets: tuple[dict[str, str], ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """What is named in `who_gets` goes to whom it says, all the rest to the main successor."""
    members = _members(session, party)
    made = successions.split(
        session, actor, desk.now, party, main=parties.party_by_uscc(session, main),
        others=[parties.party_by_uscc(session, code) for code in others],
        who_gets={(one["noun"], one["number"]): parties.party_by_uscc(session, one["to"])
                  for one in who_gets},
        ground=ground, effective_on=effective_on,
    )  # fmt: skip
    return _followed(session, party, made, members)


def _members(session: Session, party: Party) -> list[str]:
    return list(session.scalars(select(Member.id).where(Member.party_id == party.id)))


def _followed(
    session: Session, party: Party, made: Succession, members: list[str]
) -> dict[str, Any]:
    """What was done; whoever acted for the organisation signs in anew, for another one."""
    for member_id in set(members) - set(_members(session, party)):
        accounts.end_sessions(session, member_id)
    return {
        "name": party.name, "uscc": party.uscc, "succession": made.id,
        "state": "merged" if made.kind == "merge" else "split",
        "count": sum(made.moved.values()), "left": sum(one["count"] for one in made.left),
    }  # fmt: skip


@question("party.read", "/parties/<uscc>/holdings", "What the organisation holds", name="party.holdings",
          answer=HeldAnswer)  # fmt: skip
def held(_desk: Desk, session: Session, actor: Actor, party: Party) -> dict[str, Any]:
    """Counts only, and to whom they are told: a count can tell of what is hidden from the reader."""
    told = bool(actor.roles & COUNTED_FOR) or party.id in actor.parties
    counted = [{**one, "numbers": []} for one in successions.stays(session, party)] if told else []
    return {
        "follows": successions.holdings(session, party) if told else {}, "stays": counted,
        "successions": [_told(session, actor, one) for one in successions.of(session, party)],
        "told": told,
    }  # fmt: skip


def _told(session: Session, actor: Actor, row: Succession) -> dict[str, Any]:
    codes = dict(session.execute(
        select(Party.id, Party.uscc).where(Party.id.in_([row.party_id, *row.to_ids]))
    ).tuples().all())  # fmt: skip
    told = actor.roles & COUNTED_FOR or actor.parties & {row.party_id, *row.to_ids}
    return {
        "id": row.id, "kind": row.kind, "of": codes[row.party_id],
        "to": [codes[one] for one in row.to_ids], "ground": row.ground,
        "effective_on": row.effective_on, "moved": row.moved if told else {},
        "left": [{**one, "numbers": []} for one in row.left] if told else [],
        "done_at": instant(row.done_at),
    }  # fmt: skip
