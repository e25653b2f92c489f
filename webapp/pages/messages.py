"""The page of my messages, and the bell that counts the unread ones on every page."""

from typing import Any
from uuid import uuid4

from flask import Flask, render_template, request
from flask_limiter import Limiter

from ledger.errors import LedgerError
from webapp import door
from webapp.deeds.all import messages
from webapp.pages import nouns


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the route, and what the bell asks for."""
    app.jinja_env.globals |= {"unread_count": unread_count}
    app.add_url_rule("/messages", "message_list", my_messages)


def unread_count() -> int:
    """How many messages whoever is here has not read; asked of the database once a commit."""
    actor, home = door.actor(), door.the_desk().home
    try:
        return home.as_committed(
            ("unread", actor), lambda session: messages.unread_count(session, actor)
        )
    except LedgerError:  # the page that tells of it is shown all the same
        return 0


@door.guard(messages.mine)
def my_messages() -> str:
    """My messages, the newest first, the unread ones marked."""
    asked = {name: value for name, value in request.args.items() if value}
    found = door.the_desk().ask(messages.mine, door.who, {}, asked)
    items: list[dict[str, Any]] = [
        {**one, "address": nouns.page_of(one["noun"], one["number"])} for one in found["items"]
    ]
    return render_template("messages.html", found=found, items=items, key=uuid4().hex)
