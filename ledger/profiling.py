"""What of a table's quality the data alone can tell is counted here, exactly, against written rules.

`profile` measures the indicators of GB/T 36344-2018 as pairs of integers (A, B), X = A/B, from a
CSV, TSV (also .gz and .xz), workbook or Parquet file and a rule file. What the data cannot tell (whether
the file is accessible, whether a security rule was kept, …) is listed as a question, never assumed.

The form of a rule file stands in `quality_rules`, which rule feeds which indicator in
`quality_checks` and `quality_times`, how a file is opened in `data_file`, what counts as personal in
`personal_data`, how a first draft of rules is made in `quality_draft`.
"""

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any, Final

from ledger.quality import checks as quality_checks
from ledger.quality import times as quality_times
from ledger.quality.checks import EXAMPLES, Check, Example, Measuring
from ledger.quality.columns import Column
from ledger.quality.data_file import opened
from ledger.quality.draft import propose_rules
from ledger.quality.other_tables import Table, Tables
from ledger.quality.personal_data import Personal, mask
from ledger.quality.rules import (
    check_rules,
    column_rule,
    dump_rules,
    load_rules,
    rules_digest,
    tables_named,
)

__all__ = [
    "Check", "Example", "Personal", "Profile", "check_rules", "dump_rules", "load_rules", "mask",
    "profile", "propose_rules", "tables_named",
]  # fmt: skip

METHOD_ID: Final = "shuzheng-profile"
INVERSE: Final = {"0303", "0305"}  # smaller is better

