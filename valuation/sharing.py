"""An amount is shared out by a scheme: every fen of it goes to a party, and each line tells why.

Which steps a scheme has, and what it must keep, is `valuation.schemes`. Costs and fixed sums are whole fen
and are paid exactly. What is left is allocated over the parties by `money.allocate` with the deficits
carried from the statement before, so that each party's rounding error never grows: where costs are
recovered before anything is shared, the parties' shares of the rest are fixed, and nobody is ever a fen or
more off.

A pool with guaranteed minima and caps::

    part_j = min(cap_j, max(minimum_j, t · share_j))      t such that the parts sum to what is left

so that whoever is not held by his minimum or cap shares in the agreed proportions. It is written as bands
of what is left (`_bounded`), which a spreadsheet follows. Where the minima exceed what is left, all of them
are reduced in the same proportion: part_j = left · minimum_j / Σ minimum; nothing is ever negative.

Steps within a band or an entry of a pool share what falls to it, as the scheme shares the amount.

Source: shares are parameters of the agreement (发改数据规〔2025〕27号 art. 14(7)); the rules of bounds and
bands are ours. An administrative body's share is treasury income 非税收入.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import floor
from typing import Any

from valuation import InputError, inputs, schemes
from valuation.formulas import parse as parse_formula
from valuation.formulas import symbols
from valuation.money import MAX_DEFICIT_FEN, allocate, exact_text, ratio
from valuation.schemes import PARTY, check
from valuation.worksheet import Figure, Step, Worksheet, recompute

VERSION = "1"
SOURCE = "收益分配方案 revenue scheme"
RULE = "尾差分配规则 allocation rule: valuation.money.allocate"
ROUNDING = "向下取整，余分按到期先后分配 floor; left-over fen to whose next fen falls due first"


@dataclass(frozen=True)
class Heading:
    """A step of a scheme, or a band or entry that holds steps: its place, such as 2_1, and its label."""

    place: str
    zh: str
    en: str


@dataclass(frozen=True)
class Line:
    """What one party gets under one heading, in fen, with the steps from which it follows.

    `symbol` is the step of the derivation that holds the amount. `kind` is the kind of the scheme's step,
    or ``carried`` for whole fen still owed to a party that has no part in this amount. `way` are the
    headings through which the money came, the outermost first.
    """

    party: str
    kind: str
    zh: str
    en: str
    amount_fen: int
    symbol: str
    steps: tuple[Step, ...]
    way: tuple[Heading, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The line in canonical JSON types."""
        return {
            "amount_fen": self.amount_fen,
            "en": self.en,
            "kind": self.kind,
            "party": self.party,
            "steps": [step.to_dict() for step in self.steps],
            "symbol": self.symbol,
            "zh": self.zh,
        }


@dataclass(frozen=True)
class Distribution:
    """An amount, shared out: lines that sum to it to the fen, and everything from which they follow.

    `deficits` and `deficits_after` tell per party what it was and now is short of, in fen (exact, negative:
    ahead); the latter is the next statement's `deficits`. `unrecovered_fen` tells per fact (a constant sum:
    ``fixed_`` and its place) what the amount or a cap did not cover; whether it is stated again next time
    is for the agreement to say. A fact is whole fen, or a contribution document.
    """

    scheme: dict[str, Any]
    amount_fen: int
    facts: dict[str, Any]
    deficits: dict[str, Fraction]
    deficits_after: dict[str, Fraction]
    lines: tuple[Line, ...]
    unrecovered_fen: dict[str, int]
    derivation: Figure

    def paid_fen(self) -> dict[str, int]:
        """What each party gets in all, in fen."""
        paid: dict[str, int] = {}
        for line in self.lines:
            paid[line.party] = paid.get(line.party, 0) + line.amount_fen
        return paid

    def to_dict(self) -> dict[str, Any]:
        """The distribution in canonical JSON types (lists for what is keyed by party)."""
        return {
            "amount_fen": self.amount_fen,
            "deficits": _by_party(self.deficits),
            "deficits_after": _by_party(self.deficits_after),
            "derivation": self.derivation.to_dict(),
            "facts": dict(self.facts),
            "lines": [line.to_dict() for line in self.lines],
            "scheme": self.scheme,
            "unrecovered_fen": dict(self.unrecovered_fen),
            "v": 1,
        }


