"""Data stewards (首席数据官, 数据专员): who is named, who is relieved."""

from datetime import date
from typing import Any

from marshmallow import Schema, fields
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import stewards
from ledger.parties import Account, Actor, Party
from ledger.stewards import Steward
from webapp.deeds import Desk, deed, question
from webapp.deeds.forms import Body, day, text
from webapp.deeds.subjects import member_by_login

POSTS = {"chief": "Chief data officer", "steward": "Data steward"}


class NameBody(Body):
    """A member and his post."""

    login = text("Login", most=40, hint="of a member of this organisation")
    post = text("Post", choices=POSTS)
    from_on = day("First day", hint="not later than today")


class RelieveBody(Body):
    """When it ends."""

    until_on = day("Last day", hint="not later than today")


class StewardAnswer(Schema):
    """Who has a post."""

    id = fields.String(required=True)
    login = fields.String(required=True)
    name = fields.String(required=True)
    post = fields.String(required=True)
    from_on = fields.String(required=True)
    until_on = fields.String(required=True, allow_none=True)
    state = fields.String(required=True)
    version = fields.Integer(required=True)


class StewardsAnswer(Schema):
    """Those of an organisation, who has a post first."""

    items = fields.List(fields.Nested(StewardAnswer), required=True)


@deed("steward.name", "/parties/<uscc>/stewards", "Name a data steward",
      "{login} now has the post: {what}.", body=NameBody)  # fmt: skip
def name(
    desk: Desk,
    session: Session,
    actor: Actor,
    party: Party,
    *,
    login: str,
    post: str,
    from_on: date,
) -> dict[str, Any]:
    member = member_by_login(session, login)
    made = stewards.name(
        session, actor, desk.now, party=party, member=member, post=post, from_on=from_on
    )
    return {"login": login, "what": post, "steward": made.id}


@deed("steward.relieve", "/stewards/<steward_id>/relief", "Relieve", "The post ended on {day}.",
      body=RelieveBody, changes=True)  # fmt: skip
def relieve(
    desk: Desk, session: Session, actor: Actor, steward: Steward, until_on: date
) -> dict[str, Any]:
    stewards.relieve(session, actor, desk.now, steward, until_on)
    return {"day": until_on.isoformat(), "steward": steward.id}


@question("steward.read", "/parties/<uscc>/stewards", "Data stewards", name="steward.list",
          answer=StewardsAnswer, owners=lambda _s, party: (party.id,))  # fmt: skip
def list_stewards(_desk: Desk, session: Session, _actor: Actor, party: Party) -> dict[str, Any]:
    return {"items": stewards_of(session, party.id)}


def stewards_of(session: Session, party_id: str) -> list[dict[str, Any]]:
    """Who has or had a post in an organisation, with his name: for those who are signed in."""
    found = session.execute(
        select(Steward, Account)
        .join(Account, Account.member_id == Steward.member_id)
        .where(Steward.party_id == party_id)
        .order_by(Steward.state, Steward.post, Steward.id)
    )
    return [
        {
            "id": row.id, "login": account.login, "name": account.display_name, "post": row.post,
            "from_on": row.from_on, "until_on": row.until_on, "state": row.state,
            "version": row.version,
        }
        for row, account in found
    ]  # fmt: skip
