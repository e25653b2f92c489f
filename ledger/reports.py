"""The report of an appraisal (评估报告) and the worksheet report of a bare figure (计算书), as PDF.

Both are the same pages (`paper/appraisal.typ`): PDF/A-3b, embedded font, Chinese first. They show what
they are given and nothing else; what a report must disclose and was not given stands there as 未披露. The
figure's JSON, which holds its inputs, travels as the attachment `figure.json`, an analysis as
`analysis-NAME.json`, so that the PDF alone is enough to compute it again (`shuzheng value`).

The same facts give the same bytes (of one version of typesetter, fonts and template). Texts of users are
data: the template gets them as JSON, and never reads them as markup.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from ledger.appraisals import DISCLOSURES, Appraisal
from ledger.errors import Invalid
from ledger.papers import shown, typeset
from ledger.parties import Account, Member, Party
from ledger.proof.encoding import canonical, digest_text
from ledger.registration import Registration
from valuation import InputError
from valuation.descriptions import DESCRIPTIONS
from valuation.money import capitals, exact_text, round_half_up, yuan
from valuation.simulation import DECIMALS, Analysis
from valuation.worksheet import UNITS, Figure, Step, recompute

TEMPLATE = Path(__file__).with_name("paper") / "appraisal.typ"
YUAN_PLACES, PLACES = 6, 10  # decimals shown of an amount between two fen, and of other numbers
TEXT_MAX, REASON_MAX, CELL_MAX = (
    6_000,
    1_500,
    400,
)  # characters shown of a text, and in a table's cell
EXACT_MAX = 24
SYMBOL_RUN, CELL_RUN, FORMULA_RUN = 12, 16, 30  # a longer run of ASCII may break in its column
_TAKEN_OVER = re.compile(r"m[0-9]+_")  # `reconcile` so renames the steps of what it weighs
_MADE = datetime(2025, 1, 1, tzinfo=UTC)
"""The date of a worksheet report, so that its bytes depend on the figure alone."""


def worksheet_report(figure: Figure, analysis: Analysis | None = None) -> bytes:
    """The PDF of a figure that no appraisal holds: its inputs, steps and notes, and its analysis.

    Raises InputError where the figure's steps do not recompute, or the analysis is another figure's.
    """
    recompute(figure)
    if analysis:
        _require_own(analysis, figure)
    face = {**_face(figure), "appraisal": None}
    face["approaches"] = [_approach("", figure, analysis)]
    return _pdf(face, figure, {figure.method: analysis} if analysis else {}, _MADE)


def appraisal_report(
    *,
    number: str,
    title: str,
    registration_code: str,
    holder: str | None,
    rights: Sequence[str],
    purpose: str,
    base_on: str,
    valid_until_on: str,
    approved: bool,
    maker: Mapping[str, str] | None,
    reviewer: Mapping[str, str] | None,
    disclosures: Mapping[str, str],
    figures: Mapping[str, Figure],
    conclusion: Figure,
    assumptions: Sequence[str] = (),
    edition: int | None = None,
    previous: str | None = None,
    analyses: Mapping[str, Analysis] | None = None,
    inputs_digest: str | None = None,
) -> bytes:
    """The PDF of an appraisal, from plain facts.

    Parameters
    ----------
    title, registration_code, holder, rights : the subject: what is registered, for whom, and which rights
        (``holding``, ``use``, ``operating``)
    base_on, valid_until_on : days as ``2026-03-20``; the base day also dates the file
    approved : whether a second appraiser approved it; else each page says that it is a draft
    maker, reviewer : ``{"name", "party"}``, None where there is none yet
    disclosures : texts by the keys of `ledger.appraisals.DISCLOSURES`; one that is absent or empty is shown
        as 未披露
    figures : by approach, those that the conclusion weighs
    analyses : by approach, or ``conclusion``
    inputs_digest : of all inputs, as the record has it; else that of the conclusion's document

    Raises
    ------
    InputError : a figure whose steps do not recompute, an analysis of another figure
    Invalid : a conclusion that weighs other figures than these
    """
    found = dict(analyses or {})
    for figure in (*figures.values(), conclusion):
        recompute(figure)
    for name, analysis in found.items():
        _require_own(analysis, {**figures, "conclusion": conclusion}[name])
    face = _face(conclusion)
    if inputs_digest:
        face["inputs_digest"] = inputs_digest
    face["appraisal"] = {
        "approved": approved,
        "assumptions": [shown(text, TEXT_MAX) for text in assumptions],
        "base_on": base_on,
        "disclosures": [
            {
                "key": key,
                "zh": zh,
                "text": shown(text, TEXT_MAX)
                if (text := disclosures.get(key, "").strip())
                else None,
            }
            for key, zh in DISCLOSURES.items()
        ],
        "edition": str(edition) if edition else None,
        "holder": shown(holder, CELL_MAX) if holder else None,
        "maker": _person(maker),
        "number": shown(number),
        "previous": shown(previous) if previous else None,
        "purpose": shown(purpose, TEXT_MAX),
        "registration_code": shown(registration_code),
        "reviewer": _person(reviewer),
        "rights": [*rights],
        "title": shown(title, CELL_MAX),
        "valid_until_on": valid_until_on,
        "weights": _weights(figures, conclusion),
    }
    face["approaches"] = [
        *(_approach(name, figure, found.get(name)) for name, figure in figures.items()),
        _approach("conclusion", conclusion, found.get("conclusion"), own_only=True),
    ]
    at = datetime.combine(date.fromisoformat(base_on), datetime.min.time(), UTC)
    return _pdf(face, conclusion, found, at)


def recorded_report(session: Session, appraisal: Appraisal) -> bytes:
    """The report of an appraisal as the ledger has it."""
    registration = session.get_one(Registration, appraisal.registration_id)
    holder = session.get_one(Party, registration.party_id)
    before = session.get(Appraisal, appraisal.replaces_id) if appraisal.replaces_id else None
    return appraisal_report(
        number=appraisal.number,
        title=registration.title,
        registration_code=registration.code,
        holder=holder.name,
        rights=registration.rights,
        purpose=appraisal.purpose,
        base_on=appraisal.base_on,
        valid_until_on=appraisal.valid_until_on,
        approved=appraisal.state in ("approved", "superseded"),
        maker=named(session, appraisal.maker_id),
        reviewer=named(session, appraisal.reviewer_id),
        disclosures=appraisal.disclosures,
        figures={name: Figure.from_dict(one) for name, one in appraisal.figures.items()},
        conclusion=Figure.from_dict(appraisal.conclusion),
        assumptions=appraisal.assumptions or (),
        edition=appraisal.edition,
        previous=before.number if before else None,
        analyses={
            name: Analysis.from_dict({**one, "figure": appraisal.figures[name]})
            for name, one in (appraisal.analyses or {}).items()
        },
        inputs_digest=appraisal.inputs_digest,
    )


def decimal(value: Fraction | str | int, places: int = PLACES) -> str:
    """A number with at most so many decimals; ≈ where it has more.

    >>> decimal("1234567/8", 2), decimal("1/2")
    ('≈ 154,320.88', '0.5')
    """
    exact = Fraction(value)
    scaled = round_half_up(exact * 10**places)
    whole, rest = divmod(abs(scaled), 10**places)
    tail = f".{rest:0{places}d}".rstrip("0").rstrip(".")
    about = "" if Fraction(scaled, 10**places) == exact else "≈ "
    return f"{about}{'-' if scaled < 0 else ''}{whole:,}{tail}"


def quantity(step: Mapping[str, str]) -> str:
    """A step's value as people read it: an amount in yuan, any other number as a decimal.

    >>> quantity({"value": "123450", "unit": "fen"}), quantity({"value": "1/3", "unit": "1"})
    ('1,234.50', '≈ 0.3333333333')
    """
    value = Fraction(step["value"])
    if step["unit"] != "fen":
        return decimal(value)
    text = decimal(value / 100, YUAN_PLACES if value.denominator > 1 else 2)
    whole, _, cents = text.partition(".")
    return f"{whole}.{cents.ljust(2, '0')}"


@cache
def maker() -> str:
    """What decides the bytes of a report besides its facts and the fonts."""
    return f"shuzheng-report/1 template/{sha256(TEMPLATE.read_bytes()).hexdigest()[:16]}"


# -- the facts of the page ---------------------------------------------------------------------


def _require_own(analysis: Analysis, figure: Figure) -> None:
    if analysis.figure != figure:
        raise InputError("analysis", "is that of another figure")


def _face(figure: Figure) -> dict[str, Any]:
    """What stands on top of the report, and how the figure is computed again."""
    methods_used = {figure.method: figure.version} | _methods_in(figure.document)
    amount = figure.unit == "fen"
    return {
        "amount": {"capitals": capitals(figure.value_fen), "yuan": grouped(figure.value_fen)}
        if amount else None,
        "inputs_digest": digest_text(canonical(figure.document)) if figure.document else None,
        "maker": maker(),
        "method": _method(figure.method),
        "method_id": figure.method,
        "methods": [{"id": name, "version": version, **_method(name)}
                    for name, version in sorted(methods_used.items())],
        "outputs": [step_facts(figure[symbol]) for symbol in figure.outputs],
    }  # fmt: skip


def _pdf(
    face: Mapping[str, Any], figure: Figure, analyses: Mapping[str, Analysis], at: datetime
) -> bytes:
    attached = {"figure.json": canonical(figure.to_dict()).decode()}
    analysed = []
    for name, analysis in sorted(analyses.items()):
        file = f"analysis-{name}.json"
        attached[file] = canonical(analysis.to_dict()).decode()
        analysed.append({"file": file, "method_id": analysis.figure.method})
    facts = {**face, "analysed": analysed, "attached": [*attached]}
    inputs = {"face": json.dumps(facts, ensure_ascii=False, sort_keys=True)}
    return typeset(TEMPLATE, {**inputs, **{f"attached:{k}": v for k, v in attached.items()}}, at)


def _methods_in(document: Mapping[str, Any] | None) -> dict[str, str]:
    """The methods and versions that a document of `reconcile` names inside."""
    figures = (document or {}).get("inputs", {}).get("figures", [])
    found: dict[str, str] = {}
    for entry in figures if isinstance(figures, list) else []:
        inner = entry["document"]
        found |= {inner["method"]: inner["version"]} | _methods_in(inner)
    return found


def _weights(figures: Mapping[str, Figure], conclusion: Figure) -> list[dict[str, Any]]:
    """What the conclusion weighs: each approach's value, weight and reason, in its order."""
    if conclusion.document is None:
        raise Invalid("The conclusion does not carry its inputs.")
    rows = []
    for entry in conclusion.document["inputs"]["figures"]:
        figure = next((one for one in figures.values() if one.document == entry["document"]), None)
        if figure is None:
            raise Invalid("The conclusion weighs a figure that the appraisal does not hold.")
        rows.append({
            "method": _method(figure.method), "reason": shown(entry["reason"], REASON_MAX),
            "value": grouped(figure.value_fen), "weight": decimal(entry["weight"]),
        })  # fmt: skip
    return rows