# code: (name zh, name en, what is counted, what is asked when no rule tells it, zh and en)
INDICATORS: Final[dict[str, tuple[str, str, str, str, str]]] = {
    "0101": ("数据标准", "data standard", "filled cells",
             "规则未写明任何列的类型或长度。", "No rule names a column's type or length."),
    "0102": ("数据模型", "data model", "columns",
             "规则未写明应有的列。", "No rule names the expected columns."),
    "0103": ("元数据", "metadata", "",
             "元数据是否如实描述数据？", "Do the metadata describe the data truly?"),
    "0104": ("业务规则", "business rule", "steps and rows",
             "规则未写明业务规则。", "No rule states a business rule."),
    "0105": ("权威参考数据", "authoritative reference data", "filled cells",
             "规则未写明代码表。", "No rule states a code list."),
    "0106": ("安全规范", "security rule", "",
             "数据是否按安全规范分级、脱敏和授权？",
             "Were the data graded, desensitised and authorised as the security rules ask?"),
    "0201": ("数据元素完整性", "element completeness", "cells",
             "规则未写明哪些列必填。", "No rule says which columns must be filled."),
    "0202": ("数据记录完整性", "record completeness", "records",
             "应有多少条记录？", "How many records should there be?"),
    "0301": ("数据内容正确性", "content correctness", "cells",
             "内容与事实是否相符？规则未写明取值范围。",
             "Does the content agree with the facts? No rule states a range."),
    "0302": ("数据格式合规性", "format compliance", "filled cells",
             "规则未写明格式。", "No rule states a format."),
    "0303": ("数据重复率", "duplicate rate", "rows",
             "文件中没有可比较的行。", "The file has no rows to compare."),
    "0304": ("数据唯一性", "uniqueness", "rows",
             "规则未写明唯一键。", "No rule states a key."),
    "0305": ("脏数据出现率", "dirty data rate", "filled cells",
             "文件中没有有内容的单元格。", "The file has no filled cell."),
    "0401": ("相同数据一致性", "same data consistency", "rows",
             "规则未写明哪些数据应一致。", "No rule says which data must agree."),
    "0402": ("关联数据一致性", "related data consistency", "rows",
             "规则未写明关联关系。", "No rule states a relation."),
    "0501": ("基于时间段的正确性", "correctness over a period", "cells",
             "数据应覆盖什么时间段？", "Which period should the data cover?"),
    "0502": ("基于时间点及时性", "timeliness at a point", "groups",
             "数据应在多久之内更新，以何日为准？", "How soon must the data be updated, as of which day?"),
    "0503": ("时序性", "temporal order", "steps",
             "记录应按什么时间顺序排列？", "In which order of time should the records stand?"),
    "0601": ("可访问", "accessible", "",
             "需要时能否取得数据？", "Can the data be had when they are needed?"),
    "0602": ("可用性", "availability", "",
             "在有效期内能否使用？", "Can the data be used during their life span?"),
}  # fmt: skip
NOTHING_MEANT: Final = (
    "有规则，但没有可评价的数据。",
    "There is a rule, but no data that it means.",
)


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
    tables: tuple[Table, ...] = ()

    def indicator(self, code: str) -> Indicator:
        """The indicator of a code such as "0201"; KeyError when it was not measured."""
        for indicator in self.indicators:
            if indicator.code == code:
                return indicator
        raise KeyError(code)

    @property
    def version(self) -> int:
        """The method's version: 1, or 2 for what version 1 could not tell from the same file and rules.

        What both can tell they tell alike, so that a record of before is computed again the same.
        """
        of_2 = (
            self.tables
            or self.format == "parquet"
            or any(one.ground == "seems" for one in self.personal)
            or any(one.path == "expected.per_group" for one in self.checks)
        )
        return 2 if of_2 else 1

    def to_dict(self) -> dict[str, Any]:
        """The profile as a record's payload: str, int, bool, None, list and dict, ASCII keys."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), ensure_ascii=False))
        if not self.tables:
            del plain["tables"]  # as in the records of before
        return plain | {"method": {"id": METHOD_ID, "version": self.version}}


def profile(
    path: str | PathLike[str],
    rules: dict[str, Any],
    *,
    as_of: date | None = None,
    encoding: str | None = None,
    tables: Mapping[str, Path] | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
) -> Profile:
    """The quality of a file under rules: every indicator that they let the data tell.

    `as_of` is the day for the freshness rule (it overrides the rule's own). `tables` are the files
    in which the rules may look for partners and code lists, by the name that the rules use.
    `on_progress` is called with (step, done, total). How much memory it takes stands in
    docs/quality.md.

    Raises Invalid for a file that is no table, for a table that the rules need and that is not
    given, and for rules with faults, all of them at once.
    """
    tell = on_progress or (lambda step, done, total: None)
    tell("read", 0, 1)
    with opened(path, encoding) as file, Tables(tables or {}) as others:
        check_rules(rules, file.header)
        total = len(file.header) + 4
        tell("read", 1, total)
        personal: list[Personal] = []
        columns: list[Column] = []
        work = Measuring(file, rules, as_of, tables=others)
        for name, summed, found in quality_checks.measure_columns(work):
            personal += found
            columns.append(summed.column(name, column_rule(rules, name).get("type")))
            tell("columns", len(columns) + 1, total)
        quality_checks.measure_model(work)
        tell("rows", total - 2, total)
        quality_checks.measure_rows(work)
        quality_checks.measure_keys(work)
        quality_checks.measure_references(work)
        tell("times", total - 1, total)
        quality_times.measure_times(work)
        tell("done", total, total)
        indicators, asked = _indicators(work.checks)
        return Profile(
            name=file.name,
            digest=file.digest,
            content_digest=file.content_digest,
            size_bytes=file.size_bytes,
            format=file.format,
            encoding=file.encoding,
            row_count=file.row_count,
            columns=tuple(columns),
            indicators=indicators,
            checks=tuple(work.checks),
            asked=asked,
            personal=tuple(personal),
            rules_digest=rules_digest(rules),
            tables=others.looked_into(),
        )


def _indicators(
    checks: Sequence[Check],
) -> tuple[tuple[Indicator, ...], tuple[Question, ...]]:
    measured, asked = [], []
    for code, (zh, en, unit, *question) in INDICATORS.items():
        mine = [check for check in checks if check.indicator == code]
        b = sum(check.b for check in mine)
        if not b:
            asked.append(Question(code, zh, en, *(NOTHING_MEANT if mine else question)))
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
                inverse=code in INVERSE,
                unit=unit,
                checks=tuple(check.path for check in mine),
                examples=tuple(examples[:EXAMPLES]),
            )
        )
    return tuple(measured), tuple(asked)
