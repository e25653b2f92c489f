"""The bare calculations, which need no home: a value with its derivation, an amount shared out."""

from pathlib import Path
from typing import Any

import click

from ledger.chain import keys
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from ledger.spreadsheet import write_distribution, write_figure
from valuation import methods, money, sharing
from webapp.cli import main
from webapp.cli.run import print_json, read_document, refusals
from webapp.language import language


@main.command("value")
@click.argument("method", type=click.Choice(sorted(methods.METHODS)))
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@click.option("--json", "as_json", is_flag=True)
def value(method: str, path: Path, output: Path | None, as_json: bool) -> None:
    """Compute a value with its derivation; needs no home."""
    with refusals(as_json):
        document = read_document(path)
        if document.setdefault("method", method) != method:
            raise Invalid(
                "{path} is for the method {found}.", path=str(path), found=document["method"]
            )
        document.setdefault("version", methods.describe(method)["version"])
        figure = methods.run(document)
        if output is not None and output.suffix == ".xlsx":
            write_figure(figure, output)
        elif output is not None and output.suffix == ".json":
            keys.write_durably(output, canonical(figure.to_dict()))
        elif output is not None:
            raise Invalid("Write to a file that ends in .json or .xlsx.")
        if as_json:
            print_json(figure.to_dict())
        else:
            _print_steps(figure)


def _print_steps(figure: Any) -> None:
    for step in figure.steps:
        label = step.zh if language() == "zh" else step.en
        formula = f" = {step.formula}" if step.formula else ""
        click.echo(f"{step.symbol:12} {label}{formula} = {step.value} {step.unit}")
    click.echo(f"→ {figure.display()}")


@main.command("share")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@click.option("--json", "as_json", is_flag=True)
def share(path: Path, output: Path | None, as_json: bool) -> None:
    """Share an amount by a scheme; FILE: scheme, amount_yuan or amount_fen, facts, deficits."""
    with refusals(as_json):
        outcome = sharing.run(read_document(path))
        if output is not None and output.suffix == ".xlsx":
            write_distribution(outcome, output)
        elif output is not None and output.suffix == ".json":
            keys.write_durably(output, canonical(outcome.to_dict()))
        elif output is not None:
            raise Invalid("Write to a file that ends in .json or .xlsx.")
        if as_json:
            print_json(outcome.to_dict())
        else:
            for line in outcome.lines:
                label = line.zh if language() == "zh" else line.en
                click.echo(f"{line.party}  {label}  {money.yuan(line.amount_fen)}")
