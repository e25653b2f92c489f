"""Search over the catalogue: words without spaces, single characters, both scripts, the same everywhere.

The index is sets of document numbers (roaring bitmaps) by term, in blocks of 65,536 documents, kept in
tables (`ledger/search_index.py` writes them): so SQLite and PostgreSQL answer alike, and what may not be
seen, what is filtered, counted and ranked are sets too, of which no row is read. A word of one or two
characters is a term; a longer one stands where all its pairs of neighbours stand, and in the text as well.

    order   1. the title or the code is what was asked      2. it begins with the first word, has all words
            3. all words in the title   4. in the code      5. elsewhere
            in each: the shorter title first, then the earlier document; without words: the newest first
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

import numpy as np
import orjson
from pyroaring import BitMap
from sqlalchemy import BigInteger, Integer, LargeBinary, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ledger.catalogue import Audience
from ledger.scripts import words as words_of
from ledger.store import Base

BLOCK_BITS: Final = 16
EXACT_MAX: Final = 500  # so many candidates are all looked at in their text
RANKED_MAX: Final = 2_000  # and so many of what was found can be leafed through
READ_AT_ONCE: Final = 64  # of more candidates, texts are read until the page is full
TITLE_MAX: Final = 63  # titles from this length on count as equally long
KEPT_BYTES: Final = 256 * 1024 * 1024
# Fewer documents, or more values, are counted one by one; else set by set.
MANY_DOCS: Final = 20_000
FEW_VALUES: Final = 60
VALUES_MAX: Final = 100  # of one facet, the commonest
FACETS: Final = ("provider", "grade", "sharing", "opening", "cycle", "category", "state")
# Where a pair of characters stands: in the title, in the code (these two with their ends), anywhere.
TITLE, CODE, ALL = "t", "c", "a"
BEGIN, END = "^", "$"  # signs that no folded text has
FACET, SEEN_BY, OWN, LENGTH = "=f:", "=v:", "=p:", "=w:"
UNSTATED: Final = "-"
AUDIENCES: Final = ("public", "bodies", "authority")

TERM = Text().with_variant(Text(collation="C"), "postgresql")
NUMBER = BigInteger().with_variant(Integer(), "sqlite")


class SearchDoc(Base):
    """A resource in the index, as it was indexed (operational)."""

    __tablename__ = "search_docs"
    doc: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    resource_id: Mapped[str] = mapped_column(String(36), unique=True)
    version: Mapped[int]
    weight: Mapped[int]
    """the length of its title: of two that fit alike the shorter is first"""
    text: Mapped[str]
    """folded, a field a line: ^title$, ^code$, everything else"""
    facets: Mapped[str]
    """the terms that stand for its values, whose it is and who sees it, one a line"""


class Posting(Base):
    """The documents of one block in which a term stands, as a roaring bitmap (operational)."""

    __tablename__ = "search_postings"
    __table_args__ = ({"sqlite_with_rowid": False},)
    term: Mapped[str] = mapped_column(TERM, primary_key=True)
    block: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    docs: Mapped[bytes] = mapped_column(LargeBinary)


class SearchBlock(Base):
    """How often a block of documents was changed, so that nobody answers from an old copy (operational)."""

    __tablename__ = "search_blocks"
    block: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    changes: Mapped[int]


class SearchProgress(Base):
    """How far the index has followed the log; one row, which each indexer locks first (operational)."""

    __tablename__ = "search_progress"
    id: Mapped[int] = mapped_column(NUMBER, primary_key=True, autoincrement=False)
    next_leaf: Mapped[int]


@dataclass(frozen=True)
class Found:
    """A page of an answer: document numbers in order, and what all that fits counts."""

    words: tuple[str, ...]
    docs: tuple[int, ...]
    count: int
    exact: bool
    """False: longer words were not looked at in every text, the counts are of their pairs"""
    more: bool
    facets: dict[str, dict[str, int]]
    """value → how many there are with it and with the other filters; the commonest first"""


def grams(word: str) -> list[str]:
    """The terms of a word, without their place: itself, or its pairs of neighbours.

    >>> grams("车"), grams("公交车")
    (['车'], ['公交', '交车'])
    """
    if len(word) == 1:
        return [word]
    return list(dict.fromkeys(word[at : at + 2] for at in range(len(word) - 1)))


def search(
    session: Session, seen: Audience, asked: str = "", filters: Mapping[str, str] | None = None, *,
    offset: int = 0, limit: int = 25, facets: Sequence[str] = FACETS,
) -> Found:  # fmt: skip
    """What somebody may see of the catalogue that has all words and fits the filters (facet → value)."""
    index = Index(session)
    wanted = tuple(words_of(asked))
    given = tuple(sorted((filters or {}).items()))
    return index.once(
        ("found", seen, wanted, given, offset, limit, tuple(facets)),
        lambda: _search(index, seen, wanted, dict(given), offset, limit, facets),
    )


def _search(
    index: "Index", seen: Audience, wanted: tuple[str, ...], filters: Mapping[str, str], offset: int,
    limit: int, facets: Sequence[str],
) -> Found:  # fmt: skip
    chosen = {name: index.facet(name, value) for name, value in filters.items() if value}
    index.terms(_names(wanted))  # at once; what follows has them
    fitting = index.having(index.visible(seen), ALL, wanted)
    exact = True
    if any(len(word) > 2 for word in wanted):
        exact = len(fitting) <= EXACT_MAX
        if exact:
            fitting = index.checked(fitting, wanted)
    hits = _within(fitting, chosen.values())
    end = offset + limit
    if exact:
        order = index.ranked(hits, wanted, end) if wanted else newest(hits, end)
    else:
        if len(hits) <= EXACT_MAX:
            hits = index.checked(hits, wanted)
        order = index.standing(index.ranked(hits, wanted, RANKED_MAX), wanted, end + 1)
    counted = {}
    for name in facets:
        others = (docs for other, docs in chosen.items() if other != name)
        counted[name] = index.counts(
            name, _within(fitting, others) if name in chosen else hits, keep=filters.get(name)
        )  # fmt: skip
    reach = min(len(hits), RANKED_MAX) if wanted else len(hits)
    page = tuple(order[offset : min(end, reach)])
    ending = len(order) if not exact else reach
    return Found(wanted, page, len(hits), exact, end < ending, counted)


def suggest(session: Session, seen: Audience, asked: str, limit: int) -> list[int]:
    """The documents whose title or code has all words, best first."""
    wanted = words_of(asked)
    if not wanted:
        return []
    index = Index(session)
    docs = index.visible(seen)
    index.terms(_names(wanted))
    hits = index.having(docs, TITLE, wanted) | index.having(docs, CODE, wanted)
    return index.standing(index.ranked(hits, wanted, RANKED_MAX), wanted, limit)


def newest(docs: BitMap, count: int) -> list[int]:
    """The last `count` documents, the last one first."""
    return list(docs[max(0, len(docs) - count) :])[::-1]


def _names(wanted: Sequence[str]) -> list[str]:
    """All terms that are asked for when these words are looked for and ranked."""
    if not wanted:
        return []
    whole = f"{BEGIN}{' '.join(wanted)}{END}"
    asked = {ALL: wanted, TITLE: (*wanted, whole), CODE: (*wanted, whole)}
    names = [place + gram for place, some in asked.items() for word in some for gram in grams(word)]
    return list(dict.fromkeys(names))


def _within(docs: BitMap, sets: Iterable[BitMap]) -> BitMap:
    return reduce(BitMap.__and__, sets, docs)


def kept_of(session: Session) -> "Kept":
    """What this process keeps of a session's database."""
    return _kept_of(session.connection().engine.pool)


