"""Each rule is measured on a data file, exactly, as a pair of integers (A, B): A of B hold.

    rule                                   indicator   what is counted
    columns.*.type, min_length, max_length   0101      filled cells
    expected.columns, other_columns          0102      columns
    comparisons, requires                    0104      rows
    columns.*.values                         0105      filled cells
    columns.*.required                       0201      cells
    columns.*.min, max                       0301      cells of their type
    columns.*.pattern                        0302      filled cells
    (always) rows that repeat an earlier one 0303      rows; A are the faulty ones
    keys, columns.*.unique                   0304      rows
    (always) see `DIRTY`                     0305      filled cells; A are the faulty ones
    same                                     0401      rows
    hierarchies, pairs                       0402      rows

What is counted over time stands in `quality_times`.

Up to `EXAMPLES` faults a check are kept, with personal data masked. A frame of faults has the column
`row`, those named in the example, and `against` where there is something to hold them against.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import reduce
from operator import add, and_, or_
from typing import Any, Final

import polars as pl

from ledger.quality.data_file import ROW, DataFile, filled, is_type, typed
from ledger.quality.personal_data import mask, mask_embedded
from ledger.quality.rules import OPERATORS, as_day, column_rule
from ledger.tabular import number_text

EXAMPLES: Final = 5

# A cell is dirty that holds a control, private-use or replacement character, a blank at an end, the
# traces of a wrong decoding, or a word that stands for nothing.
DIRTY: Final = (
    r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x{9F}\x{FFFD}\x{FEFF}\x{200B}\x{E000}-\x{F8FF}]"
    r"|^\s|\s$|锟斤拷|烫烫烫|屯屯屯|Ã[\x{80}-\x{BF}]|â€"
    r"|^(?i:null|none|nan|n/a|#n/a|#ref!|#value!|#div/0!|undefined)$"
)


Count = int | float | Decimal  # always whole; polars' own type of a sum


@dataclass(frozen=True, slots=True)
class Example:
    """One fault: where it is, what stands there, and what it was held against."""

    row: int | None
    column: str
    value: str
    against: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One rule measured: `path` is its place in the rule file, "always" for those without rule."""

    path: str
    indicator: str
    a: int
    b: int
    examples: tuple[Example, ...] = ()


@dataclass(slots=True)
class Measuring:
    """One file under its rules, and the checks made so far; `as_of` is the day of freshness."""

    file: DataFile
    rules: dict[str, Any]
    as_of: date | None = None
    personal_ids: frozenset[str] = frozenset()
    checks: list[Check] = field(default_factory=list)

    def note(
        self, path: str, indicator: str, a: Count, b: Count, ids: Sequence[str] = (),
        faults: pl.DataFrame | pl.LazyFrame | None = None,
    ) -> None:  # fmt: skip
        """Keeps a check with its first faults, shown by the columns `ids`."""
        found = pl.DataFrame() if faults is None else faults.head(EXAMPLES).lazy().collect()
        examples = tuple(self._example(record, ids) for record in found.iter_rows(named=True))
        self.checks.append(Check(path, indicator, int(a), int(b), examples))

    def _example(self, record: dict[str, Any], ids: Sequence[str]) -> Example:
        against = None
        if "against" in record:
            against = mask_embedded(_text(record["against"]))[:80]
            if self.personal_ids.intersection(ids):
                against = mask(against)
        return Example(
            record[ROW],
            " + ".join(self.file.column_name(one) for one in ids),
            " + ".join(self._shown(one, record.get(one)) for one in ids),
            against,
        )

    def _shown(self, column_id: str, value: Any) -> str:
        text = _text(value)
        text = mask(text) if column_id in self.personal_ids else mask_embedded(text)
        return text if len(text) <= 80 else text[:79] + "…"

    def number(self, name: str) -> pl.Expr:
        """A column as numbers for a comparison: by its declared type, else as decimal."""
        kind = column_rule(self.rules, name).get("type")
        return typed(pl.col(self.file.id(name)), "integer" if kind == "integer" else "decimal")

    def moment(self, name: str) -> pl.Expr:
        """A column as its declared type, a date unless told otherwise."""
        rule = column_rule(self.rules, name)
        kind = rule.get("type", "date")
        kind = "date" if kind in {"text", "boolean"} else kind
        return typed(pl.col(self.file.id(name)), kind, rule.get("format"))

    def by(self, rule: dict[str, Any]) -> list[str]:
        """The columns that a rule groups the rows by."""
        return self.file.ids(rule.get("by") or [])


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return number_text(value)
    return "" if value is None else str(value)


