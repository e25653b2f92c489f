"""Every sentence of the code and of the pages has its Chinese, and nothing else stands in the catalogue.

The message ids are found by reading the source and the templates (`messages`); only what the deeds say
is asked of the deeds themselves (`told`). For the next developer: `python -m tests.webapp.test_language`
lists what is not translated, what is obsolete, and what could not be followed; then mend
`webapp/translations/zh_CN/LC_MESSAGES/messages.po`.
"""

import ast
import errno
import os
import re
import string
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from jinja2 import Environment, nodes
from marshmallow import Schema, fields

from ledger import (
    agreements,
    alarm_rules,
    alarms,
    announcements,
    catalogue_imports,
    catalogue_writing,
    deadlines,
    evaluations,
    grading,
    log,
    orders,
    parties,
    peers,
    recognition,
    registration,
    registration_changes,
    remittances,
    rights,
    settings,
    successions,
    trading,
    vouchers,
)
from ledger.chain import outbox
from ledger.errors import Conflict, Invalid, LedgerError, Missing, NotAllowed
from ledger.proof import chain_node, credential, report
from ledger.states import MOVES, move
from webapp import api, audits, refusals
from webapp.deeds import DEEDS, QUESTIONS, import_templates
from webapp.deeds.all import agreements as agreement_deeds
from webapp.deeds.all import alarms as deed_alarms
from webapp.deeds.all import appraisals as appraisal_deeds
from webapp.deeds.all import demands, duties, feedback, people, stewards, work
from webapp.deeds.all import field as field_deeds
from webapp.deeds.all import finance as finance_deeds
from webapp.deeds.all import payouts as payout_deeds
from webapp.deeds.all import prices as price_deeds
from webapp.deeds.all import reconciliation as reconciliation_deeds
from webapp.deeds.all import statistics as deed_statistics
from webapp.deeds.forms import MISSHAPEN, SAID
from webapp.deeds.subjects import BY_NOUN
from webapp.language import TRANSLATIONS, tr, translate
from webapp.pages import (
    appraisal,
    calculator,
    lists,
    public,
    resource,
    revenue,
    start,
    statistics,
    wizard,
)
from webapp.pages import finance as finance_pages
from webapp.pages.menu import GROUPS
from webapp.pages.nouns import COLUMNS

ROOT = Path(__file__).resolve().parents[2]
PO = TRANSLATIONS / "zh_CN" / "LC_MESSAGES" / "messages.po"
TEMPLATES = sorted((ROOT / "webapp" / "templates").rglob("*.html"))

# Which arguments of a call are message ids, by the function's name. A function that hands a parameter
# of its own on to one of these must stand here too, or the parameter is reported as a fault.
SINKS: dict[str, tuple[int, ...]] = {
    "add": (0, 2),
    "head": (0,),
    "line": (0,),
    "name_fault": (0,),
    "plainly": (0,),
    "row_fault": (0,),
    "_said": (0,),
    "say": (1,),
    "tr": (0,),
    "translate": (0,),
}
# Expressions whose value is a word of `words`, what a deed says (`told`), or a template that was found
# where it was made.
WORD_ATTRIBUTES = ("name", "noun", "says", "state", "template", "title")
WORD_CALLS = ("rung",)
# Functions whose texts are found otherwise, and how.
ELSEWHERE = {
    "webapp/api/__init__.py:spoken": "documented",
    "webapp/cli/house.py:ladder": "words",
    "webapp/demo_outsiders.py:tampering": "_labels",
    "webapp/deeds/forms.py:load": "told: what a body's fields refuse",
    "webapp/deeds/import_templates.py:_heading": "told: of the columns of files",
    "webapp/deeds/import_templates.py:workbook": "told: of the tables in files",
    "webapp/pages/import_templates.py:file_note": "told: of the tables in files",
    "webapp/jobs.py:refusal_text": "where the refusal that was kept was raised",
    "webapp/pages/lists.py:about": "told: what feedback may be about, the choices of its deed",
    "webapp/pages/nouns.py:call_by_title": "told: titles of a body's fields",
    "webapp/pages/forms.py:fields_of": "told: titles, hints and choices of a body's fields",
    "webapp/wording.py:step_name": "words",
    "webapp/wording.py:word": "words",
    "webapp/pages/wizard.py:_plainly": "words, or what somebody filled in",
}
# Lines of a story that are typed as they stand.
TYPED = re.compile(r"  (shuzheng|python) [^ ].*|  \{folder\}/.*")
# What a template may show as it stands: names of programs, formats and versions, the symbols of
# GB/T 36344, addresses of the API, and a number such as ours; what is typed stands in <code> or <pre>.
SHOWN = re.compile(
    r"\b(Windows|Linux|macOS|XLSX|JSON|PDF|API|v1|A|B)\b|数证|/api/v1[/a-z]*|\bPZ202611-000001-5\b"
)
QUIET_TAGS = ("code", "pre", "script", "style")
TABLE_METHODS = ("get", "items", "values")
ATTRIBUTE = re.compile(r'[a-z-]+="[^"]*"')  # of a macro that is called within a tag
READ_ATTRIBUTES = ("alt", "aria-label", "label", "placeholder", "title")


