"""The measured quality of a file for the eye: its score, the pictures of it, and where it fails."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from valuation import methods, quality
from webapp.language import language, tr
from webapp.pages import charts
from webapp.wording import spoken

THRESHOLD = Fraction(95, 100)  # below it an indicator is coloured; ours, no statute sets one


def quality_of(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A measured profile for the eye: each indicator with its score, the weakest, the whole, pictures."""
    made = []
    for one in profile["indicators"]:
        share = Fraction(one["a"], one["b"])
        made.append({**one, "score": 1 - share if one["inverse"] else share})
    least = min((one["score"] for one in made), default=None)
    weakest = [one for one in made if one["score"] == least and least != 1]
    failures = failures_of(profile)
    return {
        **profile, "indicators": made, "score": methods.run(quality.document(made)).value if made else None,
        "weakest": weakest, "failures": failures, "flagged": {p["column"] for p in profile["personal"]},
        "indicator_picture": _indicators(profile["name"], made) if made else None,
        "failure_picture": _failures(profile["name"], failures) if failures else None,
    }  # fmt: skip


def percent(share: Fraction) -> str:
    """A share in percent, rounded down: what is not perfect never reads as 100 %."""
    hundredths = share.numerator * 10_000 // share.denominator
    return f"{hundredths // 100}.{hundredths % 100:02d} %"


def failures_of(profile: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every check that failed somewhere: its column (or columns), its indicator, how many, examples.

    The column with the most comes first. A profile without checks tells it by indicator only.
    """
    known = {one["code"]: one for one in profile["indicators"]}
    checks = profile.get("checks") or [
        {**one, "indicator": one["code"], "path": ""} for one in profile["indicators"]
    ]
    made = []
    for check in checks:
        indicator = known.get(check["indicator"])
        if indicator is None:
            continue
        bad = check["a"] if indicator["inverse"] else check["b"] - check["a"]
        if bad > 0:
            made.append({
                "bad": bad, "column": column_of(check), "examples": check["examples"],
                "indicator": indicator, "of": check["b"], "path": check["path"],
            })  # fmt: skip
    totals: dict[str, int] = {}
    for one in made:
        totals[one["column"]] = totals.get(one["column"], 0) + one["bad"]
    return sorted(
        made, key=lambda one: (-totals[one["column"]], one["column"], one["indicator"]["code"])
    )


def column_of(check: Mapping[str, Any]) -> str:
    """The column a check is about, by its place in the rules or by its examples; "" for whole rows."""
    path = str(check["path"])
    for start in ("always.dirty.", "columns."):
        if path.startswith(start):
            name = path.removeprefix(start)
            return name if start == "always.dirty." else name.rpartition(".")[0]
    if "]." in path:
        name = path.partition("].")[2]
        return name.removeprefix("same.") if path.startswith("references[") else name
    return str(next((one["column"] for one in check["examples"] if one["column"]), ""))


def _indicators(name: str, made: Sequence[Mapping[str, Any]]) -> Markup:
    """The indicators by the six dimensions, what is lacking in red, weak ones in another colour."""
    groups = []
    for code, names in quality.DIMENSIONS.items():
        bars = [
            charts.Share(
                f"{one['code']} {spoken(one['zh'], one['en'])}", one["score"],
                f"{_count(one['a'], language())}/{_count(one['b'], language())} · {percent(one['score'])}",
                "weak" if one["score"] < THRESHOLD else "good",
            )
            for one in made if one["code"].startswith(code)
        ]  # fmt: skip
        if bars:
            groups.append((f"{code} {spoken(*names)}", bars))
    weak = sum(one["score"] < THRESHOLD for one in made)
    return charts.shares(
        tr("Indicators of {name}", name=name),
        tr(
            "{count} indicators by dimension, A/B and score; {weak} of them below {threshold}.",
            count=len(made), weak=weak, threshold=percent(THRESHOLD),
        ),
        groups,
    )  # fmt: skip


def _failures(name: str, failures: Sequence[Mapping[str, Any]]) -> Markup:
    """Columns × indicators, as far as anything failed there."""
    codes = sorted({one["indicator"]["code"] for one in failures})
    counts: dict[str, dict[str, int]] = {}
    for one in failures:
        row = counts.setdefault(one["column"] or tr("whole rows"), {})
        code = one["indicator"]["code"]
        row[code] = row.get(code, 0) + one["bad"]
    worst = next(iter(counts))
    return charts.heat(
        tr("Where {name} fails", name=name),
        tr(
            "{columns} places by {indicators} indicators; most faults in {worst}.",
            columns=len(counts), indicators=len(codes), worst=worst,
        ),
        codes,
        [(column, [row.get(code) for code in codes]) for column, row in counts.items()],
    )  # fmt: skip


def _count(found: int, lang: str) -> str:
    """A count, shortened where it would not fit beside its bar."""
    return f"{found:,}" if found < 1_000_000 else charts.short_amount(found * 100, lang)
