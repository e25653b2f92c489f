"""Each rule is measured on a data file, exactly, as a pair of integers (A, B): A of B hold.

    rule                                   indicator   what is counted
    columns.*.type, min_length, max_length   0101      filled cells
    expected.columns, other_columns          0102      columns
    comparisons, requires                    0104      rows
    columns.*.values, values_from            0105      filled cells
    columns.*.required                       0201      cells
    columns.*.min, max                       0301      cells of their type
    columns.*.pattern                        0302      filled cells
    (always) rows that repeat an earlier one 0303      rows; A are the faulty ones
    keys, columns.*.unique                   0304      rows
    (always) see `DIRTY`                     0305      filled cells; A are the faulty ones
    same, references.*.same                  0401      rows
    hierarchies, pairs, references           0402      rows

What is counted over time stands in `quality_times`.

Up to `EXAMPLES` faults a check are kept, with personal data masked. A frame of faults has the column
`row`, those named in the example, and `against` where there is something to hold them against.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import partial, reduce
from operator import add, and_, or_, xor
from typing import Any, Final

import polars as pl

from ledger.quality.columns import Sum
from ledger.quality.data_file import ROW, VALUE_BYTES, DataFile, filled, is_type, parts, typed
from ledger.quality.other_tables import Tables
from ledger.quality.personal_data import Personal, Search, mask, mask_embedded
from ledger.quality.rules import OPERATORS, as_day, column_rule
from ledger.tabular import number_text

EXAMPLES: Final = 5
COLUMNS_AT_ONCE: Final = 2
BLANKS: Final = ("requires", "pairs")  # rules on what is filled and what is blank

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
class CellCheck:
    """A rule on the single cells of a column, asked of each distinct value once."""

    path: str
    indicator: str
    domain: pl.Expr | None  # None: every filled cell
    holds: pl.Expr
    b: int = 0
    wrong: int = 0
    faults: list[pl.DataFrame] = field(default_factory=list)

    @property
    def broken(self) -> pl.Expr:
        return ~self.holds if self.domain is None else self.domain & ~self.holds


@dataclass(slots=True)
class Measuring:
    """One file under its rules, and the checks made so far; `as_of` is the day of freshness."""

    file: DataFile
    rules: dict[str, Any]
    as_of: date | None = None
    personal_ids: set[str] = field(default_factory=set)
    sums: dict[str, Sum] = field(default_factory=dict)  # by internal name, once all are there
    tables: Tables = field(default_factory=Tables)
    period: CellCheck | None = None
    checks: list[Check] = field(default_factory=list)

    def is_full(self, ids: Sequence[str]) -> bool:
        """Whether no cell of the columns is blank, as their values have told already."""
        return all(one in self.sums and not self.sums[one].blank_count for one in ids)

    def is_key(self, ids: Sequence[str]) -> bool:
        """Whether a column among them alone tells all rows apart, as its values have told already."""
        return any(
            one in self.sums and self.sums[one].distinct_count == self.file.row_count for one in ids
        )

    def most_distinct(self, ids: Sequence[str]) -> int:
        """How many different combinations of values the columns can have at most."""
        counts = [self.sums[one].distinct_count + 1 for one in ids]
        return min(self.file.row_count, math.prod(counts))

    def code_list(self, name: str) -> pl.Series | None:
        """The texts that a column may hold by a code list in another table, None without such a rule."""
        if rule := column_rule(self.rules, name).get("values_from"):
            return self.tables.values(rule["table"], rule["column"])
        return None

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
        kind = "integer" if column_rule(self.rules, name).get("type") == "integer" else "decimal"
        return typed(pl.col(self.file.id(name)), kind, known=self._is_known(name, kind))

    def moment(self, name: str, cells: pl.Expr | None = None) -> pl.Expr:
        """A column (or texts out of it) as its declared type, a date unless told otherwise."""
        rule = column_rule(self.rules, name)
        kind = rule.get("type", "date")
        kind = "date" if kind in {"text", "boolean"} else kind
        if cells is not None:
            return typed(cells, kind, rule.get("format"))
        known = self._is_known(name, kind)
        return typed(pl.col(self.file.id(name)), kind, rule.get("format"), known)

    def _is_known(self, name: str, kind: str) -> bool:
        """Whether every filled cell was seen to be of the type already."""
        summed = self.sums.get(self.file.id(name))
        return summed is not None and kind in summed.kinds

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


def hash_of(names: Sequence[str]) -> pl.Expr:
    """One number of several cells, the same for the same texts in any table."""
    return reduce(xor, [pl.col(one).hash(seed) for seed, one in enumerate(names)])


# ---------------------------------------------------------------- cells


class CellChecks:
    """The rules on the single cells of a column, measured part by part of its distinct values."""

    def __init__(self, work: Measuring, name: str) -> None:
        self.work, self.name, self.rule = work, name, column_rule(work.rules, name)
        kind = self.rule.get("type", "text")
        plain = kind in ("text", "boolean")
        self.as_typed = None if plain else typed(pl.col("value"), kind, self.rule.get("format"))
        self.checks = list(self._made())

    def _made(self) -> Iterator[CellCheck]:
        rule, value, path = self.rule, pl.col("value"), f"columns.{self.name}"
        kind, number = rule.get("type", "text"), pl.col("typed")
        standard = []
        if kind == "boolean":
            standard.append(is_type(value, kind))
        elif kind != "text":
            standard.append(number.is_not_null())
        if "min_length" in rule:
            standard.append(pl.col("length") >= rule["min_length"])
        if "max_length" in rule:
            standard.append(pl.col("length") <= rule["max_length"])
        if standard:
            yield CellCheck(f"{path}.type", "0101", None, reduce(and_, standard))
        if rule.get("values"):
            yield CellCheck(f"{path}.values", "0105", None, value.is_in(rule["values"]))
        if (codes := self.work.code_list(self.name)) is not None:
            yield CellCheck(f"{path}.values_from", "0105", None, value.is_in(codes.implode()))
        if rule.get("required"):  # counted in `note`: it is about the cells without a value
            yield CellCheck(f"{path}.required", "0201", pl.lit(False), pl.lit(True))
        if "min" in rule or "max" in rule:
            bounds = [number >= _bound(rule["min"], kind)] if "min" in rule else []
            bounds += [number <= _bound(rule["max"], kind)] if "max" in rule else []
            yield CellCheck(f"{path}.range", "0301", number.is_not_null(), reduce(and_, bounds))
        if rule.get("pattern"):
            yield CellCheck(f"{path}.pattern", "0302", None, value.str.contains(rule["pattern"]))
        if (period := self.work.rules.get("period") or {}).get("column") == self.name:
            day = self.work.moment(self.name, value).cast(pl.Date)
            inside = day.is_between(as_day(period["from"]), as_day(period["to"]))
            self.work.period = CellCheck("period", "0501", day.is_not_null(), inside)
            yield self.work.period
        yield CellCheck(f"always.dirty.{self.name}", "0305", None, ~value.str.contains(DIRTY))

    def add(self, full: pl.DataFrame, clean: bool) -> None:
        """Takes in the filled rows of a part; `clean`: all are known to be numbers or ISO dates."""
        if full.is_empty():
            return
        n = pl.col("n")
        if self.as_typed is not None:
            full = full.lazy().with_columns(typed=self.as_typed).collect(engine="streaming")
            clean = not self.rule.get("format") and not full["typed"].null_count()
        # A number or an ISO date is never dirty.
        sums = full.lazy().select(
            n.sum(),
            *[(pl.lit(0) if clean and one.indicator == "0305" else n.filter(one.broken).sum())
              .alias(f"w{i}") for i, one in enumerate(self.checks)],
            *[n.filter(one.domain).sum().alias(f"b{i}") for i, one in enumerate(self.checks)
              if one.domain is not None],
        ).collect(engine="streaming").row(0, named=True)  # fmt: skip
        for i, one in enumerate(self.checks):
            one.b += sums.get(f"b{i}", sums["n"])
            one.wrong += sums[f"w{i}"]
            if sums[f"w{i}"]:
                column_id = pl.col("value").alias(self.work.file.id(self.name))
                wrong = full.lazy().filter(one.broken).select(ROW, column_id)
                one.faults.append(wrong.bottom_k(EXAMPLES, by=ROW).collect())

    @property
    def certain(self) -> str | None:
        """The type that every value seen so far was found to have, None for those not looked at."""
        kind = None if self.as_typed is None or self.rule.get("format") else self.rule["type"]
        return None if self.checks[0].wrong else kind

    def note(self, filled_count: int) -> None:
        """Notes the checks, once all parts have been added."""
        column_id, file = self.work.file.id(self.name), self.work.file
        faults: pl.DataFrame | pl.LazyFrame | None
        for one in self.checks:
            if one is self.work.period:  # noted among the times
                continue
            faults = pl.concat(one.faults).sort(ROW) if one.faults else None
            a, b = one.b - one.wrong, one.b
            if one.indicator == "0305":
                a = one.wrong
            elif one.indicator == "0201":
                a, b = filled_count, file.row_count
                blank = file.frame.filter(~filled(pl.col(column_id)))
                faults = blank.select(ROW, pl.lit("").alias(column_id)) if a < b else None
            self.work.note(one.path, one.indicator, a, b, [column_id], faults)


def measure_columns(work: Measuring) -> Iterator[tuple[str, Sum, list[Personal]]]:
    """Notes what the distinct values of each column tell; (name, its sum, what is personal in it).

    Two columns are counted at a time: much of the counting keeps one processor busy only.
    """
    header = work.file.header
    with ThreadPoolExecutor(COLUMNS_AT_ONCE) as pool:
        made = [CellChecks(work, name) for name in header]
        for name, checks, (summed, search) in zip(
            header, made, pool.map(partial(_count, work), made), strict=True
        ):
            work.sums[work.file.id(name)] = summed
            personal = search.found()
            if personal:
                work.personal_ids.add(work.file.id(name))
            checks.note(summed.filled_count)
            yield name, summed, personal


def _count(work: Measuring, checks: CellChecks) -> tuple[Sum, Search]:
    """Goes once through the distinct values of a column."""
    name = checks.name
    summed, search = Sum(), Search(name, column_rule(work.rules, name).get("personal"))
    for part in work.file.value_parts(name):
        full = part if part["filled"].all() else part.filter("filled")
        cell_count = int(part["n"].sum())
        if checks.as_typed is None:
            summed.take(full, cell_count)
            checks.add(full, bool(summed.kinds))
        else:  # the declared type is read first, and often tells the observed one
            checks.add(full, False)
            summed.take(full, cell_count, checks.certain)
        search.add(full, bool(summed.kinds))
    return summed, search


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


def measure_rows(work: Measuring) -> None:
    """The rules between the cells of one row, all counted in one pass, and repeated rows."""
    frame, rows = work.file.frame, work.file.row_count
    found = list(_row_rules(work))
    # Where no cell is blank, no row can break a rule on blanks: those are not asked again.
    asked = [
        n for n, one in enumerate(found) if not (one[0].startswith(BLANKS) and work.is_full(one[2]))
    ]
    sums = dict.fromkeys([f"{letter}{n}" for n in range(len(found)) for letter in "ab"], rows)
    if asked:
        answers = frame.select(
            *[found[n][3].alias(f"b{n}") for n in asked],
            *[(found[n][3] & found[n][4]).alias(f"a{n}") for n in asked],
        )
        counted = answers.select(pl.all().sum().cast(pl.Int64)).collect(engine="streaming")
        sums |= counted.row(0, named=True)
    for n, (path, indicator, ids, meant, holds) in enumerate(found):
        a, b = sums[f"a{n}"], sums[f"b{n}"]
        faults = frame.filter(meant & ~holds).select(ROW, *dict.fromkeys(ids))
        work.note(path, indicator, a, b, ids, faults if a < b else None)
    ids = work.file.ids(work.file.header)
    repeated = _repeated(work, ids, None)
    work.note("always.duplicates", "0303", repeated.rows - repeated.keys, rows, (), repeated.first)


@dataclass(slots=True)
class _Repeated:
    """The keys in more than one row: their `rows`, `keys`, and the first of them.

    `first` has their values, the second `row` of each, and `against` the first row.
    """

    rows: int = 0
    keys: int = 0
    first: pl.DataFrame | None = None


def _repeated(work: Measuring, ids: Sequence[str], meant: pl.Expr | None) -> _Repeated:
    """The rows that share what they hold in `ids` with another one, among those that are meant."""
    found = _Repeated()
    if work.is_key(ids):
        return found
    # Hashes find the few candidates cheaply; the rows themselves decide.
    line = hash_of(ids)
    frame = work.file.frame if meant is None else work.file.frame.filter(meant)
    first: list[pl.DataFrame] = []
    for mine in parts(line, work.file.row_count * VALUE_BYTES):
        hashes = frame.filter(mine).select(line.alias("h")).group_by("h").len()
        suspects = hashes.filter(pl.col("len") > 1).collect(engine="streaming")["h"]
        if suspects.is_empty():
            continue
        groups = (
            frame.filter(line.is_in(suspects.implode()))
            .group_by(ids)
            .agg(
                n=pl.len().cast(pl.Int64),
                row=pl.col(ROW).bottom_k(2).max(),
                against=pl.format("row {}", pl.col(ROW).min()),
            )
            .filter(pl.col("n") > 1)
            .collect(engine="streaming")
        )
        found.rows += int(groups["n"].sum())
        found.keys += groups.height
        first.append(groups.bottom_k(EXAMPLES, by=ROW))
    found.first = pl.concat(first).sort(ROW) if first else None
    return found


def measure_keys(work: Measuring) -> None:
    """Keys that no two rows share, and values that rows of one key share."""
    keys = [(f"columns.{name}.unique", [name]) for name in work.file.header
            if column_rule(work.rules, name).get("unique")]  # fmt: skip
    keys += [(f"keys[{n}]", names) for n, names in enumerate(work.rules.get("keys") or [])]
    for path, names in keys:
        ids = work.file.ids(names)
        full = any(work.is_full([one]) for one in ids)
        meant = None if full else _any_filled(ids)
        b = work.file.row_count if meant is None else work.file.ask(meant.sum())
        found = _repeated(work, ids, meant)
        work.note(path, "0304", b - found.rows, b, ids, found.first)
    for number, rule in enumerate(work.rules.get("same") or []):
        _measure_same(work, f"same[{number}]", rule)


def _measure_same(work: Measuring, path: str, rule: dict[str, Any]) -> None:
    """One key, one value; the keys with more are held against their first value."""
    ids, value = work.file.ids(rule["key"]), work.file.id(rule["value"])
    frame = work.file.frame.filter(_all_filled([*ids, value]))
    key = hash_of(ids)
    b = wrong = 0
    first: list[pl.DataFrame] = []
    for mine in parts(key, work.most_distinct([*ids, value]) * VALUE_BYTES * (len(ids) + 1)):
        pairs = (
            frame.filter(mine)
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
        )
        b += int(pairs["n"].sum())
        wrong += int(torn["n"].sum())
        first.append(torn.bottom_k(EXAMPLES, by=ROW))
    work.note(path, "0401", b - wrong, b, [*ids, value], pl.concat(first).sort(ROW))


# ---------------------------------------------------------------- other tables


def measure_references(work: Measuring) -> None:
    """Which rows find their partner in another table, and say the same as it."""
    for number, rule in enumerate(work.rules.get("references") or []):
        _measure_reference(work, f"references[{number}]", rule)


def _measure_reference(work: Measuring, path: str, rule: dict[str, Any]) -> None:
    file, same, length = work.file, rule.get("same") or {}, rule.get("length")
    other = work.tables.file(rule["table"], [*rule["key"], *same.values()])
    ids, values = file.ids(rule["columns"]), file.ids(list(same))

    def keys(columns: Sequence[str]) -> list[pl.Expr]:
        return [pl.col(one).str.slice(0, length).alias(f"k{n}") for n, one in enumerate(columns)]

    keys_of = [f"k{n}" for n in range(len(ids))]
    partners = other.frame.filter(_all_filled(other.ids(rule["key"]))).select(
        *keys(other.ids(rule["key"])),
        *[pl.col(other.id(name)).alias(mine)
          for mine, name in zip(values, same.values(), strict=True)],
    )  # fmt: skip
    own = file.frame.filter(_all_filled(ids)).with_columns(keys(ids))
    key = hash_of(keys_of)
    rows, orphans = 0, 0
    lost: list[pl.DataFrame] = []
    counts = {
        one: [0, 0] for one in values
    }  # of those with a partner: how many rows, how many differ
    torn: dict[str, list[pl.DataFrame]] = {one: [] for one in values}
    wanted = (work.most_distinct([*ids, *values]) + other.row_count) * VALUE_BYTES
    for mine in parts(key, wanted * (len(ids) * 2 + len(values) + 1)):
        known = partners.filter(mine).unique().collect(engine="streaming")
        groups = (
            own.filter(mine)
            .group_by([*ids, *values, *keys_of])
            .agg(n=pl.len().cast(pl.Int64), row=pl.col(ROW).min())
            .collect(engine="streaming")
        )
        without = groups.join(known, on=keys_of, how="anti")
        rows += int(groups["n"].sum())
        orphans += int(without["n"].sum())
        lost.append(without.bottom_k(EXAMPLES, by=ROW).select(ROW, *ids))
        for one in values:
            said = known.select(*keys_of, one).filter(filled(pl.col(one))).unique()
            told = groups.filter(filled(pl.col(one))).join(said, on=keys_of, how="semi")
            apart = told.join(said, on=[*keys_of, one], how="anti")
            counts[one][0] += int(told["n"].sum())
            counts[one][1] += int(apart["n"].sum())
            first = said.group_by(keys_of).agg(against=pl.col(one).min())
            some = apart.bottom_k(EXAMPLES, by=ROW).join(first, on=keys_of, how="left")
            torn[one].append(some.select(ROW, *ids, one, "against"))
    faults = pl.concat(lost).sort(ROW).with_columns(against=pl.lit(f"not in {rule['table']}"))
    work.note(path, "0402", rows - orphans, rows, ids, faults)
    for one in values:
        told_count, apart_count = counts[one]
        work.note(
            f"{path}.same.{file.column_name(one)}", "0401", told_count - apart_count, told_count,
            [*ids, one], pl.concat(torn[one]).sort(ROW),
        )  # fmt: skip
