"""Trade: licences and payments."""

from pathlib import Path
from typing import Any

import click

from webapp.cli import main
from webapp.cli.run import (
    Run,
    as_member,
    read_document,
    renamed,
    with_home,
)
from webapp.deeds.all import circulation


@main.group()
def licence() -> None:
    """Licences 许可."""


@main.group()
def payment() -> None:
    """Payments received 收款."""


@licence.command("grant")
@click.argument("number")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def licence_grant(run: Run, login: str, number: str, path: Path) -> None:
    """Sell a licence under a voucher (operator).

    FILE: order licensee licensee_address right purpose terms from until price_yuan.
    """
    run.say(grant_licence(run, login, number, read_document(path)), circulation.grant.says)


def grant_licence(run: Run, login: str, number: str, document: dict[str, Any]) -> dict[str, Any]:
    """Sell a licence from a document; what the deed answers."""
    body = renamed(document, **{"from": "from_on", "until": "until_on"})
    return run.do(circulation.grant, login, body, voucher_number=number)


@licence.command("revoke")
@click.argument("order")
@click.option("--reason", required=True)
@as_member
@with_home
def licence_revoke(run: Run, login: str, order: str, reason: str) -> None:
    """Revoke a licence (operator)."""
    deed = circulation.revoke_licence
    run.say(run.do(deed, login, {"reason": reason}, order=order), deed.says)


@payment.command("record")
@click.argument("order")
@click.option("--amount", required=True, help="yuan, VAT included, at most two decimals")
@click.option("--on", "received_on", required=True, help="the day, 2026-01-31")
@click.option("--reference", required=True, help="the bank's reference, unique")
@as_member
@with_home
def payment_record(
    run: Run, login: str, order: str, amount: str, received_on: str, reference: str
) -> None:
    """Record money received for a licence (finance maker)."""
    body = {"amount_yuan": amount, "received_on": received_on, "reference": reference}
    deed = circulation.record_payment
    run.say(run.do(deed, login, body, order=order), deed.says)
