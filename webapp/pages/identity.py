"""Optional single sign-on 统一身份认证: signing in by it, and linking it to one's account.

Without settings there is nothing of it: the routes answer 404 and no page speaks of it.
"""

from copy import copy
from os import environ
from typing import Any

from flask import Flask, current_app, flash, g, render_template, request, session, url_for
from flask_limiter import Limiter
from werkzeug.exceptions import NotFound

from ledger import parties
from ledger.errors import Conflict, LedgerError, NotAuthenticated
from webapp import accounts, door
from webapp.language import tr, translate
from webapp.oidc import Provider, settings_of
from webapp.pages import people
from webapp.pages.show import redirect

BY_SSO = "by_sso"


def enter(app: Flask, limiter: Limiter) -> None:
    """Enter the routes; settings that do not fit are refused when the site starts."""
    found = settings_of(environ)
    app.extensions["sso"] = None if found is None else Provider(found)
    slowly = limiter.limit(people.SIGN_IN_RATE)
    app.add_url_rule("/sign-in/oidc", "oidc_begin", slowly(begin))
    app.add_url_rule("/sign-in/oidc/callback", "oidc_callback", slowly(callback))
    app.add_url_rule("/identity", "identity", identity)
    app.add_url_rule("/identity/link", "identity_link", slowly(link), methods=["POST"])
    app.add_url_rule("/identity/unlink", "identity_unlink", unlink, methods=["POST"])
    app.context_processor(lambda: {"sso": app.extensions["sso"]})
    app.before_request(no_password_needed)


def no_password_needed() -> None:
    """Who came by single sign-on is not asked to change a one-time password he did not use."""
    known = door.visitor() if session.get(BY_SSO) else None
    if known is not None and known.must_change:
        mine = copy(known)  # another request may share what was read
        mine.must_change = False
        g._login_user = mine  # where Flask-Login keeps who asks


def _provider() -> Provider:
    found: Provider | None = current_app.extensions["sso"]
    if found is None:
        raise NotFound
    return found


@door.guard("session.begin")
def begin() -> Any:
    """Send a person to sign in there."""
    provider = _provider()
    try:
        return redirect(provider.begin(url_for("oidc_callback", _external=True)))
    except LedgerError as error:
        return _sign_in_page(error)


@door.guard("session.begin")
def callback() -> Any:
    """Who comes back from there is signed in, or linked if that is what he went for."""
    provider = _provider()
    try:
        subject, member_id = provider.finish(request.args.get("state", ""))
    except LedgerError as error:
        return _sign_in_page(error) if door.visitor() is None else _identity_page(error)
    if member_id:
        return _link(provider, subject, member_id)
    desk = door.the_desk()
    with desk.home.reading() as db:
        found = accounts.member_by_oidc(db, provider.settings.issuer, subject)
        visitor = None if found is None else door.Visitor(db, found)
    if visitor is None:
        session["next"] = url_for("identity")
        return _sign_in_page(NotAuthenticated(
            "{name} knows you, but no member here is linked to it: sign in with your password once, "
            "and link it on the page of your identity.",
            name=provider.name,
        ))  # fmt: skip
    people.begin(visitor)
    session[BY_SSO] = True
    return redirect(people.wanted_page())


def _link(provider: Provider, subject: str, member_id: str) -> Any:
    known = door.visitor()
    if known is None or known.actor.member_id != member_id:
        return _sign_in_page(NotAuthenticated(
            "You were signed out meanwhile: sign in with your password and link {name} again.",
            name=provider.name,
        ))  # fmt: skip
    desk = door.the_desk()
    try:
        with desk.home.deed(desk.now) as db:
            parties.may(door.who(db), "identity.link")
            accounts.link_oidc(db, member_id, provider.settings.issuer, subject)
    except LedgerError as error:
        return _identity_page(error)
    flash(tr("{name} is linked: from now on you can sign in by it.", name=provider.name), "success")
    return redirect(url_for("identity"))


@door.guard("identity.link")
def identity() -> Any:
    """Whether one's account is linked to the single sign-on."""
    _provider()
    return _identity_page(None)


@door.guard("identity.link")
def link() -> Any:
    """Send a person there to be linked.

    By a page, not by a redirect: the site's content policy lets no form lead to another host.
    """
    provider, me = _provider(), door.actor()
    try:
        onward = provider.begin(url_for("oidc_callback", _external=True), me.member_id)
    except LedgerError as error:
        return _identity_page(error)
    return render_template("identity.html", onward=onward)


@door.guard("identity.link")
def unlink() -> Any:
    """Sign in with the password only."""
    provider, me = _provider(), door.actor()
    desk = door.the_desk()
    with desk.home.deed(desk.now) as db:
        parties.may(door.who(db), "identity.link")
        if accounts.sign_in_of(db, me.member_id).password_hash is None:
            raise Conflict("You have no password: unlinked, you could not sign in any more.")
        accounts.unlink_oidc(db, me.member_id)
    flash(tr("{name} is no longer linked.", name=provider.name), "success")
    return redirect(url_for("identity"))


def _sign_in_page(error: LedgerError) -> tuple[str, int]:
    page = render_template("sign_in.html", refusal=error.localized(translate), login="")
    return page, error.http_status


def _identity_page(error: LedgerError | None) -> tuple[str, int]:
    with door.the_desk().home.reading() as db:
        known = db.get(accounts.SignIn, door.actor().member_id)
    is_linked = known is not None and known.oidc_issuer == _provider().settings.issuer
    page = render_template(
        "identity.html", subject=known.oidc_subject if known and is_linked else None,
        refusal=error and error.localized(translate),
    )  # fmt: skip
    return page, 200 if error is None else error.http_status
