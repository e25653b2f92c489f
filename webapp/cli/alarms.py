"""Alarms of supervision, on the command line."""

import click

from ledger.errors import fill
from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, with_home
from webapp.deeds import Deed
from webapp.deeds.all import alarms as deeds
from webapp.language import tr, translate
from webapp.wording import word


@main.command("alarms")
@click.option("--kind", default="", type=click.Choice(["", *deeds.KINDS]), help="only of this kind")
@click.option(
    "--state", default="", type=click.Choice(["", *deeds.STATES]), help="only in this state"
)
@click.option("--as", "login", help="what this member sees; else what the house does")
@with_home
def alarms(run: Run, login: str | None, **asked: str) -> None:
    """List the alarms of supervision 预警, the newest first."""
    query = {"limit": "200", **{name: value for name, value in asked.items() if value}}
    found = run.ask(deeds.list_alarms, login, query)
    if run.as_json:
        print_json(found)
        return
    for one in found["items"]:
        shown = run.ask(deeds.show, login, alarm_number=one["number"])
        told = fill(translate(shown["template"]), shown["facts"])
        title, state = tr(deeds.KINDS[shown["kind"]]), word(shown["state"])
        click.echo(f"{one['number']}  {title}  {state}  {told}")
    if not found["items"]:
        click.echo(tr("There are no alarms."))


@main.group()
def alarm() -> None:
    """An alarm of supervision: show, explain, close, reopen."""


@alarm.command("show")
@click.argument("number")
@click.option("--as", "login", help="as this member sees it; else as the house does")
@with_home
def alarm_show(run: Run, number: str, login: str | None) -> None:
    """Show an alarm (JSON)."""
    print_json(run.ask(deeds.show, login, alarm_number=number))


@alarm.command("explain")
@click.argument("number")
@click.option("--text", required=True, help="how it came about and what was done")
@as_member
@with_home
def alarm_explain(run: Run, login: str, number: str, text: str) -> None:
    """Explain an alarm (who has to answer)."""
    run.say(run.do(deeds.explain, login, {"text": text}, alarm_number=number), deeds.explain.says)


def _decision(deed: Deed, help_text: str) -> None:
    @alarm.command(deed.move, help=help_text)
    @click.argument("number")
    @click.option("--reason", required=True)
    @as_member
    @with_home
    def command(run: Run, login: str, number: str, reason: str) -> None:
        run.say(run.do(deed, login, {"reason": reason}, alarm_number=number), deed.says)


_decision(deeds.close, "Close an alarm that was explained (regulator).")
_decision(deeds.reopen, "Ask for another explanation (regulator).")