def _approach(
    name: str, figure: Figure, analysis: Analysis | None, own_only: bool = False
) -> dict[str, Any]:
    """One approach with its inputs and steps; of a conclusion only its own, not those it took over."""
    steps = [step for step in figure.steps if not (own_only and _TAKEN_OVER.match(step.symbol))]
    notes = [] if own_only else figure.notes
    return {
        "analysis": _analysis(analysis) if analysis else None,
        "inputs": [step_facts(step) for step in steps if not step.formula],
        "method": _method(figure.method),
        "name": name,
        "notes": [{"en": shown(n.en, TEXT_MAX), "zh": shown(n.zh, TEXT_MAX)} for n in notes],
        "result": {"label": _label(figure[figure.result]), "unit": _unit(figure[figure.result]),
                   "value": quantity(figure[figure.result].to_dict())},
        "steps": [step_facts(step) for step in steps if step.formula],
        "version": figure.version,
    }  # fmt: skip


def step_facts(step: Step) -> dict[str, Any]:
    """A line of a table; an input that is no decimal stands there exactly, too, where it is short."""
    value, exact = quantity(step.to_dict()), exact_text(step.value)
    if not step.formula and value.startswith("≈") and len(exact) < EXACT_MAX:
        value = f"{exact} {value}"
    return {
        "formula": shown(step.formula, 2 * CELL_MAX, FORMULA_RUN),
        "label": _label(step),
        "rounding": shown(step.rounding, CELL_MAX, CELL_RUN),
        "source": shown(step.source, CELL_MAX, CELL_RUN),
        "symbol": shown(step.symbol, run=SYMBOL_RUN),
        "unit": _unit(step),
        "value": value,
    }


