"""What of a table's quality the data alone can tell is counted here, exactly, against written rules.

`profile` measures the indicators of GB/T 36344-2018 as pairs of integers (A, B), X = A/B, from a
CSV, TSV or workbook file (also .gz and .xz) and a rule file. What the data cannot tell (whether
the file is accessible, whether a security rule was kept, …) is listed as a question, never assumed.

A rule file is YAML:

    version: 1
    title: 全国乡级区划
    columns:                            # every column named must be in the file
      code: {label: 代码, type: text, required: true, unique: true, pattern: '^[0-9]{9}$'}
      date: {type: date, required: true, min: 2019-12-01}
      sex:  {values: ["1", "2"]}        # text, so in quotes
    expected:
      columns: [code, date, sex]        # a column missing here is a fault of the data
      other_columns: refused            # or allowed (default)
      record_count: 41352
      series: {order: date, by: [code], every: day}      # one record a day from first to last
    keys: [[code, date]]                # no two rows alike
    pairs: [[name, code]]               # both filled or both blank
    requires: [{column: city, needs: [province]}]
    hierarchies: [{columns: [provinceCode, cityCode, code]}]   # each begins with the one before;
                                        # with `length: 2` only the first two characters count
    same: [{key: [code], value: name}]  # one key never has two values
    cumulative: [{columns: [confirmed], by: [code], order: date}]   # never falls
    comparisons: [{left: [cured, dead], op: "<=", right: [confirmed]}]   # of sums
    order: {column: date, by: [], direction: ascending}         # of the rows in the file
    period: {column: date, from: 2019-12-01, to: 2020-12-08}
    freshness: {column: date, by: [code], at_most_days: 1, as_of: 2020-12-09}

Which rule feeds which indicator, and what is counted:

    0101 data standard       columns.*.type, min_length, max_length       filled cells
    0102 data model          expected.columns, other_columns              columns
    0104 business rule       cumulative, comparisons, requires            steps and rows
    0105 reference data      columns.*.values                             filled cells
    0201 element complete    columns.*.required                           cells
    0202 record complete     expected.record_count, expected.series       records
    0301 content correct     columns.*.min, max                           cells of their type
    0302 format              columns.*.pattern                            filled cells
    0303 duplicate rate      (always) rows that repeat an earlier one     rows; inverse
    0304 uniqueness          keys, columns.*.unique                       rows
    0305 dirty data          (always) see `DIRTY`                         filled cells; inverse
    0401 same data           same                                         rows
    0402 related data        hierarchies, pairs                           rows
    0501 period              period                                       filled cells
    0502 at a point          freshness                                    groups
    0503 order               order                                        steps

Cells are text: an identifier keeps its leading zeros. A cell of blanks only counts as blank, a
row of blank cells is no row. Row numbers are those that a spreadsheet shows. Up to `EXAMPLES`
faults a check are kept, with personal data masked.
"""

import codecs
import csv
import hashlib
import itertools
import json
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from functools import reduce
from lzma import LZMAError
from operator import add, and_, or_
from os import PathLike
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import polars as pl
import yaml
from stdnum import luhn
from stdnum.cn import ric

from ledger import tabular
from ledger.errors import Invalid

METHOD: Final = {"id": "shuzheng-profile", "version": 1}
EXAMPLES: Final = 5
IN_MEMORY_BYTES: Final = 256_000_000  # larger text files are scanned anew for each question
MOST_BYTES: Final = 20_000_000_000
TYPES: Final = ("text", "integer", "decimal", "date", "datetime", "boolean")

INDICATORS: Final[dict[str, tuple[str, str, bool]]] = {
    "0101": ("数据标准", "data standard", False),
    "0102": ("数据模型", "data model", False),
    "0103": ("元数据", "metadata", False),
    "0104": ("业务规则", "business rule", False),
    "0105": ("权威参考数据", "authoritative reference data", False),
    "0106": ("安全规范", "security rule", False),
    "0201": ("数据元素完整性", "element completeness", False),
    "0202": ("数据记录完整性", "record completeness", False),
    "0301": ("数据内容正确性", "content correctness", False),
    "0302": ("数据格式合规性", "format compliance", False),
    "0303": ("数据重复率", "duplicate rate", True),
    "0304": ("数据唯一性", "uniqueness", False),
    "0305": ("脏数据出现率", "dirty data rate", True),
    "0401": ("相同数据一致性", "same data consistency", False),
    "0402": ("关联数据一致性", "related data consistency", False),
    "0501": ("基于时间段的正确性", "correctness over a period", False),
    "0502": ("基于时间点及时性", "timeliness at a point", False),
    "0503": ("时序性", "temporal order", False),
    "0601": ("可访问", "accessible", False),
    "0602": ("可用性", "availability", False),
}
UNITS: Final = {
    "0101": "filled cells", "0102": "columns", "0104": "steps and rows", "0105": "filled cells",
    "0201": "cells", "0202": "records", "0301": "cells", "0302": "filled cells", "0303": "rows",
    "0304": "rows", "0305": "filled cells", "0401": "rows", "0402": "rows", "0501": "cells",
    "0502": "groups", "0503": "steps",
}  # fmt: skip
QUESTIONS: Final[dict[str, tuple[str, str]]] = {
    "0101": ("规则未写明任何列的类型或长度。", "No rule names a column's type or length."),
    "0102": ("规则未写明应有的列。", "No rule names the expected columns."),
    "0103": ("元数据是否如实描述数据？", "Do the metadata describe the data truly?"),
    "0104": ("规则未写明业务规则。", "No rule states a business rule."),
    "0105": ("规则未写明代码表。", "No rule states a code list."),
    "0106": (
        "数据是否按安全规范分级、脱敏和授权？",
        "Were the data graded, desensitised and authorised as the security rules ask?",
    ),
    "0201": ("规则未写明哪些列必填。", "No rule says which columns must be filled."),
    "0202": ("应有多少条记录？", "How many records should there be?"),
    "0301": (
        "内容与事实是否相符？规则未写明取值范围。",
        "Does the content agree with the facts? No rule states a range.",
    ),
    "0302": ("规则未写明格式。", "No rule states a format."),
    "0303": ("文件中没有可比较的行。", "The file has no rows to compare."),
    "0304": ("规则未写明唯一键。", "No rule states a key."),
    "0305": ("文件中没有有内容的单元格。", "The file has no filled cell."),
    "0401": ("规则未写明哪些数据应一致。", "No rule says which data must agree."),
    "0402": ("规则未写明关联关系。", "No rule states a relation."),
    "0501": ("数据应覆盖什么时间段？", "Which period should the data cover?"),
    "0502": (
        "数据应在多久之内更新，以何日为准？",
        "How soon must the data be updated, as of which day?",
    ),
    "0503": ("记录应按什么时间顺序排列？", "In which order of time should the records stand?"),
    "0601": ("需要时能否取得数据？", "Can the data be had when they are needed?"),
    "0602": ("在有效期内能否使用？", "Can the data be used during their life span?"),
}

NOTHING_MEANT: Final = (
    "有规则，但没有可评价的数据。",
    "There is a rule, but no data that it means.",
)

