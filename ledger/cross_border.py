"""Sending data abroad (数据出境): which procedure it needs by 促进和规范数据跨境流动规定 (令第16号).

Persons are counted from 1 January of the current year; 以上 includes the number, 不满 excludes it.
`persons` are those whose information is not sensitive, `sensitive_persons` those whose is.
"""

from dataclasses import dataclass
from typing import Final, Literal

from ledger.errors import Invalid

RULE: Final = "促进和规范数据跨境流动规定（国家互联网信息办公室令第16号）"
# Art. 7(2): 100万人以上个人信息（不含敏感个人信息） or 1万人以上敏感个人信息 → security assessment.
ASSESSED_PERSONS: Final = 1_000_000
ASSESSED_SENSITIVE: Final = 10_000
# Art. 8 and 5(4): 10万人以上 → standard contract or certification; 不满10万人 → exempt.
CONTRACT_PERSONS: Final = 100_000
# Numbers of articles, that each person counts once and that 以上 includes the number are from memory.
TO_VERIFY: Final = (
    "条号、按人去重计数及“以上”含本数凭记忆写入，待核。",
    "Numbers of articles, counting each person once, and that “or more” includes the number are from"
    " memory, to be verified.",
)

Procedure = Literal["assessment", "contract_or_certification", "exempt"]
# procedure → (Chinese, English, what it needs in both)
PROCEDURES: Final[dict[Procedure, tuple[str, str]]] = {
    "assessment": ("数据出境安全评估", "security assessment"),
    "contract_or_certification": (
        "个人信息出境标准合同或个人信息保护认证", "standard contract or certification"),
    "exempt": ("免予三项手续", "exempt from the three procedures"),
}  # fmt: skip
NEEDS: Final[dict[Procedure, tuple[str, str]]] = {
    "assessment": (
        "先作出境风险自评估，经省级网信部门向国家网信部门申报安全评估，通过后方可出境；有效期三年（待核）。",
        "Assess the risk yourself, declare it through the province's cyberspace authority, and send only"
        " after it was passed; valid for three years (to be verified)."),
    "contract_or_certification": (
        "作个人信息保护影响评估，与境外接收方订立标准合同并备案，或取得个人信息保护认证（待核）。",
        "Assess the impact on personal information, then either conclude the standard contract and file"
        " it, or be certified (to be verified)."),
    "exempt": (
        "三项手续均不需要；告知、取得个人单独同意等其他义务不因此免除（待核）。",
        "None of the three procedures; other duties, such as telling the persons and having their"
        " consent, remain (to be verified)."),
}  # fmt: skip
# exemption → (article, whether personal information may be in it, Chinese, English)
EXEMPTIONS: Final[dict[str, tuple[str, bool, str, str]]] = {
    "no_pi_no_important": ("3", False,
        "国际贸易、跨境运输、学术合作、跨国生产制造和市场营销等活动中的数据，不含个人信息或重要数据",
        "Data of trade, transport, research, production or marketing without personal information"
        " or important data"),
    "foreign_origin": ("4", True,
        "境外收集的个人信息境内处理后出境，未引入境内个人信息或重要数据",
        "Personal information collected abroad, processed here and sent back, nothing domestic added"),
    "contract_with_person": ("5(1)", True, "订立、履行个人作为一方当事人的合同确需",
        "Needed for a contract with the person"),
    "cross_border_hr": ("5(2)", True,
        "依法制定的劳动规章制度和集体合同下的跨境人力资源管理确需",
        "Needed to manage staff across borders by lawful rules or a collective contract"),
    "emergency": ("5(3)", True, "紧急情况下保护生命健康和财产安全确需",
        "Needed in an emergency for life, health or property"),
    "ftz": ("6", True, "自由贸易试验区负面清单外的数据", "Outside a free trade zone's negative list"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Route:
    """The procedure that applies, the article that says so, and why (Chinese, English)."""

    route: Procedure
    article: str
    why: tuple[str, str]


def decided_by(flag: str | None, persons: int | None, sensitive_persons: int | None) -> bool:
    """Whether a flag of personal information and its counts say enough: what is not counted is not none.

    Persons that were not counted beside sensitive ones who were are taken as none.

    >>> decided_by("none", None, None), decided_by("general", 5, None), decided_by(None, 5, 0)
    (True, True, True)
    >>> decided_by("sensitive", 5, None), decided_by("general", None, 0), decided_by(None, 5, None)
    (False, False, False)
    """
    if flag == "none" or sensitive_persons or (persons or 0) >= ASSESSED_PERSONS:
        return True
    if flag is None:
        return persons is not None and sensitive_persons is not None
    return flag == "general" and bool(persons)


def route(
    ciio: bool, important: bool, persons: int, sensitive_persons: int, exemption: str | None = None,
    *, personal: bool = False,
) -> Route:  # fmt: skip
    """Which procedure sending the data abroad needs; `personal` information may be in it uncounted.

    An exemption is heard first, but none covers important data (our strict reading of art. 3 to 6).

    >>> route(False, False, 99_999, 0).route, route(False, False, 100_000, 0).route
    ('exempt', 'contract_or_certification')
    >>> route(False, False, 5, 10_000).article, route(True, False, 1, 0).article
    ('7(2)', '7(1)')
    >>> route(True, False, 0, 0, personal=True).article
    '7(1)'
    >>> route(False, True, 0, 0, "ftz").route, route(False, False, 2_000_000, 0, "ftz").route
    ('assessment', 'exempt')
    """
    if persons < 0 or sensitive_persons < 0:
        raise Invalid("A number of persons cannot be negative.")
    personal = personal or bool(persons or sensitive_persons)
    if exemption is not None:
        if exemption not in EXEMPTIONS:
            raise Invalid("There is no exemption {name}.", name=exemption)
        article, with_persons, zh, en = EXEMPTIONS[exemption]
        if not important and (with_persons or not personal):
            return Route("exempt", article, (zh, en))
    if not personal and not important:
        return Route(
            "exempt", "3",
            ("不含个人信息，也不含重要数据", "it holds neither personal information nor important data"),
        )  # fmt: skip
    if ciio:
        return Route("assessment", "7(1)", (
            "关键信息基础设施运营者提供个人信息或重要数据",
            "an operator of critical information infrastructure provides personal information or"
            " important data"))  # fmt: skip
    if important:
        return Route("assessment", "7(2)", ("含重要数据", "important data are in it"))
    if persons >= ASSESSED_PERSONS:
        return Route("assessment", "7(2)", _persons(ASSESSED_PERSONS, None))
    if sensitive_persons >= ASSESSED_SENSITIVE:
        return Route("assessment", "7(2)", (
            f"{ASSESSED_SENSITIVE // 10_000}万人以上敏感个人信息",
            f"sensitive personal information of {ASSESSED_SENSITIVE:,} persons or more"))  # fmt: skip
    if persons >= CONTRACT_PERSONS:
        return Route("contract_or_certification", "8", _persons(CONTRACT_PERSONS, ASSESSED_PERSONS))
    if sensitive_persons:
        return Route("contract_or_certification", "8", (
            f"不满{ASSESSED_SENSITIVE // 10_000}万人敏感个人信息",
            f"sensitive personal information of fewer than {ASSESSED_SENSITIVE:,} persons"))  # fmt: skip
    return Route("exempt", "5(4)", _persons(None, CONTRACT_PERSONS))


def _persons(least: int | None, limit: int | None) -> tuple[str, str]:
    """The number of persons between two thresholds, in words."""
    zh = [f"{least // 10_000}万人以上"] if least else []
    en = [f"{least:,} persons or more"] if least else []
    if limit:
        zh.append(f"不满{limit // 10_000}万人")
        en.append(f"fewer than {limit:,} persons")
    return (
        "、".join(zh) + "个人信息（不含敏感个人信息）",
        f"personal information, not sensitive, of {', '.join(en)}",
    )
