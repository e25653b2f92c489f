"""The bare calculations, which need no home: a value with its derivation, an amount shared out."""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import click

from ledger import contribution_sheet
from ledger.chain import keys
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from ledger.reports import decimal, worksheet_report
from ledger.spreadsheet import write_distribution, write_figure
from valuation import allocation, contribution, methods, money, sharing, simulation
from valuation.comparison import REASONS, compare
from valuation.simulation import Analysis
from valuation.worksheet import Figure
from webapp.cli import main
from webapp.cli.run import print_json, read_document, refusals
from webapp.language import language, tr
from webapp.pages import flows

SAMPLED = (
    "The values are sampled: with 99 % confidence each of them is off by at most {bound} yuan."
)


@main.command("value")
@click.argument("method", type=click.Choice(sorted(methods.METHODS)))
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json, .xlsx or .pdf"
)
@click.option(
    "--analysis", "analysis_path", type=click.Path(path_type=Path, dir_okay=False),
    help="range, sensitivity, breakeven: what to compute, or an analysis written with -o",
)  # fmt: skip
@click.option(
    "--against", type=click.Path(path_type=Path, dir_okay=False),
    help="explain the difference from this one: an earlier FILE, or a figure written with -o",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True)
def value(
    method: str, path: Path, output: Path | None, analysis_path: Path | None, against: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Compute a value with its derivation; FILE: inputs, or what this command wrote. Needs no home."""
    with refusals(as_json):
        document = _document(method, path)
        analysis = None
        if analysis_path is not None:
            asked = read_document(analysis_path)
            asked = asked["request"] if isinstance(asked.get("request"), dict) else asked
            analysis = simulation.analyse(document, asked)
        figure = analysis.figure if analysis else methods.run(document)
        told = None if against is None else compare(_written(method, against), figure).to_dict()
        if output is not None:
            _hand_out(figure, analysis, output)
        if as_json:
            print_json(told or (analysis or figure).to_dict())
            return
        if told is not None:
            print_comparison(told)
        else:
            _print_steps(figure)
        if analysis:
            _print_analysis(analysis)


def _document(method: str, path: Path) -> dict[str, Any]:
    """The inputs in a file: itself, or those of the figure or analysis which this command wrote."""
    read = read_document(path)
    read = read["figure"] if isinstance(read.get("figure"), dict) else read
    if "steps" in read:
        if not isinstance(read.get("document"), dict):
            raise Invalid("{path} holds a figure without its inputs.", path=str(path))
        read = read["document"]
    if read.setdefault("method", method) != method:
        raise Invalid("{path} is for the method {found}.", path=str(path), found=read["method"])
    read.setdefault("version", methods.describe(method)["version"])
    return read


def _written(method: str, path: Path) -> Figure:
    """The figure in a file as it was written, of whichever version; of inputs, the one they give."""
    read = read_document(path)
    return Figure.from_dict(read) if "steps" in read else methods.run(_document(method, path))


def _hand_out(figure: Figure, analysis: Analysis | None, output: Path) -> None:
    """Write a figure, with its analysis, in the form that the file's ending names."""
    match output.suffix:
        case ".xlsx":
            book = BytesIO()
            write_figure(figure, book, analysis)
            keys.write_durably(output, book.getvalue())
        case ".json":
            keys.write_durably(output, canonical((analysis or figure).to_dict()))
        case ".pdf":
            keys.write_durably(output, worksheet_report(figure, analysis))
        case _:
            raise Invalid("Write to a file that ends in .json, .xlsx or .pdf.")


def _print_analysis(analysis: Analysis) -> None:
    if analysis.range is not None:
        found = analysis.range
        shown = "  ".join(f"P{pct} {money.yuan(fen)}" for pct, fen in found.percentiles)
        click.echo(f"区间 range: {shown}  ({found.draws}, {found.seed}, {found.generator})")
    for bar in analysis.tornado:
        label = bar.zh if language() == "zh" else bar.en
        values = f"{money.yuan(bar.low_value_fen)} … {money.yuan(bar.high_value_fen)}"
        click.echo(f"{label} {bar.low} … {bar.high}: {values}")
    if analysis.breakeven is not None:
        even = analysis.breakeven
        label = even.zh if language() == "zh" else even.en
        click.echo(f"盈亏平衡 breakeven: {label} = {even.found} → {money.yuan(even.value_fen)}")


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


def _print_steps(figure: Figure) -> None:
    for step in figure.steps:
        label = step.zh if language() == "zh" else step.en
        formula = f" = {step.formula}" if step.formula else ""
        click.echo(f"{step.symbol:12} {label}{formula} = {step.value} {step.unit}")
    for note in figure.notes:
        click.echo(f"  {note.zh if language() == 'zh' else note.en}")
    click.echo(f"→ {figure.display()}")


@main.command("share")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json, .xlsx or .svg"
)
@click.option("--json", "as_json", is_flag=True)
def share(path: Path, output: Path | None, as_json: bool) -> None:
    """Share an amount by a scheme; FILE: scheme, amount_yuan or amount_fen, facts, deficits.

    With a list of statements instead of an amount: each of them, one after another, by fixed shares.
    """
    with refusals(as_json):
        document = read_document(path)
        if "statements" in document:
            _share_series(allocation.run(document), output, as_json)
            return
        outcome = sharing.run(document)
        if output is not None:
            hand_out_shares(outcome, output, outcome.to_dict())
        if as_json:
            print_json(outcome.to_dict())
        else:
            for line in outcome.lines:
                label = line.zh if language() == "zh" else line.en
                click.echo(f"{line.party}  {label}  {money.yuan(line.amount_fen)}")


