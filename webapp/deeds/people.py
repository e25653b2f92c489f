"""Organisations, members, and what a member keeps for himself: password, API tokens."""

from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import parties, stewards
from ledger.calendar import local_date
from ledger.errors import Invalid
from ledger.parties import Account, Actor, Member, Party
from ledger.proof.encoding import instant
from webapp import accounts
from webapp.deeds import Desk, deed, question
from webapp.deeds.answers import lists, shows
from webapp.deeds.forms import MISSHAPEN, Body, said, text, texts

KINDS = {
    "public_body": "Public body",
    "public_institution": "Public institution",
    "enterprise": "Enterprise",
    "data_broker": "Data broker",
    "service_provider": "Service provider",
    "other_organisation": "Other organisation",
    "individual": "Natural person",
}
ORGANISATIONS = {kind: title for kind, title in KINDS.items() if kind != "individual"}
ROLES = {
    "administrator": "Administrator",
    "provider": "Implementing body",
    "operator": "Operator",
    "registrar": "Registrar",
    "appraiser": "Appraiser",
    "exchange": "Exchange staff",
    "finance_maker": "Finance maker",
    "finance_checker": "Finance checker",
    "regulator": "Regulator",
    "data_subject": "Data subject",
    "broker": "Broker of data",
}
LOGIN = r"\A[a-z][a-z0-9._-]{1,39}\Z"


class PartyBody(Body):
    """An organisation."""

    name = text("Name", most=200)
    uscc = text("Social credit code", most=40, hint="18 characters, with its check character")
    kind = text("Kind", choices=ORGANISATIONS)


class MemberBody(Body):
    """A person who acts for an organisation."""

    login = text("Login", most=40, pattern=LOGIN, example="text of a-z, 0-9, . _ -",
                 hint="2 to 40 small letters, digits, . _ -")  # fmt: skip
    name = text("Name of the person", most=100)
    roles = texts("Roles", choices=ROLES)
    signing_address = text("Signing address", most=42, required=False, blank=True,
                           hint="of a checker's own key (shuzheng key new)")  # fmt: skip


class RolesBody(Body):
    """What a member may do from now on; nothing: he no longer acts."""

    roles = texts("Roles", choices=ROLES, least=0, required=True)


class PasswordBody(Body):
    """A new password, with the old one."""

    old = text("Present password", most=200)
    new = text("New password", most=200, hint="at least 10 characters; a sentence is good")


class TokenBody(Body):
    """An API token: for what, and for how long."""

    name = text("Name", most=100, hint="what it is for")
    scopes = texts("Scopes", hint="read, or a noun such as application for its deeds",
                   choices={scope: scope for scope in sorted(accounts.SCOPES)})  # fmt: skip
    days = fields.Integer(
        required=True,
        validate=validate.Range(1, 366, error=said(MISSHAPEN, "number from 1 to 366")),
        metadata={"title": "Days it is good for", "hint": "1 to 366", "kind": "number"},
    )  # fmt: skip


class MeAnswer(Schema):
    """Who asks."""

    login = fields.String(required=True)
    name = fields.String(required=True)
    party = fields.String(required=True)
    uscc = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)


class MemberAnswer(Schema):
    """A member as the administrator sees him. `sign_in`: none, one_time (password, to be changed), own."""

    login = fields.String(required=True)
    name = fields.String(required=True)
    party = fields.String(required=True)
    uscc = fields.String(required=True)
    roles = fields.List(fields.String(), required=True)
    sign_in = fields.String(required=True, validate=validate.OneOf(("none", "one_time", "own")))
    version = fields.Integer(required=True)


class MembersAnswer(Schema):
    """All members."""

    items = fields.List(fields.Nested(MemberAnswer), required=True)


class TokenAnswer(Schema):
    """An API token, without its secret."""

    id = fields.String(required=True)
    name = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    created_at = fields.String(required=True)
    expires_at = fields.String(required=True)
    revoked = fields.Boolean(required=True)


class TokensAnswer(Schema):
    """One's own API tokens."""

    items = fields.List(fields.Nested(TokenAnswer), required=True)


@deed("party.add", "/parties", "Enter an organisation", "Party {name} ({uscc}) is entered.",
      body=PartyBody)  # fmt: skip
def add_party(desk: Desk, session: Session, actor: Actor, **body: Any) -> dict[str, Any]:
    made = parties.add_party(session, actor.member_id, desk.now, **body)
    return {"name": made.name, "uscc": made.uscc}


@deed("party.add", "/parties/individuals", "Enter a natural person",
      "A natural person is entered under the code {uscc}; now enter the person's login there.",
      name="party.individual")  # fmt: skip
