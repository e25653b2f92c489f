"""The writing of the search index: what a deed changed at once, what an import changed in short steps.

A resource's text, folded, is cut into characters and pairs; each term's set of documents is changed by
what came and what went. The rest follows the log: every change of a resource is a record there, so
nothing can be forgotten, and an indexer that was killed goes on where the last one committed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from pyroaring import BitMap
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.orm import Session

from ledger import log
from ledger.catalogue import Resource
from ledger.catalogue_values import OPENING, SHARING, read_choice
from ledger.scripts import fold
from ledger.search import (
    ALL,
    BEGIN,
    BLOCK_BITS,
    CODE,
    END,
    FACET,
    LENGTH,
    OWN,
    SEEN_BY,
    TITLE,
    TITLE_MAX,
    UNSTATED,
    Posting,
    SearchBlock,
    SearchDoc,
    SearchProgress,
)  # fmt: skip
from ledger.store import Base

AT_ONCE: Final = 200  # so many changed resources are indexed within the deed
STEP: Final = 2_000  # and so many in one step of what follows
WINDOW: Final = 20_000  # leaves looked at in one step
IDS_A_STATEMENT: Final = 500
# What is searched besides title and code: no addresses, no dates, no persons, nothing of INNER.
TEXTS: Final = (
    "summary", "items", "keywords", "category", "provider_code", "kind", "format", "related",
    "sharing_condition", "opening_condition", "quality_standard", "notes",
)  # fmt: skip
PLACES: Final = (TITLE, CODE, ALL)

_resource, _doc, _posting, _block = (
    Base.metadata.tables[model.__tablename__]
    for model in (Resource, SearchDoc, Posting, SearchBlock)
)
_COLUMNS = (
    _resource.c.id, _resource.c.version, _resource.c.code, _resource.c.title, _resource.c.provider,
    _resource.c.elements, _resource.c.state, _resource.c.provider_id, _resource.c.grade,
    _resource.c.audience,
)  # fmt: skip


# ---------------------------------------------------------------- what of a resource is indexed


def text_of(row: Any) -> str:
    """A resource's text as it is searched: a field a line, the title and the code with their ends."""
    fields = [row.provider, *(row.elements.get(name) for name in TEXTS)]
    rest = (fold(said(value)) for value in fields if value not in (None, "", []))
    ends = (f"{BEGIN}{fold(row.title)}{END}", f"{BEGIN}{fold(row.code)}{END}")
    return "\n".join((*ends, *dict.fromkeys(filter(None, rest))))


def said(value: Any) -> str:
    """An element as one text."""
    if isinstance(value, list):
        return "、".join(map(said, value))
    if isinstance(value, Mapping):
        return "、".join(map(said, value.values()))
    return str(value)


def values_of(row: Any) -> dict[str, str]:
    """The value of each facet."""
    known = row.elements
    return {
        "provider": row.provider or UNSTATED,
        "grade": row.grade or UNSTATED,
        "sharing": _choice(known.get("sharing"), SHARING),
        "opening": _choice(known.get("opening"), OPENING),
        "cycle": str(known.get("update_cycle") or UNSTATED),
        "category": str(known.get("category") or UNSTATED),
        "state": row.state,
    }


def _choice(written: Any, values: dict[str, tuple[str, ...]]) -> str:
    return (read_choice(written, values) if isinstance(written, str) else None) or UNSTATED


def seen_terms(row: Any) -> list[str]:
    """The terms of who may see a resource."""
    return [
        SEEN_BY + (row.audience or "authority"),
        *([OWN + row.provider_id] if row.provider_id else ()),
    ]


def facet_terms(row: Any, weight: int) -> list[str]:
    """The terms of a resource that are not of its text."""
    facets = (f"{FACET}{name}:{value}" for name, value in values_of(row).items())
    one_line = (" ".join(term.split("\n")).replace("\x00", "") for term in facets)
    return [*one_line, *seen_terms(row), f"{LENGTH}{weight}"]


# ---------------------------------------------------------------- at once, or following the log


def note(session: Session) -> None:
    """Index what this deed changes of the catalogue; of many resources only who may see them.

    Their words follow (`follow`), but nobody finds meanwhile what he may no longer see.
    """
    changed = log.noted(session, Resource.subject_type)
    if not changed:
        return
    session.flush()
    if len(changed) <= AT_ONCE:
        index(session, changed)
    else:
        _show_anew(session, log.noted(session, Resource.subject_type, since=2))


def behind(session: Session) -> int:
    """How many leaves of the log the index has not followed."""
    reached = session.scalar(select(SearchProgress.next_leaf)) or 0
    return log.size(session) - reached


def follow(session: Session) -> int:
    """Index up to `STEP` of the changes that the log has beyond; returns how many leaves are left."""
    progress = _progress(session)
    start, size = progress.next_leaf, log.size(session)
    end = min(size, start + WINDOW)
    record = log.Record
    found = session.execute(
        select(record.leaf_index, record.subject_id)
        .where(record.leaf_index >= start, record.leaf_index < end,
               record.subject_type == Resource.subject_type)
        .order_by(record.leaf_index)
        .limit(STEP)
    ).all()  # fmt: skip
    if len(found) == STEP:
        end = found[-1].leaf_index + 1
    index(session, [row.subject_id for row in found])
    progress.next_leaf = end
    return size - end


