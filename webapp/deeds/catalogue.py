"""The deeds on the catalogue: check and import a table, decide on what was proposed, undo."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import catalogue, catalogue_imports
from ledger.calendar import local_date
from ledger.catalogue import Resource, differences
from ledger.catalogue_changes import Change, Known, content_digest, prepared
from ledger.catalogue_imports import CatalogueImport
from ledger.catalogue_values import read_code
from ledger.catalogue_writing import uses
from ledger.errors import Faults, Invalid
from ledger.parties import Actor
from ledger.store import keeping_all
from webapp.deeds import Deed, Desk, Report, deed, question
from webapp.deeds.answers import RecordAnswer, history_of, lists, row_schema
from webapp.deeds.forms import MISSHAPEN, Body, said, text, texts

DIGEST = r"\Asha256:[0-9a-f]{64}\Z"
NOTICES_TOLD = 20  # of one kind about one column; of the others it is told how many there are
SHOWN = 200  # of the new, changed and gone each
SAMPLES = 3
TEXT_SHOWN = 300
SCOPE_NAMES = {
    "providers": "Those of the providers that the file speaks of",
    "file": "Those that an earlier file of this name brought",
}  # fmt: skip


class TableBody(Body):
    """A table with resources: the file handed in, by its digest, and how it is to be read."""

    name = text("File name", most=200)
    digest = text("Digest", most=71, pattern=DIGEST, example="digest sha256:…")
    encoding = text("Encoding", most=20, required=False, blank=True,
                    hint="if the guess is wrong: utf-8, gbk, big5")  # fmt: skip
    sheet = text("Sheet", most=100, required=False, blank=True, hint="if not the first")
    headless = fields.Boolean(
        load_default=False, metadata={"title": "The table has no header", "hint": ""}
    )
    header_row = fields.Integer(
        validate=validate.Range(1, 200_000, error=said(MISSHAPEN, "row number")),
        metadata={"title": "Row of the header", "hint": "if not the first that is filled"},
    )
    corrections = texts("Columns", least=0, hint="HEADER=FIELD, one a line; FIELD empty leaves out")
    defaults = texts("For all rows", least=0,
                     hint="FIELD=VALUE, one a line: what is meant where a cell says nothing")  # fmt: skip
    skip_bad_rows = fields.Boolean(
        load_default=False,
        metadata={"title": "Store the good rows although some are bad", "hint": ""},
    )
    strict = fields.Boolean(
        load_default=False, metadata={"title": "Refuse unknown columns", "hint": ""}
    )
    scope = text("What is gone when the file lacks it", required=False, blank=True, most=20,
                 choices={"": "", **SCOPE_NAMES})  # fmt: skip
    withdraw_gone = fields.Boolean(
        load_default=False,
        metadata={"title": "Withdraw the resources that the file lacks", "hint": ""},
    )


class CheckBody(TableBody):
    """A table that is only looked at."""


class ImportBody(TableBody):
    """A table that is brought in."""

    reason = text("Reason", required=False, blank=True, area=True,
                  hint="why the catalogue is changed; it stands in the record")  # fmt: skip
    checked = text("Checked", most=71, required=False, blank=True, pattern=rf"{DIGEST}|\A\Z",
                   example="digest sha256:…",
                   hint="digest of the plan that was looked at; another one is refused")  # fmt: skip


class GroundBody(Body):
    """A decision that must state its ground."""

    reason = text("Ground", area=True, hint="as it is told to those concerned")


class NoteBody(Body):
    """A decision that may state its ground."""

    reason = text("Note", required=False, blank=True, area=True)


# ---------------------------------------------------------------- a table is read


@dataclass
class Reading:
    """A table as it was read, with the fields of its columns, its rows, and what is to be told."""

    table: Any
    mapping: Any
    rows: list[Any]
    problems: list[Any]

    def speaks(self, defaults: Iterable[str] = ()) -> frozenset[str]:
        """The fields it says something of; those of a resource that it lacks stay as they are."""
        return frozenset(self.mapping.fields) | frozenset(_constants(defaults))

    @property
    def present(self) -> list[str]:
        """The codes of rows that cannot be used: their resources are in the file all the same."""
        bad, at = {one.row for one in self.bad}, self.mapping.fields.get("code")
        if at is None:
            return []
        return [read_code(row.cells[at]) for row in self.table.rows if row.number in bad]

    @property
    def source(self) -> str:
        """What the catalogue came as: table, dcat or ckan."""
        return str(self.table.format) if self.table.format in ("dcat", "ckan") else "table"

    @property
    def bad(self) -> list[Any]:
        return [one for one in self.problems if one.severity == "error"]

    @property
    def notices(self) -> list[Any]:
        return [one for one in self.problems if one.severity != "error"]

    @property
    def notice_count(self) -> int:
        return sum(_count(one.code, one.value) for one in self.notices)


def _count(code: str, value: str | None) -> int:
    """How many notices one stands for."""
    return int(value or 0) if code == "more_alike" else 1


@keeping_all()
def _read(
    desk: Desk, report: Report, actor: Actor, *, name: str, digest: str, encoding: str = "",
    sheet: str = "", headless: bool = False, header_row: int | None = None,
    corrections: Sequence[str] = (), defaults: Sequence[str] = (), strict: bool = False,
    **_options: Any,
) -> Reading:  # fmt: skip
    """A table, read, mapped and checked; what its organisation said of such columns before is known."""
    from ledger import catalogue_formats, catalogue_mapping  # noqa: PLC0415 - reads spreadsheets, only here
    from ledger.tabular import read_table  # noqa: PLC0415

    report("read", 0, 0)
    data = desk.home.material(digest)
    table = catalogue_formats.read(data, name) or read_table(
        data, name, encoding=encoding or None, sheet=sheet or None, header_row=header_row,
        headless=headless,
    )  # fmt: skip
    report("map", 0, len(table.rows))
    with desk.home.reading() as session:
        remembered = catalogue_imports.remembered_columns(session, actor, table.header)
    mapping = catalogue_mapping.guess(
        table.header, remembered=remembered, rows=table.rows if headless else None
    )
    for correction in corrections:
        mapping = _corrected(mapping, table.header, correction)
    rows, problems = catalogue_mapping.apply(
        table, mapping, defaults=_constants(defaults), strict=strict, most=NOTICES_TOLD,
        report=lambda done: report("check", done, len(table.rows)), keep=prepared,
    )  # fmt: skip
    return Reading(table, mapping, rows, problems)


def _corrected(mapping: Any, header: Sequence[str], correction: str) -> Any:
    """HEADER=FIELD, or #N=FIELD where the N-th column cannot be named."""
    column, equals, field = correction.rpartition("=")
    if not equals:
        raise Invalid("A column is given its field as HEADER=FIELD, not {given}.", given=correction)
    if column in header:
        return mapping.with_field(list(header).index(column), field or None)
    number = column.removeprefix("#")
    if column.startswith("#") and number.isdecimal() and len(number) < 6:
        return mapping.with_field(int(number) - 1, field or None)
    raise Invalid("There is no column {header}.", header=column)


