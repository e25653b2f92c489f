"""What a cell of a bank's table says: an amount in yuan, a day; None for what it does not say plainly."""

import re
from datetime import date

from valuation import ValuationError
from valuation.money import fen

_SEPARATED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")
_DAY = re.compile(
    r"([0-9]{4})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日"
    r"|([0-9]{2})([0-9]{2}))(?:[ T].*)?"
)


def amount_fen(cell: str, *, negative: bool = False) -> int | None:
    """An amount in yuan as fen; separators of thousands and signs of currency are passed over.

    >>> amount_fen("1,234.5"), amount_fen("￥12"), amount_fen("1.234"), amount_fen("-1")
    (123450, 1200, None, None)
    """
    plain = cell.strip().removeprefix("￥").removeprefix("¥").removesuffix("元").strip()
    sign, plain = ("-", plain[1:]) if negative and plain.startswith("-") else ("", plain)
    if _SEPARATED.fullmatch(plain):
        plain = plain.replace(",", "")
    try:
        found = fen(plain, "amount")
    except ValuationError:
        return None
    if found < 0:
        return None
    return -found if sign else found


def day_of(cell: str) -> str | None:
    """A day as ISO text; a time behind it is passed over.

    >>> day_of("2026/3/2 10:00"), day_of("20260302"), day_of("2026年3月2日"), day_of("3.2.2026")
    ('2026-03-02', '2026-03-02', '2026-03-02', None)
    """
    found = _DAY.fullmatch(cell.strip())
    if found is None:
        return None
    year, month, day = (int(part) for part in found.groups() if part)
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return None
