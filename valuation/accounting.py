"""What of a data resource is booked, and at which cost: the recognition test and the cost build-up.

The test (`run`) asks in order: whose it is, what it is for, whether its cost is known, how it came about;
each answer with its grounds. It says where the resource belongs: intangible asset 无形资产, inventory 存货,
development expenditure 开发支出, expensed 费用化, or not recognised. `build_cost` then sums

    cost = Σ (amount − deductible input VAT) of the lines that belong to it

An appraised value is disclosed beside the books and never enters them (财会〔2025〕33号).

Sources: 企业数据资源相关会计处理暂行规定 (财会〔2023〕11号), parts of it read; CAS 1 and CAS 6 from memory.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from valuation import InputError, inputs
from valuation.fields import BASIS, CURRENCY, NAME, Description, Field, money
from valuation.worksheet import Figure, Worksheet

VERSION = "1"
RULE_11 = "财会〔2023〕11号 (found 已读)"
RULE_11_MEMORY = "财会〔2023〕11号 (from memory, to be verified 待核实)"
RULE_33 = "财会〔2025〕33号 (found 已读)"
CAS_1 = "企业会计准则第1号——存货 CAS 1 (from memory, to be verified 待核实)"
CAS_6 = "企业会计准则第6号——无形资产 CAS 6 (from memory, to be verified 待核实)"
CAS_8 = "企业会计准则第8号——资产减值 CAS 8 (from memory, to be verified 待核实)"
OURS = "本系统约定 ours"
TO_THE_FEN = "四舍五入至分 half up to 1 fen"
FORM = "输入 input"

# -- recognition ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """One question of the test: its names, the answers it takes, and the source it stands in."""

    zh: str
    en: str
    answers: tuple[str, ...]
    source: str


_YES_NO = ("yes", "no")
QUESTIONS: dict[str, Question] = {
    "body": Question(
        "会计主体是什么？", "What is the entity?", ("enterprise", "administrative"), RULE_11_MEMORY),
    "controlled": Question(
        "是否由过去的交易或事项形成，并由主体合法拥有或控制？",
        "Does the entity lawfully own or control it, from past transactions or events?", _YES_NO,
        RULE_11_MEMORY),
    "benefits": Question(
        "预期经济利益是否很可能流入？", "Are future economic benefits probable?", _YES_NO, CAS_6),
    "reliable_cost": Question(
        "成本是否能够可靠计量？", "Can its cost be measured reliably?", _YES_NO, CAS_6),
    "expensed_before": Question(
        "2024年1月1日前是否已经费用化计入损益？", "Was it expensed before 2024-01-01?", _YES_NO, RULE_11),
    "purpose": Question(
        "企业使用，还是日常活动中持有以备出售？",
        "Is it used by the entity, or held for sale in the ordinary course?", ("own_use", "for_sale"),
        RULE_11),
    "identifiable": Question(
        "是否可辨认(能够分离，或源自合同性权利、法定权利)？",
        "Is it identifiable (separable, or from contractual or legal rights)?", _YES_NO, CAS_6),
    "origin": Question(
        "如何取得？", "How was it obtained?", ("purchased", "developed", "otherwise"), RULE_11),
    "phase": Question(
        "内部项目处于哪个阶段？", "Which phase is the internal project in?", ("research", "development"),
        CAS_6),
    "feasible": Question(
        "完成并使用或出售在技术上是否可行？", "Is completing it technically feasible?", _YES_NO, CAS_6),
    "intended": Question(
        "是否有完成并使用或出售的意图？", "Is it intended to be completed and used or sold?", _YES_NO,
        CAS_6),
    "useful": Question(
        "能否证明产生经济利益的方式(市场或内部有用性)？",
        "Is it shown how it brings benefits (a market, or usefulness within)?", _YES_NO, CAS_6),
    "resources": Question(
        "是否有足够的技术、财务和其他资源完成并使用或出售？",
        "Are there the technical, financial and other resources to complete it?", _YES_NO, CAS_6),
    "spending_measured": Question(
        "开发阶段的支出是否能够可靠计量？", "Is the spending of development measured reliably?", _YES_NO,
        CAS_6),
    "completed": Question(
        "是否已达到预定用途？", "Is it ready for its intended use?", _YES_NO, CAS_6),
}  # fmt: skip
"""The questions in the order in which they are asked."""

ANSWERS = {
    "yes": ("是", "yes"), "no": ("否", "no"), "enterprise": ("企业", "enterprise"),
    "administrative": ("行政事业单位", "administrative body or public institution"),
    "own_use": ("企业使用", "own use"), "for_sale": ("持有以备出售", "held for sale"),
    "purchased": ("外购", "purchased"), "developed": ("内部研究开发项目", "internal project"),
    "otherwise": ("其他方式", "otherwise"), "research": ("研究阶段", "research"),
    "development": ("开发阶段", "development"),
}  # fmt: skip
CRITERIA = ("feasible", "intended", "useful", "resources", "spending_measured")
"""The five of CAS 6 that development must meet, all of them, to be capitalised."""

CLASSES = {
    "intangible": ("无形资产", "intangible asset"),
    "inventory": ("存货", "inventory"),
    "development": ("开发支出", "development expenditure"),
    "expensed": ("费用化", "expensed"),
    "not_recognised": ("不予确认(可自愿披露)", "not recognised (may be disclosed voluntarily)"),
}
REASONS: dict[str, tuple[str, str, str, str]] = {  # class, Chinese, English, source
    "administrative": (
        "not_recognised", "暂行规定适用于企业；行政事业单位按政府会计准则及其数据资产管理规定处理。",
        "The provisions are for enterprises; an administrative body follows the government's standards.",
        RULE_11_MEMORY),
    "not_controlled": (
        "not_recognised", "未由主体合法拥有或控制，不符合资产的定义。",
        "It is not owned or controlled by the entity, so it is no asset of it.", RULE_11_MEMORY),
    "no_benefits": (
        "not_recognised", "经济利益并非很可能流入，不满足确认条件。",
        "Benefits are not probable, so it is not recognised.", CAS_6),
    "no_reliable_cost": (
        "not_recognised", "成本不能可靠计量，不满足确认条件；评估值不能代替成本。",
        "Its cost cannot be measured reliably: it is not recognised; an appraised value is no substitute.",
        f"{CAS_6}; {RULE_33}"),
    "expensed_before": (
        "expensed", "2024年1月1日前已费用化计入损益的支出不再资本化。",
        "What was expensed before 2024-01-01 is not capitalised again.", RULE_11),
    "for_sale": (
        "inventory", "日常活动中持有、最终目的用于出售，确认为存货。",
        "It is held for sale in the ordinary course: an inventory.", RULE_11),
    "not_identifiable": (
        "expensed", "不可辨认，不符合无形资产定义，支出计入当期损益。",
        "It is not identifiable and so no intangible asset: the spending is expensed.", CAS_6),
    "obtained": (
        "intangible", "企业使用、可辨认、满足确认条件，确认为无形资产。",
        "It is used by the entity, identifiable and meets the conditions: an intangible asset.", RULE_11),
    "research": (
        "expensed", "研究阶段的支出于发生时计入当期损益。",
        "Spending of the research phase is expensed as it arises.", CAS_6),
    "criteria_unmet": (
        "expensed", "开发阶段的五项条件未同时满足，支出计入当期损益。",
        "The five conditions of development are not all met: the spending is expensed.", CAS_6),
    "unfinished": (
        "development", "五项条件同时满足、尚未达到预定用途，在开发支出中归集。",
        "The five conditions are met and it is not yet ready for use: development expenditure.", CAS_6),
    "finished": (
        "intangible", "五项条件同时满足并已达到预定用途，由开发支出转入无形资产。",
        "The five conditions are met and it is ready for use: carried over to intangible assets.", CAS_6),
}  # fmt: skip
_DECIDES: dict[tuple[str, str], str] = {
    ("body", "administrative"): "administrative",
    ("controlled", "no"): "not_controlled",
    ("benefits", "no"): "no_benefits",
    ("reliable_cost", "no"): "no_reliable_cost",
    ("expensed_before", "yes"): "expensed_before",
    ("purpose", "for_sale"): "for_sale",
    ("identifiable", "no"): "not_identifiable",
    ("origin", "purchased"): "obtained",
    ("origin", "otherwise"): "obtained",
    ("phase", "research"): "research",
    ("completed", "no"): "unfinished",
    ("completed", "yes"): "finished",
}


@dataclass(frozen=True)
class Recognition:
    """Where a data resource belongs in the books, why, and by which answers."""

    reason: str
    trail: tuple[dict[str, str], ...]
    document: dict[str, Any]

    @property
    def belongs_to(self) -> str:
        """The class, a key of `CLASSES`."""
        return REASONS[self.reason][0]

    def to_dict(self) -> dict[str, Any]:
        """The result in canonical JSON types."""
        kind, zh, en, source = REASONS[self.reason]
        return {
            "class": {"en": CLASSES[kind][1], "id": kind, "zh": CLASSES[kind][0]},
            "document": self.document,
            "reason": {"en": en, "id": self.reason, "source": source, "zh": zh},
            "trail": list(self.trail),
            "v": 1,
            "version": VERSION,
        }


def run(document: Mapping[str, Any]) -> Recognition:
    """Return where a data resource belongs, from answers with their grounds.

    ``{"subject": text, "answers": {question: {"answer": …, "grounds": text}}}``; the questions and their
    answers stand in `QUESTIONS`. Asked is what the answers before leave open; an answer that decides ends
    the test. Raises InputError that names every answer still missing, and every one that is not known. The
    order of the questions is ours.

    >>> yes = {"answer": "yes", "grounds": "合同"}
    >>> answers = {"body": {"answer": "enterprise", "grounds": "公司"}, "controlled": yes, "benefits": yes,
    ...     "reliable_cost": yes, "expensed_before": {"answer": "no", "grounds": "2025年取得"},
    ...     "purpose": {"answer": "for_sale", "grounds": "销售计划"}}
    >>> run({"subject": "数据集", "answers": answers}).belongs_to
    'inventory'
    >>> del answers["benefits"], answers["purpose"]
    >>> run({"subject": "数据集", "answers": answers})
    Traceback (most recent call last):
    valuation.InputError: answers.benefits: is missing; answers.purpose: is missing
    """
    plain = inputs.in_fen(document)
    entries = inputs.mapping(plain, "", ("subject", "answers"))
    problems = list[tuple[str, str]]()
    with inputs.gathering(problems):
        inputs.text(entries["subject"], "subject")
    given = inputs.mapping(entries["answers"], "answers", (), QUESTIONS)
    answers: dict[str, tuple[str, str]] = {}
    for name, entry in given.items():
        where = f"answers.{name}"
        with inputs.gathering(problems):
            known = inputs.mapping(entry, where, ("answer", "grounds"))
            with inputs.gathering(problems):
                inputs.text(known["grounds"], f"{where}.grounds")
            said = inputs.choice(known["answer"], f"{where}.answer", QUESTIONS[name].answers)
            answers[name] = said, str(known["grounds"])
    reason, asked = _decide({name: said for name, (said, _) in answers.items()})
    problems += [(f"answers.{name}", "is missing") for name in asked if name not in given]
    if problems:
        raise InputError.of(problems)
    trail = [
        {
            "answer": answers[name][0],
            "answer_en": ANSWERS[answers[name][0]][1],
            "answer_zh": ANSWERS[answers[name][0]][0],
            "en": QUESTIONS[name].en,
            "grounds": answers[name][1],
            "question": name,
            "source": QUESTIONS[name].source,
            "zh": QUESTIONS[name].zh,
        }
        for name in asked
    ]
    return Recognition(reason, tuple(trail), plain)


def _decide(answers: Mapping[str, str]) -> tuple[str, list[str]]:
    """The reason, and the questions asked on the way to it; what is not answered is passed over."""
    asked = list[str]()
    for name in QUESTIONS:
        if name in ("identifiable", "origin") and answers.get("purpose") is None:
            continue  # it depends on an answer that is missing itself
        if name in ("phase", *CRITERIA, "completed") and answers.get("origin") is None:
            continue
        if name in (*CRITERIA, "completed") and answers.get("phase") is None:
            continue
        asked.append(name)
        decided = _DECIDES.get((name, answers.get(name, "")))
        if name == CRITERIA[-1] and any(answers.get(one) == "no" for one in CRITERIA):
            decided = "criteria_unmet"
        if decided:
            return decided, asked
    return "finished", asked


def recompute(data: Mapping[str, Any]) -> Recognition:
    """Return the result of `to_dict` if it follows from its answers; else InputError names what differs.

    >>> answers = {"body": {"answer": "administrative", "grounds": "机关"}}
    >>> data = run({"subject": "x", "answers": answers}).to_dict()
    >>> recompute(data).belongs_to
    'not_recognised'
    >>> recompute({**data, "class": {"en": "inventory", "id": "inventory", "zh": "存货"}})
    Traceback (most recent call last):
    valuation.InputError: class: differs from what follows from the document
    """
    keys = ("class", "document", "reason", "trail", "v", "version")
    entries = inputs.mapping(data, "", keys)
    own = run(inputs.mapping(entries["document"], "document", ("subject", "answers")))
    inputs.differing(own.to_dict(), entries)
    return own


# -- cost ----------------------------------------------------------------------------------------

PROCESSING = {
    "desensitising": ("脱敏", "desensitising"),
    "cleaning": ("清洗", "cleaning"),
    "labelling": ("标注", "labelling"),
    "integrating": ("整合", "integrating"),
    "analysing": ("分析", "analysing"),
    "visualising": ("可视化", "visualising"),
}
ASSURING = {
    "title_verification": ("数据权属鉴证", "title verification"),
    "quality_evaluation": ("质量评估", "quality evaluation"),
    "registration_settlement": ("登记结算", "registration and settlement"),
    "security_management": ("安全管理", "security management"),
}
BUYING = {"price": ("购买价款", "purchase price"), "taxes": ("相关税费", "taxes")}
DEVELOPING = {
    "labour": ("开发人员薪酬", "labour of development"),
    "materials": ("材料与数据采购", "materials and data bought"),
    "services": ("外购服务", "services bought"),
    "depreciation": ("折旧与摊销", "depreciation and amortisation"),
    "registration_fee": ("注册费", "registration fees"),
    "borrowing": ("资本化的借款费用", "borrowing costs capitalised"),
}
COSTS: dict[str, tuple[str, str, Mapping[str, tuple[str, str]], str]] = {
    "purchased_intangible": ("外购的无形资产", "intangible asset, purchased",
                             {**BUYING, **PROCESSING, **ASSURING}, RULE_11),
    "developed_intangible": ("自行开发的无形资产(开发阶段)", "intangible asset, developed in-house",
                             {**DEVELOPING, **PROCESSING, **ASSURING}, CAS_6),
    "purchased_inventory": ("外购的存货", "inventory, purchased",
                            {**BUYING, "insurance": ("保险费", "insurance"), **ASSURING},
                            RULE_11_MEMORY),
    "processed_inventory": ("自行加工的存货", "inventory, processed in-house",
                            {**BUYING, "collecting": ("采集", "collecting"), **PROCESSING,
                             "bringing": ("使存货达到目前场所和状态的其他支出",
                                          "bringing it to its place and condition"), **ASSURING},
                            RULE_11_MEMORY),
}  # fmt: skip
"""model → name in Chinese and English, the kinds of its lines, source."""

KINDS = {kind: name for *_, kinds, _ in COSTS.values() for kind, name in kinds.items()}
TREATMENTS = {
    "attributable": ("直接归属，计入成本", "attributable, part of the cost", RULE_11),
    "expensed_earlier": ("以前期间已费用化，不得再资本化", "expensed earlier, never capitalised again",
                         RULE_11),
    "research_phase": ("研究阶段，费用化", "research phase, expensed", CAS_6),
    "not_attributable": ("不可直接归属(培训、宣传、一般管理)，费用化",
                         "not attributable (training, promotion, general administration), expensed", CAS_6),
}  # fmt: skip

APPRAISED = (
    "is an appraised value, which can never be booked (财会〔2025〕33号): state what was paid or spent,"
    " and the voucher for it"
)
_VALUED = re.compile(
    r"(?<!质量)评估(值|价|结果|结论|报告)|估值|公允价值|apprais(ed|al)\s+(value|report)"
    r"|valuation\s+(report|result)|fair\s+value|\bPG\d{4}-\d{4}",
    re.I,
)
_APPRAISAL_KEYS = ("appraisal", "appraisal_number", "appraised_fen", "figure", "document", "steps")


def refuse_appraised(entry: object, field: str, amount: str = "amount_fen") -> None:
    """Raise InputError where a line of the books rests on an appraisal: by kind, key, amount or basis.

    An amount that is a figure or a document is one, and so are words such as 评估值, 评估报告, appraised
    value or the number of an appraisal in the line's name or basis (质量评估, an evaluation of quality, is
    none). Words are a fence and no proof: who lies about a basis is found by audit (ours).
    Source: 财会〔2025〕33号.

    >>> refuse_appraised({"name": "清洗", "basis": "发票 1", "kind": "cleaning"}, "items[0]")
    >>> try:
    ...     refuse_appraised({"name": "数据", "basis": "资产评估报告", "kind": "price"}, "items[0]")
    ... except InputError as error:
    ...     print(error.field, error.sentence == APPRAISED)
    items[0].basis True
    """
    if not isinstance(entry, Mapping):
        return
    problems = [(f"{field}.{key}", APPRAISED) for key in _APPRAISAL_KEYS if key in entry]
    if entry.get("kind") in ("appraisal", "appraised", "figure", "fair_value"):
        problems.append((f"{field}.kind", APPRAISED))
    value = entry.get(amount)
    if isinstance(value, Mapping) and {"method", "steps", "document", "inputs"} & set(value):
        problems.append((f"{field}.{amount}", APPRAISED))
    problems += [
        (f"{field}.{key}", APPRAISED)
        for key in ("basis", "name")
        if isinstance(entry.get(key), str) and _VALUED.search(entry[key])
    ]
    if problems:
        raise InputError.of(problems)


def build_cost(*, model: str, items: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the cost of a data resource, the sum of its attributable lines without deductible VAT, in fen.

    cost = Σ (A_k − V_k) over the lines that belong to it; the others are summed as `expensed`.

    Parameters
    ----------
    model : a key of `COSTS`: how it was obtained, and as what it is held
    items : 1 to 200 ``{"name": text, "kind": a kind of the model, "amount_fen": int >= 0 (with VAT),
        "basis": text}``; optional ``"vat_fen"``, the input VAT within the amount that is deducted and so no
        cost (what is not deductible stays in: ours), and ``"treatment"``, a key of `TREATMENTS`

    Raises
    ------
    InputError : names the field, such as ``items[2].kind``; a line that rests on an appraisal is refused
        (`refuse_appraised`)

    Examples
    --------
    >>> lines = [{"name": "合同", "kind": "price", "amount_fen": 106_00, "vat_fen": 6_00, "basis": "发票"},
    ...          {"name": "清洗", "kind": "cleaning", "amount_fen": 20_00, "basis": "工时"},
    ...          {"name": "培训", "kind": "analysing", "amount_fen": 5_00, "basis": "合同",
    ...           "treatment": "not_attributable"}]
    >>> figure = build_cost(model="purchased_intangible", items=lines)
    >>> figure.display(), str(figure["expensed"].value)
    ('120.00', '500')
    """
    chosen = inputs.choice(model, "model", COSTS)
    zh, en, kinds, source = COSTS[chosen]
    sheet, problems = Worksheet(), list[tuple[str, str]]()
    booked, expensed = list[str](), list[str]()
    for k, item in enumerate(inputs.sequence(items, "items"), start=1):
        where = f"items[{k - 1}]"
        with inputs.gathering(problems):
            refuse_appraised(item, where)
            required = ("name", "kind", "amount_fen", "basis")
            entry = inputs.mapping(item, where, required, ("vat_fen", "treatment"))
            name, basis = (inputs.text(entry[key], f"{where}.{key}") for key in ("name", "basis"))
            kind = kinds[inputs.choice(entry["kind"], f"{where}.kind", kinds)]
            amount = inputs.money(entry["amount_fen"], f"{where}.amount_fen", 0)
            vat = inputs.money(entry.get("vat_fen", 0), f"{where}.vat_fen", 0)
            if vat > amount:
                raise InputError(f"{where}.vat_fen", "is more than the amount that contains it")
            given = entry.get("treatment", "attributable")
            treatment = TREATMENTS[inputs.choice(given, f"{where}.treatment", TREATMENTS)]
            label = f"{kind[0]}: {name}", f"{kind[1]}: {name}"
            sheet.given(f"A{k}", *label, amount, "fen", basis)
            formula = f"A{k}"
            if vat:
                told = "可抵扣进项税额 deductible input VAT"
                sheet.given(f"V{k}", f"{label[0]}，进项税", f"{label[1]}, VAT", vat, "fen", told)
                formula = f"A{k} - V{k}"
            why = source if given == "attributable" else treatment[2]
            net = f"{label[0]}，{treatment[0]}", f"{label[1]}, {treatment[1]}"
            sheet.step(f"N{k}", *net, formula, "fen", why)
            (booked if given == "attributable" else expensed).append(f"N{k}")
    if problems:
        raise InputError.of(problems)
    rule = f"{RULE_11}; {CAS_6}"
    sheet.step(
        "expensed",
        "不计入成本(费用化)",
        "not part of the cost, expensed",
        total(expensed),
        "fen",
        rule,
    )
    sheet.step("cost", f"入账成本: {zh}", f"cost to be booked: {en}", total(booked), "fen", source)
    sheet.note(
        "评估值不得作为入账或调整账面的依据（财会〔2025〕33号），只在表外披露。",
        "An appraised value is no basis for booking (财会〔2025〕33号): it is disclosed beside the books.",
    )
    return sheet.figure("data_cost", VERSION, "cost", ("expensed", "cost"))