def _all_filled(ids: Sequence[str]) -> pl.Expr:
    return reduce(and_, [filled(pl.col(one)) for one in ids])


def _any_filled(ids: Sequence[str]) -> pl.Expr:
    return reduce(or_, [filled(pl.col(one)) for one in ids])


# ---------------------------------------------------------------- cells


def measure_cells(work: Measuring, name: str, values: pl.DataFrame) -> None:
    """The rules on the single cells of a column, asked of each distinct value once."""
    rule, column_id, value = column_rule(work.rules, name), work.file.id(name), pl.col("value")
    path, full = f"columns.{name}", values.filter("filled")
    kind, form = rule.get("type", "text"), rule.get("format")

    def cells(where: str, indicator: str, holds: list[pl.Expr], domain: pl.DataFrame) -> None:
        wrong = domain.filter(~reduce(and_, holds))
        b = int(domain["n"].sum())
        faults = wrong.select(ROW, value.alias(column_id))
        work.note(where, indicator, b - wrong["n"].sum(), b, [column_id], faults)

    standard = []
    if kind != "text":
        standard.append(is_type(value, kind, form))
    if "min_length" in rule:
        standard.append(pl.col("length") >= rule["min_length"])
    if "max_length" in rule:
        standard.append(pl.col("length") <= rule["max_length"])
    if standard:
        cells(f"{path}.type", "0101", standard, full)
    if rule.get("values"):
        cells(f"{path}.values", "0105", [value.is_in(rule["values"])], full)
    if rule.get("required"):
        blank = work.file.frame.filter(~filled(pl.col(column_id)))
        faults = blank.select(ROW, pl.lit("").alias(column_id))
        a, b = full["n"].sum(), values["n"].sum()
        work.note(f"{path}.required", "0201", a, b, [column_id], faults if a < b else None)
    if "min" in rule or "max" in rule:
        number = typed(value, kind, form)
        bounds = [number >= _bound(rule["min"], kind)] if "min" in rule else []
        bounds += [number <= _bound(rule["max"], kind)] if "max" in rule else []
        cells(f"{path}.range", "0301", bounds, full.filter(number.is_not_null()))
    if rule.get("pattern"):
        cells(f"{path}.pattern", "0302", [value.str.contains(rule["pattern"])], full)
    dirty = full.filter(value.str.contains(DIRTY))
    faults = dirty.select(ROW, value.alias(column_id)).lazy()
    work.note(
        f"always.dirty.{name}", "0305", dirty["n"].sum(), full["n"].sum(), [column_id], faults
    )


def _bound(bound: Any, kind: str) -> pl.Expr:
    if kind == "decimal":
        return pl.lit(str(bound)).cast(pl.Decimal(38, 9))
    return pl.lit(as_day(bound) if kind == "date" else bound)


# ---------------------------------------------------------------- columns and rows


def measure_model(work: Measuring) -> None:
    """The columns there are against those expected."""
    expected = work.rules.get("expected") or {}
    names = expected.get("columns")
    if not names:
        return
    wrong = [(name, "missing") for name in names if name not in work.file.header]
    a, b = len(names) - len(wrong), len(names)
    if expected.get("other_columns") == "refused":
        others = [(name, "not expected") for name in work.file.header if name not in names]
        wrong, b = wrong + others, b + len(others)
    examples = tuple(Example(None, name, "", why) for name, why in wrong[:EXAMPLES])
    work.checks.append(Check("expected.columns", "0102", a, b, examples))


def _row_rules(work: Measuring) -> Iterator[tuple[str, str, list[str], pl.Expr, pl.Expr]]:
    """(path, indicator, columns, which rows are meant, which of them hold) of each row rule."""
    file, rules = work.file, work.rules
    for number, rule in enumerate(rules.get("requires") or []):
        column, needs = file.id(rule["column"]), file.ids(rule["needs"])
        meant = filled(pl.col(column))
        yield f"requires[{number}]", "0104", [column, *needs], meant, _all_filled(needs)
    for number, rule in enumerate(rules.get("comparisons") or []):
        left = reduce(add, [work.number(name) for name in rule["left"]])
        right = reduce(add, [work.number(name) for name in rule["right"]])
        meant = left.is_not_null() & right.is_not_null()
        ids = file.ids([*rule["left"], *rule["right"]])
        yield f"comparisons[{number}]", "0104", ids, meant, OPERATORS[rule["op"]](left, right)
    for number, names in enumerate(rules.get("pairs") or []):
        ids = file.ids(names)
        yield f"pairs[{number}]", "0402", ids, _any_filled(ids), _all_filled(ids)
    for number, rule in enumerate(rules.get("hierarchies") or []):
        for upper, lower in itertools.pairwise(file.ids(rule["columns"])):
            above, below = pl.col(upper), pl.col(lower)
            if length := rule.get("length"):
                holds = above.str.slice(0, length) == below.str.slice(0, length)
            else:
                holds = below.str.starts_with(above)
            path = f"hierarchies[{number}].{file.column_name(lower)}"
            yield path, "0402", [upper, lower], _all_filled([upper, lower]), holds