@dataclass
class _Flow:
    """An amount on its way through a list of steps: what is left, and which parts were placed.

    `whole` is the symbol of the amount with which the list began.
    """

    sheet: Worksheet
    facts: Mapping[str, Any]
    rest: Fraction
    rest_symbol: str = "A"
    whole: str = "A"
    recovered: list["_Part"] = field(default_factory=list)
    shared: list["_Part"] = field(default_factory=list)
    unrecovered: dict[str, int] = field(default_factory=dict)
    way: tuple[Heading, ...] = ()


@dataclass(frozen=True)
class _Part:
    party: str
    kind: str
    zh: str
    en: str
    symbol: str
    value: Fraction
    way: tuple[Heading, ...] = ()


_Settled = tuple[_Part, int, tuple[str, ...]]
"""A line in the making: the part, what is paid on it in fen, and the symbols from which that follows."""


def share(
    scheme: Mapping[str, Any],
    amount_fen: int,
    facts: Mapping[str, Any] | None = None,
    deficits: Mapping[str, Fraction | int | str] | None = None,
) -> Distribution:
    """Return who gets which fen of the amount under the scheme; the lines sum to it to the fen.

    Parameters
    ----------
    scheme : as the module shows; checked first (`check`)
    amount_fen : int >= 0
    facts : the facts that the scheme names (`schemes.facts`), and no others: each int >= 0 fen, or a
        contribution document
    deficits : `deficits_after` of the statement before, by party (Fraction, or text such as ``"1/3"``).
        A party that the scheme no longer names keeps its deficit, and gets whole fen only

    Raises
    ------
    InputError : lists all problems of the scheme, or of the facts and deficits

    Notes
    -----
    due = deficit + parts; paid by `money.allocate`. Where a party has several shared parts, what it is
    paid is split over its lines in their proportion: its money is exact, the headings are within a fen.

    Examples
    --------
    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> carried = {}
    >>> for amount in (1, 1, 1):
    ...     statement = share(scheme, amount, deficits=carried)
    ...     carried = statement.deficits_after
    ...     print(statement.paid_fen())
    {'operator': 1, 'treasury': 0}
    {'operator': 1, 'treasury': 0}
    {'operator': 0, 'treasury': 1}
    """
    scheme = check(scheme)
    total = inputs.money(amount_fen, "amount_fen", 0)
    known = _facts(scheme, facts or {})
    carried = _deficits(deficits or {})

    sheet = Worksheet()
    sheet.given("A", "待分配金额", "amount to be shared", total, "fen", "输入 input")
    flow = _Flow(sheet, known, Fraction(total))
    _take(scheme["steps"], flow)

    lines: list[_Settled] = [(part, int(part.value), (part.symbol,)) for part in flow.recovered]
    parties = list(dict.fromkeys([*(part.party for part in flow.shared), *carried]))
    parts = [
        sum((p.value for p in flow.shared if p.party == party), Fraction(0)) for party in parties
    ]
    left = total - sum(amount for _, amount, _ in lines)
    paid, after = allocate(left, parts, [carried.get(party, Fraction(0)) for party in parties])
    for j, party in enumerate(parties, start=1):
        mine = [part for part in flow.shared if part.party == party]
        lines += _settled(sheet, j, party, mine, carried.get(party, Fraction(0)), paid[j - 1])
    _total(sheet, [trail[0] for _, _, trail in lines])
    derivation = sheet.figure("sharing", VERSION, "total", ("total",))
    assert derivation.value == total, "the lines must sum to the amount"
    return Distribution(
        scheme=scheme,
        amount_fen=total,
        facts=known,
        deficits=carried,
        deficits_after=dict(zip(parties, after, strict=True)),
        lines=tuple(
            Line(
                part.party,
                part.kind,
                part.zh,
                part.en,
                amount,
                trail[0],
                _trail(derivation, trail),
                part.way,
            )
            for part, amount, trail in lines
        ),
        unrecovered_fen=flow.unrecovered,
        derivation=derivation,
    )


