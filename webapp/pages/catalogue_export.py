"""The catalogue to take along, for everybody as he sees it: DCAT (JSON-LD), XLSX, CKAN.

    /catalogue.jsonld  /catalogue.xlsx  /catalogue.ckan.json    all, or what filters leave
    /resources/CODE.jsonld                                      one
    /api/3/action/package_list, package_show, package_search    as CKAN answers

A file is written to disk one entry after the other and sent from there, so that memory stays small and
no transaction waits for a slow reader. Its ETag is that of the log: nothing is written twice for who asks
again.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, request
from flask_limiter import Limiter
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ledger import catalogue_ckan, log, search
from ledger.catalogue import Audience, Resource, audiences, find
from ledger.catalogue_formats import (
    KINDS,
    TITLE,
    dataset_bytes,
    entries,
    entry_of,
    package,
    write,
)
from ledger.errors import LedgerError, Missing
from ledger.parties import Party
from ledger.proof.encoding import canonical, digest_text
from ledger.search_index import values_of
from webapp import door
from webapp.api.respond import send
from webapp.deeds import LongFile
from webapp.deeds.forms import Body, load, text
from webapp.deeds.search import FILTERS, WORDS_MAX
from webapp.tables import XLSX

RATE = "10 per minute"  # a whole catalogue takes seconds to write
MEDIA = {"xlsx": XLSX, "jsonld": "application/ld+json", "ckan.json": "application/json"}
PACKAGES_MOST = 1_000
EVERYTHING = 1_000_000_000

ExportQuery = type("ExportQuery", (Body,), {
    "__doc__": "What of the catalogue is wanted: words, and filters as in its search.",
    "words": text("Words", most=WORDS_MAX, required=False, blank=True),
    **{name: text(title, most=200, required=False, blank=True) for name, title in FILTERS.items()},
})  # fmt: skip


def enter(app: Flask, limiter: Limiter) -> None:
    """Enter the routes."""
    limited = limiter.limit(RATE)
    for kind in KINDS:
        app.add_url_rule(
            f"/catalogue.{kind}", f"catalogue_{kind.replace('.', '_')}", limited(_whole(kind))
        )
    app.add_url_rule("/resources/<path:resource_code>.jsonld", "resource_jsonld", one)
    for name, act in (("list", package_list), ("show", package_show), ("search", package_search)):
        app.add_url_rule(f"/api/3/action/package_{name}", f"package_{name}", act)


def _whole(kind: str) -> Any:
    @door.guard("catalogue.export")
    def whole() -> Response:
        """The catalogue as the asker sees it."""
        asked = load(ExportQuery, request.args)
        base = request.host_url.rstrip("/")
        with door.the_desk().home.reading() as session:
            seen = audiences(session, door.who(session))
            tag = etag(session, seen, kind, base, asked)
            if tag in request.if_none_match:
                return _tagged(Response(status=304), tag)
            answer = send(_written(session, seen, kind, base, asked))
        if kind == "jsonld":  # it is read where it is
            del answer.headers["Content-Disposition"]
        return _tagged(answer, tag)

    return whole


def _written(
    session: Session, seen: Audience, kind: str, base: str, asked: Mapping[str, str]
) -> LongFile:
    where, fits = narrowed(session, seen, asked)
    with tempfile.NamedTemporaryFile(prefix="shuzheng-catalogue-") as file:
        write(kind, file.name, entries(session, seen, where, fits), base=base, title=TITLE)
        written = Path(file.name).open("rb")  # noqa: SIM115 - it is closed when it was sent
    return LongFile(written, MEDIA[kind], f"catalogue.{kind}")


def narrowed(
    session: Session, seen: Audience, asked: Mapping[str, str]
) -> tuple[list[ColumnElement[bool]], Callable[[Any], bool] | None]:
    """What filters and words leave: conditions, and a check of each row. Without a state: the listed."""
    columns = Resource.__table__.c
    where = [columns.state == (asked.get("state") or "listed")]
    chosen = {name: value for name, value in asked.items() if value and name in FILTERS}
    if chosen.get("provider"):
        where.append(columns.provider == chosen["provider"])
    if asked.get("words"):
        found = search.search(session, seen, asked["words"], limit=EVERYTHING, facets=())
        ids = select(search.SearchDoc.resource_id).where(search.SearchDoc.doc.in_(found.docs))
        where.append(columns.id.in_(ids))
    if not chosen:
        return where, None
    return where, lambda row: chosen.items() <= values_of(row).items()


def etag(session: Session, seen: Audience, kind: str, base: str, asked: Mapping[str, str]) -> str:
    """What an answer depends on: who asks for what, and how far the log has grown."""
    whose = [seen.everything, seen.bodies, seen.party_id, sorted(seen.resource_ids)]
    return digest_text(canonical([kind, base, dict(asked), whose, log.size(session)]))[7:39]


def _tagged(answer: Response, tag: str) -> Response:
    answer.set_etag(tag)
    answer.headers["Cache-Control"] = "private, no-cache"
    answer.headers["Vary"] = "Cookie, Authorization"
    return answer


@door.guard("catalogue.export")
def one(resource_code: str) -> Response:
    """One resource as a data set."""
    base = request.host_url.rstrip("/")
    with door.the_desk().home.reading() as session:
        actor = door.who(session)
        row, seen = find(session, actor, resource_code), audiences(session, actor)
        entry = entry_of(row, seen, _uscc(session, row))
        tag = etag(session, seen, resource_code, base, {})
    answer = Response(dataset_bytes(entry, base, alone=True), mimetype=MEDIA["jsonld"])
    _tagged(answer, tag).make_conditional(request)
    return answer


def _uscc(session: Session, row: Any) -> str | None:
    return session.scalar(select(Party.uscc).where(Party.id == row.provider_id))


# ---------------------------------------------------------------- as CKAN answers


@door.guard("catalogue.export")
def package_list() -> Any:
    """The names of packages."""
    return _ckan(lambda session, seen: [package(e)["name"] for e in _page(session, seen)[0]])


@door.guard("catalogue.export")
def package_show() -> Any:
    """One package, by its name or the resource's code."""
    wanted = request.args.get("id", "")

    def act(session: Session, seen: Audience) -> Any:
        known = session.scalars(select(Resource).where(Resource.code == wanted)).first()
        if known is None:
            codes = session.scalars(select(Resource.code))
            code = next((code for code in codes if catalogue_ckan.name_of(code) == wanted), "")
            known = session.scalars(select(Resource).where(Resource.code == code)).first()
        if known is None or not seen.sees(known) or known.state != "listed":
            raise Missing("There is no resource {code} in the catalogue.", code=wanted)
        return package(entry_of(known, seen, _uscc(session, known)))

    return _ckan(act)


