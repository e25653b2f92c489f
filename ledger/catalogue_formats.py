"""A resource leaves as the texts of its cells, and comes back through the same door as a table.

`cells_of` spells each element as the import reads it again; XLSX, CKAN and DCAT carry these cells. `read`
recognises JSON by its content and gives a `Table`, so that mapping, checks and change sets are those of
any other file.

    catalogue_sheet   XLSX             catalogue_dcat   DCAT 3 (JSON-LD)
    catalogue_ckan    CKAN packages
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from ledger import catalogue_ckan, catalogue_dcat, catalogue_rules, catalogue_sheet, grading
from ledger.catalogue import Audience, Resource
from ledger.catalogue_fields import FIELDS
from ledger.catalogue_values import CODED, CYCLES, read_cycle
from ledger.errors import Invalid
from ledger.parties import Party
from ledger.tables.file_kinds import LIMITS, refuse_size
from ledger.tabular import Problem, Row, Table

PAGE = 1_000
COLUMNS_MOST = 200
JSON_BYTES_MOST = 128 * 1024 * 1024
KINDS = ("xlsx", "jsonld", "ckan.json")
TITLE = catalogue_sheet.TITLE


class Entry(NamedTuple):
    """A resource on its way out: what it is, its cells (field → text), its provider's code if known."""

    code: str
    title: str
    cells: dict[str, str]
    audience: str
    cycle: str | None
    uscc: str | None
    lost: tuple[str, ...] = ()
    """elements that no field has room for: they cannot travel"""


def cells_of(
    code: str, title: str, provider: str | None, elements: Mapping[str, Any]
) -> dict[str, str]:
    """Each filled field as a cell that the import reads back to the same value."""
    found = {"code": code, "title": title, "provider": provider or ""}
    for name, field in FIELDS.items():
        value = elements.get(name)
        if name in found:
            continue
        original = elements.get(f"{name}_text")
        if isinstance(original, str) and original:
            found[name] = original
        elif value not in (None, "", []):
            found[name] = _spelt(name, field.kind, value)
    count = elements.get("category_count")
    if count is not None and "category" in found:
        found["category"] = f"{found['category']} ({count})"
    return {name: text for name, text in found.items() if text}


def _spelt(name: str, kind: str, value: Any) -> str:
    if kind == "impacts" and isinstance(value, list):
        pairs = (str(one).partition(":") for one in value)
        return "、".join(
            f"{grading.OBJECTS[thing][0]}:{grading.DEGREES[degree][0]}"
            for thing, _, degree in pairs
        )
    if isinstance(value, list):
        return ("\n" if any("、" in str(one) for one in value) else "、").join(map(str, value))
    if kind == "cycle" and value in CYCLES:
        return CYCLES[value].zh
    if kind == "grading" and value in grading.LEVELS:
        return grading.LEVELS[value][0]
    if value in CODED.get(name, {}):
        return CODED[name][value][0]
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def unknown_elements(elements: Mapping[str, Any]) -> list[str]:
    """Names of elements that are no field of the catalogue: they cannot travel."""
    known = {*FIELDS, *(f"{name}_text" for name in FIELDS), "category_count"}
    return sorted(
        name for name, value in elements.items() if name not in known and value is not None
    )


def entries(
    session: Session, seen: Audience, where: Sequence[ColumnElement[bool]] = (), fits: Any = None
) -> Iterator[Entry]:
    """What of the catalogue exists for somebody, by code, a page at a time; inner elements as he sees them.

    `fits(row)` may narrow further.
    """
    table = Resource.__table__
    codes = dict(session.execute(select(Party.id, Party.uscc)).tuples().all())
    after = ""
    while True:
        wanted = (
            select(table).where(table.c.code > after, *where).order_by(table.c.code).limit(PAGE)
        )
        rows = session.execute(wanted).all()
        for row in rows:
            if seen.sees(row) and (fits is None or fits(row)):
                yield entry_of(row, seen, codes.get(row.provider_id or ""))
        if len(rows) < PAGE:
            return
        after = rows[-1].code


def entry_of(row: Any, seen: Audience, uscc: str | None) -> Entry:
    """A resource as somebody may take it along."""
    elements = row.elements
    if not seen.works_with(row):
        elements = catalogue_rules.outside(elements)
    cells = cells_of(row.code, row.title, row.provider, elements)
    cycle = elements.get("update_cycle")
    cycle = cycle if cycle in CYCLES else read_cycle(str(cycle or ""))
    lost = unknown_elements(elements)
    return Entry(row.code, row.title, cells, row.audience or "authority", cycle, uscc, tuple(lost))


# ---------------------------------------------------------------- writing


