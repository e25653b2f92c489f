"""Orders, remittances, refunds, and the trades an exchange confirms: signed offline, handed in."""

import os
from pathlib import Path
from typing import Any

import click

from ledger import confirmation_checks, trade_rules
from ledger.chain import keys
from ledger.errors import Invalid, NotAuthenticated
from ledger.parties import actor_by_login
from ledger.party_codes import check_uscc
from ledger.proof.encoding import canonical, parse
from ledger.proof.trust import parse_trust
from ledger.proof.verify import read_file
from ledger.tables.events import read_rows
from valuation import money
from webapp.cli import main
from webapp.cli.run import (
    TEXT_BYTES_MAX,
    Run,
    as_member,
    looks_first,
    print_json,
    progress_bar,
    read_document,
    refusals,
    renamed,
    require_wanted,
    tell_preview,
    verb,
    with_home,
)
from webapp.deeds.all import trade as deeds
from webapp.deeds.usage import keep_stream
from webapp.language import tr

FILE_BYTES_MAX = 2_000_000_000
FILE = click.Path(path_type=Path, dir_okay=False)


@main.group()
def trade() -> None:
    """Trades made at an exchange 成交确认."""


@main.group()
def order() -> None:
    """Orders 订单."""


@main.group()
def refund() -> None:
    """Refunds 退款."""


@main.group()
def remittance() -> None:
    """Money received for no licence yet 来款."""


@trade.command("sign")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--number", required=True, help="your own number of this confirmation")
@click.option("--agreement", required=True, help="number of the agreement, such as XY2026-0001")
@click.option("--exchange", required=True, help="your social credit code")
@click.option("--trust", "trust_path", required=True, type=FILE, help="the registry's trust file")
@click.option("--from", "from_on", help="first day of the period; the first trade's if not given")
@click.option("--until", "until_on", help="last day of the period; the last trade's if not given")
@click.option("--keystore", required=True, type=FILE)
@click.option("--home", "_folder", hidden=True, help="accepted like everywhere; signing needs none")
@click.option("-o", "--output", required=True, type=FILE)
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--passphrase-variable", default="SHUZHENG_KEY_PASSPHRASE", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def sign(
    path: Path, number: str, agreement: str, exchange: str, trust_path: Path, from_on: str | None,
    until_on: str | None, keystore: Path, output: Path, yes: bool, passphrase_variable: str,
    as_json: bool, _folder: str | None,
) -> None:  # fmt: skip
    """Sign a file of trades with your own key, on your own machine; needs no network and no home.

    FILE: CSV or XLSX with trade, voucher, buyer, on, amount_yuan; unit and quantity may be left out.
    """
    with refusals(as_json):
        trust = parse_trust(read_file(str(trust_path), TEXT_BYTES_MAX))
        header = confirmation_checks.header_of(
            read_rows(path, path.name, trade_rules.COLUMNS), path.name, exchange=check_uscc(exchange),
            number=number, agreement=agreement, log_origin=trust.origin, from_on=from_on,
            until_on=until_on,
        )  # fmt: skip
        said = tr(
            "Confirmation {number} under agreement {agreement}, {start} to {end}: {count} trades, "
            "{amount} yuan", number=number, agreement=agreement, start=header["from_on"],
            end=header["until_on"], count=header["row_count"],
            amount=money.yuan(header["amount_fen"]),
        )  # fmt: skip
        click.echo(said, err=True)
        if not yes:
            click.confirm(tr("Sign these trades?"), abort=True, err=True)
        passphrase = os.environ.get(passphrase_variable)
        if not passphrase:
            raise NotAuthenticated("No passphrase: set {name}.", name=passphrase_variable)
        private_key = keys.open_keystore(keystore, passphrase)
        signed = confirmation_checks.sign(header, trust.chain_id, private_key)
        keys.write_durably(output, canonical(signed))
        if as_json:
            print_json({"address": signed["address"], "path": str(output)})
        else:
            click.echo(
                tr("Signed by {address}: {path}", address=signed["address"], path=str(output))
            )


@trade.command("confirm")
@click.argument("path", metavar="FILE", type=FILE)
@click.option("--signature", required=True, type=FILE, help="what trade sign wrote")
@click.option("--faults", type=FILE, help="where to write all faulty rows (CSV)")
@looks_first
@as_member
@with_home
def confirm(
    run: Run, login: str, path: Path, signature: Path, faults: Path | None, dry_run: bool,
    wanted: str | None,
) -> None:  # fmt: skip
    """Hand in a file of trades with its signed header (exchange)."""
    _ = run.home.config
    signed = parse(read_file(str(signature), TEXT_BYTES_MAX), signature.name)
    with path.open("rb") as file:
        kept = keep_stream(run.home, file, FILE_BYTES_MAX)
    body = {"name": path.name, **kept, "signature": signed}
    require_wanted(body, wanted)
    deed = deeds.preview_trades if dry_run else deeds.confirm
    with progress_bar() as bar:
        task = bar.add_task(tr(deed.title), total=None)

        def report(_stage: str, done: int, total: int) -> None:
            bar.update(task, completed=done, total=total or None)

        try:
            done = run.desk.do(
                deed, lambda session: actor_by_login(session, login), {}, body, key=None,
                report=report,
            )  # fmt: skip
        except Invalid as error:
            if faults is not None and "fault_file" in error.facts:
                faults.write_bytes(run.home.material(error.facts["fault_file"]))
            raise
    if dry_run:
        tell_preview(run, done.answer)
    else:
        run.say(done.answer, deed.says)