# A cell is dirty that holds a control, private-use or replacement character, a blank at an end, the
# traces of a wrong decoding, or a word that stands for nothing.
DIRTY: Final = (
    r"[\x00-\x08\x0B\x0C\x0E-\x1F\x7F-\x{9F}\x{FFFD}\x{FEFF}\x{200B}\x{E000}-\x{F8FF}]"
    r"|^\s|\s$|锟斤拷|烫烫烫|屯屯屯|Ã[\x{80}-\x{BF}]|â€"
    r"|^(?i:null|none|nan|n/a|#n/a|#ref!|#value!|#div/0!|undefined)$"
)


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


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator of GB/T 36344: X = a/b over all its checks; `inverse`: smaller is better."""

    code: str
    zh: str
    en: str
    a: int
    b: int
    inverse: bool
    unit: str
    checks: tuple[str, ...]
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """An indicator that must be asked, and why the data do not tell it."""

    code: str
    zh: str
    en: str
    question_zh: str
    question_en: str


@dataclass(frozen=True, slots=True)
class Column:
    """What a column holds; lengths count characters of filled cells."""

    name: str
    type: str
    declared_type: str | None
    blank_count: int
    distinct_count: int
    min_length: int
    max_length: int


@dataclass(frozen=True, slots=True)
class Personal:
    """A column that seems to hold personal data, and why.

    `kind`: identity_number, mobile, bank_card, email (found in `cell_count` cells), or by its
    header: name, address, birth_date, telephone, document_number. `sample` is masked.
    """

    column: str
    kind: str
    ground: str
    cell_count: int
    sample: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """The measured quality of one file. `digest` is of the file, `content_digest` unpacked."""

    name: str
    digest: str
    content_digest: str
    size_bytes: int
    format: str
    encoding: str | None
    row_count: int
    columns: tuple[Column, ...]
    indicators: tuple[Indicator, ...]
    checks: tuple[Check, ...]
    asked: tuple[Question, ...]
    personal: tuple[Personal, ...]
    rules_digest: str

    def indicator(self, code: str) -> Indicator:
        """The indicator of a code such as "0201"; KeyError when it was not measured."""
        for indicator in self.indicators:
            if indicator.code == code:
                return indicator
        raise KeyError(code)

    def to_dict(self) -> dict[str, Any]:
        """The profile as a record's payload: str, int, bool, None, list and dict, ASCII keys."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), ensure_ascii=False))
        return plain | {"method": dict(METHOD)}


# ---------------------------------------------------------------- rule files


@dataclass(slots=True)
class _Faults:
    """The faults of a rule file, each with its path."""

    header: Sequence[str] | None
    found: list[dict[str, str]] = field(default_factory=list)

    def tell(self, path: str, fault: str) -> None:
        self.found.append({"path": path, "fault": fault})

    def keys(self, value: Any, path: str, known: dict[str, bool]) -> dict[str, Any]:
        """The value as a mapping with known keys only; `known` says which must be there."""
        if not isinstance(value, dict):
            self.tell(path, f"must be a mapping, is {_shown(value)}")
            return {}
        for key in value:
            if key not in known:
                self.tell(f"{path}.{key}".lstrip("."), f"unknown key; known: {', '.join(known)}")
        for key, needed in known.items():
            if needed and value.get(key) is None:
                self.tell(f"{path}.{key}".lstrip("."), "is missing")
        return {key: item for key, item in value.items() if key in known and item is not None}

    def column(self, value: Any, path: str) -> None:
        if not isinstance(value, str):
            self.tell(path, f"must be the name of a column, is {_shown(value)}")
        elif self.header is not None and value not in self.header:
            self.tell(path, f"column {value} is not in the file")

    def column_list(self, value: Any, path: str, least: int = 1) -> None:
        if not isinstance(value, list) or len(value) < least:
            self.tell(path, f"must be a list of {least} or more columns, is {_shown(value)}")
            return
        for number, name in enumerate(value):
            self.column(name, f"{path}[{number}]")

    def items(self, rules: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
        value = rules.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            self.tell(key, f"must be a list, is {_shown(value)}")
            return
        for number, item in enumerate(value):
            yield f"{key}[{number}]", item

    def whole_number(self, value: Any, path: str, least: int = 0) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            self.tell(path, f"must be a whole number from {least}, is {_shown(value)}")

    def one_of(self, value: Any, path: str, known: Sequence[str]) -> None:
        if value not in known:
            self.tell(path, f"must be one of {', '.join(known)}, is {_shown(value)}")

    def day(self, value: Any, path: str) -> None:
        if _day(value) is None:
            self.tell(path, f"must be a date as 2020-12-31, is {_shown(value)}")


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)[:60]


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return None
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


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


_TOP: Final = {
    "version": True, "title": False, "source": False, "columns": False, "expected": False,
    "keys": False, "pairs": False, "requires": False, "hierarchies": False, "same": False,
    "cumulative": False, "comparisons": False, "order": False, "period": False, "freshness": False,
}  # fmt: skip
_COLUMN_KEYS: Final = dict.fromkeys(
    (
        "label", "type", "format", "required", "unique", "pattern", "values", "min", "max",
        "min_length", "max_length", "personal",
    ),
    False,
)  # fmt: skip


def check_rules(rules: Any, header: Sequence[str] | None = None) -> None:
    """Nothing, for well-formed rules; with `header`, the columns they name must be in it.

    Raises Invalid with all faults at once: facts["faults"] = [{"path": "columns.code.type",
    "fault": "must be one of …"}, …].
    """
    faults = _Faults(header)
    top = faults.keys(rules, "", _TOP)
    if "version" in top and top["version"] != 1:
        faults.tell("version", f"must be 1, is {_shown(top['version'])}")
    for key in ("title", "source"):
        if key in top and not isinstance(top[key], str):
            faults.tell(key, f"must be text, is {_shown(top[key])}")
    _check_columns(faults, top.get("columns", {}))
    _check_expected(faults, top.get("expected", {}))
    for key, least in (("keys", 1), ("pairs", 2)):
        for path, item in faults.items(top, key):
            faults.column_list(item, path, least)
    _check_relations(faults, top)
    _check_times(faults, top)
    if faults.found:
        listing = "; ".join(f"{one['path'] or '.'}: {one['fault']}" for one in faults.found)
        raise Invalid(
            "The rules have {count} faults: {listing}.",
            count=len(faults.found),
            listing=listing,
            faults=faults.found,
        )


def _check_columns(faults: _Faults, columns: Any) -> None:
    if not isinstance(columns, dict):
        faults.tell("columns", f"must be a mapping, is {_shown(columns)}")
        return
    for name, given in columns.items():
        path = f"columns.{name}"
        faults.column(name, path)
        rule = faults.keys(given, path, _COLUMN_KEYS)
        kind = rule.get("type", "text")
        faults.one_of(kind, f"{path}.type", TYPES)
        for key in ("required", "unique", "personal"):
            if key in rule and not isinstance(rule[key], bool):
                faults.tell(f"{path}.{key}", f"must be true or false, is {_shown(rule[key])}")
        for key in ("min_length", "max_length"):
            if key in rule:
                faults.whole_number(rule[key], f"{path}.{key}")
        for key in ("label", "format"):
            if key in rule and not isinstance(rule[key], str):
                faults.tell(f"{path}.{key}", f"must be text, is {_shown(rule[key])}")
        if "format" in rule and kind not in {"date", "datetime"}:
            faults.tell(f"{path}.format", "belongs to the types date and datetime only")
        _check_pattern(faults, rule.get("pattern"), f"{path}.pattern")
        _check_values(faults, rule.get("values"), f"{path}.values")
        for key in ("min", "max"):
            if key in rule:
                _check_bound(faults, rule[key], kind, f"{path}.{key}")


def _check_pattern(faults: _Faults, pattern: Any, path: str) -> None:
    if pattern is None:
        return
    if not isinstance(pattern, str):
        faults.tell(path, f"must be text, is {_shown(pattern)}")
        return
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.PolarsError:
        faults.tell(path, f"is no regular expression: {_shown(pattern)}")


def _check_values(faults: _Faults, values: Any, path: str) -> None:
    if values is None:
        return
    if not isinstance(values, list) or not values:
        faults.tell(path, f"must be a list of texts, is {_shown(values)}")
        return
    for number, value in enumerate(values):
        if not isinstance(value, str):
            faults.tell(f"{path}[{number}]", f"must be text: put {_shown(value)} in quotes")