def _constants(given: Iterable[str]) -> dict[str, str]:
    """FIELD=VALUE, each for all rows."""
    found: dict[str, str] = {}
    for one in given:
        field, equals, value = one.partition("=")
        if not equals or not value.strip():
            raise Invalid("A value for all rows is given as FIELD=VALUE, not {given}.", given=one)
        found[field.strip()] = value.strip()
    return found


def _for_check(desk: Desk, report: Report, actor: Actor, **options: Any) -> dict[str, Any]:
    """The table as it was read, whatever is wrong with it."""
    return {"reading": _read(desk, report, actor, **options)}


def _for_import(
    desk: Desk, report: Report, actor: Actor, *, skip_bad_rows: bool = False, **options: Any
) -> dict[str, Any]:
    """The rows to bring in; every bad row at once, if one is not to be left out."""
    reading = _read(desk, report, actor, **options)
    bad = reading.bad
    if bad and not skip_bad_rows:
        raise Invalid(
            "{count} rows cannot be used; nothing was stored. Mend them, or say --skip-bad-rows.",
            count=len({problem.row for problem in bad}), problems=[p.as_dict() for p in bad],
        )  # fmt: skip
    report("store", 0, len(reading.rows))
    return {"reading": reading}


# ---------------------------------------------------------------- check, import


@deed("catalogue.import", "/catalogue-checks", "Check a catalogue",
      "{rows} usable rows: {new} new, {changed} changed, {unchanged} unchanged, {gone} no longer in "
      "the file; {bad} rows cannot be used. Nothing was stored.",
      name="catalogue.check", body=CheckBody, upload=True, long=True, records=False,
      prepare=_for_check)  # fmt: skip
