"""How the cost of a data resource is amortised: a schedule whose charges sum to it, fen by fen.

T_k = round(D · m_k / n) was amortised up to the end of period k, the charge is A_k = T_k − T_(k−1), and
B_k = base − T_k is still carried; D = max(0, base − residual). Source: 企业会计准则第6号, from memory.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.accounting import CAS_6, CAS_8, FORM, OURS, TO_THE_FEN, total
from valuation.fields import BASIS, CURRENCY, Description, Field, factor, money
from valuation.worksheet import Figure, Worksheet

VERSION = "1"

LIVES = {
    "straight_line": ("直线法", "straight line"),
    "by_use": ("按使用量", "by use"),
    "indefinite": ("使用寿命不确定，不摊销", "indefinite life, not amortised"),
}
MAX_PERIODS = 200
_MONTH = re.compile(r"(20\d\d|19\d\d)-(0[1-9]|1[0-2])", re.ASCII)


def month_number(value: object, field: str) -> int:
    """Return the number of a month written ``2026-03`` (months since year 0); InputError for anything else.

    >>> month_number("2026-03", "from") - month_number("2025-12", "from")
    3
    """
    match = _MONTH.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise InputError(field, "must be a month such as '2026-03'")
    return int(match[1]) * 12 + int(match[2]) - 1


def _month(number: int) -> str:
    return f"{number // 12}-{number % 12 + 1:02d}"


def amortise(
    *,
    model: str,
    cost_fen: int,
    residual_fen: int,
    available_from: str,
    basis: str,
    residual_basis: str | None = None,
    life_months: int | None = None,
    planned_units: Any = None,
    uses: Sequence[Mapping[str, Any]] | None = None,
    ended: str | None = None,
    changes: Sequence[Mapping[str, Any]] | None = None,
    disposed_in: str | None = None,
    until: str | None = None,
    by: str = "year",
) -> Figure:
    """Return the schedule of amortisation; the figure is what was amortised in all, in whole fen.

    Up to the end of period k of an estimate, T_k = round(D · m_k / n) was amortised, with D = max(0, base −
    residual), m_k months of n (straight line) or min(units used, n) of n planned units (by use). The charge
    is A_k = T_k − T_(k−1), so that charges sum to D exactly when m = n; the carrying amount is base − T_k.

    Parameters
    ----------
    model : a key of `LIVES`
    cost_fen, residual_fen : int, 0 <= residual <= cost; a residual above 0 needs its `residual_basis`
    available_from : month such as ``2026-03``; charged from this month on, and not in that of disposal
    basis : why this life or these units
    life_months : 1 to 1,200, of ``straight_line``
    planned_units : ratio > 0, and `uses` ``[{"month", "units": ratio >= 0}]`` in order, of ``by_use``;
        `ended` ``yes`` lets the last use take the rest
    changes : ``[{"from": month, "basis": why}]`` with one or more of ``residual_fen``, ``life_months`` or
        ``planned_units`` (those still to come) and ``impairment_fen`` (a loss, a new base): prospective
    disposed_in, until : the month of disposal; the last month shown
    by : ``year`` or ``month``, the periods of ``straight_line``; at most 200 of them

    Raises
    ------
    InputError : names the field, such as ``changes[0].from``

    Notes
    -----
    An asset of indefinite life is not amortised, and tested for impairment at least each year end; a change
    may give it a life. Rounding of what was amortised so far (ours) puts each odd fen where it falls due.

    Examples
    --------
    >>> figure = amortise(model="straight_line", cost_fen=100_00, residual_fen=0, basis="合同三年",
    ...     available_from="2026-07", life_months=36)
    >>> [int(figure[f"A{k}"].value) for k in (1, 2, 3, 4)], figure.display()
    ([1667, 3333, 3333, 1667], '100.00')
    """
    sheet = Worksheet()
    chosen, why = inputs.choice(model, "model", LIVES), inputs.text(basis, "basis")
    cost = inputs.money(cost_fen, "cost_fen", 0)
    residual = inputs.money(residual_fen, "residual_fen", 0)
    if residual > cost:
        raise InputError("residual_fen", "is more than the cost")
    start = month_number(available_from, "available_from")
    if residual_basis is not None:
        inputs.text(residual_basis, "residual_basis")
    elif residual:
        raise InputError("residual_basis", "is missing: a residual value above 0 needs its ground")
    gone = None if disposed_in is None else month_number(disposed_in, "disposed_in")
    last = None if until is None else month_number(until, "until")
    for field, month in (("disposed_in", gone), ("until", last)):
        if month is not None and month < start:
            raise InputError(field, "lies before the month from which the asset is available")
    inputs.choice(by, "by", ("year", "month"))
    _wanted(
        chosen,
        {"life_months": life_months, "planned_units": planned_units, "uses": uses, "ended": ended},
    )
    edits = _changes(changes, chosen, start, gone)
    sheet.given("C", "成本", "cost", cost, "fen", FORM)
    sheet.given("R1", "残值", "residual value", residual, "fen", residual_basis or CAS_6)
    schedule = _Schedule(sheet)
    ends = min([month for month in (gone, last and last + 1) if month is not None], default=None)
    if chosen == "by_use":
        size = inputs.number(planned_units, "planned_units", above=0)
        sheet.given("n1", "计划使用量", "planned units", size, "1", why)
        used = _uses(uses, start, gone)
        if ended is not None:
            inputs.choice(ended, "ended", ("yes", "no"))
        schedule.by_use(used, edits, last, ended == "yes")
    else:
        if life_months is not None:
            months = _whole(life_months, "life_months")
            sheet.given("n1", "使用寿命(月)", "useful life, months", months, "periods", why)
        schedule.by_time(start, life_months, edits, ends, by)
    charges = [f"A{k}" for k in range(1, schedule.count + 1)]
    losses = [f"I{j}" for j in range(2, schedule.estimate + 1) if f"I{j}" in schedule.losses]
    sheet.step("accumulated", "累计摊销", "amortised in all", total(charges), "fen", CAS_6)
    sheet.step("impaired", "计入的减值损失", "impairment losses taken", total(losses), "fen", CAS_8)
    sheet.step(
        "carrying", "账面价值", "carrying amount", "C - accumulated - impaired", "fen", CAS_6
    )
    sheet.note(
        "自可供使用当月起摊销，处置当月不再摊销；估计变更采用未来适用法。",
        "Charged from the month in which it is available for use, and not in that of disposal; a change of"
        " estimate works forward only.",
    )
    if chosen == "indefinite":
        sheet.note(
            "使用寿命不确定的数据资源不摊销，至少每年末进行减值测试。",
            "A data resource of indefinite life is not amortised; it is tested for impairment at least at"
            " each year end.",
        )
    outputs = (*charges, "accumulated", "impaired", "carrying")
    return sheet.figure("amortisation", VERSION, "accumulated", outputs)


def _wanted(model: str, given: Mapping[str, Any]) -> None:
    """Raise InputError for what a model needs and has not, and for what belongs to another one."""
    needs = {
        "straight_line": ("life_months",),
        "by_use": ("planned_units", "uses"),
        "indefinite": (),
    }[model]
    may = ("ended",) if model == "by_use" else ()
    problems = [(key, "is missing") for key in needs if given[key] is None]
    problems += [
        (key, f"does not belong to {model}")
        for key, value in given.items()
        if value is not None and key not in (*needs, *may)
    ]
    if problems:
        raise InputError.of(problems)


def _whole(value: object, field: str) -> int:
    months = inputs.number(value, field, least=1, most=1200)
    if months.denominator != 1:
        raise InputError(field, "must be a whole number of months")
    return int(months)


def _changes(given: Any, model: str, start: int, gone: int | None) -> list[dict[str, Any]]:
    """The changes of estimates, checked and with the month's number as ``at``."""
    size = "planned_units" if model == "by_use" else "life_months"
    made, problems = list[dict[str, Any]](), list[tuple[str, str]]()
    for k, one in enumerate([] if given is None else inputs.sequence(given, "changes", 1, 50)):
        where = f"changes[{k}]"
        with inputs.gathering(problems):
            may = ("residual_fen", size, "impairment_fen")
            entry = dict(inputs.mapping(one, where, ("from", "basis"), may))
            entry["at"] = month_number(entry["from"], f"{where}.from")
            inputs.text(entry["basis"], f"{where}.basis")
            if not set(may) & set(entry):
                raise InputError(where, f"changes nothing: state one of {', '.join(may)}")
            if entry["at"] <= (made[-1]["at"] if made else start):
                raise InputError(f"{where}.from", "must be later than the estimate before it")
            if gone is not None and entry["at"] >= gone:
                raise InputError(f"{where}.from", "is that of disposal or later")
            for key in ("residual_fen", "impairment_fen"):
                if key in entry:
                    inputs.money(entry[key], f"{where}.{key}", 0)
            if size in entry and size == "life_months":
                entry[size] = _whole(entry[size], f"{where}.{size}")
            elif size in entry:
                entry[size] = inputs.number(entry[size], f"{where}.{size}", above=0)
            entry["size"], entry["where"] = entry.get(size), where
            made.append(entry)
    if problems:
        raise InputError.of(problems)
    return made


