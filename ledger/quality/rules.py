"""A rule file says what a table should be; it is read from YAML and checked, all its faults at once.

    version: 1
    title: 全国乡级区划
    columns:                            # every column named must be in the file
      code: {label: 代码, type: text, required: true, unique: true, pattern: '^[0-9]{9}$'}
      date: {type: date, required: true, min: 2019-12-01}
      sex:  {values: ["1", "2"]}        # text, so in quotes
      area: {values_from: {table: areas.csv, column: code}}      # a code list in another table
    expected:
      columns: [code, date, sex]        # a column missing here is a fault of the data
      other_columns: refused            # or allowed (default)
      record_count: 41352
      series: {order: date, by: [code], every: day}      # one record a day from first to last
      per_group: {by: [code], count: 374}                # or counts: {"11": 374, "12": 20}
    keys: [[code, date]]                # no two rows alike
    pairs: [[name, code]]               # both filled or both blank
    requires: [{column: city, needs: [province]}]
    hierarchies: [{columns: [provinceCode, cityCode, code]}]   # each begins with the one before;
                                        # with `length: 2` only the first two characters count
    same: [{key: [code], value: name}]  # one key never has two values
    cumulative: [{columns: [confirmed], by: [code], order: date}]   # never falls
    references: [{columns: [area], table: areas.csv, key: [code], same: {areaName: name}}]
                                        # each row has its partner there, which says the same;
                                        # with `length: 2` only the first two characters count
    comparisons: [{left: [cured, dead], op: "<=", right: [confirmed]}]   # of sums
    order: {column: date, by: [], direction: ascending}         # of the rows in the file
    period: {column: date, from: 2019-12-01, to: 2020-12-08}
    freshness: {column: date, by: [code], at_most_days: 1, as_of: 2020-12-09}

Which rule feeds which indicator, and what it counts, stands in `quality_checks` and `quality_times`.
The form itself is the table `_RULES` below: every key with what its value must be.
"""

import hashlib
import json
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

import polars as pl
import yaml

from ledger.errors import Invalid
from ledger.quality.data_file import TYPES

OPERATORS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<=": operator.le, "<": operator.lt, ">=": operator.ge, ">": operator.gt,
    "==": operator.eq, "!=": operator.ne,
}  # fmt: skip

