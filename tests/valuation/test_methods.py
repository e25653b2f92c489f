"""Every method by name: golden documents, and each of their fields refused by name when it is wrong."""

import ast
import copy
import doctest
import importlib
import json
import pkgutil
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

import valuation
from tests.valuation.golden import worked
from valuation import InputError
from valuation.inputs import in_fen
from valuation.methods import DESCRIPTIONS, METHODS, describe, run, verify
from valuation.reconciliation import reconcile

GOLDEN = json.loads(
    (Path(__file__).parents[1] / "golden/valuation/methods.json").read_text("utf-8")
)
CASES = {case["name"]: case for case in GOLDEN["cases"]} | worked()
OPTIONAL = {"timing", "rate_basis", "first_period", "last_period", "life", "applies_to", "registration",
            "per", "smooth_over"}  # fmt: skip
OPTIONAL_OF_BOOKS = {
    "vat_yuan", "treatment", "by", "until", "disposed_in", "ended", "changes", "reversal_yuan",
}  # fmt: skip
# Of these, what may be left out depends on what else is stated: tests/valuation/test_national.py.
WALKED = {
    name: case
    for name, case in CASES.items()
    if not case["document"]["method"].startswith("capital_")
}
MODULES = sorted(module.name for module in pkgutil.iter_modules(valuation.__path__))


def sites(value, path=()):
    """Every place of a document, from the outside to the inside."""
    yield path
    if isinstance(value, dict):
        for key, entry in value.items():
            yield from sites(entry, (*path, key))
    elif isinstance(value, list):
        for k, entry in enumerate(value):
            yield from sites(entry, (*path, k))


def place(document, path):
    """The holder of the place `path`, in a deep copy that comes with it."""
    document = copy.deepcopy(document)
    target = document
    for key in path[:-1]:
        target = target[key]
    return document, target


@pytest.mark.parametrize("name", WALKED)
def test_a_place_that_holds_something_else_is_refused(name):
    for path in sites(CASES[name]["document"]):
        for wrong in (None, 0.5, float("nan"), "", {"x": 1}, []):
            if not path or (path[-1] in ("factors", "sales", "adjustments") and wrong == []):
                continue  # none at all is allowed
            document, target = place(CASES[name]["document"], path)
            target[path[-1]] = wrong
            with pytest.raises(InputError) as refusal:
                print(path, wrong, run(document))
            if path == ("inputs", "lines"):
                # without its lines the item itself is missing
                assert refusal.value.field in (
                    "inputs.lines",
                    "inputs.direct_fen",
                    "inputs.handling_fen",
                )
            elif path[0] == "inputs" and len(path) > 1:
                assert refusal.value.field.startswith(f"inputs.{path[1]}".removesuffix("_yuan")), (
                    path
                )


@pytest.mark.parametrize("name", WALKED)
def test_a_key_that_is_missing_or_misspelt_is_refused_by_name(name):
    for path in sites(CASES[name]["document"]):
        if not path or not isinstance(path[-1], str):
            continue
        document, target = place(CASES[name]["document"], path)
        value = target.pop(path[-1])
        if "changes" in path[:-1] and path[-1] not in ("from", "basis"):
            pass  # of several changes at once one is enough: tests/valuation/test_accounting.py
        elif (OPTIONAL & set(path)) or path[-1] in OPTIONAL_OF_BOOKS:
            assert run(document), "what is optional may be left out"
        else:
            with pytest.raises(InputError, match="is missing"):
                print(path, run(document))
        target[path[-1]] = value
        target["surplus"] = "1"
        with pytest.raises(InputError, match=r"surplus.*not known"):
            print(path, run(document))


def test_amounts_may_be_given_in_yuan_or_in_fen_but_not_both():
    document = copy.deepcopy(CASES["cost"]["document"])
    given = document["inputs"]
    del given["direct_yuan"]
    given["direct_fen"] = 500_000_00
    assert run(document).display() == CASES["cost"]["display"]
    given["direct_yuan"] = "500000.00"
    with pytest.raises(InputError, match="twice"):
        run(document)


@pytest.mark.parametrize("name", CASES)
def test_amounts_in_another_currency_are_refused_by_the_name_of_the_entry(name):
    """An object with an amount may say that it is in CNY, and so may the inputs: the value stays."""
    method = CASES[name]["document"]["method"]
    plain = run(CASES[name]["document"])
    stated = 0
    for path in [()] + [p for p in sites(CASES[name]["document"]) if p]:
        document, target = place(CASES[name]["document"], (*path, "currency"))
        if not isinstance(target, dict):
            continue
        amounts = any(key.endswith(("_yuan", "_fen")) for key in target)
        inputs = path[-1:] == ("inputs",) and target is not document and (
            len(path) > 1 or method not in ("quality", "ahp", "reconcile")
        )  # fmt: skip
        target["currency"] = "CNY"
        if not amounts and not inputs:
            with pytest.raises(InputError, match="currency"):
                print(path, run(document))
            continue
        stated += 1
        figure = run(document)
        assert (figure.value, figure.steps) == (plain.value, plain.steps)
        assert verify(figure) == figure
        for wrong in ("USD", "cny", None, 1, ""):
            target["currency"] = wrong
            with pytest.raises(InputError, match="CNY") as refusal:
                print(path, run(document))
            where = "".join(f"[{k}]" if isinstance(k, int) else f".{k}" for k in path)
            assert refusal.value.field == f"{where}.currency"[1:]
    assert stated or method in ("quality", "ahp")