class Index:
    """The index as one transaction sees it."""

    def __init__(self, session: Session) -> None:
        self._connection = session.connection()
        self._is_sqlite = self._connection.dialect.name == "sqlite"
        self._kept = _kept_of(self._connection.engine.pool)
        self._marks: Marks = dict(self._connection.execute(_BLOCKS).tuples().all())

    def once(self, key: Any, find: Callable[[], Found]) -> Found:
        """What is found, or was found while the index was the same."""
        found: Found | None = self._kept.get(key, self._marks)
        if found is None:
            found = find()
            size = 1_000 + 100 * sum(map(len, found.facets.values()))
            self._kept.put(key, self._marks, found, size)
        return found

    # -- sets ---------------------------------------------------------------------------------------

    def visible(self, seen: Audience) -> BitMap:
        """The documents that exist for somebody."""
        shown = AUDIENCES if seen.everything else AUDIENCES[: 1 + seen.bodies]
        names = [SEEN_BY + audience for audience in shown]
        if seen.party_id:
            names.append(OWN + seen.party_id)
        sets = list(self.terms(names).values())
        if seen.resource_ids and not seen.everything:
            known = select(SearchDoc.doc).where(SearchDoc.resource_id.in_(seen.resource_ids))
            sets.append(BitMap(self._connection.scalars(known).all()))
        return sets[0] if len(sets) == 1 else BitMap.union(*sets)

    def facet(self, name: str, value: str) -> BitMap:
        """The documents with a value."""
        term = f"{FACET}{name}:{value}"
        return self.terms([term])[term]

    def counts(self, name: str, docs: BitMap, keep: str | None = None) -> dict[str, int]:
        """How many of the documents have each of the commonest values of a facet, and those of `keep`."""
        values, value_of = self.values(name)
        if len(docs) > MANY_DOCS and len(values) < FEW_VALUES:
            sets = self.family(f"{FACET}{name}:")
            counted = np.array([docs.intersection_cardinality(sets[value]) for value in values])
        else:
            counted = np.bincount(value_of[np.frombuffer(docs.to_array(), np.uint32)])
        some = np.flatnonzero(counted)
        some = some[np.argsort(-counted[some], kind="stable")][:VALUES_MAX]
        found = {values[place]: int(counted[place]) for place in some.tolist()}
        if keep and keep not in found:
            known = keep in values and values.index(keep) < len(counted)
            found[keep] = int(counted[values.index(keep)]) if known else 0
        return found

    def values(self, name: str) -> tuple[list[str], Any]:
        """The values of a facet in order, and for each document the place of its value among them."""
        key = ("values", name)
        kept, changed = self._kept.look(key, self._marks)
        if kept is not None and not changed:
            return cast(tuple[list[str], Any], kept)
        old, before = kept or ([], np.zeros(0, np.uint8))
        sets = self.family(f"{FACET}{name}:")
        values = sorted({*old, *sets})
        places = {value: place for place, value in enumerate(values)}
        small = np.min_scalar_type(max(len(values) - 1, 0))  # few bytes a document stay near
        value_of = np.zeros((max(self._marks, default=-1) + 1) << BLOCK_BITS, small)
        if old:
            moved = np.array([places[value] for value in old], small)
            value_of[: len(before)] = moved[before][: len(value_of)]
        anew = BitMap()
        for block in changed:
            anew.add_range(max(block, 0) << BLOCK_BITS, (block + 1) << BLOCK_BITS)
        for value, docs in sets.items():
            some = docs & anew
            value_of[np.frombuffer(some.to_array(), np.uint32)] = places[value]
        made = values, value_of
        self._kept.put(key, self._marks, made, value_of.nbytes + 100 * len(values))
        return made

    def having(self, docs: BitMap, place: str, wanted: Sequence[str]) -> BitMap:
        """Those of the documents in which all terms of the words stand in a place."""
        names = [place + gram for word in wanted for gram in grams(word)]
        sets = sorted(self.terms(names).values(), key=len)
        for one in sets:
            if not docs:
                break
            docs = docs & one
        return docs

    def ranked(self, hits: BitMap, wanted: Sequence[str], count: int) -> list[int]:
        """The first `count` of the documents in their order."""
        order: list[int] = []
        lengths = sorted(self.family(LENGTH).items(), key=lambda one: int(one[0]))  # a few dozen
        left = hits
        for tier in self._tiers(hits, wanted):
            part = tier & left
            left = left - part
            for _, docs in lengths:
                if len(order) >= count or not part:
                    break
                fitting = part & docs
                if fitting:
                    order.extend(fitting)
                    part = part - fitting
            if len(order) >= count or not left:
                break
        return order[:count]

    def _tiers(self, hits: BitMap, wanted: Sequence[str]) -> Iterator[BitMap]:
        whole = f"{BEGIN}{' '.join(wanted)}{END}"
        yield self.having(hits, TITLE, [whole]) | self.having(hits, CODE, [whole])
        in_title, in_code = (self.having(hits, place, wanted) for place in (TITLE, CODE))
        begin = [BEGIN + wanted[0]]
        yield self.having(in_title, TITLE, begin) | self.having(in_code, CODE, begin)
        yield in_title
        yield in_code
        yield hits

    def checked(self, docs: BitMap, wanted: Sequence[str]) -> BitMap:
        """Those of the documents in whose text the words of three characters and more stand."""
        for word in wanted:
            if len(word) > 2 and docs:
                docs = self._checked(docs, word)
        return docs

    def standing(self, order: Sequence[int], wanted: Sequence[str], count: int) -> list[int]:
        """The first `count` of the documents in whose text the longer words stand; no more are read."""
        good: list[int] = []
        for start in range(0, len(order), READ_AT_ONCE):
            if len(good) >= count:
                break
            some = order[start : start + READ_AT_ONCE]
            right = self.checked(BitMap(some), wanted)
            good += [doc for doc in some if doc in right]
        return good[:count]

    def _checked(self, docs: BitMap, word: str) -> BitMap:
        looked, good = self._kept.get(("checked", word), self._marks) or (BitMap(), BitMap())
        unknown = docs - looked
        if unknown:
            statement = _CHECK_SQLITE if self._is_sqlite else _CHECK_POSTGRESQL
            some: Any = list(unknown)
            given = (orjson.dumps(some).decode() if self._is_sqlite else some, word)
            rows = self._connection.exec_driver_sql(statement, given).scalars().all()
            looked, good = looked | unknown, good | (unknown - BitMap(rows))
            self._kept.put(("checked", word), self._marks, (looked, good), 64 + 4 * len(looked))
        return docs & good

    # -- postings -----------------------------------------------------------------------------------

    def terms(self, names: Sequence[str]) -> dict[str, BitMap]:
        """The documents of each term."""
        found: dict[str, BitMap] = {}
        lacking: dict[tuple[int, ...], list[str]] = {}
        for name in names:
            kept, changed = self._kept.look(name, self._marks)
            if kept is not None:
                found[name] = kept
            if changed:
                lacking.setdefault(changed, []).append(name)
        for blocks, some in lacking.items():
            read: dict[str, list[BitMap]] = {name: [] for name in some}
            sizes = dict.fromkeys(some, 0)
            statement = _TERMS_SQLITE if self._is_sqlite else _TERMS_POSTGRESQL
            lists: Any = (some, list(blocks))
            if self._is_sqlite:
                lists = tuple(orjson.dumps(one).decode() for one in lists)
            for name, docs in self._connection.exec_driver_sql(statement, lists).all():
                read[name].append(BitMap.deserialize(docs))
                sizes[name] += len(docs)
            for name in some:
                found[name] = _merged(found.get(name), blocks, read[name])
                self._kept.put(name, self._marks, found[name], sizes[name])
        return found

    def family(self, prefix: str) -> dict[str, BitMap]:
        """The documents of each term that begins so, by the rest of its name."""
        key = ("family", prefix)
        kept, changed = self._kept.look(key, self._marks)
        if not changed:
            return cast(dict[str, BitMap], kept)
        rows = self._connection.execute(
            select(Posting.term, Posting.docs).where(
                Posting.term >= prefix, Posting.term < prefix + "\U0010ffff",
                Posting.block.in_(changed),
            )
        ).all()  # fmt: skip
        read: dict[str, list[BitMap]] = {name: [] for name in kept or {}}
        for name, docs in rows:
            read.setdefault(name.removeprefix(prefix), []).append(BitMap.deserialize(docs))
        made = {name: _merged((kept or {}).get(name), changed, sets) for name, sets in read.items()}
        self._kept.put(key, self._marks, made, sum(len(docs) // 4 for docs in made.values()))
        return made


def _merged(old: BitMap | None, blocks: Sequence[int], read: list[BitMap]) -> BitMap:
    """A term's documents, those of some blocks read anew."""
    if old is None:
        return BitMap.union(*read) if read else BitMap()
    merged = old.copy()
    for block in blocks:
        merged.remove_range(block << BLOCK_BITS, (block + 1) << BLOCK_BITS)
    return BitMap.union(merged, *read)


# ---------------------------------------------------------------- what a process keeps

Marks = dict[int, int]


class Kept:
    """What was read of one database, each with the marks it was read under; the oldest goes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[Any, tuple[Marks, Any, int]] = OrderedDict()
        self._bytes = 0

    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        return self._bytes

    def look(self, key: Any, marks: Marks) -> tuple[Any, tuple[int, ...]]:
        """What is kept, or None, and which blocks of it must be read."""
        with self._lock:
            known = self._found.get(key)
            if known is not None:
                self._found.move_to_end(key)
        if known is None:
            return None, tuple(sorted(marks)) or (-1,)
        under, found, _ = known
        if under is marks or under == marks:
            return found, ()
        changed = {block for block, count in marks.items() if under.get(block) != count}
        return found, tuple(sorted(changed | (under.keys() - marks.keys())))

    def get(self, key: Any, marks: Marks) -> Any:
        """What is kept under just these marks, or None."""
        found, changed = self.look(key, marks)
        return None if changed else found

    def put(self, key: Any, marks: Marks, found: Any, size: int) -> None:
        """Keep what was read, unless something newer is kept."""
        with self._lock:
            known = self._found.get(key)
            if known is not None:
                if sum(known[0].values()) > sum(marks.values()):
                    return
                self._bytes -= known[2]
            size = max(size, known[2] if known is not None else 0) + 300
            self._found[key] = marks, found, size
            self._found.move_to_end(key)
            self._bytes += size
            while self._bytes > KEPT_BYTES:
                _, (_, _, gone) = self._found.popitem(last=False)
                self._bytes -= gone


_KEPT: WeakKeyDictionary[Any, Kept] = WeakKeyDictionary()
_KEPT_LOCK = threading.Lock()


def _kept_of(pool: Any) -> Kept:
    """What is kept of the database behind a pool of connections."""
    with _KEPT_LOCK:
        return _KEPT.setdefault(pool, Kept())


# Many names at once, as one parameter; each database has its own way to take a list.
_BLOCKS = select(SearchBlock.block, SearchBlock.changes)
_TERMS_SQLITE = (
    "SELECT p.term, p.docs FROM json_each(?) AS t CROSS JOIN json_each(?) AS b "
    "CROSS JOIN search_postings AS p ON p.term = t.value AND p.block = b.value"
)
_TERMS_POSTGRESQL = (
    "SELECT term, docs FROM search_postings "
    "WHERE term = ANY(%s::text[]) AND block = ANY(%s::bigint[])"
)
_CHECK_SQLITE = (
    "SELECT d.doc FROM json_each(?) AS t CROSS JOIN search_docs AS d ON d.doc = t.value "
    "WHERE instr(d.text, ?) = 0"
)
_CHECK_POSTGRESQL = (
    "SELECT doc FROM search_docs WHERE doc = ANY(%s::bigint[]) AND strpos(text, %s::text) = 0"
)