# ---------------------------------------------------------------- reading and writing


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key that stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key_node.value} stands twice", key_node.start_mark
                )
            if isinstance(key_node.value, str):
                seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def load_rules(path_or_text: str | PathLike[str]) -> dict[str, Any]:
    """The rules in a YAML file (a path) or in a YAML text (a str with a line end), checked.

    Raises Invalid when it is no YAML, and with all faults at once when it is no rule file.
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        name, text = "rules", path_or_text
    else:
        path = Path(path_or_text)
        name = path.name
        try:
            text = path.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid("The rule file {name} cannot be read.", name=name) from error
    try:
        rules = yaml.load(text, _Loader)  # noqa: S506  a subclass of the safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        raise Invalid(
            "The rule file {name} is not legal YAML near line {line}: {fault}.",
            name=name,
            line=mark.line + 1 if mark else 1,
            fault=getattr(error, "problem", None) or type(error).__name__,
        ) from error
    check_rules(rules)
    return dict(rules)


def dump_rules(rules: dict[str, Any]) -> str:
    """The rules as YAML text that `load_rules` reads back the same."""
    text: str = yaml.safe_dump(rules, allow_unicode=True, sort_keys=False, width=100)
    return text


def rules_digest(rules: dict[str, Any]) -> str:
    """The digest of the rules' meaning: sorted JSON with dates as text, whatever the YAML's look."""
    text = json.dumps(rules, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def column_rule(rules: dict[str, Any], name: str) -> dict[str, Any]:
    """What the rules say of a column, {} for nothing."""
    rule = (rules.get("columns") or {}).get(name) or {}
    return {key: value for key, value in rule.items() if value is not None}


def tables_named(rules: dict[str, Any]) -> set[str]:
    """The other tables that rules look into."""
    columns = (rules.get("columns") or {}).values()
    lists = [one["values_from"] for one in columns if one and one.get("values_from")]
    return {one["table"] for one in [*lists, *(rules.get("references") or [])]}


def as_day(value: Any) -> date | None:
    """A date, or a text such as 2020-12-31, as a date; None for anything else."""
    if isinstance(value, datetime):
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


# ---------------------------------------------------------------- what a value must be


@dataclass(slots=True)
class _Faults:
    """The faults of a rule file, each with its path; `header` are the columns there are."""

    header: Sequence[str] | None
    found: list[dict[str, str]] = field(default_factory=list)

    def tell(self, path: str, fault: str) -> None:
        self.found.append({"path": path, "fault": fault})

    def expect(self, holds: bool, path: str, wanted: str, value: Any) -> bool:
        if not holds:
            self.tell(path, f"must be {wanted}, is {_shown(value)}")
        return holds


_Form = Callable[[_Faults, Any, str], Any]  # tells what is wrong with a value at a path


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "nothing" if value is None else repr(value)[:60]


def _text(faults: _Faults, value: Any, path: str) -> None:
    faults.expect(isinstance(value, str), path, "text", value)


def _truth(faults: _Faults, value: Any, path: str) -> None:
    faults.expect(isinstance(value, bool), path, "true or false", value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _whole(least: int) -> _Form:
    return lambda faults, value, path: faults.expect(
        _is_whole(value) and value >= least, path, f"a whole number from {least}", value
    )


def _one_of(*known: str) -> _Form:
    return lambda faults, value, path: faults.expect(
        value in known, path, f"one of {', '.join(known)}", value
    )


def _version(faults: _Faults, value: Any, path: str) -> None:
    faults.expect(value == 1, path, "1", value)


def _day(faults: _Faults, value: Any, path: str) -> None:
    faults.expect(as_day(value) is not None, path, "a date as 2020-12-31", value)


def _column(faults: _Faults, value: Any, path: str) -> None:
    is_name = faults.expect(isinstance(value, str), path, "the name of a column", value)
    if is_name and faults.header is not None and value not in faults.header:
        faults.tell(path, f"column {value} is not in the file")


def _list(of: _Form, wanted: str = "a list", least: int = 0) -> _Form:
    def check(faults: _Faults, value: Any, path: str) -> None:
        if faults.expect(isinstance(value, list) and len(value) >= least, path, wanted, value):
            for number, item in enumerate(value):
                of(faults, item, f"{path}[{number}]")

    return check


def _columns(least: int) -> _Form:
    return _list(_column, f"a list of {least} or more columns", least)


def _mapping(forms: dict[str, _Form], needed: str = "") -> _Form:
    def check(faults: _Faults, value: Any, path: str) -> None:
        if not faults.expect(isinstance(value, dict), path, "a mapping", value):
            return
        for key in value:
            if key not in forms:
                faults.tell(f"{path}.{key}".lstrip("."), f"unknown key; known: {', '.join(forms)}")
        for key, form in forms.items():
            if value.get(key) is not None:
                form(faults, value[key], f"{path}.{key}".lstrip("."))
            elif key in needed.split():
                faults.tell(f"{path}.{key}".lstrip("."), "is missing")

    return check


def _pattern(faults: _Faults, value: Any, path: str) -> None:
    if faults.expect(isinstance(value, str), path, "text", value):
        try:
            pl.Series([""]).str.contains(value)
        except pl.exceptions.PolarsError:
            faults.tell(path, f"is no regular expression: {_shown(value)}")


def _value(faults: _Faults, value: Any, path: str) -> None:
    if not isinstance(value, str):
        faults.tell(path, f"must be text: put {_shown(value)} in quotes")


def _any(faults: _Faults, value: Any, path: str) -> None:
    """A bound, whose form depends on the column's type: see `_column_rule`."""


def _bound(faults: _Faults, value: Any, kind: Any, path: str) -> None:
    if kind == "date":
        _day(faults, value, path)
    elif kind == "integer":
        faults.expect(_is_whole(value), path, "a whole number", value)
    elif kind == "decimal":
        is_number = re.fullmatch(r"-?[0-9]+(\.[0-9]{1,9})?", str(value)) is not None
        faults.expect(is_number, path, "a number", value)
    else:
        faults.tell(path, "belongs to the types integer, decimal and date only")


# ---------------------------------------------------------------- the form of a rule file


def _table(faults: _Faults, value: Any, path: str) -> None:
    is_name = (
        isinstance(value, str) and value not in ("", ".", "..") and not re.search(r"[/\\]", value)
    )
    faults.expect(is_name, path, "the name of a file, without a folder", value)


def _texts_to(of: _Form, key_of: _Form) -> _Form:
    def check(faults: _Faults, value: Any, path: str) -> None:
        if faults.expect(isinstance(value, dict) and value != {}, path, "a mapping", value):
            for key, item in value.items():
                key_of(faults, key, f"{path}.{key}")
                of(faults, item, f"{path}.{key}")

    return check


