"""A first draft of a rule file is read off the data, for a person to correct."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Final

import polars as pl

from ledger.quality.checks import Measuring
from ledger.quality.columns import Sum
from ledger.quality.data_file import VALUE_BYTES, DataFile, filled, opened, parts
from ledger.quality.personal_data import Search
from ledger.quality.rules import check_rules
from ledger.quality.times import measure_cumulative, measure_order

_CODE_HEADER: Final = re.compile(
    r"(code|id|no|number)$|代码|代碼|编码|編碼|编号|編號|号码|號碼", re.I
)
Columns = dict[str, dict[str, Any]]  # the rules of the columns, as drafted so far
_SYMBOLS: Final = ("[0-9]", "[A-Z]", "[0-9A-Z]")
_MOST_VALUES: Final = 20  # of a code list


def propose_rules(path: str | PathLike[str], *, encoding: str | None = None) -> dict[str, Any]:
    """A first draft of rules from what a file happens to hold, for a person to correct.

    It proposes types, what is always filled, patterns of fixed-length codes, short code lists, a
    key, hierarchies that hold throughout, pairs of a name and its code, counts that fall in
    one step of 500 at most, order and period. It proposes no expected record count, since the data
    cannot know it, and lists no values of a column that seems personal.
    """
    with opened(path, encoding) as file:
        seen = {name: _seen(file, name) for name in file.header}
        rows = file.row_count
        columns = {name: _draft_column(name, seen[name], rows) for name in file.header}
        rules: dict[str, Any] = {
            "version": 1,
            "title": file.name,
            "columns": columns,
            "expected": {"columns": list(file.header)},
        }
        if chain := _draft_hierarchy(file, seen, columns):
            rules["hierarchies"] = [{"columns": chain}]
        if pairs := _draft_pairs(file.header):
            rules["pairs"] = [list(pair) for pair in pairs]
            rules["same"] = [{"key": [code], "value": name} for name, code in pairs]
        if key := _draft_key(file, columns, rows):
            rules["keys"] = [key]
        days = [name for name in columns if columns[name]["type"] == "date"]
        if moment := next((name for name in days if not seen[name].personal), None):
            rules |= _draft_times(file, seen, columns, moment, key)
        check_rules(rules, file.header)
        return rules


@dataclass(slots=True)
class _Seen(Sum):
    """A column summed up with what a draft asks besides."""

    symbols: list[str] = field(default_factory=lambda: list(_SYMBOLS))
    negative: bool = False
    values: list[str] = field(default_factory=list)  # all of them, where they are few
    least: str = ""
    most: str = ""
    personal: bool = False


Seen = dict[str, _Seen]


def _seen(file: DataFile, name: str) -> _Seen:
    found, search, value = _Seen(), Search(name, None), pl.col("value")
    for part in file.value_parts(name):
        full = part.filter("filled")
        found.take(full, int(part["n"].sum()))
        search.add(full, bool(found.kinds))
        if full.is_empty():
            continue
        least, most, negative, *fits = full.select(
            value.min(), value.max().alias("most"), value.str.starts_with("-").any().alias("minus"),
            *[value.str.contains(f"^{one}+$").all().alias(one) for one in _SYMBOLS],
        ).row(0)  # fmt: skip
        found.least = min(found.least or least, least)
        found.most = max(found.most, most)
        found.negative |= negative
        found.symbols = [
            one for one, fit in zip(_SYMBOLS, fits, strict=True) if fit and one in found.symbols
        ]
        found.values += full["value"].to_list() if full.height <= _MOST_VALUES else []
    found.personal = bool(search.found())
    return found


def _draft_column(name: str, seen: _Seen, rows: int) -> dict[str, Any]:
    kind = seen.type
    is_code = _CODE_HEADER.search(name) is not None
    if kind == "integer" and is_code:
        kind = "text"
    rule: dict[str, Any] = {"type": "text" if kind == "blank" else kind}
    if kind != "blank" and not seen.blank_count:
        rule["required"] = True
    if kind == "text" and seen.distinct_count:
        if seen.min_length == seen.max_length and seen.symbols:
            rule["pattern"] = f"^{seen.symbols[0]}{{{seen.max_length}}}$"
        if seen.distinct_count == rows and rows > 1 and (is_code or "pattern" in rule):
            rule["unique"] = True
        elif (
            seen.distinct_count <= _MOST_VALUES
            and rows >= 10 * seen.distinct_count
            and not ("pattern" in rule or seen.personal)
        ):
            rule["values"] = sorted(seen.values)
    if kind == "integer" and not seen.negative:
        rule["min"] = 0
    if seen.personal:
        rule["personal"] = True
    return rule


def _draft_hierarchy(file: DataFile, seen: Seen, columns: Columns) -> list[str]:
    """The longest run of fixed-length digit columns in which each begins with the one before."""
    sized = []
    for name, rule in columns.items():
        if rule.get("pattern", "").startswith("^[0-9]{"):
            sized.append((seen[name].max_length, name))
    chain: list[str] = []
    for _, name in sorted(sized):
        if not chain:
            chain = [name]
            continue
        above, below = pl.col(file.id(chain[-1])), pl.col(file.id(name))
        torn = filled(above) & filled(below) & ~below.str.starts_with(above)
        shorter = columns[chain[-1]]["pattern"] != columns[name]["pattern"]
        if shorter and not file.ask(torn.sum()):
            chain.append(name)
    return chain if len(chain) > 1 else []


def _draft_pairs(header: Sequence[str]) -> list[tuple[str, str]]:
    """(name, its code): "city" with "cityCode", "部门" or "部门名称" with "部门代码"."""
    folded = {re.sub(r"[_\s-]", "", name).lower(): name for name in header}
    pairs = []
    for short, name in folded.items():
        stem = re.sub(r"(名称|名稱|name)$", "", short)
        for ending in ("code", "id", "代码", "代碼", "编码", "編碼"):
            if stem and stem + ending in folded:
                pairs.append((name, folded[stem + ending]))
                break
    return pairs


def _draft_key(file: DataFile, columns: Columns, rows: int) -> list[str]:
    """The fewest columns that tell all rows apart, without counts and without codes of names."""
    if any(rule.get("unique") for rule in columns.values()) or rows < 2:
        return []
    codes = {code for _, code in _draft_pairs(file.header)}
    names = [
        name
        for name, rule in columns.items()
        if rule["type"] in {"text", "date", "datetime"} and name not in codes
    ]

    def tells_apart(chosen: Sequence[str]) -> bool:
        ids = file.ids(chosen)
        line = pl.concat_str(ids, separator="\x1f").hash()
        some = parts(line, rows * VALUE_BYTES)
        return sum(file.ask(line.filter(mine).n_unique()) for mine in some) == rows

    if not names or len(names) > 12 or not tells_apart(names):
        return []
    for name in list(names):
        rest = [other for other in names if other != name]
        if rest and tells_apart(rest):
            names = rest
    return names


def _draft_times(
    file: DataFile,
    seen: Seen,
    columns: Columns,
    moment: str,
    key: list[str],
) -> dict[str, Any]:
    draft: dict[str, Any] = {
        "period": {"column": moment, "from": seen[moment].least, "to": seen[moment].most}
    }
    by = [name for name in key if name != moment]
    work = Measuring(file, {"columns": columns})
    measure_order(work, {"column": moment})
    order = work.checks.pop()
    if order.a == order.b:
        draft["order"] = {"column": moment, "direction": "ascending"}
    numbers = [name for name, rule in columns.items() if rule["type"] == "integer"]
    if moment in key and numbers:
        measure_cumulative(work, "c", {"columns": numbers, "by": by, "order": moment})
        growing = [
            name
            for name, check in zip(numbers, work.checks, strict=True)
            if check.b and (check.b - check.a) * 500 <= check.b
        ]
        if growing:
            draft["cumulative"] = [{"columns": growing, "by": by, "order": moment}]
    return draft
