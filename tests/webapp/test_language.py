"""Every sentence of the code has its Chinese, and nothing else stands in the catalogue.

The message ids are found by reading the source (`messages`), not by running it. For the next
developer: `python -m tests.webapp.test_language` lists what is not translated, what is obsolete, and
which calls could not be followed; then mend `webapp/translations/zh_CN/LC_MESSAGES/messages.po`.
"""

import ast
import errno
import os
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from ledger import parties, registration
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed
from ledger.proof import credential, verify
from ledger.states import MOVES, move
from webapp.language import TRANSLATIONS, tr, translate

ROOT = Path(__file__).resolve().parents[2]
PO = TRANSLATIONS / "zh_CN" / "LC_MESSAGES" / "messages.po"

# Which arguments of a call are message ids, by the function's name. A function that hands a parameter
# of its own on to one of these must stand here too, or the parameter is reported as a fault.
SINKS: dict[str, tuple[int, ...]] = {
    "_application_verb": (2,),
    "add": (0, 2),
    "head": (0,),
    "line": (0,),
    "name_fault": (0,),
    "say": (1,),
    "tr": (0,),
    "translate": (0,),
}
# Expressions whose value is a word of `words`, or a template that was found where it was made.
WORD_ATTRIBUTES = ("name", "state", "template")
WORD_CALLS = ("rung",)
# Lines of a story that are typed as they stand.
TYPED = re.compile(r"  (shuzheng|python) [^ ].*|  \{folder\}/.*")


@dataclass
class Found:
    """The message ids with the first place of each, and the calls that could not be followed."""

    ids: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class Module:
    """A source file, its parents by node, and what its names were given."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tree = ast.parse(path.read_text("utf-8"))
        self.parents = {
            child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)
        }

    def scopes(self, node: ast.AST) -> Iterator[ast.AST]:
        """The functions around a node, from the inside, and then the module."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.FunctionDef | ast.Lambda | ast.Module):
                yield node

    def function(self, node: ast.AST) -> str:
        """The innermost named function around a node."""
        found = (s.name for s in self.scopes(node) if isinstance(s, ast.FunctionDef))
        return next(found, "")


@cache
def modules() -> dict[str, Module]:
    """All source files of the ledger and its front, by dotted name."""
    paths = [path for top in ("ledger", "webapp") for path in sorted((ROOT / top).rglob("*.py"))]
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): Module(
            path
        )
        for path in paths
    }


@cache
def error_classes() -> dict[str, ast.ClassDef]:
    """`LedgerError` and every class made from it, in any module."""
    classes = {
        node.name: node
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    }
    known: set[str] = set()
    more = {"LedgerError"}
    while more:
        known |= more
        more = {
            name for name, node in classes.items() if {_last_name(b) for b in node.bases} & known
        } - known
    return {name: classes[name] for name in known}


def _makes_its_own_template(error: ast.ClassDef) -> bool:
    """Whether an error class has a constructor of its own, which hands a template to the one above."""
    return error.name != "LedgerError" and any(
        isinstance(node, ast.FunctionDef) and node.name == "__init__" for node in error.body
    )


def _last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _parameters(scope: ast.AST) -> set[str]:
    if not isinstance(scope, ast.FunctionDef | ast.Lambda):
        return set()
    given = scope.args
    return {a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)}


def _given(scope: ast.AST, name: str) -> list[ast.expr]:
    """The expressions that `name` is set to in a scope, also as the target of a loop."""
    values = []
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets, value = [node.target], node.value
        elif isinstance(node, ast.For):
            targets, value = [node.target], node.iter
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            values.append(value)
    return values