_COLUMN_RULE: Final[dict[str, _Form]] = {
    "label": _text,
    "type": _one_of(*TYPES),
    "format": _text,
    "required": _truth,
    "unique": _truth,
    "pattern": _pattern,
    "values": _list(_value, "a list of texts", 1),
    "values_from": _mapping({"table": _table, "column": _text}, needed="table column"),
    "min": _any,
    "max": _any,
    "min_length": _whole(0),
    "max_length": _whole(0),
    "personal": _truth,
}


def _column_rule(faults: _Faults, given: Any, path: str) -> None:
    _mapping(_COLUMN_RULE)(faults, given, path)
    if not isinstance(given, dict):
        return
    kind = given.get("type") or "text"
    if given.get("format") is not None and kind not in ("date", "datetime"):
        faults.tell(f"{path}.format", "belongs to the types date and datetime only")
    for key in ("min", "max"):
        if given.get(key) is not None:
            _bound(faults, given[key], kind, f"{path}.{key}")


def _column_rules(faults: _Faults, given: Any, path: str) -> None:
    if faults.expect(isinstance(given, dict), path, "a mapping", given):
        for name, rule in given.items():
            _column(faults, name, f"{path}.{name}")
            _column_rule(faults, rule, f"{path}.{name}")


_REFERENCE: Final = _mapping(
    {"columns": _columns(1), "table": _table, "key": _list(_text, "a list of one or more texts", 1),
     "same": _texts_to(_text, _column), "length": _whole(1)},
    needed="columns table key",
)  # fmt: skip
_PER_GROUP: Final = _mapping(
    {"by": _columns(1), "count": _whole(1), "counts": _texts_to(_whole(1), _value)}, needed="by"
)


def _reference(faults: _Faults, given: Any, path: str) -> None:
    _REFERENCE(faults, given, path)
    columns, key = (given.get("columns"), given.get("key")) if isinstance(given, dict) else (0, 0)
    if isinstance(columns, list) and isinstance(key, list) and len(columns) != len(key):
        faults.tell(f"{path}.key", "must name as many columns as columns does")


def _per_group(faults: _Faults, given: Any, path: str) -> None:
    _PER_GROUP(faults, given, path)
    if not isinstance(given, dict):
        return
    if (given.get("count") is None) == (given.get("counts") is None):
        faults.tell(path, "must have either count or counts")
    if (
        given.get("counts") is not None
        and isinstance(given.get("by"), list)
        and len(given["by"]) > 1
    ):
        faults.tell(f"{path}.counts", "belongs to one column in by only")


_RULES: Final[dict[str, _Form]] = {
    "version": _version,
    "title": _text,
    "source": _text,
    "columns": _column_rules,
    "expected": _mapping({
        "columns": _list(_text, "a list of texts"),
        "other_columns": _one_of("allowed", "refused"),
        "record_count": _whole(1),
        "series": _mapping(
            {"order": _column, "by": _columns(0), "every": _one_of("day", "month", "year")},
            needed="order every",
        ),
        "per_group": _per_group,
    }),
    "keys": _list(_columns(1)),
    "pairs": _list(_columns(2)),
    "requires": _list(_mapping({"column": _column, "needs": _columns(1)}, needed="column needs")),
    "hierarchies": _list(
        _mapping({"columns": _columns(2), "length": _whole(1)}, needed="columns")
    ),
    "references": _list(_reference),
    "same": _list(_mapping({"key": _columns(1), "value": _column}, needed="key value")),
    "cumulative": _list(
        _mapping({"columns": _columns(1), "by": _columns(0), "order": _column},
                 needed="columns order")
    ),
    "comparisons": _list(
        _mapping({"left": _columns(1), "op": _one_of(*OPERATORS), "right": _columns(1)},
                 needed="left op right")
    ),
    "order": _mapping(
        {"column": _column, "by": _columns(0), "direction": _one_of("ascending", "descending")},
        needed="column",
    ),
    "period": _mapping({"column": _column, "from": _day, "to": _day}, needed="column from to"),
    "freshness": _mapping(
        {"column": _column, "by": _columns(0), "at_most_days": _whole(0), "as_of": _day},
        needed="column at_most_days",
    ),
}  # fmt: skip


def check_rules(rules: Any, header: Sequence[str] | None = None) -> None:
    """Nothing, for well-formed rules; with `header`, the columns they name must be in it.

    Raises Invalid with all faults at once: facts["faults"] = [{"path": "columns.code.type",
    "fault": "must be one of …"}, …].
    """
    faults = _Faults(header)
    _mapping(_RULES, needed="version")(faults, rules, "")
    if faults.found:
        listing = "; ".join(f"{one['path'] or '.'}: {one['fault']}" for one in faults.found)
        raise Invalid(
            "The rules have {count} faults: {listing}.",
            count=len(faults.found), listing=listing, faults=faults.found,
        )  # fmt: skip