def check_catalogue(
    desk: Desk, session: Session, actor: Actor, *, name: str, reading: Reading, scope: str = "",
    withdraw_gone: bool = False, defaults: Sequence[str] = (), **_options: Any,
) -> dict[str, Any]:  # fmt: skip
    """What the table would do, and everything that is wrong with it; nothing is stored."""
    plan = catalogue_imports.plan_of(
        session, actor, reading.rows, scope=scope or "providers", file_name=name,
        speaks=reading.speaks(defaults), present=reading.present,
    )  # fmt: skip
    problems = [*reading.problems, *plan.problems]
    bad = [one for one in problems if one.severity == "error"]
    return {
        "bad": len({(one.sheet, one.row) for one in bad}),
        "changed": len(plan.changed),
        "checked": content_digest(plan.changes(withdraw_gone)),
        "columns": [
            {**column, "samples": _samples(reading.table.rows, column["index"])}
            for column in reading.mapping.as_dict()["columns"]
        ],
        "encoding": reading.table.encoding,
        "first": {
            "changed": [_told(change, with_differences=True) for change in plan.changed[:SHOWN]],
            "gone": [_gone(one) for one in plan.gone[:SHOWN]],
            "new": [_told(change) for change in plan.new[:SHOWN]],
        },
        "format": reading.table.format,
        "gone": len(plan.gone),
        "header_row": reading.table.header_row_number,
        "held": [
            f"{code} ({number})"
            for code, number in uses(session, local_date(desk.now), plan.gone)
        ],
        "name": name,
        "new": len(plan.new),
        "notices": reading.notice_count,
        "problems": [one.as_dict() for one in problems],
        "rows": plan.row_count,
        "sheet": reading.table.sheet,
        "sheets": list(reading.table.sheets),
        "unchanged": len(plan.unchanged),
    }  # fmt: skip


def _samples(rows: Sequence[Any], index: int) -> list[str]:
    """The first values that stand in a column, each once."""
    found: dict[str, None] = {}
    for row in rows:
        if row.cells[index]:
            found.setdefault(row.cells[index][:TEXT_SHOWN], None)
        if len(found) == SAMPLES:
            break
    return list(found)


def _told(change: Change, *, with_differences: bool = False) -> dict[str, Any]:
    told: dict[str, Any] = {
        "code": change.code, "provider": change.provider, "title": change.title, "verb": change.verb
    }  # fmt: skip
    if with_differences:
        told["differences"] = _plainly(change.differences())
    return told


def _gone(known: Known) -> dict[str, Any]:
    return {"code": known.code, "provider": known.provider, "title": known.title}


def _plainly(found: Sequence[tuple[str, Any, Any]]) -> list[list[Any]]:
    """Differences as they are shown; the original wording only where its meaning stayed."""
    names = {name for name, _, _ in found}
    return [
        [name, _short(old), _short(new)]
        for name, old, new in found
        if name.removesuffix("_text") == name or name.removesuffix("_text") not in names
    ]


def _short(value: Any) -> Any:
    """A value as it is shown."""
    if isinstance(value, list):
        return [_short(one) for one in value[:SHOWN]]
    if isinstance(value, str) and len(value) > TEXT_SHOWN:
        return value[: TEXT_SHOWN - 1] + "…"
    return value


@deed("catalogue.import", "/catalogue-imports", "Import a catalogue",
      "{rows} rows read: {new} new, {changed} changed, {unchanged} unchanged, {absent} no longer "
      "in the file; {notices} notices.",
      body=ImportBody, upload=True, long=True, prepare=_for_import)  # fmt: skip
