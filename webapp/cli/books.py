"""The books 账簿: periods 结账, vouchers 记账凭证, limits 账户限额, trial balance 试算平衡, export."""

from pathlib import Path
from typing import Any

import click

from ledger.chain.keys import write_durably
from ledger.errors import Invalid
from ledger.trial_balance import COLUMNS
from valuation import money
from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, verb, with_home
from webapp.deeds.all import books as deeds
from webapp.deeds.all import limits as limit_deeds
from webapp.language import tr
from webapp.wording import word

OUTPUT = click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False))

REASON = click.option("--reason", required=True)
GROUND = (
    REASON,
    click.option("--basis", required=True, help="the document it rests on"),
    click.option("--document", "document_digest", help="its digest, sha256:…"),
)
HEADINGS = (
    "Opening debit", "Opening credit", "Debits", "Credits", "Closing debit", "Closing credit",
)  # fmt: skip


@main.group()
def period() -> None:
    """Closing of periods 结账."""


@main.group()
def journal() -> None:
    """Journal vouchers 记账凭证: bank fees, interest, tax; division of a claim of who was split."""


@main.group()
def limit() -> None:
    """Limits of accounts 账户限额: how much of what a book owes must stay."""


@main.group()
def books() -> None:
    """The books 账簿: entries, accounts, trial balance, export."""


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@period.command("close")
@click.argument("agreement_number")
@click.option("--from", "from_on", required=True, help="the day after the last closing, 2026-01-01")
@click.option("--until", "until_on", required=True, help="the last day, 2026-01-31")
@click.option("--bank", "bank_yuan", help="yuan, as the bank's statement says on the last day")
@as_member
@with_home
def period_close(
    run: Run, login: str, agreement_number: str, from_on: str, until_on: str, bank_yuan: str | None
) -> None:
    """Close a period of an agreement's book (finance maker)."""
    body = _given(from_on=from_on, until_on=until_on, bank_yuan=bank_yuan)
    answer = run.do(deeds.close, login, body, agreement_number=agreement_number)
    run.say(answer, deeds.close.says)


verb(period, "reopen", deeds.reopen, "Reopen the last closed period (finance checker).", REASON)


@period.command("list")
@with_home
def period_list(run: Run) -> None:
    """List the closed periods, newest first."""
    found = run.ask(deeds.list_periods, None, {"limit": 200})
    if run.as_json:
        print_json(found)
        return
    for row in found["items"]:
        click.echo(f"{row['number']}  {row['from_on']} – {row['until_on']}  {word(row['state'])}")


@journal.command("propose")
@click.argument("agreement_number")
@click.option("--debit", required=True, help="the account, as 6603 or 6603 财务费用")
@click.option("--credit", required=True)
@click.option("--amount", "amount_yuan", required=True, help="yuan, at most two decimals")
@click.option("--on", "effective_on", required=True, help="the day, 2026-01-31")
@click.option("--memo", required=True)
@as_member
@with_home
def journal_propose(run: Run, login: str, agreement_number: str, **given: str) -> None:
    """Propose a journal voucher (finance maker)."""
    body = {**given, "debit": _account(given["debit"]), "credit": _account(given["credit"])}
    answer = run.do(deeds.propose_journal, login, body, agreement_number=agreement_number)
    run.say(answer, deeds.propose_journal.says)


@journal.command("open")
@click.argument("agreement_number")
@as_member
@with_home
def journal_open(run: Run, login: str, agreement_number: str) -> None:
    """Propose the opening of a book: what was received before there were books (finance maker)."""
    answer = run.do(deeds.propose_opening, login, {}, agreement_number=agreement_number)
    run.say(answer, deeds.propose_opening.says)


@journal.command("divide")
@click.argument("agreement_number")
@click.option("--account", required=True, help="as 2203 or 2203 应付分配款")
@click.option("--party", required=True, help="the social credit code of who was split")
@click.option("--amount", "amount_yuan", required=True, help="yuan, at most two decimals")
@click.option("--share", "shares", required=True, multiple=True, metavar="USCC=YUAN",
              help="what a successor gets")  # fmt: skip
@click.option("--on", "effective_on", required=True, help="the day, 2026-01-31")
@click.option("--basis", "memo", required=True, help="the document that divides")
@click.option("--document", "document_digest", required=True, help="its digest, sha256:…")
@as_member
@with_home
def journal_divide(
    run: Run, login: str, agreement_number: str, shares: tuple[str, ...], **given: str
) -> None:
    """Divide among successors what a payee that was split is owed (finance maker) 分立债权划分."""
    parts = []
    for one in shares:
        party, _, amount = one.partition("=")
        if not (party and amount):
            raise Invalid("{text} is not USCC=YUAN.", text=one)
        parts.append({"amount_yuan": amount, "party": party})
    body = {**given, "account": _account(given["account"]), "shares": parts}
    answer = run.do(deeds.propose_division, login, body, agreement_number=agreement_number)
    run.say(answer, deeds.propose_division.says)


verb(journal, "undo", deeds.propose_undoing, "Propose to take a division back (finance maker).",
     REASON)  # fmt: skip