def measure_rows(work: Measuring, rows: int) -> None:
    """The rules between the cells of one row, all counted in one pass, and repeated rows."""
    frame = work.file.frame
    found = list(_row_rules(work))
    if found:
        sums = frame.select(
            *[meant.sum().cast(pl.Int64).alias(f"b{n}")
              for n, (_, _, _, meant, _) in enumerate(found)],
            *[(meant & holds).sum().cast(pl.Int64).alias(f"a{n}")
              for n, (_, _, _, meant, holds) in enumerate(found)],
        ).collect(engine="streaming").row(0, named=True)  # fmt: skip
        for n, (path, indicator, ids, meant, holds) in enumerate(found):
            a, b = sums[f"a{n}"], sums[f"b{n}"]
            faults = frame.filter(meant & ~holds).select(ROW, *dict.fromkeys(ids))
            work.note(path, indicator, a, b, ids, faults if a < b else None)
    # Hashes find the few candidates cheaply; the rows themselves decide.
    ids = work.file.ids(work.file.header)
    line = pl.concat_str(ids, separator="\x1f").hash()
    hashes = frame.select(line.alias("h")).group_by("h").len().filter(pl.col("len") > 1)
    suspects = hashes.collect(engine="streaming")["h"]
    groups = _repeated(work, ids, line.is_in(suspects.implode())) if len(suspects) else None
    a = 0 if groups is None else (groups["n"] - 1).sum()
    work.note("always.duplicates", "0303", a, rows, (), groups)


def _repeated(work: Measuring, ids: Sequence[str], meant: pl.Expr) -> pl.DataFrame:
    """The keys in more than one row: their values, count `n`, second `row`, `against` the first."""
    return (
        work.file.frame.filter(meant)
        .group_by(ids)
        .agg(
            n=pl.len().cast(pl.Int64),
            row=pl.col(ROW).bottom_k(2).max(),
            against=pl.format("row {}", pl.col(ROW).min()),
        )
        .filter(pl.col("n") > 1)
        .collect(engine="streaming")
        .sort(ROW)
    )


def measure_keys(work: Measuring) -> None:
    """Keys that no two rows share, and values that rows of one key share."""
    keys = [(f"columns.{name}.unique", [name]) for name in work.file.header
            if column_rule(work.rules, name).get("unique")]  # fmt: skip
    keys += [(f"keys[{n}]", names) for n, names in enumerate(work.rules.get("keys") or [])]
    for path, names in keys:
        ids = work.file.ids(names)
        meant = _any_filled(ids)
        b = work.file.ask(meant.sum())
        groups = _repeated(work, ids, meant)
        work.note(path, "0304", b - groups["n"].sum(), b, ids, groups)
    for number, rule in enumerate(work.rules.get("same") or []):
        _measure_same(work, f"same[{number}]", rule)


def _measure_same(work: Measuring, path: str, rule: dict[str, Any]) -> None:
    """One key, one value; the keys with more are held against their first value."""
    ids, value = work.file.ids(rule["key"]), work.file.id(rule["value"])
    pairs = (
        work.file.frame.filter(_all_filled([*ids, value]))
        .group_by([*ids, value])
        .agg(n=pl.len().cast(pl.Int64), first=pl.col(ROW).min())
        .collect(engine="streaming")
        .sort("first")
    )
    torn = (
        pairs.group_by(ids, maintain_order=True)
        .agg(
            pl.col(value).get(1, null_on_oob=True),
            n=pl.col("n").sum(),
            spellings=pl.len(),
            against=pl.col(value).get(0),
            row=pl.col("first").get(1, null_on_oob=True),
        )
        .filter(pl.col("spellings") > 1)
        .sort(ROW)
    )
    b = int(pairs["n"].sum())
    work.note(path, "0401", b - torn["n"].sum(), b, [*ids, value], torn)
