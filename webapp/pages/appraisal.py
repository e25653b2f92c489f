"""Appraisals: what their page tells, their worksheets, and the form in which one is computed and drafted.

The form's fields come from what the methods ask for (`pages.inputs`). Each approach is switched on by
itself; "compute" shows what would be drafted and records nothing, "draft" records it.
"""

from collections.abc import Mapping
from fractions import Fraction
from io import BytesIO
from typing import Any
from uuid import uuid4

import yaml
from flask import Flask, flash, request, send_file, url_for
from flask_limiter import Limiter
from sqlalchemy.orm import Session
from werkzeug.datastructures import MultiDict

from ledger import appraisals
from ledger.appraisals import Appraisal
from ledger.calendar import local_date
from ledger.errors import LedgerError, Missing, NotAuthenticated
from ledger.registration import Registration
from ledger.reports import decimal
from ledger.spreadsheet import write_figure
from valuation import InputError, ValuationError, comparison, methods, money, reconciliation
from valuation.simulation import Analysis
from valuation.worksheet import Figure
from webapp import door
from webapp.deeds import calculating
from webapp.deeds.all import appraisals as appraisal_deeds
from webapp.deeds.forms import faults_by_place, load
from webapp.documents import Unreadable, read_text
from webapp.intake import read_form
from webapp.language import tr, translate
from webapp.pages import analyses, calculator, charts, inputs, nouns
from webapp.pages.calculator import Computed
from webapp.pages.inputs import Faults, Given
from webapp.pages.refused import in_words
from webapp.pages.show import redirect
from webapp.pages.value import person, sheet, standing
from webapp.wording import spoken

CONCLUSION = "conclusion"
REPORT = "appraisal_report"
CHANGES_SHOWN = 5  # of inputs that changed together
COMPUTED = (
    "documents",
    "weights",
    "analyses",
)  # fields of the body that the form makes of its inputs
# What each disclosure must say, as its field tells.
DISCLOSED = {
    "basics_rights": "name, size, cycle and storage of the data; who holds which rights, for how long",
    "quality": "aim, method, result and problems found of the quality evaluation",
    "scene": "what the data are used for, and where: limits of region and field",
    "outlook": "how the economy and the industry develop, as far as the value rests on it",
    "sources": "where each number comes from: records, contracts, quotations, surveys",
    "experts": "whose expert work or reports were relied on; say so where none were",
    "method": "why these approaches and not others; how each parameter was found",
    "assumptions": "what is assumed, and for what the conclusion does not hold",
}

# What an appraiser begins with: each approach's inputs as it asks for them, and a usual weight.
EXAMPLES = {
    "cost": """\
cost:
  method: cost
  version: "1"
  inputs:
    preparatory_yuan: "120000.00"
    direct_yuan: "860000.00"
    indirect_yuan: "150000.00"
    opportunity_yuan: "40000.00"
    taxes_yuan: "30000.00"
    factors:
      - {zh: 质量, en: quality, value: "0.97", basis: GB/T 36344 实测得分}
      - {zh: 流通, en: circulation, value: "1.1", basis: 已有意向用户}
""",
    "income": """\
income:
  method: income
  version: "1"
  inputs:
    model: share_of_revenue
    timing: mid
    rate:
      risk_free: "0.0235"
      management: "0.02"
      circulation: "0.03"
      data_security: "0.015"
      regulatory: "0.01"
    periods:
      - {revenue_yuan: "1500000.00", share: "0.3"}
      - {revenue_yuan: "1800000.00", share: "0.3"}
      - {revenue_yuan: "2000000.00", share: "0.28"}
""",
    "market": """\
market:
  method: market
  version: "1"
  inputs:
    parts:
      - name: 数据集一
        comparables:
          - name: 同类产品甲
            price_yuan: "1300000.00"
            weight: "0.6"
            quality: "0.98"
            supply_demand: "1.05"
            date: {valuation_index: "102.1", comparable_index: "100.4"}
            capacity: {subject: "229084", comparable: "250000"}
            other: "1"
            basis: 交易所公开挂牌
          - name: 同类产品乙
            price_yuan: "1150000.00"
            weight: "0.4"
            quality: "1.02"
            supply_demand: "1"
            date: {valuation_index: "102.1", comparable_index: "101.0"}
            capacity: {subject: "229084", comparable: "210000"}
            other: "0.95"
            basis: 双方合同
""",
}
WEIGHTS = {1: ("1",), 2: ("0.5", "0.5"), 3: ("0.2", "0.5", "0.3")}


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    nouns.EXTRA["appraisal"] = about_appraisal
    app.add_url_rule("/registrations/<registration_code>/appraisals", "appraisal_draft",
                     draft_appraisal, methods=["GET", "POST"])  # fmt: skip
    app.add_url_rule("/appraisals/<appraisal_number>/<name>.xlsx", "appraisal_worksheet", worksheet)
    app.add_url_rule("/appraisals/<appraisal_number>/report.pdf", REPORT, report)


