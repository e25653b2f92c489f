"""Signing in and out, the language, what a member keeps for himself, and the members of a house."""

from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from flask import Flask, flash, make_response, render_template, request, session, url_for
from flask_limiter import Limiter
from flask_login import login_user, logout_user
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response

from ledger.errors import Invalid, LedgerError, NotAuthenticated
from ledger.parties import Party, allowed
from webapp import accounts, door
from webapp.deeds.all import people
from webapp.deeds.forms import faults_by_place
from webapp.deeds.subjects import member_by_login
from webapp.intake import read_form
from webapp.language import LANGUAGES, tr, translate
from webapp.pages import nouns
from webapp.pages.forms import fields_of
from webapp.pages.show import redirect, when

SIGN_IN_RATE = "30 per minute"
YEAR_S = 365 * 24 * 3600


def enter(app: Flask, limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/sign-in", "sign_in", limiter.limit(SIGN_IN_RATE, methods=["POST"])(sign_in),
                     methods=["GET", "POST"])  # fmt: skip
    app.add_url_rule("/sign-out", "sign_out", sign_out, methods=["POST"])
    app.add_url_rule("/language/<code>", "set_language", set_language, methods=["POST"])
    app.add_url_rule("/password", "password_change", password, methods=["GET", "POST"])
    app.add_url_rule("/tokens", "token_read", tokens, methods=["GET", "POST"])
    app.add_url_rule("/tokens/<token_id>/revoke", "token_revoke", revoke, methods=["POST"])
    app.add_url_rule("/members", "member_list", members)
    app.add_url_rule("/members/<login>/password-reset", "member_reset", reset,
                     methods=["GET", "POST"])  # fmt: skip
    app.add_url_rule("/members/<login>/roles", "member_change", change, methods=["GET", "POST"])
    nouns.EXTRA["party"] = members_of


@door.guard("session.begin")
def sign_in() -> Any:
    """The sign-in form; a good one begins a session."""
    if request.method == "GET":
        return render_template("sign_in.html", refusal=None, login="")
    desk = door.the_desk()
    login, given = request.form.get("login", "").strip(), request.form.get("password", "")
    with desk.home.deed(desk.now) as db:  # the attempt is counted before it is tried
        attempt = accounts.begin_attempt(db, login, desk.now)
    attempt.check(given)  # slow on purpose, and outside any transaction
    try:
        with desk.home.deed(desk.now) as db:
            known = accounts.finish_attempt(db, attempt, desk.now)
            visitor = door.Visitor(db, known.member_id)
    except NotAuthenticated as error:
        page = render_template("sign_in.html", refusal=_told(error), login=login)
        return page, error.http_status
    begin(visitor)
    return redirect(wanted_page())


def _told(error: LedgerError) -> str:
    """A refusal; until when an account is locked is told as people here read a time."""
    if "until" in error.facts:
        error.facts["until"] = when(error.facts["until"])
    return error.localized(translate)


def begin(visitor: door.Visitor) -> None:
    """Begin a session; nothing of an earlier one is kept but where he wanted to go."""
    wanted = session.get("next")
    session.clear()
    session.permanent = True
    login_user(visitor)
    if wanted:
        session["next"] = wanted


def wanted_page() -> str:
    """Where the visitor wanted to go before he signed in, if that is a page of this site."""
    return own_page(str(session.pop("next", ""))) or url_for("work_read")


def own_page(address: str) -> str | None:
    """An address if it is a path of this site, however a browser reads it."""
    if not address.isprintable() or not address.startswith("/") or "\\" in address:
        return None
    return None if address.startswith("//") or urlsplit(address).netloc else address


@door.guard("session.end")
def sign_out() -> Any:
    """End the session."""
    logout_user()
    session.clear()
    return redirect(url_for("start"))


@door.guard("page.read")
def set_language(code: str) -> Any:
    """Say the language of the pages."""
    answer = redirect(own_page(request.form.get("back", "")) or url_for("start"))
    if code in LANGUAGES:
        answer.set_cookie("lang", code, max_age=YEAR_S, httponly=True, samesite="Lax")
    return answer