def _imported(module: Module, name: str) -> tuple[Module, str | None] | None:
    """The module of ours that a name was imported from (or is), and its name there."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    whole = f"{node.module}.{alias.name}"
                    if whole in modules():
                        return modules()[whole], None
                    if node.module in modules():
                        return modules()[str(node.module)], alias.name
    return None


class Unknown(Exception):
    """An expression whose strings cannot be told from the source."""


def strings(module: Module, node: ast.AST) -> set[str]:
    """Every text that an expression may stand for; raises Unknown where that cannot be told."""
    match node:
        case ast.Constant(value=str() as text):
            return {text}
        case ast.Constant():
            return set()
        case ast.IfExp(body=one, orelse=other):
            return strings(module, one) | strings(module, other)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return set().union(*(strings(module, part) for part in parts))
        case ast.Subscript(value=table):
            return strings(module, table)
        case ast.Name(id=name):
            return _of_name(module, node, name)
        case ast.Attribute(value=ast.Name(id=owner), attr=name):
            found = _imported(module, owner)
            if found is not None and found[1] is None:
                return _of_name(found[0], found[0].tree, name)
            if name in WORD_ATTRIBUTES:
                return set()
        case ast.Attribute(attr=name) if name in WORD_ATTRIBUTES:
            return set()
        case ast.Call(func=called) if _last_name(called) in WORD_CALLS:
            return set()
    raise Unknown(ast.unparse(node))


def _of_name(module: Module, node: ast.AST, name: str) -> set[str]:
    scopes = [*module.scopes(node)] or [module.tree]
    for scope in scopes:
        values = _given(scope, name)
        if values:
            return set().union(*(strings(module, value) for value in values))
        if name in _parameters(scope):
            called = scope.name if isinstance(scope, ast.FunctionDef) else ""
            if called in SINKS:
                return set()
            raise Unknown(f"parameter {name} of {called}: name that function in SINKS")
    found = _imported(module, name)
    if found is not None and found[1] is not None:
        return _of_name(found[0], found[0].tree, found[1])
    raise Unknown(name)


@cache
def messages() -> Found:
    """All message ids of the source."""
    found = Found()
    for name, module in modules().items():
        if name in ("ledger.errors", "webapp.language"):  # these pass on what others say
            continue
        place = module.path.relative_to(ROOT)
        for node in ast.walk(module.tree):
            for expression in _ids_of(node):
                where = f"{place}:{expression.lineno}"
                try:
                    for text in sorted(strings(module, expression)):
                        found.ids.setdefault(text, where)
                except Unknown as unknown:
                    if module.function(expression) not in ("forgeries", "tampering"):
                        found.faults.append(f"{where}: cannot be followed: {unknown}")
    for text in _labels():
        found.ids.setdefault(text, "webapp/demo.py")
    found.ids.setdefault("{key} ({zh})", "ledger/errors.py")  # Faults.name_missing
    for word in words():
        found.ids.setdefault(word, "a word")
    return found


def _ids_of(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions of a call (or an error class) that hold message ids."""
    if isinstance(node, ast.ClassDef) and error_classes().get(node.name) is node:
        if _makes_its_own_template(node):
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
                    yield from call.args[:1]
        return
    if not isinstance(node, ast.Call):
        return
    name, given = _last_name(node.func), node.args
    error = error_classes().get(name)
    if error is not None and not _makes_its_own_template(error):
        yield from given[:1]
        yield from (word.value for word in node.keywords if word.arg == "step")
    elif name == "add" and len(given) == 3:
        if isinstance(given[0], ast.Constant):  # else a fact of an error, found where it is raised
            yield given[0]
        yield given[2]
    elif name == "translate" and not isinstance(node.func, ast.Name):
        return  # str.translate
    elif name in SINKS and name != "add":
        yield from (given[at] for at in SINKS[name] if at < len(given))


def _labels() -> set[str]:
    """What each forgery of the demo is called: the first of the three in `forgeries`' table."""
    tree = modules()["webapp.demo"].tree
    table = next(
        node.value
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "forgeries"
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
    )
    firsts = [value.elts[0] for value in table.values if isinstance(value, ast.Tuple)]
    return {first.value for first in firsts if isinstance(first, ast.Constant)}


def words() -> set[str]:
    """The single words that are shown as facts: states, verbs, verdicts, roles, kinds."""
    moves = [move for verbs in MOVES.values() for move in verbs.values()]
    states = {s for move in moves for pair in move.items() for s in pair if s is not None}
    return {
        *MOVES,
        *(verb for verbs in MOVES.values() for verb in verbs),
        *states,
        *verify.CHAIN_VERDICTS,
        *verify.VERDICTS,
        *credential.STATUS_WORDS,
        *registration.VERDICTS,
        *registration.COMPLIANCE_ITEMS,
        *parties.ROLES,
        *("recorded", "sealed", "anchored"),  # log.rung
        *("waiting", "sent", "effective", "alarm"),  # outbox.Act.state
        *("document", "bundle", "package"),  # verify.Report.kind
        *("deposit", "price", "the document", "the scheme", "the status list", "the trust file"),
        *("new", "frozen", "proof", "True", "False"),
        *(os.strerror(number) for number in (errno.EACCES, errno.EISDIR, errno.ENOENT)),
    }


@cache
def entries() -> dict[str, str]:
    """The catalogue as it stands in the file, untranslated entries too."""
    with PO.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale="zh_CN") if m.id}


def placeholders(text: str) -> list[tuple[str, str, str]]:
    """The fields of a template with their forms, in one order."""
    return sorted(
        (name, spec or "", conversion or "")
        for _, name, spec, conversion in string.Formatter().parse(text)
        if name is not None
    )


def says_something(template: str) -> bool:
    """Whether a template has words of its own beside its fields and what is typed."""
    bare = re.sub(r"\{[^}]*\}|`[^`]*`", "", template)
    return re.search(r"[A-Za-z]{2}", bare) is not None and not TYPED.fullmatch(template)


def untranslated() -> list[str]:
    return sorted(set(messages().ids) - {id_ for id_, text in entries().items() if text})


def obsolete() -> list[str]:
    return sorted(set(entries()) - set(messages().ids))


