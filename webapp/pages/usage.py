"""Usage: a batch with its totals, its rows, and the proof of one of them, shown and to be taken away."""

from typing import Any

from flask import Flask, Response, render_template, request
from flask_limiter import Limiter
from sqlalchemy.orm import Session

from ledger import log, salted_rows, usage
from ledger.errors import LedgerError
from ledger.parties import Party
from ledger.tables.events import ROWS_MAX
from ledger.usage import Batch
from webapp import door
from webapp.api.respond import send
from webapp.deeds.all import usage as deeds
from webapp.intake import UPLOAD_BYTES_MAX
from webapp.language import translate
from webapp.pages import nouns

ROWS_SHOWN = 50


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    app.jinja_env.globals |= {"EVENTS_MAX": ROWS_MAX, "UPLOAD_MIB": UPLOAD_BYTES_MAX >> 20}
    nouns.EXTRA["usage"] = about
    app.add_url_rule(deeds.rows.path, "usage_rows", rows)
    app.add_url_rule(deeds.proof.path, "usage_proof", proof)


def about(session: Session, row: Batch) -> dict[str, Any]:
    """Who handed a batch in, and its first rows."""
    return {
        "first_rows": [
            {"n": one.n, **salted_rows.parsed(one.row)} for one in usage.rows_of(session, row, 0, 5)
        ],
        "reporter": session.get_one(Party, row.party_id).name,
    }


@door.guard(deeds.rows)
def rows(batch_number: str) -> str:
    """The rows of a batch, and one of them with its way to the log where it is asked for."""
    desk, keys = door.the_desk(), {"batch_number": batch_number}
    asked = request.args.get("row", "").strip()
    found = desk.ask(deeds.rows, door.who, keys, {
        "after": request.args.get("after", "0"), "limit": str(ROWS_SHOWN),
    })  # fmt: skip
    found["items"] = [{"n": one["n"], **one["row"]} for one in found["items"]]
    one, problem = None, None
    with desk.home.reading() as session:
        batch = usage.by_number(session, batch_number)
        rung = log.rung(session, log.record_of(session, batch.id, 1))
        if asked:
            try:
                one = usage.row_proof(session, batch, usage.row_number(session, batch, asked))
            except LedgerError as error:
                problem = error.localized(translate)
    return render_template(
        "usage_rows.html", batch=batch, found=found, one=one, asked=asked, problem=problem,
        rung=rung,
    )  # fmt: skip


@door.guard(deeds.proof)
def proof(batch_number: str) -> Response:
    """The proof of one row, as a file."""
    asked = {"row": request.args.get("row", "")}
    return send(door.the_desk().ask(deeds.proof, door.who, {"batch_number": batch_number}, asked))
