"""Values computed from a form, with nothing kept; an appraisal's form shares what is here.

GET  /value/income                the form of a method
POST /value/income  do=compute    the figure with its steps; do=xlsx, do=json hand it out as a file
                    do=add:…, drop:…, show, around:…   the same form with a row more, or fewer

What a form holds is told in `pages.inputs`; nothing of it is stored here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from flask import Flask, render_template, request, send_file
from flask_limiter import Limiter

from ledger.errors import Missing
from ledger.proof.encoding import canonical
from ledger.spreadsheet import write_figure
from valuation import InputError, ValuationError, methods, simulation
from valuation.worksheet import Figure
from webapp import door
from webapp.pages import analyses, inputs
from webapp.pages.inputs import Faults, Given
from webapp.pages.refused import in_words
from webapp.pages.value import sheet

# Methods whose value is an amount, so that it can be analysed.
VALUED = ("cost", "income", "market", "cost_expert_9")
# heading → methods, in the order of the page
GROUPS: dict[str, tuple[str, ...]] = {
    "Value": VALUED,
    "Quality and weights": ("quality", "ahp"),
    "Prices": ("price_cap", "price_review", "price_report"),
    "Books": ("data_cost", "amortisation", "impairment"),
    "Statistics": ("capital_formation", "capital_stock"),
}
OFFERED = tuple(name for group in GROUPS.values() for name in group)


@dataclass(frozen=True)
class Computed:
    """What came of the inputs of one method."""

    document: dict[str, Any]
    request: dict[str, Any]
    figure: Figure
    analysis: simulation.Analysis | None


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/value", "calculator", calculator, methods=["GET", "POST"],
                     defaults={"method": VALUED[0]})  # fmt: skip
    app.add_url_rule("/value/<method>", "calculator", calculator, methods=["GET", "POST"])


@door.guard("work.read")
def calculator(method: str) -> Any:
    """The form of a method, and what follows from it; for anybody who is signed in."""
    if method not in OFFERED:
        raise Missing("There is no method {method} here.", method=method)
    given, faults = form_given(), Faults()
    do = given.pop("do", "compute")
    made = None
    if request.method == "POST" and not edit(do, given):
        made = compute(method, given, faults)
        if made is not None and not faults and do in FILES:
            return FILES[do](made, method)
    page = render_template(
        "calculator.html",
        method_groups=[
            (title, [(name, methods.describe(name)) for name in names])
            for title, names in GROUPS.items()
        ],
        section=section(method, given, faults), made=made and result(made, method), faults=faults,
        method=method,
    )  # fmt: skip
    return page, 400 if faults else 200


def form_given() -> Given:
    """What was typed into the form that was sent; place → text."""
    kept = ("csrf_token", "idempotency", "seen")
    return {name: text for name, text in request.form.items() if name not in kept}


def edit(do: str, given: Given) -> bool:
    """Change the form as a button of it asks; False where the button asks for something else."""
    verb, _, place = do.partition(":")
    given[inputs.EDITED] = place if verb != "around" else f"analysis.{place}.sensitivity"
    if verb == "add":
        inputs.add_row(given, place, *_described(place, given))
    elif verb == "drop":
        at, _, row = place.rpartition(".")
        if row.isdecimal():
            inputs.drop_row(given, at, int(row))
    elif verb == "around" and place in VALUED:
        analyses.around(place, given)
    return verb in ("add", "drop", "around", "show")


def _described(place: str, given: Given) -> tuple[str, inputs.Described]:
    """The part of the form in which a place stands, and the fields of it."""
    first, _, rest = place.partition(".")
    method = rest.partition(".")[0] if first == "analysis" else first
    if method not in OFFERED:
        return place, []
    if first == "analysis":
        return f"{first}.{method}", analyses.described(analyses.paths_of(method, given))
    return method, methods.describe(method)["fields"]


def section(method: str, given: Given, faults: Faults) -> dict[str, Any]:
    """What the page shows of a method's form: its fields, those of its analysis, and faults of no field."""
    described, at = methods.describe(method), f"analysis.{method}"
    fields = inputs.shown(method, described["fields"], given, faults)
    more: list[inputs.Input] = []
    if method in VALUED:
        asked = analyses.described(analyses.paths_of(method, given))
        more = inputs.shown(at, asked, given, faults)
    placed = {*inputs.places(fields), *inputs.places(more), f"weights.{method}.weight",
              f"weights.{method}.reason"}  # fmt: skip
    mine = (f"{method}.", f"{at}.", f"weights.{method}.")
    return {
        **described, "name": method, "inputs": fields, "analysis": more,
        "around": given.get(f"{at}.around", "") or analyses.AROUND,
        "analysis_open": any(field.is_open for field in more),
        "faults": [
            what for place, told in faults.items() for what in told
            if place not in placed and (place in (method, at) or place.startswith(mine))
        ],
    }  # fmt: skip


def compute(method: str, given: Given, faults: Faults) -> Computed | None:
    """The figure and the analysis that the form asks for; None where a fault is entered for the figure."""
    own, other = Faults(), Faults()
    document = inputs.document(method, given, own)
    asked = analyses.request(method, given, other) if method in VALUED else {}
    figure, analysis = None, None
    if not own:
        try:
            figure = methods.run(document)
            if asked and not other:
                analysis = simulation.analyse(document, asked)
        except InputError as error:
            for path, what in error.problems:
                head = path.partition(".")[0].partition("[")[0]
                is_asked = head in ("range", "sensitivity", "breakeven", "analysis")
                at, to = (f"analysis.{method}", other) if is_asked else (method, own)
                inputs.enter_refusal(to, at, InputError(path, what))
        except ValuationError as error:
            place = f"analysis.{method}.breakeven" if figure else method
            (other if figure else own).setdefault(place, []).append(in_words(str(error)))
    for found in (own, other):
        for place, told in found.items():
            faults.setdefault(place, []).extend(told)
    return None if own or figure is None else Computed(document, asked, figure, analysis)


def result(made: Computed, title: str) -> dict[str, Any]:
    """A computed figure for the eye, with the pictures of its analysis."""
    named = inputs.named(methods.describe(made.figure.method))
    return {
        "figure": made.figure.to_dict(), "name": title, "title": named,
        "analysis": made.analysis and analyses.told(made.analysis.to_dict(), named),
    }  # fmt: skip


def _xlsx(made: Computed, method: str) -> Any:
    target = BytesIO()
    write_figure(made.figure, target, made.analysis)
    return sheet(target, f"{method}.xlsx")


def _json(made: Computed, method: str) -> Any:
    told = (made.analysis or made.figure).to_dict()
    return send_file(
        BytesIO(canonical(told)),
        "application/json",
        as_attachment=True,
        download_name=f"{method}.json",
    )


FILES: Mapping[str, Callable[[Computed, str], Any]] = {"json": _json, "xlsx": _xlsx}
