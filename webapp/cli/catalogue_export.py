"""The catalogue into a file."""

from collections.abc import Mapping
from pathlib import Path

import click

from ledger.catalogue import audiences
from ledger.catalogue_formats import KINDS, TITLE, entries, write
from ledger.errors import Invalid
from ledger.parties import actor_by_login, may
from webapp.cli.run import HOUSE, Run
from webapp.language import tr
from webapp.pages.catalogue_export import narrowed


def write_file(
    run: Run, path: Path, login: str | None, base: str, asked: Mapping[str, str]
) -> None:
    """Write what somebody sees of the catalogue; tell how much, and what could not travel."""
    kind = next((kind for kind in KINDS if path.name.endswith(f".{kind}")), None)
    if kind is None:
        raise Invalid(
            "The name of the file says what it is to be: {kinds}; {name} says nothing.",
            kinds=", ".join(f".{kind}" for kind in KINDS), name=path.name,
        )  # fmt: skip
    _ = run.home.config
    with run.home.reading() as session:
        actor = HOUSE if login is None else actor_by_login(session, login)
        may(actor, "catalogue.export")
        seen = audiences(session, actor)
        where, fits = narrowed(session, seen, asked)
        count, lost = write(
            kind, str(path), entries(session, seen, where, fits), base=base, title=TITLE
        )
    run.say({"count": count, "path": str(path), "lost": lost}, "{count} resources are in {path}.")
    if lost and not run.as_json:
        told = ", ".join(f"{name} {n}" for name, n in lost.items())
        click.echo(
            tr("Elements that are no fields of the catalogue stayed behind: {told}.", told=told)
        )
