"""A data subject's own space 个人和法人数字空间: what is asked, what was allowed, each use of it."""

from collections.abc import Mapping

from flask import Flask, render_template
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger.authorisations import Authorisation
from ledger.vouchers import Voucher
from webapp import door
from webapp.deeds.all import authorisations
from webapp.pages import nouns


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    nouns.BEHIND["use.count"] = authorisation_page
    app.add_url_rule("/space", "space_read", space)


def authorisation_page(session: Session, keys: Mapping[str, str]) -> str | None:
    """The page of the authorised use under a voucher: who counts uses may not see the voucher's own."""
    number = session.scalar(
        select(Authorisation.number)
        .join(Voucher, Voucher.id == Authorisation.voucher_id)
        .where(Voucher.number == keys["voucher_number"])
    )
    return number and nouns.page_of("authorisation", number)


@door.guard(authorisations.space)
def space() -> str:
    """The subject's space; a button leads to the deed's own page, which asks once more."""
    desk = door.the_desk()
    found = desk.ask(authorisations.space, door.who, {}, {})
    return render_template("space.html", found=found, question=authorisations.space)
