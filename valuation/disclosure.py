"""A disclosure table of 财会〔2023〕11号 filled in, from amounts by column or from movements of items.

A document::

    {"table": "intangible", "entity": "…", "period": {"from": "2026-01-01", "to": "2026-12-31"},
     "movements": {"purchased": {"gross_open_yuan": "100.00", "gross_inc_purchase_yuan": "20.00"}}}

What a row is of others is computed; where it is stated too, the two are held against each other, and every
difference is told at once, with its row and column. Appraised values stand beside the table, never in it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from valuation import InputError, inputs
from valuation.accounting import refuse_appraised
from valuation.disclosure_tables import CHECKS, TABLES, TEMPLATES, TOTAL, Row, Table

VERSION = "1"
MAX_ITEMS = 2_000
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
Amounts = dict[str, dict[str, int]]  # row → column → fen


@dataclass(frozen=True)
class Fault:
    """A check that does not hold: where, what was stated, what it should be."""

    check: str
    row: str
    column: str
    stated_fen: int
    expected_fen: int
    item: str = ""

    @property
    def severity(self) -> str:
        """error, warning or notice."""
        return CHECKS[self.check][0]

    def to_dict(self, table: Table) -> dict[str, Any]:
        """The fault in canonical JSON types, with the labels of its row and column."""
        row = table.row(self.row)
        column = next((one for one in (*table.columns, TOTAL) if one.id == self.column), TOTAL)
        _, zh, en = CHECKS[self.check]
        return {
            "check": self.check, "column": self.column, "column_en": column.en, "column_zh": column.zh,
            "en": en, "expected_fen": self.expected_fen, "item": self.item, "row": self.row,
            "row_en": row.en, "row_num": table.rows.index(row) + 1, "row_zh": row.zh,
            "severity": self.severity, "stated_fen": self.stated_fen, "zh": zh,
        }  # fmt: skip


@dataclass(frozen=True)
class Disclosure:
    """A table with its amounts, the checks that do not hold, and what else is disclosed."""

    table: Table
    amounts: Amounts
    stated: frozenset[tuple[str, str]]  # rows with parts that were stated themselves: (row, column)
    faults: tuple[Fault, ...]
    document: dict[str, Any]

    @property
    def holds(self) -> bool:
        """Whether no check of the severity error fails."""
        return all(fault.severity != "error" for fault in self.faults)

    @property
    def template(self) -> str:
        """Whose template the labels follow, a key of `TEMPLATES`."""
        return str(self.document.get("template", "listed"))

    def further(self) -> dict[str, str]:
        """What else is to be disclosed, with what was stated; "" for what was not."""
        stated = self.document.get("further", {})
        return {name: str(stated.get(name, "")) for name in self.table.further}

    def to_dict(self) -> dict[str, Any]:
        """The disclosure in canonical JSON types."""
        table = self.table
        said = self.further()
        return {
            "appraisals": list(self.document.get("appraisals", [])),
            "columns": [{"en": one.en, "id": one.id, "zh": one.zh} for one in (*table.columns, TOTAL)],
            "document": self.document,
            "faults": [fault.to_dict(table) for fault in self.faults],
            "further": [
                {"en": en, "id": name, "stated": said[name], "zh": zh}
                for name, (zh, en) in table.further.items()
            ],
            "holds": self.holds,
            "rows": [
                {
                    "amounts": self.amounts.get(row.id, {}), "en": row.en, "id": row.id,
                    "kind": row.kind, "level": row.level, "num": num,
                    "zh": table.label(row, self.template),
                }
                for num, row in enumerate(table.rows, start=1)
            ],
            "table": {"en": table.en, "id": table.id, "zh": table.zh},
            "v": 1,
            "version": VERSION,
        }  # fmt: skip


def run(document: Mapping[str, Any]) -> Disclosure:
    """Return the table of a document; checks that fail are told in it, what cannot be read is refused.

    Parameters
    ----------
    document : ``table`` (a key of `TABLES`), ``entity``, ``period`` with ``from`` and ``to``, and either
        ``movements``, the amounts by column and row in fen or yuan, or ``items``: ``[{"name", "column",
        "movements": [{"on": day, "row", "amount_fen", "basis"}]}]``, from which the openings follow, too.
        Optional: ``template`` (`TEMPLATES`), ``prior`` (closing balances of the period before, by column),
        ``all_intangible`` or ``inventory_note`` (totals the table is held against), ``further`` (texts by
        subject), ``appraisals`` (``name``, ``value_fen``, ``on``, ``method``, ``assumptions``)

    Raises
    ------
    InputError : every field that cannot be read, at once; an appraised value among the movements

    Notes
    -----
    Amounts are at least 0: a decrease is stated as a positive number.

    >>> made = run({"table": "intangible", "entity": "数据公司",
    ...     "period": {"from": "2026-01-01", "to": "2026-12-31"},
    ...     "movements": {"purchased": {"gross_open_yuan": "100.00", "gross_inc_purchase_yuan": "20.00",
    ...                                 "amort_inc_yuan": "30.00", "gross_close_yuan": "121.00"}}})
    >>> made.amounts["carrying_close"]["total"], [(one.check, one.row) for one in made.faults]
    (9000, [('roll_forward', 'gross_close')])
    """
    plain = inputs.in_fen(document)
    table = TABLES[inputs.choice(_entry(plain, "table"), "table", TABLES)]
    optional = ("movements", "items", "template", "prior", table.whole[0], "further", "appraisals")
    entries = inputs.mapping(plain, "", ("table", "entity", "period"), optional)
    problems = list[tuple[str, str]]()
    with inputs.gathering(problems):
        inputs.text(entries["entity"], "entity")
    first, last = "", ""
    with inputs.gathering(problems):
        first, last = _period(entries["period"])
    if "template" in entries:
        with inputs.gathering(problems):
            inputs.choice(entries["template"], "template", TEMPLATES)
    _texts(entries, table, problems)
    with inputs.gathering(problems):
        if ("items" in entries) == ("movements" in entries):
            raise InputError("movements", "must be given, or items instead: one of the two")
    stated, faults = Amounts(), list[Fault]()
    if "movements" in entries:
        with inputs.gathering(problems):
            stated = _stated(entries["movements"], "movements", table)
    elif "items" in entries and first:
        with inputs.gathering(problems):
            stated, faults = _items(entries["items"], table, first, last)
    prior, whole = Amounts(), Amounts()
    with inputs.gathering(problems):
        closing = tuple(row.id for row in table.rows if row.kind == "closing")
        prior = _stated(entries.get("prior", {}), "prior", table, closing)
    with inputs.gathering(problems):
        given = {TOTAL.id: entries.get(table.whole[0], {})}
        whole = _stated(given, "", table, table.within, table.whole[0])
    if problems:
        raise InputError.of(problems)
    amounts, own = _computed(stated, table)
    faults += _checked(amounts, stated, prior, whole, table)
    return Disclosure(table, amounts, own, tuple(faults), plain)


def recompute(data: Mapping[str, Any]) -> Disclosure:
    """Return the disclosure of `to_dict` if its document gives it; InputError names what differs.

    >>> data = run({"table": "inventory", "entity": "数据公司", "movements": {},
    ...     "period": {"from": "2026-01-01", "to": "2026-12-31"}}).to_dict()
    >>> recompute(data).holds
    True
    >>> recompute({**data, "holds": False})
    Traceback (most recent call last):
    valuation.InputError: holds: differs from what follows from the document
    """
    keys = (
        "appraisals",
        "columns",
        "document",
        "faults",
        "further",
        "holds",
        "rows",
        "table",
        "v",
        "version",
    )
    entries = inputs.mapping(data, "", keys)
    own = run(entries["document"])
    inputs.differing(own.to_dict(), entries)
    return own


def closing_of(before: Disclosure) -> dict[str, dict[str, int]]:
    """The closing balances of a disclosure, as the ``prior`` of the next period's document.

    >>> closing_of(run({"table": "inventory", "entity": "数据公司",
    ...     "period": {"from": "2026-01-01", "to": "2026-12-31"},
    ...     "movements": {"purchased": {"gross_inc_purchase_yuan": "1.00"}}}))["purchased"]
    {'gross_close_fen': 100, 'writedown_close_fen': 0}
    """
    closing = [row.id for row in before.table.rows if row.kind == "closing"]
    return {
        column.id: {f"{name}_fen": before.amounts[name][column.id] for name in closing}
        for column in before.table.columns
    }


def _entry(plain: object, key: str) -> object:
    if not isinstance(plain, Mapping):
        raise InputError("", "must be an object with named entries")
    if key not in plain:
        raise InputError(key, "is missing")
    return plain[key]


def _day(value: object, field: str) -> str:
    try:
        if isinstance(value, str) and _DAY.fullmatch(value):
            return str(date.fromisoformat(value))
    except ValueError:
        pass
    raise InputError(field, "must be a day such as '2026-12-31'")


def _period(given: object) -> tuple[str, str]:
    entries, problems = inputs.mapping(given, "period", ("from", "to")), list[tuple[str, str]]()
    days = []
    for key in ("from", "to"):
        with inputs.gathering(problems):
            days.append(_day(entries[key], f"period.{key}"))
    if problems:
        raise InputError.of(problems)
    if days[0] > days[1]:
        raise InputError("period.to", "lies before the start of the period")
    return days[0], days[1]


def _texts(entries: Mapping[str, Any], table: Table, problems: list[tuple[str, str]]) -> None:
    """Check what is disclosed in words, and the appraisals told beside the table."""
    with inputs.gathering(problems):
        for name, text in inputs.mapping(
            entries.get("further", {}), "further", (), table.further
        ).items():
            with inputs.gathering(problems):
                inputs.text(text, f"further.{name}")
    with inputs.gathering(problems):
        for k, one in enumerate(
            inputs.sequence(entries.get("appraisals", []), "appraisals", 0, 50)
        ):
            where = f"appraisals[{k}]"
            with inputs.gathering(problems):
                keys = ("name", "value_fen", "on", "method", "assumptions")
                known = inputs.mapping(one, where, keys)
                for key in ("name", "method", "assumptions"):
                    with inputs.gathering(problems):
                        inputs.text(known[key], f"{where}.{key}")
                inputs.money(known["value_fen"], f"{where}.value_fen", 0)
                _day(known["on"], f"{where}.on")


def _stated(
    given: object, field: str, table: Table, rows: tuple[str, ...] = (), alone: str = ""
) -> Amounts:
    """Amounts by column and row as row → column → fen; `alone` names the field of a single column."""
    columns = [column.id for column in table.columns]
    columns += [TOTAL.id] if not rows or alone else []
    known = {f"{row.id}_fen": row for row in table.rows if row.kind != "section"}
    known = {key: row for key, row in known.items() if not rows or row.id in rows}
    made, problems = Amounts(), list[tuple[str, str]]()
    for column, entries in inputs.mapping(given, field, (), columns).items():
        at = alone or f"{field}.{column}"
        with inputs.gathering(problems):
            refuse_appraised(entries, at)
            for key, value in inputs.mapping(entries, at, (), known).items():
                with inputs.gathering(problems):
                    row = known[key]
                    free = row.plus or column == TOTAL.id
                    fen = inputs.money(value, f"{at}.{key}", None if free else 0)
                    made.setdefault(row.id, {})[column] = fen
    if problems:
        raise InputError.of(problems)
    return made


def _leaves(table: Table) -> list[str]:
    """The rows a movement can stand in: openings, and increases and decreases without parts."""
    return [
        row.id
        for row in table.rows
        if row.kind in ("opening", "increase", "decrease") and not table.parts(row.id)
    ]


def _items(given: object, table: Table, first: str, last: str) -> tuple[Amounts, list[Fault]]:
    """The amounts that the movements of items give, and the items with a balance below nought."""
    made, problems, faults = Amounts(), list[tuple[str, str]](), list[Fault]()
    columns = [column.id for column in table.columns]
    for k, one in enumerate(inputs.sequence(given, "items", 1, MAX_ITEMS)):
        where = f"items[{k}]"
        with inputs.gathering(problems):
            item = inputs.mapping(one, where, ("name", "column", "movements"))
            name = inputs.text(item["name"], f"{where}.name")
            column = inputs.choice(item["column"], f"{where}.column", columns)
            alone = Amounts()
            moves = inputs.sequence(item["movements"], f"{where}.movements", 1, 1_000)
            for n, move in enumerate(moves):
                with inputs.gathering(problems):
                    row, fen = _movement(move, f"{where}.movements[{n}]", table, first, last)
                    for to in (made, alone):
                        cells = to.setdefault(row, {})
                        cells[column] = cells.get(column, 0) + fen
            worth, _ = _computed(alone, table)
            faults += [
                Fault("item", row.id, column, worth[row.id][column], 0, name)
                for row in table.rows
                if row.plus and worth[row.id][column] < 0
            ]
    if problems:
        raise InputError.of(problems)
    return made, faults


def _movement(move: object, where: str, table: Table, first: str, last: str) -> tuple[str, int]:
    """The row a movement counts in, and its amount; before the period it is part of an opening balance."""
    refuse_appraised(move, where)
    entry = inputs.mapping(move, where, ("on", "row", "amount_fen", "basis"))
    problems = list[tuple[str, str]]()
    day, name, fen = "", "", 0
    with inputs.gathering(problems):
        day = _day(entry["on"], f"{where}.on")
        if day > last:
            raise InputError(f"{where}.on", "lies after the period")
    with inputs.gathering(problems):
        name = inputs.choice(entry["row"], f"{where}.row", _leaves(table))
        if table.row(name).kind == "opening" and day >= first:
            raise InputError(f"{where}.on", "of an opening balance must lie before the period")
    with inputs.gathering(problems):
        fen = inputs.money(entry["amount_fen"], f"{where}.amount_fen", 0)
    with inputs.gathering(problems):
        inputs.text(entry["basis"], f"{where}.basis")
    if problems:
        raise InputError.of(problems)
    row = table.row(name)
    if day >= first or row.kind == "opening":
        return name, fen
    section = name.partition("_")[0]
    return f"{section}_open", fen if row.kind == "increase" else -fen


def _computed(stated: Amounts, table: Table) -> tuple[Amounts, frozenset[tuple[str, str]]]:
    """All rows by column with their totals, and which rows with parts were stated themselves."""
    amounts, own = Amounts(), set[tuple[str, str]]()

    def value(row: Row, column: str) -> int:
        if row.plus:
            plus = sum(value(table.row(name), column) for name in row.plus)
            return plus - sum(value(table.row(name), column) for name in row.minus)
        given = stated.get(row.id, {}).get(column)
        if given is not None:
            return given
        return sum(value(table.row(name), column) for name in table.parts(row.id))

    for row in table.rows:
        if row.kind == "section":
            continue
        cells = {column.id: value(row, column.id) for column in table.columns}
        amounts[row.id] = {**cells, TOTAL.id: sum(cells.values())}
        own |= {
            (row.id, column)
            for column in stated.get(row.id, {})
            if table.parts(row.id) and column in cells
        }
    return amounts, frozenset(own)


def _checked(
    amounts: Amounts, stated: Amounts, prior: Amounts, whole: Amounts, table: Table
) -> list[Fault]:
    """Every check that does not hold, by row and column."""
    faults = list[Fault]()
    for row in table.rows:
        for column, fen in amounts.get(row.id, {}).items():
            given = stated.get(row.id, {}).get(column)
            if given is not None and given != fen:
                kind = "roll_forward" if row.kind == "closing" else "carrying"
                kind = "total" if column == TOTAL.id else kind
                faults.append(Fault(kind, row.id, column, given, fen))
            parts = table.parts(row.id)
            if parts and column != TOTAL.id:
                sum_fen = sum(amounts[name][column] for name in parts)
                if sum_fen != fen:
                    kind = "of_which" if sum_fen > fen else "incomplete"
                    faults.append(Fault(kind, row.id, column, fen, sum_fen))
            if row.plus and fen < 0 and column != TOTAL.id:
                faults.append(Fault("negative", row.id, column, fen, 0))
    for name, cells in prior.items():
        opening = name.replace("_close", "_open")
        for column, fen in cells.items():
            if amounts[opening][column] != fen:
                faults.append(Fault("comparative", opening, column, amounts[opening][column], fen))
    tie = table.id == "inventory"
    for name, cells in whole.items():
        fen, most = amounts[name][TOTAL.id], cells[TOTAL.id]
        if (fen != most) if tie else (fen > most):
            faults.append(Fault("tie" if tie else "within", name, TOTAL.id, fen, most))
    return faults
