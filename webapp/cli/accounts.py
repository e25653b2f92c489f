"""Books of data resources: the recognition test and the two disclosure tables. Needs no home."""

from pathlib import Path
from typing import Any

import click

from ledger import disclosures
from ledger.chain import keys
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from ledger.proof.verify import read_file
from valuation import accounting, disclosure, money
from valuation.disclosure_tables import SEVERITIES, TABLES
from webapp.cli import main
from webapp.cli.run import print_json, read_document, refusals
from webapp.wording import spoken

FILE = click.Path(path_type=Path, dir_okay=False)
BYTES_MAX = 16 * 1024 * 1024


@main.group("accounts")
def accounts() -> None:
    """Where a data resource belongs in the books, and how it is disclosed (财会〔2023〕11号)."""


@accounts.command("recognise")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("-o", "--output", type=FILE, help=".json")
@click.option("--json", "as_json", is_flag=True)
def recognise(path: Path, output: Path | None, as_json: bool) -> None:
    """Tell intangible asset, inventory, development expenditure or expense; FILE: subject, answers."""
    with refusals(as_json):
        told = accounting.run(read_document(path)).to_dict()
        if output is not None:
            keys.write_durably(output, canonical(told))
        if as_json:
            print_json(told)
            return
        for one in told["trail"]:
            answer = spoken(one["answer_zh"], one["answer_en"])
            click.echo(f"{spoken(one['zh'], one['en'])} {answer} ({one['grounds']})")
        click.echo(f"→ {spoken(told['class']['zh'], told['class']['en'])}")
        click.echo(spoken(told["reason"]["zh"], told["reason"]["en"]))


@accounts.command("template")
@click.argument("table", type=click.Choice(sorted(TABLES)))
@click.option("-o", "--output", type=FILE, required=True, help=".xlsx")
def template(table: str, output: Path) -> None:
    """Write the blank disclosure table, to be filled in and given to `accounts disclose`."""
    with refusals(False):
        keys.write_durably(output, disclosures.template(table))


@accounts.command("disclose")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("-o", "--output", type=FILE, help=".xlsx or .json")
@click.option("--prior", type=FILE, help="the period before, a .json written with -o")
@click.option("--json", "as_json", is_flag=True)
def disclose(path: Path, output: Path | None, prior: Path | None, as_json: bool) -> None:
    """Fill in and check a disclosure table; FILE: a template filled in, or YAML or JSON."""
    with refusals(as_json):
        document = _given(path)
        if prior is not None:
            document["prior"] = disclosure.closing_of(disclosure.recompute(read_document(prior)))
        made = disclosure.run(document)
        if output is not None and output.suffix == ".xlsx":
            keys.write_durably(output, disclosures.to_bytes(made))
        elif output is not None and output.suffix == ".json":
            keys.write_durably(output, canonical(made.to_dict()))
        elif output is not None:
            raise Invalid("Write to a file that ends in .json or .xlsx.")
        if as_json:
            print_json(made.to_dict())
        else:
            _print(made.to_dict())
    if not made.holds:
        raise SystemExit(1)


def _given(path: Path) -> dict[str, Any]:
    """The document in a workbook, in YAML or in JSON."""
    if path.suffix.lower() not in (".xlsx", ".xls"):
        read = read_document(path)
        return read["document"] if isinstance(read.get("document"), dict) else read
    filled = disclosures.read(read_file(str(path), BYTES_MAX), path.name)
    if filled.problems:
        raise Invalid(
            "{name} has {count} cells or rows that cannot be read.", name=path.name,
            count=len(filled.problems), problems=[one.as_dict() for one in filled.problems],
        )  # fmt: skip
    return filled.document


def _print(told: dict[str, Any]) -> None:
    for row in told["rows"]:
        label = spoken(row["zh"], row["en"])
        amounts = "".join(
            f"{money.yuan(row['amounts'][one['id']]):>18}"
            for one in told["columns"]
            if row["amounts"]
        )
        click.echo(f"{row['num']:>2} {'  ' * row['level']}{label}{amounts}")
    for fault in told["faults"]:
        where = f"{fault['row_num']} {spoken(fault['row_zh'], fault['row_en'])}"
        column = spoken(fault["column_zh"], fault["column_en"])
        click.echo(
            f"{spoken(*SEVERITIES[fault['severity']])}: {where}, {column} {fault['item']}: "
            f"{spoken(fault['zh'], fault['en'])}: "
            f"{money.yuan(fault['stated_fen'])} ≠ {money.yuan(fault['expected_fen'])}",
            err=True,
        )
