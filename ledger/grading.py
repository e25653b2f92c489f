"""Grading of data (数据分级) by GB/T 43697-2024: whose harm, how grave, gives the level.

A resource's grade has up to three kinds of ground: the grade that was declared, the impact matrix over
the objects that would be harmed, and the list of important data. The strictest of them prevails (就高从严).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ledger.catalogue_values import fold, split_list
from ledger.errors import Invalid

STANDARD: Final = "GB/T 43697-2024 数据安全技术 数据分类分级规则"

# id → (Chinese, English), from the strictest down.
LEVELS: Final[dict[str, tuple[str, str]]] = {
    "core": ("核心数据", "core data"),
    "important": ("重要数据", "important data"),
    "general": ("一般数据", "general data"),
}
OBJECTS: Final[dict[str, tuple[str, str]]] = {
    "national_security": ("国家安全", "national security"),
    "economy": ("经济运行", "the economy"),
    "social_order": ("社会秩序", "social order"),
    "public_interest": ("公共利益", "the public interest"),
    "organisation": ("组织权益", "rights of organisations"),
    "person": ("个人权益", "rights of persons"),
}
DEGREES: Final[dict[str, tuple[str, str]]] = {
    "extreme": ("特别严重危害", "especially serious harm"),
    "serious": ("严重危害", "serious harm"),
    "ordinary": ("一般危害", "ordinary harm"),
}
# object → the level at each degree, in the order of `DEGREES`. The matrix was read in study notes that
# print it, not in the standard itself, which is not free to read: to be checked against the text.
MATRIX: Final[dict[str, tuple[str, str, str]]] = {
    "national_security": ("core", "core", "important"),
    "economy": ("core", "important", "general"),
    "social_order": ("core", "important", "general"),
    "public_interest": ("core", "important", "general"),
    "organisation": ("general", "general", "general"),
    "person": ("general", "general", "general"),
}
# From memory, to be verified (待核); told beside a grade, never reckoned with.
EXCEPTION: Final = (
    "规模较大的组织或个人数据也可能属于重要数据（待核）。",
    "Data on a large number of organisations or persons may be important data as well (to be verified).",
)
_SECRET: Final = frozenset({"秘密", "secret", "statesecret"})  # when nothing else is said
_SECRET_WITHIN: Final = re.compile("涉密|国家秘密|秘密级|机密|绝密")
_NOT_SECRET: Final = re.compile("[非不未](涉及|属于?|含)?(涉密|国家秘密)")

_LEVEL_OF: Final = {
    **{spelling: level for level, (zh, en) in LEVELS.items()
       for spelling in (level, zh, zh.removesuffix("数据"), fold(en), zh.removesuffix("数据") + "级")},
    # The standard's annex H divides general data by levels 1 to 4.
    **{f"一般{data}{n}级": "general" for data in ("", "数据") for n in "1234一二三四"},
}  # fmt: skip
_WORD_OF: Final = {
    word: level for level, (zh, _) in LEVELS.items() for word in (zh.removesuffix("数据"), level)
}
# With such a word a grade says what it is not, or more or less than the level that it names.
_LIMITED: Final = re.compile("[非不未无除]|以[上下外]|[高低]于|not|non|un")
_OBJECT_OF: Final = {
    **{fold(word): one for one, words in OBJECTS.items() for word in (one, *words)},
    "经济": "economy", "社会": "social_order", "公众利益": "public_interest",
    "组织": "organisation", "组织合法权益": "organisation", "organization": "organisation",
    "个人": "person", "个人合法权益": "person",
}  # fmt: skip
_DEGREE_OF: Final = {
    fold(word): one
    for one, (zh, en) in DEGREES.items()
    for word in (one, zh, en, zh.removesuffix("危害"), zh.removesuffix("危害") + "损害")
} | {"轻微": "ordinary", "轻微危害": "ordinary"}


@dataclass(frozen=True, slots=True)
class Ground:
    """One reason for a level: declared, on the list, or harm of a degree to an object."""

    kind: Literal["declared", "listed", "impact"]
    level: str
    object: str | None = None
    degree: str | None = None


def stricter(levels: Iterable[str]) -> str | None:
    """The strictest of some levels (就高从严); None of none.

    >>> stricter(["general", "core", "important"]), stricter([])
    ('core', None)
    """
    return min(levels, key=list(LEVELS).index, default=None)


def level(impacts: Iterable[tuple[str, str]]) -> tuple[str, list[Ground]]:
    """The level of harm to some objects, and the ground that each gives; harm to none is general.

    >>> level([("economy", "serious"), ("person", "extreme")])[0]
    'important'
    >>> level([("national_security", "ordinary")])[0], level([("organisation", "extreme")])[0]
    ('important', 'general')
    """
    found = []
    for touched, degree in impacts:
        if touched not in OBJECTS or degree not in DEGREES:
            raise Invalid("{object}: {degree} is no impact of the standard.",
                          object=touched, degree=degree)  # fmt: skip
        of_object = MATRIX[touched][list(DEGREES).index(degree)]
        found.append(Ground("impact", of_object, touched, degree))
    return stricter(one.level for one in found) or "general", found


def grounds(elements: Mapping[str, Any]) -> list[Ground]:
    """Every ground that a resource's elements give for its grade, in the order told to a reader.

    >>> [(one.kind, one.level) for one in grounds(
    ...     {"grading": "一般数据", "impacts": ["economy:serious"], "important_list": "no"})]
    [('declared', 'general'), ('impact', 'important')]
    """
    found = []
    declared = declared_in(elements)
    if is_secret(declared):  # refused today; what was listed before is shown to nobody
        found.append(Ground("declared", "core"))
    elif read := read_level(declared):
        found.append(Ground("declared", read))
    impacts = elements.get("impacts")
    found += level(pairs(impacts if isinstance(impacts, list) else []))[1]
    if elements.get("important_list") == "yes":
        found.append(Ground("listed", "important"))
    return found


def declared_in(elements: Mapping[str, Any]) -> str:
    """The grade that was declared, as it was read or else as it was written; blank where there is none.

    >>> declared_in({"grading": "core"}), declared_in({"grading_text": "绝对"}), declared_in({})
    ('core', '绝对', '')
    """
    return str(elements.get("grading") or elements.get("grading_text") or "")


def is_unread(elements: Mapping[str, Any]) -> bool:
    """Whether a grade was declared that nobody can read: it may be any.

    >>> is_unread({"grading_text": "绝对"}), is_unread({"grading": "一般"}), is_unread({})
    (True, False, False)
    """
    declared = declared_in(elements)
    return bool(declared) and not is_secret(declared) and read_level(declared) is None


def effective(elements: Mapping[str, Any]) -> str | None:
    """A resource's grade: the strictest of all its grounds; None when nothing was said.

    >>> effective({"grading": "general", "important_list": "yes"}), effective({})
    ('important', None)
    """
    return stricter(one.level for one in grounds(elements))


def pairs(impacts: Iterable[str]) -> list[tuple[str, str]]:
    """The impacts of a resource, each written `object:degree`, as pairs; what is none is passed over.

    >>> pairs(["economy:serious", "weather"])
    [('economy', 'serious')]
    """
    found = (str(one).partition(":") for one in impacts)
    return [(one, degree) for one, _, degree in found if one in OBJECTS and degree in DEGREES]


# ---------------------------------------------------------------- as people write it


def read_level(text: str) -> str | None:
    """The level that a spelling means, or the one level that it names; None of a secret.

    >>> read_level("重要數據"), read_level("Core data"), read_level("一般数据2级"), read_level("三级")
    ('important', 'core', 'general', None)
    >>> read_level("国家核心数据"), read_level("核心或重要"), read_level("非重要数据")
    ('core', None, None)
    """
    folded = fold(text)
    if folded in _LEVEL_OF:
        return _LEVEL_OF[folded]
    if is_secret(text) or _LIMITED.search(folded):
        return None
    named = {level for word, level in _WORD_OF.items() if word in folded}
    return named.pop() if len(named) == 1 else None


def is_secret(text: str) -> bool:
    """Whether a grade is one of state secrets (涉密), which no catalogue like this one may hold.

    >>> is_secret("涉密数据"), is_secret("国家秘密（机密级）"), is_secret("核心"), is_secret("非涉密")
    (True, True, False, False)
    """
    folded = fold(text)
    return folded in _SECRET or _SECRET_WITHIN.search(_NOT_SECRET.sub("", folded)) is not None


def read_impacts(text: str) -> tuple[list[str], list[str]]:
    """(impacts as `object:degree`, the parts that cannot be read).

    >>> read_impacts("经济运行:严重危害；个人權益（一般）")
    (['economy:serious', 'person:ordinary'], [])
    >>> read_impacts("无"), read_impacts("天气:严重")
    (([], []), ([], ['天气:严重']))
    """
    found, unread = [], []
    for part in split_list(text):
        touched, *degree = re.split(r"[:：=＝(（-]", part, maxsplit=1)
        pair = _OBJECT_OF.get(fold(touched)), _DEGREE_OF.get(fold("".join(degree)))
        if all(pair):
            found.append(f"{pair[0]}:{pair[1]}")
        elif fold(part) not in ("无", "none"):
            unread.append(part)
    return list(dict.fromkeys(found)), unread