def _share_series(series: allocation.Series, output: Path | None, as_json: bool) -> None:
    """Many statements of one scheme: as JSON, or what each party is paid in all."""
    if output is not None:
        if output.suffix != ".json":
            raise Invalid("Write many statements to a file that ends in .json.")
        keys.write_durably(output, canonical(series.to_dict()))
    if as_json:
        print_json(series.to_dict())
        return
    for party, fen in series.totals_fen().items():
        click.echo(f"{party}  {money.yuan(fen)}")


def hand_out_shares(
    outcome: sharing.Distribution, output: Path, written: Mapping[str, Any]
) -> None:
    """Write a distribution as a workbook or a picture, or what is `written` of it as JSON."""
    match output.suffix:
        case ".xlsx":
            book = BytesIO()
            write_distribution(outcome, book)
            keys.write_durably(output, book.getvalue())
        case ".svg":
            drawn = flows.picture(outcome, {}, language())
            keys.write_durably(output, flows.as_file(drawn))
        case ".json":
            keys.write_durably(output, canonical(written))
        case _:
            raise Invalid("Write to a file that ends in .json, .xlsx or .svg.")


@main.command("contribution")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@click.option("--json", "as_json", is_flag=True)
def contribute(path: Path, output: Path | None, as_json: bool) -> None:
    """Tell who contributed how much: Shapley values and shares; FILE: a game of players and coalitions."""
    with refusals(as_json):
        outcome = contribution.run(read_document(path))
        if output is not None and output.suffix == ".xlsx":
            keys.write_durably(output, contribution_sheet.to_bytes(outcome))
        elif output is not None and output.suffix == ".json":
            keys.write_durably(output, canonical(outcome.to_dict()))
        elif output is not None:
            raise Invalid("Write to a file that ends in .json or .xlsx.")
        if as_json:
            print_json(outcome.to_dict())
            return
        for name, value in outcome.values.items():
            share = f"{decimal(outcome.shares[name] * 100, 2)} %"
            lost = decimal(outcome.lost[name] / 100, 2)
            click.echo(f"{name}  {decimal(value / 100, 2)}  {share}  ({lost})")
        if outcome.bound_fen is not None:
            click.echo(tr(SAMPLED, bound=money.yuan(outcome.bound_fen)))
