"""Deadlines and messages on the command line: counting anew, and handing on to who delivers."""

import sys

import click
from sqlalchemy import select

from ledger import deadlines as terms
from ledger import messages as ledger_messages
from ledger.messages import DELIVERED_AT_ONCE, Message
from ledger.proof.encoding import canonical
from webapp.cli import main
from webapp.cli.run import Run, with_home
from webapp.deeds.all import messages as deeds
from webapp.language import tr


@main.group()
def deadlines() -> None:
    """Deadlines 时限."""


@deadlines.command("recount")
@with_home
def recount(run: Run) -> None:
    """Count provisional deadlines anew by the calendars published since (the worker does it too)."""
    with run.home.deed(run.now) as session:
        count = terms.recount_all(session, run.now)
    run.say({"count": count}, "{count} rows have deadlines that were counted anew.")


@main.group()
def messages() -> None:
    """Messages 提醒."""


@messages.command("export")
@click.option("--undelivered", is_flag=True, help="only those that are not delivered yet")
@click.option("--mark", is_flag=True, help="note them as delivered once they are printed")
@with_home
def export(run: Run, undelivered: bool, mark: bool) -> None:
    """Print messages as JSON lines, the oldest first: to whom by login, the text in both languages."""
    after, count = "", 0
    while True:
        with run.home.reading() as session:
            if undelivered:
                rows = ledger_messages.undelivered(session, after)
            else:
                wanted = select(Message).where(Message.removed_at.is_(None), Message.id > after)
                rows = list(session.scalars(wanted.order_by(Message.id).limit(DELIVERED_AT_ONCE)))
            told = deeds.outgoing(session, rows)
        for one in told:
            click.echo(canonical(one).decode())
        if not rows:
            break
        after, count = rows[-1].id, count + len(rows)
        if mark:  # after they are out: one that is lost here is printed again
            sys.stdout.flush()
            with run.home.deed(run.now) as session:
                ledger_messages.acknowledge(session, run.now, [row.id for row in rows])
    click.echo(tr("{count} messages.", count=count), err=True)
