"""The verbs about what is registered, and about objections."""

from pathlib import Path

import click

from ledger.registration_changes import VERBS
from webapp.cli import main
from webapp.cli.run import Run, as_member, print_json, read_document, verb, with_home
from webapp.deeds import DEEDS
from webapp.deeds.all import field, objections
from webapp.deeds.all import register as deeds


@main.group()
def registration() -> None:
    """Registrations 登记."""


@registration.command("apply")
@click.argument("type_", metavar="TYPE", type=click.Choice(list(VERBS)))
@click.argument("code")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@as_member
@with_home
def registration_apply(run: Run, login: str, type_: str, code: str, path: Path) -> None:
    """Apply for something about a registration; FILE: statement proof and what the type needs."""
    deed = DEEDS[f"application.{VERBS[type_]}"]
    run.say(run.do(deed, login, read_document(path), registration_code=code), deed.says)


_FINDING = click.option("--finding", required=True, help="what was found")
_GROUND = click.option("--ground", required=True, help="the ground by the rules")
verb(registration, "inquire", deeds.inquire, "Begin an inquiry (核实), as a registrar.",
                   click.option("--reason", required=True))  # fmt: skip
verb(registration, "clear", deeds.clear, "Nothing was found; another registrar.", _FINDING)
verb(registration, "revoke", deeds.revoke, "Revoke (撤销) after an inquiry; another registrar.",
                   _GROUND, _FINDING)  # fmt: skip
verb(registration, "cancel", deeds.end, "Cancel (注销) after an inquiry; another registrar.",
                   _GROUND, _FINDING)  # fmt: skip
verb(registration, "lift", deeds.lift, "Lift a registered objection.",
                   click.option("--application", required=True), _FINDING)  # fmt: skip


@registration.command("show")
@click.argument("code")
@with_home
def registration_show(run: Run, code: str) -> None:
    """Show a registration as recorded (JSON)."""
    print_json(run.ask(field.show_registration, registration_code=code))


@main.group()
def objection() -> None:
    """Objections 异议 to what is on public notice."""


@objection.command("raise")
@click.argument("number", metavar="APPLICATION")
@click.option("--real-name", required=True, help="as it is known here; it is not published")
@click.option("--claim", required=True)
@click.option("--evidence", required=True)
@as_member
@with_home
def objection_raise(run: Run, login: str, number: str, **body: str) -> None:
    """Object to an application on public notice, under your real name."""
    deed = objections.raise_
    run.say(run.do(deed, login, body, application_number=number), deed.says)


verb(objection, "uphold", objections.uphold, "Uphold (成立): the application is terminated.",
     _FINDING)  # fmt: skip
verb(objection, "dismiss", objections.dismiss, "Dismiss (不成立): the notice goes on.", _FINDING)
verb(objection, "withdraw", objections.withdraw, "Take it back.",
                click.option("--reason", required=True))  # fmt: skip
