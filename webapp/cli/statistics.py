"""Statistics: the report of the registry, and the table of data capital, which needs no home."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from ledger import national_sheet, statistics_sheet
from ledger.chain import keys
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from valuation import InputError, money, national_table
from valuation.national_table import INDUSTRIES, region_name
from webapp.cli import main
from webapp.cli.run import Run, print_json, problem_text, read_document, refusals, with_home
from webapp.deeds.all import statistics as deeds
from webapp.language import tr
from webapp.pages.refused import in_words
from webapp.wording import spoken

SHEETS = (".xlsx", ".xls", ".csv", ".tsv")


@main.command("statistics")
@click.option("--from", "start", help="first day, such as 2026-01-01; default this year's first")
@click.option("--until", help="last day; default today")
@click.option("--by", type=click.Choice(list(deeds.BY)), default="month", show_default=True)
@click.option("--as", "login", help="as this member sees it; else whole")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@with_home
def statistics(
    run: Run, start: str | None, until: str | None, by: str, login: str | None, output: Path | None
) -> None:
    """The statistical report of the registry 统计报告."""
    query = {"by": by, **({"from": start} if start else {}), **({"until": until} if until else {})}
    found = run.ask(deeds.read, login, query)
    if output is not None:
        _write(output, lambda: statistics_sheet.to_bytes(found), found)
    if run.as_json:
        print_json(found)
        return
    for table in found["tables"]:
        click.echo(f"{table['code']} {spoken(table['zh'], table['en'])}")
        for row in [*table["rows"], *([table["together"]] if table["together"] else [])]:
            shown = "  ".join(_number(value, table["unit"]) for value in row["values"])
            total = "" if row["total"] is None else f"  = {_number(row['total'], table['unit'])}"
            click.echo(f"  {spoken(row['zh'], row['en'])}: {shown}{total}")
    for one in found["checks"]:
        word = tr("agrees") if one["holds"] else tr("differs")
        click.echo(f"{one['code']} {spoken(one['zh'], one['en'])}: {word}")


def _number(value: int | None, unit: str) -> str:
    if value is None:
        return tr("withheld")
    return money.yuan(value) if unit == "fen" else f"{value:,}"


@main.command("national")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--delta", help="of a sheet: rate of depreciation a year, such as 1/5")
@click.option("--life", help="of a sheet: service life in years, instead of the rate")
@click.option("--declining", help="of a sheet: declining-balance rate, with --life; default 2")
@click.option("--growth", help="of a sheet: growth a year before, for the opening stock")
@click.option("--basis", help="of a sheet: how the rate was found")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@click.option("--json", "as_json", is_flag=True)
def national(path: Path, output: Path | None, as_json: bool, **stated: str | None) -> None:
    """Formation and stock of data capital 数据资本; FILE: a document, a table as written, or a sheet."""
    with refusals(as_json):
        given = {key: value for key, value in stated.items() if value is not None}
        if path.suffix.lower() in SHEETS:
            made = from_sheet(path.read_bytes(), path.name, given)
        elif given:
            raise Invalid("What is stated beside a document stands in the document: {names}.",
                          names=", ".join(f"--{name}" for name in given))  # fmt: skip
        else:
            read = read_document(path)
            made = national_table.recompute(read) if "cells" in read else national_table.run(read)
        if output is not None:
            _write(output, lambda: national_sheet.to_bytes(made), made.to_dict())
        if as_json:
            print_json(made.to_dict())
            return
        for title, rows in (("", made.by_year), ("industry", made.by_industry),
                            ("region", made.by_region)):  # fmt: skip
            _print_totals(title, rows)
        for note in made.notes:
            click.echo(spoken(note.zh, note.en))


def from_sheet(data: bytes, name: str, stated: Mapping[str, Any]) -> national_table.Table:
    """The table of a sheet; raises Invalid with every fault at its sheet, row and column."""
    rows, faults = national_sheet.read(data, name)
    try:
        made = national_table.run({"basis": f"{name}", **stated, "rows": rows.rows, "version": "1"})
    except InputError as error:
        faults = [*faults, *(one for one in error.problems if one[0] not in dict(faults))]
        made = None
    if made is None or faults:
        problems = [problem(rows, path, what) for path, what in faults]
        raise Invalid(
            "{name} has {count} faults.", name=name, count=len(problems), problems=problems
        )
    return made


def problem(rows: national_sheet.Rows, path: str, what: str) -> dict[str, Any]:
    """A fault as that of an imported table: where it stands, and what is wrong."""
    sheet, row, column = rows.place(path)
    return {"column": column or None, "reason_en": what, "reason_zh": in_words(what), "row": row,
            "sheet": sheet}  # fmt: skip


def _print_totals(by: str, rows: Iterable[Mapping[str, Any]]) -> None:
    for one in rows:
        name = "" if not by else (
            spoken(*INDUSTRIES[one[by]]) if by == "industry" else spoken(*region_name(one[by]))
        ) + " "  # fmt: skip
        click.echo(tr(
            "{name}{year}: formation {formation} yuan, stock {stock} yuan", name=name,
            year=one["year"], formation=money.yuan(one["formation_fen"]),
            stock=money.yuan(one["stock_fen"]),
        ))  # fmt: skip


def _write(output: Path, workbook: Any, data: Any) -> None:
    match output.suffix:
        case ".xlsx":
            keys.write_durably(output, workbook())
        case ".json":
            keys.write_durably(output, canonical(data))
        case _:
            raise Invalid("Write to a file that ends in .json or .xlsx.")


__all__ = ["from_sheet", "national", "problem", "problem_text", "statistics"]
