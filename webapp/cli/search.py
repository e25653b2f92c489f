"""The catalogue searched at the console: one line a resource, the places found in bold."""

from collections.abc import Mapping
from typing import Any

import click

from webapp.cli.run import Run, print_json
from webapp.deeds.all import search as deeds
from webapp.language import tr


def show(run: Run, login: str | None, words: str, asked: Mapping[str, Any]) -> None:
    """What was found, or one JSON document as the API answers it."""
    query = {name: value for name, value in {"words": words, **asked}.items() if value}
    found = run.ask(deeds.find_resources, login, query)
    if run.as_json:
        print_json(found)
        return
    for row in found["items"]:
        provider = f"  {row['provider']}" if row["provider"] else ""
        click.echo(f"{row['code']}  {_bold(row['marked_title'])}{provider}")
        if row["marked_text"]:
            click.echo(f"    {_bold(row['marked_text'])}")
    told = tr("Found: {count}") if found["exact"] else tr("Found: about {count}")
    click.echo(told.format(count=f"{found['count']:,}"), err=True)
    if found["next"]:
        click.echo(tr("More: --after {next}", next=found["next"]), err=True)


def _bold(pieces: list[dict[str, Any]]) -> str:
    plain = (" ".join(one["text"].split("\n")) for one in pieces)
    return "".join(
        click.style(text, bold=True) if one["hit"] else text
        for text, one in zip(plain, pieces, strict=True)
    )
