"""Payments and reconciliation: bank accounts, payouts with their files, account statements, differences."""

from pathlib import Path
from typing import Any

import click

from ledger.chain.keys import write_durably
from ledger.errors import Invalid
from ledger.proof.encoding import digest_text
from ledger.proof.verify import read_file
from valuation.money import yuan
from webapp.cli import main
from webapp.cli.import_templates import require_xlsx
from webapp.cli.run import (
    Run,
    as_member,
    looks_first,
    print_json,
    require_wanted,
    tell_preview,
    verb,
    with_home,
)
from webapp.deeds import DEEDS, Deed
from webapp.deeds.all import payouts, reconciliation
from webapp.intake import UPLOAD_BYTES_MAX
from webapp.language import tr

FILE = click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
PERIOD = (
    click.option("--from", "from_on", required=True, help="the first day of the file, 2026-01-31"),
    click.option("--until", "until_on", required=True, help="its last day"),
)


@main.group()
def account() -> None:
    """Bank accounts of payees 收款账户."""


@main.group()
def payout() -> None:
    """Payouts 付款批次: prepare, approve, hand to the bank, import its result."""


@main.group()
def reconcile() -> None:
    """Reconcile the books with a bank or an exchange 对账."""


@main.group()
def difference() -> None:
    """Differences found in reconciling 对账差异."""


def kept(
    run: Run, path: Path, transient: bool = False, wanted: str | None = None
) -> dict[str, Any]:
    """Keep a file, or hand it in only; what a body says of it. Conflict where another one is wanted."""
    data = read_file(str(path), UPLOAD_BYTES_MAX)
    told = {"digest": digest_text(data), "name": path.name, "size_bytes": len(data)}
    require_wanted(told, wanted)
    (run.home.hand_in if transient else run.home.store_material)(data)
    return told


def _import(
    run: Run, deed: Deed, login: str, body: dict[str, Any], dry_run: bool, **keys: Any
) -> dict[str, Any] | None:
    """Do an import and say so, or only tell what it would take in."""
    if dry_run:
        tell_preview(run, run.do(DEEDS[f"{deed.name}_preview"], login, body, **keys))
        return None
    answer = run.do(deed, login, body, **keys)
    run.say(answer, deed.says)
    return answer


@account.command("enter")
@click.argument("uscc")
@click.option("--kind", type=click.Choice([*payouts.KINDS]), default="account", show_default=True)
@click.option("--holder", "holder_name", required=True, help="as the bank knows it")
@click.option("--bank", required=True)
@click.option("--branch", required=True)
@click.option("--number-file", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help="where the account number stands: what is typed here others could read")  # fmt: skip
@click.option("--unit-code", default="", help="执收单位编码, of a public body")
@click.option("--item-code", default="", help="非税收入项目编码, of a public body")
@click.option("--ground", required=True, help="the party's letter, the treasury's notice")
@as_member
@with_home
def account_enter(run: Run, login: str, uscc: str, number_file: Path, **body: str) -> None:
    """Enter where a party is paid (the party itself, finance maker)."""
    digits = read_file(str(number_file), 200).decode("utf-8", "replace").strip()
    answer = run.do(payouts.enter, login, {**body, "account_number": digits}, uscc=uscc)
    run.say(answer, payouts.enter.says)


verb(account, "confirm", payouts.confirm_account,
     "Confirm a bank account (finance checker, another person than who entered it).")  # fmt: skip
verb(account, "reject", payouts.reject_account, "Reject a bank account (finance checker).",
     click.option("--reason", required=True))  # fmt: skip
verb(account, "withdraw", payouts.withdraw_account, "Take back an account not yet confirmed.",
     click.option("--reason", required=True))  # fmt: skip


@account.command("show")
@click.argument("number")
@as_member
@with_home
def account_show(run: Run, login: str, number: str) -> None:
    """Show a bank account, and the one before it (JSON)."""
    print_json(run.ask(payouts.show_account, login, bank_account=number))


@payout.command("prepare")
@click.argument("agreement_number")
@click.option("--statement", default="", help="only this one's shares")
@as_member
@with_home
def payout_prepare(run: Run, login: str, agreement_number: str, statement: str) -> None:
    """Collect and hold what is due under an agreement (finance maker)."""
    deed = payouts.prepare
    answer = run.do(deed, login, {"statement": statement}, agreement_number=agreement_number)
    run.say(answer, deed.says)
    if not run.as_json:
        for one in answer["left_out"]:
            why = " ".join((tr(payouts.LEFT_OUT[one["why"]]), one.get("limit", ""))).strip()
            amount = yuan(one["amount_fen"])
            click.echo(
                tr("  left out: {party}, {account}, {amount} yuan: {why}",
                   **{**one, "amount": amount, "why": why})
            )  # fmt: skip


verb(payout, "approve", payouts.approve, "Approve a payout (finance checker, not who prepared it).")
verb(payout, "cancel", payouts.cancel, "Cancel a payout that is not yet approved.",
     click.option("--reason", required=True))  # fmt: skip