def _analysis(analysis: Analysis) -> dict[str, Any]:
    """The figures of an analysis as the page writes them, and as whole numbers for its drawings."""
    spread, even = analysis.range, analysis.breakeven
    return {
        "breakeven": {
            "at": shown(even.at, run=CELL_RUN), "found": _number(even.found, even.at),
            "label": {"en": shown(even.en, CELL_MAX), "zh": shown(even.zh, CELL_MAX)},
            "target": grouped(even.target_fen), "value": grouped(even.value_fen),
        } if even else None,
        "range": {
            "base": grouped(spread.base_fen), "base_fen": spread.base_fen,
            "convergence": [
                [f"{point.draws:,}", *map(grouped, (point.mean_fen, point.p5_fen, point.p50_fen,
                                                     point.p95_fen, point.error_fen))]
                for point in spread.convergence
            ],
            "deviation": grouped(spread.deviation_fen), "draws": f"{spread.draws:,}",
            "error": grouped(spread.error_fen), "generator": shown(spread.generator),
            "histogram": [[*bar] for bar in spread.histogram],
            "histogram_ends": [grouped(spread.histogram[0][0]), grouped(spread.histogram[-1][1])]
            if spread.histogram else [],
            "mean": grouped(spread.mean_fen),
            "percentiles": [[f"P{percent}", grouped(fen)] for percent, fen in spread.percentiles],
            "seed": str(spread.seed),
        } if spread else None,
        "tornado": [
            {
                "at": shown(bar.at, run=CELL_RUN), "high": _number(bar.high, bar.at),
                "high_fen": bar.high_value_fen, "high_value": grouped(bar.high_value_fen),
                "label": {"en": shown(bar.en, CELL_MAX), "zh": shown(bar.zh, CELL_MAX)},
                "low": _number(bar.low, bar.at), "low_fen": bar.low_value_fen,
                "low_value": grouped(bar.low_value_fen),
            }
            for bar in analysis.tornado
        ],
    }  # fmt: skip