verb(journal, "approve", deeds.approve_journal, "Approve a journal voucher (finance checker).")
verb(journal, "reject", deeds.reject_journal, "Send a journal voucher back (finance checker).",
     REASON)  # fmt: skip
verb(journal, "withdraw", deeds.withdraw_journal, "Take your journal voucher back (finance maker).",
     REASON)  # fmt: skip


def _account(code: str) -> str:
    """An account by its code alone."""
    return next((name for name in deeds.ACCOUNT_NAMES if name.split()[0] == code), code)


@limit.command("propose")
@click.argument("agreement_number")
@click.option("--account", required=True, help="as 2203 or 2203 应付分配款")
@click.option("--party", help="the social credit code; none for the bank account")
@click.option("--floor", "floor_yuan", required=True, help="yuan that must stay")
@REASON
@GROUND[1]
@GROUND[2]
@as_member
@with_home
def limit_propose(run: Run, login: str, agreement_number: str, **given: Any) -> None:
    """Propose a limit of an account (finance maker)."""
    body = _given(**{**given, "account": _account(given["account"])})
    answer = run.do(limit_deeds.propose, login, body, agreement_number=agreement_number)
    run.say(answer, limit_deeds.propose.says)


verb(limit, "lift", limit_deeds.propose_lift, "Propose that a limit holds no more (finance maker).",
     *GROUND)  # fmt: skip
verb(limit, "approve", limit_deeds.approve, "Approve a limit or its lifting (finance checker).")
verb(limit, "reject", limit_deeds.reject, "Send a proposal back (finance checker).", REASON)
verb(limit, "withdraw", limit_deeds.withdraw, "Take your proposal back (finance maker).", REASON)


@limit.command("show")
@click.argument("number")
@with_home
def limit_show(run: Run, number: str) -> None:
    """Show a limit as recorded (JSON)."""
    print_json(run.ask(limit_deeds.show, limit_number=number))


@limit.command("list")
@with_home
def limit_list(run: Run) -> None:
    """List the limits of accounts, newest first."""
    found = run.ask(limit_deeds.list_limits, None, {"limit": 200})
    if run.as_json:
        print_json(found)
        return
    for row in found["items"]:
        stays = row["floor_fen"]
        floor = tr("nothing any more") if stays is None else money.yuan(stays)
        click.echo(
            f"{row['number']}  {row['account']}  {row['party']:18}  {floor:>18}  {word(row['state'])}"
        )


@books.command("entry")
@click.argument("number")
@with_home
def books_entry(run: Run, number: str) -> None:
    """Show an entry as recorded (JSON)."""
    print_json(run.ask(deeds.show_entry, entry_number=number))


@books.command("accounts")
@click.argument("agreement_number")
@with_home
def books_accounts(run: Run, agreement_number: str) -> None:
    """What stands on each account now, and what of it is held."""
    found = run.ask(deeds.accounts, agreement_number=agreement_number)
    if run.as_json:
        print_json(found)
        return
    for row in found["items"]:
        posted, held = (money.yuan(row[key]) for key in ("posted_fen", "held_fen"))
        kept = "" if row["limited_by"] is None else tr(
            "limit {number}: {floor} must stay", number=row["limited_by"],
            floor=money.yuan(row["floor_fen"]),
        )  # fmt: skip
        click.echo(
            f"{row['account']}  {row['party']:18}  {posted:>18}  {held:>18}  {kept}".rstrip()
        )


@books.command("balance")
@click.argument("agreement_number")
@click.option("--from", "from_on", help="the first day")
@click.option("--until", "until_on", help="the last day")
@OUTPUT
@with_home
def books_balance(
    run: Run, agreement_number: str, from_on: str | None, until_on: str | None, output: Path | None
) -> None:
    """The trial balance; to an .xlsx file with live sums."""
    asked = _given(from_on=from_on, until_on=until_on)
    if output is not None:
        if output.suffix != ".xlsx":
            raise Invalid("Write to a file that ends in .xlsx.")
        found = run.ask(deeds.balance_xlsx, None, asked, agreement_number=agreement_number)
        write_durably(output, found.content)
        run.say({"path": str(output)}, "Written: {path}")
        return
    found = run.ask(deeds.balance, None, asked, agreement_number=agreement_number)
    if run.as_json:
        print_json(found)
        return
    click.echo(" " * 34 + "".join(f"{tr(heading):>18}" for heading in HEADINGS))
    for row in found["rows"]:
        amounts = [row[name] for name in COLUMNS]
        _line(f"{row['account']} {row['party']}", amounts)
    _line("=", found["totals"])


def _line(name: str, amounts: list[int]) -> None:
    click.echo(f"{name:34}" + "".join(f"{money.yuan(fen):>18}" for fen in amounts))


@books.command("export")
@click.argument("agreement_number")
@OUTPUT
@with_home
def books_export(run: Run, agreement_number: str, output: Path | None) -> None:
    """The book as beancount text, for bean-check or any program that reads it."""
    found = run.ask(deeds.export, agreement_number=agreement_number)
    if output is None:
        for piece in found.pieces():
            click.echo(piece, nl=False)
        return
    write_durably(output, found.pieces())
    run.say({"path": str(output)}, "Written: {path}. Check it with: bean-check {path}")
