"""Every method by name, over one JSON document: what it asks for, and the figure with its steps.

A document::

    {"method": "cost", "version": "1", "inputs": {…}}

`version` is the version of the method's rules, so that a figure stays recomputable when they change.
Amounts are integer fen under keys in ``_fen``, or yuan as text under ``_yuan``; every other number is an
integer or an exact text (``"0.05"``, ``"7/100"``). Floats are refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from valuation import (
    InputError,
    accounting,
    amortisation,
    cost,
    impairment,
    income,
    inputs,
    market,
    national,
    price_report,
    pricing,
    quality,
    reconciliation,
    weights,
)
from valuation.descriptions import DESCRIPTIONS
from valuation.fields import Field
from valuation.worksheet import Figure, recompute


def run(document: Mapping[str, Any]) -> Figure:
    """Return the figure of a document, which it carries along.

    Raises InputError whose field is a path in the document, such as ``inputs.periods[2].share``; also for
    a method or version that is not known, and for keys that are not.

    >>> document = {"method": "cost", "version": "1", "inputs": {"preparatory_fen": 0, "direct_fen": 90000,
    ...     "indirect_fen": 0, "opportunity_fen": 0, "taxes_fen": 10000, "factors": []}}
    >>> run(document).display()
    '1000.00'
    >>> run({**document, "inputs": {**document["inputs"], "direct_fen": -1}})
    Traceback (most recent call last):
    valuation.InputError: inputs.direct_fen: is -1 fen, but must be at least 0
    """
    plain = inputs.in_fen(document)
    entries = inputs.mapping(plain, "", ("method", "version", "inputs"))
    method = inputs.choice(entries["method"], "method", METHODS)
    version = DESCRIPTIONS[method].version
    if entries["version"] != version:
        raise InputError(
            "version", f"must be {version!r}, the version of {method} that is known here"
        )
    keys = {name: one for one in DESCRIPTIONS[method].fields for name in _names(one)}
    required = [
        _names(one)[0]
        for one in DESCRIPTIONS[method].fields
        if not one.optional and not (one.unless and _stands(entries["inputs"], one.unless))
    ]
    given = inputs.mapping(entries["inputs"], "inputs", required, keys)
    given = inputs.in_cny(given, "inputs", stated="currency" in keys)
    for key, value in given.items():
        if value is None:
            raise InputError(f"inputs.{key}", "is null: state it, or leave it out")
    try:
        figure = _COMPUTE[method](given)
    except InputError as error:
        raise InputError.of([(f"inputs.{where}", what) for where, what in error.problems]) from None
    return replace(figure, document=plain)


def verify(data: Figure | Mapping[str, Any]) -> Figure:
    """Return the figure of `to_dict` if it is, throughout, what its method gives for its document.

    The document is run again and every step compared. A formula that is not the method's is never
    evaluated, so that a hostile figure costs no more than its document. Raises InputError that names what
    differs first: a step whose formula gives another value by its symbol, otherwise ``steps`` or the key.
    Without a document the arithmetic alone is checked (`worksheet.recompute`), and that is said.

    >>> document = {"method": "cost", "version": "1", "inputs": {"preparatory_fen": 0, "direct_fen": 90000,
    ...     "indirect_fen": 0, "opportunity_fen": 0, "taxes_fen": 10000, "factors": []}}
    >>> data = run(document).to_dict()
    >>> verify(data).value_fen
    100000
    >>> verify({**data, "notes": []})
    Traceback (most recent call last):
    valuation.InputError: notes: differs from what the method gives for the document
    """
    figure = data if isinstance(data, Figure) else Figure.from_dict(data)
    if figure.document is None:
        recompute(figure)
        raise InputError("document", "is missing, so that only the arithmetic can be recomputed")
    own = run(figure.document)
    for ours, theirs in zip_longest(own.steps, figure.steps):
        if ours == theirs:
            continue
        if ours and theirs and ours.formula and replace(ours, value=theirs.value) == theirs:
            raise InputError(ours.symbol, "differs: its formula does not give the value written")
        at = (theirs or ours).symbol[:60]
        raise InputError(
            "steps", f"differ from what the method gives for the document, first at {at}"
        )
    given = figure.to_dict()
    for key, value in own.to_dict().items():
        if given[key] != value:
            raise InputError(key, "differs from what the method gives for the document")
    return figure


def describe(method: str) -> dict[str, Any]:
    """Return what a method asks for, in JSON types; raises InputError for an unknown one.

    >>> describe("cost_expert_9")["formula"]
    'P = TC * (1 + R) * U; U = alpha * beta * (1 + l) * (1 - r)'
    """
    return DESCRIPTIONS[inputs.choice(method, "method", DESCRIPTIONS)].to_dict()


def _names(field: Field) -> list[str]:
    return [field.key + "_fen"] if field.kind == "money" else [field.key]


def _stands(value: Any, path: str) -> bool:
    """Whether something stands at a path such as ``lines.direct``."""
    for key in path.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return False
        value = value[key]
    return True


def _reconcile(given: Mapping[str, Any]) -> Figure:
    figures, problems = [], list[tuple[str, str]]()
    for k, entry in enumerate(inputs.sequence(given["figures"], "figures", 1, 20)):
        with inputs.gathering(problems):
            known = inputs.mapping(entry, f"figures[{k}]", ("document", "weight", "reason"))
            try:
                figures.append((run(known["document"]), known["weight"], known["reason"]))
            except InputError as error:
                at = f"figures[{k}].document"
                problems += [(f"{at}.{where}", what) for where, what in error.problems]
    if problems:
        raise InputError.of(problems)
    return reconciliation.reconcile(figures)


_COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "cost": lambda given: cost.appraise(**given),
    "cost_expert_9": lambda given: cost.appraise_expert_9(**given),
    "income": lambda given: income.appraise(**given),
    "market": lambda given: market.appraise(**given),
    "quality": lambda given: quality.score(**given),
    "ahp": lambda given: weights.ahp(**given),
    "reconcile": _reconcile,
    **pricing.COMPUTE,
    **price_report.COMPUTE,
    **accounting.COMPUTE,
    **amortisation.COMPUTE,
    **impairment.COMPUTE,
    **national.COMPUTE,
}


def _named(method: str) -> Callable[[Mapping[str, Any]], Figure]:
    def value(document: Mapping[str, Any]) -> Figure:
        if isinstance(document, Mapping) and document.get("method") != method:
            raise InputError("method", f"must be {method!r}")
        return run(document)

    value.__doc__ = f"Return the figure of a document of the method {method} (`run`)."
    return value


METHODS: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    name: _named(name) for name in _COMPUTE
}
"""Each method as a function from its document to its figure."""
