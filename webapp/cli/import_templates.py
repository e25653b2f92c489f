"""Templates of the files that are handed in; blank ones, which need no home."""

from pathlib import Path

import click

from ledger.chain.keys import write_durably
from ledger.errors import Invalid
from webapp.cli import main
from webapp.cli.run import refusals
from webapp.deeds.import_templates import TABLES
from webapp.language import tr


def require_xlsx(path: Path) -> None:
    """Raise Invalid for what is no name of a workbook."""
    if path.suffix.lower() != ".xlsx":
        raise Invalid("{path} must end in .xlsx.", path=str(path))


@main.command("template")
@click.argument("kind", type=click.Choice([*TABLES]))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help=".xlsx")  # fmt: skip
def template(kind: str, output: Path) -> None:
    """Write a workbook to fill in 导入模板, which the import then takes as it is.

    KIND: result (payout confirm; payout template has the payments in it), statement (reconcile bank),
    report (reconcile exchange), trades (trade confirm), usage (import usage), national.
    """
    with refusals(False):
        require_xlsx(output)
        write_durably(output, TABLES[kind].workbook())
        click.echo(tr("{path} written.", path=str(output)))