verb(payout, "close", payouts.close, "State that the rest will not be paid (finance checker).",
     click.option("--reason", required=True))  # fmt: skip


@payout.command("file")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help=".csv or .xlsx")  # fmt: skip
@as_member
@with_home
def payout_file(run: Run, login: str, number: str, output: Path) -> None:
    """Write the payment file of an approved payout (finance)."""
    made = {".csv": payouts.csv_file, ".xlsx": payouts.xlsx_file}.get(output.suffix)
    if made is None:
        raise Invalid("{path} must end in .csv or .xlsx.", path=str(output))
    write_durably(output, run.ask(made, login, payout_number=number).content)
    run.say({"path": str(output)}, "{path} written.")


@payout.command("template")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False),
              help=".xlsx")  # fmt: skip
@as_member
@with_home
def payout_template(run: Run, login: str, number: str, output: Path) -> None:
    """Write a workbook for the bank's result, with the payments not yet answered (finance maker)."""
    require_xlsx(output)
    write_durably(output, run.ask(payouts.results_template, login, payout_number=number).content)
    run.say({"path": str(output)}, "{path} written.")


@payout.command("check")
@FILE
@as_member
@with_home
def payout_check(run: Run, login: str, path: Path) -> None:
    """Say which payout a payment file is of; each cell that was changed is named, with exit code 1."""
    deed = payouts.check
    run.say(run.do(deed, login, kept(run, path, transient=True)), deed.says)


@payout.command("confirm")
@click.argument("number")
@FILE
@looks_first
@as_member
@with_home
def payout_confirm(
    run: Run, login: str, number: str, path: Path, dry_run: bool, wanted: str | None
) -> None:
    """Import the bank's result: what it paid is booked, what failed is due again (finance maker)."""
    body = kept(run, path, wanted=wanted)
    answer = _import(run, payouts.confirm, login, body, dry_run, payout_number=number)
    if answer and not run.as_json:
        for one in answer["twice"]:
            click.echo(tr(
                "{serial} was paid after it was given up, and {yuan} yuan more than is owed to {name} have "
                "left the bank: ask them back.",
                serial=one["serial"], yuan=yuan(one["fen"]), name=one["party"],
            ))  # fmt: skip


@payout.command("show")
@click.argument("number")
@as_member
@with_home
def payout_show(run: Run, login: str, number: str) -> None:
    """Show a payout with its payments (JSON)."""
    print_json(run.ask(payouts.show_payout, login, payout_number=number))


def _period(command: Any) -> Any:
    for option in reversed(PERIOD):
        command = option(command)
    return command


@reconcile.command("bank")
@click.argument("agreement_number")
@FILE
@_period
@looks_first
@as_member
@with_home
def reconcile_bank(
    run: Run, login: str, agreement_number: str, path: Path, dry_run: bool, wanted: str | None,
    **days: str,
) -> None:  # fmt: skip
    """Reconcile a book with its bank's account statement (finance maker)."""
    body = {**kept(run, path, wanted=wanted), **days}
    deed = reconciliation.import_bank
    _import(run, deed, login, body, dry_run, agreement_number=agreement_number)


@reconcile.command("exchange")
@click.argument("agreement_number")
@FILE
@click.option("--exchange", required=True, help="its social credit code")
@_period
@looks_first
@as_member
@with_home
def reconcile_exchange(
    run: Run, login: str, agreement_number: str, path: Path, dry_run: bool, wanted: str | None,
    **more: str,
) -> None:  # fmt: skip
    """Reconcile confirmed trades with an exchange's report (finance maker)."""
    body = {**kept(run, path, wanted=wanted), **more}
    deed = reconciliation.import_exchange
    _import(run, deed, login, body, dry_run, agreement_number=agreement_number)


@reconcile.command("show")
@click.argument("number")
@as_member
@with_home
def reconcile_show(run: Run, login: str, number: str) -> None:
    """Show a reconciliation with its differences (JSON)."""
    print_json(run.ask(reconciliation.show_reconciliation, login, reconciliation_number=number))


@difference.command("list")
@click.option("--state", default="", help="open, answered or settled")
@as_member
@with_home
def difference_list(run: Run, login: str, state: str) -> None:
    """List the differences that concern you (JSON)."""
    query = {"limit": "200", "state": state}
    print_json(run.ask(reconciliation.list_differences, login, query)["items"])


verb(difference, "answer", reconciliation.answer_difference,
     "Say how a difference came about, and what was done (who owes it).",
     click.option("--answer", required=True))  # fmt: skip
verb(difference, "settle", reconciliation.settle, "Find the answer sufficient (another of finance).",
     click.option("--finding", required=True))  # fmt: skip
verb(difference, "reopen", reconciliation.reopen, "Find the answer insufficient (another of finance).",
     click.option("--reason", required=True))  # fmt: skip