@dataclass
class Found:
    """The message ids with the first place of each, and what could not be followed.

    `elsewhere`: the functions of `ELSEWHERE` that were met.
    """

    ids: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    elsewhere: set[str] = field(default_factory=set)


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
        targets: list[ast.expr]
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            targets, value = [node.target], node.value
        elif isinstance(node, ast.For | ast.comprehension):
            targets, value = [node.target], node.iter
            match node.target, node.iter:
                case (
                    ast.Tuple(elts=[_, target]),
                    ast.Call(func=ast.Attribute(value=table, attr="items")),
                ):
                    targets, value = [target], table  # its values
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            values.append(value)
    return values


def _imported(module: Module, name: str) -> tuple[Module, str | None] | None:
    """The module of ours that a name was imported from (or is), and its name there.

    A module that only hands it on (`webapp.deeds.all`) is looked through.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    whole = f"{node.module}.{alias.name}"
                    if whole in modules():
                        return modules()[whole], None
                    if node.module in modules():
                        there = modules()[str(node.module)]
                        return _imported(there, alias.name) or (there, alias.name)
    return None


class Unknown(Exception):
    """An expression whose strings cannot be told from the source."""


def strings(module: Module, node: ast.AST) -> set[str]:
    """Every text that an expression may stand for; raises Unknown where that cannot be told."""
    match node:
        case ast.Constant(value=str() as text):
            return {text} if text else set()
        case ast.Constant():
            return set()
        case ast.IfExp(body=one, orelse=other):
            return strings(module, one) | strings(module, other)
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return set().union(*(strings(module, part) for part in parts))
        case ast.Subscript(slice=ast.Constant(value="template" | "title")):
            return set()  # of a refusal that was kept, of a body's field
        case ast.Call(func=ast.Name(id="str"), args=[text]):
            return strings(module, text)
        case ast.Subscript(value=table):
            return strings(module, table)
        case ast.Call(func=ast.Attribute(value=table, attr="get"), args=[_, other]):
            return strings(module, table) | strings(module, other)
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
                    function = f"{place}:{module.function(expression)}"
                    if function in ELSEWHERE:
                        found.elsewhere.add(function)
                    else:
                        found.faults.append(f"{where}: cannot be followed: {unknown}")
    for text in _labels():
        found.ids.setdefault(text, "webapp/demo_outsiders.py")
    found.ids.setdefault("{key} ({zh})", "ledger/errors.py")  # Faults.name_missing
    for text, where in told():
        found.ids.setdefault(text, where)
    for text in documented():
        found.ids.setdefault(text, "the API's document")
    for page in pages():
        for text in sorted(page.texts):
            found.ids.setdefault(text, page.name)
        found.faults += page.faults
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
    tree = modules()["webapp.demo_outsiders"].tree
    table = next(
        node.value
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name == "forgeries"
        for node in ast.walk(function)
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Dict)
    )
    firsts = [value.elts[0] for value in table.values if isinstance(value, ast.Tuple)]
    return {str(first.value) for first in firsts if isinstance(first, ast.Constant)}


def words() -> set[str]:
    """The single words that are shown as facts or by `|word`: states, verbs, verdicts, roles, kinds."""
    moves = [move for verbs in MOVES.values() for move in verbs.values()]
    states = {s for move in moves for pair in move.items() for s in pair if s is not None}
    return {
        *MOVES,
        *(verb for verbs in MOVES.values() for verb in verbs),
        *states,
        *chain_node.CHAIN_VERDICTS,
        *chain_node.STATEMENT_STATES,
        "another digest or root",
        *report.VERDICTS,
        *credential.STATUS_WORDS,
        *registration.VERDICTS,
        *registration.COMPLIANCE_ITEMS,
        *(*rights.ROLES, rights.PUBLIC, rights.MEMBER, *rights.RELATIONS),
        *("recorded", *log.RUNGS),
        *("waiting", "sent", "effective", "alarm"),  # outbox.Act.state
        *("queued", "running", "done", "failed"),  # jobs.Job.state
        *("active", "listed"),  # of a party, of a resource
        *grading.LEVELS,
        *(en for _, en in grading.LEVELS.values()),
        *("document", "bundle", "package", "receipt", "line proof"),  # report.Report.kind
        *("accept", "review", "cancellation"),  # of an application's deadlines
        *(*BY_NOUN, *parties.KINDS, *vouchers.KINDS, *registration.RIGHTS, *registration.OBJECTS),
        *(*agreements.MODES, *trading.PURPOSES, *evaluations.VERDICTS),
        *(*remittances.PURPOSES, *orders.PAID_BY),
        *recognition.COMPUTED,
        *record_kinds(),
        *(*alarm_rules.LATE.values(), alarm_rules.STALE),
        *(alarm_rules.LAPSED_USED, alarm_rules.OUTSIDE_SCENE, alarm_rules.ABOVE_CAP),
        *(alarm_rules.NO_REASON, alarms.AUDITED, "checkpoint", "log"),
        *deed_alarms.KINDS.values(),  # what an alarm is about, in the list of work
        *(said for said, _ in announcements.EVENTS.values()),
        *(*start.HEADINGS.values(), *(title for title, _ in work.APPLY.values())),
        *(
            said
            for term in deadlines.TERMS.values()
            for said in (term.title, term.rule, term.near_says, term.past_says)
            if said
        ),
        *act_functions(),
        *(successions.ON_CHAIN, successions.HISTORY, successions.BY_CODE, successions.CREDENTIAL),
        *("rename", "merge", "split"),  # Succession.kind
        *(*(one.noun for one in successions.HOLDINGS), "usage_batch"),
        *(outbox.FORK, outbox.BEHIND, outbox.NOT_OURS, outbox.REFUSED, outbox.UNDONE),
        *(outbox.SUPERSEDED, *outbox.ADVICE.values()),
        *(choice.title for choice in settings.CHOICES.values()),
        *(value for choice in settings.CHOICES.values() for value in choice.choices),
        # usual names of a licence's terms
        *("calls_per_day", "delivery", "redistribution", "scene", "territory"),
        *("deposit", "price", "the account", "the body", "the document", "the scheme"),
        *("the status list", "the trust file", "a key stands twice in one object"),
        *("new", "frozen", "proof", "contribution", "True", "False"),
        *("unchanged", "saved anew, no row changed"),  # a payment file
        *catalogue_imports.SOURCES,
        *(*audits.WORDS, *audits.FIELDS, *refusals.SENTENCES, "no act", "on its way"),
        *(os.strerror(number) for number in (errno.EACCES, errno.EISDIR, errno.ENOENT)),
    }


def record_kinds() -> set[str]:
    """The kinds of records: what every call of `log.append` in the ledger gives."""
    kinds = set()
    for _, call in _calls("ledger"):
        if ast.unparse(call.func) == "log.append":
            match call.args[2]:
                case ast.Constant(value=str() as kind):
                    kinds.add(kind)
                case ast.JoinedStr(values=[ast.Constant(value="voucher."), _]):
                    kinds |= {f"voucher.{verb}" for verb in vouchers.VERBS}
                case ast.JoinedStr(values=[ast.Constant(value="registration."), _]):
                    kinds |= {f"registration.{one}" for one in registration_changes.DONE.values()}
                case ast.JoinedStr(values=[ast.Constant(value="party."), _]):
                    kinds |= {"party.merged", "party.split"}
                case ast.JoinedStr(values=[ast.Constant(value="peer."), _]):
                    kinds |= {f"peer.{done}" for done in peers.PAST.values()}
                case ast.JoinedStr(values=[ast.Constant(value="recognition."), _]):
                    kinds |= {f"recognition.{kind}" for kind in recognition.KINDS.values()}
                case ast.JoinedStr(values=[_, ast.Constant(value=".recounted")]):
                    kinds |= {f"{kept.model.subject_type}.recounted" for kept in deadlines.KEPT}
                case ast.JoinedStr(values=[_, ast.Constant(value=".succeeded")]):
                    kinds |= {f"{one.noun}.succeeded" for one in successions.HOLDINGS}
                case ast.Name(id="kind"):
                    kinds |= {"catalogue.approved", "catalogue.rejected"}
                case other:
                    raise AssertionError(f"the kind {ast.unparse(other)} cannot be followed")
    kinds.add("payment.assigned")  # to a statement of before
    return kinds | {*catalogue_writing.PAST.values()}


def act_functions() -> set[str]:
    """What is done on chain: the functions named to the outbox, and a voucher's."""
    named = {
        str(given.value.value)
        for _, call in _calls("ledger")
        for given in call.keywords
        if given.arg == "function" and isinstance(given.value, ast.Constant)
    }
    return {"issue", *vouchers.VERBS, *named}


