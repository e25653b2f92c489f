"""The store: numbers nobody gets twice, answers given again, one spelling, times in UTC."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from ledger import log, parties, store
from ledger.errors import Conflict, Invalid
from ledger.proof.encoding import canonical
from ledger.store import canonical_fast, new_id, next_number, open_engine, recall, remember
from tests.conftest import START, Town


@pytest.mark.parametrize("prefixes", [("A",), ("A", "B", "C")])
def test_eight_at_once_get_distinct_dense_numbers(town: Town, prefixes: tuple[str, ...]) -> None:
    def draw(turn: int) -> tuple[str, int]:
        prefix = prefixes[turn % len(prefixes)]
        with town.deed() as session:
            return prefix, next_number(session, prefix)

    with ThreadPoolExecutor(8) as pool:
        drawn = sorted(pool.map(draw, range(48)))
    each = 48 // len(prefixes)
    assert drawn == [(prefix, n) for prefix in prefixes for n in range(1, each + 1)]


def test_one_transaction_may_draw_several_numbers(town: Town) -> None:
    with town.deed() as session:
        assert [next_number(session, "A") for _ in range(3)] == [1, 2, 3]


def test_a_number_drawn_by_a_deed_that_failed_is_drawn_again(town: Town) -> None:
    def fail(session: Session) -> None:
        assert next_number(session, "A") == 1
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError), town.deed() as session:
        fail(session)
    with town.deed() as session:
        assert next_number(session, "A") == 1


def test_an_answer_is_given_again_and_another_request_under_its_key_refused(town: Town) -> None:
    with town.deed() as session:
        assert recall(session, "k", "sha256:1") is None
        remember(session, "k", "sha256:1", {"number": "甲-1"}, town.now)
    with town.deed() as session:
        assert recall(session, "k", "sha256:1") == {"number": "甲-1"}
        with pytest.raises(Conflict) as refused:
            recall(session, "k", "sha256:2")
        assert (refused.value.facts["known"], refused.value.facts["given"]) == (
            "sha256:1", "sha256:2",
        )  # fmt: skip


def test_of_two_answers_at_once_under_one_key_one_stands(town: Town) -> None:
    def answer(n: int) -> str:
        try:
            with town.deed() as session:
                remember(session, "k", "d", {"n": n}, town.now)
            return "done"
        except Conflict:
            return "conflict"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(answer, range(4))) == ["conflict"] * 3 + ["done"]


# ---------------------------------------------------------------- one spelling

SUBSET = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(SUBSET)
def test_the_fast_spelling_is_the_canonical_one(value: Any) -> None:
    assert canonical_fast(value) == canonical(value)
    assert json.loads(canonical_fast(value)) == value


@pytest.mark.parametrize(
    "value", [1.0, 2**53, -(2**53), {"é": 1}, {1: 2}, {"a": 0.5}, [b"x"], "\ud800", (1, 2), {"a"},
              START, float("nan")],
)  # fmt: skip
def test_outside_the_subset_there_is_no_spelling(value: Any) -> None:
    for spell in (canonical, canonical_fast):
        with pytest.raises(Invalid):
            spell(value)


def test_ids_are_ordered_by_birth() -> None:
    made = [new_id() for _ in range(2000)]
    assert made == sorted(set(made))


# ---------------------------------------------------------------- columns and connections


def test_times_are_stored_in_utc_and_whole_seconds(town: Town) -> None:
    shanghai = datetime(2026, 3, 2, 10, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=8)))
    with town.deed() as session:
        remember(session, "k", "d", {}, shanghai)
    with town.reading() as session:
        found = session.get_one(store.Answer, "k").at
    assert found == datetime(2026, 3, 2, 2, 0, 0, tzinfo=UTC)
    assert found.tzinfo is UTC


def test_a_time_without_zone_is_our_own_fault(town: Town) -> None:
    with pytest.raises((AssertionError, StatementError)), town.deed() as session:  # noqa: PT012
        remember(session, "k", "d", {}, datetime(2026, 3, 2))
        session.flush()


def test_what_has_no_canonical_form_is_not_stored(town: Town) -> None:
    before = town.snapshot()
    with pytest.raises((Invalid, StatementError)), town.deed() as session:  # noqa: PT012
        remember(session, "k", "d", {"price": 0.1}, town.now)
        session.flush()
    assert town.snapshot() == before


def test_sqlite_keeps_its_rules_on_every_connection(town: Town) -> None:
    if town.home.engine.dialect.name != "sqlite":
        pytest.skip("pragmas are SQLite's")
    with town.home.engine.connect() as connection:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert connection.execute(text(f"PRAGMA {pragma}")).scalar() == value


def test_a_row_that_points_nowhere_is_refused_by_both(town: Town) -> None:
    before = town.snapshot()
    with pytest.raises(Conflict), town.deed() as session:  # noqa: PT012
        member = parties.Member(id=new_id(), party_id="nowhere", roles=["operator"])
        log.append(session, member, "member.added", "tester")
    assert town.snapshot() == before


def test_readers_do_not_wait_for_a_writer(town: Town) -> None:
    with town.deed() as writing:
        next_number(writing, "A")
        with town.reading() as session:
            assert session.query(parties.Party).count() > 0


@pytest.mark.parametrize("url", ["mysql://x", "postgres://x", "", "oracle+x://y"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(Invalid):
        open_engine(url)
