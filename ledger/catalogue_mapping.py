"""A catalogue comes in with its own column names and leaves in ours, with every fault told at once.

`guess` proposes a field for each column (`catalogue_columns`), a person may correct it with
`Mapping.with_field`, and `apply` turns the rows into resources. The fields stand in `catalogue_fields`,
how a cell's spelling is read in `catalogue_values`.

Spellings are brought to one form and the original is kept beside it (`format_text`,
`update_cycle_text`, …). What cannot be read stays None or stays text, and is told; nothing is
assumed. Columns of persons (contact names, telephones) are left out and told.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from stdnum.cn import uscc

from ledger import catalogue_rules, grading
from ledger import catalogue_values as values
from ledger.catalogue_columns import MappedColumn, Mapping, guess
from ledger.catalogue_fields import FIELDS, Field, Kind
from ledger.errors import Invalid
from ledger.tabular import Problem, Row, Severity, Table

__all__ = ["FIELDS", "MappedColumn", "Mapping", "Problem", "Resource", "apply", "guess"]

Resource = dict[str, str | int | list[str] | None]

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
    "more_alike": (
        "该列另有 {count} 行有同类提示（{kind}）。",
        "{count} more rows of the column have a notice of this kind ({kind})."),
    "title_repeated": ("资源名称与第 {first} 行相同。", "The title already stands in row {first}."),
    "impacts_unreadable": (
        "无法识别的影响对象或程度：{unread}，未导入。",
        "Unknown objects or degrees of harm, left out: {unread}."),
    **catalogue_rules.SENTENCES,
}  # fmt: skip
_ERRORS: Final = {  # all others are notices
    "{field}_missing", "too_long", "code_repeated", *catalogue_rules.ERRORS,
}  # fmt: skip


# What is told of a cell: severity, code, column, the sentence in both languages, the value.
_Told = tuple[Severity, str, str | None, str, str, str | None]


@dataclass(slots=True)
class _Work:
    """One import under way: the row at hand, its resource, and what was found so far.

    Of notices of one kind about one column only the first `most` are told, the others counted.
    """

    table: Table
    problems: list[Problem]
    most: int | None = None
    row: Row | None = None
    resource: Resource = field(default_factory=dict)
    unusable: bool = False
    first_rows: dict[tuple[str, Any], int] = field(default_factory=dict)
    counts: dict[tuple[str, str | None], int] = field(default_factory=dict)
    ruled: dict[tuple[str, ...], list[catalogue_rules.Breach]] = field(default_factory=dict)
    cell: list[_Told] | None = None
    """where what is found goes while one cell is read for the first time"""

    def tell(
        self, code: str, column: str | None, value: str | None = None, *,
        about: Field | None = None, **facts: Any,
    ) -> None:  # fmt: skip
        """Notes a problem of `_SENTENCES`; `about` gives the names of a field to its sentence."""
        severity: Severity = "error" if code in _ERRORS else "notice"
        if about:
            facts |= {"field": about.name, "zh": about.zh, "en": about.en}
        zh, en = (sentence.format(header=column, **facts) for sentence in _SENTENCES[code])
        shown = value if value is None or len(value) <= 80 else value[:79] + "…"
        told: _Told = (severity, code.format(**facts), column, zh, en, shown)
        if self.cell is None:
            self.note(told)
        else:
            self.cell.append(told)

    def note(self, told: _Told) -> None:
        """Adds what was found to the problems, with the place of the row at hand."""
        severity, code, column, zh, en, shown = told
        if severity == "error":
            self.unusable = True
        elif self.most is not None:
            count = self.counts[code, column] = self.counts.get((code, column), 0) + 1
            if count > self.most:
                return
        row = self.row.number if self.row else None
        self.problems.append(Problem(severity, code, self.table.sheet, row, column, zh, en, shown))

    def tell_counted(self) -> None:
        """How many more notices of each kind there were."""
        self.row = None
        for (kind, column), count in list(self.counts.items()):
            if self.most is not None and count > self.most:
                more = count - self.most
                self.tell("more_alike", column, str(more), count=more, kind=kind)


# ---------------------------------------------------------------- from rows to resources


def apply(
    table: Table,
    mapping: Mapping,
    *,
    defaults: dict[str, str] | None = None,
    strict: bool = False,
    most: int | None = None,
    report: Callable[[int], None] = lambda _done: None,
    keep: Callable[[Resource], Any] | None = None,
) -> tuple[list[Any], list[Problem]]:
    """The rows as resources, and every problem of the file in the order of its rows.

    A resource has all keys of `FIELDS`, `category_count`, the originals `format_text`,
    `items_text`, `update_cycle_text`, `sharing_text`, `opening_text`, and where it came from
    (`sheet`, `row`); its values are str, int, list of str, or None. Rows with an "error" are not
    among them. `defaults` gives a field to all rows whose cell is blank or whose column is missing,
    for instance {"provider": "市交通局"}. Errors are all told, of notices of one kind about one column the
    first `most`, and then how many more. `report` hears how many rows are done.
    With `keep`, what it makes of each resource is returned, which then has no blank values.

    Raises Invalid when a required column is missing and has no default (all of them are named,
    with the headers seen), and under `strict` when a column is unknown.
    """
    defaults = defaults or {}
    _check_columns(table, mapping, defaults, strict)
    work = _Work(table, list(table.problems), most)
    across = list(zip(*(row.cells for row in table.rows), strict=True))
    for column in mapping.columns:
        _tell_column(work, column, across)
    indexes = mapping.fields
    headers = {name: table.header[index] for name, index in indexes.items()}
    originals = (f"{name}_text" for name in _RESPELT)
    blank: Resource = {"sheet": table.sheet, "row": None, "code": None, "title": None}
    if keep is None:
        blank |= dict.fromkeys((*FIELDS, "category_count", *originals))
    wanted: list[tuple[Field, int, str, str, dict[str, Any] | None]] = [
        (
            one,
            indexes.get(name, -1),
            headers.get(name, one.zh),
            defaults.get(name, ""),
            None if name in _SELDOM_AGAIN else {},
        )
        for name, one in FIELDS.items()
        if name in indexes or defaults.get(name)
    ]
    looked_at = [indexes[name] for name in catalogue_rules.LOOKED_AT if name in indexes]
    resources = []
    for done, row in enumerate(table.rows):
        if done % _ROWS_A_REPORT == 0:
            report(done)
        work.row, work.unusable, cells = row, False, row.cells
        work.resource = resource = blank.copy()
        resource["row"] = row.number
        for one, index, header, default, known in wanted:
            text = (cells[index] if index >= 0 else "") or default
            if text and known is None and len(text) <= one.max_chars:
                resource[one.name] = _SELDOM_AGAIN[one.name](text)
            elif text:
                read = known.get(text) if known else None
                if read is None:
                    read = _read(work, one, header, text)
                    if known is not None:
                        known[text] = read
                resource.update(read[0])
                for told in read[1]:
                    work.note(told)
            elif resource.get(one.name) is not None:
                pass  # the provider's cell has given its code
            elif one.need == "required":
                work.tell("{field}_missing", header, about=one)
            elif one.need == "expected" and index >= 0:
                work.tell("cell_blank", header, about=one)
        _check_resource(work, headers, tuple([cells[index] for index in looked_at]))
        if not work.unusable:
            resources.append(resource if keep is None else keep(resource))
    work.tell_counted()
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


def _tell_column(work: _Work, column: MappedColumn, across: list[tuple[str, ...]]) -> None:
    """Notices that concern a whole column: unknown, personal, repeated, all or partly blank."""
    rows, header = work.table.rows, column.header
    blank = across[column.index].count("") if rows else 0
    wanted = FIELDS.get(column.field or "")
    if column.why in {"unknown", "personal"}:
        work.tell(f"column_{column.why}", header)
    elif column.why == "blank" and blank < len(rows):
        work.tell("column_unnamed", None, number=column.index + 1)
    elif column.repeats is not None:
        taken = column.repeats
        pairs = zip(rows, across[column.index], across[taken], strict=True)
        differing = [row.number for row, cell, kept in pairs if cell not in ("", kept)]
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


def _check_resource(work: _Work, headers: dict[str, str], looked_at: tuple[str, ...]) -> None:
    """What one cell alone does not show: repeats, and the guide's rules on sharing and opening.

    `looked_at` are the cells that the rules look at: few rows say something new in these.
    """
    resource = work.resource
    number = work.row.number if work.row else 0
    for name in ("code", "title"):
        value = resource[name]
        if isinstance(value, str):
            first = work.first_rows.setdefault((name, value), number)
            if first != number:
                work.tell(f"{name}_repeated", headers.get(name), value, first=first)
    ruled = work.ruled.get(looked_at)
    if ruled is None:
        ruled = work.ruled[looked_at] = [*catalogue_rules.breaches("", resource)]
    for breach in (*ruled, *catalogue_rules.of_code(str(resource["code"] or ""))):
        work.tell(breach.code, FIELDS[breach.at].zh, **breach.facts)


# ---------------------------------------------------------------- one cell by its field's kind

_RESPELT: Final = ("format", "items", "update_cycle", "sharing", "opening")


_SELDOM_AGAIN: Final[dict[str, Callable[[str], str]]] = {  # what every row says in its own way
    "code": values.read_code, "title": lambda text: " ".join(text.split()), "summary": str,
}  # fmt: skip
_ROWS_A_REPORT: Final = 2_000


def _read(work: _Work, wanted: Field, header: str, text: str) -> tuple[dict[str, Any], list[_Told]]:
    """What a cell's text gives to its resource, and what is to be told of it, the same for each row."""
    found: list[_Told] = []
    row, work.cell, work.resource = work.resource, found, {}
    try:
        if len(text) > wanted.max_chars:
            most = wanted.max_chars
            work.tell("too_long", header, text, about=wanted, count=len(text), most=most)
            return {}, found
        if wanted.name in _RESPELT:
            work.resource[f"{wanted.name}_text"] = text
        work.resource[wanted.name] = _READERS[wanted.kind](work, wanted, header, text)
        return work.resource, found
    finally:
        work.cell, work.resource = None, row


def _text(work: _Work, wanted: Field, header: str, text: str) -> str:
    if wanted.name in _SELDOM_AGAIN:
        text = _SELDOM_AGAIN[wanted.name](text)
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
    level = grading.read_level(text)
    if level is None:
        work.resource["grading_text"] = text
    if level is None and not grading.is_secret(text):  # of secrets the rules speak
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