def _uses(given: Any, start: int, gone: int | None) -> list[tuple[int, Fraction]]:
    """The months of use with their units, in order."""
    made, problems = list[tuple[int, Fraction]](), list[tuple[str, str]]()
    for k, one in enumerate(inputs.sequence(given, "uses")):
        where = f"uses[{k}]"
        with inputs.gathering(problems):
            entry = inputs.mapping(one, where, ("month", "units"))
            month = month_number(entry["month"], f"{where}.month")
            units = inputs.number(entry["units"], f"{where}.units", least=0)
            if month < start or (made and month <= made[-1][0]):
                raise InputError(
                    f"{where}.month", "must be later than the one before it, none before use began"
                )
            if gone is not None and month >= gone:
                raise InputError(
                    f"{where}.month", "is that of disposal or later, when nothing is charged"
                )
            made.append((month, units))
    if problems:
        raise InputError.of(problems)
    return made


class _Schedule:
    """The periods of a schedule as steps: what was amortised, the charge, what is still carried."""

    def __init__(self, sheet: Worksheet) -> None:
        self.sheet, self.count, self.estimate, self.losses = sheet, 0, 0, set[str]()
        self.base, self.residual, self.before, self.carried = "C", "R1", "", "C"

    def by_time(
        self, start: int, life: int | None, edits: list[dict[str, Any]], ends: int | None, by: str
    ) -> None:
        """Charge the months of each estimate, in periods that end with the year or with the month."""
        edits = [one for one in edits if ends is None or one["at"] < ends]
        bounds = [start, *(one["at"] for one in edits)]
        for j, begin in enumerate(bounds):
            if j:
                spent = begin - bounds[j - 1]
                stated = edits[j - 1]["size"]
                if stated is None and life is not None and life <= spent:
                    raise InputError(
                        f"{edits[j - 1]['where']}.from", "is after the end of the useful life"
                    )
                kept = None if life is None else f"n{j} - {spent}"
                life = stated if stated is not None else None if life is None else life - spent
                self.change(edits[j - 1], kept, ("剩余寿命(月)", "months left", "periods"))
            self.begin(life is not None)
            if life is None:
                continue
            stop = begin + life
            for month in (bounds[j + 1] if j + 1 < len(bounds) else None, ends):
                stop = stop if month is None else min(stop, month)
            at = begin
            while at < stop:
                to = min(stop, at + 1 if by == "month" else (at // 12 + 1) * 12)
                n = f"n{self.estimate}"
                formula = f"round_half_up(D{self.estimate} * {to - begin} / {n})"
                self.period(at, to - 1, formula)
                at = to

    def by_use(
        self,
        uses: list[tuple[int, Fraction]],
        edits: list[dict[str, Any]],
        last: int | None,
        rest: bool,
    ) -> None:
        """Charge each month's units; the last takes the rest where use has ended."""
        self.begin(True)
        sheet, total, waiting = self.sheet, "", list(edits)
        shown = [use for use in uses if last is None or use[0] <= last]
        for k, (month, units) in enumerate(shown, start=1):
            while waiting and waiting[0]["at"] <= month:
                edit = waiting.pop(0)
                kept = f"n{self.estimate} - {total}" if total else f"n{self.estimate}"
                self.change(edit, kept, ("剩余计划使用量", "planned units left", "1"))
                self.begin(True)
                total = ""
            told = f"{_month(month)} 使用量", f"units used in {_month(month)}"
            sheet.given(f"u{k}", *told, units, "1", FORM)
            formula = f"{total} + u{k}" if total else f"u{k}"
            sheet.step(f"U{k}", "累计使用量", "units used so far", formula, "1", CAS_6)
            total, n = f"U{k}", f"n{self.estimate}"
            ratio = f"round_half_up(D{self.estimate} * min(U{k}, {n}) / {n})"
            self.period(month, month, f"D{self.estimate}" if rest and k == len(shown) else ratio)
        for edit in waiting:
            if last is None or edit["at"] <= last:
                kept = f"n{self.estimate} - {total}" if total else f"n{self.estimate}"
                self.change(edit, kept, ("剩余计划使用量", "planned units left", "1"))
                self.begin(True)
                total = ""

    def begin(self, finite: bool) -> None:
        """Begin an estimate: what is to be amortised under it."""
        self.estimate += 1
        self.before = ""
        if finite:
            formula = f"max(0, {self.base} - {self.residual})"
            label = "应摊销金额", "depreciable amount"
            self.sheet.step(f"D{self.estimate}", *label, formula, "fen", CAS_6)

    def change(self, edit: Mapping[str, Any], kept: str | None, size: tuple[str, str, str]) -> None:
        """Write down what changes with the next estimate, and the base it begins from."""
        j, sheet, why = self.estimate + 1, self.sheet, edit["basis"]
        formula = self.carried
        if "impairment_fen" in edit:
            label = f"{edit['from']} 减值损失", f"impairment loss of {edit['from']}"
            sheet.given(f"I{j}", *label, edit["impairment_fen"], "fen", why)
            self.losses.add(f"I{j}")
            formula = f"{self.carried} - I{j}"
        label = f"{edit['from']} 起的账面价值", f"carrying amount from {edit['from']}"
        base = sheet.step(f"base{j}", *label, formula, "fen", CAS_6)
        if base < 0:
            raise InputError(
                f"{edit['where']}.impairment_fen", "is more than what is still carried"
            )
        self.base = self.carried = f"base{j}"
        if "residual_fen" in edit:
            self.residual = f"R{j}"
            sheet.given(f"R{j}", "残值", "residual value", edit["residual_fen"], "fen", why)
        zh, en, unit = size
        if edit["size"] is not None:
            sheet.given(f"n{j}", zh, en, edit["size"], unit, why)
        elif kept is not None and sheet.step(f"n{j}", zh, en, kept, unit, CAS_6) <= 0:
            raise InputError(
                f"{edit['where']}.from", "finds no planned units left: state those to come"
            )

    def period(self, first: int, last: int, formula: str) -> None:
        """One period: amortised so far under this estimate, the charge, the carrying amount."""
        self.count += 1
        k, sheet = self.count, self.sheet
        if k > MAX_PERIODS:
            raise InputError("by", f"gives more than {MAX_PERIODS} periods: choose year")
        when = _month(first) if first == last else f"{_month(first)}至{_month(last)}"
        told = when.replace("至", " to ")
        label = f"{when} 累计应摊销", f"due by the end of {told}"
        sheet.step(f"T{k}", *label, formula, "fen", f"{CAS_6}; 累计后舍入: {OURS}", TO_THE_FEN)
        charge = f"T{k} - {self.before}" if self.before else f"T{k}"
        sheet.step(f"A{k}", f"{when} 摊销额", f"charge of {told}", charge, "fen", CAS_6)
        label = f"{_month(last)} 末账面价值", f"carrying amount at the end of {_month(last)}"
        sheet.step(f"B{k}", *label, f"{self.base} - T{k}", "fen", CAS_6)
        self.before, self.carried = f"T{k}", f"B{k}"


_BY_TIME, _BY_USE = ("straight_line", "indefinite"), ("by_use",)
_MONTHS = Field("month", "text", "月份(2026-03)", "month, 2026-03")
_CHANGE = (
    Field("from", "text", "自(2026-03)", "from month, 2026-03"),
    money("residual", "残值", "residual value", optional=True),
    Field("life_months", "integer", "剩余寿命(月)", "months left", "periods", "1 to 1200", optional=True,
          only=_BY_TIME),
    factor("planned_units", "剩余计划使用量", "planned units left", optional=True, only=_BY_USE),
    money("impairment", "减值损失", "impairment loss", optional=True),
    BASIS,
)  # fmt: skip
_AMORTISATION = (
    Field("model", "choice", "摊销方法", "how it is amortised", choices=tuple(LIVES)),
    money("cost", "成本", "cost"),
    money("residual", "残值", "residual value"),
    Field("residual_basis", "text", "残值依据(残值大于0时)", "ground of a residual value above 0",
          optional=True),
    Field("available_from", "text", "可供使用月份(2026-03)", "available from month, 2026-03"),
    Field("life_months", "integer", "使用寿命(月)", "useful life, months", "periods", "1 to 1200",
          optional=True, only=("straight_line",)),
    factor("planned_units", "计划使用量", "planned units", optional=True, only=_BY_USE),
    Field("uses", "list", "各月使用量", "units used, by month", bounds="1 to 200", optional=True,
          only=_BY_USE, fields=(_MONTHS, factor("units", "使用量", "units", ">= 0"))),
    Field("ended", "choice", "使用已结束(末期承担余额)", "use has ended: the last takes the rest",
          choices=("yes", "no"), optional=True, only=_BY_USE),
    Field("changes", "list", "估计变更与减值(未来适用)", "changes of estimate, impairments; forward only",
          bounds="1 to 50", optional=True, fields=_CHANGE),
    Field("disposed_in", "text", "处置月份(2026-03)", "month of disposal, 2026-03", optional=True),
    Field("until", "text", "列示至(2026-03)", "last month shown, 2026-03", optional=True),
    Field("by", "choice", "按年或按月列示", "by year or by month", choices=("year", "month"), optional=True,
          only=_BY_TIME),
    BASIS,
    CURRENCY,
)  # fmt: skip

DESCRIPTIONS: dict[str, Description] = {
    "amortisation": Description(
        "数据资源摊销", "amortisation of a data resource",
        "T_k = round(D * m_k / n); A_k = T_k - T_(k-1); D = max(0, base - residual)",
        CAS_6, VERSION, _AMORTISATION),
}  # fmt: skip
COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "amortisation": lambda given: amortise(**given),
}
