"""The finance department's questions: an agreement's money, and what is behind every amount of it."""

from pathlib import Path
from typing import Any

import click

from ledger.chain.keys import write_durably
from valuation.differences import CAUSES
from valuation.money import yuan
from webapp.cli import main
from webapp.cli.run import Run, print_json, with_home
from webapp.deeds.all import finance as deeds
from webapp.language import language, tr
from webapp.reasons import amount_in_words
from webapp.wording import word

until_option = click.option("--until", help="last day of a closed period; else the one still open")


@main.group("finance")
def finance() -> None:
    """An agreement's money 财务: periods, and what is behind every amount."""


def _span(asked: dict[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in asked.items() if value is not None}


def _line(name: str, *fen: int) -> None:
    click.echo(f"  {name}  {'  '.join(yuan(one) for one in fen)}")


@finance.command("list")
@click.option("--as", "login", help="as this member sees it; else whole")
@with_home
def list_all(run: Run, login: str | None) -> None:
    """Each agreement's money now."""
    found = run.ask(deeds.overviews, login)
    if run.as_json:
        print_json(found)
        return
    for one in found["items"]:
        click.echo(tr(
            "{number}: closed until {day}; came in since {came} yuan, to distribute {waits} yuan, payable "
            "{owed} yuan", number=one["number"], day=one["closed_until"] or "–", came=yuan(one["open_fen"]),
            waits=yuan(one["undistributed_fen"]), owed=yuan(one["payable_fen"]),
        ))  # fmt: skip


@finance.command("overview")
@click.argument("agreement_number")
@until_option
@with_home
def overview(run: Run, agreement_number: str, until: str | None) -> None:
    """A period of an agreement at a glance."""
    found = run.ask(
        deeds.overview, None, _span({"until": until}), agreement_number=agreement_number
    )
    if run.as_json:
        print_json(found)
        return
    _told(found)
    for one in found["statements"]:
        click.echo(f"{one['number']}  {yuan(one['amount_fen'])}  {word(one['state'])}")
    for one in found["payees"]:
        click.echo(tr(
            "{party} {account}: due {due}, paid in the period {within}, up to now {paid}, held {held}, "
            "stands {stands} yuan",
            party=one["party"], account=deeds.account_name(one["account"]), due=yuan(one["due_fen"]),
            within=yuan(one["paid_within_fen"]), paid=yuan(one["paid_fen"]), held=yuan(one["held_fen"]),
            stands=yuan(one["closing_fen"]),
        ))  # fmt: skip


def _told(found: dict[str, Any]) -> None:
    span = found["span"]
    click.echo(tr("{start} to {end}: {amount} yuan to be shared", start=span["from_on"],
                  end=span["until_on"], amount=yuan(found["amount_fen"])))  # fmt: skip
    for one in found["kinds"]:
        name = f"{tr(deeds.KINDS[one['kind']])} ({tr(deeds.PARTS[one['part']])}) × {one['count']:,}"
        _line(name, one["amount_fen"], one["vat_fen"], one["net_fen"])


@finance.command("takings")
@click.argument("agreement_number")
@until_option
@click.option("--since", help="last day of the period before, where a statement goes back further")
@with_home
def takings(run: Run, agreement_number: str, **asked: str | None) -> None:
    """What came in over a period, by kind and by day: amount, VAT, net."""
    found = run.ask(deeds.takings, None, _span(asked), agreement_number=agreement_number)
    if run.as_json:
        print_json(found)
        return
    _told(found)
    for one in found["days"]:
        _line(f"{one['day']} {tr(deeds.KINDS[one['kind']])} × {one['count']:,}", one["amount_fen"],
              one["vat_fen"], one["net_fen"])  # fmt: skip


@finance.command("trades")
@click.argument("agreement_number")
@until_option
@click.option("--since", help="last day of the period before, where a statement goes back further")
@click.option("--part", type=click.Choice(list(deeds.PARTS)), default="own", show_default=True)
@click.option("--kind", type=click.Choice(list(deeds.KINDS)))
@click.option("--day")
@click.option("--after", help="the cursor a page ended with (next)")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="all, as .csv"
)
@with_home
def trades(run: Run, agreement_number: str, output: Path | None, **asked: str | None) -> None:
    """The rows behind an amount, a page at a time, or all as CSV."""
    query = _span(asked)
    keys = {"agreement_number": agreement_number}
    if output is not None:
        query.pop("after", None)
        write_durably(output, run.ask(deeds.trades_csv, None, query, **keys).pieces())
        return
    found = run.ask(deeds.trades, None, query, **keys)
    if run.as_json:
        print_json(found)
        return
    for one in found["items"]:
        behind = f"{one['reference']} {one['row'] or ''}".strip()
        _line(f"{one['n']} {one['day']} {tr(deeds.KINDS[one['kind']])} {behind}", one["amount_fen"],
              one["vat_fen"], one["net_fen"])  # fmt: skip
    if found["next"]:
        click.echo(f"--after {found['next']}")


