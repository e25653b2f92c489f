"""Formation and stock of data capital by industry, region and year, with totals that add up to the fen.

A document::

    {"version": "1", "basis": text, "delta": "1/5", "growth": "1/20",
     "rates": [{"industry": "I", "life": "5"}], "initial": [{"industry": "I", "region": "440305",
     "stock_fen": 0}], "deflators": [{"year": 2020, "deflator": "1"}],
     "rows": [{"industry": "I", "region": "440305", "year": 2020, "producer": "market",
     "labour_fen": …, "intermediate_fen": …, "fixed_capital_consumption_fen": …,
     "net_taxes_on_production_fen": …, "net_return_fen": …, "use_years": "3", "spending_fen": …}]}

An industry is a section letter of GB/T 4754-2017, a region a code of GB/T 2260 (six digits). A row is what
one kind of producer formed there in a year; market and non-market rows of one cell are added. A row whose
`use_years` is one year or less counts 0, and its cell tells how many there were. A cell (industry × region)
has a row for every year from its first to the table's last: what was not formed is entered as 0, since a
gap is no zero. Its stock is that of `national.capital_stock`; every cell is in whole fen, so every total is
exactly the sum of its cells.

Sources: as `valuation.national`; the layout of the table is ours.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from valuation import InputError, inputs
from valuation.money import MAX_FEN, exact_text, round_half_up
from valuation.national import COMPONENTS, PRODUCERS, calendar_year, depreciation
from valuation.worksheet import Note

VERSION = "1"
MAX_ROWS = 20_000

# fmt: off
INDUSTRIES = {
    "A": ("农、林、牧、渔业", "agriculture, forestry, animal husbandry and fishery"),
    "B": ("采矿业", "mining"),
    "C": ("制造业", "manufacturing"),
    "D": ("电力、热力、燃气及水生产和供应业", "production and supply of electricity, heat, gas and water"),
    "E": ("建筑业", "construction"),
    "F": ("批发和零售业", "wholesale and retail trade"),
    "G": ("交通运输、仓储和邮政业", "transport, storage and post"),
    "H": ("住宿和餐饮业", "accommodation and catering"),
    "I": ("信息传输、软件和信息技术服务业", "information transmission, software and IT services"),
    "J": ("金融业", "finance"),
    "K": ("房地产业", "real estate"),
    "L": ("租赁和商务服务业", "leasing and business services"),
    "M": ("科学研究和技术服务业", "scientific research and technical services"),
    "N": ("水利、环境和公共设施管理业", "water, environment and public facilities"),
    "O": ("居民服务、修理和其他服务业", "services to households, repair and other services"),
    "P": ("教育", "education"),
    "Q": ("卫生和社会工作", "health and social work"),
    "R": ("文化、体育和娱乐业", "culture, sports and entertainment"),
    "S": ("公共管理、社会保障和社会组织", "public administration, social security and organisations"),
    "T": ("国际组织", "international organisations"),
}
"""Sections of GB/T 4754-2017 (from memory, to be verified)."""

PROVINCES = {
    "11": ("北京", "Beijing"), "12": ("天津", "Tianjin"), "13": ("河北", "Hebei"),
    "14": ("山西", "Shanxi"), "15": ("内蒙古", "Inner Mongolia"), "21": ("辽宁", "Liaoning"),
    "22": ("吉林", "Jilin"), "23": ("黑龙江", "Heilongjiang"), "31": ("上海", "Shanghai"),
    "32": ("江苏", "Jiangsu"), "33": ("浙江", "Zhejiang"), "34": ("安徽", "Anhui"),
    "35": ("福建", "Fujian"), "36": ("江西", "Jiangxi"), "37": ("山东", "Shandong"),
    "41": ("河南", "Henan"), "42": ("湖北", "Hubei"), "43": ("湖南", "Hunan"),
    "44": ("广东", "Guangdong"), "45": ("广西", "Guangxi"), "46": ("海南", "Hainan"),
    "50": ("重庆", "Chongqing"), "51": ("四川", "Sichuan"), "52": ("贵州", "Guizhou"),
    "53": ("云南", "Yunnan"), "54": ("西藏", "Tibet"), "61": ("陕西", "Shaanxi"),
    "62": ("甘肃", "Gansu"), "63": ("青海", "Qinghai"), "64": ("宁夏", "Ningxia"),
    "65": ("新疆", "Xinjiang"), "71": ("台湾", "Taiwan"), "81": ("香港", "Hong Kong"),
    "82": ("澳门", "Macao"),
}
"""The first two digits of a code of GB/T 2260 (from memory, to be verified)."""
# fmt: on

AMOUNTS = tuple(key for key, *_ in COMPONENTS)
SUMS = (*AMOUNTS, "formation_fen", "real_fen", "stock_fen", "spending_fen", "out_of_scope")
"""What of a cell adds up to totals."""

_KEYS = ("industry", "region", "year", "producer", *AMOUNTS)
_MORE = ("use_years", "spending_fen")
_RATE = ("delta", "life", "declining")
_UNREAD: Any = object()  # in place of a row whose amounts cannot be read
Key = tuple[str, str]


@dataclass(frozen=True)
class Table:
    """The cells in their order (industry, region, year), their totals, and the document they follow from.

    A cell has `industry`, `region`, `year`, the `SUMS`, and `share_of_spending`, formation / spending where
    spending is stated; a total leaves out what it is a total of, and has the growth over the year before.
    """

    cells: tuple[dict[str, Any], ...]
    by_year: tuple[dict[str, Any], ...]
    by_industry: tuple[dict[str, Any], ...]
    by_region: tuple[dict[str, Any], ...]
    openings: tuple[dict[str, Any], ...]
    notes: tuple[Note, ...]
    document: dict[str, Any] = field(hash=False)

    def to_dict(self) -> dict[str, Any]:
        """The table in canonical JSON types (design §4): integers and exact texts, no floats."""
        return {
            "by_industry": list(self.by_industry),
            "by_region": list(self.by_region),
            "by_year": list(self.by_year),
            "cells": list(self.cells),
            "document": self.document,
            "notes": [note.to_dict() for note in self.notes],
            "openings": list(self.openings),
            "v": 1,
        }


def run(document: Mapping[str, Any]) -> Table:
    """Return the table of a document, which it carries along; all bad rows are named at once.

    Raises InputError whose fields are paths in the document, such as ``rows[17].region``.

    >>> row = {"industry": "I", "region": "440305", "year": 2020, "producer": "market",
    ...     "labour_fen": 200, "intermediate_fen": 50, "fixed_capital_consumption_fen": 30,
    ...     "net_taxes_on_production_fen": 0, "net_return_fen": 20}
    >>> made = run({"version": "1", "basis": "示例", "delta": "1/5", "rows": [row],
    ...     "initial": [{"industry": "I", "region": "440305", "stock_fen": 1000}]})
    >>> made.by_year[0]["formation_fen"], made.by_year[0]["stock_fen"]
    (300, 1100)
    >>> run({"version": "1", "basis": "示例", "delta": "1/5", "rows": [{**row, "industry": "Z"}]})
    Traceback (most recent call last):
    valuation.InputError: rows[0].industry: is 'Z', but must be a section of GB/T 4754, A to T
    """
    plain, problems = _in_fen(document)
    entries = inputs.mapping(
        plain,
        "",
        ("version", "basis", "rows"),
        (*_RATE, "growth", "rates", "initial", "deflators", "currency"),
    )
    if entries["version"] != VERSION:
        raise InputError("version", f"must be {VERSION!r}, the version that is known here")
    if entries.get("currency", "CNY") != "CNY":
        raise InputError("currency", "must be CNY: convert the amounts first")
    with inputs.gathering(problems):
        inputs.text(entries["basis"], "basis")
    rates = _rates(entries, problems)
    growth = None
    with inputs.gathering(problems):
        if "growth" in entries:
            growth = inputs.number(entries["growth"], "growth", above=-1)
    deflators = _deflators(entries, problems)
    rows: list[Any] = []
    with inputs.gathering(problems):
        rows = list(inputs.sequence(entries["rows"], "rows", 1, MAX_ROWS))
    cells = _cells(rows, problems)
    initial = _initial(entries, cells, problems)
    _check_years(rows, cells, deflators, problems)
    if problems:
        raise InputError.of(problems)
    return _made(plain, cells, rates, growth, initial, deflators)


def recompute(data: Mapping[str, Any]) -> Table:
    """Return the table of `to_dict` if it is, throughout, what its document gives.

    Raises InputError naming the first part that differs, and for a form that is none.

    >>> recompute({"document": {}})
    Traceback (most recent call last):
    valuation.InputError: by_industry: is missing; by_region: is missing; by_year: is missing; cells: is missing; notes: is missing; openings: is missing; v: is missing
    """  # noqa: E501 - what a refusal says
    keys = ("by_industry", "by_region", "by_year", "cells", "document", "notes", "openings", "v")
    entries = inputs.mapping(data, "", keys)
    if not isinstance(entries["document"], Mapping):
        raise InputError("document", "must be an object")
    own = run(entries["document"])
    for key, value in own.to_dict().items():
        given = entries[key]
        if given == value:
            continue
        if isinstance(value, list) and isinstance(given, list) and len(given) == len(value):
            at = next(k for k, (a, b) in enumerate(zip(value, given, strict=True)) if a != b)
            raise InputError(f"{key}[{at}]", "differs from what the document gives")
        raise InputError(key, "differs from what the document gives")
    return own


def region_name(code: str) -> tuple[str, str]:
    """Return what a region is called in Chinese and English: its province, with its code.

    >>> region_name("440305"), region_name("440000")
    (('广东 440305', 'Guangdong 440305'), ('广东', 'Guangdong'))
    """
    zh, en = PROVINCES[code[:2]]
    return (zh, en) if code.endswith("0000") else (f"{zh} {code}", f"{en} {code}")


def check_region(value: object, where: str) -> str:
    """Return `value` if it is a code of GB/T 2260 by its form and province; raise InputError otherwise.

    >>> check_region("440305", "region")
    '440305'
    """
    if (
        not isinstance(value, str)
        or len(value) != 6
        or not (value.isascii() and value.isdigit())
        or value[:2] not in PROVINCES
    ):
        raise InputError(
            where, f"is {value!r}, but must be a region code of GB/T 2260, six digits"[:200]
        )
    return value


# -- what stands in the document ---------------------------------------------------------------


def _in_fen(document: object) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """The document with its amounts in fen, and the rows whose amounts cannot be read."""
    problems: list[tuple[str, str]] = []
    if not isinstance(document, Mapping):
        raise InputError("document", "must be an object with named entries")
    rows = document.get("rows")
    plain = inputs.in_fen({key: value for key, value in document.items() if key != "rows"})
    if not isinstance(rows, list | tuple):
        return {**plain, "rows": rows} if "rows" in document else plain, problems
    made: list[Any] = []
    for k, row in enumerate(rows[: MAX_ROWS + 1]):
        made.append(_UNREAD)
        with inputs.gathering(problems):
            made[k] = inputs.in_fen(row, f"rows[{k}]", 1)
    return {**plain, "rows": made}, problems


def _rates(entries: Mapping[str, Any], problems: list[tuple[str, str]]) -> dict[str, Fraction]:
    """δ by industry; under "" that of every other one."""
    made: dict[str, Fraction] = {}
    with inputs.gathering(problems):
        made[""] = depreciation(entries)[0]
    with inputs.gathering(problems):
        for k, one in enumerate(inputs.sequence(entries.get("rates", []), "rates", 0)):
            with inputs.gathering(problems):
                at = f"rates[{k}]"
                entry = inputs.mapping(one, at, ("industry",), _RATE)
                industry = _industry(entry["industry"], f"{at}.industry")
                if industry in made:
                    raise InputError(f"{at}.industry", f"{industry} stands there twice")
                made[industry] = depreciation(entry, at)[0]
    return made


def _deflators(
    entries: Mapping[str, Any], problems: list[tuple[str, str]]
) -> dict[int, Fraction] | None:
    if "deflators" not in entries:
        return None
    made: dict[int, Fraction] = {}
    with inputs.gathering(problems):
        for k, one in enumerate(inputs.sequence(entries["deflators"], "deflators")):
            with inputs.gathering(problems):
                at = f"deflators[{k}]"
                entry = inputs.mapping(one, at, ("year", "deflator"))
                year = calendar_year(entry["year"], f"{at}.year")
                if year in made:
                    raise InputError(f"{at}.year", f"{year} stands there twice")
                made[year] = inputs.number(entry["deflator"], f"{at}.deflator", above=0)
    return made


def _initial(
    entries: Mapping[str, Any],
    cells: Mapping[Key, Any],
    problems: list[tuple[str, str]],
) -> dict[Key, int]:
    made: dict[Key, int] = {}
    with inputs.gathering(problems):
        given = inputs.sequence(entries.get("initial", []), "initial", 0, MAX_ROWS)
        for k, one in enumerate(given):
            with inputs.gathering(problems):
                at = f"initial[{k}]"
                entry = inputs.mapping(one, at, ("industry", "region", "stock_fen"))
                key = (
                    _industry(entry["industry"], f"{at}.industry"),
                    check_region(entry["region"], f"{at}.region"),
                )
                if key in made or key not in cells:
                    told = "stands there twice" if key in made else "has no row in the table"
                    raise InputError(at, f"{key[0]} {key[1]} {told}")
                made[key] = inputs.money(entry["stock_fen"], f"{at}.stock_fen", 0)
    return made


def _industry(value: object, where: str) -> str:
    if not isinstance(value, str) or value not in INDUSTRIES:
        told = f"is {value!r}, but must be a section of GB/T 4754, A to T"
        raise InputError(where, told[:200])
    return value


def _cells(
    rows: list[Any], problems: list[tuple[str, str]]
) -> dict[Key, dict[int, list[dict[str, Any]]]]:
    """The rows by cell and year, each as its amounts; every fault of every row is named."""
    made: dict[Key, dict[int, list[dict[str, Any]]]] = {}
    first: dict[tuple[Any, ...], int] = {}
    for k, one in enumerate(rows):
        if one is _UNREAD:
            continue
        at, found = f"rows[{k}]", list[tuple[str, str]]()
        row: dict[str, Any] = {}
        with inputs.gathering(found):
            inputs.mapping(one, at, _KEYS, _MORE)
        entry = one if isinstance(one, Mapping) else {}
        for key, read in _READ.items():  # also of a row that lacks something
            if key in entry:
                with inputs.gathering(found):
                    row[key] = read(entry[key], f"{at}.{key}")
        if row.get("producer") == "non_market" and row.get("net_return_fen"):
            found.append((f"{at}.net_return_fen", "must be 0: a non-market producer has none"))
        row["in_scope"] = row.get("use_years", 2) > 1
        if not found and sum(row[key] for key in AMOUNTS) < 0:
            found.append(
                (
                    f"{at}.net_taxes_on_production_fen",
                    "makes the formation less than 0: check the subsidies",
                )
            )
        if not found:
            place = (row["industry"], row["region"], row["year"], row["producer"])
            if place in first:
                found.append((at, f"stands there twice, see rows[{first[place]}]"))
            first.setdefault(place, k)
        if found:
            problems += found
            continue
        row["at"] = k
        by_year = made.setdefault((row["industry"], row["region"]), {})
        by_year.setdefault(row["year"], []).append(row)
    return made


def _check_years(
    rows: list[Any],
    cells: Mapping[Key, Mapping[int, list[dict[str, Any]]]],
    deflators: Mapping[int, Fraction] | None,
    problems: list[tuple[str, str]],
) -> None:
    """Every cell has each year from its first to the table's last, and each year its deflator.

    Looked at only once every row is sound: a row that was refused would seem a gap.
    """
    if any(where.startswith("rows") for where, _ in problems) or not cells:
        return
    last = max(max(years) for years in cells.values())
    for (industry, region), years in cells.items():
        gaps = [year for year in range(min(years), last + 1) if year not in years]
        if gaps:
            at = years[max(year for year in years if year < gaps[0])][0]["at"]
            told = ", ".join(map(str, gaps[:10]))
            problems.append(
                (
                    f"rows[{at}].year",
                    f"is followed by no row for {told} of {industry} {region}: enter 0 for nothing",
                )
            )
    if deflators is not None:
        wanted = sorted({year for years in cells.values() for year in years} - set(deflators))
        if wanted:
            problems.append(("deflators", f"lack {', '.join(map(str, wanted[:10]))}"))


_READ: dict[str, Callable[[Any, str], Any]] = {
    "industry": _industry,
    "region": check_region,
    "year": calendar_year,
    "producer": lambda value, at: inputs.choice(value, at, PRODUCERS),
    **dict.fromkeys((*AMOUNTS, "spending_fen"), lambda value, at: inputs.money(value, at, 0)),
    "net_taxes_on_production_fen": inputs.money,  # below 0 where subsidies are larger
    "use_years": lambda value, at: inputs.number(value, at, above=0),
}


# -- what follows ------------------------------------------------------------------------------


def _made(
    document: dict[str, Any],
    cells: Mapping[Key, Mapping[int, list[dict[str, Any]]]],
    rates: Mapping[str, Fraction],
    growth: Fraction | None,
    initial: Mapping[Key, int],
    deflators: Mapping[int, Fraction] | None,
) -> Table:
    made: list[dict[str, Any]] = []
    openings: list[dict[str, Any]] = []
    for industry, region in sorted(cells):
        years = cells[industry, region]
        delta = rates.get(industry, rates[""])
        stock: int | None = None
        for year in sorted(years):
            cell = _cell(years[year], (industry, region, year))
            deflator = Fraction(1) if deflators is None else deflators[year]
            cell["real_fen"] = round_half_up(cell["formation_fen"] / deflator)
            if stock is None:
                stock = _opening(
                    initial.get((industry, region)), cell["real_fen"], growth, delta, industry
                )
                openings.append(
                    {
                        "delta": exact_text(delta),
                        "industry": industry,
                        "region": region,
                        "stock_fen": stock,
                        "year": year,
                    }
                )
            stock = round_half_up((1 - delta) * stock + cell["real_fen"])
            cell["stock_fen"] = stock
            made.append(cell)
    notes = [_SCOPE]
    if growth is None and len(initial) < len(cells):
        notes.append(_NO_OPENING)
    if deflators is not None:
        notes.append(_CONSTANT)
    for one in [*made, *openings, *_totals(made, ())]:
        if any(isinstance(value, int) and abs(value) > MAX_FEN for value in one.values()):
            raise InputError("rows", f"give {one['year']} an amount of more than 2^53 - 1 fen")
    return Table(
        tuple(made),
        _totals(made, ()),
        _totals(made, ("industry",)),
        _totals(made, ("region",)),
        tuple(openings),
        tuple(notes),
        document,
    )


def _cell(rows: Iterable[Mapping[str, Any]], place: tuple[str, str, int]) -> dict[str, Any]:
    """The rows of one cell and year added up; what is out of scope counts 0."""
    industry, region, year = place
    cell: dict[str, Any] = {
        **dict.fromkeys(SUMS, 0), "industry": industry, "region": region, "year": year,
        "spending_fen": None,
    }  # fmt: skip
    for row in rows:
        if "spending_fen" in row:
            cell["spending_fen"] = (cell["spending_fen"] or 0) + row["spending_fen"]
        if not row["in_scope"]:
            cell["out_of_scope"] += 1
            continue
        for key in AMOUNTS:
            cell[key] += row[key]
    cell["formation_fen"] = sum(cell[key] for key in AMOUNTS)
    cell["share_of_spending"] = _share(cell)
    return cell


def _share(cell: Mapping[str, Any]) -> str | None:
    spent = cell["spending_fen"]
    return exact_text(Fraction(cell["formation_fen"], spent)) if spent else None


def _opening(
    stated: int | None, first_fen: int, growth: Fraction | None, delta: Fraction, industry: str
) -> int:
    """K_0: stated, else I_1 / (g + δ), else 0."""
    if stated is not None:
        return stated
    if growth is None:
        return 0
    if growth + delta <= 0:
        raise InputError(
            "growth", f"is not above -δ = {exact_text(-delta)} of the industry {industry}"
        )
    return round_half_up(first_fen / (growth + delta))


def _totals(cells: Iterable[Mapping[str, Any]], by: tuple[str, ...]) -> tuple[dict[str, Any], ...]:
    """The sums of the cells by `by` and year, each with its growth over the year before."""
    sums: dict[tuple[Any, ...], dict[str, Any]] = {}
    for cell in cells:
        place = (*(cell[key] for key in by), cell["year"])
        total = sums.setdefault(
            place,
            {**{key: cell[key] for key in by}, "year": cell["year"], **dict.fromkeys(SUMS, 0)},
        )
        for key in SUMS:  # the spending is known where all state it
            unknown = total[key] is None or cell[key] is None
            total[key] = None if unknown else total[key] + cell[key]
    for place in sorted(sums):
        total, before = sums[place], sums.get((*place[:-1], place[-1] - 1))
        total["share_of_spending"] = _share(total)
        for name in ("formation", "stock"):
            base = before[f"{name}_fen"] if before else 0
            change = total[f"{name}_fen"] - base
            total[f"{name}_growth"] = exact_text(Fraction(change, base)) if base else None
    return tuple(sums[place] for place in sorted(sums))


_SCOPE = Note(
    "只计使用一年以上的数据；免费观测计 0；非市场生产者不计资本净回报。",
    "Only data used for more than one year counts; what is observed for free counts 0; a non-market "
    "producer has no net return.",
)
_NO_OPENING = Note(
    "未说明期初存量也未说明此前增长率的单元，期初存量按 0 计，因而低估。",
    "Where neither an opening stock nor a growth before is stated, the stock begins with 0 and is too low.",
)
_CONSTANT = Note(
    "存量按平减指数为 1 的年份的价格计；资本形成按现价列示，另列不变价。",
    "Stocks are in prices of the year whose deflator is 1; formation is in current and in those prices.",
)