def recompute_distribution(data: Mapping[str, Any]) -> Distribution:
    """Return the distribution that follows from the inputs of a `to_dict` form, if all of it agrees.

    Raises InputError that names the first part which differs; a line is named ``lines[k]``.

    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> data = share(scheme, 3).to_dict()
    >>> recompute_distribution(data).paid_fen()
    {'operator': 2, 'treasury': 1}
    >>> data["lines"][0]["amount_fen"] = 3
    >>> recompute_distribution(data)
    Traceback (most recent call last):
    valuation.InputError: lines[0]: differs from what the scheme gives
    """
    keys = ("amount_fen", "deficits", "deficits_after", "derivation", "facts", "lines", "scheme")
    entries = inputs.mapping(inputs.in_fen(data), "", (*keys, "unrecovered_fen", "v"))
    recompute(entries["derivation"])
    carried = _from_list(entries["deficits"])
    if not isinstance(entries["facts"], Mapping):
        raise InputError("facts", "must be an object")
    again = share(entries["scheme"], entries["amount_fen"], entries["facts"], carried)
    expected = again.to_dict()
    lines = inputs.sequence(entries["lines"], "lines", 0, 10_000)
    for k, (given, own) in enumerate(zip(lines, expected["lines"], strict=False)):
        if inputs.differ(given, own):
            raise InputError(f"lines[{k}]", "differs from what the scheme gives")
    for key, value in expected.items():
        if inputs.differ(entries[key], value):
            raise InputError(key, "differs from what the scheme gives")
    return again


def run(document: Mapping[str, Any]) -> Distribution:
    """Return the distribution of a document ``{"scheme", "amount_fen", "facts", "deficits"}``.

    `facts` and `deficits` may be missing. Amounts may be written in yuan under ``_yuan``
    (`inputs.in_fen`). Deficits may also be the list ``[{"party", "fen"}]`` of `Distribution.to_dict`.

    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> run({"scheme": scheme, "amount_yuan": "0.03"}).paid_fen()
    {'operator': 2, 'treasury': 1}
    """
    entries = inputs.mapping(
        inputs.in_fen(document), "", ("scheme", "amount_fen"), ("facts", "deficits")
    )
    deficits = entries.get("deficits", {})
    if isinstance(deficits, list):
        deficits = _from_list(deficits)
    for key, value in (("facts", entries.get("facts", {})), ("deficits", deficits)):
        if not isinstance(value, Mapping):
            raise InputError(key, "must be an object")
    return share(entries["scheme"], entries["amount_fen"], entries.get("facts"), deficits)


def _by_party(values: Mapping[str, Fraction]) -> list[dict[str, str]]:
    """Parties may be named in any script, but keys are ASCII: hence a list."""
    return [{"fen": exact_text(value), "party": party} for party, value in values.items()]


def _from_list(entries: object) -> dict[str, Any]:
    """What `_by_party` wrote, by party."""
    carried: dict[str, Any] = {}
    for k, entry in enumerate(inputs.sequence(entries, "deficits", 0, 1_000)):
        known = inputs.mapping(entry, f"deficits[{k}]", ("fen", "party"))
        party = inputs.text(known["party"], f"deficits[{k}].party")
        if party in carried:
            raise InputError(f"deficits[{k}].party", f"names {party} twice")
        carried[party] = known["fen"]
    return carried


