"""Distribution: schemes, statements, questions on them, and the checker's own signature."""

import os
from pathlib import Path
from typing import Any

import click

from ledger import agreements, approvals, schemes
from ledger.chain import keys
from ledger.errors import Invalid, NotAuthenticated
from ledger.proof.encoding import canonical, parse
from ledger.proof.report import visible
from ledger.proof.verify import read_file
from valuation import money, sentences, sharing
from valuation import schemes as scheme_language
from webapp.cli import main
from webapp.cli.figures import hand_out_shares
from webapp.cli.run import (
    TEXT_BYTES_MAX,
    Run,
    as_member,
    print_json,
    read_document,
    refusals,
    verb,
    with_home,
)
from webapp.deeds.all import circulation, distribution
from webapp.documents import write_scheme
from webapp.language import language, tr


@main.group()
def scheme() -> None:
    """Revenue schemes 收益分配方案."""


@main.group()
def statement() -> None:
    """Revenue statements 收益分配单."""


@main.group()
def inquiry() -> None:
    """Questions on a statement's lines 质询."""


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
    body = {"document": read_document(path), "effective_from": effective_from}
    deed = distribution.propose_scheme
    run.say(run.do(deed, login, body, agreement_number=agreement_number), deed.says)


@scheme.command("show")
@click.argument("agreement_number")
@click.option("--edition", type=int, help="the newest if not given")
@with_home
def scheme_show(run: Run, agreement_number: str, edition: int | None) -> None:
    """Show a scheme as proposed or agreed (JSON)."""
    found = run.ask(distribution.show_scheme, scheme_id=scheme_id(run, agreement_number, edition))
    print_json(found)


def scheme_id(run: Run, agreement_number: str, edition: int | None = None) -> str:
    """The id of an edition of an agreement's scheme; the newest if none is named."""
    _ = run.home.config
    with run.home.reading() as session:
        found = agreements.by_number(session, agreement_number)
        return schemes.scheme_of(session, found, edition).id


@scheme.command("explain")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yaml", "as_yaml", is_flag=True, help="the scheme itself, in the house's order")
@click.option("--json", "as_json", is_flag=True)
def scheme_explain(path: Path, as_yaml: bool, as_json: bool) -> None:
    """Check a scheme and say it in plain sentences; FILE: a scheme, or what share reads. Needs no home."""
    with refusals(as_json):
        document = read_document(path)
        known = scheme_language.check(document.get("scheme", document))
        told = sentences.explain(known)
        if as_json:
            print_json([{"en": one.en, "place": one.place, "zh": one.zh} for one in told])
        elif as_yaml:
            click.echo(write_scheme(known), nl=False)
        else:
            click.echo(known["name"][language()])
            for one in told:
                said = one.zh if language() == "zh" else one.en
                click.echo(f"{'   ' * one.depth}{one.place}. {said}")


@scheme.command("try")
@click.argument("agreement_number")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--amount", "amount_yuan", help="yuan; the last statement's if not given")
@click.option("--fact", "facts", multiple=True, metavar="NAME=YUAN or NAME=FILE",
              help="a fact that the last statement lacks, or another one")  # fmt: skip
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help=".json, .xlsx or .svg")  # fmt: skip
@as_member
@with_home
def scheme_try(
    run: Run, login: str, agreement_number: str, path: Path, amount_yuan: str | None,
    facts: tuple[str, ...], output: Path | None,
) -> None:  # fmt: skip
    """Try a scheme on the last statement's numbers, beside the scheme in force; nothing is kept."""
    query: dict[str, Any] = {"document": read_document(path), "facts": given_facts(facts)}
    if amount_yuan is not None:
        query["amount_yuan"] = amount_yuan
    found = run.ask(distribution.try_scheme, login, query, agreement_number=agreement_number)
    if output is not None:
        hand_out_shares(sharing.recompute_distribution(found["tried"]), output, found)
    if run.as_json:
        print_json(found)
        return
    for one in found["differences"]:
        before, after, change = (
            money.yuan(one[key]) for key in ("before_fen", "after_fen", "change_fen")
        )
        click.echo(f"  {one['party']}  {before} → {after}  ({change})")


def given_facts(facts: tuple[str, ...]) -> dict[str, Any]:
    """Facts as options give them: an amount in yuan, or the file of a document."""
    given: dict[str, Any] = {}
    for fact in facts:
        name, _, value = fact.partition("=")
        given[name] = value if name.endswith("_fen") else read_document(Path(value))
    return given


@scheme.command("agree")
@click.argument("agreement_number")
@click.option("--edition", type=int, required=True, help="the edition you read (scheme show)")
@as_member
@with_home
def scheme_agree(run: Run, login: str, agreement_number: str, edition: int) -> None:
    """Agree to an edition of the scheme for the implementing body (provider)."""
    deed = distribution.agree_scheme
    found = scheme_id(run, agreement_number, edition)
    run.say(run.do(deed, login, scheme_id=found), deed.says)


@statement.command("draft")
@click.argument("agreement_number")
@click.option("--from", "from_on", required=True)
@click.option("--until", "until_on", required=True)
@click.option(
    "--fact",
    "facts",
    multiple=True,
    metavar="NAME=YUAN",
    help="a cost or sum the scheme names; NAME=FILE for a contribution document",
)
@as_member
@with_home
def statement_draft(
    run: Run, login: str, agreement_number: str, from_on: str, until_on: str, facts: tuple[str, ...]
) -> None:
    """Draft a period's statement (finance maker)."""
    body = {"facts": given_facts(facts), "from_on": from_on, "until_on": until_on}
    deed = distribution.draft_statement
    answer = run.do(deed, login, body, agreement_number=agreement_number)
    run.say(answer, deed.says)
    if not run.as_json:
        for line in answer["lines"]:
            click.echo(f"  {line['party']}  {line[language()]}  {line['amount_yuan']}")


