"""The question asked most, answered before the web framework: how a voucher stands, asked by nobody known.

`GET /api/v1/vouchers/<number>/state` without cookie or token costs the site ten times what the answer
does: sessions, languages, forms, guards, all found not to matter. So the plain case is answered here, and
everything else goes on to the site: a caller who says who he is, another spelling, every refusal. What a
caller gets is the same in every byte (`tests/web/test_public.py` compares):

- who may: the question is everybody's by `MAY`, or the site does not start with this;
- how often: counted by the site's own limiter, in the same window; over it, the site refuses;
- the answer: `voucher_state`, never older than the last commit (`Home.as_committed`);
- the headers: the site's own, learned from its first answer to such a request.
"""

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from flask_limiter import Limiter
from werkzeug.middleware.proxy_fix import ProxyFix

from ledger.parties import NOBODY, may
from webapp import door
from webapp.api.respond import dump
from webapp.deeds.all import proofs
from webapp.deeds.proofs import voucher_state

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
Headers = list[tuple[str, str]]

ENDPOINT = "api.voucher_verify"
PATH = re.compile(r"/api/v1/vouchers/([A-Z]{2}[0-9]{6}-[0-9]{6}-[0-9A-Z])/state")
QUERY = re.compile(r"(?:digest=([0-9a-f]{64}))?")
# What a request says that the plain one does not.
SAYS_MORE = ("HTTP_COOKIE", "HTTP_AUTHORIZATION")
# Headers that are not the same on every answer: with one of them, the site answers itself.
OF_ITS_OWN = ("set-cookie", "etag", "date", "retry-after", "x-ratelimit")


def set_up(app: Flask, limiter: Limiter) -> None:
    """Put it before the site, behind what says who the client of a proxy is."""
    may(NOBODY, proofs.state.verb)
    limits = limiter.limit_manager.default_limits
    if len(limits) != 1 or not limiter.enabled:
        return
    outer = app.wsgi_app
    if isinstance(outer, ProxyFix):
        outer.app = QuickState(outer.app, app, limiter)
    else:
        app.wsgi_app = QuickState(outer, app, limiter)  # type: ignore[method-assign]


class QuickState:
    """A WSGI application that answers the plain case and gives on every other one."""

    def __init__(self, site: Application, app: Flask, limiter: Limiter) -> None:
        self._site, self._app = site, app
        self._limiter = limiter.limiter
        self._limit = limiter.limit_manager.default_limits[0].limit
        self._learned: dict[tuple[str, bool], Headers] = {}

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path = PATH.fullmatch(environ.get("PATH_INFO", ""))
        query = QUERY.fullmatch(environ.get("QUERY_STRING", ""))
        plain = environ["REQUEST_METHOD"] == "GET" and not any(map(environ.get, SAYS_MORE))
        if path is None or query is None or not plain:
            return self._site(environ, start_response)
        # What the site's headers depend on.
        encrypted = (environ["wsgi.url_scheme"], environ.get("HTTP_X_FORWARDED_PROTO") == "https")
        headers = self._learned.get(encrypted)
        if headers is None:
            return self._site(environ, self._learning(encrypted, start_response))
        try:
            body = dump(voucher_state(door.desk_of(self._app), path[1], query[1] or ""))
        except Exception:  # refused, or our fault: the site says so
            return self._site(environ, start_response)
        client = (environ.get("REMOTE_ADDR") or "127.0.0.1", ENDPOINT)
        if not self._limiter.hit(self._limit, *client):
            return self._site(environ, start_response)
        start_response("200 OK", [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _learning(self, encrypted: tuple[str, bool], start_response: Any) -> Any:
        def start(status: str, headers: Headers, *more: Any) -> Any:
            same = [(name, value) for name, value in headers if name.lower() != "content-length"]
            plain = not any(name.lower().startswith(OF_ITS_OWN) for name, _ in same)
            if status.startswith("200") and plain:
                self._learned[encrypted] = same
            return start_response(status, headers, *more)

        return start
