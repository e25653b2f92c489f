"""The range, the sensitivity and the breakeven of a value: what their form asks for, and their pictures.

In the form an amount is typed in yuan, as everywhere; the request (`valuation.simulation`) counts in fen.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from markupsafe import Markup

from ledger.reports import decimal
from valuation import InputError, draws, methods, money
from valuation.money import exact_text, round_half_up
from webapp.language import language, tr
from webapp.pages import charts, inputs
from webapp.pages.inputs import Faults, Given
from webapp.wording import spoken

AROUND = "10%"
NO_AMOUNT = (
    "at",
    "distribution",
    "target",
    "target_yuan",
    "sigma",
)  # even where the input is an amount
MARKED = (5, 25, 50, 75, 95)  # percentiles drawn into the histogram; the table has all
DISTRIBUTIONS = {
    "uniform": ("均匀分布", "uniform"), "triangular": ("三角分布", "triangular"),
    "normal": ("正态分布", "normal"), "lognormal": ("对数正态分布", "lognormal"),
}  # fmt: skip


def _field(key: str, kind: str, zh: str, en: str, **more: Any) -> dict[str, Any]:
    told = {"bounds": "", "choices": [], "fields": [], "only": [], "optional": False, "unit": ""}
    return {"key": key, "kind": kind, "zh": zh, "en": en, **told, **more}


def described(paths: list[tuple[str, str]]) -> list[dict[str, Any]]:
    """What an analysis asks for, in the form of `methods.describe`; `paths` are the inputs there are."""
    at = _field("at", "choice", "变动的输入", "input that varies", choices=[p for p, _ in paths],
                offered=paths)  # fmt: skip
    low = _field("low", "ratio", "低值", "low")
    high = _field("high", "ratio", "高值", "high")
    cut = ["normal", "lognormal"]
    drawn = [
        at,
        _field("distribution", "choice", "分布", "distribution", choices=list(draws.DISTRIBUTIONS),
               offered=[(name, spoken(*DISTRIBUTIONS[name])) for name in draws.DISTRIBUTIONS]),
        _field("mean", "ratio", "均值", "mean", only=["normal"]),
        _field("deviation", "ratio", "标准差", "standard deviation", only=["normal"], bounds="> 0"),
        _field("median", "ratio", "中位数", "median", only=["lognormal"], bounds="> 0"),
        _field("sigma", "ratio", "对数标准差", "deviation of the logarithm", only=["lognormal"],
               bounds="> 0"),
        {**low, "only": ["uniform", "triangular"]},
        _field("mode", "ratio", "最可能值", "most likely", only=["triangular"]),
        {**high, "only": ["uniform", "triangular"]},
        {**low, "only": cut, "optional": True, "zh": "截断下限", "en": "cut off below"},
        {**high, "only": cut, "optional": True, "zh": "截断上限", "en": "cut off above"},
    ]  # fmt: skip
    return [
        _field("range", "object", "取值区间(蒙特卡洛)", "range by Monte Carlo", optional=True, fields=[
            _field("seed", "integer", "随机种子(种子相同，结果相同)",
                   "seed (the same seed, the same draws)", bounds=">= 0"),
            _field("draws", "integer", "抽样次数", "number of draws", bounds="100 to 2000000"),
            _field("inputs", "list", "不确定的输入", "uncertain inputs", bounds="1 to 50", fields=drawn),
        ]),
        _field("sensitivity", "list", "敏感性", "sensitivity", optional=True, bounds="1 to 50",
               fields=[at, low, high]),
        _field("breakeven", "object", "盈亏平衡", "breakeven", optional=True, fields=[
            at, _field("target", "money", "目标价值", "value to be reached", unit="CNY"), low, high,
        ]),
    ]  # fmt: skip


def paths_of(method: str, given: Mapping[str, str]) -> list[tuple[str, str]]:
    """The inputs an analysis may vary: their paths with their names; first those of all rows together."""
    fields = methods.describe(method)["fields"]
    found = list(inputs.numbers(method, fields, given))
    together: dict[str, tuple[str, int]] = {}
    for one in found:
        head, bracket, rest = one.path.partition("[")
        if bracket:
            star = f"{head}[*]{rest.partition(']')[2]}"
            row, _, inner = one.label.partition(" › ")
            label = f"{row.rpartition(' ')[0]} ({tr('all')}) › {inner}"
            together[star] = (label, together.get(star, ("", 0))[1] + 1)
    return [
        *((star, label) for star, (label, count) in together.items() if count > 1),
        *((one.path, one.label) for one in found),
    ]


def around(method: str, given: Given) -> None:
    """Enter every input that is not zero into the sensitivity, by so much below and above what it is."""
    at = f"analysis.{method}"
    try:
        share = money.ratio(inputs.plain_ratio(given.get(f"{at}.around", "") or AROUND))
    except InputError:
        return
    for n in reversed(range(inputs.row_count(given, f"{at}.sensitivity"))):
        inputs.drop_row(given, f"{at}.sensitivity", n)
    n = 0
    for one in inputs.numbers(method, methods.describe(method)["fields"], given):
        try:
            base = money.ratio(
                (inputs.plain_amount if one.is_money else inputs.plain_ratio)(one.text)
            )
        except InputError:
            continue
        if not base:
            continue
        ends = sorted((base * (1 - share), base * (1 + share)))
        given[f"{at}.sensitivity.{n}.at"] = one.path
        for key, end in zip(("low", "high"), ends, strict=True):
            told = money.yuan(round_half_up(end * 100)) if one.is_money else _decimal(end)
            given[f"{at}.sensitivity.{n}.{key}"] = told
        n += 1


def _decimal(value: Fraction) -> str:
    return inputs.plain_ratio(f"{exact_text(value * 100)}%")


def request(method: str, given: Given, faults: Faults) -> dict[str, Any]:
    """The analysis asked for by the form, amounts in fen; empty where none is."""
    at = f"analysis.{method}"
    fields = described(paths_of(method, given))
    inputs.tidy(given, at, fields)
    made = inputs.read(at, fields, given, faults)
    drawn = made.get("range", {}).get("inputs", [])
    for row in [*drawn, *made.get("sensitivity", []), *filter(None, [made.get("breakeven")])]:
        if str(row.get("at", "")).endswith("_fen"):
            row |= {
                key: exact_text(money.ratio(text) * 100) for key, text in row.items()
                if key not in NO_AMOUNT and _is_ratio(text)
            }  # fmt: skip
    if "breakeven" in made and "target_yuan" in made["breakeven"]:
        target = made["breakeven"].pop("target_yuan")
        made["breakeven"]["target_fen"] = money.fen(target)
    return made


def typed(method: str, asked: Any, unknown: list[str]) -> Given:
    """What the form holds of a request of an analysis; what it has no field for is named."""
    at = f"analysis.{method}"
    if not isinstance(asked, Mapping):
        unknown.append(at)
        return {}
    made = inputs.typed(at, described([]), asked, unknown)
    for place in [
        place for place, path in made.items() if place.endswith(".at") and path.endswith("_fen")
    ]:
        start = place.removesuffix("at")
        for key in [key for key in made if key.startswith(start) and not key.endswith(NO_AMOUNT)]:
            if _is_ratio(made[key]):
                made[key] = _decimal(money.ratio(made[key]) / 100)
    return made


def _is_ratio(text: str) -> bool:
    try:
        money.ratio(text)
    except InputError:
        return False
    return True


# -- what a page shows -------------------------------------------------------------------------


def told(analysis: Mapping[str, Any], title: str) -> dict[str, Any]:
    """An analysis (`Analysis.to_dict`) with its pictures."""
    spread, bars, breakeven = analysis["range"], analysis["tornado"], analysis["breakeven"]
    return {
        "range": spread, "tornado": [{**one, **_ends(one)} for one in bars],
        "breakeven": breakeven and {**breakeven, **_found(breakeven)}, "title": title,
        "histogram": spread and _histogram(spread, title),
        "convergence": spread and _convergence(spread, title),
        "bars": _tornado(analysis, title) if bars else None,
    }  # fmt: skip


def say(fen: int) -> str:
    """An amount as pictures say it."""
    return charts.short_amount(fen, language())


def _value(at: str, text: str) -> str:
    """A value of an input: an amount in yuan, else a number."""
    exact = money.ratio(text)
    return f"{decimal(exact / 100)} {tr('yuan')}" if at.endswith("_fen") else decimal(exact)


def _ends(bar: Mapping[str, Any]) -> dict[str, str]:
    return {"low": _value(bar["at"], bar["low"]), "high": _value(bar["at"], bar["high"])}


def _found(one: Mapping[str, Any]) -> dict[str, str]:
    return {key: _value(one["at"], one[key]) for key in ("found", "low", "high")}


def _histogram(spread: Mapping[str, Any], title: str) -> Markup:
    percentiles = dict(map(tuple, spread["percentiles"]))
    marks = [(f"P{p}", percentiles[p]) for p in MARKED if p in percentiles]
    return charts.histogram(
        tr("Range of {title}", title=title),
        tr(
            "{count} draws; nine in ten lie between {low} and {high} yuan, half below {middle}.",
            count=f"{spread['draws']:,}", low=say(percentiles[5]), high=say(percentiles[95]),
            middle=say(percentiles[50]),
        ),
        [tuple(one) for one in spread["histogram"]], marks, say,
    )  # fmt: skip


def _convergence(spread: Mapping[str, Any], title: str) -> Markup:
    points = spread["convergence"]
    names = (("P95", "p95_fen"), (tr("mean"), "mean_fen"), ("P50", "p50_fen"), ("P5", "p5_fen"))
    return charts.lines(
        tr("Convergence of {title}", title=title),
        tr(
            "After {count} draws the mean is {mean} yuan, its standard error {error}.",
            count=f"{spread['draws']:,}", mean=say(spread["mean_fen"]), error=say(spread["error_fen"]),
        ),
        [one["draws"] for one in points],
        [(name, [one[key] for one in points]) for name, key in names], say,
    )  # fmt: skip


def _tornado(analysis: Mapping[str, Any], title: str) -> Markup:
    base = int(analysis["figure"]["value"])
    bars = [
        (spoken(one["zh"], one["en"]), f"{ends['low']} … {ends['high']}", one["low_value_fen"],
         one["high_value_fen"])
        for one in analysis["tornado"] for ends in (_ends(one),)
    ]  # fmt: skip
    return charts.tornado(
        tr("Sensitivity of {title}", title=title),
        tr("{count} inputs, the one that moves the value most first: {name}.", count=len(bars),
           name=bars[0][0]),
        base, bars, say,
    )  # fmt: skip