def about_appraisal(session: Session, row: Appraisal) -> dict[str, Any]:
    """What an appraisal's page shows besides the row."""
    weighed = row.conclusion["document"]["inputs"]["figures"]
    approaches = [
        {
            "figure": figure, "name": name, "title": appraisal_deeds.APPROACHES.get(name, name),
            **{k: one[k] for one in weighed if one["document"] == figure["document"]
               for k in ("reason", "weight")},
        }
        for name, figure in row.figures.items()
    ]  # fmt: skip
    told = row.analyses or {}
    return {
        **standing(session, row),
        "analyses": [
            analyses.told({**told[one["name"]], "figure": one["figure"]}, tr(one["title"]))
            for one in approaches if one["name"] in told
        ],
        "approaches": approaches,
        "compared": _compared(session, row),
        "picture": values_picture(
            [(tr(one["title"]), int(one["figure"]["value"]),
              tr("weight {weight}", weight=decimal(one["weight"]))) for one in approaches],
            row.value_fen,
        ),
        "disclosures": [
            (title, row.disclosures.get(name, ""))
            for name, title in appraisal_deeds.DISCLOSURES.items()
        ],
        "export": url_for("api.appraisal_export", appraisal_number=row.number),
        "report": url_for(REPORT, appraisal_number=row.number),
        "expired": local_date(door.the_desk().now).isoformat() > row.valid_until_on,
        "maker": person(session, row.maker_id),
        "recomputed": _recomputed(row) if request.args.get("recompute") else None,
        "registration": session.get_one(Registration, row.registration_id),
        "reviewer": person(session, row.reviewer_id),
    }  # fmt: skip


def _compared(session: Session, row: Appraisal) -> dict[str, Any] | None:
    """How the value of the edition before became this one, for the eye; None for a first edition."""
    if row.replaces_id is None:
        return None
    before = session.get_one(Appraisal, row.replaces_id)
    address = nouns.page_of("appraisal", before.number)
    try:
        made = appraisals.compared(session, row)
    except ValuationError as error:  # what was recorded does not recompute: the page still shows it
        return {
            "address": address, "before": before.number, "old_fen": before.value_fen,
            "new_fen": row.value_fen, "difference_fen": row.value_fen - before.value_fen,
            "reason": str(error),
        }  # fmt: skip
    assert made is not None
    reason = spoken(*comparison.REASONS[made.reason]) if made.reason else ""
    effects = [
        {**one.to_dict(), "changes": [
            {"new": _changed(change.new, change.unit), "old": _changed(change.old, change.unit)}
            for change in one.changes[:CHANGES_SHOWN]
        ]} for one in made.effects
    ]  # fmt: skip
    rows = [(spoken(one.zh, one.en), one.effect_fen, "") for one in made.effects]
    return {
        **made.to_dict(), "address": address, "before": before.number,
        "effects": effects, "reason": reason, "picture": rows and charts.amounts(
            tr("Effects of what changed"),
            tr("{count} changes move the value by {difference} yuan.", count=len(rows),
               difference=analyses.say(made.difference_fen)),
            rows, analyses.say,
        ),
        "steps": [pair.to_dict() for pair in made.steps if pair.old != pair.new],
    }  # fmt: skip


def _changed(value: Any, unit: str) -> str:
    """An input of one edition: an amount in yuan, a number, or "–" where it was not there."""
    if value is None:
        return "–"
    if isinstance(value, Mapping | list):
        return tr("one entry")
    if unit == "fen":
        return f"{decimal(Fraction(value, 100), 2)} {tr('yuan')}"
    try:
        return decimal(money.ratio(value))
    except InputError:
        return str(value)