def _calls(package: str) -> Iterator[tuple[Module, ast.Call]]:
    for name, module in modules().items():
        if name.partition(".")[0] == package:
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call):
                    yield module, node


# -- what the deeds say --------------------------------------------------------------------------


def told() -> Iterator[tuple[str, str]]:
    """What deeds and questions say, and what their bodies' fields are called and refuse."""
    for deed in DEEDS.values():
        where = f"the deed {deed.name}"
        yield from ((text, where) for text in (deed.title, deed.says, *_of_fields(deed.body)))
    for question in QUESTIONS.values():
        where = f"the question {question.name}"
        yield from ((text, where) for text in (question.title, *_of_fields(question.query)))
    for table in import_templates.TABLES.values():
        where = f"the table {table.sheet}"
        columns = [*table.told.values(), *(one for _, one in table.beside.values())]
        texts = (table.sheet, table.note, *table.notes, *import_templates.NOTES,
                 *(one.holds for one in columns))  # fmt: skip
        yield from ((text, where) for text in texts)
    for refusal in SAID.values():
        yield refusal.partition("\n")[0], "webapp/deeds/forms.py"


def _of_fields(body: type[Schema]) -> Iterator[str]:
    for one in _fields(body):
        known = one.metadata
        for text in (known.get("title"), known.get("hint"), *known.get("choices", {}).values()):
            if text:
                yield str(text)
        for refusal in _refusals(one):
            template, _, form = SAID.get(refusal, refusal).partition("\n")
            yield template
            if template == MISSHAPEN:
                yield form


