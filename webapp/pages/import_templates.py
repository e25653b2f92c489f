"""Templates of the files that are handed in, to download, and what their forms tell of the columns."""

from collections.abc import Callable, Mapping

from flask import Flask, Response
from flask_limiter import Limiter

from ledger.import_templates import Heading
from webapp import door
from webapp.api.respond import send
from webapp.deeds import Question
from webapp.deeds.import_templates import FILES, TEMPLATES
from webapp.language import tr
from webapp.pages.nouns import address


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes, and what the forms show."""
    app.jinja_env.globals |= {
        "file_columns": file_columns, "file_note": file_note, "template_of": template_of,
    }  # fmt: skip
    for asked in TEMPLATES.values():
        app.add_url_rule(asked.path, _endpoint(asked), door.guard(asked)(_view(asked)))


def _endpoint(asked: Question) -> str:
    return asked.name.replace(".", "_")


def _view(asked: Question) -> Callable[..., Response]:
    def view(**keys: str) -> Response:
        return send(door.the_desk().ask(asked, door.who, keys, {}))

    return view


def file_columns(name: str) -> list[Heading]:
    """The columns of the file that an import takes in, in the reader's language."""
    return FILES[name].headings() if name in FILES else []


def file_note(name: str) -> str:
    """What is said of its other columns."""
    return tr(FILES[name].note)


def template_of(name: str, keys: Mapping[str, str]) -> str:
    """Where its template is."""
    return address(_endpoint(TEMPLATES[name]), keys)
