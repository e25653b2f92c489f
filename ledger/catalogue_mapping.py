"""A catalogue comes in with its own column names and leaves in ours, with every fault told at once.

`guess` proposes a field for each column, a person may correct it with `Mapping.with_field`, and
`apply` turns the rows into resources. The fields stand in `catalogue_fields`, how a cell's spelling
is read in `catalogue_values`.

Spellings are brought to one form and the original is kept beside it (`format_text`,
`update_cycle_text`, …). What cannot be read stays None or stays text, and is told; nothing is
assumed. Columns of persons (contact names, telephones) are left out and told.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

from stdnum.cn import uscc

from ledger import catalogue_rules, grading
from ledger import catalogue_values as values
from ledger.catalogue_fields import FIELDS, Field, Kind, field_of, is_personal
from ledger.errors import Invalid
from ledger.tabular import Problem, Row, Severity, Table

__all__ = ["FIELDS", "MappedColumn", "Mapping", "Problem", "Resource", "apply", "guess"]

Resource = dict[str, str | int | list[str] | None]
Why = Literal["matched", "given", "unknown", "blank", "repeats", "personal", "ignored"]

# ---------------------------------------------------------------- columns


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """What a column is taken for. `repeats` is the index of the column that already gives the field."""

    index: int
    header: str
    field: str | None
    why: Why
    repeats: int | None = None


@dataclass(frozen=True, slots=True)
class Mapping:
    """A field, or a reason why none, for each column of a table."""

    columns: tuple[MappedColumn, ...]

    @property
    def fields(self) -> dict[str, int]:
        """Field → index of its column."""
        return {column.field: column.index for column in self.columns if column.field}

    def with_field(self, index: int, field_name: str | None) -> "Mapping":
        """The same mapping with one column's field given by a person; None leaves it out.

        A field stands for one column only: given anew, it is taken from the other column.
        """
        if field_name is not None and field_name not in FIELDS:
            raise Invalid(
                "There is no field {field}; known: {listing}.",
                field=field_name, known=list(FIELDS), listing=", ".join(FIELDS),
            )  # fmt: skip
        if not 0 <= index < len(self.columns):
            raise Invalid(
                "There is no column {number}; the table has {columns}.",
                number=index + 1, columns=len(self.columns),
            )  # fmt: skip
        columns = [
            replace(column, field=None, why="ignored")
            if field_name and column.field == field_name
            else column
            for column in self.columns
        ]
        why: Why = "given" if field_name else "ignored"
        columns[index] = replace(columns[index], field=field_name, why=why, repeats=None)
        return Mapping(tuple(columns))

    def as_dict(self) -> dict[str, Any]:
        """The mapping as plain values, for a form or an API."""
        return {"columns": [asdict(column) for column in self.columns]}


def guess(header: Sequence[str]) -> Mapping:
    """The field that each column's name most likely means.

    Where two columns mean the same field, the more certain synonym gets it (then the first
    column); the other is kept as `repeats` and compared by `apply`.

    >>> [column.field for column in guess(["編號", "資料名稱", "提供方", "天氣"]).columns]
    ['code', 'title', 'provider', None]
    """
    found = [field_of(name) for name in header]
    winners: dict[str, int] = {}
    for _, index, name in sorted(
        (match[0], index, match[1]) for index, match in enumerate(found) if match
    ):
        winners.setdefault(name, index)
    if "provider" not in winners and {"code", "responsible"} <= set(winners):
        found[winners["responsible"]] = (0, "provider")  # a table that names one department only
        winners["provider"] = winners.pop("responsible")
    columns = []
    for index, (name, match) in enumerate(zip(header, found, strict=True)):
        if match and winners[match[1]] == index:
            columns.append(MappedColumn(index, name, match[1], "matched"))
        elif match:
            columns.append(MappedColumn(index, name, None, "repeats", winners[match[1]]))
        else:
            why: Why = "personal" if is_personal(name) else "unknown"
            columns.append(MappedColumn(index, name, None, why if values.fold(name) else "blank"))
    return Mapping(tuple(columns))


# ---------------------------------------------------------------- what is told

_BLANK: Final = (
    "列“{header}”在 {rows} 行中有 {blank} 行为空。",
    "Column {header} is blank in {blank} of {rows} rows.",
)
_SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "column_unknown": (
        "不认识列“{header}”，未导入。", "Column {header} is unknown and was left out."),
    "column_personal": (
        "列“{header}”可能含个人信息，未导入。",
        "Column {header} may hold personal data and was left out."),
    "column_unnamed": (
        "第 {number} 列没有列名但有内容，未导入。",
        "Column {number} has content but no name and was left out."),
    "column_blank": _BLANK,
    "column_partly_blank": _BLANK,
    "column_repeats": (
        "列“{header}”与“{taken}”含义相同，内容一致，取后者。",
        "Column {header} means and says the same as {taken}, which was taken."),
    "column_differs": (
        "列“{header}”与“{taken}”含义相同但有 {count} 行不一致（首个在第 {first} 行），取后者。",
        "Column {header} means the same as {taken} but differs in {count} rows (first in row"
        " {first}); {taken} was taken."),
    "{field}_missing": ("缺少{zh}，该行无法导入。", "No {en}: the row cannot be used."),
    "cell_blank": ("{zh}为空。", "The {en} is blank."),
    "too_long": (
        "{zh}有 {count} 字，超过 {most} 字。", "The {en} has {count} characters, more than {most}."),
    "provider_code_check": (
        "统一社会信用代码校验位不符。",
        "The check character of the unified social credit code is wrong."),
    "link_unreadable": ("不是可用的网址，原样保留。", "Not a usable link; kept as it is."),
    "format_unknown": (
        "不认识的格式：{unknown_zh}，原样保留。", "Unknown formats, kept as they are: {unknown}."),
    "format_respelt": ("格式统一写作 {formats}。", "The format is spelt {formats}."),
    "count_unreadable": ("不是数目，未导入。", "Not a count; left out."),
    "count_respelt": ("按 {count} 读取。", "Read as {count}."),
    "date_unreadable": (
        "日期无法识别，按原文保留。", "The date cannot be read; kept as text."),
    "date_republican": ("按民国纪年读作 {iso}。", "Read as a year of the Republic: {iso}."),
    "cycle_unknown": (
        "不认识的更新周期，只保留原文。", "Unknown update cycle; only its text is kept."),
    "{field}_unknown": ("不认识的{zh}，只保留原文。", "Unknown {en}; only its text is kept."),
    "code_repeated": ("资源代码与第 {first} 行重复。", "The code already stands in row {first}."),
    "title_repeated": ("资源名称与第 {first} 行相同。", "The title already stands in row {first}."),
    "grading_secret": (
        "涉密数据不在本目录登记，该行无法导入。",
        "State secrets are not listed in this catalogue: the row cannot be used."),
    "impacts_unreadable": (
        "无法识别的影响对象或程度：{unread}，未导入。",
        "Unknown objects or degrees of harm, left out: {unread}."),
    **catalogue_rules.SENTENCES,
}  # fmt: skip
_ERRORS: Final = {  # all others are notices
    "{field}_missing", "too_long", "code_repeated", "grading_secret", *catalogue_rules.ERRORS,
}  # fmt: skip


@dataclass(slots=True)
class _Work:
    """One import under way: the row at hand, its resource, and what was found so far."""

    table: Table
    problems: list[Problem]
    row: Row | None = None
    resource: Resource = field(default_factory=dict)
    unusable: bool = False
    first_rows: dict[tuple[str, Any], int] = field(default_factory=dict)

    def tell(
        self, code: str, column: str | None, value: str | None = None, *,
        about: Field | None = None, **facts: Any,
    ) -> None:  # fmt: skip
        """Notes a problem of `_SENTENCES`; `about` gives the names of a field to its sentence."""
        severity: Severity = "error" if code in _ERRORS else "notice"
        self.unusable = self.unusable or severity == "error"
        if about:
            facts |= {"field": about.name, "zh": about.zh, "en": about.en}
        zh, en = (sentence.format(header=column, **facts) for sentence in _SENTENCES[code])
        shown = value if value is None or len(value) <= 80 else value[:79] + "…"
        place = (self.table.sheet, self.row.number if self.row else None, column)
        self.problems.append(Problem(severity, code.format(**facts), *place, zh, en, shown))


# ---------------------------------------------------------------- from rows to resources


def apply(
    table: Table,
    mapping: Mapping,
    *,
    defaults: dict[str, str] | None = None,
    strict: bool = False,
) -> tuple[list[Resource], list[Problem]]:
    """The rows as resources, and every problem of the file in the order of its rows.

    A resource has all keys of `FIELDS`, `category_count`, the originals `format_text`,
    `items_text`, `update_cycle_text`, `sharing_text`, `opening_text`, and where it came from
    (`sheet`, `row`); its values are str, int, list of str, or None. Rows with an "error" are not
    among them. `defaults` gives a field to all rows whose cell is blank or whose column is missing,
    for instance {"provider": "市交通局"}.

    Raises Invalid when a required column is missing and has no default (all of them are named,
    with the headers seen), and under `strict` when a column is unknown.
    """
    defaults = defaults or {}
    _check_columns(table, mapping, defaults, strict)
    work = _Work(table, list(table.problems))
    for column in mapping.columns:
        _tell_column(work, column)
    indexes = mapping.fields
    originals = (f"{name}_text" for name in _RESPELT)
    blank = dict.fromkeys((*FIELDS, "category_count", *originals))
    resources = []
    for row in table.rows:
        work.row, work.unusable = row, False
        work.resource = {"sheet": table.sheet, "row": row.number, **blank}
        for name, wanted in FIELDS.items():
            index = indexes.get(name)
            text = (row.cells[index] if index is not None else "") or defaults.get(name, "")
            header = table.header[index] if index is not None else wanted.zh
            if text:
                _read(work, wanted, header, text)
            elif work.resource[name] is not None:
                pass  # the provider's cell has given its code
            elif wanted.need == "required":
                work.tell("{field}_missing", header, about=wanted)
            elif wanted.need == "expected" and index is not None:
                work.tell("cell_blank", header, about=wanted)
        _check_resource(work, {name: table.header[index] for name, index in indexes.items()})
        if not work.unusable:
            resources.append(work.resource)
    return resources, work.problems


def _check_columns(table: Table, mapping: Mapping, defaults: dict[str, str], strict: bool) -> None:
    if tuple(column.header for column in mapping.columns) != table.header:
        raise Invalid(
            "The mapping is not of this table's columns; map this table anew.",
            headers=list(table.header),
        )
    stray = [name for name in defaults if name not in FIELDS]
    if stray:
        raise Invalid(
            "Defaults name unknown fields: {listing}.", unknown=stray, listing=", ".join(stray)
        )
    missing = [
        name
        for name, wanted in FIELDS.items()
        if wanted.need == "required" and name not in mapping.fields and not defaults.get(name)
    ]
    if missing:
        raise Invalid(
            "Required columns are missing: {listing}. Headers seen: {seen}.",
            listing="、".join(f"{FIELDS[name].zh} ({name})" for name in missing),
            seen="、".join(header for header in table.header if header),
            missing=missing, headers=list(table.header),
        )  # fmt: skip
    unknown = [column.header for column in mapping.columns if column.why == "unknown"]
    if strict and unknown:
        raise Invalid(
            "Unknown columns: {listing}; give them a field or ignore them.",
            unknown=unknown, listing="、".join(unknown),
        )  # fmt: skip


def _tell_column(work: _Work, column: MappedColumn) -> None:
    """Notices that concern a whole column: unknown, personal, repeated, all or partly blank."""
    rows, header = work.table.rows, column.header
    blank = sum(not row.cells[column.index] for row in rows)
    wanted = FIELDS.get(column.field or "")
    if column.why in {"unknown", "personal"}:
        work.tell(f"column_{column.why}", header)
    elif column.why == "blank" and blank < len(rows):
        work.tell("column_unnamed", None, number=column.index + 1)
    elif column.repeats is not None:
        taken = column.repeats
        differing = [
            row.number for row in rows if row.cells[column.index] not in {"", row.cells[taken]}
        ]
        if differing:
            work.tell(
                "column_differs", header, str(len(differing)),
                taken=work.table.header[taken], count=len(differing), first=differing[0],
            )  # fmt: skip
        else:
            work.tell("column_repeats", header, taken=work.table.header[taken])
    elif wanted and wanted.need == "optional" and blank:
        code = "column_blank" if blank == len(rows) else "column_partly_blank"
        work.tell(code, header, str(blank), rows=len(rows), blank=blank)


def _check_resource(work: _Work, headers: dict[str, str]) -> None:
    """What one cell alone does not show: repeats, and the guide's rules on sharing and opening."""
    resource = work.resource
    number = work.row.number if work.row else 0
    for name in ("code", "title"):
        value = resource[name]
        if isinstance(value, str):
            first = work.first_rows.setdefault((name, value), number)
            if first != number:
                work.tell(f"{name}_repeated", headers.get(name), value, first=first)
    for breach in catalogue_rules.breaches(str(resource["code"] or ""), resource):
        work.tell(breach.code, FIELDS[breach.at].zh, **breach.facts)