def write(
    kind: str, path: str, found: Iterable[Entry], *, base: str, title: str
) -> tuple[int, dict[str, int]]:
    """Write a catalogue as `xlsx`, `jsonld` or `ckan.json` into a file.

    Returns how many entries, and which elements stayed behind, in how many of them. One entry after the
    other: memory stays small however many there are.
    """
    lost: Counter[str] = Counter()
    count = _write(kind, path, _counting(found, lost), base, title)
    return count, dict(sorted(lost.items()))


def _counting(found: Iterable[Entry], lost: Counter[str]) -> Iterator[Entry]:
    for one in found:
        lost.update(one.lost)
        yield one


def _write(kind: str, path: str, found: Iterable[Entry], base: str, title: str) -> int:
    if kind == "xlsx":
        return catalogue_sheet.write(path, (one.cells for one in found))
    count = 0
    with open(path, "wb") as file:
        if kind == "jsonld":
            head = orjson.dumps(catalogue_dcat.catalog(base, title))[:-1] + b',"dcat:dataset":['
            texts = (dataset_bytes(one, base) for one in found)
        else:
            head = b'{"success":true,"result":{"results":['
            texts = (orjson.dumps(package(one)) for one in found)
        file.write(head)
        for count, text in enumerate(texts, start=1):
            file.write(b",\n" + text if count > 1 else b"\n" + text)
        file.write(b"\n]}" if kind == "jsonld" else b'\n],"count":%d}}' % count)
    return count


def package(one: Entry) -> dict[str, Any]:
    """An entry as a package of CKAN."""
    return catalogue_ckan.package(one.code, one.title, one.cells, one.uscc)


def dataset_bytes(one: Entry, base: str, *, alone: bool = False) -> bytes:
    """An entry as a data set of DCAT; `alone`: with the context it needs."""
    made = catalogue_dcat.dataset(
        base, one.code, one.title, one.cells, one.audience, cycle=one.cycle, uscc=one.uscc
    )
    if alone:
        made = {"@context": catalogue_dcat.CONTEXT, **made}
    return orjson.dumps(made)


# ---------------------------------------------------------------- reading


def read(data: bytes, name: str) -> Table | None:
    """The table that a JSON document of CKAN or DCAT stands for; None where it is no JSON.

    Its rows are numbered by entry, from 1. Raises Invalid when it is JSON but neither of the two.
    """
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if start not in (b"{", b"["):
        return None
    if len(data) > JSON_BYTES_MOST:
        refuse_size(name, "file_bytes", JSON_BYTES_MOST, len(data))
    documents = _parsed(data.removeprefix(b"\xef\xbb\xbf"), name)
    for source, reader in (("dcat", catalogue_dcat.read), ("ckan", catalogue_ckan.read)):
        found = reader(documents)
        if found is not None:
            return _table(name, source, *found)
    raise Invalid("{name} is JSON, but neither DCAT (JSON-LD) nor packages of CKAN.", name=name)


def _parsed(data: bytes, name: str) -> list[Any]:
    """The documents of a file: one, or one a line (JSON lines)."""
    try:
        return [orjson.loads(data)]
    except orjson.JSONDecodeError as error:
        lines = [line for line in data.splitlines() if line.strip()]
        if len(lines) < 2:
            raise Invalid(
                "{name} cannot be read as JSON: {why}", name=name, why=str(error)
            ) from None
    found = []
    for number, line in enumerate(lines, start=1):
        try:
            found.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise Invalid(
                "{name} cannot be read as JSON: line {line}: {why}", name=name, line=number,
                why=str(error),
            ) from None  # fmt: skip
    return found


def _table(
    name: str, source: Any, entries: Iterable[Mapping[str, str]], problems: Sequence[Problem]
) -> Table:
    """Entries (header → text) as a table: our fields first, what else they say behind."""
    rows = list(entries)
    if len(rows) > LIMITS.rows:
        refuse_size(name, "rows", LIMITS.rows, len(rows))
    others = dict.fromkeys(key for row in rows for key in row if key not in FIELDS)
    used = [field for field in FIELDS if any(row.get(field) for row in rows)]
    header = [*dict.fromkeys((*(f for f in FIELDS if FIELDS[f].need == "required"), *used))]
    columns = [*header, *list(others)[:COLUMNS_MOST]]
    made = []
    for number, row in enumerate(rows, start=1):
        cells = tuple(_clean(row.get(column, "")) for column in columns)
        if any(cells):
            made.append(Row(number, cells))
    return Table(
        name=name, format=source, header=tuple(FIELDS[c].zh if c in FIELDS else c for c in columns),
        rows=tuple(made), sheet=None, sheets=(), encoding="utf-8", header_row_number=0,
        problems=tuple(problems),
    )  # fmt: skip


def _clean(text: str) -> str:
    """A text as a cell: what no database takes is left out."""
    return text.replace("\x00", "").strip()
