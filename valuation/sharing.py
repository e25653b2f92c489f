"""A revenue scheme is data: steps that place every fen of an amount, in order, before anyone is paid.

A scheme::

    {"v": 1,
     "name": {"zh": "…", "en": "…"},
     "steps": [
       {"kind": "recover", "party": "operator", "label": {"zh": "平台成本", "en": "platform cost"},
        "fact": "platform_cost_fen", "cap_fen": 5000000, "cap_ratio": "1/2"},
       {"kind": "share", "party": "treasury", "label": {…}, "ratio": "1/10"},
       {"kind": "pool", "label": {…},
        "shares": [{"party": "operator", "share": "3/5"}, {"party": "holder", "share": "2/5"}]}]}

==========  ==================================================================================
`recover`   the stated cost (a fact, in whole fen) goes to the party before anyone shares, at most
            `cap_fen` and at most `cap_ratio` of the whole amount (both optional), and at most what is left
`share`     the party gets `ratio` of what is left
`pool`      what is left is divided by fixed shares, which sum to exactly 1; always the last step
==========  ==================================================================================

Fixed shares are a scheme with a pool alone. A further kind of step (tiers, a guaranteed minimum, a cap, a
nested scheme) is one more entry in `_STEPS`: how it is checked, and which parts it places.

Recovered costs are whole fen and are paid exactly. What is left is allocated over the parties by
`money.allocate` with the deficits carried from the statement before, so that each party's rounding error
never grows: where costs are recovered before anything is shared, the parties' shares of the rest are
fixed, and nobody is ever a fen or more off.

Source: no national percentage exists; shares are parameters of the agreement (发改数据规〔2025〕27号
art. 14(7); 谁投入、谁贡献、谁受益). An administrative body's share is treasury income 非税收入.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Any

from valuation import InputError, inputs
from valuation.money import MAX_DEFICIT_FEN, allocate, amount_fen, exact_text, ratio
from valuation.worksheet import Figure, Step, Worksheet, recompute, symbols
from valuation.worksheet import parse as parse_formula

VERSION = "1"
SOURCE = "收益分配方案 revenue scheme"
RULE = "尾差分配规则 allocation rule: valuation.money.allocate"
ROUNDING = "向下取整，余分按到期先后分配 floor; left-over fen to whose next fen falls due first"

_PARTY = re.compile(r"[^\s\x00-\x1f](?:[^\x00-\x1f]{0,118}[^\s\x00-\x1f])?")
_FACT = re.compile(r"[a-z][a-z0-9_]{0,58}_fen")

Problems = list[tuple[str, str]]


@dataclass(frozen=True)
class Line:
    """What one party gets under one heading, in fen, with the steps from which it follows.

    `symbol` is the step of the derivation that holds the amount. `kind` is the kind of the scheme's step,
    or ``carried`` for whole fen still owed to a party that has no part in this amount.
    """

    party: str
    kind: str
    zh: str
    en: str
    amount_fen: int
    symbol: str
    steps: tuple[Step, ...]

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
    ahead); the latter is the next statement's `deficits`. `unrecovered_fen` tells per cost fact what the
    amount or a cap did not cover; whether it is stated again next time is for the agreement to say.
    """

    scheme: dict[str, Any]
    amount_fen: int
    facts: dict[str, int]
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
    """An amount on its way through the steps: what is left, and which parts were placed."""

    sheet: Worksheet
    amount_fen: int
    facts: Mapping[str, int]
    rest: Fraction
    rest_symbol: str
    recovered: list["_Part"]
    shared: list["_Part"]
    unrecovered: dict[str, int]


@dataclass(frozen=True)
class _Part:
    party: str
    kind: str
    zh: str
    en: str
    symbol: str
    value: Fraction


_Settled = tuple[_Part, int, tuple[str, ...]]
"""A line in the making: the part, what is paid on it in fen, and the symbols from which that follows."""


