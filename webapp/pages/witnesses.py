"""The witnesses: what each has cosigned, how old that is, and what is wrong with it."""

from typing import Any
from uuid import uuid4

from flask import Flask, render_template
from flask_limiter import Limiter

from ledger.errors import fill
from ledger.parties import allowed
from webapp import door
from webapp.deeds.all import witnesses as deeds
from webapp.language import tr, translate


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the route."""
    app.add_url_rule("/witnesses", "witness_list", witness_list)


@door.guard(deeds.known)
def witness_list() -> str:
    """The page."""
    found = door.the_desk().ask(deeds.known, door.who, {}, {})["items"]
    return render_template(
        "witnesses.html", key=uuid4().hex, rows=[{**row, "said": said(row)} for row in found],
        offers=[deed for deed in (deeds.add, deeds.cosign) if allowed(door.actor(), deed.verb)],
        may_remove=allowed(door.actor(), deeds.remove.verb),
    )  # fmt: skip


def said(row: dict[str, Any]) -> dict[str, str]:
    """How old its newest cosignature is and what is wrong, in the reader's language."""
    problem = row["problem"]
    return {
        "age": "" if row["age_s"] is None else ago(row["age_s"]),
        "problem": ""
        if problem is None
        else fill(translate(problem["template"]), problem["facts"]),
    }


def ago(seconds: int) -> str:
    """How long ago: minutes, hours or days."""
    if seconds < 2 * 3600:
        return tr("{n} minutes ago", n=seconds // 60)
    if seconds < 48 * 3600:
        return tr("{n} hours ago", n=seconds // 3600)
    return tr("{n} days ago", n=seconds // 86400)
