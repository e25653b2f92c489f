"""The web site: `create_app` puts extensions, door, API and pages together."""

import json
import secrets
import threading
from datetime import timedelta
from os import environ
from pathlib import Path
from typing import Any

from flask import Flask, request
from flask.json.provider import JSONProvider
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_talisman import Talisman
from flask_wtf.csrf import CSRFError, CSRFProtect
from limits.storage import MemoryStorage
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from ledger.chain.keys import write_durably
from ledger.errors import LedgerError
from ledger.store import is_full, no_room
from webapp import api, door, pages
from webapp.api import problems
from webapp.api.respond import dump
from webapp.deeds import Desk
from webapp.deeds import all as all_deeds
from webapp.home import Home, read_passphrase
from webapp.intake import UPLOAD_BYTES_MAX
from webapp.language import LANGUAGES, speak

CONTENT_POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'",
    "img-src": "'self' data:", "font-src": "'self'", "connect-src": "'self'",
    "form-action": "'self'", "frame-ancestors": "'none'", "base-uri": "'none'",
    "manifest-src": "'self'",
}  # fmt: skip
RATE = "6000 per minute"
FORGET_EVERY_S = 10.0
FORM_OVERHEAD = 1024 * 1024
# Routes of the libraries: files that come with the software, and the API's document.
LIBRARY_ROUTES = {
    "static": "page.read", "bootstrap.static": "page.read", "api-docs.openapi_json": "page.read",
    "api-docs.openapi_swagger_ui": "page.read",
}  # fmt: skip


class ExactJson(JSONProvider):
    """JSON in which a number with a point stays the text it was written as: money is never a float."""

    def dumps(self, obj: Any, **_: Any) -> str:
        return dump(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        return json.loads(s, parse_float=str, parse_constant=_no_constant)


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no JSON")


class SlowMemory(MemoryStorage):
    """Counts of requests in memory; what is over is forgotten every ten seconds.

    The library's own begins a thread every hundredth of a second under load, only to forget.
    """

    STORAGE_SCHEME = ["slowmemory"]

    @property
    def timer(self) -> threading.Timer:
        return self._timer

    @timer.setter
    def timer(self, begun: threading.Timer) -> None:
        begun.interval, begun.daemon = FORGET_EVERY_S, True
        self._timer = begun


def create_app(place: Path | Desk) -> Flask:
    """The site of a home, as a WSGI application; raises Missing where there is no home."""
    assert all_deeds
    desk = place
    if not isinstance(desk, Desk):
        folder = desk
        desk = Desk(Home(folder), lambda: read_passphrase(folder))
    home, path = desk.home, desk.home.path
    app = Flask(__name__)
    app.json = ExactJson(app)
    app.extensions["desk"] = desk
    secure = environ.get("SHUZHENG_HTTPS") == "1"
    app.config |= {
        "MAX_CONTENT_LENGTH": UPLOAD_BYTES_MAX + FORM_OVERHEAD,
        "MAX_FORM_MEMORY_SIZE": 4 * FORM_OVERHEAD,
        "PERMANENT_SESSION_LIFETIME": timedelta(hours=door.SESSION_HOURS),
        "RATELIMIT_STORAGE_URI": "slowmemory://",
        "SECRET_KEY": site_secret(path),
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_NAME": "shuzheng",
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_COOKIE_SECURE": secure,
        "WTF_CSRF_CHECK_DEFAULT": False,  # pages check it; the API asks for a header no form can send
        "WTF_CSRF_TIME_LIMIT": None,
    }
    proxies = int(environ.get("SHUZHENG_PROXIES", "0"))
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, proxies, proxies)  # type: ignore[method-assign]
    _ = home.config
    app.before_request(_choose_language)
    app.teardown_request(_forget_language)
    limiter = Limiter(
        get_remote_address, app=app, default_limits=[environ.get("SHUZHENG_RATE", RATE)]
    )
    csrf = CSRFProtect(app)
    Talisman(
        app, content_security_policy=CONTENT_POLICY, force_https=secure,
        strict_transport_security=secure, session_cookie_secure=secure, frame_options="DENY",
        referrer_policy="same-origin", permissions_policy={},
    )  # fmt: skip
    api.set_up(app)
    pages.set_up(app, limiter, csrf)
    door.set_up(app, LIBRARY_ROUTES)
    app.register_error_handler(LedgerError, _refused)
    app.register_error_handler(HTTPException, _http_refused)
    app.register_error_handler(CSRFError, _http_refused)
    app.register_error_handler(Exception, _fault)
    return app


def site_secret(path: Path) -> str:
    """The secret that signs session cookies, made once and kept with mode 0600."""
    kept = path / "site.secret"
    if not kept.exists():
        write_durably(kept, secrets.token_urlsafe(48).encode())
    return kept.read_text().strip()


def _choose_language() -> None:
    """A person chooses by the cookie, a program (also one that fetches the document) by a header."""
    chosen = request.cookies.get("lang")
    if request.path.startswith("/api/") and (door.is_api() or chosen is None):
        chosen = request.accept_languages.best_match(list(LANGUAGES)) or chosen
    speak(chosen)


def _forget_language(_: BaseException | None) -> None:
    """What this thread says next is not said in this visitor's language."""
    speak(None)


def _is_api() -> bool:
    return request.path.startswith("/api/")


def _refused(error: LedgerError) -> Any:
    return problems.of_refusal(error) if _is_api() else pages.refused(error)


def _http_refused(error: HTTPException) -> Any:
    return problems.of_http(error) if _is_api() else pages.http_refused(error)


def _fault(error: Exception) -> Any:
    import structlog  # noqa: PLC0415 - only when something broke

    structlog.get_logger().error("fault", path=request.path, exc_info=error)
    if is_full(error):
        return _refused(no_room())
    return problems.of_fault() if _is_api() else pages.fault()