def _recomputed(row: Appraisal) -> dict[str, Any]:
    """What computing the appraisal once more finds: how many steps agree, or what differs."""
    try:
        return {"cause": None, "count": appraisals.recompute(row)}
    except ValuationError as error:
        return {"cause": str(error), "count": 0}
    except LedgerError as error:
        return {"cause": error.localized(translate), "count": 0}


@door.guard(appraisal_deeds.show_appraisal)
def worksheet(appraisal_number: str, name: str) -> Any:
    """A figure of an appraisal as a spreadsheet with live formulas."""
    keys = {"appraisal_number": appraisal_number}
    shown = door.the_desk().ask(appraisal_deeds.show_appraisal, door.who, keys, {})
    figures = {**shown["figures"], CONCLUSION: shown["conclusion"]}
    if name not in figures:
        raise Missing(
            "Appraisal {number} has no figure {name}.", number=appraisal_number, name=name
        )
    analysis = (shown["analyses"] or {}).get(name)
    return sheet_of(figures[name], f"{appraisal_number}-{name}.xlsx", analysis)


def sheet_of(
    figure: Mapping[str, Any], name: str, analysis: Mapping[str, Any] | None = None
) -> Any:
    """A recorded figure as a spreadsheet, with what is recorded of its analysis."""
    target = BytesIO()
    with calculating():
        found = Analysis.from_dict({**analysis, "figure": figure}) if analysis else None
        write_figure(Figure.from_dict(figure), target, found)
    return sheet(target, name)


@door.guard(appraisal_deeds.report_appraisal)
def report(appraisal_number: str) -> Any:
    """The report of an appraisal, as PDF."""
    keys = {"appraisal_number": appraisal_number}
    with calculating():
        made = door.the_desk().ask(appraisal_deeds.report_appraisal, door.who, keys, {})
    return send_file(
        BytesIO(made.content), made.media_type, as_attachment=True, download_name=made.name
    )


# -- the form ----------------------------------------------------------------------------------


@door.guard(appraisal_deeds.draft_appraisal)
def draft_appraisal(registration_code: str) -> Any:
    """The form of an appraisal; `?approach=cost&approach=income` fills it with examples."""
    keys = {"registration_code": registration_code}
    if request.method == "GET":
        wanted = [name for name in EXAMPLES if name in request.args.getlist("approach")]
        given: Given = {"approaches": " ".join(wanted), "base_on": _today()}
        for name, weight in zip(wanted, WEIGHTS.get(len(wanted), ()), strict=True):
            given |= _typed_document(name, read_text(EXAMPLES[name])[name], [])
            given[f"weights.{name}.weight"] = weight
        return _page(keys, given, Faults())
    given, faults = calculator.form_given(), Faults()
    do = given.pop("do", "draft")
    if do in ("fill", "compute", "draft") and given.get("documents", "").strip():
        _take_over(given, faults)
    if faults:
        return _page(keys, given, faults), 400
    if do == "fill" or _switch(do, given) or calculator.edit(do, given):
        return _page(keys, given, faults)
    made, conclusion, body = _computed(given, faults)
    if do == "compute":
        return _page(keys, given, faults, made, conclusion), 400 if faults else 200
    return _draft(keys, given, faults, body)


def _today() -> str:
    return local_date(door.the_desk().now).isoformat()


def approaches_in(given: Mapping[str, str]) -> list[str]:
    """The approaches that are switched on, in the order of the rules."""
    on = given.get("approaches", "").split()
    return [name for name in appraisal_deeds.APPROACHES if name in on]


def _switch(do: str, given: Given) -> bool:
    """Switch an approach on or off; what was typed for it stays in the form."""
    verb, _, name = do.partition(":")
    if verb not in ("on", "off") or name not in appraisal_deeds.APPROACHES:
        return False
    on = {*approaches_in(given), name} if verb == "on" else {*approaches_in(given)} - {name}
    given["approaches"] = " ".join(sorted(on))
    if on == {name} and not given.get(f"weights.{name}.weight"):
        given[f"weights.{name}.weight"] = "1"
    return True


