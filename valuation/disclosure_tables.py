"""The two disclosure tables of 财会〔2023〕11号 as data: columns, rows, formulas, checks, further items.

Labels in Chinese are as the tables print them; English ones and ids are ours. The tables were read in two
note templates of an audit firm, not in the ministry's own print (found); each check in formulas for the
same tables (found); what else is to be disclosed by subject, in our words.
"""

from dataclasses import dataclass

RULE = "财会〔2023〕11号 企业数据资源相关会计处理暂行规定 (found 已读于附注模版)"
OURS = "本系统约定 ours"


@dataclass(frozen=True)
class Column:
    """A column of amounts; the total is the sum of the others."""

    id: str
    zh: str
    en: str


@dataclass(frozen=True)
class Row:
    """A row: its id, labels and kind; `of` names the row it is a part of, `plus` and `minus` what it is.

    A section has no amounts. A row with parts is their sum, unless stated.
    """

    id: str
    zh: str
    en: str
    kind: str
    of: str = ""
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()

    @property
    def level(self) -> int:
        """How far it is set in: 0 a section, 1 its rows, 2 their parts."""
        return 0 if self.kind == "section" else 2 if self.of else 1


@dataclass(frozen=True)
class Table:
    """A disclosure table: names, columns without the total, rows, labels that vary, what else is told."""

    id: str
    zh: str
    en: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    variants: dict[str, str]
    further: dict[str, tuple[str, str]]
    whole: tuple[str, str, str]  # the key of the amounts the totals are held against, and its names
    within: tuple[str, ...]  # rows whose totals are held against them

    def row(self, name: str) -> Row:
        """The row of an id."""
        return next(row for row in self.rows if row.id == name)

    def parts(self, name: str) -> tuple[str, ...]:
        """The rows that are parts of a row."""
        return tuple(row.id for row in self.rows if row.of == name)

    def label(self, row: Row, template: str) -> str:
        """A row's Chinese label in a template, ``listed`` or ``state_owned``."""
        return self.variants.get(row.id, row.zh) if template == "state_owned" else row.zh


TOTAL = Column("total", "合计", "total")
TEMPLATES = {
    "listed": ("上市公司模版", "listed company's template"),
    "state_owned": ("国有企业模版", "state-owned enterprise's template"),
}


def _section(
    name: str, zh: str, en: str, increases: tuple[Row, ...], decreases: tuple[Row, ...]
) -> tuple[Row, ...]:
    """A section that rolls forward: opening + increase − decrease = closing."""
    opening, plus, minus = f"{name}_open", f"{name}_inc", f"{name}_dec"
    return (
        Row(name, zh, en, "section"),
        Row(opening, "1.期初余额", "1. Opening balance", "opening"),
        Row(plus, "2.本期增加金额", "2. Increase in the period", "increase"),
        *increases,
        Row(minus, "3.本期减少金额", "3. Decrease in the period", "decrease"),
        *decreases,
        Row(f"{name}_close", "4.期末余额", "4. Closing balance", "closing",
            plus=(opening, plus), minus=(minus,)),
    )  # fmt: skip


def _carrying(zh: str, less: tuple[str, ...]) -> tuple[Row, ...]:
    """The last section: what is carried at the end and at the start of the period."""
    made = [
        Row(f"carrying_{at}", label, en, "derived",
            plus=(f"gross_{at}",), minus=tuple(f"{one}_{at}" for one in less))
        for at, label, en in (
            ("close", "1.期末账面价值", "1. At end of period"),
            ("open", "2.期初账面价值", "2. At start of period"),
        )
    ]  # fmt: skip
    number = {2: "IV", 1: "III"}[len(less)]
    return (Row("carrying", zh, f"{number}. Carrying amount", "section"), *made)


def _part(of: str, kind: str, name: str, zh: str, en: str) -> Row:
    return Row(f"{of}_{name}", zh, en, kind, of)


def _amortised_or_gross_decrease(of: str) -> tuple[Row, ...]:
    return (
        _part(of, "decrease", "disposal", "其中：处置", "of which: disposed of"),
        _part(of, "decrease", "derecognised", "失效且终止确认", "lapsed and derecognised"),
        _part(of, "decrease", "other", "其他减少", "other decrease"),
    )


_APPRAISAL = (
    "评估结果对财务报表具有重要影响的：评估依据的信息来源、假设和限制条件、方法选择、各重要参数的来源、"
    "分析、比较与测算过程",
    "where an appraisal matters: sources, assumptions and limits, choice of method, each parameter",
)
_RESTRICTED = (
    "所有权或使用权受限、用于担保的数据资源：账面价值及当期摊销",
    "restricted or pledged items: carrying amount, amortisation of the period",
)