def check(scheme: object) -> dict[str, Any]:
    """Return a scheme that places every fen of any amount, with its amounts in fen, or raise InputError.

    The refusal lists all its problems at once (in `problems`).

    Checked are: known keys and kinds, parties and labels named, ratios from 0 to 1, caps at least 0, one
    pool and it comes last, its shares sum to exactly 1 and name each party once, facts named once.

    >>> scheme = {"v": 1, "name": {"zh": "固定比例", "en": "fixed shares"}, "steps": [
    ...     {"kind": "pool", "label": {"zh": "收益池", "en": "pool"}, "shares": [
    ...         {"party": "operator", "share": "2/3"}, {"party": "treasury", "share": "1/3"}]}]}
    >>> check(scheme) == scheme
    True
    >>> scheme["steps"][0]["shares"][1]["share"] = "1/2"
    >>> check(scheme)
    Traceback (most recent call last):
    valuation.InputError: scheme.steps[0].shares: sum to 7/6, but must sum to exactly 1
    """
    problems: Problems = []
    entries = inputs.mapping(inputs.in_fen(scheme, "scheme"), "scheme", ("v", "name", "steps"))
    if entries["v"] != 1 or isinstance(entries["v"], bool):
        problems.append(("scheme.v", "must be 1"))
    _names(entries["name"], "scheme.name", problems)
    steps: Any = _collect(problems, inputs.sequence, entries["steps"], "scheme.steps", 1, 50) or []
    facts: set[str] = set()
    for k, step in enumerate(steps):
        where = f"scheme.steps[{k}]"
        if not isinstance(step, Mapping):
            problems.append((where, "must be an object"))
            continue
        kind = step.get("kind")
        if not isinstance(kind, str) or kind not in _STEPS:
            problems.append(
                (f"{where}.kind", f"is {kind!r}, but must be one of {', '.join(_STEPS)}"[:200])
            )
            continue
        required, optional, check_step, _ = _STEPS[kind]
        try:
            inputs.mapping(step, where, ("kind", "label", *required), optional)
        except InputError as error:
            problems.extend(error.problems)
            continue
        _names(step["label"], f"{where}.label", problems)
        check_step(step, where, problems)
        if kind == "recover" and isinstance(step["fact"], str):
            if step["fact"] in facts:
                problems.append((f"{where}.fact", f"{step['fact']} is recovered twice"))
            facts.add(step["fact"])
        if (kind == "pool") != (k == len(steps) - 1):
            problems.append((where, "one pool must come last, so that every fen is placed"))
    if problems:
        raise InputError.of(problems)
    return dict(entries)


