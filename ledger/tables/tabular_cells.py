"""What a cell of a bank's or an exchange's table says: an amount in yuan, a day; None if not plainly."""

import re
from datetime import date

import polars as pl

AMOUNT_FEN_MAX = 10**13  # of one row; totals go up to `valuation.money.MAX_FEN`
AMOUNT = r"^(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)(?:\.[0-9]{1,2})?$"
"""Yuan without a sign: separators of thousands only between groups of three, no exponent."""
FULL_WIDTH = dict(zip("０１２３４５６７８９，．－￥", "0123456789,.-¥", strict=True))
"""What is typed full-width in amounts, and what it means."""
_AMOUNT = re.compile(AMOUNT)
_FOLDED = str.maketrans(FULL_WIDTH)
DAY = (
    r"^([1-9][0-9]{3})(?:-([0-9]{1,2})-([0-9]{1,2})|/([0-9]{1,2})/([0-9]{1,2})|年([0-9]{1,2})月([0-9]{1,2})日"
    r"|([0-9]{2})([0-9]{2}))(?:[ T].*)?$"
)
_DAY = re.compile(DAY)


def amount_fen(cell: str, *, negative: bool = False, most: int = AMOUNT_FEN_MAX) -> int | None:
    """An amount in yuan as fen, `most` at most; a sign of currency is passed over.

    >>> amount_fen("1,234.5"), amount_fen("￥１２．５０"), amount_fen("1.234"), amount_fen("-1")
    (123450, 1250, None, None)
    >>> amount_fen("1,23"), amount_fen("12,50"), amount_fen("1e3")
    (None, None, None)
    """
    plain = cell.translate(_FOLDED).strip().removeprefix("¥").removesuffix("元").strip()
    sign, plain = (-1, plain[1:]) if negative and plain.startswith("-") else (1, plain)
    if _AMOUNT.fullmatch(plain) is None:
        return None
    whole, _, cents = plain.replace(",", "").partition(".")
    if len(whole) > len(str(most)):
        return None
    found = int(whole) * 100 + int(cents.ljust(2, "0"))
    return sign * found if found <= most else None


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


def days_of(column: pl.Expr) -> pl.Expr:
    """The same of a whole column, in which blanks around are stripped already; null for no day."""
    part = column.str.extract_groups(DAY)

    def either(first: int) -> pl.Expr:
        """The month or the day, in whichever of the spellings it stands."""
        return pl.coalesce(part.struct.field(str(n)) for n in range(first, 10, 2)).str.zfill(2)

    spelled = pl.concat_str(part.struct.field("1"), either(2), either(3), separator="-")
    return spelled.str.to_date("%Y-%m-%d", strict=False).dt.strftime("%Y-%m-%d")
