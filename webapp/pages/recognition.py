"""Recognised vouchers and their registries: what their pages tell besides the row."""

from typing import Any

from flask import Flask
from flask_limiter import Limiter
from sqlalchemy.orm import Session

from ledger.errors import fill
from ledger.peers import FINGERPRINT_MIN, Peer
from ledger.proof.report import VERDICTS, visible
from webapp.language import translate
from webapp.pages import nouns


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter what the templates ask for."""
    app.jinja_env.filters |= {"sentence": sentence}
    app.jinja_env.globals |= {"VERDICTS": VERDICTS}
    nouns.EXTRA |= {"peer": about_peer}


def sentence(told: dict[str, Any]) -> str:
    """A step of a verification, or a problem, that was kept as template and facts."""
    return visible(fill(translate(told["template"]), told["facts"]))


def about_peer(_session: Session, row: Peer) -> dict[str, Any]:
    """Its fingerprint; who is to compare its end with what he was told does not read it here."""
    shown = row.digest.removeprefix("sha256:")
    if row.state == "proposed":
        shown = shown[:-FINGERPRINT_MIN] + "·" * FINGERPRINT_MIN
    return {"fingerprint": shown}
