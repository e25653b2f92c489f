"""What the page of a price setting tells besides the row."""

from collections.abc import Sequence
from typing import Any

from flask import Flask
from flask_limiter import Limiter
from sqlalchemy.orm import Session

from ledger import prices
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.prices import Price
from valuation.pricing import PURPOSES, UNITS
from webapp import door
from webapp.deeds.prices import STAGES
from webapp.pages import nouns
from webapp.pages.value import person
from webapp.wording import spoken


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter what the templates need."""
    app.jinja_env.filters["in_both"] = in_both
    app.jinja_env.globals |= {
        "PRICE_PURPOSES": PURPOSES, "PRICE_STAGES": STAGES,
        "PRICE_UNITS": {zh: (zh, en) for zh, en in UNITS.items()},
    }  # fmt: skip
    nouns.EXTRA["price"] = about_price


def in_both(words: Sequence[str]) -> str:
    """What is given in Chinese and English, in the reader's language."""
    return spoken(words[0], words[1])


def about_price(session: Session, row: Price) -> dict[str, Any]:
    """Its agreement, who proposed and decided on it, and whether it holds today."""
    agreement = session.get_one(Agreement, row.agreement_id)
    held = prices.in_force(session, agreement, local_date(door.the_desk().now))
    return {
        "agreement": agreement, "decider": person(session, row.decided_by),
        "in_force": held is not None and held.id == row.id, "maker": person(session, row.proposed_by),
    }  # fmt: skip