def index(session: Session, resource_ids: Iterable[str]) -> int:
    """Bring the index to what some resources are now; returns how many were not so already."""
    ids = list(dict.fromkeys(resource_ids))
    if not ids:
        return 0
    _progress(session)
    connection = session.connection()
    known = {row.resource_id: row for row in _rows(connection, _doc.c, _doc.c.resource_id, ids)}
    rows = [
        row for row in _rows(connection, _COLUMNS, _resource.c.id, ids)
        if row.id not in known or known[row.id].version != row.version
    ]  # fmt: skip
    rows.sort(key=lambda row: row.code)
    next_doc = (connection.scalar(select(func.max(_doc.c.doc))) or 0) + 1
    made: dict[int, list[tuple[dict[str, Any], Any]]] = defaultdict(list)
    for row in rows:
        old = known.get(row.id)
        text = text_of(row)
        weight = min(max(text.index("\n") - 2, 0), TITLE_MAX)
        new = {
            "doc": old.doc if old is not None else next_doc, "resource_id": row.id,
            "version": row.version, "weight": weight, "text": text,
            "facets": "\n".join(facet_terms(row, weight)),
        }  # fmt: skip
        next_doc += old is None
        made[new["doc"] >> BLOCK_BITS].append((new, old))
    for block, pairs in sorted(made.items()):
        came = _pairs_of([(new["doc"], new["text"]) for new, _ in pairs])
        went = _pairs_of([(old.doc, old.text) for _, old in pairs if old is not None])
        added, removed = (
            _by_term(_without(came, went), block),
            _by_term(_without(went, came), block),
        )
        for new, old in pairs:
            now = set(new["facets"].split("\n"))
            before = set(old.facets.split("\n")) if old is not None else set()
            for terms, into in ((now - before, added), (before - now, removed)):
                for term in terms:
                    into.setdefault(term, []).append(new["doc"])
        _change(connection, block, added, removed)
    _store(connection, [new for pairs in made.values() for new, _ in pairs], known)
    return len(rows)


def _show_anew(session: Session, resource_ids: Sequence[str]) -> None:
    """Let who may see many resources be right at once; those not yet indexed nobody finds."""
    _progress(session)
    connection = session.connection()
    known = {
        row.resource_id: row
        for row in _rows(
            connection, (_doc.c.resource_id, _doc.c.doc, _doc.c.facets), _doc.c.resource_id,
            resource_ids,
        )
    }  # fmt: skip
    columns = (_resource.c.id, _resource.c.audience, _resource.c.provider_id)
    added: dict[int, dict[str, Any]] = defaultdict(lambda: defaultdict(list))
    removed: dict[int, dict[str, Any]] = defaultdict(lambda: defaultdict(list))
    changed = []
    for row in _rows(connection, columns, _resource.c.id, list(known)):
        old = known[row.id]
        before = old.facets.split("\n")
        shown = [term for term in before if term.startswith((SEEN_BY, OWN))]
        now = seen_terms(row)
        if sorted(shown) == sorted(now):
            continue
        for terms, into in ((set(now) - set(shown), added), (set(shown) - set(now), removed)):
            for term in terms:
                into[old.doc >> BLOCK_BITS][term].append(old.doc)
        changed.append({"d": old.doc, "f": "\n".join([t for t in before if t not in shown] + now)})
    for block in sorted({*added, *removed}):
        _change(connection, block, added[block], removed[block])
    if changed:
        connection.exec_driver_sql(
            _FACETS[connection.dialect.name], [(one["f"], one["d"]) for one in changed]
        )


def _progress(session: Session) -> SearchProgress:
    """How far the index is; held, so that one indexes at a time."""
    wanted = select(SearchProgress).where(SearchProgress.id == 1).with_for_update()
    return session.scalars(wanted.execution_options(populate_existing=True)).one()


# ---------------------------------------------------------------- terms by the million


def _pairs_of(docs: Sequence[tuple[int, str]]) -> Any:
    """Each term of each document once, as numbers: place, two characters, document; in order."""
    places: dict[str, list[str]] = {place: [] for place in PLACES}
    for _, text in docs:
        title, code, *rest = text.split("\n")
        places[TITLE].append(title)
        places[CODE].append(code)
        places[ALL].append("\n".join((title[1:-1], code[1:-1], *rest)))
    local = np.array([doc & 0xFFFF for doc, _ in docs], dtype=np.uint64)
    parts = [
        _cut(number, texts, local) for number, texts in enumerate(places.values()) if texts
    ] or [np.array([], dtype=np.uint64)]
    found = np.concatenate(parts)
    found.sort()
    return found[np.concatenate((found[:1] == found[:1], found[1:] != found[:-1]))]