@finance.command("paid")
@click.argument("agreement_number")
@until_option
@click.option("--over", type=click.Choice(list(deeds.OVER)), default="period", show_default=True)
@click.option("--account", type=click.Choice(list(deeds.PAYEES)))
@click.option("--party", help="to whom, by social credit code")
@click.option("--after", help="the cursor a page ended with (next)")
@with_home
def paid(run: Run, agreement_number: str, **asked: str | None) -> None:
    """What the bank paid to payees, by its days; what came back is below nought."""
    found = run.ask(deeds.paid, None, _span(asked), agreement_number=agreement_number)
    if run.as_json:
        print_json(found)
        return
    _line(f"{found['from_on']} – {found['until_on']}", found["amount_fen"])
    for one in found["items"]:
        _line(f"{one['day']} {one['payout']} {one['serial']} {one['party']} {one['reference']}",
              one["amount_fen"])  # fmt: skip
    if found["next"]:
        click.echo(f"--after {found['next']}")


@finance.command("account")
@click.argument("agreement_number")
@click.argument("account")
@click.option("--party", help="whose, by social credit code")
@until_option
@with_home
def account(run: Run, agreement_number: str, account: str, **asked: str | None) -> None:
    """The lines on an account, such as "2202 待分配收入": day, entry, debit, credit, balance."""
    query = {"account": account, **_span(asked)}
    found = run.ask(deeds.account, None, query, agreement_number=agreement_number)
    if run.as_json:
        print_json(found)
        return
    _line(tr("Brought forward"), found["stood_fen"])
    for one in found["items"]:
        _line(f"{one['on']} {one['entry']} {one['memo']}", one["debit_fen"], one["credit_fen"],
              one["stands_fen"])  # fmt: skip


@finance.command("line")
@click.argument("number")
@click.argument("n", type=int)
@with_home
def line(run: Run, number: str, n: int) -> None:
    """A line of a statement, from 1, with the steps from which it follows."""
    found = run.ask(deeds.line, None, {"n": n}, statement_number=number)
    if run.as_json:
        print_json(found)
        return
    _line(f"{found['line']['party']} {found['line'][language()]}", found["line"]["amount_fen"])
    for step in found["steps"]:
        shown = [step["symbol"], *filter(None, [step["formula"]]), step["value"]]
        click.echo(f"  {' = '.join(shown)}  {step[language()]}")


@finance.command("compare")
@click.argument("number")
@with_home
def compare(run: Run, number: str) -> None:
    """Why a statement is another amount than the last one, for the whole and for each line."""
    found = run.ask(deeds.comparison, None, statement_number=number)
    if run.as_json:
        print_json(found)
        return
    if found["before"] is None:
        click.echo(tr("There is no statement before it to compare with."))
        return
    amount = found["amount"]
    click.echo(amount_in_words(found))
    _line(
        f"{found['before']} → {number}",
        amount["before_fen"],
        amount["after_fen"],
        amount["change_fen"],
    )
    click.echo(f"  {tr(deeds.BY[amount['by']])}")
    for one in found["sold"]:
        _line(f"{one['product']} {one['unit']}: {one['before']} → {one['after']}", one["before_fen"],
              one["after_fen"])  # fmt: skip
    for key, _, fen in deeds.causes(amount):
        _line(tr(deeds.CAUSES[key]), fen)
    for one in found["lines"]:
        causes = ", ".join(
            f"{cause} {yuan(one['by'][cause])}" for cause in CAUSES if one["by"][cause]
        )
        click.echo(f"  {one['party']} {one[language()]}  {yuan(one['before_fen'])} → "
                   f"{yuan(one['after_fen'])}  ({causes or '0'})")  # fmt: skip