TABLES: dict[str, Table] = {
    "intangible": Table(
        "intangible", "确认为无形资产的数据资源", "data resources recognised as intangible assets",
        (Column("purchased", "外购的数据资源无形资产", "purchased"),
         Column("developed", "自行开发的数据资源无形资产", "developed in-house"),
         Column("other", "其他方式取得的数据资源无形资产", "acquired otherwise")),
        (
            *_section("gross", "一、账面原值", "I. Gross carrying amount", (
                _part("gross_inc", "increase", "purchase", "其中：购入", "of which: purchased"),
                _part("gross_inc", "increase", "development", "内部研发", "developed internally"),
                _part("gross_inc", "increase", "other", "其他增加", "other increase"),
            ), _amortised_or_gross_decrease("gross_dec")),
            *_section("amort", "二、累计摊销", "II. Accumulated amortisation", (),
                      _amortised_or_gross_decrease("amort_dec")),
            *_section("impair", "三、减值准备", "III. Impairment", (), ()),
            *_carrying("四、账面价值", ("amort", "impair")),
        ),
        {},
        {
            "useful_life": ("使用寿命有限的：估计情况和摊销方法；不确定的：账面价值及判断依据",
                            "finite life: estimate and method; indefinite: carrying amount and why"),
            "estimate_change": ("摊销期、摊销方法或残值变更的内容、原因及影响",
                                "change of period, method or residual value: reason and effect"),
            "material_item": ("单项重要数据资源的内容、账面价值和剩余摊销期限",
                              "each single item that matters: content, carrying amount, period left"),
            "restricted_or_pledged": _RESTRICTED,
            "rd_amounts": ("计入当期损益和确认为无形资产的研究开发支出",
                           "development spending expensed and capitalised"),
            "impairment": ("按第8号准则与减值有关的信息", "impairment information under CAS 8"),
            "held_for_sale": ("按第42号准则划分为持有待售的数据资源", "items held for sale under CAS 42"),
            "appraisal": _APPRAISAL,
            "no_appraisal_booking": ("评估金额未直接用于入账或调整账面（财会〔2025〕33号）",
                                     "appraised amounts were not used to book or adjust"),
            "indefinite_test": ("使用寿命不确定的数据资源至少每年末减值测试的情况",
                                "yearly impairment test of items of indefinite life"),
            "no_recapitalising": ("2024年1月1日前已费用化的支出未再资本化",
                                  "amounts expensed before 2024-01-01 were not capitalised again"),
            "balance_sheet_line": ("存货、无形资产、开发支出项下“其中：数据资源”",
                                   "balance sheet lines “of which: data resources” (from memory)"),
        },
        ("all_intangible", "全部无形资产", "all intangible assets"),
        ("gross_open", "gross_close", "impair_open", "impair_close"),
    ),
    "inventory": Table(
        "inventory", "确认为存货的数据资源", "data resources recognised as inventories",
        (Column("purchased", "外购的数据资源存货", "purchased"),
         Column("processed", "自行加工的数据资源存货", "processed in-house"),
         Column("other", "其他方式取得的数据资源存货", "acquired otherwise")),
        (
            *_section("gross", "一、账面原值", "I. Gross carrying amount", (
                _part("gross_inc", "increase", "purchase", "其中：购入", "of which: purchased"),
                _part("gross_inc", "increase", "collection", "采集加工", "collected and processed"),
                _part("gross_inc", "increase", "other", "其他增加", "other increase"),
            ), (
                _part("gross_dec", "decrease", "sale", "其中：出售", "of which: sold"),
                _part("gross_dec", "decrease", "derecognised", "失效且终止确认", "lapsed and derecognised"),
                _part("gross_dec", "decrease", "other", "其他减少", "other decrease"),
            )),
            *_section("writedown", "二、存货跌价准备", "II. Write-down to net realisable value", (), (
                _part("writedown_dec", "decrease", "reversal", "其中：转回", "of which: reversed"),
                _part("writedown_dec", "decrease", "writeoff", "转销", "written off"),
            )),
            *_carrying("三、账面价值", ("writedown",)),
        ),
        {"writedown": "二、跌价准备"},
        {
            "cost_flow": ("发出数据资源存货成本所采用的方法", "method for the cost of inventories issued"),
            "nrv": ("可变现净值的确定依据、跌价准备的计提方法、当期计提和转回的金额",
                    "basis of net realisable value, how write-downs are made, made and reversed"),
            "material_item": ("单项重要数据资源存货的内容、账面价值和可变现净值",
                              "each single item that matters: content, carrying amount, NRV"),
            "restricted_or_pledged": ("所有权受限、用于担保的数据资源存货及其账面价值",
                                      "restricted or pledged items and their carrying amount"),
            "appraisal": _APPRAISAL,
        },
        ("inventory_note", "存货分类表“数据资源”行", "the line 数据资源 of the table of inventories"),
        ("gross_open", "gross_close", "writedown_open", "writedown_close"),
    ),
}  # fmt: skip

CHECKS = {
    "roll_forward": ("error", "期末 = 期初 + 增加 − 减少", "closing = opening + increase − decrease"),
    "carrying": ("error", "账面价值 = 原值 − 累计摊销 − 减值(跌价)准备",
                 "carrying amount = gross − amortisation − impairment"),
    "total": ("error", "合计 = 各列之和", "total = the sum of the columns"),
    "of_which": ("warning", "其中各项之和 ≤ 该项", "the parts sum to no more than their row"),
    "incomplete": ("notice", "其中各项之和小于该项，明细不全", "the parts sum to less than their row"),
    "within": ("error", "不超过全部无形资产", "no more than all intangible assets"),
    "tie": ("error", "等于存货分类表的数据资源行", "equal to the line 数据资源 of the inventories"),
    "comparative": ("error", "期初 = 上期期末", "opening = closing of the period before"),
    "negative": ("error", "余额不为负", "no balance is negative"),
    "item": ("error", "单项余额不为负", "no balance of an item is negative"),
}  # fmt: skip
"""check → severity, what holds in Chinese and English. `negative`, `item` and `comparative` are ours."""
SEVERITIES = {
    "error": ("错误", "error"),
    "warning": ("警告", "warning"),
    "notice": ("提示", "notice"),
}
