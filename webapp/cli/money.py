"""Trade and revenue: licences, payments, schemes, statements; and the bare calculations."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from ledger import agreements, parties, revenue, trading, vouchers
from ledger.calendar import end_of_day, start_of_day
from ledger.chain import keys
from ledger.errors import Conflict, Invalid, NotAuthenticated
from ledger.log import digest_key
from ledger.parties import Actor, Member
from ledger.proof.encoding import canonical, parse
from ledger.proof.verify import read_file, visible
from ledger.vouchers import Voucher
from valuation import money
from webapp.cli import main
from webapp.cli.run import (
    TEXT_BYTES_MAX,
    Run,
    as_member,
    day,
    fields,
    print_json,
    read_document,
    refusals,
    with_home,
)
from webapp.language import language, tr

APPROVAL_DAYS = 7


@main.group()
def licence() -> None:
    """Licences 许可."""


@main.group()
def payment() -> None:
    """Payments received 收款."""


@main.group()
def scheme() -> None:
    """Revenue schemes 收益分配方案."""


@main.group()
def statement() -> None:
    """Revenue statements 收益分配单."""


@licence.command("grant")
@click.argument("number")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def licence_grant(run: Run, login: str, number: str, path: Path) -> None:
    """Sell a licence under a voucher (operator).

    FILE: order licensee licensee_address right purpose terms from until price_yuan.
    """
    document = read_document(path)
    answer = run.deed(
        login, lambda session, actor: grant_licence(run, session, actor, number, document)
    )
    run.say(answer, "Licence {n} under {voucher} is sold for {price_yuan} yuan (order {order}).")


def grant_licence(
    run: Run, session: Session, actor: Actor, number: str, document: dict[str, Any]
) -> dict[str, Any]:
    """Sell a licence from a document; what the command answers."""
    order, licensee, address, right, purpose, terms, start, until, price = fields(
        document, "order licensee licensee_address right purpose terms:map from until price_yuan"
    )
    found = vouchers.by_number(session, number)
    price_fen = money.fen(str(price), "price_yuan")
    made = trading.grant(
        session, actor, run.now, voucher=found,
        licensee=parties.party_by_uscc(session, licensee), licensee_address=address, right=right,
        purpose=purpose, terms=terms, valid_from=start_of_day(day(start)),
        valid_until=end_of_day(day(until)), price_fen=price_fen, order_reference=str(order),
        origin=run.home.config.origin,
    )  # fmt: skip
    return {
        "id": made.id, "n": made.n, "order": made.order_reference,
        "price_yuan": money.yuan(made.price_fen), "voucher": found.number,
    }  # fmt: skip


@licence.command("revoke")
@click.argument("order")
@click.option("--reason", required=True)
@as_member
@with_home
def licence_revoke(run: Run, login: str, order: str, reason: str) -> None:
    """Revoke a licence (operator)."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = trading.licence_by_order(session, order)
        under = session.get_one(Voucher, found.voucher_id)
        trading.revoke(session, actor, run.now, found, under, reason, run.home.config.origin)
        return {"order": order, "state": found.state}

    run.say(run.deed(login, act), "The licence of order {order} is {state}.")


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

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        made = trading.record_payment(
            session, actor, run.now, licence=trading.licence_by_order(session, order),
            amount_fen=money.fen(amount, "amount"), received_on=day(received_on).isoformat(),
            reference=reference,
        )  # fmt: skip
        return {
            "net_yuan": money.yuan(made.net_fen), "reference": reference,
            "vat_yuan": money.yuan(made.vat_fen),
        }  # fmt: skip

    run.say(run.deed(login, act), "Recorded {reference}: {net_yuan} yuan net, {vat_yuan} yuan VAT.")


@scheme.command("propose")
@click.argument("agreement_number")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from", "effective_from", required=True, help="the first day it binds")
@as_member
@with_home
def scheme_propose(
    run: Run, login: str, agreement_number: str, path: Path, effective_from: str
) -> None:
    """Propose a scheme (operator); parties in it are named by their social credit codes."""
    document = read_document(path)

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = agreements.by_number(session, agreement_number)
        made = revenue.propose_scheme(session, actor, run.now, found, document, day(effective_from))
        return {"agreement": agreement_number, "edition": made.edition, "state": made.state}

    run.say(run.deed(login, act), "Edition {edition} of the scheme is {state}.")


@scheme.command("show")
@click.argument("agreement_number")
@click.option("--edition", type=int, help="the newest if not given")
@with_home
def scheme_show(run: Run, agreement_number: str, edition: int | None) -> None:
    """Show a scheme as proposed or agreed (JSON)."""
    _ = run.home.config
    with run.home.reading() as session:
        found = agreements.by_number(session, agreement_number)
        print_json(revenue.scheme_of(session, found, edition).body())