def _computed(
    given: Given, faults: Faults
) -> tuple[dict[str, Computed], Figure | None, dict[str, Any]]:
    """What each approach gives and their conclusion, and the part of the deed's body that says so."""
    names = approaches_in(given)
    if not names:
        faults["approaches"] = [tr("Switch on at least one approach.")]
    made = {name: calculator.compute(name, given, faults) for name in names}
    weights = [_weight(name, given, faults) for name in names]
    done = {name: one for name, one in made.items() if one is not None}
    conclusion = None
    if len(done) == len(names) and names and all(one["weight"] for one in weights):
        try:
            conclusion = reconciliation.reconcile(
                [(done[w["method"]].figure, w["weight"], w["reason"] or "-") for w in weights]
            )
        except InputError as error:
            for path, what in error.problems:
                found = inputs.INDEX.search(path)
                at = f"weights.{names[int(found[1])]}.weight" if found else "weights"
                faults.setdefault(at, []).append(in_words(what))
    body: dict[str, Any] = {
        "documents": {name: one.document for name, one in done.items()}, "weights": weights,
    }  # fmt: skip
    asked = {name: one.request for name, one in done.items() if one.request}
    if asked and "analyses" in appraisal_deeds.draft_appraisal.body().fields:
        body["analyses"] = asked
    return done, conclusion, body


def _weight(name: str, given: Given, faults: Faults) -> dict[str, str]:
    at = f"weights.{name}"
    typed, reason = (given.get(f"{at}.{key}", "").strip() for key in ("weight", "reason"))
    for key, text in (("weight", typed), ("reason", reason)):
        if not text:
            faults.setdefault(f"{at}.{key}", []).append(tr("This is still missing."))
    try:
        weight = inputs.plain_ratio(typed) if typed else ""
        money.ratio(weight or "0")
    except InputError:
        faults.setdefault(f"{at}.weight", []).append(
            tr("“{text}” is no exact number: write 0.0235, 2.35% or 7/300.", text=typed[:60])
        )
        weight = ""
    return {"method": name, "reason": reason, "weight": weight}


def _draft(
    keys: Mapping[str, str], given: Given, faults: Faults, computed: Mapping[str, Any]
) -> Any:
    """Record the appraisal; whatever is wrong with it is told at once, at its place."""
    deed = appraisal_deeds.draft_appraisal
    key = request.form.get("idempotency") or uuid4().hex
    body = {**_rest(given), **computed}
    for name in appraisal_deeds.DISCLOSURES:
        if not given.get(f"disclosures.{name}", "").strip():
            faults.setdefault(f"disclosures.{name}", []).append(tr("This is still missing."))
    try:
        if faults:
            load(deed.body, body)  # what else is wrong, before it is told
            return _page(keys, given, faults), 400
        done = door.the_desk().do(deed, door.who, keys, body, key=key)
    except NotAuthenticated:
        raise
    except LedgerError as error:
        nouns.call_by_title(deed, error)
        before = bool(
            faults
        )  # then what this refusal says is a part only, and the marks say it all
        for place, told in faults_by_place(error, translate).items():
            if place.partition(".")[0] not in COMPUTED or not before:
                faults.setdefault(place, []).extend(told)
        refusal = None if before else error.localized(nouns.plainly)
        again = None if error.code in ("stale", "conflict") else key
        return _page(keys, given, faults, refusal=refusal, key=again), error.http_status
    flash(tr(deed.says, **done.answer), "success")
    return redirect(nouns.after(deed, keys, done.answer))


def _rest(given: Mapping[str, str]) -> dict[str, Any]:
    """The fields of the body that are typed as they are: purpose, days, disclosures."""
    typed = {name: text for name, text in given.items() if name.partition(".")[0] not in COMPUTED}
    values = read_form(appraisal_deeds.draft_appraisal.body, MultiDict(typed))
    return {name: value for name, value in values.items() if name not in COMPUTED}


