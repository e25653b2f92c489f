"""Duties to bring the catalogue up to date, on the command line."""

from typing import Any

import click

from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, with_home
from webapp.deeds.all import duties
from webapp.language import tr


@main.group()
def duty() -> None:
    """Duties to change the catalogue 目录更新事项."""


@duty.command("report")
@click.option("--department", default="", help="its social credit code; without it, your own")
@click.option("--cause", required=True, type=click.Choice(list(duties.CAUSES)))
@click.option("--on", "cause_on", required=True, metavar="DAY", help="the day of the cause")
@click.option("--what", "description", required=True, help="what has to change")
@click.option("--resource", default="", help="its catalogue code, if it is about one")
@as_member
@with_home
def duty_report(run: Run, login: str, **body: Any) -> None:
    """Report a cause to change the catalogue; the change is due ten working days after it."""
    run.say(run.do(duties.report, login, body), duties.report.says)


@duty.command("settle")
@click.argument("number")
@click.option("--resource", default="", help="the code of the resource that was changed")
@click.option("--change-set", default="", metavar="ID", help="the id of an import that was applied")
@click.option("--not-needed", default="", metavar="WHY", help="why no change is needed")
@as_member
@with_home
def duty_settle(run: Run, login: str, number: str, **body: Any) -> None:
    """Settle a duty by the change that was made, or by why none is needed (provider)."""
    run.say(run.do(duties.settle, login, body, duty_number=number), duties.settle.says)


@duty.command("confirm")
@click.argument("number")
@as_member
@with_home
def duty_confirm(run: Run, login: str, number: str) -> None:
    """Confirm that a duty is settled (registrar)."""
    run.say(run.do(duties.confirm, login, duty_number=number), duties.confirm.says)


@duty.command("reopen")
@click.argument("number")
@click.option("--reason", required=True, help="why it is not settled")
@as_member
@with_home
def duty_reopen(run: Run, login: str, number: str, reason: str) -> None:
    """Open a duty again that is not settled (registrar)."""
    run.say(
        run.do(duties.reopen, login, {"reason": reason}, duty_number=number), duties.reopen.says
    )


@duty.command("list")
@click.option("--state", default="", help="open, settled or confirmed")
@with_home
def duty_list(run: Run, state: str) -> None:
    """List the duties, the newest first."""
    found = run.ask(duties.list_duties, None, {"state": state, "limit": 200})
    if run.as_json:
        print_json(found)
        return
    for one in found["items"]:
        click.echo(tr("{number}  {state}, due on {day}: {about}", number=one["number"],
                      state=one["state"], day=one["due"]["on"], about=one["description"]))  # fmt: skip


def print_overdue(run: Run, department: str) -> None:
    """What is overdue of the catalogue, by department."""
    found = run.ask(duties.show_overdue, None, {"department": department})
    if run.as_json:
        print_json(found)
        return
    if not found["items"]:
        click.echo(tr("Nothing is overdue."))
    for one in found["items"]:
        click.echo(tr(
            "{name}: {duties} duties past due, data of {resources} resources past their cycle",
            name=one["name"], duties=one["duties"], resources=one["resources"],
        ))  # fmt: skip
        for item in one["items"]:
            late = tr("{days} working days late", days=item["days_late"])
            click.echo(f"  {item['number']}  {item['due_on']}  {late}  {item['title']}")
