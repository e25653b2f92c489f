"""The log for monitors: the files that C2SP tlog-tiles names, with the caching headers it asks for.

    GET /checkpoint                        the newest signed checkpoint: kept for a moment
    GET /tile/<L>/<N>[.p/<W>]              hashes: kept for ever
    GET /tile/entries/<N>[.p/<W>]          entries, each after its length in two bytes: kept for ever
    GET /proof/<leaf>.tlog-proof           the proof of a leaf (C2SP tlog-proof): kept for a moment

They stand under the site's address and under /log, which is what the log's origin says; who comes with an
API token finds the same under /api/v1/log. What is answered, and to whom, say the questions of
`webapp.deeds.proofs`; here are only their addresses and headers.
"""

from typing import Any

from flask import Flask, Response, request

from ledger.errors import LedgerError
from webapp import door
from webapp.deeds import Question
from webapp.deeds.all import proofs
from webapp.language import translate

PREFIXES = ("", "/log")
FOR_EVER = "max-age=31536000, immutable"
A_MOMENT = "max-age=5"
# What the log shows: the path under a prefix, the question, how long an answer may be kept.
FILES = (
    ("/checkpoint", proofs.newest_checkpoint, A_MOMENT),
    ("/tile/<path:tile_path>", proofs.tile, FOR_EVER),
    ("/proof/<leaf_index>.tlog-proof", proofs.leaf_proof, A_MOMENT),
)


def enter(app: Flask) -> None:
    """Enter the routes."""
    for path, asked, kept in FILES:
        view = door.guard(asked)(_view(asked, kept))
        for prefix in PREFIXES:
            app.add_url_rule(prefix + path, f"tlog_{asked.act.__name__}", view)


def _view(asked: Question, kept: str) -> Any:
    def view(**keys: str) -> Any:
        desk = door.the_desk()
        with desk.home.reading() as session:
            actor = door.who(session)
            try:
                found = asked.act(desk, session, actor, **keys)
            except LedgerError as error:
                return _refused(error)
            readers = "public" if proofs.is_public(session) else "private"
        answer = Response(found.content, content_type=found.media_type)
        answer.headers["Cache-Control"] = f"{readers}, {kept}"
        answer.add_etag()
        return answer.make_conditional(request)

    return view


def _refused(error: LedgerError) -> Response:
    """A refusal for a program; what is not there now may be there next time."""
    text = f"{error.localized(translate)}\n"
    answer = Response(text, error.http_status, content_type=proofs.TEXT)
    answer.headers["Cache-Control"] = "no-store"
    return answer
