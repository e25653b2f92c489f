"""What the elements of one resource must say together, for tables and for forms alike.

Sources: 政务信息资源目录编制指南 (发改高技〔2017〕1272号) and what directory platforms check by it; the
rules on personal information and grades are our own. Each sentence stands here in both languages.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ledger import grading
from ledger.catalogue_fields import FIELDS, INNER
from ledger.catalogue_values import CODED, read_choice

# code → what is said; the English is a message id.
ENGLISH: Final[dict[str, str]] = {
    "{field}_condition_missing": "{element} is conditional, but no condition is given.",
    "sharing_basis_missing": "What is not shared needs its basis in a law or rule.",
    "open_but_not_shared": "What is not shared should not be open.",
    "open_but_core": "Core data may not be open.",
    "open_but_important": "Important data may not be open without conditions.",
    "open_but_personal": "What holds personal information may not be open without conditions.",
    "grading_secret": "State secrets are not listed in this catalogue: the row cannot be used.",
    "grade_raised":
        "The declared grade is lower than {level}, which its grounds give; the "
        "stricter prevails.",
    "persons_without_flag":
        "Persons are counted, but the flag of personal information does not say general "
        "or sensitive.",
    "sensitive_without_flag":
        "Sensitive persons are counted, but the flag of personal information does not say "
        "sensitive.",
    "mode_of_database": "A database is shared as a database or through an interface.",
    "mode_of_file": "A file is shared as a file.",
    "directory_code":
        "Not a directory code of class (1 digit), item (2), heading (3), sub-heading, “/” "
        "and sequence number (the separator is to be verified).",
}  # fmt: skip
CHINESE: Final[dict[str, str]] = {
    "{field}_condition_missing": "{zh}为有条件，但没有写明条件。",
    "sharing_basis_missing": "不予共享须写明依据。",
    "open_but_not_shared": "不予共享的资源不应开放。",
    "open_but_core": "核心数据不得开放。",
    "open_but_important": "重要数据不得无条件开放。",
    "open_but_personal": "含个人信息的资源不得无条件开放。",
    "grading_secret": "涉密数据不在本目录登记，该行无法导入。",
    "grade_raised": "申报的级别低于依据得出的“{level_zh}”，就高从严。",
    "persons_without_flag": "写有个人信息人数，但个人信息标识不是“一般”或“敏感”。",
    "sensitive_without_flag": "写有敏感个人信息人数，但个人信息标识不是“敏感”。",
    "mode_of_database": "数据库类资源应以数据库或接口方式共享。",
    "mode_of_file": "文件类资源应以文件方式共享。",
    "directory_code": "不合目录代码“类1位＋项2位＋目3位＋细目/顺序码”（分隔符待核）。",
}  # fmt: skip
SENTENCES: Final = {code: (CHINESE[code], said) for code, said in ENGLISH.items()}
# In a table these make the row unusable; all others are notices there.
ERRORS: Final = frozenset(
    {"grading_secret", "open_but_core", "open_but_important", "open_but_personal"}
)
# In a form these are told and do not stop anybody.
TOLD: Final = frozenset({"grade_raised", "mode_of_database", "mode_of_file", "directory_code"})

_OPEN: Final = ("unconditional", "conditional")
_DATABASES: Final = frozenset(
    {"DATABASE", "DM", "KINGBASEES", "ORACLE", "MYSQL", "POSTGRESQL", "DB2", "SQLSERVER", "MDB"}
)


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that a resource breaks: at which element, and what its sentence needs."""

    code: str
    at: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def sentences(self) -> tuple[str, str]:
        """What is wrong, in Chinese and English."""
        zh, en = SENTENCES[self.code]
        return zh.format(**self.facts), en.format(**self.facts)


# What the rules look at besides the code; of the free texts only whether they say something.
TEXTS_LOOKED_AT: Final = (
    "sharing_condition", "opening_condition", "return_condition", "sharing_basis",
)  # fmt: skip
LOOKED_AT: Final = (
    *CODED, "grading", "impacts", "important_list", "person_count", "sensitive_person_count", "format",
    "sharing_mode", "personal_information_text", "grading_text", *TEXTS_LOOKED_AT,
)  # fmt: skip


def breaches(code: str, elements: Mapping[str, Any]) -> Iterator[Breach]:
    """Every rule that a resource with a code and elements breaks.

    >>> [one.code for one in breaches("1", {"sharing": "not_shared", "opening": "conditional"})]
    ['{field}_condition_missing', 'sharing_basis_missing', 'open_but_not_shared']
    """
    kept = {name: _value(name, elements) for name in CODED}
    opened = kept["opening"] in _OPEN
    for name, condition in (
        ("sharing", "sharing_condition"),
        ("opening", "opening_condition"),
        ("return_flow", "return_condition"),
    ):
        if kept[name] == "conditional" and not elements.get(condition):
            one = FIELDS[name]
            names = {"field": name, "zh": one.zh, "element": one.en[:1].upper() + one.en[1:]}
            yield Breach("{field}_condition_missing", condition, names)
    if kept["sharing"] == "not_shared":
        if not elements.get("sharing_basis"):
            yield Breach("sharing_basis_missing", "sharing_basis")
        if opened:
            yield Breach("open_but_not_shared", "opening")
    yield from _of_protection(elements, kept, opened)
    yield from _of_modes(elements)
    yield from of_code(code)