def test_another_version_of_a_method_is_refused():
    with pytest.raises(InputError) as refusal:
        run({**CASES["cost"]["document"], "version": "2"})
    assert refusal.value.field == "version"


def test_a_method_takes_no_other_method_s_document():
    with pytest.raises(InputError) as refusal:
        METHODS["income"](CASES["cost"]["document"])
    assert refusal.value.field == "method"


def test_a_figure_whose_steps_are_not_those_of_its_method_is_refused():
    data = run(CASES["cost"]["document"]).to_dict()
    for step in data["steps"]:
        if step["symbol"] == "C_opp":
            step["value"] = "0"
        if step["symbol"] == "C":
            step["value"] = str(int(step["value"]) - 15_000_000)
        if step["symbol"] == "P":
            step["value"] = data["value"] = "76500000"
    with pytest.raises(InputError) as refusal:
        verify(data)
    assert refusal.value.field == "steps"


def test_figures_reconciled_in_the_program_verify_like_those_of_a_document():
    figures = [run(CASES[name]["document"]) for name in ("cost", "market one part")]
    figure = reconcile(
        [(figures[0], "3/4", "成本资料完整"), (figures[1], Fraction(1, 4), "可比案例仅一个")]
    )
    assert figure.display() == CASES["reconciled"]["display"]
    assert verify(json.loads(json.dumps(figure.to_dict()))) == figure
    bare = reconcile([(replace(figures[0], document=None), 1, "唯一方法")])
    with pytest.raises(InputError) as refusal:
        verify(bare)
    assert refusal.value.field == "document"


def test_every_method_is_described_and_every_description_is_json():
    assert set(DESCRIPTIONS) == set(METHODS)
    for name in METHODS:
        assert json.loads(json.dumps(describe(name)))["version"] == "1"
    with pytest.raises(InputError):
        describe("alchemy")


def described(fields, value):
    """Assert that each key of a document stands in its method's description."""
    names = {field.key: field for field in fields}
    for key, entry in value.items():
        field = names[key.removesuffix("_yuan").removesuffix("_fen")]
        for part in entry if isinstance(entry, list) else [entry]:
            if isinstance(part, dict) and field.fields and field.key != "document":
                described(field.fields, part)


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_the_description_names_every_key_of_the_documents(case):
    document = case["document"]
    described(DESCRIPTIONS[document["method"]].fields, document["inputs"])


SPOILT = {  # a document, and what is put wrong in several rows of it: each is named
    "stub period, middle": {"rate.risk_free": -1, "rate.regulatory": "x", "first_period": 2,
                            "periods[0].income_fen": "1", "periods[1].income_fen": None},
    "cost by lines, factors for some items": {
        "preparatory_fen": -1, "lines.direct[0].amount_fen": -1, "lines.direct[1].basis": "",
        "factors[0].value": 0, "factors[1].zh": ""},
    "market, two parts, the first with two comparables": {
        "parts[0].comparables[0].quality": 0, "parts[0].comparables[1].price_fen": -1, "parts[1].name": ""},
    "quality, one inverse, one not measured": {"indicators[0].a": -1, "indicators[1].weight": 0},
    "AHP: Saaty's drinks": {"matrix[0][1]": 10, "matrix[2][0]": "x"},
    "price cap, lines, a trial, free use, a cap for a hundred calls": {
        "lines.handling[0].basis": "", "rate.year": 2023, "markup_points": "6.01", "tax_fen": -1,
        "stage": "set", "cycle_years": 4, "products[0].fee_fen": 36, "products[1].cap_fen": 1},
    "price report": {"sales[0].unit": "x", "sales[1].quantity": -1, "adjustments[0].ground": ""},
    "reconciled cost and income": {"figures[0].document.inputs.direct_fen": -1,
                                   "figures[1].document.inputs.rate.management": -1},
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_every_row_that_is_wrong_is_named_at_once(name):
    document = in_fen(CASES[name]["document"])
    for path, wrong in SPOILT[name].items():
        at = document["inputs"]
        *way, last = [
            int(key) if key.isdigit() else key
            for key in path.replace("]", "").replace("[", ".").split(".")
        ]
        for key in way:
            at = at[key]
        assert at[last] != wrong, "it was right before"
        at[last] = wrong
    with pytest.raises(InputError) as refusal:
        run(document)
    assert {field for field, _ in refusal.value.problems} == {
        f"inputs.{path}" for path in SPOILT[name]
    }


def test_what_rests_on_memory_says_so_in_its_steps():
    for name in ("share of revenue", "excess", "incremental", "cost", "market one part"):
        figure = run(CASES[name]["document"])
        assert "to be verified" in figure[figure.result].source
    figure = run(CASES["income end of period"]["document"])
    assert "to be verified" not in figure["F_1"].source


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_hold(name):
    assert doctest.testmod(importlib.import_module(f"valuation.{name}")).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_function_has_an_example(name):
    source = Path(importlib.import_module(f"valuation.{name}").__file__).read_text("utf-8")
    assert not [
        node.name
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if ">>> " not in (ast.get_docstring(node) or "")
    ]


@pytest.mark.parametrize("name", MODULES)
def test_the_library_imports_only_itself_and_the_standard_library(name):
    source = Path(importlib.import_module(f"valuation.{name}").__file__).read_text("utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            roots = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            roots = [node.module.split(".")[0]]
        else:
            continue
        for root in roots:
            assert root in sys.stdlib_module_names | {"valuation", "numpy"}