@keeping_all()
def import_catalogue(
    desk: Desk, session: Session, actor: Actor, *, name: str, digest: str, reading: Reading,
    defaults: Sequence[str] = (), scope: str = "", withdraw_gone: bool = False, reason: str = "",
    checked: str = "", **_options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Bring in what was read, and remember what was said of its columns."""
    made = catalogue_imports.bring(
        session, actor, desk.now, rows=reading.rows, file_name=name, file_digest=digest,
        mapping=reading.mapping.as_dict(), defaults=_constants(defaults),
        notices=[one.as_dict() for one in reading.notices], scope=scope or "providers",
        withdraw_gone=withdraw_gone, reason=reason, checked=checked or None,
        source=reading.source, speaks=reading.speaks(defaults), present=reading.present,
    )  # fmt: skip
    catalogue_imports.remember_columns(
        session, actor, desk.now, reading.table.header, reading.mapping.memory()
    )
    return facts_of(made)


def facts_of(made: CatalogueImport) -> dict[str, Any]:
    """What a change set did."""
    return {
        "absent": made.absent_count, "changed": made.changed_count, "id": made.id,
        "new": made.new_count,
        "notices": sum(_count(one["code"], one["value"]) for one in made.notices),
        "rows": made.row_count, "state": made.state or "applied", "unchanged": made.unchanged_count,
        "withdrawn": made.withdrawn_count or 0,
    }  # fmt: skip


# ---------------------------------------------------------------- decide, undo


def _decision(
    verb: str, title: str, says: str, body: type[Schema]
) -> Callable[[Callable[..., Any]], Deed]:
    """Enter a decision on a change set."""
    path = f"/catalogue-imports/<import_id>/{verb}"
    return deed(f"catalogue.{verb}", path, title, says, body=body, changes=True)


@_decision("approve", "Approve", "The change set of {name} is applied: {new} new, {changed} changed, "
           "{withdrawn} withdrawn.", NoteBody)  # fmt: skip
def approve(
    desk: Desk, session: Session, actor: Actor, found: CatalogueImport, reason: str = ""
) -> dict[str, Any]:
    catalogue_imports.approve(session, actor, desk.now, found, reason or None)
    return {**facts_of(found), "name": found.file_name}


@_decision("reject", "Reject", "The change set of {name} is rejected.", GroundBody)
def reject(
    desk: Desk, session: Session, actor: Actor, found: CatalogueImport, reason: str
) -> dict[str, Any]:
    catalogue_imports.reject(session, actor, desk.now, found, reason)
    return {"id": found.id, "name": found.file_name, "state": found.state}


@_decision("undo", "Undo", "The change set of {name} is undone by a new one: {new} listed again, "
           "{changed} set back, {withdrawn} withdrawn.", GroundBody)  # fmt: skip
def undo(
    desk: Desk, session: Session, actor: Actor, found: CatalogueImport, reason: str
) -> dict[str, Any]:
    made = catalogue_imports.undo(session, actor, desk.now, found, reason)
    return {**facts_of(made), "name": found.file_name, "undoes": found.id}


# ---------------------------------------------------------------- change sets are read


class ChangeAnswer(Schema):
    """What became, or is to become, of one resource."""

    code = fields.String(required=True)
    title = fields.String(required=True)
    provider = fields.String(required=True, allow_none=True)
    verb = fields.String(required=True)
    differences = fields.List(
        fields.List(fields.Raw(allow_none=True)), required=True,
        metadata={"description": "field, before, after"},
    )  # fmt: skip


class ImportShown(row_schema(CatalogueImport)):  # type: ignore[misc]
    """A change set as recorded, a part of what it changes, and its history."""

    changes = fields.List(fields.Nested(ChangeAnswer), required=True)
    history = fields.List(fields.Nested(RecordAnswer), required=True)
    next = fields.Integer(required=True, allow_none=True)


class ChangesQuery(Body):
    """From which change on they are told."""

    start = fields.Integer(
        load_default=0,
        validate=validate.Range(0, 10_000_000, error=said(MISSHAPEN, "number")),
        metadata={"title": "First change", "hint": ""},
    )


list_imports = lists(
    "catalogue", "/catalogue-imports", "Change sets",
    "file_name state source new_count changed_count withdrawn_count party_id reason",
    (CatalogueImport.file_name, CatalogueImport.reason),
)  # fmt: skip


@question("catalogue.read", "/catalogue-imports/<import_id>", "Change set", answer=ImportShown,
          query=ChangesQuery)  # fmt: skip
def show_import(
    _desk: Desk, session: Session, actor: Actor, found: CatalogueImport, start: int = 0
) -> dict[str, Any]:
    """A change set, with up to 200 of the resources it changes from `start` on."""
    changes = [*_changes(session, actor, found, start)]
    return {
        **found.body(), "changes": changes[:SHOWN], "history": history_of(session, found.id),
        "next": start + SHOWN if len(changes) > SHOWN else None,
    }  # fmt: skip


def _changes(
    session: Session, actor: Actor, found: CatalogueImport, start: int
) -> Iterable[dict[str, Any]]:
    if found.state == "rejected":
        return
    if found.state == "proposed":
        for line in catalogue_imports.proposed_part(session, actor, found, start, SHOWN + 1):
            yield _told(line, with_differences=True)
        return
    verbs = {"resource.listed": "list", "resource.changed": "change"}
    for kind, before, after in catalogue_imports.versions_of(session, found, SHOWN + 1, start):
        yield {
            "code": after["code"], "provider": after["provider"], "title": after["title"],
            "verb": verbs.get(kind, "withdraw"),
            "differences": _plainly(differences(before, after)),
        }  # fmt: skip


# ---------------------------------------------------------------- one resource


def resource_ids(session: Session, actor: Actor, codes: Sequence[str]) -> list[str]:
    """The resources of some catalogue codes; raises Invalid naming every one that is not there for him."""
    wanted = select(Resource.code, Resource.id).where(Resource.code.in_(codes))
    seen = catalogue.visible(session, actor)
    if seen is not None:
        wanted = wanted.where(seen)
    known = dict(session.execute(wanted).tuples().all())
    faults = Faults()
    for code in codes:
        if code not in known:
            faults.name_fault("the catalogue has no resource {code}", "resources", code=code)
    if faults:
        raise Invalid("What was given does not fit: {faults}.", faults=faults)
    return [known[code] for code in codes]