@trade.command("show")
@click.argument("number")
@with_home
def show_confirmation(run: Run, number: str) -> None:
    """Show a confirmation as recorded (JSON)."""
    print_json(run.ask(deeds.show_confirmation, confirmation_number=number))


@trade.command("proof")
@click.argument("number")
@click.argument("row", metavar="TRADE|ROW")
@click.option("-o", "--output", required=True, type=FILE)
@with_home
def proof(run: Run, number: str, row: str, output: Path) -> None:
    """Write the proof of one trade, named by the exchange's number, else by its row (from 1)."""
    file = run.ask(deeds.proof, query={"row": row}, confirmation_number=number)
    output.write_bytes(file.content)
    run.say({"path": str(output)}, "{path} written.")


@order.command("place")
@click.argument("number")
@click.argument("path", metavar="FILE", type=FILE)
@as_member
@with_home
def place(run: Run, login: str, number: str, path: Path) -> None:
    """Place an order under a voucher (operator, exchange).

    FILE: what licence grant takes, and paid_by (invoice, prepayment), offer_until.
    """
    body = renamed(read_document(path), **{"from": "from_on", "until": "until_on"})
    run.say(run.do(deeds.place, login, body, voucher_number=number), deeds.place.says)


verb(order, "fulfil", deeds.fulfil, "Grant the licence of an order (operator).")
verb(order, "cancel", deeds.cancel, "Take an order back (operator, exchange).",
     click.option("--reason", required=True))  # fmt: skip


@order.command("show")
@click.argument("reference")
@with_home
def show_order(run: Run, reference: str) -> None:
    """Show an order as recorded (JSON)."""
    print_json(run.ask(deeds.show_order, order_reference=reference))


@refund.command("propose")
@click.argument("source", metavar="REFERENCE|CONFIRMATION")
@click.option("--row", help="of a confirmation: which trade")
@click.option("--remittance", is_flag=True, help="of what was paid in advance under this reference")
@click.option("--amount", required=True, help="yuan, VAT included, at most two decimals")
@click.option("--ground", required=True)
@as_member
@with_home
def propose(
    run: Run, login: str, source: str, row: str | None, amount: str, ground: str, remittance: bool
) -> None:
    """Propose the refund of a payment, or with --row of a confirmed trade (finance maker)."""
    body: dict[str, Any] = {"amount_yuan": amount, "ground": ground}
    if remittance:
        done = run.do(deeds.propose_prepayment_refund, login, body, remittance_reference=source)
    elif row is None:
        done = run.do(deeds.propose_refund, login, body, reference=source)
    else:
        body["row"] = row
        done = run.do(deeds.propose_trade_refund, login, body, confirmation_number=source)
    run.say(done, deeds.propose_refund.says)


@refund.command("undo")
@click.argument("reference")
@click.option("--remittance", is_flag=True, help="a remittance, not a payment")
@click.option("--reason", required=True)
@as_member
@with_home
def undo(run: Run, login: str, reference: str, remittance: bool, reason: str) -> None:
    """Propose to undo a receipt that never was at the bank (finance maker)."""
    body = {"reason": reason}
    if remittance:
        done = run.do(deeds.undo_remittance, login, body, remittance_reference=reference)
    else:
        done = run.do(deeds.undo_payment, login, body, reference=reference)
    run.say(done, deeds.undo_payment.says)


verb(refund, "approve", deeds.approve_refund, "Approve a refund (finance checker).")
verb(refund, "reject", deeds.reject_refund, "Reject a refund (finance checker).",
     click.option("--reason", required=True))  # fmt: skip


@refund.command("show")
@click.argument("number")
@with_home
def show_refund(run: Run, number: str) -> None:
    """Show a refund as recorded (JSON)."""
    print_json(run.ask(deeds.show_refund, refund_number=number))


@remittance.command("record")
@click.argument("agreement_number")
@click.option("--party", required=True, help="who paid: its social credit code")
@click.option("--purpose", required=True, type=click.Choice(list(deeds.PURPOSES)))
@click.option("--amount", required=True, help="yuan, at most two decimals")
@click.option("--on", "received_on", required=True, help="the day, 2026-01-31")
@click.option("--reference", required=True, help="the bank's reference, unique")
@as_member
@with_home
def record_remittance(
    run: Run, login: str, agreement_number: str, party: str, purpose: str, amount: str,
    received_on: str, reference: str,
) -> None:  # fmt: skip
    """Record money received for no licence yet (finance maker)."""
    body = {"amount_yuan": amount, "party": party, "purpose": purpose, "received_on": received_on,
            "reference": reference}  # fmt: skip
    deed = deeds.record_remittance
    run.say(run.do(deed, login, body, agreement_number=agreement_number), deed.says)


@remittance.command("show")
@click.argument("reference")
@with_home
def show_remittance(run: Run, reference: str) -> None:
    """Show a remittance as recorded (JSON)."""
    print_json(run.ask(deeds.show_remittance, remittance_reference=reference))