def _facts(scheme: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that the scheme names, checked; all faults at once."""
    wanted = schemes.facts(scheme)
    entries = inputs.mapping(inputs.in_fen(facts, "facts"), "facts", wanted)
    known: dict[str, Any] = {}
    problems: list[tuple[str, str]] = []
    for name, step in wanted.items():
        try:
            if step["kind"] == "contribution":
                schemes.contributions(entries[name], step["parties"], f"facts.{name}")
                known[name] = entries[name]
            else:
                known[name] = inputs.money(entries[name], f"facts.{name}", 0)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError.of(problems)
    return known


def _deficits(deficits: Mapping[str, Any]) -> dict[str, Fraction]:
    exact: dict[str, Fraction] = {}
    for party, value in deficits.items():
        where = f"deficits.{party}"
        if not isinstance(party, str) or not PARTY.fullmatch(party):
            raise InputError("deficits", "names a party by something that is no name")
        if isinstance(value, str) and not re.fullmatch(
            r"-?[0-9]{1,2000}(/[0-9]{1,2000})?", value, re.ASCII
        ):
            raise InputError(where, "is no exact number of fen, such as '1/3'")
        try:
            exact[party] = Fraction(value) if isinstance(value, str) else ratio(value, where)
        except ZeroDivisionError:
            raise InputError(where, "divides by zero") from None
        if abs(exact[party]) > MAX_DEFICIT_FEN:
            raise InputError(
                where, f"is beyond ±{MAX_DEFICIT_FEN} fen: a debt, no rounding difference"
            )
    return exact


def _settled(
    sheet: Worksheet, j: int, party: str, mine: list[_Part], deficit: Fraction, paid: int
) -> "list[_Settled]":
    """Write how party j comes from its parts to whole fen; return its lines (part, fen, symbol)."""
    sheet.given(
        f"d_{j}",
        f"{party}: 上期结转尾差",
        f"{party}: carried deficit",
        deficit,
        "fen",
        "上期分配单 last statement",
    )
    names = [f"d_{j}", *(part.symbol for part in mine)]
    due = sheet.step(
        f"due_{j}", f"{party}: 应得", f"{party}: due", f"sum({', '.join(names)})", "fen", SOURCE
    )
    sheet.given(
        f"n_{j}",
        f"{party}: 余分",
        f"{party}: left-over fen",
        paid - max(0, floor(due)),
        "fen",
        RULE,
    )
    formula = f"max(0, floor(due_{j})) + n_{j}"
    sheet.step(f"paid_{j}", f"{party}: 实付", f"{party}: paid", formula, "fen", RULE, ROUNDING)
    formula = f"due_{j} - paid_{j}"
    sheet.step(
        f"after_{j}", f"{party}: 结转下期尾差", f"{party}: deficit carried on", formula, "fen", RULE
    )
    if not mine and paid:
        mine = [_Part(party, "carried", "结转尾差", "carried rounding", "", Fraction(0))]
    if len(mine) < 2:
        return [(part, paid, (f"paid_{j}",)) for part in mine]
    whole = sum(part.value for part in mine)
    weights = [part.value / whole if whole else Fraction(part is mine[0]) for part in mine]
    split, _ = allocate(paid, [paid * weight for weight in weights])
    lines: list[_Settled] = []
    for m, (part, amount) in enumerate(zip(mine, split, strict=True), start=1):
        symbol = f"line_{j}_{m}"
        zh, en = f"{party}: {part.zh}", f"{party}: {part.en}"
        if m < len(mine):
            sheet.given(symbol, zh, en, amount, "fen", RULE)
        else:
            formula = " - ".join([f"paid_{j}", *(f"line_{j}_{n}" for n in range(1, m))])
            sheet.step(symbol, zh, en, formula, "fen", RULE)
        lines.append((part, amount, (symbol, f"paid_{j}")))
    return lines


def _total(sheet: Worksheet, names: list[str]) -> None:
    chunks = [names[k : k + inputs.MAX_LIST] for k in range(0, len(names), inputs.MAX_LIST)]
    formula = " + ".join(f"sum({', '.join(chunk)})" for chunk in chunks)
    sheet.step(
        "total",
        "分配合计",
        "total of the lines",
        formula,
        "fen",
        "等于待分配金额 equals the amount",
    )


def _trail(figure: Figure, ends: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps from which the steps `ends` follow, themselves included, in their order."""
    wanted = set(ends)
    for step in reversed(figure.steps):
        if step.symbol in wanted and step.formula:
            wanted.update(symbols(parse_formula(step.formula)))
    return tuple(step for step in figure.steps if step.symbol in wanted)


# What each kind of step does with what is left; `k` is its place: 2, or 2_1_3 within band 1 of step 2.


def _take(steps: list[dict[str, Any]], flow: _Flow, place: str = "") -> None:
    for n, step in enumerate(steps, start=1):
        k = f"{place}{n}"
        label = step["label"]
        own = replace(flow, way=(*flow.way, Heading(k, label["zh"], label["en"])))
        _EFFECTS[step["kind"]](step, k, own)
        flow.rest, flow.rest_symbol = own.rest, own.rest_symbol


def _recover(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    zh, en = step["label"]["zh"], step["label"]["en"]
    sheet, cost = flow.sheet, flow.facts[step["fact"]]
    sheet.given(
        f"c_{k}",
        f"{zh}: 申报成本",
        f"{en}: stated cost",
        cost,
        "fen",
        f"输入 input: {step['fact']}",
    )
    bounds = [f"c_{k}", f"floor({flow.rest_symbol})"]
    if "cap_fen" in step:
        sheet.given(f"cap_{k}", f"{zh}: 上限", f"{en}: cap", step["cap_fen"], "fen", SOURCE)
        bounds.append(f"cap_{k}")
    if "cap_ratio" in step:
        share_of_all = ratio(step["cap_ratio"])
        sheet.given(f"k_{k}", f"{zh}: 上限比例", f"{en}: cap as a share", share_of_all, "1", SOURCE)
        bounds.append(f"floor({flow.whole} * k_{k})")
    value = sheet.step(
        f"rec_{k}",
        f"{zh}: 回收",
        f"{en}: recovered",
        f"min({', '.join(bounds)})",
        "fen",
        SOURCE,
        "取整分 whole fen",
    )
    _paid_first(step, k, flow, f"rec_{k}", value)
    if cost > value:
        flow.unrecovered[step["fact"]] = cost - int(value)


def _fixed(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    zh, en = step["label"]["zh"], step["label"]["en"]
    amount, source = step.get("amount_fen"), SOURCE
    if amount is None:
        amount, source = flow.facts[step["fact"]], f"输入 input: {step['fact']}"
    flow.sheet.given(f"fix_{k}", f"{zh}: 约定金额", f"{en}: agreed sum", amount, "fen", source)
    formula = f"min(fix_{k}, floor({flow.rest_symbol}))"
    value = flow.sheet.step(
        f"got_{k}", f"{zh}: 支付", f"{en}: paid", formula, "fen", SOURCE, "取整分 whole fen"
    )
    _paid_first(step, k, flow, f"got_{k}", value)
    if amount > value:
        flow.unrecovered[step.get("fact", f"fixed_{k}")] = amount - int(value)


def _paid_first(step: Mapping[str, Any], k: str, flow: _Flow, symbol: str, value: Fraction) -> None:
    zh, en = step["label"]["zh"], step["label"]["en"]
    flow.recovered.append(_Part(step["party"], step["kind"], zh, en, symbol, value, flow.way))
    _rest(flow, k, symbol)


def _share(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    zh, en = step["label"]["zh"], step["label"]["en"]
    flow.sheet.given(f"s_{k}", f"{zh}: 比例", f"{en}: share", ratio(step["ratio"]), "1", SOURCE)
    formula = f"{flow.rest_symbol} * s_{k}"
    least, most = _bounds(step, k, zh, en, flow.sheet)
    if most:
        formula = f"min({most}, {formula})"
    if least:
        formula = f"max({least}, {formula})"
    if least or most:
        formula = f"min({flow.rest_symbol}, {formula})"
    value = flow.sheet.step(f"part_{k}", zh, en, formula, "fen", SOURCE)
    flow.shared.append(_Part(step["party"], "share", zh, en, f"part_{k}", value, flow.way))
    _rest(flow, k, f"part_{k}")


def _tiers(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    zh, en, sheet, left = step["label"]["zh"], step["label"]["en"], flow.sheet, flow.rest_symbol
    below, parts = "", []
    for j, band in enumerate(step["bands"], start=1):
        at = f"{k}_{j}"
        named = band.get("label", {"zh": f"{zh}: 第{j}档", "en": f"{en}: band {j}"})
        if "up_to_fen" in band:
            top = band["up_to_fen"]
            sheet.given(
                f"top_{at}", f"{named['zh']} 上限", f"{named['en']}, its end", top, "fen", SOURCE
            )
        within = f"min({left}, top_{at})" if "up_to_fen" in band else left
        formula = f"max(0, {within} - {below})" if below else within
        below = f"top_{at}"
        sheet.step(
            f"band_{at}", f"{named['zh']} 金额", f"{named['en']}, amount", formula, "fen", SOURCE
        )
        share_text = f"{named['zh']} 比例", f"{named['en']}, share"
        sheet.given(f"s_{at}", *share_text, ratio(band["ratio"]), "1", SOURCE)
        _placed(band, "tiers", at, named, f"band_{at} * s_{at}", flow)
        parts.append(f"part_{at}")
    if not schemes.places_all(step):
        _rest(flow, k, f"sum({', '.join(parts)})")


def _pool(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    label, entries = step["label"], step["shares"]
    bounded = any(entry.get("least_fen") or "most_fen" in entry for entry in entries)
    formulas = _bounded(step, k, flow) if bounded else []
    for j, entry in enumerate(entries, start=1):
        if not bounded:
            _agreed_share(entry, f"{k}_{j}", label, flow)
        formula = formulas[j - 1] if bounded else f"{flow.rest_symbol} * s_{k}_{j}"
        _placed(entry, "pool", f"{k}_{j}", entry.get("label", label), formula, flow)


def _agreed_share(
    entry: Mapping[str, Any], at: str, label: Mapping[str, str], flow: _Flow
) -> Fraction:
    who = entry.get("party") or entry["label"]["zh"]
    exact = ratio(entry["share"])
    zh, en = f"{label['zh']}: {who} 比例", f"{label['en']}: share of {who}"
    return flow.sheet.given(f"s_{at}", zh, en, exact, "1", SOURCE)


def _bounded(step: Mapping[str, Any], k: str, flow: _Flow) -> list[str]:
    """The formula of each part of a pool with minima and caps, after the bands on which they rest.

    With what is left, the common factor t grows; entry j has a part of the growth from t = minimum / share,
    where its share outgrows its minimum, to t = cap / share. Between two such t the parts grow in the
    proportions of the shares of those who have a part: a band of what is left.
    """
    sheet, left, label = flow.sheet, flow.rest_symbol, step["label"]
    # Entry by entry: from which t to which it grows, as a number and as a formula.
    spans: list[tuple[tuple[Fraction, str], tuple[Fraction, str] | None] | None] = []
    minima: list[str] = []
    least_of: list[str] = []
    for j, entry in enumerate(step["shares"], start=1):
        at = f"{k}_{j}"
        share_j = _agreed_share(entry, at, label, flow)
        who = entry.get("party") or entry["label"]["zh"]
        least, most = _bounds(entry, at, f"{label['zh']}: {who}", f"{label['en']}: {who}", sheet)
        least_of.append(least)
        minima += [least] if least else []
        if not share_j:
            spans.append(None)
            continue
        start = (entry.get("least_fen", 0) / share_j, f"{least} / s_{at}" if least else "0")
        end = (entry["most_fen"] / share_j, f"{most} / s_{at}") if most else None
        spans.append((start, end))
    below = ""
    if minima:
        below = f"low_{k}"
        sheet.step(below, f"{label['zh']}: 保底合计", f"{label['en']}: sum of the minima",
                   f"sum({', '.join(minima)})", "fen", SOURCE)  # fmt: skip
        sheet.step(f"q_{k}", f"{label['zh']}: 保底可付比例", f"{label['en']}: part of the minima there is",
                   f"min(1, {left} / {below})", "1", "保底同比例减付 minima are reduced alike")  # fmt: skip
    points = dict(sorted(point for span in spans if span for point in span if point))
    growth: list[list[str]] = [[] for _ in spans]
    turns = list(points.items())
    for n, (t, at_t) in enumerate(turns, start=1):
        growing = [
            j for j, span in enumerate(spans) if span and span[0][0] <= t
            and (span[1] is None or span[1][0] > t)
        ]  # fmt: skip
        if not growing:
            continue  # between a cap and the next minimum nobody's part grows
        at, zh, en = f"{k}_{n}", f"{label['zh']}: 第{n}段", f"{label['en']}: stretch {n}"
        names = ", ".join(f"s_{k}_{j + 1}" for j in growing)
        sheet.step(
            f"w_{at}", f"{zh} 参与比例合计", f"{en}, shares that grow", f"sum({names})", "1", SOURCE
        )
        within = left
        if n < len(turns):
            formula = f"({turns[n][1]} - {at_t}) * w_{at}"
            formula = f"{below} + {formula}" if below else formula
            sheet.step(f"top_{at}", f"{zh} 上限", f"{en}, its end", formula, "fen", SOURCE)
            within = f"min({left}, top_{at})"
        amount = f"max(0, {within} - {below})" if below else within
        sheet.step(f"g_{at}", f"{zh} 单位比例所得", f"{en}, for a whole share",
                   f"{amount} / w_{at}", "fen", SOURCE)  # fmt: skip
        below = f"top_{at}"
        for j in growing:
            growth[j].append(f"g_{at}")
    formulas = []
    for j, (least, grown) in enumerate(zip(least_of, growth, strict=True), start=1):
        parts = [f"{least} * q_{k}"] if least else []
        parts += [f"s_{k}_{j} * sum({', '.join(grown)})"] if grown else []
        formulas.append(" + ".join(parts) or "0")
    return formulas


def _contribution(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    label, where = step["label"], step.get("fact", f"scheme: {k}")
    source = f"贡献度 valuation.contribution: {where}"
    document = flow.facts[step["fact"]] if "fact" in step else step["document"]
    shares = schemes.contributions(document, step["parties"], f"facts.{where}")
    for j, (party, exact) in enumerate(shares.items(), start=1):
        at, zh, en = f"{k}_{j}", f"{label['zh']}: {party}", f"{label['en']}: {party}"
        flow.sheet.given(
            f"s_{at}", f"{zh} 贡献比例", f"{en}, share by contribution", exact, "1", source
        )
        entry = {"party": party}
        _placed(entry, "contribution", at, label, f"{flow.rest_symbol} * s_{at}", flow, zh, en)


def _placed(
    entry: Mapping[str, Any], kind: str, at: str, label: Mapping[str, str], formula: str,
    flow: _Flow, zh: str = "", en: str = "",
) -> None:  # fmt: skip
    """Place a part: on a party, or on what its own steps share."""
    heading = label["zh"], label["en"]
    if "party" in entry:
        zh, en = zh or heading[0], en or heading[1]
        if kind == "pool":
            zh, en = f"{zh}: {entry['party']}", f"{en}: {entry['party']}"
        value = flow.sheet.step(f"part_{at}", zh, en, formula, "fen", SOURCE)
        part = _Part(entry["party"], kind, *heading, f"part_{at}", value, flow.way)
        flow.shared.append(part)
        return
    value = flow.sheet.step(f"part_{at}", *heading, formula, "fen", SOURCE)
    inner = replace(
        flow, rest=value, rest_symbol=f"part_{at}", whole=f"part_{at}",
        way=(*flow.way, Heading(at, *heading)),
    )  # fmt: skip
    _take(entry["steps"], inner, f"{at}_")


def _bounds(
    entry: Mapping[str, Any], at: str, zh: str, en: str, sheet: Worksheet
) -> tuple[str, str]:
    """The symbols of a minimum above 0 and of a cap, written down; empty where there is none."""
    least = most = ""
    if entry.get("least_fen"):
        least = f"least_{at}"
        sheet.given(
            least, f"{zh} 保底", f"{en}, guaranteed minimum", entry["least_fen"], "fen", SOURCE
        )
    if "most_fen" in entry:
        most = f"most_{at}"
        sheet.given(most, f"{zh} 封顶", f"{en}, cap", entry["most_fen"], "fen", SOURCE)
    return least, most


def _rest(flow: _Flow, k: str, taken: str) -> None:
    formula = f"{flow.rest_symbol} - {taken}"
    flow.rest = flow.sheet.step(f"rest_{k}", "余额", "what is left", formula, "fen", SOURCE)
    flow.rest_symbol = f"rest_{k}"


_EFFECTS: dict[str, Callable[[Mapping[str, Any], str, _Flow], None]] = {
    "recover": _recover,
    "fixed": _fixed,
    "share": _share,
    "tiers": _tiers,
    "pool": _pool,
    "contribution": _contribution,
}
