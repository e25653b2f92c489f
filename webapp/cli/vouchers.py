"""Vouchers on the command line: their whole life, motions, authorised uses, what is handed out."""

from pathlib import Path

import click

from ledger.chain import keys
from ledger.vouchers import VERBS
from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, read_document, renamed, verb, with_home
from webapp.deeds import Question
from webapp.deeds.all import alarms, authorisations, circulation, proofs, vouchers

REASON = click.option("--reason", required=True, help="the ground, as stated in the record")
ADDRESS = click.option("--holder-address", required=True, help="the holder's own chain address")
AS = click.option("--as", "login", help="what this member sees; else what the house does")


@main.group()
def voucher() -> None:
    """Data asset vouchers 数据资产凭证."""


@main.group()
def motion() -> None:
    """Motions on vouchers, decided by a second registrar 双人复核."""


@main.group()
def authorisation() -> None:
    """Authorised uses, by consent of the data subject 授权使用."""


@main.group()
def use() -> None:
    """Uses counted under an authorised-use voucher 使用计次."""


def _shown(group: click.Group, name: str, question: Question, help_text: str, part: str) -> None:
    """A command that shows what a question answers about a number, or a part of it."""

    @group.command(name, help=help_text)
    @click.argument("number")
    @AS
    @with_home
    def command(run: Run, number: str, login: str | None) -> None:
        found = run.ask(question, login, **{question.keys[-1]: number})
        print_json(found[part] if part else found)


def _listed(group: click.Group, question: Question, help_text: str) -> None:
    @group.command("list", help=help_text)
    @click.option("--state", default="", help="only those in this state")
    @AS
    @with_home
    def command(run: Run, login: str | None, state: str) -> None:
        query = {"limit": "200", **({"state": state} if state else {})}
        print_json(run.ask(question, login, query))


@voucher.command("issue")
@click.argument("code")
@click.option("--holder-address", required=True, help="the holder's own chain address")
@as_member
@with_home
def voucher_issue(run: Run, login: str, code: str, holder_address: str) -> None:
    """Issue the voucher of a registration (registrar)."""
    body = {"holder_address": holder_address}
    run.say(run.do(circulation.issue, login, body, registration_code=code), circulation.issue.says)


@voucher.command("change")
@click.argument("verb", type=click.Choice(VERBS))
@click.argument("number")
@click.option("--reason", required=True)
@click.option("--basis", default="", help="the law or decision a freeze rests on")
@as_member
@with_home
def voucher_change(run: Run, login: str, verb: str, number: str, reason: str, basis: str) -> None:
    """Suspend, resume, revoke, cancel (registrar), freeze or unfreeze (regulator) a voucher."""
    deed = circulation.CHANGES[verb]
    body = {"reason": reason, **({"basis": basis} if basis else {})}
    run.say(run.do(deed, login, body, voucher_number=number), deed.says)


def _on_all(verb: str, help_text: str) -> None:
    @voucher.command(f"{verb}-all", help=help_text)
    @click.argument("code")
    @click.option("--basis", required=True, help="the law or decision it rests on")
    @click.option("--reason", required=True)
    @as_member
    @with_home
    def command(run: Run, login: str, code: str, **body: str) -> None:
        deed = alarms.FREEZES[verb]
        run.say(run.do(deed, login, body, registration_code=code), deed.says)


_on_all("freeze", "Freeze all vouchers of a registration (regulator).")
_on_all("unfreeze", "Unfreeze all vouchers of a registration (regulator).")


@voucher.command("bundle")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--withhold", is_flag=True, help="do not disclose the withheld fields")
@with_home
def voucher_bundle(run: Run, number: str, output: Path, withhold: bool) -> None:
    """Write the proof bundle of an effective, anchored voucher (FILE.json or FILE.tlog-proof)."""
    if output.suffix == ".tlog-proof":
        file = run.ask(proofs.tlog_proof, voucher_number=number)
    else:
        file = run.ask(proofs.bundle, query={"withhold": withhold}, voucher_number=number)
    keys.write_durably(output, file.content)
    run.say({"number": number, "path": str(output)}, "The bundle of {number} is {path}.")


