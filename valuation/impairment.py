"""What an impairment takes off a data resource: a loss of an intangible, a write-down of an inventory.

Intangible: loss = max(0, carrying − max(fair value − costs of disposal, value in use)), never reversed.
Inventory: write-down = max(0, cost − net realisable value), reversed within what was written down. A fair
value may come from an appraisal here, since it can only lower what is booked (财会〔2025〕33号).
Sources: 企业会计准则第1 and 8号, from memory.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.accounting import CAS_1, CAS_8, TO_THE_FEN
from valuation.fields import BASIS, CURRENCY, Description, Field, factor, money
from valuation.worksheet import Figure, Worksheet

VERSION = "1"

HELD = {
    "intangible": ("无形资产", "intangible asset"),
    "inventory": ("存货", "inventory"),
}
FAIR_VALUES = {
    "agreement": ("销售协议价格", "price of a sales agreement"),
    "market": ("活跃市场价格", "price of an active market"),
    "appraisal": ("评估报告", "appraisal"),
    "estimate": ("其他可获取的最佳信息", "best information available otherwise"),
}


def impair(
    *,
    model: str,
    carrying_fen: int | None = None,
    fair_value_fen: int | None = None,
    fair_value_from: str | None = None,
    disposal_cost_fen: int | None = None,
    value_in_use_fen: int | None = None,
    cash_flows: Sequence[Mapping[str, Any]] | None = None,
    discount_rate: Any = None,
    cost_fen: int | None = None,
    price_fen: int | None = None,
    completion_fen: int | None = None,
    selling_fen: int | None = None,
    written_down_fen: int | None = None,
    reversal_fen: int | None = None,
    basis: str,
) -> Figure:
    """Return the impairment loss of an intangible asset, or the change of a write-down, in fen.

    Intangible (CAS 8): recoverable = max(fair value − costs of disposal, value in use), loss = max(0,
    carrying − recoverable), which is never reversed. Value in use is stated, or Σ F_t / (1 + r)^t of cash
    flows, rounded half up. One of the two is enough where the other is unknown.
    Inventory (CAS 1): NRV = price − costs to complete − costs and taxes of the sale; required = max(0,
    cost − max(0, NRV)); change = required − what was written down before: a reversal never passes that.

    Parameters
    ----------
    model : a key of `HELD`
    carrying_fen, fair_value_fen, disposal_cost_fen, value_in_use_fen : int >= 0, of ``intangible``;
        `fair_value_from` is a key of `FAIR_VALUES`; `cash_flows` ``[{"amount_fen": int}]``, 1 to 60, and
        `discount_rate` from 0 to below 1 stand instead of the value in use
    cost_fen, price_fen, completion_fen, selling_fen, written_down_fen : int >= 0, of ``inventory``
    reversal_fen : what the books mean to take back: refused for an intangible asset, and beyond what may be
        reversed of an inventory

    Raises
    ------
    InputError : names the field; for ``reversal_fen`` of an intangible asset, since CAS 8 forbids it

    Notes
    -----
    A fair value may come from an appraisal: it lowers the books, never raises them, and is disclosed.

    Examples
    --------
    >>> figure = impair(model="intangible", carrying_fen=80_00, fair_value_fen=70_00,
    ...     disposal_cost_fen=5_00, fair_value_from="market", value_in_use_fen=60_00, basis="年末测试")
    >>> figure.display(), str(figure["carrying_after"].value)
    ('15.00', '6500')
    >>> figure = impair(model="inventory", cost_fen=100_00, price_fen=99_00, completion_fen=0,
    ...     selling_fen=4_00, written_down_fen=20_00, basis="合同价")
    >>> figure.display()
    '-15.00'
    """
    chosen, why = inputs.choice(model, "model", HELD), inputs.text(basis, "basis")
    given = {
        "carrying_fen": carrying_fen, "fair_value_fen": fair_value_fen, "fair_value_from": fair_value_from,
        "disposal_cost_fen": disposal_cost_fen, "value_in_use_fen": value_in_use_fen,
        "cash_flows": cash_flows, "discount_rate": discount_rate, "cost_fen": cost_fen,
        "price_fen": price_fen, "completion_fen": completion_fen, "selling_fen": selling_fen,
        "written_down_fen": written_down_fen,
    }  # fmt: skip
    own = (
        [key for key, *_ in _INTANGIBLE]
        if chosen == "intangible"
        else [key for key, *_ in _INVENTORY]
    )
    needs = ["carrying_fen"] if chosen == "intangible" else own
    problems = [(key, "is missing") for key in needs if given[key] is None]
    problems += [
        (key, f"does not belong to {chosen}")
        for key, value in given.items()
        if value is not None and key not in own
    ]
    if problems:
        raise InputError.of(problems)
    stated = {key: given[key] for key in own if given[key] is not None}
    sheet = Worksheet()
    reversal = None if reversal_fen is None else inputs.money(reversal_fen, "reversal_fen", 0)
    if chosen == "intangible":
        if reversal:
            told = "cannot be taken back: a loss of an intangible asset is never reversed (CAS 8)"
            raise InputError("reversal_fen", told)
        return _impair_intangible(sheet, stated, why)
    return _write_down(sheet, stated, why, reversal)


_INTANGIBLE = (
    ("carrying_fen", "carrying", "账面价值", "carrying amount"),
    ("fair_value_fen", "FV", "公允价值", "fair value"),
    ("fair_value_from", "", "公允价值来源", "where the fair value is from"),
    ("disposal_cost_fen", "CD", "处置费用", "costs of disposal"),
    ("value_in_use_fen", "VIU", "使用价值", "value in use"),
    (
        "cash_flows",
        "",
        "预计未来现金流量(代替使用价值)",
        "cash flows expected, instead of the value in use",
    ),
    ("discount_rate", "r", "折现率", "discount rate"),
)
_INVENTORY = (
    ("cost_fen", "cost", "存货成本", "cost of the inventory"),
    ("price_fen", "price", "估计售价", "estimated selling price"),
    ("completion_fen", "completion", "至完工将要发生的成本", "costs to complete"),
    ("selling_fen", "selling", "估计的销售费用和相关税费", "costs and taxes of the sale"),
    ("written_down_fen", "before", "已计提的跌价准备", "written down before"),
)


def _read(stated: Mapping[str, Any]) -> tuple[dict[str, int], str, list[int], Fraction]:
    """What an impairment test states: amounts, where the fair value is from, cash flows and their rate."""
    problems: list[tuple[str, str]] = []
    amounts, flows = dict[str, int](), list[int]()
    source, rate = "", Fraction(0)
    for key, *_ in _INTANGIBLE:
        if key.endswith("_fen") and key in stated:
            with inputs.gathering(problems):
                amounts[key] = inputs.money(stated[key], key, 0)
    if "fair_value_from" in stated:
        with inputs.gathering(problems):
            source = inputs.choice(stated["fair_value_from"], "fair_value_from", FAIR_VALUES)
    if "cash_flows" in stated:
        with inputs.gathering(problems):
            for k, one in enumerate(inputs.sequence(stated["cash_flows"], "cash_flows", 1, 60)):
                where = f"cash_flows[{k}]"
                with inputs.gathering(problems):
                    entry = inputs.mapping(one, where, ("amount_fen",))
                    flows.append(inputs.money(entry["amount_fen"], f"{where}.amount_fen"))
    if "discount_rate" in stated:
        with inputs.gathering(problems):
            rate = inputs.number(stated["discount_rate"], "discount_rate", least=0, below=1)
    problems += _half_stated(set(stated))
    if problems:
        raise InputError.of(problems)
    return amounts, source, flows, rate


def _half_stated(stated: set[str]) -> list[tuple[str, str]]:
    """What belongs to something stated and is missing, or is stated twice."""
    problems = []
    fair = {"fair_value_fen", "fair_value_from", "disposal_cost_fen"}
    if fair & stated:
        problems += [(key, "is missing") for key in sorted(fair - stated)]
    if ("cash_flows" in stated) != ("discount_rate" in stated):
        key = "discount_rate" if "cash_flows" in stated else "cash_flows"
        problems.append((key, "is missing"))
    if {"cash_flows", "value_in_use_fen"} <= stated:
        problems.append(("value_in_use_fen", "is given twice, see cash_flows"))
    if not (fair | {"value_in_use_fen", "cash_flows", "discount_rate"}) & stated:
        told = "is missing: state the fair value with its costs of disposal, or the value in use"
        problems.append(("fair_value_fen", told))
    return problems


def _impair_intangible(sheet: Worksheet, stated: Mapping[str, Any], why: str) -> Figure:
    """The loss, the recoverable amount it follows from, and what is carried after it."""
    amounts, source, flows, rate = _read(stated)
    for key, symbol, zh, en in _INTANGIBLE:
        if key in amounts:
            origin = (
                f"{FAIR_VALUES[source][0]} {FAIR_VALUES[source][1]}"
                if key == "fair_value_fen"
                else why
            )
            sheet.given(symbol, zh, en, amounts[key], "fen", origin)
    recoverable = []
    if "fair_value_fen" in amounts:
        label = "公允价值减处置费用后的净额", "fair value less costs of disposal"
        sheet.step("FVLCD", *label, "FV - CD", "fen", CAS_8)
        recoverable.append("FVLCD")
    if flows:
        sheet.given("r", "折现率", "discount rate", rate, "per_period", why)
        for t, flow in enumerate(flows, start=1):
            name = f"第{t}期现金流量", f"cash flow of period {t}"
            sheet.given(f"F{t}", *name, flow, "fen", why)
        present = ", ".join(f"F{t} / (1 + r) ** {t}" for t in range(1, len(flows) + 1))
        formula = f"round_half_up(sum({present}))"
        sheet.step("VIU", "使用价值", "value in use", formula, "fen", CAS_8, TO_THE_FEN)
    if flows or "value_in_use_fen" in amounts:
        recoverable.append("VIU")
    formula = f"max({', '.join(recoverable)}, 0)"
    sheet.step("recoverable", "可收回金额", "recoverable amount", formula, "fen", CAS_8)
    sheet.step(
        "loss", "减值损失", "impairment loss", "max(0, carrying - recoverable)", "fen", CAS_8
    )
    label = "减值后账面价值(以后摊销的基础)", "carried after it, the base of later amortisation"
    sheet.step("carrying_after", *label, "carrying - loss", "fen", CAS_8)
    sheet.note(
        "无形资产减值损失一经确认，在以后会计期间不得转回。",
        "An impairment loss of an intangible asset, once recognised, is never reversed.",
    )
    if source == "appraisal":
        sheet.note(
            "公允价值来自评估：它只能降低、不能提高账面价值，并应当按规定披露评估的依据、假设和方法。",
            "The fair value is from an appraisal: it can lower the books and never raises them; its"
            " sources, assumptions and method are to be disclosed.",
        )
    return sheet.figure("impairment", VERSION, "loss", ("recoverable", "loss", "carrying_after"))


def _write_down(
    sheet: Worksheet, stated: Mapping[str, Any], why: str, reversal: int | None
) -> Figure:
    """The change of the write-down, the write-down that is due, and what is carried after it."""
    problems: list[tuple[str, str]] = []
    for key, symbol, zh, en in _INVENTORY:
        with inputs.gathering(problems):
            sheet.given(symbol, zh, en, inputs.money(stated[key], key, 0), "fen", why)
    if problems:
        raise InputError.of(problems)
    if stated["written_down_fen"] > stated["cost_fen"]:
        raise InputError("written_down_fen", "is more than the cost")
    label = "可变现净值", "net realisable value"
    sheet.step("NRV", *label, "price - completion - selling", "fen", CAS_1)
    label = "应有的跌价准备", "write-down required"
    sheet.step("required", *label, "max(0, cost - max(0, NRV))", "fen", CAS_1)
    label = "本期计提", "written down in the period"
    sheet.step("made", *label, "max(0, required - before)", "fen", CAS_1)
    label = "本期转回(以原已计提金额为限)", "reversed, within what was written down"
    possible = sheet.step("reversed", *label, "max(0, before - required)", "fen", CAS_1)
    sheet.step(
        "change", "跌价准备变动", "change of the write-down", "made - reversed", "fen", CAS_1
    )
    sheet.step("carrying_after", "账面价值", "carried after it", "cost - required", "fen", CAS_1)
    if reversal is not None and reversal > possible:
        told = f"is more than may be reversed: {int(possible)} fen of what was written down"
        raise InputError("reversal_fen", told)
    sheet.note(
        "以前减记的影响因素消失的，在原已计提的跌价准备金额内转回。",
        "Where the cause of a write-down is gone, it is reversed within what was written down.",
    )
    return sheet.figure(
        "impairment",
        VERSION,
        "change",
        ("NRV", "required", "made", "reversed", "change", "carrying_after"),
    )


_IMPAIRMENT = (
    Field("model", "choice", "确认为", "held as", choices=tuple(HELD)),
    *(money(key, zh, en, optional=True, only=("intangible",))
      for key, _, zh, en in _INTANGIBLE if key.endswith("_fen")),
    Field("fair_value_from", "choice", "公允价值来源", "where the fair value is from",
          choices=tuple(FAIR_VALUES), optional=True, only=("intangible",)),
    Field("cash_flows", "list", "预计未来现金流量(代替使用价值)", "cash flows, instead of the value in use",
          bounds="1 to 60", optional=True, only=("intangible",),
          fields=(money("amount", "金额", "amount", ""),)),
    factor("discount_rate", "折现率", "discount rate", ">= 0", optional=True, only=("intangible",)),
    *(money(key, zh, en, optional=True, only=("inventory",)) for key, _, zh, en in _INVENTORY),
    money("reversal", "账上拟转回(无形资产不得转回)", "meant to be reversed (never of an intangible)",
          optional=True),
    BASIS,
    CURRENCY,
)  # fmt: skip

DESCRIPTIONS: dict[str, Description] = {
    "impairment": Description(
        "数据资源减值与跌价", "impairment and write-down of a data resource",
        "loss = max(0, carrying - max(FV - CD, VIU)); change = max(0, cost - NRV) - before",
        f"{CAS_8}; {CAS_1}", VERSION, _IMPAIRMENT),
}  # fmt: skip
COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "impairment": lambda given: impair(**given),
}