def total(symbols: Sequence[str]) -> str:
    """The formula of the sum of steps, 0 where there are none.

    >>> total(["A1", "A2"]), total([])
    ('sum(A1, A2)', '0')
    """
    return f"sum({', '.join(symbols)})" if symbols else "0"


_LINE = (
    NAME,
    Field("kind", "choice", "成本项目", "kind of cost", choices=tuple(KINDS)),
    money("amount", "金额(含税)", "amount, with VAT"),
    money("vat", "其中可抵扣进项税", "input VAT in it that is deducted", optional=True),
    Field("treatment", "choice", "处理(默认计入成本)", "treatment (default: part of the cost)",
          choices=tuple(TREATMENTS), optional=True),
    BASIS,
)  # fmt: skip
DESCRIPTIONS: dict[str, Description] = {
    "data_cost": Description(
        "数据资源入账成本", "cost of a data resource to be booked",
        "cost = sum(amount_k - vat_k), over the lines that belong to it",
        f"{RULE_11}; {RULE_33}; {CAS_6}", VERSION, (
            Field("model", "choice", "取得方式", "how it was obtained", choices=tuple(COSTS)),
            Field("items", "list", "成本明细(评估值不得填入)", "lines of cost (no appraised value)",
                  bounds="1 to 200", fields=_LINE),
            CURRENCY)),
}  # fmt: skip
COMPUTE: dict[str, Callable[[Mapping[str, Any]], Figure]] = {
    "data_cost": lambda given: build_cost(**given),
}