def _check_bound(faults: _Faults, bound: Any, kind: str, path: str) -> None:
    if kind == "date":
        faults.day(bound, path)
    elif kind == "integer":
        if not isinstance(bound, int) or isinstance(bound, bool):
            faults.tell(path, f"must be a whole number, is {_shown(bound)}")
    elif kind == "decimal":
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]{1,9})?", str(bound)):
            faults.tell(path, f"must be a number, is {_shown(bound)}")
    else:
        faults.tell(path, "belongs to the types integer, decimal and date only")


def _check_expected(faults: _Faults, given: Any) -> None:
    expected = faults.keys(
        given,
        "expected",
        {"columns": False, "other_columns": False, "record_count": False, "series": False},
    )
    names = expected.get("columns", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        faults.tell("expected.columns", f"must be a list of texts, is {_shown(names)}")
    if "other_columns" in expected:
        faults.one_of(expected["other_columns"], "expected.other_columns", ("allowed", "refused"))
    if "record_count" in expected:
        faults.whole_number(expected["record_count"], "expected.record_count", 1)
    if "series" in expected:
        path = "expected.series"
        series = faults.keys(expected["series"], path, {"order": True, "by": False, "every": True})
        _check_series(faults, series, path, "order")
        if "every" in series:
            faults.one_of(series["every"], f"{path}.every", ("day", "month", "year"))


def _check_series(faults: _Faults, rule: dict[str, Any], path: str, key: str) -> None:
    if key in rule:
        faults.column(rule[key], f"{path}.{key}")
    if "by" in rule:
        faults.column_list(rule["by"], f"{path}.by", 0)


def _check_relations(faults: _Faults, top: dict[str, Any]) -> None:
    for path, item in faults.items(top, "requires"):
        rule = faults.keys(item, path, {"column": True, "needs": True})
        if "column" in rule:
            faults.column(rule["column"], f"{path}.column")
        if "needs" in rule:
            faults.column_list(rule["needs"], f"{path}.needs")
    for path, item in faults.items(top, "hierarchies"):
        rule = faults.keys(item, path, {"columns": True, "length": False})
        if "columns" in rule:
            faults.column_list(rule["columns"], f"{path}.columns", 2)
        if "length" in rule:
            faults.whole_number(rule["length"], f"{path}.length", 1)
    for path, item in faults.items(top, "same"):
        rule = faults.keys(item, path, {"key": True, "value": True})
        if "key" in rule:
            faults.column_list(rule["key"], f"{path}.key")
        if "value" in rule:
            faults.column(rule["value"], f"{path}.value")
    for path, item in faults.items(top, "cumulative"):
        rule = faults.keys(item, path, {"columns": True, "by": False, "order": True})
        if "columns" in rule:
            faults.column_list(rule["columns"], f"{path}.columns")
        _check_series(faults, rule, path, "order")
    for path, item in faults.items(top, "comparisons"):
        rule = faults.keys(item, path, {"left": True, "op": True, "right": True})
        for key in ("left", "right"):
            if key in rule:
                faults.column_list(rule[key], f"{path}.{key}")
        if "op" in rule:
            faults.one_of(rule["op"], f"{path}.op", tuple(_OPERATORS))


def _check_times(faults: _Faults, top: dict[str, Any]) -> None:
    if "order" in top:
        rule = faults.keys(top["order"], "order", {"column": True, "by": False, "direction": False})
        _check_series(faults, rule, "order", "column")
        if "direction" in rule:
            faults.one_of(rule["direction"], "order.direction", ("ascending", "descending"))
    if "period" in top:
        rule = faults.keys(top["period"], "period", {"column": True, "from": True, "to": True})
        _check_series(faults, rule, "period", "column")
        for key in ("from", "to"):
            if key in rule:
                faults.day(rule[key], f"period.{key}")
    if "freshness" in top:
        rule = faults.keys(
            top["freshness"],
            "freshness",
            {"column": True, "by": False, "at_most_days": True, "as_of": False},
        )
        _check_series(faults, rule, "freshness", "column")
        if "at_most_days" in rule:
            faults.whole_number(rule["at_most_days"], "freshness.at_most_days")
        if "as_of" in rule:
            faults.day(rule["as_of"], "freshness.as_of")


def _rules_digest(rules: dict[str, Any]) -> str:
    """The digest of the rules' meaning: sorted JSON with dates as text, whatever the YAML's look."""
    text = json.dumps(rules, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


# ---------------------------------------------------------------- the file

_ROW: Final = "row"  # internal names: `row`, and c0, c1, … so that no header can be an expression


@dataclass(frozen=True, slots=True)
class _Source:
    name: str
    digest: str
    content_digest: str
    size_bytes: int
    format: str
    encoding: str | None
    header: tuple[str, ...]
    frame: pl.LazyFrame

    def ids(self, names: Sequence[str]) -> list[str]:
        return [self.id(name) for name in names]

    def id(self, name: str) -> str:
        return f"c{self.header.index(name)}"

    def column_name(self, column_id: str) -> str:
        return self.header[int(column_id[1:])]


@contextmanager
def _opened(path: str | PathLike[str], encoding: str | None) -> Iterator[_Source]:
    """The file as text columns c0, c1, … with `row` numbers; blank rows are left out."""
    path = Path(path)
    try:
        with path.open("rb") as raw:
            digest = "sha256:" + hashlib.file_digest(raw, "sha256").hexdigest()
            size = raw.tell()
            raw.seek(0)
            head = raw.read(65_536)
        if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            yield _workbook(path, digest, size)
            return
        with tempfile.TemporaryDirectory(prefix="profile-") as folder:
            yield _text_file(path, Path(folder), digest, size, encoding)
    except OSError as error:
        raise Invalid(
            "{name} cannot be read: {cause}.", name=path.name, cause=error.strerror or str(error)
        ) from error


def _workbook(path: Path, digest: str, size: int) -> _Source:
    table = tabular.read_table(path)
    _check_header(table.header, path.name)
    data: dict[str, Any] = {_ROW: [row.number for row in table.rows]}
    for index in range(len(table.header)):
        data[f"c{index}"] = [row.cells[index] for row in table.rows]
    schema = {key: pl.Int64 if key == _ROW else pl.String for key in data}
    frame = pl.DataFrame(data, schema=schema).lazy()
    return _Source(path.name, digest, digest, size, table.format, None, table.header, frame)


def _check_header(header: Sequence[str], name: str) -> None:
    blank = [str(number) for number, title in enumerate(header, start=1) if not title]
    repeated = sorted({title for title in header if title and list(header).count(title) > 1})
    if blank or repeated:
        raise Invalid(
            "The header of {name} is not usable: columns without name: {blank}; names standing"
            " twice: {repeated}.",
            name=name,
            blank=", ".join(blank) or "-",
            repeated=", ".join(repeated) or "-",
        )


def _text_file(path: Path, folder: Path, digest: str, size: int, encoding: str | None) -> _Source:
    plain, content_digest, is_utf8 = _unpack(path, folder)
    codec = tabular.named_encoding(encoding, path.name) if encoding else None
    if codec is None:
        codec = "utf-8" if is_utf8 else _detected(plain, path.name)
    if codec != "utf-8":
        plain = _as_utf8(plain, folder, codec, path.name)
    elif not is_utf8:
        raise Invalid("{name} is not {encoding} throughout.", name=path.name, encoding=codec)
    with plain.open("r", encoding="utf-8-sig", newline="") as text:
        start = text.read(100_000)
    delimiter = tabular.guess_delimiter(start)
    try:
        header = next(csv.reader(start.splitlines(keepends=True), delimiter=delimiter), [])
    except csv.Error:
        header = []
    header = [" ".join(tabular.clean(title).split()) for title in header]
    if not any(header):
        raise Invalid("The first line of {name} is blank: it must hold the header.", name=path.name)
    _check_header(header, path.name)
    _refuse_open_quotes(plain, delimiter, path.name)
    frame = _scan(plain, delimiter, len(header), path.name)
    form = "tsv" if delimiter == "\t" else "csv"
    return _Source(path.name, digest, content_digest, size, form, codec, tuple(header), frame)


def _unpack(path: Path, folder: Path) -> tuple[Path, str, bool]:
    """(plain file, digest of its content, whether it is UTF-8); the file itself when not packed."""
    content, total = hashlib.sha256(), 0
    decoder: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as raw:
        stream = tabular.unpacking(raw)
        packed = stream is not raw
        plain = folder / "plain" if packed else path
        target: IO[bytes] | None = plain.open("wb") if packed else None
        try:
            while piece := stream.read(1 << 20):
                if not total:
                    _refuse_no_text(piece, path.name)
                total += len(piece)
                if total > MOST_BYTES:
                    raise Invalid(
                        "{name} unpacks to more than {most} bytes.", name=path.name, most=MOST_BYTES
                    )
                content.update(piece)
                decoder = _still_utf8(decoder, piece, final=False)
                if target:
                    target.write(piece)
        except (EOFError, LZMAError, zlib.error) as error:
            raise Invalid(
                "{name} is truncated or damaged; fetch or export it again.", name=path.name
            ) from error
        finally:
            if target:
                target.close()
    if not total:
        _refuse_no_text(b"", path.name)
    decoder = _still_utf8(decoder, b"", final=True)
    return plain, "sha256:" + content.hexdigest(), decoder is not None


def _still_utf8(
    decoder: codecs.IncrementalDecoder | None, piece: bytes, final: bool
) -> codecs.IncrementalDecoder | None:
    if decoder is None:
        return None
    try:
        decoder.decode(piece, final)
    except UnicodeDecodeError:
        return None
    return decoder


def _refuse_no_text(start: bytes, name: str) -> None:
    kind = tabular.sniff(start)
    if kind != "text":
        tabular.read_table(start, name)  # says what it is and what to do
        raise Invalid("{name} is a packed workbook; unpack it first.", name=name)


def _detected(plain: Path, name: str) -> str:
    with plain.open("rb") as raw:
        sample = raw.read(16_000_000)
    if len(sample) == 16_000_000:
        sample = sample[: sample.rfind(b"\n") + 1]
    return tabular.detect_encoding(sample, name)[0]


def _as_utf8(plain: Path, folder: Path, codec: str, name: str) -> Path:
    target = folder / "utf8"
    try:
        with (
            plain.open("r", encoding=codec, newline="") as source,
            target.open("w", encoding="utf-8", newline="") as sink,
        ):
            while piece := source.read(1 << 20):
                sink.write(piece)
    except UnicodeError as error:
        raise Invalid("{name} is not {encoding} throughout.", name=name, encoding=codec) from error
    return target


def _scan(plain: Path, delimiter: str, width: int, name: str) -> pl.LazyFrame:
    ids = [f"c{index}" for index in range(width)]
    # The header line is read as a row and cut off, so that odd headers cannot confuse the reader.
    frame = (
        pl.scan_csv(
            plain,
            has_header=False,
            schema=dict.fromkeys(ids, pl.String),
            separator=delimiter,
            empty_string_is_null=False,
            row_index_name=_ROW,
            row_index_offset=1,
            glob=False,
        )
        .slice(1)
        .with_columns(pl.col(ids).fill_null(""), pl.col(_ROW).cast(pl.Int64))
        .filter(pl.any_horizontal(pl.col(ids).str.strip_chars() != ""))
    )
    if plain.stat().st_size <= IN_MEMORY_BYTES:
        return _collect(frame, plain, delimiter, width, name).lazy()
    every_cell = frame.select(pl.all().is_null().sum())  # reads all once, so a fault shows here
    _collect(every_cell, plain, delimiter, width, name)
    return frame


def _collect(
    frame: pl.LazyFrame, plain: Path, delimiter: str, width: int, name: str
) -> pl.DataFrame:
    try:
        return frame.collect(engine="streaming")
    except pl.exceptions.PolarsError as error:
        _tell_ragged(plain, delimiter, width, name, error)


def _refuse_open_quotes(plain: Path, delimiter: str, name: str) -> None:
    """An odd number of quotation marks hints at one left open, which would swallow rows unseen."""
    marks = 0
    with plain.open("rb") as raw:
        while piece := raw.read(1 << 20):
            marks += piece.count(b'"')
    if marks % 2:
        with plain.open("r", encoding="utf-8-sig", newline="") as text:
            reader = csv.reader(text, delimiter=delimiter, strict=True)
            try:
                for _ in reader:
                    pass
            except csv.Error as error:
                raise Invalid(_BAD_CSV, name=name, line=reader.line_num) from error


_BAD_CSV: Final = (
    "{name} is not legal CSV near line {line}: a quotation mark is not closed or out of place."
)


def _tell_ragged(plain: Path, delimiter: str, width: int, name: str, cause: Exception) -> NoReturn:
    wide: list[int] = []
    line = 0
    with plain.open("r", encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for number, record in enumerate(reader, start=1):
                if len(record) > width and len(wide) < EXAMPLES:
                    wide.append(number)
        except csv.Error:
            line = reader.line_num
    if wide:
        raise Invalid(
            "{name}: rows {listing} have more cells than the header's {width}; a delimiter may"
            " stand unquoted.",
            name=name,
            width=width,
            rows=wide,
            listing=", ".join(map(str, wide)),
        ) from cause
    raise Invalid(_BAD_CSV, name=name, line=line) from cause


# ---------------------------------------------------------------- personal data

_ID_NUMBER: Final = (
    r"[1-9][0-9]{5}(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{3}[0-9Xx]"
)
_MOBILE: Final = r"1[3-9][0-9]{9}"
_EMAIL: Final = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_CARD: Final = r"(?:62|4|5[1-5]|3[57])[0-9]{11,17}"
_CONTENT: Final[dict[str, tuple[str, Callable[[str], bool] | None]]] = {
    "identity_number": (rf"(?:^|[^0-9])({_ID_NUMBER})(?:$|[^0-9])", ric.is_valid),
    "mobile": (rf"(?:^|[^0-9])(?:\+?86[- ]?)?({_MOBILE})(?:$|[^0-9])", None),
    "bank_card": (rf"^({_CARD})$", luhn.is_valid),
    "email": (f"({_EMAIL})", None),
}
_HEADERS: Final = {
    "name": r"姓名|联系人|聯絡人|负责人|負責人|法定代表人|经办人|經辦人|户主|患者名|contact_?name"
    r"|full_?name|^person$|person_?name",
    "address": r"住址|家庭地址|户籍地址|戶籍地址|home_?address",
    "birth_date": r"出生日期|出生年月|生日|birth_?da(y|te)",
    "telephone": r"电话|電話|手机|手機|phone|mobile",
    "document_number": r"身份证|身分證|证件号|證件號|护照|護照|id_?card|passport",
}
_SAMPLE: Final = 2_000


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


def _personal(
    source: _Source, rules: dict[str, Any], counts: dict[str, pl.DataFrame]
) -> list[Personal]:
    found = []
    for name in source.header:
        declared = rules.get("columns", {}).get(name, {}).get("personal")
        if declared is False:
            continue
        values = counts[source.id(name)]
        hits = [*_personal_content(name, values), *_personal_header(name, values)]
        if declared and not hits:
            cells = values.filter(pl.col("filled"))
            sample = tuple(mask(value) for value in cells["value"].head(3))
            hits = [Personal(name, "declared", "rule", int(cells["n"].sum()), sample)]
        found += hits
    return found


def _personal_content(name: str, values: pl.DataFrame) -> Iterator[Personal]:
    for kind, (pattern, is_valid) in _CONTENT.items():
        least = {"identity_number": 18, "mobile": 11, "bank_card": 13, "email": 5}[kind]
        hits = values.filter(
            (pl.col("length") >= least) & pl.col("value").str.contains(pattern)
        ).with_columns(hit=pl.col("value").str.extract(pattern))
        if hits.is_empty():
            continue
        if is_valid is not None:
            # The check digit tells an identifier from a number of the same length: of chance
            # numbers one in eleven passes (one in ten by Luhn), so most of the sample must.
            sample = hits["hit"].head(_SAMPLE).to_list()
            passed = [value for value in sample if is_valid(value)]
            if len(passed) * 2 < len(sample):
                continue
        yield Personal(
            name,
            kind,
            "content",
            int(hits["n"].sum()),
            tuple(mask(value) for value in hits["hit"].head(3)),
        )


def _personal_header(name: str, values: pl.DataFrame) -> Iterator[Personal]:
    for kind, pattern in _HEADERS.items():
        if re.search(pattern, name, re.IGNORECASE):
            cells = values.filter(pl.col("filled"))
            sample = tuple(mask(value) for value in cells["value"].head(3))
            yield Personal(name, kind, "header", int(cells["n"].sum()), sample)
            return


# ---------------------------------------------------------------- measuring

_PATTERNS: Final = {
    "integer": r"^-?(0|[1-9][0-9]{0,17})$",
    "decimal": r"^-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,9})?$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "datetime": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?$",
    "boolean": r"^(?i:true|false|yes|no|0|1|是|否)$",
}
_OPERATORS: Final[dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]]] = {
    "<=": lambda left, right: left <= right,
    "<": lambda left, right: left < right,
    ">=": lambda left, right: left >= right,
    ">": lambda left, right: left > right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
}


def _filled(expression: pl.Expr) -> pl.Expr:
    return expression.str.strip_chars() != ""


def _typed(expression: pl.Expr, kind: str, form: str | None = None) -> pl.Expr:
    """The text as a value of its type, null where it is none; text stays text."""
    if kind in {"text", "boolean"}:
        return expression
    if form is None:
        expression = pl.when(expression.str.contains(_PATTERNS[kind])).then(expression)
    if kind == "integer":
        return expression.cast(pl.Int64, strict=False)
    if kind == "decimal":
        return expression.cast(pl.Decimal(38, 9), strict=False)
    if kind == "date":
        return expression.str.to_date(form or "%Y-%m-%d", strict=False)
    if form is None:
        expression = expression.str.replace("T", " ").str.replace(
            r"^([^ ]+ [0-9]{2}:[0-9]{2})$", "${1}:00"
        )
    return expression.str.to_datetime(form or "%Y-%m-%d %H:%M:%S", strict=False, time_unit="ms")


def _is_type(expression: pl.Expr, kind: str, form: str | None) -> pl.Expr:
    if kind == "text":
        return pl.lit(True)
    if kind == "boolean":
        return expression.str.contains(_PATTERNS["boolean"])
    return _typed(expression, kind, form).is_not_null()


@dataclass(slots=True)
class _Measuring:
    """One profile under way."""

    source: _Source
    rules: dict[str, Any]
    as_of: date | None
    personal_ids: frozenset[str] = frozenset()
    checks: list[Check] = field(default_factory=list)

    def note(
        self, path: str, indicator: str, a: int, b: int, examples: Sequence[Example] = ()
    ) -> None:
        self.checks.append(Check(path, indicator, int(a), int(b), tuple(examples[:EXAMPLES])))

    def example(self, row: int | None, ids: Sequence[str], values: Sequence[Any],
                against: Any = None) -> Example:  # fmt: skip
        names = " + ".join(self.source.column_name(one) for one in ids)
        text = " + ".join(self.shown(one, value) for one, value in zip(ids, values, strict=True))
        held = None if against is None else mask_embedded(str(against))[:80]
        if held and any(one in self.personal_ids for one in ids):
            held = mask(held)
        return Example(row, names, text, held)

    def shown(self, column_id: str, value: Any) -> str:
        text = "" if value is None else str(value)
        text = mask(text) if column_id in self.personal_ids else mask_embedded(text)
        return text if len(text) <= 80 else text[:79] + "…"

    def column_rule(self, name: str) -> dict[str, Any]:
        rule: dict[str, Any] = self.rules.get("columns", {}).get(name) or {}
        return rule

    def number(self, name: str) -> pl.Expr:
        """A column as numbers for a comparison: by its declared type, else as decimal."""
        kind = self.column_rule(name).get("type")
        return _typed(pl.col(self.source.id(name)), "integer" if kind == "integer" else "decimal")

    def moment(self, name: str) -> pl.Expr:
        """A column as its declared type, a date unless told otherwise."""
        rule = self.column_rule(name)
        kind = rule.get("type", "date")
        kind = "date" if kind in {"text", "boolean"} else kind
        return _typed(pl.col(self.source.id(name)), kind, rule.get("format"))


def profile(
    path: str | PathLike[str],
    rules: dict[str, Any],
    *,
    as_of: date | None = None,
    encoding: str | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Profile:
    """The quality of a file under rules: every indicator that they let the data tell.

    `as_of` is the day for the freshness rule (it overrides the rule's own). `on_progress` is
    called with (step, done, total). Text files up to `IN_MEMORY_BYTES` are held in memory once;
    larger ones are scanned in a stream for each question, and only sorting by group and order
    holds the columns it needs.

    Raises Invalid for a file that is no table, and for rules with faults, all of them at once.
    """
    tell = on_progress or (lambda step, done, total: None)
    tell("read", 0, 1)
    with _opened(path, encoding) as source:
        check_rules(rules, source.header)
        total = len(source.header) + 4
        tell("read", 1, total)
        counts = {}
        for done, name in enumerate(source.header, start=2):
            counts[source.id(name)] = _value_counts(source, source.id(name))
            tell("columns", done, total)
        rows = _one(source.frame.select(pl.len()))
        personal = _personal(source, rules, counts)
        work = _Measuring(
            source,
            rules,
            as_of,
            frozenset(source.id(one.column) for one in personal),
        )
        _measure_cells(work, counts)
        _measure_model(work)
        tell("rows", total - 2, total)
        _measure_rows(work, rows)
        _measure_keys(work, rows)
        tell("groups", total - 1, total)
        _measure_groups(work)
        _measure_times(work, rows)
        tell("done", total, total)
        indicators, asked = _indicators(work.checks)
        return Profile(
            name=source.name,
            digest=source.digest,
            content_digest=source.content_digest,
            size_bytes=source.size_bytes,
            format=source.format,
            encoding=source.encoding,
            row_count=rows,
            columns=tuple(
                _column(name, work.column_rule(name).get("type"), counts[source.id(name)])
                for name in source.header
            ),
            indicators=indicators,
            checks=tuple(work.checks),
            asked=asked,
            personal=tuple(personal),
            rules_digest=_rules_digest(rules),
        )


def _one(frame: pl.LazyFrame) -> int:
    return int(frame.collect(engine="streaming").item() or 0)


def _value_counts(source: _Source, column_id: str) -> pl.DataFrame:
    """Each distinct value with its count `n`, first `row`, `length`, and whether it is filled."""
    return (
        source.frame.group_by(pl.col(column_id).alias("value"))
        .agg(n=pl.len().cast(pl.Int64), row=pl.col(_ROW).min())
        .with_columns(length=pl.col("value").str.len_chars(), filled=_filled(pl.col("value")))
        .sort("row")
        .collect(engine="streaming")
    )


def _column(name: str, declared: str | None, values: pl.DataFrame) -> Column:
    filled = values.filter(pl.col("filled"))
    return Column(
        name=name,
        type=_observed_type(filled),
        declared_type=declared,
        blank_count=int(values["n"].sum()) - int(filled["n"].sum()),
        distinct_count=filled.height,
        min_length=int(filled["length"].min() or 0),  # type: ignore[arg-type]
        max_length=int(filled["length"].max() or 0),  # type: ignore[arg-type]
    )


def _observed_type(filled: pl.DataFrame) -> str:
    """The narrowest type that all values have; digits of one length over one are text (a code)."""
    if filled.is_empty():
        return "blank"
    for kind in ("integer", "decimal", "date", "datetime"):
        if filled.select(_is_type(pl.col("value"), kind, None).all()).item():
            lengths = filled["length"]
            if kind == "integer" and filled.height > 2 and lengths.min() == lengths.max() != 1:
                return "text"
            return kind
    return "text"


def _measure_cells(work: _Measuring, counts: dict[str, pl.DataFrame]) -> None:
    """The rules on single cells, asked of each distinct value once."""
    value = pl.col("value")
    for name in work.source.header:
        rule, column_id = work.column_rule(name), work.source.id(name)
        values, path = counts[column_id], f"columns.{name}"
        filled = values.filter(pl.col("filled"))

        def cells(where: str, indicator: str, domain: pl.DataFrame, holds: pl.Expr) -> None:
            wrong = domain.filter(~holds)
            all_cells = int(domain["n"].sum())
            work.note(
                where,
                indicator,
                all_cells - int(wrong["n"].sum()),
                all_cells,
                [work.example(row, [column_id], [text])  # noqa: B023
                 for row, text in wrong.select("row", "value").head(EXAMPLES).iter_rows()],
            )  # fmt: skip

        kind, form = rule.get("type", "text"), rule.get("format")
        standard = []
        if "type" in rule and kind != "text":
            standard.append(_is_type(value, kind, form))
        if "min_length" in rule:
            standard.append(pl.col("length") >= rule["min_length"])
        if "max_length" in rule:
            standard.append(pl.col("length") <= rule["max_length"])
        if standard:
            cells(f"{path}.type", "0101", filled, reduce(and_, standard))
        if rule.get("values"):
            cells(f"{path}.values", "0105", filled, value.is_in(rule["values"]))
        if rule.get("required"):
            blanks = work.source.frame.filter(~_filled(pl.col(column_id))).head(EXAMPLES)
            rows: list[int] = (
                blanks.select(_ROW).collect()[_ROW].to_list()
                if filled.height < values.height
                else []
            )
            work.note(
                f"{path}.required",
                "0201",
                int(filled["n"].sum()),
                int(values["n"].sum()),
                [work.example(row, [column_id], [""]) for row in rows],
            )
        if "min" in rule or "max" in rule:
            parsed = _typed(value, kind, form)
            domain = filled.filter(parsed.is_not_null())
            holds = [pl.lit(True)]
            if "min" in rule:
                holds.append(parsed >= _bound(rule["min"], kind))
            if "max" in rule:
                holds.append(parsed <= _bound(rule["max"], kind))
            cells(f"{path}.range", "0301", domain, reduce(and_, holds))
        if rule.get("pattern"):
            cells(f"{path}.pattern", "0302", filled, value.str.contains(rule["pattern"]))
        dirty = filled.filter(value.str.contains(DIRTY))
        work.note(
            f"always.dirty.{name}",
            "0305",
            int(dirty["n"].sum()),
            int(filled["n"].sum()),
            [work.example(row, [column_id], [text])
             for row, text in dirty.select("row", "value").head(EXAMPLES).iter_rows()],
        )  # fmt: skip


def _bound(bound: Any, kind: str) -> pl.Expr:
    if kind == "date":
        return pl.lit(_day(bound))
    if kind == "integer":
        return pl.lit(bound)
    return pl.lit(str(bound)).cast(pl.Decimal(38, 9))


def _measure_model(work: _Measuring) -> None:
    expected = work.rules.get("expected") or {}
    names = expected.get("columns")
    if not names:
        return
    missing = [name for name in names if name not in work.source.header]
    b = len(names)
    examples = [Example(None, name, "", "missing") for name in missing]
    if expected.get("other_columns") == "refused":
        others = [name for name in work.source.header if name not in names]
        b += len(others)
        examples += [Example(None, name, "", "not expected") for name in others]
    work.note("expected.columns", "0102", len(names) - len(missing), b, examples)


def _row_rules(work: _Measuring) -> Iterator[tuple[str, str, list[str], pl.Expr, pl.Expr]]:
    """(path, indicator, columns, which rows are meant, which of them hold) of each row rule."""
    source, rules = work.source, work.rules
    for number, rule in enumerate(rules.get("requires") or []):
        ids = source.ids([rule["column"], *rule["needs"]])
        filled = [_filled(pl.col(one)) for one in ids]
        yield f"requires[{number}]", "0104", ids, filled[0], reduce(and_, filled[1:])
    for number, rule in enumerate(rules.get("comparisons") or []):
        names = [*rule["left"], *rule["right"]]
        left = reduce(add, [work.number(name) for name in rule["left"]])
        right = reduce(add, [work.number(name) for name in rule["right"]])
        meant = left.is_not_null() & right.is_not_null()
        holds = _OPERATORS[rule["op"]](left, right)
        yield f"comparisons[{number}]", "0104", source.ids(names), meant, holds
    for number, names in enumerate(rules.get("pairs") or []):
        ids = source.ids(names)
        filled = [_filled(pl.col(one)) for one in ids]
        yield f"pairs[{number}]", "0402", ids, reduce(or_, filled), reduce(and_, filled)
    for number, rule in enumerate(rules.get("hierarchies") or []):
        for upper, lower in itertools.pairwise(source.ids(rule["columns"])):
            above, below = pl.col(upper), pl.col(lower)
            if length := rule.get("length"):
                holds = above.str.slice(0, length) == below.str.slice(0, length)
            else:
                holds = below.str.starts_with(above)
            path = f"hierarchies[{number}].{source.column_name(lower)}"
            yield path, "0402", [upper, lower], _filled(above) & _filled(below), holds


def _measure_rows(work: _Measuring, rows: int) -> None:
    frame = work.source.frame
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
            examples = []
            if a < b:
                wrong = frame.filter(meant & ~holds).select(_ROW, *dict.fromkeys(ids))
                for record in wrong.head(EXAMPLES).collect().iter_rows(named=True):
                    examples.append(work.example(record[_ROW], ids, [record[one] for one in ids]))
            work.note(path, indicator, a, b, examples)
    _measure_duplicates(work, rows)


def _groups(work: _Measuring, ids: Sequence[str], meant: pl.Expr | None = None) -> pl.DataFrame:
    """The keys that stand in more than one row: their values, count `n`, second and first row."""
    frame = work.source.frame if meant is None else work.source.frame.filter(meant)
    return (
        frame.group_by(ids)
        .agg(
            n=pl.len().cast(pl.Int64),
            first=pl.col(_ROW).min(),
            second=pl.col(_ROW).bottom_k(2).max(),
        )
        .filter(pl.col("n") > 1)
        .collect(engine="streaming")
        .sort("second")
    )


def _measure_duplicates(work: _Measuring, rows: int) -> None:
    ids = work.source.ids(work.source.header)
    # Hashes find the few candidates cheaply; the rows themselves decide.
    suspects = (
        work.source.frame.select(pl.concat_str(ids, separator="\x1f").hash().alias("h"))
        .group_by("h")
        .agg(n=pl.len())
        .filter(pl.col("n") > 1)
        .collect(engine="streaming")
    )
    if suspects.is_empty():
        work.note("always.duplicates", "0303", 0, rows)
        return
    alike = pl.concat_str(ids, separator="\x1f").hash().is_in(suspects["h"].implode())
    groups = _groups(work, ids, alike)
    work.note(
        "always.duplicates",
        "0303",
        int((groups["n"] - 1).sum()),
        rows,
        [
            Example(record["second"], "", "", f"row {record['first']}")
            for record in groups.head(EXAMPLES).iter_rows(named=True)
        ],
    )


def _measure_keys(work: _Measuring, rows: int) -> None:
    keys = [(f"columns.{name}.unique", [name]) for name in work.source.header
            if work.column_rule(name).get("unique")]  # fmt: skip
    keys += [
        (f"keys[{number}]", names) for number, names in enumerate(work.rules.get("keys") or [])
    ]
    for path, names in keys:
        ids = work.source.ids(names)
        meant = reduce(or_, [_filled(pl.col(one)) for one in ids])
        b = _one(work.source.frame.select(meant.sum()))
        groups = _groups(work, ids, meant)
        examples = [
            work.example(
                record["second"], ids, [record[one] for one in ids], f"row {record['first']}"
            )
            for record in groups.head(EXAMPLES).iter_rows(named=True)
        ]
        work.note(path, "0304", b - int(groups["n"].sum()), b, examples)


def _measure_groups(work: _Measuring) -> None:
    for number, rule in enumerate(work.rules.get("same") or []):
        _measure_same(work, f"same[{number}]", rule)
    for number, rule in enumerate(work.rules.get("cumulative") or []):
        _measure_cumulative(work, f"cumulative[{number}]", rule)


def _measure_same(work: _Measuring, path: str, rule: dict[str, Any]) -> None:
    ids, value = work.source.ids(rule["key"]), work.source.id(rule["value"])
    meant = reduce(and_, [_filled(pl.col(one)) for one in [*ids, value]])
    pairs = (
        work.source.frame.filter(meant)
        .group_by([*ids, value])
        .agg(n=pl.len().cast(pl.Int64), first=pl.col(_ROW).min())
        .collect(engine="streaming")
        .sort("first")
    )
    torn = (
        pairs.group_by(ids, maintain_order=True)
        .agg(
            total=pl.col("n").sum(),
            spellings=pl.len(),
            value=pl.col(value).get(0),
            other=pl.col(value).get(1, null_on_oob=True),
            row=pl.col("first").get(1, null_on_oob=True),
        )
        .filter(pl.col("spellings") > 1)
    )
    b = int(pairs["n"].sum())
    examples = [
        work.example(record["row"], [*ids, value], [*(record[i] for i in ids), record["other"]],
                     work.shown(value, record["value"]))
        for record in torn.sort("row").head(EXAMPLES).iter_rows(named=True)
    ]  # fmt: skip
    work.note(path, "0401", b - int(torn["total"].sum()), b, examples)


def _measure_cumulative(work: _Measuring, path: str, rule: dict[str, Any]) -> None:
    by, order = work.source.ids(rule.get("by") or []), work.moment(rule["order"])
    names = rule["columns"]
    frame = work.source.frame.select(
        *[pl.col(one) for one in by],
        order.alias("order"),
        pl.col(_ROW),
        *[work.number(name).alias(f"v{n}") for n, name in enumerate(names)],
    ).filter(pl.col("order").is_not_null())
    ordered = frame.sort([*by, "order", _ROW])
    same_group = reduce(
        and_,
        [pl.col(one).eq_missing(pl.col(one).shift(1)) for one in by],
        pl.col(_ROW).shift(1) > 0,
    )
    steps = ordered.with_columns(
        step=same_group,
        **{f"p{n}": pl.col(f"v{n}").shift(1) for n in range(len(names))},
    ).filter(pl.col("step"))  # fmt: skip
    steps = steps.collect(engine="streaming").lazy()
    for n, name in enumerate(names):
        meant = pl.col(f"v{n}").is_not_null() & pl.col(f"p{n}").is_not_null()
        falls = meant & (pl.col(f"v{n}") < pl.col(f"p{n}"))
        b, fallen = steps.select(meant.sum(), falls.sum().alias("f")).collect().row(0)
        wrong = steps.filter(falls).select(_ROW, f"v{n}", f"p{n}").sort(_ROW).head(EXAMPLES)
        examples = [
            work.example(row, [work.source.id(name)], [_number_text(now)],
                         _number_text(before))
            for row, now, before in wrong.collect().iter_rows()
        ]  # fmt: skip
        work.note(f"{path}.{name}", "0104", b - fallen, b, examples)


def _number_text(value: Any) -> str:
    text = str(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _measure_times(work: _Measuring, rows: int) -> None:
    rules = work.rules
    expected = rules.get("expected") or {}
    if count := expected.get("record_count"):
        work.note("expected.record_count", "0202", min(rows, count), count)
    if series := expected.get("series"):
        _measure_series(work, series)
    if rule := rules.get("period"):
        moment, column_id = work.moment(rule["column"]), work.source.id(rule["column"])
        meant = moment.is_not_null()
        holds = moment.cast(pl.Date).is_between(_day(rule["from"]), _day(rule["to"]))
        frame = work.source.frame
        a, b = frame.select((meant & holds).sum(), meant.sum().alias("b")).collect().row(0)
        wrong = frame.filter(meant & ~holds).select(_ROW, column_id).head(EXAMPLES).collect()
        work.note(
            "period", "0501", a, b,
            [work.example(row, [column_id], [text]) for row, text in wrong.iter_rows()],
        )  # fmt: skip
    if rule := rules.get("freshness"):
        _measure_freshness(work, rule)
    if rule := rules.get("order"):
        _measure_order(work, rule)


def _measure_series(work: _Measuring, rule: dict[str, Any]) -> None:
    """Records there are and records there should be, one a day (month, year) in each group."""
    by, moment = work.source.ids(rule.get("by") or []), work.moment(rule["order"]).cast(pl.Date)
    step = {
        "day": moment.cast(pl.Int32),
        "month": moment.dt.year().cast(pl.Int32) * 12 + moment.dt.month(),
        "year": moment.dt.year().cast(pl.Int32),
    }[rule["every"]]
    groups = (
        work.source.frame.select(*by, step.alias("step"), pl.col(_ROW))
        .filter(pl.col("step").is_not_null())
        .group_by(by or pl.lit(0).alias("all"))
        .agg(
            there=pl.col("step").n_unique().cast(pl.Int64),
            due=(pl.col("step").max() - pl.col("step").min() + 1).cast(pl.Int64),
            row=pl.col(_ROW).max(),
        )
        .collect(engine="streaming")
    )
    gaps = groups.filter(pl.col("there") < pl.col("due")).sort(
        pl.col("due") - pl.col("there"), "row", descending=[True, False]
    )
    ids = by or [work.source.id(rule["order"])]
    examples = [
        work.example(
            record["row"], ids, [record.get(one, "") for one in ids],
            f"{record['there']} of {record['due']}",
        )
        for record in gaps.head(EXAMPLES).iter_rows(named=True)
    ]  # fmt: skip
    work.note(
        "expected.series", "0202", int(groups["there"].sum()), int(groups["due"].sum()), examples
    )


def _measure_freshness(work: _Measuring, rule: dict[str, Any]) -> None:
    as_of = work.as_of or _day(rule.get("as_of"))
    if as_of is None:
        return
    by, moment = work.source.ids(rule.get("by") or []), work.moment(rule["column"]).cast(pl.Date)
    groups = (
        work.source.frame.select(*by, moment.alias("moment"), pl.col(_ROW))
        .filter(pl.col("moment").is_not_null())
        .group_by(by or pl.lit(0).alias("all"))
        .agg(newest=pl.col("moment").max(), row=pl.col(_ROW).max())
        .collect(engine="streaming")
    )
    days = (pl.lit(as_of) - pl.col("newest")).dt.total_days()
    late = groups.filter(days > rule["at_most_days"]).sort("newest", "row")
    ids = by or [work.source.id(rule["column"])]
    examples = [
        work.example(record["row"], ids, [record.get(one, "") for one in ids], record["newest"])
        for record in late.head(EXAMPLES).iter_rows(named=True)
    ]
    work.note("freshness", "0502", groups.height - late.height, groups.height, examples)


def _measure_order(work: _Measuring, rule: dict[str, Any]) -> None:
    by, column_id = work.source.ids(rule.get("by") or []), work.source.id(rule["column"])
    frame = (
        work.source.frame.select(
            *by, work.moment(rule["column"]).alias("moment"), pl.col(column_id).alias("text"), _ROW
        )
        .filter(pl.col("moment").is_not_null())
        .sort([*by, _ROW])
    )
    same_group = reduce(
        and_,
        [pl.col(one).eq_missing(pl.col(one).shift(1)) for one in by],
        pl.col(_ROW).shift(1) > 0,
    )
    before = pl.col("moment").shift(1)
    backward = (
        pl.col("moment") > before
        if rule.get("direction") == "descending"
        else pl.col("moment") < before
    )
    steps = (
        frame.select(_ROW, "text", step=same_group, wrong=backward, before=pl.col("text").shift(1))
        .filter(pl.col("step"))
        .collect(engine="streaming")
    )
    wrong = steps.filter(pl.col("wrong")).sort(_ROW)
    examples = [
        work.example(record[_ROW], [column_id], [record["text"]], record["before"])
        for record in wrong.head(EXAMPLES).iter_rows(named=True)
    ]
    work.note("order", "0503", steps.height - wrong.height, steps.height, examples)


def _indicators(
    checks: Sequence[Check],
) -> tuple[tuple[Indicator, ...], tuple[Question, ...]]:
    measured, asked = [], []
    for code, (zh, en, inverse) in INDICATORS.items():
        mine = [check for check in checks if check.indicator == code]
        b = sum(check.b for check in mine)
        if not b:
            asked.append(Question(code, zh, en, *(NOTHING_MEANT if mine else QUESTIONS[code])))
            continue
        turns = itertools.zip_longest(*(check.examples for check in mine))
        examples = [example for turn in turns for example in turn if example is not None]
        measured.append(
            Indicator(
                code=code,
                zh=zh,
                en=en,
                a=sum(check.a for check in mine),
                b=b,
                inverse=inverse,
                unit=UNITS[code],
                checks=tuple(check.path for check in mine),
                examples=tuple(examples[:EXAMPLES]),
            )
        )
    return tuple(measured), tuple(asked)


# ---------------------------------------------------------------- a first draft of rules

_CODE_HEADER: Final = re.compile(
    r"(code|id|no|number)$|代码|代碼|编码|編碼|编号|編號|号码|號碼", re.I
)


def propose_rules(path: str | PathLike[str], *, encoding: str | None = None) -> dict[str, Any]:
    """A first draft of rules from what a file happens to hold, for a person to correct.

    It proposes types, what is always filled, patterns of fixed-length codes, short code lists, a
    key, hierarchies that hold throughout, pairs of a name and its code, counts that fall in
    one step of 500 at most, order and period. It proposes no expected record count, since the data
    cannot know it.
    """
    with _opened(path, encoding) as source:
        counts = {one: _value_counts(source, one) for one in source.ids(source.header)}
        rows = _one(source.frame.select(pl.len()))
        columns: dict[str, dict[str, Any]] = {}
        for name in source.header:
            columns[name] = _propose_column(name, counts[source.id(name)], rows)
        rules: dict[str, Any] = {
            "version": 1,
            "title": source.name,
            "columns": columns,
            "expected": {"columns": list(source.header)},
        }
        rules |= _propose_relations(source, counts, columns, rows)
        check_rules(rules, source.header)
        return rules


def _propose_column(name: str, values: pl.DataFrame, rows: int) -> dict[str, Any]:
    filled = values.filter(pl.col("filled"))
    kind = _observed_type(filled)
    is_code = _CODE_HEADER.search(name) is not None
    if kind == "integer" and is_code:
        kind = "text"
    rule: dict[str, Any] = {"type": "text" if kind == "blank" else kind}
    if kind != "blank" and filled.height == values.height:
        rule["required"] = True
    if kind == "text" and filled.height:
        lengths = set(filled["length"])
        size = next(iter(lengths)) if len(lengths) == 1 else None
        for symbols in ("[0-9]", "[A-Z]", "[0-9A-Z]"):
            if size and filled["value"].str.contains(f"^{symbols}+$").all():
                rule["pattern"] = f"^{symbols}{{{size}}}$"
                break
        if filled.height == rows and rows > 1 and (is_code or "pattern" in rule):
            rule["unique"] = True
        elif filled.height <= 20 and rows >= 10 * filled.height and "pattern" not in rule:
            rule["values"] = sorted(filled["value"].to_list())
    if kind == "integer" and not filled["value"].str.starts_with("-").any():
        rule["min"] = 0
    return rule


def _propose_relations(
    source: _Source,
    counts: dict[str, pl.DataFrame],
    columns: dict[str, dict[str, Any]],
    rows: int,
) -> dict[str, Any]:
    draft: dict[str, Any] = {}
    chain = _propose_hierarchy(source, counts, columns)
    if chain:
        draft["hierarchies"] = [{"columns": chain}]
    pairs = _propose_pairs(source.header)
    if pairs:
        draft["pairs"] = [list(pair) for pair in pairs]
        draft["same"] = [{"key": [code], "value": name} for name, code in pairs]
    moments = [name for name, rule in columns.items() if rule["type"] == "date"]
    key = _propose_key(source, columns, rows)
    if key:
        draft["keys"] = [key]
    if moments:
        draft |= _propose_times(source, counts, columns, moments[0], key)
    return draft


def _propose_hierarchy(
    source: _Source, counts: dict[str, pl.DataFrame], columns: dict[str, dict[str, Any]]
) -> list[str]:
    """The longest run of fixed-length digit columns in which each begins with the one before."""
    sized = []
    for name, rule in columns.items():
        lengths = set(counts[source.id(name)].filter(pl.col("filled"))["length"])
        if rule.get("pattern", "").startswith("^[0-9]{") and len(lengths) == 1:
            sized.append((lengths.pop(), name))
    chain: list[str] = []
    for _, name in sorted(sized):
        if not chain:
            chain = [name]
            continue
        above, below = pl.col(source.id(chain[-1])), pl.col(source.id(name))
        torn = _filled(above) & _filled(below) & ~below.str.starts_with(above)
        shorter = columns[chain[-1]]["pattern"] != columns[name]["pattern"]
        if shorter and not _one(source.frame.select(torn.sum())):
            chain.append(name)
    return chain if len(chain) > 1 else []


def _propose_pairs(header: Sequence[str]) -> list[tuple[str, str]]:
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


def _propose_key(source: _Source, columns: dict[str, dict[str, Any]], rows: int) -> list[str]:
    """The fewest columns that tell all rows apart, without counts and without codes of names."""
    if any(rule.get("unique") for rule in columns.values()) or rows < 2:
        return []
    codes = {code for _, code in _propose_pairs(source.header)}
    names = [
        name
        for name, rule in columns.items()
        if rule["type"] in {"text", "date", "datetime"} and name not in codes
    ]

    def tells_apart(chosen: Sequence[str]) -> bool:
        ids = source.ids(chosen)
        distinct = source.frame.select(pl.concat_str(ids, separator="\x1f").hash().n_unique())
        return _one(distinct) == rows

    if not names or len(names) > 12 or not tells_apart(names):
        return []
    for name in list(names):
        rest = [other for other in names if other != name]
        if rest and tells_apart(rest):
            names = rest
    return names


def _propose_times(
    source: _Source,
    counts: dict[str, pl.DataFrame],
    columns: dict[str, dict[str, Any]],
    moment: str,
    key: list[str],
) -> dict[str, Any]:
    days = counts[source.id(moment)].filter(pl.col("filled"))["value"]
    draft: dict[str, Any] = {
        "period": {"column": moment, "from": str(days.min()), "to": str(days.max())}
    }
    by = [name for name in key if name != moment]
    work = _Measuring(source, {"columns": columns}, None)
    _measure_order(work, {"column": moment})
    order = work.checks.pop()
    if order.a == order.b:
        draft["order"] = {"column": moment, "direction": "ascending"}
    numbers = [name for name, rule in columns.items() if rule["type"] == "integer"]
    if moment in key and numbers:
        _measure_cumulative(work, "c", {"columns": numbers, "by": by, "order": moment})
        growing = [
            name
            for name, check in zip(numbers, work.checks, strict=True)
            if check.b and (check.b - check.a) * 500 <= check.b
        ]
        if growing:
            draft["cumulative"] = [{"columns": growing, "by": by, "order": moment}]
    return draft
