"""A data subject's own space 个人和法人数字空间: what is asked, what was allowed, each use of it."""

from flask import Flask, render_template
from flask_limiter import Limiter

from webapp import door
from webapp.deeds.all import authorisations


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.add_url_rule("/space", "space_read", space)


@door.guard(authorisations.space)
def space() -> str:
    """The subject's space; a button leads to the deed's own page, which asks once more."""
    desk = door.the_desk()
    found = desk.ask(authorisations.space, door.who, {}, {})
    return render_template("space.html", found=found, question=authorisations.space)
