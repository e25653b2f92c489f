"""Searching the catalogue: what somebody may see, with the places found, counts by filter, suggestions."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from marshmallow import Schema, fields
from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from ledger import search
from ledger.catalogue import Audience, Resource, audiences
from ledger.parties import Actor
from ledger.scripts import Piece, fold, pieces, snippet
from ledger.search import SearchDoc
from ledger.search_index import TEXTS, said, values_of
from webapp.deeds import Desk, question
from webapp.deeds.answers import PAGE, rows_a_page
from webapp.deeds.forms import Body, text

WORDS_MAX = 200
SUGGESTED = 8
TITLE_ONLY = ("code", "title", "provider")
# A filter's heading; the state is told to who sees withdrawn ones too.
FILTERS = {
    "provider": "Provider", "grade": "Grade", "sharing": "Sharing", "opening": "Opening",
    "cycle": "Update cycle", "category": "Class", "state": "State",
}  # fmt: skip


class SuggestQuery(Body):
    """What was typed so far."""

    words = text("Words", most=WORDS_MAX, required=False, blank=True)


class SearchQuery(SuggestQuery):
    """What is looked for: words that must all be there, filters, and which part of the answer."""

    limit = rows_a_page()
    after = text(
        "After (cursor)", most=9, required=False, pattern=r"\A[0-9]{1,9}\Z", example="cursor"
    )
    provider = text("Provider", most=200, required=False, blank=True)
    grade = text("Grade", most=20, required=False, blank=True)
    sharing = text("Sharing", most=20, required=False, blank=True)
    opening = text("Opening", most=20, required=False, blank=True)
    cycle = text("Update cycle", most=30, required=False, blank=True)
    category = text("Class", most=200, required=False, blank=True)
    state = text("State", most=30, required=False, blank=True)


class PieceAnswer(Schema):
    """A part of a text: between what was looked for, or that itself."""

    text = fields.String(required=True)
    hit = fields.Boolean(required=True)


class FoundAnswer(Schema):
    """A resource found: what it is, and where the words stand."""

    id = fields.String(required=True)
    version = fields.Integer(required=True)
    code = fields.String(required=True)
    title = fields.String(required=True)
    provider = fields.String(required=True, allow_none=True)
    state = fields.String(required=True)
    grade = fields.String(required=True, allow_none=True)
    sharing = fields.String(required=True, allow_none=True)
    opening = fields.String(required=True, allow_none=True)
    cycle = fields.String(required=True, allow_none=True)
    category = fields.String(required=True, allow_none=True)
    marked_title = fields.List(fields.Nested(PieceAnswer), required=True)
    marked_text = fields.List(fields.Nested(PieceAnswer), required=True)
    marked_field = fields.String(required=True, allow_none=True)


class ValueAnswer(Schema):
    """A value of a filter, and how many have it and fit everything else that was asked."""

    value = fields.String(required=True)
    count = fields.Integer(required=True)


FacetsAnswer = type(
    "FacetsAnswer", (Schema,),
    {name: fields.List(fields.Nested(ValueAnswer), required=name != "state") for name in FILTERS},
)  # fmt: skip


class SearchAnswer(Schema):
    """A page of what was found, the best first; without words the newest first."""

    items = fields.List(fields.Nested(FoundAnswer), required=True)
    next = fields.String(required=True, allow_none=True)
    count = fields.Integer(required=True)
    # False: so many may fit that not every text was looked at.
    exact = fields.Boolean(required=True)
    facets = fields.Nested(FacetsAnswer, required=True)


class SuggestionAnswer(Schema):
    """A resource whose title or code has the words."""

    code = fields.String(required=True)
    title = fields.String(required=True)


class SuggestionsAnswer(Schema):
    """The best of them."""

    items = fields.List(fields.Nested(SuggestionAnswer), required=True)


@question("resource.read", "/resources", "Catalogue", name="resource.list", answer=SearchAnswer,
          query=SearchQuery, listed=True)  # fmt: skip
def find_resources(
    _desk: Desk, session: Session, actor: Actor, *, limit: int = PAGE, after: str = "0",
    words: str = "", **filters: str,
) -> dict[str, Any]:  # fmt: skip
    """What fits and exists for the asker; a filter that is not told to him is not asked either."""
    seen = audiences(session, actor)
    told = [name for name in FILTERS if name != "state" or seen.everything]
    chosen = {name: value for name, value in filters.items() if value and name in told}
    start = int(after)
    found = search.search(
        session, seen, words, chosen, offset=start, limit=limit, facets=told
    )  # fmt: skip
    return {
        "items": _all_told(session, rows_of(session, seen, found.docs), found.words),
        "next": str(start + limit) if found.more else None,
        "count": found.count,
        "exact": found.exact,
        "facets": {
            name: [{"value": value, "count": count} for value, count in counts.items()]
            for name, counts in found.facets.items()
        },
    }


@question("resource.read", "/resource-suggestions", "Suggestions", name="resource.suggest",
          answer=SuggestionsAnswer, query=SuggestQuery)  # fmt: skip
def suggest_resources(
    _desk: Desk, session: Session, actor: Actor, *, words: str = ""
) -> dict[str, Any]:
    seen = audiences(session, actor)
    docs = search.suggest(session, seen, words, SUGGESTED)
    return {"items": [{"code": r.code, "title": r.title} for r in rows_of(session, seen, docs)]}


_FOUND = (
    select(
        SearchDoc.doc, Resource.id, Resource.version, Resource.code, Resource.title,
        Resource.provider, Resource.elements, Resource.state, Resource.provider_id, Resource.grade,
        Resource.audience,
    )
    .join(Resource, Resource.id == SearchDoc.resource_id)
    .where(SearchDoc.doc.in_(bindparam("docs", expanding=True)))
)  # fmt: skip


def rows_of(session: Session, seen: Audience, docs: Sequence[int]) -> list[Any]:
    """The resources of some documents, in their order, those that exist for the asker."""
    found = session.execute(_FOUND, {"docs": list(docs)}).all() if docs else ()
    known: dict[int, Any] = {row.doc: row for row in found}
    return [known[doc] for doc in docs if doc in known and seen.sees(known[doc])]


def _all_told(
    session: Session, rows: Sequence[Any], wanted: tuple[str, ...]
) -> list[dict[str, Any]]:
    """The rows of a page; those that were told before, in their versions now, are told again."""
    key = ("told", wanted, tuple((row.id, row.version) for row in rows))
    kept = search.kept_of(session)
    known = kept.get(key, {})
    if known is not None:
        return list(orjson.loads(known))
    told = [_told(row, wanted) for row in rows]
    # One object, where rows would be thousands for each of Python's collections to go through.
    written = orjson.dumps(told)
    kept.put(key, {}, written, len(written) + 200 * len(rows))
    return told


def _told(row: Any, wanted: Sequence[str]) -> dict[str, Any]:
    values = values_of(row)
    name, parts = _around(row, wanted)
    return {
        **{name: getattr(row, name) for name in ("id", "version", "code", "title", "provider", "state")},
        "grade": row.grade,
        **{name: None if values[name] == search.UNSTATED else values[name]
           for name in ("sharing", "opening", "cycle", "category")},
        "marked_title": _pieces(pieces(row.title, wanted)),
        "marked_text": _pieces(parts),
        "marked_field": name,
    }  # fmt: skip


def _around(row: Any, wanted: Sequence[str]) -> tuple[str | None, list[Piece]]:
    """The field that has what the title has not, and the part of it around that; else the summary."""
    elements: Mapping[str, Any] = row.elements
    title = fold(row.title)
    lacking = [word for word in wanted if word not in title]
    for name in TEXTS if lacking else ():
        written = said(elements.get(name) or "")
        folded = fold(written)
        if any(word in folded for word in lacking):
            return name, snippet(written, wanted)
    summary = said(elements.get("summary") or "")
    if not summary or summary == row.title:
        return None, []
    return "summary", snippet(summary, wanted)


def _pieces(parts: Sequence[Piece]) -> list[dict[str, Any]]:
    return [{"text": part, "hit": hit} for part, hit in parts]