@statement.command("request")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def statement_request(run: Run, login: str, number: str, output: Path) -> None:
    """Write what the checker takes to his own machine to sign (needs the node)."""
    request = run.ask(distribution.approval_request, login, statement_number=number)
    keys.write_durably(output, canonical(request))
    run.say(
        {"path": str(output)},
        "Take {path} to your own machine and run: shuzheng sign {path} --keystore YOUR-KEY.json",
    )


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
        approval = approvals.sign(request, keys.open_keystore(keystore, passphrase))
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
        message = request["typed_data"]["message"]
        order = {"n": int(message["version"]), "needed": int(message["approvalsRequired"])}
    except (KeyError, TypeError, ValueError):
        raise Invalid("This is no approval request.") from None
    click.echo(tr("Statement {number}, {start} to {until}: {amount} yuan", **head), err=True)
    if "reverses" in document:
        click.echo(tr("It takes another statement back."), err=True)
    click.echo(tr("Signature {n} of {needed}", **order), err=True)
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
    deed = distribution.approve_statement
    run.say(run.do(deed, login, {"approval": approval}, statement_number=number), deed.says)


verb(statement, "propose", distribution.propose_statement,
                "Put your statement before the checker (finance maker).")  # fmt: skip
verb(statement, "reopen", distribution.reopen_statement,
                "Take back an approval that the chain refused, to have it approved anew (finance "
                "maker).")  # fmt: skip
verb(statement, "reject", distribution.reject_statement, "Send a statement back (finance checker).",
                click.option("--reason", required=True))  # fmt: skip


verb(statement, "reverse", distribution.reverse_statement,
                "Draft the statement that takes a posted one back (finance maker).",
                click.option("--reason", required=True))  # fmt: skip


@statement.command("correct")
@click.argument("number")
@click.option(
    "--fact", "facts", multiple=True, metavar="NAME=YUAN", help="all that the scheme names"
)
@click.option("--reason", required=True)
@as_member
@with_home
def statement_correct(
    run: Run, login: str, number: str, facts: tuple[str, ...], reason: str
) -> None:
    """Replace the facts of your draft, or of a statement sent back, and compute it anew (finance maker)."""
    deed, body = distribution.correct_statement, {"facts": given_facts(facts), "reason": reason}
    run.say(run.do(deed, login, body, statement_number=number), deed.says)


@statement.command("show")
@click.argument("number")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False),
              help=".pdf, .xlsx or .json")  # fmt: skip
@with_home
def statement_show(run: Run, number: str, output: Path | None) -> None:
    """Show a statement as recorded (JSON), or write it as PDF or XLSX."""
    asked = {"statement_number": number}
    suffix = output.suffix if output else ".json"
    if suffix not in (".json", ".pdf", ".xlsx"):
        raise Invalid("Write to a file that ends in .json, .pdf or .xlsx.")
    if suffix == ".json":
        found = run.ask(distribution.show_statement, **asked)
        content = canonical(found)
    else:
        question = distribution.statement_pdf if suffix == ".pdf" else distribution.statement_xlsx
        content = run.ask(question, **asked).content
    if output is None:
        print_json(found)
        return
    keys.write_durably(output, content)
    run.say({"path": str(output)}, "Written: {path}")


@statement.command("proof")
@click.argument("number")
@click.option("--party", "uscc", required=True, help="the payee's social credit code")
@click.option("-o", "--output", required=True, metavar="FILE.json",
              type=click.Path(path_type=Path, dir_okay=False))  # fmt: skip
@with_home
def statement_proof(run: Run, number: str, uscc: str, output: Path) -> None:
    """Write a payee's proof of his own lines; it reveals no other's (check it: shuzheng verify)."""
    file = run.ask(circulation.line_proof, statement_number=number, uscc=uscc)
    output.write_bytes(file.content)
    run.say({"path": str(output)}, "{path} written.")


@inquiry.command("raise")
@click.argument("number")
@click.option("--line", required=True, type=int, help="as the statement counts them, from 1")
@click.option("--question", required=True)
@as_member
@with_home
def inquiry_raise(run: Run, login: str, number: str, line: int, question: str) -> None:
    """Ask about a line of a statement that is not approved yet (a payee, a side of the agreement)."""
    deed, body = distribution.ask, {"line": line, "question": question}
    run.say(run.do(deed, login, body, once=True, statement_number=number), deed.says)


verb(inquiry, "answer", distribution.answer, "Answer a question on your statement (finance maker).",
                click.option("--answer", required=True))  # fmt: skip
verb(inquiry, "insist", distribution.insist, "Let your question stand: the answer does not satisfy.",
                click.option("--reason", required=True))  # fmt: skip
verb(inquiry, "close", distribution.close, "Close your question.")
verb(inquiry, "withdraw", distribution.withdraw, "Take your question back.")


@inquiry.command("show")
@click.argument("number")
@with_home
def inquiry_show(run: Run, number: str) -> None:
    """Show a question as recorded (JSON)."""
    print_json(run.ask(distribution.show_inquiry, inquiry_number=number))
