"""The door: who asks, and may he? Every route has a guard; one without is refused when the site starts.

Who asks is known by a session cookie (Flask-Login; the cookie names the member and his epoch, so that
a changed password ends every session) or by an API token. The guard asks `MAY` before a body is read;
the deed asks again inside its transaction.
"""

import secrets
from collections.abc import Callable
from typing import Any, cast

from flask import Flask, current_app, request
from flask_login import LoginManager, UserMixin, current_user
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.exceptions import NotFound

from ledger import parties
from ledger.errors import NotAllowed, NotAuthenticated
from ledger.parties import NOBODY, Account, Actor, Member, Party, allowed, may
from ledger.rights import MAY, PUBLIC
from webapp import accounts
from webapp.deeds import Deed, Desk, Question, Thing

BEARER = "Bearer "
SESSION_HOURS = 8


class Visitor(UserMixin):  # type: ignore[misc]  # Flask-Login is untyped
    """Who is signed in: the member, his roles, and the scopes of the token he came with, if any."""

    def __init__(self, session: Session, member_id: str, token: Any = None) -> None:
        found = session.execute(
            select(
                Member.id, Account.login, Account.display_name, Party.name,
                accounts.SignIn.epoch, accounts.SignIn.must_change,
            )
            .join(Account, Account.member_id == Member.id)
            .join(Party, Party.id == Member.party_id)
            .outerjoin(accounts.SignIn, accounts.SignIn.member_id == Member.id)
            .where(Member.id == member_id)
        ).first()  # fmt: skip
        if found is None:
            raise NotAuthenticated("Sign in first.")
        self.actor = parties.actor_of(session, member_id)
        self.login, self.name, self.party_name = found.login, found.display_name, found.name
        self.epoch, self.must_change = found.epoch or "", bool(found.must_change)
        self.token_id = token.id if token is not None else None
        self.scopes = frozenset(token.scopes) if token is not None else None

    def get_id(self) -> str:
        return f"{self.actor.member_id} {self.epoch}"


def desk_of(app: Flask) -> Desk:
    """The desk of a site."""
    return cast(Desk, app.extensions["desk"])


def the_desk() -> Desk:
    """The desk of this site."""
    return desk_of(current_app)


def visitor() -> Visitor | None:
    """Who is signed in, or None."""
    user = current_user._get_current_object()
    return user if isinstance(user, Visitor) else None


def actor() -> Actor:
    """The actor of this request."""
    known = visitor()
    return NOBODY if known is None else known.actor


def who(session: Session) -> Actor:
    """The actor of this request as he is now, inside a transaction."""
    known = visitor()
    return NOBODY if known is None else parties.actor_of(session, known.actor.member_id)


def guard(thing: Thing | str) -> Callable[[Any], Any]:
    """Say which verb a view needs; with a deed or question, also whose subject its path names."""

    def mark(view: Any) -> Any:
        view.guarding = Thing(thing, thing, "", "", view) if isinstance(thing, str) else thing
        return view

    return mark


def set_up(app: Flask, public: dict[str, str]) -> None:
    """Put the door before every route. `public`: endpoints of libraries and the verb each needs."""
    manager = LoginManager(app)
    manager.session_protection = "basic"
    manager.user_loader(_by_session)
    manager.request_loader(_by_token)
    guards: dict[str, Thing] = {}
    for endpoint, view in app.view_functions.items():
        verb = public.get(endpoint)
        thing = Thing(verb, verb, "", "", view) if verb else getattr(view, "guarding", None)
        if thing is None:
            raise AssertionError(f"the route {endpoint} has no guard")
        guards[endpoint] = thing
    app.extensions["guards"] = guards
    app.before_request(check)


def check() -> None:
    """Refuse who may not, before anything of the request is read."""
    if request.method == "HEAD":  # asks what GET would answer; a view that takes forms sees none
        request.method = "GET"
    if request.endpoint is None:
        return
    if not all(str(value).isprintable() for value in (request.view_args or {}).values()):
        raise NotFound  # no name here has a control character, and PostgreSQL takes no zero byte
    thing = current_app.extensions["guards"][request.endpoint]
    known, asks = visitor(), actor()
    if known is None and request.headers.get("Authorization"):
        raise NotAuthenticated("The token is unknown, expired or revoked.")
    may(asks, thing.verb)
    if known is not None and known.scopes is not None:
        _check_scopes(known.scopes, thing)
    elif (
        known is not None
        and known.must_change
        and is_api()
        and not (thing.verb == "password.change" or allowed(NOBODY, thing.verb))
    ):  # the pages lead him there
        raise NotAllowed("Change the one-time password first.")
    if MAY[thing.verb].get(PUBLIC) == "any":
        return  # whosever it is; that it is there, the question itself sees
    keys = cast(dict[str, str], request.view_args or {})
    if isinstance(thing, Deed | Question) and thing.keys and set(thing.keys) <= set(keys):
        with the_desk().home.reading() as session:
            thing.authorise(session, asks, thing.subjects(session, keys))


def is_api() -> bool:
    """Whether a program asks: it is refused by problem details, and speaks as it says itself."""
    return request.path.startswith("/api/v")


def _check_scopes(scopes: frozenset[str], thing: Thing) -> None:
    """Raise NotAllowed unless a token of these scopes is for this; it opens the API only."""
    if not is_api():
        raise NotAllowed("An API token opens the API only; sign in to see the pages.")
    wanted = thing.noun if isinstance(thing, Deed) else "read"
    if wanted not in scopes or thing.verb.startswith(("token.", "password.")):
        raise NotAllowed(
            "This token is for {scopes}, not for {wanted}.",
            scopes=", ".join(sorted(scopes)), wanted=wanted,
        )  # fmt: skip


def _by_session(text: str) -> Visitor | None:
    member_id, _, epoch = text.partition(" ")
    with the_desk().home.reading() as session:
        try:
            found = Visitor(session, member_id)
        except NotAuthenticated:
            return None
    fits = found.epoch and secrets.compare_digest(found.epoch, epoch)
    return found if found.actor.roles and fits else None


def _by_token(_request: Any) -> Visitor | None:
    given = request.headers.get("Authorization", "")
    if not given.startswith(BEARER):
        return None
    desk = the_desk()
    with desk.home.reading() as session:
        token = accounts.find_token(session, given.removeprefix(BEARER), desk.now)
        found = None if token is None else Visitor(session, token.member_id, token)
    if token is not None and accounts.use_is_due(token, desk.now):
        with desk.home.deed(desk.now) as session:
            accounts.note_use(session, token.id, desk.now)
    return found