def _cut(place: int, texts: list[str], local: Any) -> Any:
    joined = "\n".join(texts) + "\n"
    chars = np.frombuffer(joined.encode("utf-32-le"), dtype="<u4").astype(np.uint64)
    owner = np.repeat(local, [len(text) + 1 for text in texts])
    first = (chars << np.uint64(37)) | owner | np.uint64(place << 58)
    alone = ~np.isin(chars, _NOT_ALONE)
    neighbours = (chars[:-1] != 10) & (chars[1:] != 10)
    pairs = (first[:-1] | (chars[1:] << np.uint64(16)))[neighbours]
    return np.concatenate((first[alone], pairs))


def _without(some: Any, others: Any) -> Any:
    """Those of the sorted numbers that are not among the others."""
    if not len(others):
        return some
    places = np.minimum(np.searchsorted(others, some), len(others) - 1)
    return some[others[places] != some]


def _by_term(packed: Any, block: int) -> dict[str, Any]:
    """The documents of each term, from what `_pairs_of` made."""
    if not len(packed):
        return {}
    keys = packed >> np.uint64(16)
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    docs = (packed & np.uint64(0xFFFF)).astype(np.uint32) | np.uint32(block << BLOCK_BITS)
    heads = keys[starts]
    chars = np.column_stack((heads >> np.uint64(21), heads)) & np.uint64(0x1FFFFF)
    spelt = chars.astype("<u4").tobytes().decode("utf-32-le")
    place = (heads >> np.uint64(42)).tolist()
    ends = [*starts[1:].tolist(), len(packed)]
    return {
        PLACES[where] + spelt[2 * n : 2 * n + 2].rstrip("\x00"): docs[start:end]
        for n, (where, start, end) in enumerate(zip(place, starts.tolist(), ends, strict=True))
    }


_NOT_ALONE = np.array([10, 32, ord(BEGIN), ord(END)], dtype=np.uint64)


# ---------------------------------------------------------------- rows


def _rows(
    connection: Connection, columns: Iterable[Any], key: Any, ids: Sequence[str]
) -> Iterable[Any]:
    for start in range(0, len(ids), IDS_A_STATEMENT):
        some = ids[start : start + IDS_A_STATEMENT]
        yield from connection.execute(select(*columns).where(key.in_(some)))


def _change(
    connection: Connection, block: int, added: Mapping[str, Any], removed: Mapping[str, Any]
) -> None:
    """Add documents to the sets of their terms in a block, and take some out."""
    name = connection.dialect.name
    terms = list({**added, **removed})
    held: dict[str, Any] = {}
    marked = update(_block).where(_block.c.block == block).values(changes=_block.c.changes + 1)
    if connection.execute(marked).rowcount:
        given = (_array(name, terms), block)
        held = {row[0]: row[1] for row in connection.exec_driver_sql(_HELD[name], given).all()}
    else:
        connection.execute(insert(_block).values(block=block, changes=1))
    full, empty = [], []
    for term in terms:
        docs = BitMap.deserialize(held[term]) if term in held else BitMap()
        if term in removed:
            docs -= BitMap(removed[term])
        if term in added:
            docs |= BitMap(added[term])
        if docs:
            full.append((term, docs.serialize()))
        else:
            empty.append(term)
    if full and name == "sqlite":
        connection.exec_driver_sql(_PUT[name], [(term, block, docs) for term, docs in full])
    elif full:
        names, sets = zip(*full, strict=True)
        connection.exec_driver_sql(_PUT[name], (block, list(names), list(sets)))
    for start in range(0, len(empty), IDS_A_STATEMENT):
        some = _posting.c.term.in_(empty[start : start + IDS_A_STATEMENT])
        connection.execute(delete(_posting).where(some, _posting.c.block == block))


def _store(connection: Connection, made: list[dict[str, Any]], known: Mapping[str, Any]) -> None:
    gone = [row["doc"] for row in made if row["resource_id"] in known]
    for start in range(0, len(gone), IDS_A_STATEMENT):
        connection.execute(
            delete(_doc).where(_doc.c.doc.in_(gone[start : start + IDS_A_STATEMENT]))
        )
    if made:
        connection.execute(insert(_doc), made)


def _array(name: str, values: list[str]) -> Any:
    return orjson.dumps(values).decode() if name == "sqlite" else values


# Each database takes many at once in its own way.
_HELD = {
    "sqlite": "SELECT p.term, p.docs FROM json_each(?) AS t CROSS JOIN search_postings AS p "
    "ON p.term = t.value AND p.block = ?",
    "postgresql": "SELECT term, docs FROM search_postings WHERE term = ANY(%s::text[]) AND block = %s",
}
_PUT = {
    "sqlite": "INSERT INTO search_postings (term, block, docs) VALUES (?, ?, ?) "
    "ON CONFLICT (term, block) DO UPDATE SET docs = excluded.docs",
    "postgresql": "INSERT INTO search_postings (term, block, docs) "
    "SELECT t, %s, d FROM unnest(%s::text[], %s::bytea[]) AS n (t, d) "
    "ON CONFLICT (term, block) DO UPDATE SET docs = excluded.docs",
}
_FACETS = {
    "sqlite": "UPDATE search_docs SET facets = ? WHERE doc = ?",
    "postgresql": "UPDATE search_docs SET facets = %s WHERE doc = %s",
}