def add_individual(desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """A data subject: no name and no identity number is asked for or kept in the row."""
    made = parties.add_individual(session, actor.member_id, desk.now)
    return {"uscc": made.uscc}


@deed("member.add", "/parties/<uscc>/members", "Enter a member",
      "Member {login} is entered with the roles {roles}.", body=MemberBody)  # fmt: skip
def add_member(
    desk: Desk, session: Session, actor: Actor, party: Party, **body: Any
) -> dict[str, Any]:
    made = parties.add_member(
        session, actor.member_id, desk.now, party=party, login=body["login"],
        display_name=body["name"], roles=body["roles"],
        signing_address=body.get("signing_address") or None,
    )  # fmt: skip
    return {"login": body["login"], "roles": ", ".join(made.roles)}


@deed("member.change", "/members/<login>/roles", "Change the roles",
      "Member {login} now has the roles {roles}.", body=RolesBody, changes=True)  # fmt: skip
def change_member(
    desk: Desk, session: Session, actor: Actor, member: Member, roles: list[str]
) -> dict[str, Any]:
    """New roles; who has none any more is relieved of his posts too, so that another one can have them."""
    parties.change_member(session, actor, desk.now, member, roles)
    for post in stewards.in_force(session, [] if member.roles else [member.party_id]):
        if post.member_id == member.id:
            stewards.relieve(session, actor, desk.now, post, local_date(desk.now))
    accounts.end_sessions(session, member.id)
    account = session.get_one(Account, member.id)
    return {"login": account.login, "roles": ", ".join(member.roles) or "-"}


@deed("member.reset", "/members/<login>/password-reset", "Give a new one-time password",
      "The one-time password of {login} is {one_time_password}: hand it over in person. It is shown "
      "only now.", once=("one_time_password",), records=False,
      prepare=lambda *_, **__: _one_time())  # fmt: skip
def reset_password(
    desk: Desk, session: Session, actor: Actor, member: Member, password: str, hashed: str
) -> dict[str, Any]:
    parties.require_other(actor, [member.id], "the account")
    accounts.store_password(session, member.id, hashed, desk.now, must_change=True)
    return {"login": session.get_one(Account, member.id).login, "one_time_password": password}


def _one_time() -> dict[str, str]:
    password = accounts.one_time_password()
    return {"hashed": accounts.hash_password(password), "password": password}


@deed("password.change", "/password", "Change the password",
      "Your password is changed; everywhere else you are signed out.", body=PasswordBody,
      private=("old", "new"), records=False,
      prepare=lambda desk, _report, actor, **body: _checked(desk, actor, **body))  # fmt: skip
def change_password(
    desk: Desk, session: Session, actor: Actor, old: str, new: str, attempt: accounts.Attempt,
    hashed: str,
) -> dict[str, Any]:  # fmt: skip
    accounts.change_password(session, attempt, new, hashed, desk.now)
    return {}


def _checked(desk: Desk, actor: Actor, old: str, new: str) -> dict[str, Any]:
    """The new password's hash, once the old one was shown; hashing takes time, so no lock is held."""
    with desk.home.reading() as session:
        login = session.get_one(Account, actor.member_id).login
    accounts.check_strength(new, login)
    with desk.home.deed(desk.now) as session:
        attempt = accounts.begin_attempt(session, login, desk.now)
    is_right = attempt.check(old)
    if not is_right and attempt.refusal is None:
        raise Invalid("The present password is wrong.")
    with desk.home.deed(desk.now) as session:
        accounts.finish_attempt(session, attempt, desk.now)
    return {"attempt": attempt, "hashed": accounts.hash_password(new)}


@deed("token.create", "/tokens", "Make an API token",
      "The token {name} is {secret} — it is shown only now. It is good until {until}.",
      body=TokenBody, once=("secret",), records=False)  # fmt: skip
def create_token(
    desk: Desk, session: Session, actor: Actor, name: str, scopes: list[str], days: int
) -> dict[str, Any]:
    token, secret = accounts.create_token(
        session, actor.member_id, name=name, scopes=scopes, days=days, now=desk.now
    )
    return {"id": token.id, "name": name, "secret": secret, "until": instant(token.expires_at)}


@deed("token.revoke", "/tokens/<token_id>/revoke", "Revoke", "The token is revoked.", records=False)
def revoke_token(desk: Desk, session: Session, actor: Actor, token_id: str) -> dict[str, Any]:
    accounts.revoke_token(session, actor.member_id, token_id, desk.now)
    return {"id": token_id}


@question("session.read", "/me", "Who I am", answer=MeAnswer)
def me(_desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    account = session.get_one(Account, actor.member_id)
    party = session.get_one(Party, actor.party_id)
    return {
        "login": account.login, "name": account.display_name, "party": party.name,
        "roles": sorted(actor.roles), "uscc": party.uscc,
    }  # fmt: skip


@question("token.read", "/tokens", "My API tokens", answer=TokensAnswer)
def tokens(_desk: Desk, session: Session, actor: Actor) -> dict[str, Any]:
    """One's own tokens, without their secrets."""
    return {
        "items": [
            {
                "created_at": instant(token.created_at), "expires_at": instant(token.expires_at),
                "id": token.id, "name": token.name, "revoked": token.revoked_at is not None,
                "scopes": list(token.scopes),
            }
            for token in accounts.tokens_of(session, actor.member_id)
        ]
    }  # fmt: skip


@question("member.read", "/members", "Members", answer=MembersAnswer, name="member.list")
def members(_desk: Desk, session: Session, _actor: Actor) -> dict[str, Any]:
    return {"items": member_facts(session)}


def member_facts(session: Session, party: Party | None = None) -> list[dict[str, Any]]:
    """All members, or those of an organisation, as the administrator sees them."""
    query = (
        select(Account, Member, Party, accounts.SignIn)
        .join(Member, Member.id == Account.member_id)
        .join(Party, Party.id == Member.party_id)
        .outerjoin(accounts.SignIn, accounts.SignIn.member_id == Member.id)
        .order_by(Party.name, Account.login)
    )
    if party is not None:
        query = query.where(Party.id == party.id)
    return [
        {
            "login": account.login, "name": account.display_name, "party": owner.name,
            "roles": list(member.roles), "sign_in": _way_in(known), "uscc": owner.uscc,
            "version": member.version,
        }
        for account, member, owner, known in session.execute(query)
    ]  # fmt: skip


def _way_in(known: accounts.SignIn | None) -> str:
    if known is None or (known.password_hash is None and known.oidc_subject is None):
        return "none"
    return "one_time" if known.must_change else "own"


list_parties = lists("party", "/parties", "Organisations", "name uscc kind state",
                     (Party.name, Party.uscc, Party.former_names))  # fmt: skip
show_party = shows("party", "/parties/<uscc>", "Organisation")
