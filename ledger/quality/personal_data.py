"""Personal data in a column are found by content and by header, and masked wherever they are shown.

An identity number or a bank card counts only when its check digit holds for most of the cells.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import polars as pl
from stdnum import luhn
from stdnum.cn import ric


@dataclass(frozen=True, slots=True)
class Personal:
    """A column that seems to hold personal data, and why (`ground`: content, header, rule).

    `kind`: identity_number, mobile, bank_card, email (found in `cell_count` cells), or by its
    header: name, address, birth_date, telephone, document_number, or declared by the rules.
    `sample` is masked.
    """

    column: str
    kind: str
    ground: str
    cell_count: int
    sample: tuple[str, ...]


_ID_NUMBER: Final = (
    r"[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9Xx]"
)
_MOBILE: Final = r"1[3-9][0-9]{9}"
_EMAIL: Final = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_CARD: Final = r"(?:62|4|5[1-5]|3[57])[0-9]{11,17}"
# kind → (fewest characters of a cell, pattern with the value as group 1, its check digit's rule)
_CONTENT: Final[dict[str, tuple[int, str, Callable[[str], bool] | None]]] = {
    "identity_number": (18, rf"(?:^|[^0-9])({_ID_NUMBER})(?:$|[^0-9])", ric.is_valid),
    "mobile": (11, rf"(?:^|[^0-9])(?:\+?86[- ]?)?({_MOBILE})(?:$|[^0-9])", None),
    "bank_card": (13, rf"^({_CARD})$", luhn.is_valid),
    "email": (5, f"({_EMAIL})", None),
}
_HEADERS: Final = {
    "name": r"姓名|联系人|聯絡人|负责人|負責人|法定代表人|经办人|經辦人|户主|患者名|contact_?name"
    r"|full_?name|^person$|person_?name",
    "address": r"住址|家庭地址|户籍地址|戶籍地址|home_?address",
    "birth_date": r"出生日期|出生年月|生日|birth_?da(y|te)",
    "telephone": r"电话|電話|手机|手機|phone|mobile",
    "document_number": r"身份证|身分證|证件号|證件號|护照|護照|id_?card|passport",
}
_CHECKED: Final = 2_000


def mask(value: str) -> str:
    """A personal value that can no longer be read: a quarter of it remains, its length too.

    >>> mask("张三丰"), mask("13800138000"), mask("男")
    ('张**', '13*********', '*')
    """
    kept = min(2, max(1, len(value) // 4)) if len(value) > 1 else 0
    return value[:kept] + "*" * (len(value) - kept)


_EMBEDDED: Final = re.compile(rf"(?<![0-9])(?:{_ID_NUMBER}|{_CARD}|{_MOBILE})(?![0-9])|{_EMAIL}")


def mask_embedded(text: str) -> str:
    """The text with every identity number, card, mobile and e-mail in it masked.

    >>> mask_embedded("联系13800138000。")
    '联系13*********。'
    """
    return _EMBEDDED.sub(lambda match: mask(match[0]), text)


def find_personal(name: str, values: pl.DataFrame, declared: bool | None) -> list[Personal]:
    """What a column seems to hold, from its value counts (`DataFile.value_counts`).

    `declared` is what the rules say: False ends the search, True is a ground of its own.
    """
    if declared is False:
        return []
    filled = values.filter("filled")
    found = []
    for kind, (least, pattern, is_valid) in _CONTENT.items():
        hits = filled.filter(
            (pl.col("length") >= least) & pl.col("value").str.contains(pattern)
        ).with_columns(pl.col("value").str.extract(pattern))
        # Of chance numbers one in eleven passes the check digit (one in ten by Luhn), so half of
        # the hits must, or they are numbers of the same length only.
        checked = hits["value"].head(_CHECKED).to_list()
        valid = sum(1 for value in checked if is_valid is None or is_valid(value))
        if checked and valid * 2 >= len(checked):
            found.append(_told(name, kind, "content", hits))
    for kind, pattern in _HEADERS.items():
        if re.search(pattern, name, re.IGNORECASE):
            found.append(_told(name, kind, "header", filled))
            break
    if declared and not found:
        found.append(_told(name, "declared", "rule", filled))
    return found


def _told(name: str, kind: str, ground: str, cells: pl.DataFrame) -> Personal:
    sample = tuple(mask(value) for value in cells["value"].head(3))
    return Personal(name, kind, ground, int(cells["n"].sum()), sample)
