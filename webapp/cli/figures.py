"""The bare calculations, which need no home: a value with its derivation, an amount shared out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ledger.chain import keys
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from ledger.spreadsheet import write_distribution, write_figure
from valuation import methods, money, sharing
from valuation.comparison import REASONS, compare
from valuation.worksheet import Figure
from webapp.cli import main
from webapp.cli.run import print_json, read_document, refusals
from webapp.language import language, tr


@main.command("value")
@click.argument("method", type=click.Choice(sorted(methods.METHODS)))
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@click.option(
    "--against", type=click.Path(path_type=Path, dir_okay=False),
    help="explain the difference from this one: an earlier FILE, or a figure written with -o",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def value(
    method: str, path: Path, output: Path | None, against: Path | None, as_json: bool
) -> None:
    """Compute a value with its derivation; needs no home."""
    with refusals(as_json):
        figure = _figure(method, path)
        told = None if against is None else compare(_figure(method, against), figure).to_dict()
        if output is not None and output.suffix == ".xlsx":
            write_figure(figure, output)
        elif output is not None and output.suffix == ".json":
            keys.write_durably(output, canonical(figure.to_dict()))
        elif output is not None:
            raise Invalid("Write to a file that ends in .json or .xlsx.")
        if as_json:
            print_json(told or figure.to_dict())
        elif told is not None:
            print_comparison(told)
        else:
            _print_steps(figure)


def _figure(method: str, path: Path) -> Figure:
    """The figure of a document, or the one that was written to a file, computed again."""
    document = read_document(path)
    if document.setdefault("method", method) != method:
        raise Invalid("{path} is for the method {found}.", path=str(path), found=document["method"])
    if "steps" in document:
        return Figure.from_dict(document)
    document.setdefault("version", methods.describe(method)["version"])
    return methods.run(document)


def print_comparison(told: Mapping[str, Any]) -> None:
    """A comparison (`Comparison.to_dict`) for a person: a line for each effect, and what they sum to."""
    word = "zh" if language() == "zh" else "en"
    if told["reason"]:
        reason = REASONS[told["reason"]][word == "en"]
        click.echo(tr("Not comparable step by step: {reason}.", reason=reason))
    for effect in told["effects"]:
        click.echo(
            f"{money.yuan(effect['effect_fen']):>20}  {effect[word]}{_was_and_is(effect['changes'])}"
        )
    click.echo(
        tr(
            "{old} → {new} yuan, a difference of {difference}.", old=money.yuan(told["old_fen"]),
            new=money.yuan(told["new_fen"]), difference=money.yuan(told["difference_fen"]),
        )
    )  # fmt: skip
    if told["effects"]:
        click.echo(told["order"][word])


def _was_and_is(changes: list[dict[str, Any]]) -> str:
    """What a single input was and is, where a line has room for it."""
    if len(changes) != 1 or any(isinstance(changes[0][side], dict) for side in ("old", "new")):
        return ""
    is_money = changes[0]["unit"] == "fen"
    was, now = (
        "-" if value is None else money.yuan(value) if is_money else str(value)
        for value in (changes[0]["old"], changes[0]["new"])
    )
    return f": {was} → {now}"


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