@scheme.command("agree")
@click.argument("agreement_number")
@click.option("--edition", type=int, required=True, help="the edition you read (scheme show)")
@as_member
@with_home
def scheme_agree(run: Run, login: str, agreement_number: str, edition: int) -> None:
    """Agree to an edition of the scheme for the implementing body (provider)."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = agreements.by_number(session, agreement_number)
        made = revenue.scheme_of(session, found, edition)
        revenue.agree_scheme(session, actor, run.now, made, found)
        return {"agreement": agreement_number, "edition": made.edition, "state": made.state}

    run.say(run.deed(login, act), "Edition {edition} of the scheme is {state}.")


@statement.command("draft")
@click.argument("agreement_number")
@click.option("--from", "from_on", required=True)
@click.option("--until", "until_on", required=True)
@click.option("--fact", "facts", multiple=True, metavar="NAME=YUAN", help="a cost the scheme names")
@as_member
@with_home
def statement_draft(
    run: Run, login: str, agreement_number: str, from_on: str, until_on: str, facts: tuple[str, ...]
) -> None:
    """Draft a period's statement (finance maker)."""
    given: dict[str, int] = {}
    for fact in facts:
        name, _, amount = fact.partition("=")
        given[name] = money.fen(amount, name)

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        made = revenue.draft(
            session, actor, run.now, agreements.by_number(session, agreement_number),
            from_on=day(from_on), until_on=day(until_on), facts=given,
        )  # fmt: skip
        return _statement_facts(made)

    answer = run.deed(login, act)
    run.say(answer, "Statement {number}: {amount_yuan} yuan are shared.")
    if not run.as_json:
        for line in answer["lines"]:
            click.echo(f"  {line['party']}  {line['label']}  {line['amount_yuan']}")


def _statement_facts(made: revenue.Statement) -> dict[str, Any]:
    return {
        "amount_yuan": money.yuan(made.amount_fen),
        "lines": [
            {
                "amount_yuan": money.yuan(line["amount_fen"]),
                "label": line[language()],
                "party": line["party"],
            }
            for line in made.lines
        ],
        "number": made.number,
        "state": made.state,
    }