def _number(text: str, at: str) -> str:
    """An input of an analysis: an amount in yuan, any other number as a decimal."""
    amount = at.endswith("_fen")
    return quantity({"unit": "fen", "value": text}) if amount else decimal(text, DECIMALS)


def _label(step: Step) -> dict[str, str]:
    return {"en": shown(step.en, CELL_MAX), "zh": shown(step.zh, CELL_MAX)}


def _unit(step: Step) -> dict[str, str]:
    """The unit of what `quantity` gives: amounts are shown in yuan."""
    zh, en = (
        ("元", "yuan") if step.unit == "fen" else ("", "") if step.unit == "1" else UNITS[step.unit]
    )
    return {"en": en, "zh": zh}


def _method(name: str) -> dict[str, str]:
    described = DESCRIPTIONS.get(name)
    return {"en": described.en, "zh": described.zh} if described else {"en": "", "zh": shown(name)}


def named(session: Session, member_id: str | None) -> dict[str, str] | None:
    """A member's name and his firm's; of a member without account, the pseudonym."""
    if member_id is None:
        return None
    member, account = session.get(Member, member_id), session.get(Account, member_id)
    firm = session.get(Party, member.party_id) if member else None
    return {
        "name": account.display_name if account else member_id,
        "party": firm.name if firm else "",
    }


def _person(person: Mapping[str, str] | None) -> dict[str, str] | None:
    return {key: shown(person[key]) for key in ("name", "party")} if person else None


def grouped(fen: int) -> str:
    """An amount in yuan with separators."""
    whole, _, cents = yuan(fen).partition(".")
    return f"{'-' if whole.startswith('-') else ''}{abs(int(whole)):,}.{cents}"
