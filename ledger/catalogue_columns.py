"""What a column of a catalogue's table means: by its name, as mapped before, or by what stands in it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal

from stdnum.cn import uscc

from ledger import catalogue_values as values
from ledger.catalogue_fields import FIELDS, field_of, is_personal
from ledger.errors import Invalid
from ledger.tabular import Row

Why = Literal[
    "matched",
    "content",
    "remembered",
    "given",
    "unknown",
    "blank",
    "repeats",
    "personal",
    "ignored",
]
LEFT_OUT = ""  # in a memory: somebody said that the column is to be left out
SAMPLE = 200
MOST = 0.8  # of the cells that must speak for a field


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

    def with_field(self, index: int, field_name: str | None, why: Why = "given") -> "Mapping":
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
        why = why if field_name or why == "remembered" else "ignored"
        columns[index] = replace(columns[index], field=field_name, why=why, repeats=None)
        return Mapping(tuple(columns))

    def memory(self) -> list[str | None]:
        """What a person said of each column, now or before, for the next table with this header."""
        said = ("given", "remembered", "ignored")
        return [
            (column.field or LEFT_OUT) if column.why in said else None for column in self.columns
        ]

    def as_dict(self) -> dict[str, Any]:
        """The mapping as plain values, for a form or an API."""
        return {"columns": [asdict(column) for column in self.columns]}


def guess(
    header: Sequence[str], *, remembered: Sequence[str | None] | None = None,
    rows: Sequence[Row] | None = None,
) -> Mapping:  # fmt: skip
    """The field that each column most likely means.

    `remembered` are the fields that a person gave these columns before (`LEFT_OUT`, or None where nobody
    said anything). With `rows` the names say nothing (a table without a header) and what stands in the
    columns decides. Where two columns mean the same field, the more certain synonym gets it (then the
    first column); the other is kept as `repeats` and compared by `apply`.

    >>> [column.field for column in guess(["編號", "資料名稱", "提供方", "天氣"]).columns]
    ['code', 'title', 'provider', None]
    """
    mapping = by_name(header) if rows is None else by_content(header, rows)
    if remembered is not None and len(remembered) == len(header):
        for index, name in enumerate(remembered):
            if name is not None and (name == LEFT_OUT or name in FIELDS):
                mapping = mapping.with_field(index, name or None, why="remembered")
    return mapping


def by_name(header: Sequence[str]) -> Mapping:
    """The field that each column's name most likely means."""
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


# ---------------------------------------------------------------- by what stands in the columns

_CODE: Final = re.compile(r"[0-9]{6,}/[0-9]+")
_NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")
_PHONE_OR_MAIL: Final = re.compile(r"(\+?86)?1[3-9][0-9]{9}|0[0-9]{2,3}-?[0-9]{7,8}|\S+@\S+\.\S+")
_BODY: Final = re.compile(
    r".{0,60}(局|委|委员会|办|办公室|厅|部|院|中心|政府|公司|会|署|处|所|馆|站|队|大学)"
)
_LINK: Final = re.compile(r"https?://\S+")
_DAY: Final = re.compile(r".*[0-9].*[-/.年].*")


def _sharing(text: str) -> bool:
    return values.read_choice(text, values.SHARING) is not None and "共享" in text


def _opening(text: str) -> bool:
    known = values.read_choice(text, values.OPENING) is not None
    return known and ("开放" in values.fold(text) or text in ("是", "否"))


def _cycle(text: str) -> bool:
    return values.read_cycle(text) is not None and not text.isdecimal()


def _day(text: str) -> bool:
    return bool(_DAY.match(text)) and values.read_date(text)[1] != "unreadable"


# What a cell must look like to speak for a field, the most certain first; a field comes once.
_SPEAKS: Final[tuple[tuple[tuple[str, ...], Callable[[str], bool]], ...]] = (
    (("provider_code",), lambda text: len(text) == 18 and uscc.is_valid(text)),
    (("code",), lambda text: _CODE.fullmatch(text) is not None),
    (("sharing",), _sharing),
    (("opening",), _opening),
    (("update_cycle",), _cycle),
    (("published_on", "updated_on"), _day),
    (("source_url", "documentation_url"), lambda text: _LINK.fullmatch(text) is not None),
    (("format",), lambda text: not values.read_formats(text)[1]),
)


def by_content(header: Sequence[str], rows: Sequence[Row]) -> Mapping:
    """The field that what stands in each column most likely is."""
    cells = [
        [row.cells[index] for row in rows[:SAMPLE] if row.cells[index]]
        for index in range(len(header))
    ]
    fields: dict[int, str] = {}
    personal = {
        index for index, given in enumerate(cells)
        if _share(given, lambda text: _PHONE_OR_MAIL.fullmatch(text) is not None) >= MOST
    }  # fmt: skip

    def left() -> list[int]:
        return [
            n for n, given in enumerate(cells) if given and n not in fields and n not in personal
        ]

    for names, speaks in _SPEAKS:
        fitting = [index for index in left() if _share(cells[index], speaks) >= MOST]
        fields |= dict(zip(fitting, names, strict=False))
    _texts(cells, fields, left)
    return Mapping(tuple(
        MappedColumn(index, name, fields.get(index), "content" if index in fields
                     else "personal" if index in personal else "unknown" if cells[index] else "blank")
        for index, name in enumerate(header)
    ))  # fmt: skip


def _texts(cells: list[list[str]], fields: dict[int, str], left: Callable[[], list[int]]) -> None:
    """The fields that are plain texts: known by how they repeat and how long they are."""

    def take(name: str, fitting: list[int]) -> None:
        if fitting and name not in fields.values():
            fields[fitting[0]] = name

    def distinct(index: int) -> float:
        return len(set(cells[index])) / len(cells[index])

    def length(index: int) -> float:
        return sum(map(len, cells[index])) / len(cells[index])

    def listed(text: str) -> bool:
        return len(values.split_list(text)) >= 3

    def body(text: str) -> bool:
        return _BODY.fullmatch(values.split_provider(text)[1]) is not None

    def number(text: str) -> bool:
        return _NUMBER.fullmatch(text) is not None

    take("code", [i for i in left() if distinct(i) == 1 and _share(cells[i], number) == 1])
    take("provider", [index for index in left() if _share(cells[index], body) >= MOST])
    take("items", [index for index in left() if _share(cells[index], listed) >= MOST])
    long = [index for index in left() if length(index) >= 15]
    names = [index for index in left() if distinct(index) >= MOST and length(index) <= 60]
    take("title", sorted(names, key=lambda index: (length(index) > 30, index)))
    take("summary", sorted((i for i in long if i not in fields), key=length, reverse=True))


def _share(given: list[str], speaks: Callable[[str], bool]) -> float:
    """How much of the cells speaks for something."""
    return sum(map(speaks, given)) / len(given) if given else 0.0