@statement.command("propose")
@click.argument("number")
@as_member
@with_home
def statement_propose(run: Run, login: str, number: str) -> None:
    """Put your statement before the checker (finance maker)."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = revenue.by_number(session, number)
        revenue.propose(session, actor, run.now, found, run.home.config.origin)
        return {"number": number, "state": found.state}

    run.say(run.deed(login, act), "Statement {number} is proposed.")


@statement.command("request")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def statement_request(run: Run, login: str, number: str, output: Path) -> None:
    """Write what the checker takes to his own machine to sign (needs the node)."""
    request = approval_request(run, login, number)
    keys.write_durably(output, canonical(request))
    run.say(
        {"path": str(output)},
        "Take {path} to your own machine and run: shuzheng sign {path} --keystore YOUR-KEY.json",
    )


def approval_request(run: Run, login: str, number: str) -> dict[str, Any]:
    """The request a checker signs, with the nonce the contract expects of his key."""
    gateway = run.home.gateway()
    deployment = run.home.config.deployment
    with run.home.reading() as session:
        actor = parties.actor_by_login(session, login)
        parties.may(actor, "statement.approve")
        found = revenue.by_number(session, number)
        member = session.get_one(Member, actor.member_id)
        if member.signing_address is None:
            raise Invalid("{login} has no signing address.", login=login)
        nonce = gateway.call(
            "RevenueBook", deployment.contracts["RevenueBook"], "nonces", member.signing_address
        )
        deadline = int((run.now + timedelta(days=APPROVAL_DAYS)).timestamp())
        return revenue.approval_request(found, run.home.config.origin, deployment, nonce, deadline)


@main.command("sign")
@click.argument("path", metavar="REQUEST", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--keystore", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--home", "_folder", hidden=True, help="accepted like everywhere; signing needs none")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--passphrase-variable", default="SHUZHENG_KEY_PASSPHRASE", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def sign(
    path: Path,
    keystore: Path,
    output: Path,
    yes: bool,
    passphrase_variable: str,
    as_json: bool,
    _folder: str | None,
) -> None:
    """Sign an approval request with your own key, on your own machine; needs no network."""
    with refusals(as_json):
        request = parse(read_file(str(path), TEXT_BYTES_MAX), path.name)
        show_request(request)
        if not yes:
            click.confirm(tr("Sign this statement?"), abort=True, err=True)
        passphrase = os.environ.get(passphrase_variable)
        if not passphrase:
            raise NotAuthenticated("No passphrase: set {name}.", name=passphrase_variable)
        approval = revenue.sign_request(request, keys.open_keystore(keystore, passphrase))
        keys.write_durably(output, canonical(approval))
        if as_json:
            print_json({"address": approval["address"], "path": str(output)})
        else:
            click.echo(
                tr("Signed by {address}: {path}", address=approval["address"], path=str(output))
            )


def show_request(request: Any) -> None:
    """What the checker is about to sign, so that he sees it before he does."""
    try:
        document = request["statement"]
        lines = [
            (visible(str(x["party"])), visible(str(x[language()])), money.yuan(x["amount_fen"]))
            for x in document["lines"]
        ]
        head = {
            "amount": money.yuan(document["amount_fen"]), "number": visible(str(document["number"])),
            "start": visible(str(document["from_on"])), "until": visible(str(document["until_on"])),
        }  # fmt: skip
    except (KeyError, TypeError):
        raise Invalid("This is no approval request.") from None
    click.echo(tr("Statement {number}, {start} to {until}: {amount} yuan", **head), err=True)
    for line in lines:
        click.echo("  " + "  ".join(line), err=True)


@statement.command("approve")
@click.argument("number")
@click.option("--signature", required=True, type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def statement_approve(run: Run, login: str, number: str, signature: Path) -> None:
    """Hand in your signed approval (finance checker)."""
    approval = parse(read_file(str(signature), TEXT_BYTES_MAX), signature.name)
    check_on_chain(run, login, number, approval)

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        return approve_statement(run, session, actor, number, approval)

    run.say(
        run.deed(login, act),
        "Statement {number} is approved; it is booked once the approval is effective on chain.",
    )


def approve_statement(
    run: Run, session: Session, actor: Actor, number: str, approval: dict[str, Any]
) -> dict[str, Any]:
    """Approve with a signature; what the command answers."""
    found = revenue.by_number(session, number)
    settings = run.home.config
    revenue.approve(session, actor, run.now, found, approval, settings.origin, settings.deployment)
    return {"number": number, "state": found.state}


def check_on_chain(run: Run, login: str, number: str, approval: Any) -> None:
    """Raise Conflict now for what the contract would refuse later."""
    settings = run.home.config
    with run.home.reading() as session:
        actor = parties.actor_by_login(session, login)
        parties.may(actor, "statement.approve")
        found = revenue.by_number(session, number)
        parties.require_other(actor, [found.maker_id], f"statement {number}")
        address = session.get_one(Member, actor.member_id).signing_address
    if address is None or not isinstance(approval, dict):
        return  # the deed itself says what is wrong
    gateway, book = run.home.gateway(), settings.deployment.contracts["RevenueBook"]
    role = gateway.call("RevenueBook", book, "CHECKER_ROLE")
    if not gateway.call("RevenueBook", book, "hasRole", role, address):
        raise Conflict(
            "The contract does not know {address} as a checker: the administrator grants the role first.",
            address=address,
        )
    nonce = gateway.call("RevenueBook", book, "nonces", address)
    _, state, version = gateway.call(
        "RevenueBook", book, "verify", digest_key(settings.origin, found.id),
        bytes.fromhex(found.digest.removeprefix("sha256:")), bytes.fromhex(found.line_root),
    )  # fmt: skip
    if nonce != approval.get("nonce") or (found.state == "proposed" and version != 1):
        raise Conflict(
            "The chain is not where the signature says (nonce {nonce}, state {state}): let the worker "
            "finish, then request and sign anew.",
            nonce=nonce,
            state=state,
        )


@statement.command("reopen")
@click.argument("number")
@as_member
@with_home
def statement_reopen(run: Run, login: str, number: str) -> None:
    """Take back an approval that the chain refused, to have it approved anew (finance maker)."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = revenue.by_number(session, number)
        revenue.reopen(session, actor, run.now, found)
        return {"number": number, "state": found.state}

    run.say(run.deed(login, act), "Statement {number} is {state} again.")


@statement.command("reject")
@click.argument("number")
@click.option("--reason", required=True)
@as_member
@with_home
def statement_reject(run: Run, login: str, number: str, reason: str) -> None:
    """Send a statement back (finance checker)."""

    def act(session: Session, actor: Actor) -> dict[str, Any]:
        found = revenue.by_number(session, number)
        revenue.reject(session, actor, run.now, found, reason, run.home.config.origin)
        return {"number": number, "state": found.state}

    run.say(run.deed(login, act), "Statement {number} is rejected.")


@statement.command("show")
@click.argument("number")
@with_home
def statement_show(run: Run, number: str) -> None:
    """Show a statement as recorded (JSON)."""
    _ = run.home.config
    with run.home.reading() as session:
        print_json(revenue.by_number(session, number).body())


@statement.command("proof")
@click.argument("number")
@click.option("--party", "uscc", required=True, help="the payee's social credit code")
@with_home
def statement_proof(run: Run, number: str, uscc: str) -> None:
    """A payee's proof of his own lines (JSON); it reveals no other's."""
    _ = run.home.config
    with run.home.reading() as session:
        found = revenue.by_number(session, number)
        key = digest_key(run.home.config.origin, found.id)
        print_json({"lines": revenue.line_proofs(found, uscc), "statement_key": "0x" + key.hex()})