@voucher.command("pdf")
@click.argument("number")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--withhold", is_flag=True, help="do not disclose the withheld fields")
@with_home
def voucher_pdf(run: Run, number: str, output: Path, withhold: bool) -> None:
    """Print an effective, anchored voucher (PDF/A with QR code and the bundle attached)."""
    file = run.ask(proofs.voucher_pdf, query={"withhold": withhold}, voucher_number=number)
    keys.write_durably(output, file.content)
    run.say({"number": number, "path": str(output)}, "The printed voucher {number} is {path}.")


@voucher.command("show")
@click.argument("number")
@with_home
def voucher_show(run: Run, number: str) -> None:
    """Show a voucher: its state, its ladder, its history (JSON)."""
    found = run.ask(circulation.show_voucher, voucher_number=number)
    print_json({"history": found.pop("history"), "voucher": found})


verb(voucher, "renew", vouchers.renew,
      "Prolong a voucher as its registration was prolonged (registrar).", REASON)  # fmt: skip
verb(voucher, "supersede", vouchers.supersede,
      "Put a new voucher of the registration's present facts in its place (registrar).",
      REASON)  # fmt: skip
verb(voucher, "release", vouchers.release, "Note that a pledge has ended (registrar).", REASON)
verb(voucher, "replace-key", vouchers.replace_key,
      "Put another address of the same holder in place of a lost key's (registrar).", ADDRESS,
      REASON)  # fmt: skip
verb(voucher, "transfer", vouchers.transfer,
      "Propose a transfer to the subject of the registration; another registrar decides.", ADDRESS,
      REASON)  # fmt: skip
verb(voucher, "split", vouchers.split,
      "Propose one voucher for each right in its place; another registrar decides.",
      REASON)  # fmt: skip
verb(voucher, "pledge", vouchers.pledge, "Propose a pledge; another registrar decides.",
      click.option("--pledgee", required=True, help="its social credit code"), REASON)  # fmt: skip

verb(motion, "confirm", vouchers.confirm, "Confirm a motion, and do it (another registrar).")
verb(motion, "reject", vouchers.reject, "Reject a motion (another registrar).", REASON)
_listed(motion, vouchers.list_motions, "List the motions (JSON).")


@authorisation.command("request")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def authorisation_request(run: Run, login: str, path: Path) -> None:
    """Ask a data subject for an authorised use (provider, or operator).

    FILE: registration subject provider user user_address scene purpose from until max_uses.
    """
    body = renamed(read_document(path), **{"from": "from_on", "until": "until_on"})
    deed = authorisations.request
    run.say(run.do(deed, login, body, once=True), deed.says)


verb(authorisation, "consent", authorisations.consent, "Consent (the data subject).")
verb(authorisation, "refuse", authorisations.refuse, "Refuse consent (the data subject).")
verb(authorisation, "issue", authorisations.issue,
      "Issue the voucher of what was consented to (registrar).")  # fmt: skip
verb(authorisation, "withdraw", authorisations.withdraw,
      "Withdraw the consent; the voucher ends with it (the data subject).")  # fmt: skip
verb(
    authorisation, "end", authorisations.end, "End the authorised use (provider, or user).", REASON
)
_listed(authorisation, authorisations.list_authorisations, "List authorised uses (JSON).")
_shown(authorisation, "show", authorisations.show, "Show an authorised use (JSON).", "")

verb(use, "count", authorisations.count, "Count uses under the voucher with a number (provider).",
      click.option("--scene", required=True, help="as it stands in the voucher"),
      click.option("--count", type=int, default=1, show_default=True),
      click.option("--reference", required=True, help="your own; the same again counts once"))  # fmt: skip
_shown(use, "list", authorisations.show,
       "List the newest uses counted under the authorisation with a number (JSON).", "uses")  # fmt: skip