def share(
    scheme: Mapping[str, Any],
    amount_fen: int,
    facts: Mapping[str, int] | None = None,
    deficits: Mapping[str, Fraction | int | str] | None = None,
) -> Distribution:
    """Return who gets which fen of the amount under the scheme; the lines sum to it to the fen.

    Parameters
    ----------
    scheme : as the module shows; checked first (`check`)
    amount_fen : int >= 0
    facts : the cost facts that the scheme's `recover` steps name, each int >= 0 fen; no others
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
    flow = _Flow(sheet, total, known, Fraction(total), "A", [], [], {})
    for k, step in enumerate(scheme["steps"], start=1):
        _STEPS[step["kind"]][3](step, str(k), flow)

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
                part.party, part.kind, part.zh, part.en, amount, trail[0], _trail(derivation, trail)
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
        if _differ(given, own):
            raise InputError(f"lines[{k}]", "differs from what the scheme gives")
    for key, value in expected.items():
        if _differ(entries[key], value):
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


def _differ(one: object, other: object) -> bool:
    """Whether two JSON values differ; unlike Python, JSON tells true from 1."""
    return json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True)


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


def _facts(scheme: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, int]:
    """The facts that the scheme names, checked."""
    wanted = [step["fact"] for step in scheme["steps"] if step["kind"] == "recover"]
    entries = inputs.mapping(facts, "facts", wanted)
    return {name: inputs.money(entries[name], f"facts.{name}", 0) for name in wanted}


def _deficits(deficits: Mapping[str, Any]) -> dict[str, Fraction]:
    exact: dict[str, Fraction] = {}
    for party, value in deficits.items():
        where = f"deficits.{party}"
        if not isinstance(party, str) or not _PARTY.fullmatch(party):
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


# The kinds of step: how each is checked, and what it does.


def _collect(problems: Problems, read: Callable[..., Any], *args: Any) -> Any:
    """What `read` returns for `args`; where it refuses, None, and its problems are added."""
    try:
        return read(*args)
    except InputError as error:
        problems.extend(error.problems)
        return None


def _names(value: object, where: str, problems: Problems) -> None:
    names = _collect(problems, inputs.mapping, value, where, ("zh", "en"))
    for key in ("zh", "en") if names else ():
        _collect(problems, inputs.text, names[key], f"{where}.{key}")


def _party(value: object, where: str, problems: Problems) -> None:
    if not isinstance(value, str) or not _PARTY.fullmatch(value):
        problems.append((where, "must be the name or number of a party, 1 to 120 characters"))
    else:
        _collect(problems, inputs.encodable, value, where)


def _check_recover(step: Mapping[str, Any], where: str, problems: Problems) -> None:
    _party(step["party"], f"{where}.party", problems)
    if not isinstance(step["fact"], str) or not _FACT.fullmatch(step["fact"]):
        problems.append((f"{where}.fact", "must be a name in lower case that ends in _fen"))
    if "cap_fen" in step:
        _collect(problems, amount_fen, step["cap_fen"], f"{where}.cap_fen", 0)
    if "cap_ratio" in step:
        _collect(problems, inputs.number, step["cap_ratio"], f"{where}.cap_ratio", 0, 1)


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
        bounds.append(f"floor(A * k_{k})")
    value = sheet.step(
        f"rec_{k}",
        f"{zh}: 回收",
        f"{en}: recovered",
        f"min({', '.join(bounds)})",
        "fen",
        SOURCE,
        "取整分 whole fen",
    )
    flow.recovered.append(_Part(step["party"], "recover", zh, en, f"rec_{k}", value))
    if cost > value:
        flow.unrecovered[step["fact"]] = cost - int(value)
    _rest(flow, k, f"rec_{k}", value)


def _check_share(step: Mapping[str, Any], where: str, problems: Problems) -> None:
    _party(step["party"], f"{where}.party", problems)
    _collect(problems, inputs.number, step["ratio"], f"{where}.ratio", 0, 1)


def _share(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    zh, en = step["label"]["zh"], step["label"]["en"]
    flow.sheet.given(f"s_{k}", f"{zh}: 比例", f"{en}: share", ratio(step["ratio"]), "1", SOURCE)
    value = flow.sheet.step(f"part_{k}", zh, en, f"{flow.rest_symbol} * s_{k}", "fen", SOURCE)
    flow.shared.append(_Part(step["party"], "share", zh, en, f"part_{k}", value))
    _rest(flow, k, f"part_{k}", value)


def _check_pool(step: Mapping[str, Any], where: str, problems: Problems) -> None:
    shares = _collect(problems, inputs.sequence, step["shares"], f"{where}.shares", 1, 100)
    total, seen, sound = Fraction(0), set[str](), True
    for j, entry in enumerate(shares or ()):
        at = f"{where}.shares[{j}]"
        known = _collect(problems, inputs.mapping, entry, at, ("party", "share"))
        if known is None:
            sound = False
            continue
        _party(known["party"], f"{at}.party", problems)
        if isinstance(known["party"], str):
            if known["party"] in seen:
                problems.append((f"{at}.party", f"{known['party']} stands in the pool twice"))
            seen.add(known["party"])
        value = _collect(problems, inputs.number, known["share"], f"{at}.share", 0, 1)
        sound = sound and value is not None
        total += value or 0
    if shares and sound and total != 1:
        problems.append(
            (f"{where}.shares", f"sum to {exact_text(total)}, but must sum to exactly 1")
        )


def _pool(step: Mapping[str, Any], k: str, flow: _Flow) -> None:
    zh, en = step["label"]["zh"], step["label"]["en"]
    for j, entry in enumerate(step["shares"], start=1):
        party, at = entry["party"], f"{k}_{j}"
        exact = ratio(entry["share"])
        flow.sheet.given(
            f"s_{at}", f"{zh}: {party} 比例", f"{en}: share of {party}", exact, "1", SOURCE
        )
        formula = f"{flow.rest_symbol} * s_{at}"
        value = flow.sheet.step(
            f"part_{at}", f"{zh}: {party}", f"{en}: {party}", formula, "fen", SOURCE
        )
        flow.shared.append(_Part(party, "pool", zh, en, f"part_{at}", value))


def _rest(flow: _Flow, k: str, symbol: str, value: Fraction) -> None:
    formula = f"{flow.rest_symbol} - {symbol}"
    flow.rest = flow.sheet.step(f"rest_{k}", "余额", "what is left", formula, "fen", SOURCE)
    flow.rest_symbol = f"rest_{k}"


_STEPS: dict[
    str,
    tuple[
        tuple[str, ...],
        tuple[str, ...],
        Callable[[Mapping[str, Any], str, Problems], None],
        Callable[[Mapping[str, Any], str, _Flow], None],
    ],
] = {
    "recover": (("party", "fact"), ("cap_fen", "cap_ratio"), _check_recover, _recover),
    "share": (("party", "ratio"), (), _check_share, _share),
    "pool": (("shares",), (), _check_pool, _pool),
}
"""Kinds of step: required keys, optional keys, check, effect."""
