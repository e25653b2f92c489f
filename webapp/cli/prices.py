"""Price settings 定价 and the yearly report on them, due on 31 March."""

from pathlib import Path

import click

from ledger.chain.keys import write_durably
from ledger.errors import Invalid
from ledger.proof.encoding import canonical
from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, read_document, verb, with_home
from webapp.deeds.all import prices


@main.group()
def price() -> None:
    """Price settings 定价."""


@price.command("propose")
@click.argument("agreement_number")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "from_on", required=True, help="the first day it holds, 2026-01-31")
@click.option("--until", "until_on", required=True, help="its last day: until the review")
@as_member
@with_home
def propose(
    run: Run, login: str, agreement_number: str, path: Path, from_on: str, until_on: str
) -> None:
    """Propose a price setting (operator); FILE: the inputs of the method price_cap."""
    body = {"document": read_document(path), "from_on": from_on, "until_on": until_on}
    run.say(
        run.do(prices.propose, login, body, agreement_number=agreement_number), prices.propose.says
    )


verb(price, "confirm", prices.confirm, "Confirm a price setting for the authorising body (provider).",
     click.option("--approval", help="number and ground of the approval; formal fees need it"))  # fmt: skip
verb(price, "reject", prices.reject, "Reject a price setting (provider).",
     click.option("--reason", required=True))  # fmt: skip
verb(price, "withdraw", prices.withdraw, "Take your price setting back (operator).",
     click.option("--reason", required=True))  # fmt: skip


@price.command("show")
@click.argument("number")
@with_home
def show(run: Run, number: str) -> None:
    """Show a price setting as recorded (JSON)."""
    print_json(run.ask(prices.show_price, price_number=number))


@price.command("report")
@click.argument("agreement_number")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help=".json or .xlsx"
)
@with_home
def report(run: Run, agreement_number: str, path: Path, output: Path | None) -> None:
    """The yearly report; FILE: year, overview, costs. Sales and receipts come from the ledger."""
    given = read_document(path)
    asked = {"agreement_number": agreement_number}
    if output is not None and output.suffix == ".xlsx":
        write_durably(output, run.ask(prices.report_xlsx, None, given, **asked).content)
    elif output is not None and output.suffix != ".json":
        raise Invalid("Write to a file that ends in .json or .xlsx.")
    else:
        found = run.ask(prices.report, None, given, **asked)
        if output is not None:
            write_durably(output, canonical(found))
        else:
            print_json(found)