# ---------------------------------------------------------------- one cell by its field's kind

_RESPELT: Final = ("format", "items", "update_cycle", "sharing", "opening")


def _read(work: _Work, wanted: Field, header: str, text: str) -> None:
    if len(text) > wanted.max_chars:
        work.tell("too_long", header, text, about=wanted, count=len(text), most=wanted.max_chars)
        return
    if wanted.name in _RESPELT:
        work.resource[f"{wanted.name}_text"] = text
    work.resource[wanted.name] = _READERS[wanted.kind](work, wanted, header, text)


def _text(work: _Work, wanted: Field, header: str, text: str) -> str:
    if wanted.name in {"code", "title"}:
        text = " ".join(text.split())
    if wanted.name == "provider_code" and len(text) == 18 and not uscc.is_valid(text):
        work.tell("provider_code_check", header, text)
    if wanted.name.endswith("url") and not re.match(r"https?://\S+$", text):
        work.tell("link_unreadable", header, text)
    return text


def _formats(work: _Work, _: Field, header: str, text: str) -> list[str]:
    formats, unknown = values.read_formats(text)
    listing = ", ".join(formats)
    if unknown:
        commas, marks = ", ".join(unknown), "、".join(unknown)
        work.tell("format_unknown", header, text, unknown=commas, unknown_zh=marks)
    if listing != text:
        work.tell("format_respelt", header, text, formats=listing)
    return formats