def _fields(schema: type[Schema]) -> Iterator[fields.Field[Any]]:
    for one in schema().fields.values():
        yield one
        inner: Any = one.inner if isinstance(one, fields.List) else one
        if inner is not one:
            yield inner
        if isinstance(inner, fields.Nested):
            yield from _fields(type(inner.schema))


def _refusals(one: fields.Field[Any]) -> Iterator[str]:
    """What a field can refuse; what no request can bring about is left out."""
    never = ("invalid_utf8", "too_large", "validator_failed")  # bytes, infinity, a bare False
    made = [text for key, text in one.error_messages.items() if key not in never]
    for text in (*made, *(check.error for check in one.validators)):  # type: ignore[attr-defined]
        yield text.replace("{{", "{").replace("}}", "}")


def documented() -> set[str]:
    """What the API's document says, which is made from the deeds."""
    app = Flask("document")
    api.set_up(app)
    document = app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict()
    return {*_documented(document), *(tag["name"] for tag in document["tags"])}


def _documented(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name in api.TOLD and isinstance(value, str):
                yield value
            else:
                yield from _documented(value)
    elif isinstance(part, list):
        for value in part:
            yield from _documented(value)


# -- the templates -------------------------------------------------------------------------------


@cache
def handed() -> dict[str, set[str]]:
    """What the pages hand to the templates for them to translate, by the name it has there."""
    titles = {thing.title for thing in (*DEEDS.values(), *QUESTIONS.values())}
    tables: dict[str, Mapping[str, str]] = {
        "BANK_ACCOUNT_KINDS": payout_deeds.KINDS, "LEFT_OUT": payout_deeds.LEFT_OUT,
        "DIFFERENCE_KINDS": reconciliation_deeds.KINDS,
        "DIFFERENCE_OWING": reconciliation_deeds.OWING,
        "PRICE_STAGES": price_deeds.STAGES,
        "COMPLIANCE": field_deeds.COMPLIANCE, "ELEMENTS": agreement_deeds.ELEMENTS,
        "MATERIALS": field_deeds.MATERIALS, "MODES": agreement_deeds.MODES,
        "END_KINDS": agreement_deeds.END_KINDS, "HAND_BACK_POINTS": agreement_deeds.POINTS,
        "EVALUATION_VERDICTS": agreement_deeds.VERDICTS,
        "OBJECTS": field_deeds.OBJECTS, "RIGHTS": field_deeds.RIGHTS,
        "approaches": appraisal_deeds.APPROACHES, "disclosed": appraisal.DISCLOSED,
        "disclosures": appraisal_deeds.DISCLOSURES,
        "kind_labels": people.KINDS, "post_labels": stewards.POSTS, "role_labels": people.ROLES,
        "kinds": revenue.KINDS, "steps": {
            **wizard.STEPS, **lists.FEEDBACK_NEXT, **lists.NEXT_BY_STATE, **lists.HAPPENED,
            "demand": lists.NEXT["answer"],
        },
        "DEMAND_MODES": demands.MODES, "DEMAND_USES": demands.USES,
        "causes": {**finance_deeds.CAUSES,
                   **{f"how {key}": how for key, how in finance_deeds.HOWS.items()}},
        "TRADE_KINDS": finance_deeds.KINDS, "TRADE_PARTS": finance_deeds.PARTS,
        "VOLUME_BY": finance_deeds.BY,
        "STATISTICS_BY": deed_statistics.BY, "NATIONAL_LABELS": statistics.LABELS,
        "ALARM_KINDS": deed_alarms.KINDS, "DUTY_CAUSES": duties.CAUSES, "FEEDBACK_KINDS": feedback.KINDS,
        "FEEDBACK_VERDICTS": feedback.VERDICTS,
    }  # fmt: skip
    return {
        **{name: set(table.values()) for name, table in tables.items()},
        **dict.fromkeys(
            ("deed", "deeds", "items", "list_title", "offers", "question", "waiting"),
            titles | {work.UPDATE},
        ),
        **{name: set(resource.GROUPS) for name in ("grouped", "groups")},
        "method_groups": set(calculator.GROUPS),
        "places": {
            *finance_pages.OWN.values(),
            *finance_pages.OF_STATEMENT.values(),
            *finance_pages.BESIDE.values(),
            *finance_pages.BESIDE_ALL.values(),
        },
        "may": set(rights.RELATIONS),
        "group_of": {*public.HEADINGS.values(), public.FOR_ONESELF},
        "titles_of": {*titles, *public.VERBS.values()},
        "columns": {heading for columns in COLUMNS.values() for heading in columns.values()},
        "menu": {group.strip() for group in GROUPS if group.strip()}
        | {title for places in GROUPS.values() for _, _, title in places},
    }


class Page:
    """A template: the texts it has translated, what it says untranslated, and what cannot be followed."""

    def __init__(self, path: Path) -> None:
        self.name = str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
        self.tree = Environment(autoescape=True).parse(path.read_text("utf-8"))
        self.given: dict[str, list[nodes.Node]] = {}
        self.faults: list[str] = []
        self.texts: set[str] = set()
        for loop in self.tree.find_all(nodes.For):
            self._give(loop.target, loop.iter)
        for assignment in self.tree.find_all(nodes.Assign):
            self._give(assignment.target, assignment.node)
        for call in self.tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "tr":
                self._read(call)
            elif isinstance(call.node, nodes.Name) and call.node.name == "state":
                self._read_word(call.args[0])  # the macro
        for piped in self.tree.find_all(nodes.Filter):
            if piped.name == "word" and piped.node is not None:
                self._read_word(piped.node)

    def _give(self, target: nodes.Node, value: nodes.Node) -> None:
        """Note what a loop or a `set` gives to names: rows of constants are taken apart."""
        if isinstance(target, nodes.Name):
            self.given.setdefault(target.name, []).append(value)
        elif isinstance(target, nodes.Tuple):
            rows = value.items if isinstance(value, nodes.Tuple | nodes.List) else []
            for at, name in enumerate(target.items):
                self._give(name, value)
                if rows and isinstance(name, nodes.Name):
                    self.given[name.name][-1:] = [
                        row.items[at] for row in rows if isinstance(row, nodes.Tuple)
                    ]

    def _read(self, call: nodes.Call) -> None:
        try:
            found = self.strings(call.args[0])
        except Unknown as unknown:
            self.faults.append(f"{self.name}:{call.lineno}: cannot be followed: {unknown}")
            return
        self.texts |= found
        facts = {given.key for given in call.kwargs}
        for text in found:
            lacks = {name for name, _, _ in placeholders(text)} - facts
            if lacks:
                self.faults.append(f"{self.name}:{call.lineno}: {text!r} is not told {lacks}")

    def _read_word(self, node: nodes.Node) -> None:
        with suppress(Unknown):  # a fact: `words` has it
            self.texts |= self.strings(node)

    def strings(self, node: nodes.Node) -> set[str]:
        """Every text an expression may stand for; raises Unknown where that cannot be told."""
        match node:
            case nodes.Const():
                return {node.value} if isinstance(node.value, str) and node.value else set()
            case nodes.CondExpr():
                return self.strings(node.expr1) | (
                    self.strings(node.expr2) if node.expr2 else set()
                )
            case nodes.Or():
                return self.strings(node.left) | self.strings(node.right)
            case nodes.Tuple() | nodes.List():
                return set().union(*map(self.strings, node.items))
            case nodes.Dict():
                return set().union(*(self.strings(pair.value) for pair in node.items))
            case nodes.Call(node=nodes.Getattr() as method) if method.attr in TABLE_METHODS:
                return self.strings(method.node)
            case nodes.Call(node=nodes.Name() as function):
                return self.strings(function)
            case nodes.Getattr() | nodes.Getitem():
                return self.strings(node.node)
            case nodes.Name() if node.name in self.given:
                return set().union(*map(self.strings, self.given[node.name]))
            case nodes.Name() if node.name in handed():
                return handed()[node.name]
            case nodes.Name():
                raise Unknown(node.name)
        raise Unknown(type(node).__name__)

    def untranslated(self) -> list[str]:
        """What the page shows, or reads out, that does not go through `tr`."""
        reader = Reader()
        reader.feed(_shown(self.tree))
        reader.close()
        return [f"{self.name}: {text}" for text in reader.found]


class Reader(HTMLParser):
    """Finds the words in a page's texts and in the attributes that people read or hear."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.quiet = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.quiet += tag in QUIET_TAGS
        known = dict(attrs)
        is_button = tag == "input" and known.get("type") in ("submit", "button", "reset")
        for name in (*READ_ATTRIBUTES, *(["value"] if is_button else [])):
            self._see(known.get(name) or "")

    def handle_endtag(self, tag: str) -> None:
        self.quiet -= tag in QUIET_TAGS

    def handle_data(self, data: str) -> None:
        if not self.quiet:
            self._see(data)

    def _see(self, text: str) -> None:
        if re.search("[A-Za-z一-鿿]", ATTRIBUTE.sub("", SHOWN.sub("", text))):
            self.found.append(" ".join(text.split()))


def _shown(node: nodes.Node) -> str:
    """A template's HTML with all its branches, and the constants that its expressions print."""
    if isinstance(node, nodes.Output):
        return "".join(map(_printed, node.nodes))
    return "".join(map(_shown, node.iter_child_nodes()))


def _printed(node: nodes.Node | None) -> str:
    match node:
        case nodes.TemplateData():
            return node.data
        case nodes.Const():
            return str(node.value)
        case nodes.CondExpr():
            return _printed(node.expr1) + _printed(node.expr2)
        case nodes.Or() | nodes.And() | nodes.Add():
            return _printed(node.left) + _printed(node.right)
        case nodes.Concat():
            return "".join(map(_printed, node.nodes))
        case nodes.Filter() if node.name == "safe":
            return _printed(node.node)
    return ""


@cache
def pages() -> list[Page]:
    """All templates."""
    return [Page(path) for path in TEMPLATES]


# -- the catalogue -------------------------------------------------------------------------------


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

    def test_has_no_needless_exception(self) -> None:
        assert messages().elsewhere == set(ELSEWHERE)

    def test_says_something(self) -> None:
        assert [where for text, where in told() if not text.strip()] == []

    def test_was_read(self) -> None:
        ids = messages().ids
        assert len(ids) > 1200
        for known in (
            "There is no agreement {number}.",  # an error
            "The document is malformed: {why}.",  # a step of a verification
            "Application {number} is accepted.",  # an application's verb
            "{path} cannot be locked: {cause}.",  # a variable
            "the voucher's title",  # a forgery
            "old_root",  # a step's name in an error
            "not valid",  # a word
            "Agreement {number} is in force.",  # a deed
            "at most five years",  # a field's hint
            "Right to hold",  # a field's choice
            "address 0x…",  # the form a field wants
            "the field {name} is empty",  # what a field refuses
            "First day it binds",  # a column's heading
            "What waits for me",  # a page's heading
            "New password again",  # a row of a template's loop
            "State of the house",  # the menu
            "voucher.suspend",  # a record's kind
            "Too many requests",  # a problem of the API
        ):
            assert known in ids


class TestAPage:
    @pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
    def test_shows_only_what_can_be_translated(self, path: Path) -> None:
        assert Page(path).untranslated() == []

    @pytest.mark.parametrize(
        "text",
        [
            "<p>Bare</p>",
            "<p>{% if x %}{{ y }}{% else %}bare{% endif %}</p>",
            "<p>{{ 'bare' if x else tr('said') }}</p>",
            "<p>光</p>",
            "<input placeholder='Bare'>",
            "<nav aria-label=\"{{ 'bare' if x }}\"></nav>",
            "<input type=submit value=Bare>",
            "<code>typed</code> bare",
        ],
    )
    def test_that_says_something_bare_is_found(self, text: str, tmp_path: Path) -> None:
        assert page_of(text, tmp_path).untranslated() != []

    def test_may_show_facts_and_what_is_typed(self, tmp_path: Path) -> None:
        text = (
            "<p class='x' {{ 'checked' if y }}>{{ tr('Said') }} {{ z }} 12 %</p><code>typed</code>"
            "<input value='{{ x }}' type='text'><a href='/x'>XLSX</a>"
        )
        assert page_of(text, tmp_path).untranslated() == []

    def test_tells_its_texts(self, tmp_path: Path) -> None:
        page = page_of(
            "{% for a, b in ((1, 'One'), (2, 'Two')) %}{{ tr(b) }}{% endfor %}{% set c = 'Three' %}"
            "{{ tr(c) if x else tr('Four' if y else 'Five') }}{{ tr(z or 'Six') }}{{ 'seven'|word }}"
            "{% set z = 'Eight' %}{{ state('nine') }}{{ row.state|word }}{{ tr('{n} more', n=1) }}",
            tmp_path,
        )
        assert page.faults == []
        assert page.texts == {
            *("One", "Two", "Three", "Four", "Five", "Six", "seven", "Eight", "nine", "{n} more")
        }

    def test_names_what_it_cannot_follow(self, tmp_path: Path) -> None:
        assert page_of("{{ tr(unheard_of) }}", tmp_path).faults != []
        assert page_of("{{ tr('{count} rows', n=1) }}", tmp_path).faults != []


def page_of(text: str, folder: Path) -> Page:
    """A template made for a test."""
    path = folder / "page.html"
    path.write_text(text, "utf-8")
    return Page(path)


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
    for page in pages():
        for text in page.untranslated():
            print(f"bare          {text}")
