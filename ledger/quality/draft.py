"""A first draft of a rule file is read off the data, for a person to correct."""

import re
from collections.abc import Sequence
from os import PathLike
from typing import Any, Final

import polars as pl

from ledger.quality.checks import Measuring
from ledger.quality.data_file import DataFile, filled, observed_type, opened
from ledger.quality.rules import check_rules
from ledger.quality.times import measure_cumulative, measure_order

_CODE_HEADER: Final = re.compile(
    r"(code|id|no|number)$|代码|代碼|编码|編碼|编号|編號|号码|號碼", re.I
)
Columns = dict[str, dict[str, Any]]  # the rules of the columns, as drafted so far
Counts = dict[str, pl.DataFrame]  # the value counts of the columns


def propose_rules(path: str | PathLike[str], *, encoding: str | None = None) -> dict[str, Any]:
    """A first draft of rules from what a file happens to hold, for a person to correct.

    It proposes types, what is always filled, patterns of fixed-length codes, short code lists, a
    key, hierarchies that hold throughout, pairs of a name and its code, counts that fall in
    one step of 500 at most, order and period. It proposes no expected record count, since the data
    cannot know it.
    """
    with opened(path, encoding) as file:
        counts = {name: file.value_counts(name) for name in file.header}
        rows = file.ask(pl.len())
        columns = {name: _draft_column(name, counts[name], rows) for name in file.header}
        rules: dict[str, Any] = {
            "version": 1,
            "title": file.name,
            "columns": columns,
            "expected": {"columns": list(file.header)},
        }
        if chain := _draft_hierarchy(file, counts, columns):
            rules["hierarchies"] = [{"columns": chain}]
        if pairs := _draft_pairs(file.header):
            rules["pairs"] = [list(pair) for pair in pairs]
            rules["same"] = [{"key": [code], "value": name} for name, code in pairs]
        if key := _draft_key(file, columns, rows):
            rules["keys"] = [key]
        if moment := next((name for name in columns if columns[name]["type"] == "date"), None):
            rules |= _draft_times(file, counts, columns, moment, key)
        check_rules(rules, file.header)
        return rules


def _draft_column(name: str, values: pl.DataFrame, rows: int) -> dict[str, Any]:
    full = values.filter("filled")
    kind = observed_type(full)
    is_code = _CODE_HEADER.search(name) is not None
    if kind == "integer" and is_code:
        kind = "text"
    rule: dict[str, Any] = {"type": "text" if kind == "blank" else kind}
    if kind != "blank" and full.height == values.height:
        rule["required"] = True
    if kind == "text" and full.height:
        lengths = set(full["length"])
        size = next(iter(lengths)) if len(lengths) == 1 else None
        for symbols in ("[0-9]", "[A-Z]", "[0-9A-Z]"):
            if size and full["value"].str.contains(f"^{symbols}+$").all():
                rule["pattern"] = f"^{symbols}{{{size}}}$"
                break
        if full.height == rows and rows > 1 and (is_code or "pattern" in rule):
            rule["unique"] = True
        elif full.height <= 20 and rows >= 10 * full.height and "pattern" not in rule:
            rule["values"] = sorted(full["value"].to_list())
    if kind == "integer" and not full["value"].str.starts_with("-").any():
        rule["min"] = 0
    return rule


def _draft_hierarchy(file: DataFile, counts: Counts, columns: Columns) -> list[str]:
    """The longest run of fixed-length digit columns in which each begins with the one before."""
    sized = []
    for name, rule in columns.items():
        lengths = set(counts[name].filter("filled")["length"])
        if rule.get("pattern", "").startswith("^[0-9]{") and len(lengths) == 1:
            sized.append((lengths.pop(), name))
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
        return file.ask(pl.concat_str(ids, separator="\x1f").hash().n_unique()) == rows

    if not names or len(names) > 12 or not tells_apart(names):
        return []
    for name in list(names):
        rest = [other for other in names if other != name]
        if rest and tells_apart(rest):
            names = rest
    return names


def _draft_times(
    file: DataFile,
    counts: Counts,
    columns: Columns,
    moment: str,
    key: list[str],
) -> dict[str, Any]:
    days = counts[moment].filter("filled")["value"]
    draft: dict[str, Any] = {
        "period": {"column": moment, "from": str(days.min()), "to": str(days.max())}
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