def _count(work: _Work, _: Field, header: str, text: str) -> int | None:
    count, bare = values.read_count(text)
    if count is None:
        work.tell("count_unreadable", header, text)
    elif not bare:
        work.tell("count_respelt", header, text, count=count)
    return count


def _date(work: _Work, _: Field, header: str, text: str) -> str:
    iso, how = values.read_date(text)
    if how != "read":
        work.tell(f"date_{how}", header, text, iso=iso)
    return iso


def _cycle(work: _Work, _: Field, header: str, text: str) -> str | None:
    cycle = values.read_cycle(text)
    if cycle is None:
        work.tell("cycle_unknown", header, text)
    return cycle


def _choice(work: _Work, wanted: Field, header: str, text: str) -> str | None:
    choice = values.read_choice(
        text, values.SHARING if wanted.name == "sharing" else values.OPENING
    )
    if choice is None:
        work.tell("{field}_unknown", header, text, about=wanted)
    return choice


def _coded(work: _Work, wanted: Field, header: str, text: str) -> str | None:
    choice = values.read_choice(text, values.CODED[wanted.name])
    if choice is None:
        work.resource[f"{wanted.name}_text"] = text
        work.tell("{field}_unknown", header, text, about=wanted)
    return choice


def _grading(work: _Work, wanted: Field, header: str, text: str) -> str | None:
    if grading.is_secret(text):
        work.tell("grading_secret", header, text)
        return None
    level = grading.read_level(text)
    if level is None:
        work.resource["grading_text"] = text
        work.tell("{field}_unknown", header, text, about=wanted)
    return level


def _impacts(work: _Work, _: Field, header: str, text: str) -> list[str]:
    impacts, unread = grading.read_impacts(text)
    if unread:
        work.resource["impacts_text"] = text
        work.tell("impacts_unreadable", header, text, unread="、".join(unread))
    return impacts


def _provider(work: _Work, _: Field, header: str, text: str) -> str:
    code, name = values.split_provider(text)
    if code is not None:
        work.resource["provider_code"] = _text(work, FIELDS["provider_code"], header, code)
    return name


def _category(work: _Work, _: Field, __: str, text: str) -> str:
    name, work.resource["category_count"] = values.split_category(text)
    return name


_READERS: Final[dict[Kind, Callable[[_Work, Field, str, str], str | int | list[str] | None]]] = {
    "text": _text,
    "list": lambda _, __, ___, text: values.split_list(text),
    "items": lambda _, __, ___, text: values.split_list(text),
    "formats": _formats, "integer": _count, "date": _date, "cycle": _cycle, "sharing": _choice,
    "opening": _choice, "provider": _provider, "category": _category,
    "coded": _coded, "grading": _grading, "impacts": _impacts,
}  # fmt: skip
