"""Orders, remittances, refunds and confirmed trades: their pages, and the form of a confirmation."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from flask import Flask, Response, render_template, request, url_for
from flask_limiter import Limiter
from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import confirmations, log, refunds, settlements
from ledger.agreements import Agreement
from ledger.confirmations import Confirmation
from ledger.errors import LedgerError, NotAuthenticated
from ledger.holds import Hold
from ledger.orders import Order
from ledger.parties import Party, allowed
from ledger.proof.encoding import parse
from ledger.refunds import Refund
from ledger.remittances import Remittance
from ledger.settlements import Settlement
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher
from webapp import door
from webapp.api.respond import send
from webapp.deeds import Deed
from webapp.deeds.all import trade as deeds
from webapp.deeds.background import start
from webapp.deeds.forms import faults_by_place
from webapp.intake import UPLOAD_BYTES_MAX, keep_upload, read_upload
from webapp.language import translate
from webapp.pages import nouns
from webapp.pages.show import redirect
from webapp.pages.value import person

SIGNED_BYTES_MAX = 64 * 1024
ROWS_SHOWN = 50


def enter(app: Flask, _limiter: Limiter) -> None:
    """Enter the routes."""
    nouns.EXTRA |= {
        "confirmation": about_confirmation, "order": about_order, "refund": about_refund,
        "remittance": about_remittance,
    }  # fmt: skip
    app.add_url_rule(
        f"{deeds.confirm.path}/new", "confirmation_record", confirm, methods=["GET", "POST"]
    )
    app.add_url_rule(
        deeds.preview_trades.path, "confirmation_record_preview", look, methods=["GET", "POST"]
    )
    app.add_url_rule(deeds.rows.path, "confirmation_rows", rows)
    app.add_url_rule(deeds.proof.path, "confirmation_proof", proof)


def about_remittance(session: Session, row: Remittance) -> dict[str, Any]:
    """Under which agreement, and who recorded it."""
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "given_back": refunds.of_source(session, refunds.of_remittance(session, row))
        if allowed(door.actor(), "refund.read")
        else [],
        "recorder": person(session, row.recorded_by),
    }


def about_order(session: Session, row: Order) -> dict[str, Any]:
    """Its voucher, what is set aside for it, and the licence it became."""
    return {
        "held": session.get(Hold, row.hold_id) if row.hold_id else None,
        "licence": session.get(Licence, row.licence_id) if row.licence_id else None,
        "maker": person(session, row.placed_by),
        "voucher": session.get_one(Voucher, row.voucher_id),
    }


def about_refund(session: Session, row: Refund) -> dict[str, Any]:
    """What it is of, who proposed and decided on it."""
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "confirmation": session.get(Confirmation, row.confirmation_id or ""),
        "decider": person(session, row.decided_by),
        "maker": person(session, row.proposed_by),
        "payment": session.get(Payment, row.payment_id or ""),
        "remittance": session.get(Remittance, row.remittance_id or ""),
        "source": refunds.source_of(session, row),
    }


def about_confirmation(session: Session, row: Confirmation) -> dict[str, Any]:
    """Its agreement and exchange, its first trades, and what of them was refunded."""
    given_back = select(Refund).where(Refund.confirmation_id == row.id).order_by(Refund.id)
    return {
        "agreement": session.get_one(Agreement, row.agreement_id),
        "exchange": session.get_one(Party, row.exchange_id),
        "first_rows": confirmations.rows_of(session, row, 0, 5),
        "given_back": session.scalars(given_back).all(),
        "settled": settlements.total(
            session, row.agreement_id, Settlement.n >= row.first_n,
            Settlement.n < row.first_n + row.row_count,
        ),
    }  # fmt: skip


@door.guard(deeds.confirm)
def confirm() -> Any:
    """The form of a confirmation: the file of trades, and the signed header, as files both."""
    return _hand_in(deeds.confirm)


@door.guard(deeds.preview_trades)
def look() -> Any:
    """The same form, to see first what would be taken in."""
    return _hand_in(deeds.preview_trades)


def _hand_in(deed: Deed) -> Any:
    desk = door.the_desk()
    key = request.form.get("idempotency") or uuid4().hex
    if request.method == "GET":
        return _form(key)
    try:
        name, data = read_upload(
            request.files.get("signature"), kinds=("text",), limit=SIGNED_BYTES_MAX
        )
        values = {
            **keep_upload(desk.home, request.files.get("file")), "signature": parse(data, name),
        }  # fmt: skip
        job = start(desk, deed, door.who, {}, values, f"{key}-{deed.name}"[:128])
    except NotAuthenticated:
        raise
    except LedgerError as error:
        said = error.localized(nouns.plainly)
        return _form(uuid4().hex, said, faults_by_place(error, translate)), error.http_status
    return redirect(url_for("job_page", job_id=job.id))


def _form(
    key: str, refusal: str | None = None, errors: Mapping[str, list[str]] | None = None
) -> str:
    return render_template(
        "deed_confirmation_record.html", deed=deeds.confirm, key=key, refusal=refusal,
        errors=errors or {}, mib=UPLOAD_BYTES_MAX >> 20, back=url_for("confirmation_list"),
    )  # fmt: skip


@door.guard(deeds.rows)
def rows(confirmation_number: str) -> str:
    """The trades of a confirmation, and one of them with its way to the log where it is asked for."""
    desk, keys = door.the_desk(), {"confirmation_number": confirmation_number}
    asked = request.args.get("row", "").strip()
    found = desk.ask(deeds.rows, door.who, keys, {
        "after": request.args.get("after", "0"), "limit": str(ROWS_SHOWN),
    })  # fmt: skip
    one, problem = None, None
    with desk.home.reading() as session:
        made = confirmations.by_number(session, confirmation_number)
        rung = log.rung(session, log.record_of(session, made.id, 1))
        if asked:
            try:
                n = confirmations.row_number(session, made, asked)
                one = confirmations.row_proof(session, made, n)
            except LedgerError as error:
                problem = error.localized(translate)
        return render_template(
            "confirmation_rows.html", made=made, found=found, one=one, asked=asked,
            problem=problem, rung=rung,
        )  # fmt: skip


@door.guard(deeds.proof)
def proof(confirmation_number: str) -> Response:
    """The proof of one trade, as a file."""
    asked = {"row": request.args.get("row", "")}
    keys = {"confirmation_number": confirmation_number}
    return send(door.the_desk().ask(deeds.proof, door.who, keys, asked))
