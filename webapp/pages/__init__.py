"""The pages: a list, a page and a form for every noun, made from the deeds; special ones beside them.

GET  /applications                        what I may see of a noun
GET  /applications/SQ2026-000001          one of them: facts, history, what I can do now
GET  /applications/SQ2026-000001/accept   the form of a deed; POST does it
"""

from typing import Any

from flask import Flask, current_app, flash, render_template, request, session, url_for
from flask_bootstrap import Bootstrap5
from flask_limiter import Limiter
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from werkzeug.exceptions import HTTPException

from ledger.errors import LedgerError, NotAuthenticated
from ledger.parties import allowed
from webapp import door
from webapp.language import LANGUAGES, language, tr, translate
from webapp.pages import (
    agreements,
    appraisal,
    bookkeeping,
    books,
    calculator,
    catalogue,
    catalogue_export,
    catalogue_search,
    contribution,
    duties,
    finance,
    house,
    identity,
    import_templates,
    lists,
    messages,
    nouns,
    organisations,
    payments,
    people,
    previews,
    prices,
    public,
    recognition,
    registration,
    resource,
    revenue,
    show,
    space,
    start,
    statements,
    statistics,
    supervision,
    trade,
    usage,
    value,
    witnesses,
)
from webapp.pages.menu import menu

# Each of these files enters its own routes: `enter(app, limiter)`.
PLACES: tuple[Any, ...] = (start, people, organisations, public, catalogue_export,
                           catalogue_search, registration, value, appraisal, calculator, revenue,
                           statements, usage, house, identity, witnesses, lists, resource, duties,
                           supervision, catalogue, agreements, space, messages, recognition, prices,
                           finance, payments, books, statistics, bookkeeping, contribution,
                           trade, previews, import_templates)  # fmt: skip


def set_up(app: Flask, limiter: Limiter, csrf: CSRFProtect) -> None:
    """Enter all pages, the words they use, and the check of every form's token."""
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    Bootstrap5(app)
    app.jinja_env.filters |= show.FILTERS
    app.jinja_env.globals |= {
        "LANGUAGES": LANGUAGES, "allowed": allowed, "csrf_token": generate_csrf, "tr": tr,
        "visitor": door.visitor, "actor": door.actor, "address_of": nouns.address_of, "language": language,
    }  # fmt: skip
    demo = door.desk_of(app).home.config.demo
    app.context_processor(
        lambda: {"demo": demo, "lang": language(), "menu": menu(door.actor(), app.view_functions)}
    )
    for place in (*PLACES, nouns):
        place.enter(app, limiter)

    @app.before_request
    def check_form() -> None:
        if request.method == "POST" and not request.path.startswith("/api/"):
            csrf.protect()

    @app.before_request
    def change_password_first() -> Any:
        known = door.visitor()
        free = ("password_change", "sign_out", "set_language", "static", "bootstrap.static")
        api = request.path.startswith("/api/")
        if known and known.must_change and not api and request.endpoint not in free:
            return show.redirect(url_for("password_change"))
        return None


def refused(error: LedgerError) -> Any:
    """The page of a refusal; who is not signed in is asked to."""
    if isinstance(error, NotAuthenticated) and request.method == "GET":
        session["next"] = request.full_path if request.query_string else request.path
        return show.redirect(url_for("sign_in"))
    return _page(error.http_status, error.localized(translate))


def http_refused(error: HTTPException) -> Any:
    """The page of the web framework's refusals."""
    status = error.code or 500
    texts = {
        400: "The form is too old or was changed: go back, load the page again and repeat.",
        404: "There is no such page.",
        405: "This page cannot be asked that way.",
        413: "The file is too large.",
        429: "Too many requests: wait a minute.",
    }
    if error.code is not None and error.code < 400:
        return error.get_response()
    if isinstance(error, CSRFError) and _must_sign_in():
        # Most often: signed in long ago, and the session ran out.
        if request.url_rule and "GET" in (request.url_rule.methods or ()):
            session["next"] = request.path
        flash(
            tr(
                "Your session is over, and nothing was stored: sign in, then fill in the form again."
            ),
            "warning",
        )
        return show.redirect(url_for("sign_in"))
    return _page(status, tr(texts.get(status, "This cannot be done.")))


def _must_sign_in() -> bool:
    """Whether this form is for members, and nobody is signed in."""
    guard = current_app.extensions["guards"].get(request.endpoint)
    return guard is not None and door.visitor() is None and not allowed(door.actor(), guard.verb)


def fault() -> tuple[str, int]:
    """The page of our own faults; nothing of the cause is told outside."""
    return _page(
        500,
        tr("Our fault: nothing was changed; the administrator finds the cause in the log."),
    )


def _page(status: int, text: str) -> tuple[str, int]:
    return render_template("error.html", status=status, text=text), status