@door.guard("password.change")
def password() -> Any:
    """Change one's password."""
    errors: dict[str, list[str]] = {}
    refusal = None
    if request.method == "POST":
        again = request.form.get("again", "")
        # As it was typed: what a form trims of other texts belongs to a password.
        values = {name: request.form[name] for name in ("old", "new") if request.form.get(name)}
        desk = door.the_desk()
        try:
            if again != request.form.get("new", ""):
                errors = {"again": [tr("The two are not the same.")]}
                raise Invalid("The new password and its repetition are not the same.")
            desk.do(people.change_password, door.who, {}, values)
            with desk.home.reading() as db:
                known = door.visitor()
                assert known is not None
                fresh = door.Visitor(db, known.actor.member_id)
            begin(fresh)
            flash(tr(people.change_password.says), "success")
            return redirect(url_for("work_read"))
        except LedgerError as error:
            errors |= faults_by_place(error, translate)
            refusal = _told(error)
    known = door.visitor()
    must = known is not None and known.must_change
    page = render_template("password.html", errors=errors, refusal=refusal, must=must)
    return page, 200 if refusal is None else 400


@door.guard("token.read")
def tokens() -> Any:
    """One's API tokens; POST makes one and shows it, once."""
    desk = door.the_desk()
    values: dict[str, Any] = {"days": 90}
    errors: dict[str, list[str]] = {}
    refusal, secret = None, None
    if request.method == "POST":
        try:
            values = read_form(people.TokenBody, request.form)
            key = request.form.get("idempotency") or uuid4().hex
            done = desk.do(people.create_token, door.who, {}, values, key=key)
            secret, values = done.answer.get("secret"), {"days": 90}
        except LedgerError as error:
            errors, refusal = faults_by_place(error, translate), error.localized(translate)
    found = desk.ask(people.tokens, door.who, {}, {})
    form = fields_of(people.TokenBody, values, errors, lambda _: [])
    page = render_template(
        "tokens.html", found=found, fields=form, refusal=refusal, secret=secret, key=uuid4().hex,
        errors=errors,
    )  # fmt: skip
    return page, 200 if refusal is None else 400


@door.guard(people.revoke_token)
def revoke(token_id: str) -> Any:
    """Revoke one of one's tokens."""
    done = door.the_desk().do(people.revoke_token, door.who, {"token_id": token_id}, {})
    flash(tr(people.revoke_token.says, **done.answer), "success")
    return redirect(url_for("token_read"))


@door.guard(people.members)
def members() -> str:
    """All members, for the administrator."""
    found = door.the_desk().ask(people.members, door.who, {}, {})
    return render_template("members.html", found=found)


def members_of(db: Session, party: Party) -> dict[str, Any]:
    """The members of an organisation, for those who see members."""
    may_see = allowed(door.actor(), "member.read")
    return {"members": people.member_facts(db, party) if may_see else None}


@door.guard(people.change_member)
def change(login: str) -> Any:
    """Change a member's roles, beginning with those he has."""
    deed, keys = people.change_member, {"login": login}
    if request.method == "GET":
        with door.the_desk().home.reading() as db:
            roles = list(member_by_login(db, login).roles)
        return nouns.deed_page(deed, keys, {"roles": roles}, {}, None)
    answer = nouns.submit(deed, keys)
    return redirect(url_for("member_list")) if isinstance(answer, Response) else answer


@door.guard(people.reset_password)
def reset(login: str) -> Any:
    """Give a member a one-time password.

    The page itself shows it, once: a message kept for the next page would lie readable in the cookie.
    """
    deed, keys = people.reset_password, {"login": login}
    if request.method == "GET":
        return nouns.deed_page(deed, keys, {}, {}, None)
    key = request.form.get("idempotency") or uuid4().hex
    try:
        done = door.the_desk().do(deed, door.who, keys, {}, key=key)
    except NotAuthenticated:
        raise
    except LedgerError as error:
        refusal = error.localized(translate)
        return nouns.deed_page(deed, keys, {}, {}, refusal, key=key), error.http_status
    with door.the_desk().home.reading() as db:
        [member] = [one for one in people.member_facts(db) if one["login"] == login]
    page = make_response(render_template(
        "one_time.html", member=member, password=done.answer.get("one_time_password")
    ))  # fmt: skip
    page.headers["Cache-Control"] = "no-store"
    return page