class TestTheSource:
    def test_says_only_what_can_be_translated(self) -> None:
        assert messages().faults == []

    def test_was_read(self) -> None:
        ids = messages().ids
        assert len(ids) > 400
        for known in (
            "There is no agreement {number}.",  # an error
            "The document is malformed: {why}.",  # a step of a verification
            "Application {number} is accepted.",  # an application's verb
            "{path} cannot be locked: {cause}.",  # a variable
            "the voucher's title",  # a forgery
            "old_root",  # a step's name in an error
            "not valid",  # a word
        ):
            assert known in ids


class TestTheCatalogue:
    def test_is_complete(self) -> None:
        assert untranslated() == []

    def test_holds_nothing_obsolete(self) -> None:
        assert obsolete() == []

    def test_is_sorted_and_names_each_id_once(self) -> None:
        with PO.open("rb") as file:
            ids = [str(m.id) for m in read_po(file, locale="zh_CN") if m.id]
        assert ids == sorted(entries())
        assert PO.read_text("utf-8").count("\nmsgid ") == len(ids) + 1

    def test_has_the_same_fields_in_both_languages(self) -> None:
        odd = [id_ for id_, text in entries().items() if placeholders(id_) != placeholders(text)]
        assert odd == []

    def test_is_chinese(self) -> None:
        assert [
            id_
            for id_, text in entries().items()
            if says_something(id_) and not re.search("[一-鿿]", text)
        ] == []

    def test_keeps_the_layout(self) -> None:
        assert [
            id_
            for id_, text in entries().items()
            if len(id_) - len(id_.lstrip()) != len(text) - len(text.lstrip()) or "\n" in text
        ] == []

    def test_ends_its_sentences_as_chinese_does(self) -> None:
        assert [
            id_
            for id_, text in entries().items()
            if says_something(id_) and (id_[-1] in ".?") != (text[-1] in "。？")
        ] == []


class TestALanguage:
    ERRORS = (
        (Missing("There is no agreement {number}.", number="XY2026-0001"), "XY2026-0001"),
        (Invalid("{path} does not hold fields.", path="a.yaml"), "a.yaml"),
        (Conflict("Voucher {number} is frozen by the regulator.", number="PZ-1"), "PZ-1"),
        (
            NotAllowed("This needs the role {needed}; you have {roles}.", needed="a", roles="b"),
            "b",
        ),
    )

    @pytest.mark.parametrize(("error", "fact"), ERRORS)
    def test_says_an_error(
        self, error: LedgerError, fact: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SHUZHENG_LANG", "zh")
        chinese = error.localized(translate)
        monkeypatch.setenv("SHUZHENG_LANG", "en")
        english = error.localized(translate)
        assert fact in chinese
        assert fact in english
        assert re.search("[一-鿿]", chinese)
        assert english == error.sentence

    def test_is_chinese_unless_said_otherwise(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SHUZHENG_LANG", raising=False)
        assert translate("valid") == "有效"
        monkeypatch.setenv("SHUZHENG_LANG", "en_GB.UTF-8")
        assert translate("valid") == "valid"

    def test_stays_english_where_there_is_no_chinese(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHUZHENG_LANG", "zh")
        assert tr("Nobody wrote this {thing}.", thing="sentence") == "Nobody wrote this sentence."

    def test_shows_states_in_words(self, monkeypatch: pytest.MonkeyPatch) -> None:
        template = "Voucher {number} is now {state} (frozen: {frozen})."
        facts = {"number": "valid", "state": "suspended", "frozen": True}
        monkeypatch.setenv("SHUZHENG_LANG", "en")
        assert tr(template, **facts) == "Voucher valid is now suspended (frozen: True)."
        monkeypatch.setenv("SHUZHENG_LANG", "zh")
        said = tr(template, **facts)
        assert "valid" in said  # a number is no word
        assert "suspended" not in said
        assert "True" not in said

    def test_names_every_state_and_verb(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHUZHENG_LANG", "zh")
        for machine, verbs in MOVES.items():
            for verb in verbs:
                with pytest.raises(Conflict) as caught:
                    move(machine, verb, "terminated")
                assert not re.search("[A-Za-z]", caught.value.localized(translate))

    def test_leaves_data_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SHUZHENG_LANG", "zh")
        error = NotAllowed(
            "{what} belongs to another organisation, not to yours.", what="Deposit valid.csv"
        )
        assert "存证 valid.csv" in error.localized(translate)
        assert error.sentence.startswith("Deposit valid.csv ")
        assert "valid" in tr("There is no member {login}.", login="valid")


if __name__ == "__main__":
    print(f"{len(messages().ids)} message ids, {len(entries())} entries")
    for id_ in untranslated():
        print(f"untranslated  {messages().ids[id_]}  {id_!r}")
    for id_ in obsolete():
        print(f"obsolete      {id_!r}")
    for fault in messages().faults:
        print(f"fault         {fault}")
