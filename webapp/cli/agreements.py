"""The verbs of operation agreements, from proposal to hand-back, and of their yearly evaluation."""

from pathlib import Path
from typing import Any

import click

from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, read_document, renamed, verb, with_home
from webapp.deeds import Question
from webapp.deeds.all import agreements

REASON = click.option("--reason", required=True, help="the ground, as told to those concerned")
FILE = click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
AS = click.option("--as", "login", help="what this member sees; else what the house does")


@main.group()
def agreement() -> None:
    """Operation agreements 授权运营协议."""


@main.group()
def evaluation() -> None:
    """Yearly evaluation of operation agreements 年度评价."""


@agreement.command("propose")
@FILE
@as_member
@with_home
def agreement_propose(run: Run, login: str, path: Path) -> None:
    """Propose an agreement (operator).

    FILE: title mode implementer resources from until elements [scenes domains price_cap_yuan renews].
    """
    body = renamed(read_document(path), **{"from": "from_on", "until": "until_on"})
    run.say(run.do(agreements.propose, login, body, once=True), agreements.propose.says)


def _shown(group: click.Group, question: Question, help_text: str) -> None:
    @group.command("show", help=help_text)
    @click.argument("number")
    @AS
    @with_home
    def command(run: Run, number: str, login: str | None) -> None:
        print_json(run.ask(question, login, **{question.keys[-1]: number}))


def _listed(
    group: click.Group, name: str, question: Question, help_text: str, query: Any = None
) -> None:
    @group.command(name, help=help_text)
    @AS
    @with_home
    def command(run: Run, login: str | None) -> None:
        print_json(run.ask(question, login, query or {}))


verb(agreement, "sign", agreements.sign, "Sign an agreement for the implementing body (provider).")
verb(agreement, "consent", agreements.consent,
      "Consent to the use of your body's data (provider).",
      click.option("--basis", required=True, help="the document by which it was given"))  # fmt: skip
verb(agreement, "withdraw", agreements.withdraw, "Withdraw a proposal (operator).", REASON)
verb(agreement, "decline", agreements.decline, "Decline to sign (provider).", REASON)
verb(agreement, "propose-end", agreements.propose_end, "Propose an early end (either side).",
      click.option("--kind", required=True, type=click.Choice(list(agreements.END_KINDS))),
      click.option("--ground", required=True))  # fmt: skip
verb(agreement, "end", agreements.end, "Confirm the early end (another person).")
verb(agreement, "keep", agreements.keep, "Do not end the agreement.", REASON)
verb(agreement, "hand-back", agreements.hand_back,
      "Report the hand-back (operator); FILE: resources platform products accounts personal_data.",
      FILE)  # fmt: skip
verb(agreement, "confirm-hand-back", agreements.confirm_hand_back,
      "Confirm that all is handed back (provider).")  # fmt: skip
verb(agreement, "reopen-hand-back", agreements.reopen_hand_back,
      "Open the hand-back again (provider).", REASON)  # fmt: skip
verb(agreement, "evaluate", agreements.evaluate,
      "Evaluate the oldest year that waits (provider); "
      "FILE: verdict findings [score mend mend_by_on].", FILE)  # fmt: skip
_shown(agreement, agreements.show, "Show an agreement (JSON).")
_listed(agreement, "list", agreements.list_agreements, "List agreements (JSON).", {"limit": "200"})
_listed(agreement, "disclosed", agreements.disclosures,
        "List the agreements in force as everybody is told (JSON).", {"limit": "200"})  # fmt: skip
verb(evaluation, "comment", agreements.comment, "Comment on an evaluation (operator).",
      click.option("--comment", required=True))  # fmt: skip
_shown(evaluation, agreements.show_evaluation, "Show an evaluation (JSON).")
_listed(evaluation, "list", agreements.list_evaluations, "List evaluations (JSON).",
        {"limit": "200"})  # fmt: skip
_listed(evaluation, "due", agreements.evaluations_due,
        "List the years that wait for their evaluation (JSON).")  # fmt: skip