def _take_over(given: Given, faults: Faults) -> None:
    """Fill the form from a pasted document: inputs by approach, or a whole appraisal as a file holds it."""
    try:
        entries = read_text(given["documents"])
    except Unreadable as error:
        faults["documents"] = [
            tr("It cannot be read as YAML or JSON at line {line}.", line=error.line)
        ]
        return
    if not isinstance(entries, Mapping):
        faults["documents"] = [
            tr("It must name its entries: an approach and its inputs, for example.")
        ]
        return
    whole = dict(entries) if "documents" in entries else {"documents": entries}
    made: Given = {}
    unknown: list[str] = []
    documents = whole.pop("documents")
    for name, document in documents.items() if isinstance(documents, Mapping) else ():
        if name not in appraisal_deeds.APPROACHES:
            unknown.append(str(name))
            continue
        made |= _typed_document(name, document, unknown)
    for row in whole.pop("weights", None) or []:
        if isinstance(row, Mapping) and row.get("method") in appraisal_deeds.APPROACHES:
            made |= {
                f"weights.{row['method']}.{k}": str(row.get(k, "")) for k in ("weight", "reason")
            }
        else:
            unknown.append("weights")
    for name, request_ in (whole.pop("analyses", None) or {}).items():
        made |= analyses.typed(str(name), request_, unknown)
    for key, value in whole.items():
        if key not in appraisal_deeds.draft_appraisal.body().fields:
            unknown.append(str(key))
        elif isinstance(value, Mapping):
            made |= {f"{key}.{inner}": str(text) for inner, text in value.items()}
        else:
            made[key] = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    if unknown:
        faults["documents"] = [
            tr("The form has no field for {places}; nothing was taken over.",
               places=", ".join(unknown)[:300])
        ]  # fmt: skip
        return
    names = [name for name in appraisal_deeds.APPROACHES if name in documents]
    for name in names:
        for key in [key for key in given if key.startswith((f"{name}.", f"analysis.{name}."))]:
            del given[key]
    on = {*approaches_in(given), *names}
    given |= {**made, "approaches": " ".join(sorted(on)), "documents": ""}


def _typed_document(name: str, document: Any, unknown: list[str]) -> Given:
    """What the form holds of an approach's document."""
    if not isinstance(document, Mapping) or not isinstance(document.get("inputs"), Mapping):
        unknown.append(name)
        return {}
    unknown += [f"{name}.{key}" for key in document if key not in ("inputs", "method", "version")]
    if document.get("method", name) != name:
        unknown.append(f"{name}.method")
    made = inputs.typed(name, methods.describe(name)["fields"], document["inputs"], unknown)
    return {**made, f"{name}.version": str(document.get("version", ""))}


def _page(
    keys: Mapping[str, str], given: Given, faults: Faults, made: Mapping[str, Computed] | None = None,
    conclusion: Figure | None = None, *, refusal: str | None = None, key: str | None = None,
) -> str:  # fmt: skip
    """The form with what was typed, what is wrong with it, and what follows from it."""
    on = approaches_in(given)
    kept = {
        name: text for name, text in given.items()
        if (name.split(".")[0] in appraisal_deeds.APPROACHES and name.split(".")[0] not in on)
        or (name.startswith(("analysis.", "weights.")) and name.split(".")[1] not in on)
    }  # fmt: skip
    kept |= {
        f"{name}.version": given[f"{name}.version"] for name in on if given.get(f"{name}.version")
    }
    sections = [
        {
            **calculator.section(name, given, faults), "on": name in on,
            "reason": given.get(f"weights.{name}.reason", ""),
            "weight": given.get(f"weights.{name}.weight", ""),
        }
        for name in appraisal_deeds.APPROACHES
    ]  # fmt: skip
    results = [calculator.result(one, name) for name, one in (made or {}).items()]
    shown = conclusion and {
        "approaches": results, "conclusion": conclusion.to_dict(), "picture": values_picture(
            [(one["title"], int(one["figure"]["value"]), "") for one in results],
            conclusion.value_fen,
        ),
    }  # fmt: skip
    return nouns.deed_page(
        appraisal_deeds.draft_appraisal, keys, _rest(given), faults,
        refusal or (tr("Something is missing or wrong; it is marked below.") if faults else None),
        key=key or request.form.get("idempotency"),
        more={
            "computed": shown, "approaches": " ".join(on), "kept": kept, "sections": sections,
            "documents": given.get("documents", ""), "disclosed": DISCLOSED, "results": results,
            "example": yaml.safe_dump(read_text(EXAMPLES["cost"]), allow_unicode=True),
        },
    )  # fmt: skip


def values_picture(rows: list[tuple[str, int, str]], value_fen: int) -> Any:
    """The value of each approach as a bar, and the conclusion among them."""
    return charts.amounts(
        tr("Value by approach"),
        tr("{count} approaches; the conclusion is {value} yuan.", count=len(rows),
           value=analyses.say(value_fen)),
        rows, analyses.say, (tr("Conclusion"), value_fen),
    )  # fmt: skip
