"""The verbs of the three lists 三张清单 and of feedback."""

from pathlib import Path

import click

from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, read_document, verb, with_home
from webapp.deeds import Deed, Question
from webapp.deeds.all import demands, exclusions, feedback, responsibilities

REASON = click.option("--reason", required=True, help="the ground, as told to those concerned")
FILE = click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))


@main.group()
def demand() -> None:
    """Demands for data 需求清单."""


@main.group()
def exclusion() -> None:
    """The negative list 负面清单."""


@main.group("feedback")
def feedback_() -> None:
    """Objections and quality feedback 异议与反馈."""


def _made(group: click.Group, name: str, deed: Deed, help_text: str) -> None:
    """A command that makes a subject from a document."""

    @group.command(name, help=help_text)
    @FILE
    @as_member
    @with_home
    def command(run: Run, login: str, path: Path) -> None:
        run.say(run.do(deed, login, read_document(path), once=True), deed.says)


def _shown(group: click.Group, name: str, question: Question, help_text: str) -> None:
    """A command that shows what a question answers about a number, to a member or at the console."""

    @group.command(name, help=help_text)
    @click.argument("number")
    @click.option("--as", "login", help="as this member sees it; else as the house does")
    @with_home
    def command(run: Run, number: str, login: str | None) -> None:
        print_json(run.ask(question, login, **{question.keys[-1]: number}))


def _listed(group: click.Group, question: Question, help_text: str) -> None:
    @group.command("list", help=help_text)
    @click.option("--state", default="", help="only those in this state")
    @click.option("--words", default="", help="only those in which these words stand")
    @click.option("--as", "login", help="what this member sees; else what the house does")
    @with_home
    def command(run: Run, login: str | None, **asked: str) -> None:
        query = {"limit": "200", **{name: value for name, value in asked.items() if value}}
        print_json(run.ask(question, login, query))


_made(demand, "submit", demands.submit,
      "Submit a demand; FILE: title purpose items use basis [cycle resource for_name].")  # fmt: skip
verb(demand, "assign", demands.assign, "Name the department that has to answer (registrar).",
      click.option("--department", required=True, help="its social credit code"))  # fmt: skip
verb(demand, "accept", demands.accept, "Accept a demand for the department (受理).",
      click.option("--resource", required=True, help="the catalogue code of what is supplied"),
      click.option("--mode", required=True, type=click.Choice(list(demands.MODES))),
      click.option("--by", "by_on", required=True, help="the day, 2026-01-31"))  # fmt: skip
verb(demand, "refuse", demands.refuse, "Refuse a demand for the department (不予受理).",
      click.option("--ground", required=True),
      click.option("--exclusion", help="the entry of the negative list that forbids it"))  # fmt: skip
verb(demand, "fulfil", demands.fulfil, "Say how the data were supplied.",
      click.option("--how", required=True), click.option("--resource"),
      click.option("--mode", type=click.Choice(list(demands.MODES))))  # fmt: skip
verb(demand, "close", demands.close, "Close a demand (its demander).")
verb(demand, "appeal", demands.appeal, "Appeal against the answer (its demander).", REASON)
verb(demand, "uphold", demands.uphold, "Uphold the appeal (another registrar).", REASON)
verb(demand, "dismiss", demands.dismiss, "Dismiss the appeal (another registrar).", REASON)
verb(demand, "withdraw", demands.withdraw, "Withdraw a demand (its demander).", REASON)
_shown(demand, "show", demands.show, "Show a demand (JSON).")
_shown(
    demand,
    "matches",
    demands.show_matches,
    "Show the resources that may answer it, and why (JSON).",
)
_listed(demand, demands.list_demands, "List demands (JSON).")

_made(exclusion, "propose", exclusions.propose,
      "Propose an entry; FILE: title forbids basis from_on review_on [resource].")  # fmt: skip
verb(exclusion, "approve", exclusions.approve, "Put an entry in force (another person, registrar).")
verb(exclusion, "reject", exclusions.reject, "Reject an entry (registrar).", REASON)
verb(exclusion, "end", exclusions.end, "End an entry in force (registrar).", REASON)
_shown(exclusion, "show", exclusions.show, "Show an entry (JSON).")
_listed(exclusion, exclusions.list_exclusions, "List the entries (JSON).")


@feedback_.command("raise")
@click.argument("code")
@click.option("--kind", required=True, type=click.Choice(list(feedback.KINDS)))
@click.option(
    "--about", default="data_quality", show_default=True, type=click.Choice(list(feedback.ABOUT))
)
@click.option("--item", default="", help="the data item, where it is about one")
@click.option("--description", required=True)
@as_member
@with_home
def feedback_raise(run: Run, login: str, code: str, **body: str) -> None:
    """Raise an objection or feedback on the resource with a catalogue code."""
    deed = feedback.raise_
    run.say(run.do(deed, login, body, resource_code=code), deed.says)


verb(feedback_, "answer", feedback.answer,
     "Answer feedback (the department, or the registrar without one).",
      click.option("--verdict", required=True, type=click.Choice(list(feedback.VERDICTS))),
      click.option("--text", required=True),
      click.option("--version", type=int, help="of the resource, where it was corrected"))  # fmt: skip
verb(feedback_, "close", feedback.close, "Close feedback (who raised it).")
verb(feedback_, "appeal", feedback.appeal, "Appeal against the answer (who raised it).", REASON)
verb(feedback_, "uphold", feedback.uphold, "Uphold the appeal (registrar).", REASON)
verb(feedback_, "dismiss", feedback.dismiss, "Dismiss the appeal (registrar).", REASON)
verb(feedback_, "withdraw", feedback.withdraw, "Withdraw feedback (who raised it).", REASON)
_shown(feedback_, "show", feedback.show, "Show feedback (JSON).")
_listed(feedback_, feedback.list_feedback, "List feedback (JSON).")


@main.command("responsibilities")
@click.option("--as", "login", help="what this member sees; else what the house does")
@click.option("-o", "out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="as a table instead: .csv or .xlsx")  # fmt: skip
@with_home
def responsibility_list(run: Run, login: str | None, out: Path | None) -> None:
    """Show what each department answers for, and what of it is late 责任清单."""
    if out is None:
        print_json(run.ask(responsibilities.show, login))
        return
    table = responsibilities.as_xlsx if out.suffix == ".xlsx" else responsibilities.as_csv
    out.write_bytes(run.ask(table, login).content)