@door.guard("catalogue.export")
def package_search() -> Any:
    """Packages with some words, from `start` on."""

    def act(session: Session, seen: Audience) -> Any:
        found, count = _page(session, seen)
        return {"count": count, "results": [package(one) for one in found]}

    return _ckan(act)


def _page(session: Session, seen: Audience) -> tuple[list[Any], int]:
    """The entries that are asked for, and how many there are."""
    start = _number("start", _number("offset", 0))
    rows = min(_number("rows", _number("limit", 10 if "search" in request.path else PACKAGES_MOST)),
               PACKAGES_MOST)  # fmt: skip
    asked = request.args.get("q", "").strip()
    words = "" if asked in ("*:*", "*") else asked
    found = search.search(session, seen, words, {"state": "listed"}, offset=start, limit=max(rows, 1),
                          facets=())  # fmt: skip
    if not rows:
        return [], found.count
    table = Resource.__table__
    wanted = select(search.SearchDoc.doc, *table.columns).join(
        search.SearchDoc, table.c.id == search.SearchDoc.resource_id
    )
    known = {row.doc: row for row in session.execute(
        wanted.where(search.SearchDoc.doc.in_(found.docs)))}  # fmt: skip
    codes = dict(session.execute(select(Party.id, Party.uscc)).tuples().all())
    return [
        entry_of(known[doc], seen, codes.get(known[doc].provider_id or ""))
        for doc in found.docs if doc in known and seen.sees(known[doc])
    ], found.count  # fmt: skip


def _number(name: str, default: int) -> int:
    given = request.args.get(name, "")
    return int(given) if given.isdecimal() and len(given) < 9 else default


def _ckan(act: Callable[[Session, Audience], Any]) -> Any:
    """An answer of CKAN's: what was asked, or why not."""
    try:
        with door.the_desk().home.reading() as session:
            seen = audiences(session, door.who(session))
            return {"success": True, "result": act(session, seen)}
    except LedgerError as error:
        kind = "Not Found Error" if isinstance(error, Missing) else "Validation Error"
        told = {"__type": kind, "message": str(error)}
        return {"success": False, "error": told}, error.http_status