def of_code(code: str) -> Iterator[Breach]:
    """Whether a code that looks like one of the directory is none."""
    if _CODE.fullmatch(code) is None and _looks_like_a_directory_code(code):
        yield Breach("directory_code", "code")


def _of_protection(
    elements: Mapping[str, Any], kept: Mapping[str, str | None], opened: bool
) -> Iterator[Breach]:
    grade, freely = grading.effective(elements), kept["opening"] == "unconditional"
    flagged = kept["personal_information"] in ("general", "sensitive")
    declared = grading.declared_in(elements)
    if grading.is_secret(declared):
        yield Breach("grading_secret", "grading")
    elif opened and grade == "core":
        yield Breach("open_but_core", "opening")
    elif freely and grade == "important":
        yield Breach("open_but_important", "opening")
    if freely and personal(elements):
        yield Breach("open_but_personal", "opening")
    level = grading.read_level(declared)
    if level and grade and level != grade:
        zh, en = grading.LEVELS[grade]
        yield Breach("grade_raised", "grading", {"level": en, "level_zh": zh})
    if elements.get("person_count") and not flagged:
        yield Breach("persons_without_flag", "personal_information")
    if elements.get("sensitive_person_count") and kept["personal_information"] != "sensitive":
        yield Breach("sensitive_without_flag", "personal_information")


def personal(elements: Mapping[str, Any]) -> bool:
    """Whether a resource holds personal information; a flag that cannot be read counts as if it did.

    >>> personal({"personal_information": "general"}), personal({"personal_information_text": "也许"})
    (True, True)
    >>> personal({"personal_information": "不含"}), personal({})
    (False, False)
    """
    return flag_of_persons(elements) not in ("none", None)


def flag_of_persons(elements: Mapping[str, Any]) -> str | None:
    """The flag of personal information; "unread" where it cannot be read, None where there is none.

    >>> flag_of_persons({"personal_information": "是"}), flag_of_persons({"personal_information": "?!"})
    ('general', 'unread')
    """
    value = _value("personal_information", elements)
    written = map(elements.get, ("personal_information", "personal_information_text"))
    if value is None and any(one not in (None, "") for one in written):
        return "unread"
    return value


def _of_modes(elements: Mapping[str, Any]) -> Iterator[Breach]:
    formats, mode = set(elements.get("format") or ()), str(elements.get("sharing_mode") or "")
    if formats and formats <= _DATABASES and mode.endswith(("文件", "文件方式")):
        yield Breach("mode_of_database", "sharing_mode")
    if formats and not formats & (_DATABASES | {"API"}) and mode.endswith(("数据库", "数据库方式")):
        yield Breach("mode_of_file", "sharing_mode")


def _value(name: str, elements: Mapping[str, Any]) -> str | None:
    """The value of a coded element, also as it was written before its spellings were read."""
    value = elements.get(name)
    return read_choice(value, CODED[name]) if isinstance(value, str) else None


def outside(elements: Mapping[str, Any]) -> dict[str, Any]:
    """The elements that everybody may see of a resource that is there for him.

    >>> outside({"title": "桥梁", "person_count": 7, "impacts_text": "?"})
    {'title': '桥梁'}
    """
    return {k: v for k, v in elements.items() if k.removesuffix("_text") not in INNER}


# ---------------------------------------------------------------- the directory code


# class → its name; which digit stands for which class is from memory, to be verified.
CLASSES: Final[dict[str, tuple[str, str]]] = {
    "1": ("基础信息资源目录", "basic information"),
    "2": ("主题信息资源目录", "information by theme"),
    "3": ("部门信息资源目录", "information by department"),
}
_CODE: Final = re.compile(
    r"(?P<class>[1-3])(?P<item>\d{2})(?P<heading>\d{3})(?P<subheading>\d*)/(?P<sequence>\d+)"
)


def decode(code: str) -> dict[str, str] | None:
    """The parts of a directory code (类, 项, 目, 细目, 顺序码), or None when it is none.

    >>> decode("307001001/000001")["heading"], decode("907001/1"), decode("6587")
    ('001', None, None)
    """
    match = _CODE.fullmatch(code)
    return match.groupdict() if match else None


def _looks_like_a_directory_code(code: str) -> bool:
    """Digits and a slash: a code of another scheme has letters, dashes or no slash.

    >>> [_looks_like_a_directory_code(one) for one in ("3070/01", "30700101/", "A1/2", "12345")]
    [True, True, False, False]
    """
    return re.fullmatch(r"\d+\s*/\s*\d*", unicodedata.normalize("NFKC", code)) is not None
