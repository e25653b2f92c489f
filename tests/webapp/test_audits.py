"""What an audit found is told in the reader's language; what is stored is shown as it stands."""

import ast
import re
from collections.abc import Iterator

import pytest

from ledger.audit_findings import Difference
from tests.webapp.test_language import Module, modules
from webapp.audits import told
from webapp.language import speak

AUDIT = ("ledger.supervision", "ledger.audit_chain", "ledger.audit_records", "ledger.audit_rows")


@pytest.fixture(autouse=True)
def chinese() -> Iterator[None]:
    speak("zh")
    yield
    speak(None)


def said_by(module: Module, node: ast.expr) -> set[str]:
    """The texts that an expression may give a difference; x stands for what is filled in."""
    match node:
        case ast.Constant(value=str() as text):
            return {text}
        case ast.JoinedStr(values=parts):
            return {"".join(str(p.value) if isinstance(p, ast.Constant) else "x" for p in parts)}
        case ast.IfExp(body=one, orelse=other):
            return said_by(module, one) | said_by(module, other)
        case ast.BoolOp(values=parts):
            return set().union(*(said_by(module, part) for part in parts))
        case ast.Name(id=name):
            function = next(module.scopes(node))
            given = (n for n in ast.walk(function) if isinstance(n, ast.Assign))
            return set().union(*(
                said_by(module, n.value) for n in given if ast.unparse(n.targets[0]) == name
            ))  # fmt: skip
    return set()


def values_told() -> set[str]:
    """Every text that the audit's source gives as one of two values that differ."""
    found = set()
    for name in AUDIT:
        for node in ast.walk(modules()[name].tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("compare"):
                for value in node.args[-2:]:
                    found |= said_by(modules()[name], value)
    usage = modules()["ledger.usage"]
    for node in ast.walk(usage.tree):
        if isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
            for value in node.value.elts[-2:] if len(node.value.elts) == 4 else ():
                found |= said_by(usage, value)
    return found


def test_every_word_of_an_audit_has_its_chinese() -> None:
    found = values_told()
    assert {
        "a record",
        "the next number",
        "readable rows",
        "at least x",
        "records are missing",
    } <= found
    told_as = {text: told(Difference("log", "", "row", text, text).as_dict()) for text in found}
    bare = {
        text
        for text, one in told_as.items()
        for shown in (one["known"], one["derived"])
        if re.search(r"[A-Za-z]{2}", text) and not re.search("[一-鿿]", shown)
    }
    assert bare == set()


@pytest.mark.parametrize(
    ("found", "shown"),
    [
        (("record", "7", "row", "-", "a record"), ("整行", "-", "一条记录")),
        (("log", "", "records", "5", "at least 9"), ("记录数", "5", "至少 9")),
        (
            (
                "voucher",
                "PZ-1",
                "event of version 2",
                "none (no act, since 2026)",
                "an event on chain",
            ),
            ("第 2 版的事件", "无（无链上操作，自 2026 起）", "一个链上事件"),
        ),
        (
            ("event", "VoucherRegistry.Issued 0x1", "record", "version 2, block 7", "no record"),
            ("记录", "第 2 版，区块 7", "无记录"),
        ),
        (("voucher", "PZ-1", "digest on chain", "False", "True"), ("链上的 digest", "否", "是")),
        (("act", "x", "state", "superseded", "effective"), ("state", "已被取代", "已生效")),
    ],
)
def test_a_difference_is_told_in_chinese(found: tuple[str, ...], shown: tuple[str, ...]) -> None:
    one = told(Difference(*found).as_dict())
    assert (one["field"], one["known"], one["derived"]) == shown


def test_a_difference_stays_as_it_was_found_in_english() -> None:
    found = Difference("record", "7", "kind", "none (no act, since 2026)", "a record").as_dict()
    speak("en")
    assert {key: told(found)[key] for key in ("known", "derived", "field")} == {
        "known": "none (no act, since 2026)", "derived": "a record", "field": "kind",
    }  # fmt: skip


def test_what_a_column_holds_is_shown_as_it_stands() -> None:
    one = told(Difference("agreements", "XY-1", "title", "a record", "none").as_dict())
    assert (one["known"], one["derived"], one["field"]) == ("a record", "none", "title")


def test_a_refusal_is_told_in_chinese_where_something_cannot_be_read_and_nowhere_else() -> None:
    text = "A signature of log.example is too short."
    for field, stays in (("note", False), ("actor", True)):
        one = told(Difference("checkpoint", "9", field, text, "a text").as_dict())
        assert (one["known"] == text) is stays
        assert one["derived"] == "一段文字"
