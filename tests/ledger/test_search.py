"""Search against a plain search in Python: the same set in the same order, on both databases."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from ledger import catalogue, log, search, search_index
from ledger.catalogue import Audience, Resource
from ledger.catalogue_fields import INNER
from ledger.scripts import fold, words
from ledger.search import Found, Posting, SearchBlock, SearchDoc
from ledger.store import new_id
from tests.conftest import Town
from webapp import indexing
from webapp.deeds.search import _told

ALL = Audience(everything=True)


@dataclass
class Entry:
    """A resource as the plain search sees it, in the order it was listed."""

    code: str
    title: str
    provider: str
    summary: str
    grade: str | None
    audience: str
    provider_id: str | None

    def seen(self, by: Audience) -> bool:
        shown = ("public", "bodies") if by.bodies else ("public",)
        own = by.party_id and by.party_id == self.provider_id
        return bool(by.everything or self.audience in shown or own)

    def has(self, word: str) -> bool:
        lines = (self.title, self.code, self.provider, self.summary)
        return any(word in fold(line) for line in lines)

    def tier(self, wanted: Sequence[str]) -> int:
        title, code = f"^{fold(self.title)}$", f"^{fold(self.code)}$"

        def inside(text: str, some: Sequence[str]) -> bool:
            return all(gram in text for word in some for gram in search.grams(word))

        whole, begin = [f"^{' '.join(wanted)}$"], [f"^{wanted[0]}"]
        both = (title, code)
        return next(
            n for n, fits in enumerate((
                any(inside(text, whole) for text in both),
                any(inside(text, wanted) and inside(text, begin) for text in both),
                inside(title, wanted), inside(code, wanted), True,
            )) if fits
        )  # fmt: skip


def plain(
    entries: Sequence[Entry], by: Audience, asked: str, grade: str | None
) -> tuple[list[str], dict[str, int]]:
    """The codes found, in order, and how many there are of each grade."""
    wanted = words(asked)
    fitting = [
        (n, entry) for n, entry in enumerate(entries)
        if entry.seen(by) and all(entry.has(word) for word in wanted)
    ]  # fmt: skip
    counts: dict[str, int] = {grade: 0} if grade else {}
    for _, entry in fitting:
        counts[entry.grade or "-"] = counts.get(entry.grade or "-", 0) + 1
    hits = [(n, entry) for n, entry in fitting if grade in (None, entry.grade or "-")]
    if wanted:
        hits.sort(key=lambda one: (one[1].tier(wanted), len(fold(one[1].title)), one[0]))
    else:
        hits.reverse()
    return [entry.code for _, entry in hits], counts


CHARACTERS = "公車车交線线ab1Ｂ/-，。 \n^$🚌é"
BITS = st.text(CHARACTERS, max_size=7)
ENTRIES = st.lists(
    st.builds(
        Entry, code=st.uuids().map(str), title=BITS, provider=st.sampled_from(("市数据局", "公車處")),
        summary=BITS, grade=st.sampled_from((None, "general", "core")),
        audience=st.sampled_from(("public", "public", "bodies", "authority")),
        provider_id=st.sampled_from((None, "one", "other")),
    ),
    max_size=9,
)  # fmt: skip
SEEN = st.sampled_from(
    (ALL, Audience(), Audience(bodies=True), Audience(party_id="one"), Audience(True, True, "one"))
)
ASKED = st.lists(
    st.tuples(BITS, SEEN, st.sampled_from((None, None, "general", "-", "none such"))),
    min_size=1, max_size=4,
)  # fmt: skip


def put(town: Town, entries: Sequence[Entry]) -> None:
    """A catalogue of just these, listed one after the other."""
    with town.deed() as session:
        for model in (SearchDoc, Posting, Resource):
            session.execute(delete(model))
        session.execute(update(SearchBlock).values(changes=SearchBlock.changes + 1))
        rows: list[dict[str, Any]] = [
            {
                "id": new_id(), "version": 1, "code": entry.code, "title": entry.title,
                "provider": entry.provider, "elements": {"summary": entry.summary}, "import_id": "",
                "state": "listed", "provider_id": entry.provider_id, "grade": entry.grade,
                "audience": entry.audience,
            }
            for entry in entries
        ]  # fmt: skip
        for row in rows:
            session.execute(insert(Resource).values(row))
            search_index.index(session, [row["id"]])


def ask(town: Town, asked: str, by: Audience = ALL, **more: Any) -> tuple[Found, list[str]]:
    """What is found, and the codes of the page."""
    with town.reading() as session:
        found = search.search(session, by, asked, **more)
        return found, codes(session, found.docs)


def codes(session: Any, docs: Sequence[int]) -> list[str]:
    of = dict(
        session.execute(
            select(SearchDoc.doc, Resource.code).join(
                Resource, Resource.id == SearchDoc.resource_id
            )
        )
        .tuples()
        .all()
    )
    return [of[doc] for doc in docs]


@given(entries=ENTRIES, asked=ASKED)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_finds_what_a_plain_search_finds_in_the_same_order_with_the_same_counts(
    village: Town, entries: list[Entry], asked: list[tuple[str, Audience, str | None]]
) -> None:
    put(village, entries)
    for text, by, grade in asked:
        found, order = ask(village, text, by, filters={"grade": grade or ""})
        expected, counts = plain(entries, by, text, grade)
        assert (order, found.count, found.exact) == (expected, len(expected), True), text
        assert found.facets["grade"] == counts
        for code in order:  # each is found by its code, and by every part of its title
            assert code in ask(village, code, by)[1]


LISTED = {
    "1": "公交线路", "2": "桃園市公車動態", "3": "公車動態資訊", "4": "GMP動物用藥廠名冊",
    "307001001/000001": "公车", "6": "100% _free_ C++ [a-z]*", "7": "Ökologie-Daten café",
    "8": "<script>alert(1)</script>'; DROP TABLE",
}  # fmt: skip


@pytest.fixture(scope="module")
def street(village: Town) -> Town:
    """The village with a few resources that the tests only read."""
    put(village, [Entry(code, title, "市数据局", "", None, "public", None)
                  for code, title in LISTED.items()])  # fmt: skip
    return village


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("公车", ["307001001/000001", "3", "2"]), ("公車", ["307001001/000001", "3", "2"]),
        ("车", ["307001001/000001", "3", "2"]), ("動態 公车", ["3", "2"]), ("动态资讯", ["3"]),
        ("gmp", ["4"]), ("ＧＭＰ", ["4"]), ("MP動", ["4"]), ("307001001/000001", ["307001001/000001"]),
        ("307001001／", ["307001001/000001"]), ("1001/0000", ["307001001/000001"]), ("000001/307", []),
        ("100%", ["6", "307001001/000001"]), ("%", sorted(LISTED, reverse=True)),
        ("_free_", ["6"]), ("[a-z]*", ["6"]),
        ("oko", ["7"]), ("CAFÉ", ["7"]), ("<script>", ["8"]), ("';DROP", ["8"]), ("alert(1)", ["8"]),
        ("🚌", sorted(LISTED, reverse=True)), ("🚌公車🚌", ["307001001/000001", "3", "2"]),
        ("\ud800车", ["307001001/000001", "3", "2"]), ("龘", []), ("公" * 5000, []), ("q" * 5000, []),
    ],
)  # fmt: skip
def test_what_a_question_finds(street: Town, asked: str, found: list[str]) -> None:
    order = ask(street, asked)[1]
    assert order == found if words(asked) else sorted(order) == sorted(found)


def test_what_a_process_keeps_stays_within_its_bounds(
    street: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = search._kept_of(street.home.engine.pool)
    assert kept.size > 2_000
    monkeypatch.setattr(search, "KEPT_BYTES", 2_000)
    for asked in ("厂名", "动物", "药厂", "厂名"):
        assert ask(street, asked)[0].count
        assert kept.size <= 2_000


def test_every_row_of_the_index_is_of_a_resource_and_of_its_version(street: Town) -> None:
    with street.reading() as session:
        rows = session.execute(
            select(SearchDoc.version, Resource.version).join(
                Resource, Resource.id == SearchDoc.resource_id
            )
        ).all()
    assert len(rows) == len(LISTED)
    assert all(one == other for one, other in rows)


def test_titles_are_suggested_that_begin_so_first_and_only_what_the_asker_may_see(
    village: Town,
) -> None:
    made = [Entry("1", "市公車", "处", "公車", None, "public", None),
            Entry("2", "公車站點", "处", "", None, "bodies", None),
            Entry("3", "其他", "处", "公車站", None, "public", None)]  # fmt: skip
    put(village, made)
    with village.reading() as session:
        for by, expected in ((ALL, ["2", "1"]), (Audience(), ["1"])):
            assert codes(session, search.suggest(session, by, "公车", 5)) == expected
        assert codes(session, search.suggest(session, ALL, "公車站", 5)) == ["2"]
        assert search.suggest(session, ALL, " ", 5) == []


def test_beyond_the_candidates_that_are_read_the_count_is_about_and_the_rows_are_right(
    village: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "EXACT_MAX", 6)
    monkeypatch.setattr(search, "RANKED_MAX", 6)
    # Each pair of 公車站 stands in all, the word only in those with an even number.
    put(village, [
        Entry(str(n), f"{'公車站' if n % 2 == 0 else '公車車站'}{n}", "处", "", "core", "public", None)
        for n in range(9)
    ])  # fmt: skip
    found, order = ask(village, "公車站", limit=2)
    assert (found.exact, found.count, found.more) == (False, 9, True)
    assert order == ["0", "2"]
    found, order = ask(village, "公車站", offset=2, limit=5)
    assert (order, found.more) == (["4", "6", "8"], False)
    found, order = ask(village, "公車")
    assert (found.exact, found.count, found.more, len(order)) == (True, 9, False, 6)
    monkeypatch.setattr(search, "EXACT_MAX", 9)
    assert ask(village, "公車站")[0].count == 5


def test_pages_follow_each_other_without_gap(village: Town) -> None:
    put(village, [Entry(str(n), f"公車{n}", "处", "", None, "public", None) for n in range(7)])
    for asked in ("公車", ""):
        whole = ask(village, asked)[1]
        parts = [ask(village, asked, offset=at, limit=3) for at in (0, 3, 6)]
        assert [code for _, order in parts for code in order] == whole
        assert [found.more for found, _ in parts] == [True, True, False]
    assert ask(village, "公車", offset=50)[1] == []


def test_of_many_candidates_no_more_texts_are_read_than_fill_the_page(
    village: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(village, [Entry(str(n), f"公車站{n}", "处", "", None, "public", None) for n in range(9)])
    monkeypatch.setattr(search, "EXACT_MAX", 6)
    monkeypatch.setattr(search, "READ_AT_ONCE", 2)
    read: list[int] = []
    real = search.Index._checked

    def checked(index: Any, docs: Any, word: str) -> Any:
        read.extend(docs)
        return real(index, docs, word)

    monkeypatch.setattr(search.Index, "_checked", checked)
    found, order = ask(village, "公車站", limit=2)
    assert (order, found.more, found.exact, len(read)) == (["0", "1"], True, False, 4)
    found, order = ask(village, "公車站", offset=8, limit=2)
    assert (order, found.more) == (["8"], False)


def test_nobody_finds_what_only_those_who_work_with_a_resource_are_shown(village: Town) -> None:
    put(village, [])
    inner = {name: f"鬯龘霡靐{name}" for one in INNER for name in (one, f"{one}_text")}
    with village.deed() as session:
        row = {
            "id": new_id(), "version": 1, "code": "1", "title": "公車", "provider": "处",
            "elements": {"summary": "公車", **inner}, "import_id": "", "state": "listed",
            "provider_id": None, "grade": None, "audience": "public",
        }  # fmt: skip
        session.execute(insert(Resource).values(row))
        search_index.index(session, [str(row["id"])])
        stored = session.scalars(select(SearchDoc.text)).one()
        assert "龘" not in stored
        assert "source" not in stored
        told = _told(session.scalars(select(Resource)).one(), ("龘",))
        assert "龘" not in str(told)
    assert ask(village, "公車")[1] == ["1"]
    for word in ("鬯", "龘霡", "鬯龘霡靐", "source"):
        assert ask(village, word)[1] == []


# ---------------------------------------------------------------- keeping up with what changes


def listed(town: Town, code: str, title: str, **elements: Any) -> Resource:
    with town.deed() as session:
        return catalogue.add_resource(
            session, town.actors["rita"], town.now, code=code, title=title, provider="市数据局",
            elements=elements,
        )  # fmt: skip


def changed(town: Town, made: Sequence[Resource], **columns: Any) -> None:
    """Change resources and record it, as the verbs do."""
    with town.deed() as session:
        for one in made:
            row = session.get_one(Resource, one.id)
            for name, value in columns.items():
                setattr(row, name, value)
            log.append(session, row, "resource.changed", "system")


def test_what_a_deed_lists_and_changes_is_found_at_once(town: Town) -> None:
    made = listed(town, "1", "公交线路", opening="unconditional", update_cycle="daily")
    assert ask(town, "线路")[1] == ["1"]
    assert ask(town, "", Audience(), filters={"cycle": "daily"})[1] == ["1"]
    changed(town, [made], title="站点", elements={"update_cycle": "monthly"}, audience="authority")
    assert ask(town, "线路")[1] == []
    assert ask(town, "站点")[1] == ["1"]
    assert ask(town, "站点", Audience())[1] == []
    found = ask(town, "", filters={"cycle": "daily"})[0]
    assert (found.count, found.facets["cycle"]) == (0, {"monthly": 1, "daily": 0})


def test_a_resource_that_says_one_thing_only_is_listed_and_found(town: Town) -> None:
    for word in ("–", "同名"):
        with town.deed() as session:
            catalogue.add_resource(
                session, town.actors["rita"], town.now, code=word, title=word, provider=word,
                elements={"opening": "unconditional"},
            )  # fmt: skip
    assert ask(town, "同名")[1] == ["同名"]
    assert set(ask(town, "")[1]) == {"–", "同名"}


def test_of_many_changes_who_may_see_them_holds_at_once_and_their_words_follow(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "AT_ONCE", 1)
    made = [listed(town, str(n), f"公车{n}", opening="unconditional") for n in range(3)]
    changed(town, made, title="站点", audience="authority", provider_id="one")
    assert ask(town, "公车", Audience())[0].count == 0
    assert ask(town, "公车", Audience(party_id="one"))[0].count == 3
    assert ask(town, "站点")[0].count == 0
    indexing.catch_up(town.home, lambda: town.now)
    assert ask(town, "公车")[0].count == 0
    assert ask(town, "站点", Audience(party_id="one"))[1] == ["0", "1", "2"]
    assert ask(town, "站点", Audience())[0].count == 0


class Killed(BaseException):
    """What ends an indexer in the middle."""


def test_an_indexer_that_is_killed_goes_on_where_the_last_one_committed(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_index, "note", lambda _session: None)
    for n in range(5):
        listed(town, str(n), f"公车{n}")
    real, calls = search_index._change, []

    def change(*given: Any) -> None:
        real(*given)
        calls.append(1)
        if len(calls) == 3:
            raise Killed

    monkeypatch.setattr(search_index, "_change", change)
    monkeypatch.setattr(search_index, "STEP", 1)
    with pytest.raises(Killed):
        indexing.catch_up(town.home, lambda: town.now)
    assert ask(town, "公车")[0].count == 2
    indexing.catch_up(town.home, lambda: town.now)
    assert ask(town, "公车")[1] == ["0", "1", "2", "3", "4"]
    with town.reading() as session:
        assert search_index.behind(session) == 0


def test_two_indexers_at_once_do_no_harm(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(search_index, "note", lambda _session: None)
        for n in range(12):
            listed(town, str(n), f"公车{n}")
    monkeypatch.setattr(search_index, "STEP", 2)
    faults: list[BaseException] = []

    def catch_up() -> None:
        try:
            indexing.catch_up(town.home, lambda: town.now)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=catch_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    listed(town, "12", "公车12")
    for thread in threads:
        thread.join()
    assert not faults
    indexing.catch_up(town.home, lambda: town.now)
    assert ask(town, "公车")[0].count == 13
    with town.reading() as session:
        docs = session.scalars(select(SearchDoc.doc)).all()
        assert sorted(docs) == list(range(1, 14))


def test_nobody_is_answered_from_a_state_older_than_what_was_committed_before(town: Town) -> None:
    made = listed(town, "1", "计数 v0")
    done, stop = [0], threading.Event()
    faults: list[Any] = []

    def read() -> None:
        while not stop.is_set():
            before = done[0]
            with town.reading() as session:
                found = search.search(session, ALL, "计数")
                stored = session.scalar(select(SearchDoc.text))
                marked = search.search(session, ALL, f"v{before}")
            if found.count != 1 or stored is None:
                faults.append(found)
            elif int(stored.split("v")[1].split("$")[0]) < before:
                faults.append(stored)
            elif (f"v{before}$" in stored) != (marked.count == 1):
                faults.append((stored, before, marked))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(1, 30):
        changed(town, [made], title=f"计数 v{n}")
        done[0] = n
    stop.set()
    for thread in threads:
        thread.join()
    assert not faults
