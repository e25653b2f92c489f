"""The books balance to the fen, hold each cause once, and never a value that somebody estimated."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ledger import appraisals, books
from ledger.errors import Conflict, Invalid
from ledger.statements import Statement
from ledger.store import Evidence, new_id
from tests.conftest import Town

LEDGER = Path(books.__file__).parent


def line(account: str, debit: Any, credit: Any, party: str | None = None) -> dict[str, Any]:
    return {"account": account, "credit_fen": credit, "debit_fen": debit, "party_id": party}


BOOK = "0190a1b2-0000-7000-8000-000000000001"
UNDISTRIBUTED, PAYABLE = books.UNDISTRIBUTED, books.PAYABLE
PAIR = [line(UNDISTRIBUTED, 100, 0), line(PAYABLE, 0, 100, "a")]


def post(town: Town, lines: list[dict[str, Any]], cause: Evidence | None = None) -> books.Entry:
    with town.deed() as session:
        return books.post(
            session, "system", town.now, cause=cause or Statement(id=new_id()),
            book_id=BOOK, effective_on="2026-03-02", memo="收益分配", lines=lines,
        )  # fmt: skip


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [line(UNDISTRIBUTED, 100, 0)],
        [line(UNDISTRIBUTED, 100, 0), line(books.VAT, 0, 99)],
        [line(UNDISTRIBUTED, -100, 0), line(books.VAT, 0, -100)],
        [line(UNDISTRIBUTED, 100.0, 0), line(books.VAT, 0, 100.0)],
        [line(UNDISTRIBUTED, True, 0), line(books.VAT, 0, True)],
        [line(UNDISTRIBUTED, "100", 0), line(books.VAT, 0, "100")],
        [line(UNDISTRIBUTED, 100, 100)],
        [line(UNDISTRIBUTED, 100, 0), line("9999 未知", 0, 100)],
        [line(UNDISTRIBUTED, 100, 0), line(PAYABLE, 0, 100)],
        [line(UNDISTRIBUTED, 100, 0, "a"), line(PAYABLE, 0, 100, "a")],
        [{**line(UNDISTRIBUTED, 100, 0), "basis": "appraisal"}, line(PAYABLE, 0, 100, "a")],
        [line(UNDISTRIBUTED, 10**16, 0), line(books.VAT, 0, 10**16)],
    ],
)
def test_an_entry_that_does_not_balance_in_whole_fen_is_refused(
    village: Town, lines: list[dict[str, Any]]
) -> None:
    before = village.snapshot()
    with pytest.raises(Invalid):
        post(village, lines)
    assert village.snapshot() == before


def test_a_cause_is_booked_once(town: Town) -> None:
    cause = Statement(id=new_id())
    first = post(town, PAIR, cause)
    before = town.snapshot()
    assert post(town, PAIR, cause).id == first.id
    with pytest.raises(Conflict, match=r"booked this otherwise"):
        post(town, [line(UNDISTRIBUTED, 1, 0), line(PAYABLE, 0, 1, "a")], cause)
    assert town.snapshot() == before
    assert first.number == "JZ2026-000001"
    assert post(town, PAIR).number == "JZ2026-000002"


@given(st.lists(st.tuples(st.integers(0, 10**13), st.sampled_from("abc")), min_size=1, max_size=6))
def test_all_accounts_together_sum_to_nought(village: Town, amounts: list[tuple[int, str]]) -> None:
    lines = [line(UNDISTRIBUTED, sum(fen for fen, _ in amounts), 0)]
    lines += [line(PAYABLE, 0, fen, party) for fen, party in amounts]
    with Session(village.home.engine) as session:
        for _ in range(2):
            books.post(
                session, "system", village.now, cause=Statement(id=new_id()), book_id=BOOK,
                effective_on="2026-03-02", memo="", lines=lines,
            )  # fmt: skip
        totals = books.balances(session)
        session.rollback()
    assert sum(totals.values()) == 0
    for party in {party for _, party in amounts}:
        assert totals[PAYABLE, party] == -2 * sum(fen for fen, p in amounts if p == party)


def test_an_appraisal_is_no_cause_of_an_entry_whatever_it_is_worth(village: Town) -> None:
    """财会〔2025〕33号: books carry cost. Neither drafted nor approved, and not by a look-alike amount."""
    registered = village.registration()
    made = village.appraisal(registered)
    value = [line("1701 无形资产", made.value_fen, 0), line("4002 资本公积", 0, made.value_fen)]
    for verb in (None, appraisals.approve):
        if verb is not None:
            village.do("abel", verb, made)
        before = village.snapshot()
        with pytest.raises(Invalid, match=r"no basis for booking \(财会〔2025〕33号\)"):
            post(village, value, made)
        assert village.snapshot() == before
    with pytest.raises(Invalid, match=r"A registration is no cause"):
        post(village, value, registered)


def test_only_the_books_make_entries_and_only_from_what_they_name() -> None:
    """Every place where an entry is made, or `books.post` called, stands here."""
    makes, posts = set(), set()
    for top in ("ledger", "webapp"):
        for path in sorted((LEDGER.parent / top).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
                name = path.relative_to(LEDGER.parent).as_posix()
                if called in ("books.Entry", "post") or (called == "Entry" and "books" in name):
                    makes.add(name)
                if called == "books.post":
                    posts.add(name)
    assert makes == {"ledger/books.py"}
    posting = ("confirmations", "holds", "journals", "refunds", "remittances", "revenue", "trading")
    assert posts == {f"ledger/{name}.py" for name in posting}
    assert "appraisal" not in books.CAUSES


def imports(module: str) -> set[str]:
    """The modules of ledger that a module of ledger imports, by name."""
    tree = ast.parse((LEDGER / f"{module}.py").read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("ledger"):
            below = node.module.removeprefix("ledger").strip(".")
            found |= {below.split(".")[0]} if below else {name.name for name in node.names}
        if isinstance(node, ast.Import):
            found |= {a.name.split(".")[1] for a in node.names if a.name.startswith("ledger.")}
    return {name for name in found if (LEDGER / f"{name}.py").exists()}


def reached(start: str) -> set[str]:
    seen, todo = set(), [start]
    while todo:
        module = todo.pop()
        if module not in seen:
            seen.add(module)
            todo += imports(module)
    return seen


def test_no_way_leads_from_an_appraised_value_into_the_books() -> None:
    """财会〔2025〕33号: neither the books nor what posts to them can even see an appraisal."""
    # The audit names every noun and posts nothing.
    posters = {
        p.stem
        for p in LEDGER.glob("*.py")
        if "books" in imports(p.stem)
        and re.search(r"\bbooks\.(post|post_many|reverse)\(", p.read_text("utf-8"))
    }
    assert "revenue" in posters
    for module in ("books", *posters):
        assert "appraisals" not in reached(module), f"{module} reaches appraisals"
    assert not reached("appraisals") & {"books", *posters}


def test_an_approved_appraisal_leaves_no_trace_in_the_books(town: Town) -> None:
    made = town.appraisal(town.registration())
    town.do("abel", appraisals.approve, made)
    with town.reading() as session:
        assert session.scalar(select(func.count()).select_from(books.Entry)) == 0
        assert books.balances(session) == {}
