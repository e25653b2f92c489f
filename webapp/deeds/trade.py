"""The deeds on orders, remittances, refunds, and the trades that an exchange confirms."""

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from marshmallow import fields, validate
from sqlalchemy.orm import Session

from ledger import (
    confirmation_checks,
    confirmations,
    handoff,
    log,
    orders,
    parties,
    refunds,
    remittances,
    row_faults,
    salted_rows,
    trade_rules,
)
from ledger.agreements import Agreement
from ledger.calendar import end_of_day, start_of_day
from ledger.confirmations import Checked, Confirmation
from ledger.errors import Faults, Missing
from ledger.orders import Order
from ledger.parties import Actor
from ledger.proof.encoding import canonical
from ledger.proof.row import TRADE_TYPE
from ledger.refunds import Refund, Source
from ledger.remittances import Remittance
from ledger.trading import Payment
from ledger.vouchers import Voucher
from valuation import money
from webapp.deeds import Desk, File, Report, deed, question
from webapp.deeds.answers import lists, shows
from webapp.deeds.circulation import LicenceBody
from webapp.deeds.field import DIGEST, ReasonBody
from webapp.deeds.forms import MISSHAPEN, Body, day, document, said, text, yuan
from webapp.deeds.import_templates import TRADES, template
from webapp.deeds.previews import ROWS_TOLD, preview
from webapp.deeds.usage import JSON, RowQuery, RowsQuery, UsageRowsAnswer

PURPOSES = {"prepayment": "Paid in advance by a buyer", "clearing": "Cleared by an exchange"}
PAID_BY = {"invoice": "Invoice", "prepayment": "What was paid in advance"}
ORDER, REFUND, CONFIRMATION = (
    "/orders/<order_reference>", "/refunds/<refund_number>",
    "/confirmations/<confirmation_number>",
)  # fmt: skip


class RemittanceBody(Body):
    """Money received that is for no licence yet 来款."""

    party = text("Who paid", most=18, hint="its social credit code", source="parties")
    purpose = text("What it is paid for", choices=PURPOSES)
    amount_yuan = yuan("Amount (yuan, VAT included)")
    received_on = day("Received on")
    reference = text("Bank's reference", most=100, hint="unique")


class OrderBody(LicenceBody):
    """An order 订单: the terms of a licence as they are frozen, until when, and how it is paid."""

    paid_by = text("Paid by", choices=PAID_BY)
    offer_until = day("Last day of the offer")


class RefundBody(Body):
    """What is given back, and why."""

    amount_yuan = yuan("Amount (yuan, VAT included)")
    ground = text("Ground", area=True)


class TradeRefundBody(RefundBody):
    """Of which trade."""

    row = text("Row", most=64, hint="the exchange's number of the trade, or else the row's, from 1")


class ConfirmationBody(Body):
    """A file of trades, by its digest, and the header that the exchange signed."""

    name = text("File name", most=200)
    digest = text("Digest", most=71, pattern=DIGEST, example="digest sha256:…")
    size_bytes = fields.Integer(
        load_default=0, metadata={"title": "Bytes", "hint": ""},
        validate=validate.Range(0, 2**53 - 1, error=said(MISSHAPEN, "whole number")),
    )  # fmt: skip
    signature = document("Signed header (JSON)", hint="the file that shuzheng trade sign wrote")


# -- money for no licence yet ------------------------------------------------------------------


@deed("remittance.record", "/agreements/<agreement_number>/remittances", "Record a remittance",
      "Recorded {reference}: {amount_yuan} yuan.", body=RemittanceBody)  # fmt: skip
def record_remittance(
    desk: Desk, session: Session, actor: Actor, found: Agreement, *, party: str, purpose: str,
    amount_yuan: int, received_on: date, reference: str,
) -> dict[str, Any]:  # fmt: skip
    """Who paid is looked up here: an unknown code is told with all that is wrong besides."""
    faults = Faults()
    made = remittances.record(
        session, actor, desk.now, found, purpose=purpose, amount_fen=amount_yuan,
        party=faults.tried("party", parties.party_by_uscc, session, party),
        received_on=received_on.isoformat(), reference=reference, faults=faults,
    )  # fmt: skip
    return {"amount_yuan": money.yuan(made.amount_fen), "id": made.id, "reference": reference}


# -- orders ------------------------------------------------------------------------------------


def _stands(made: Order) -> dict[str, Any]:
    return {
        "id": made.id, "price_yuan": money.yuan(made.price_fen), "reference": made.reference,
        "state": made.state,
    }  # fmt: skip


@deed("order.place", "/vouchers/<voucher_number>/orders", "Place an order",
      "Order {reference} is {state}: {price_yuan} yuan.", body=OrderBody)  # fmt: skip
def place(
    desk: Desk, session: Session, actor: Actor, found: Voucher, *, order: str, licensee: str,
    from_on: date, until_on: date, price_yuan: int, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """The terms of a licence, frozen for a buyer; the term runs over whole days in Shanghai."""
    faults = Faults()
    made = orders.place(
        session, actor, desk.now, voucher=found, valid_from=start_of_day(from_on),
        buyer=faults.tried("licensee", parties.party_by_uscc, session, licensee),
        valid_until=end_of_day(until_on), price_fen=price_yuan, reference=order, faults=faults, **more,
    )  # fmt: skip
    return _stands(made)


@deed("order.fulfil", f"{ORDER}/fulfil", "Fulfil the order",
      "Order {reference} is {state}: licence {n} is granted.", changes=True,
      owners=orders.seller)  # fmt: skip
def fulfil(desk: Desk, session: Session, actor: Actor, found: Order) -> dict[str, Any]:
    licence = orders.fulfil(session, actor, desk.now, found, desk.origin)
    return {**_stands(found), "n": licence.n}


@deed("order.cancel", f"{ORDER}/cancel", "Cancel the order", "Order {reference} is {state}.",
      body=ReasonBody, changes=True, owners=orders.seller)  # fmt: skip
def cancel(desk: Desk, session: Session, actor: Actor, found: Order, reason: str) -> dict[str, Any]:
    orders.cancel(session, actor, desk.now, found, reason)
    return _stands(found)


# -- refunds -----------------------------------------------------------------------------------


def _refund(made: Refund) -> dict[str, Any]:
    return {
        "amount_yuan": money.yuan(made.amount_fen), "number": made.number, "state": made.state,
    }  # fmt: skip


@deed("refund.propose", "/payments/<path:reference>/refunds", "Propose a refund",
      "Refund {number} of {amount_yuan} yuan is {state}; another person approves it next.",
      body=RefundBody)  # fmt: skip
def propose_refund(
    desk: Desk, session: Session, actor: Actor, found: Payment, *, amount_yuan: int, ground: str
) -> dict[str, Any]:
    source = refunds.of_payment(session, found)
    return _refund(
        refunds.propose(session, actor, desk.now, source, amount_fen=amount_yuan, ground=ground)
    )


@deed("refund.propose", f"{CONFIRMATION}/refunds", "Propose a refund of a trade",
      "Refund {number} of {amount_yuan} yuan is {state}; another person approves it next.",
      name="refund.propose_trade", body=TradeRefundBody)  # fmt: skip
def propose_trade_refund(
    desk: Desk, session: Session, actor: Actor, found: Confirmation, *, row: str, amount_yuan: int,
    ground: str,
) -> dict[str, Any]:  # fmt: skip
    n = confirmations.row_number(session, found, row)
    source = refunds.of_trade(session, found, n)
    return _refund(
        refunds.propose(session, actor, desk.now, source, amount_fen=amount_yuan, ground=ground)
    )


@deed("refund.propose", "/remittances/<path:remittance_reference>/refunds", "Propose a refund",
      "Refund {number} of {amount_yuan} yuan is {state}; another person approves it next.",
      name="refund.propose_prepayment", body=RefundBody)  # fmt: skip
def propose_prepayment_refund(
    desk: Desk, session: Session, actor: Actor, found: Remittance, *, amount_yuan: int, ground: str
) -> dict[str, Any]:
    source = refunds.of_remittance(session, found)
    return _refund(
        refunds.propose(session, actor, desk.now, source, amount_fen=amount_yuan, ground=ground)
    )


def _undoing(noun: str, path: str, source_of: Callable[[Session, Any], Source]) -> Any:
    def act(
        desk: Desk, session: Session, actor: Actor, found: Payment | Remittance, reason: str
    ) -> dict[str, Any]:
        source = source_of(session, found)
        return _refund(refunds.propose(
            session, actor, desk.now, source, amount_fen=found.amount_fen, ground=reason, undoes=True
        ))  # fmt: skip

    return deed(
        "refund.propose", f"{path}/undo", "Undo a wrong receipt",
        "Refund {number} of {amount_yuan} yuan is {state}; another person approves it next.",
        name=f"refund.undo_{noun}", body=ReasonBody,
    )(act)  # fmt: skip


undo_payment = _undoing("payment", "/payments/<path:reference>", refunds.of_payment)
undo_remittance = _undoing(
    "remittance", "/remittances/<path:remittance_reference>", refunds.of_remittance
)


@deed("refund.approve", f"{REFUND}/approve", "Approve the refund",
      "Refund {number} of {amount_yuan} yuan is {state}.", changes=True,
      owners=refunds.makers_party)  # fmt: skip
def approve_refund(desk: Desk, session: Session, actor: Actor, found: Refund) -> dict[str, Any]:
    refunds.approve(session, actor, desk.now, found)
    return _refund(found)


@deed("refund.reject", f"{REFUND}/reject", "Reject", "Refund {number} is {state}.", body=ReasonBody,
      changes=True, owners=refunds.makers_party)  # fmt: skip
def reject_refund(
    desk: Desk, session: Session, actor: Actor, found: Refund, reason: str
) -> dict[str, Any]:
    refunds.reject(session, actor, desk.now, found, reason)
    return _refund(found)


# -- trades at an exchange ---------------------------------------------------------------------


def _judge(
    desk: Desk, report: Report, actor: Actor, *, name: str, digest: str, signature: dict[str, Any],
    **_: Any,
) -> dict[str, Any]:  # fmt: skip
    """The rows of a file, judged before the transaction, which only stores them."""
    from ledger.tables.events import read_rows  # noqa: PLC0415 - heavy, only here

    path: Path = desk.home.path / "materials" / digest.removeprefix("sha256:")
    if not path.exists():
        raise Missing("The material {digest} is not kept here.", digest=digest)
    report("read", 0, 0)
    given = read_rows(path, name, trade_rules.COLUMNS)
    report("check", 0, 0)
    try:
        with desk.home.reading() as session:
            checked = confirmation_checks.check(
                session, actor, desk.now, given, name, signature, origin=desk.origin,
                chain_id=desk.deployment.chain_id,
            )  # fmt: skip
    except row_faults.Unusable as error:
        error.facts["fault_file"] = desk.home.store_material(row_faults.faults_csv(error))
        raise
    report("store", 0, 0)
    if isinstance(checked, Confirmation):
        return {"known": checked.id}
    return {"checked": checked}


@deed("confirmation.record", "/confirmations", "Hand in confirmed trades",
      "Confirmation {number}: {rows} trades, {amount_yuan} yuan.", body=ConfirmationBody, upload=True,
      long=True, prepare=_judge)  # fmt: skip
def confirm(
    desk: Desk, session: Session, actor: Actor, *, checked: Checked | None = None, known: str = "",
    **_file: Any,
) -> dict[str, Any]:  # fmt: skip
    """The record of a confirmation; of one that is there already, the same answer."""
    made = (
        session.get_one(Confirmation, known)
        if checked is None
        else confirmations.record(session, actor, desk.now, checked)
    )
    return {
        "amount_yuan": money.yuan(made.amount_fen), "batch_root": made.batch_root, "id": made.id,
        "number": made.number, "rows": made.row_count,
    }  # fmt: skip


def _told_trade(n: int, row: Mapping[str, Any], finding: str) -> dict[str, Any]:
    return {"row": n, "trade": row["trade"], "voucher": row["voucher"], "buyer": row["buyer"],
            "day": row["on"], "amount_yuan": money.yuan(row["amount_fen"]), "finding": finding}  # fmt: skip


def _tell_trades(
    _desk: Desk, session: Session, _actor: Actor, *, checked: Checked | None = None, known: str = "",
    **_file: Any,
) -> dict[str, Any]:  # fmt: skip
    if checked is None:
        made = session.get_one(Confirmation, known)
        header = confirmations.header_again(session, made, "")
        net_fen, first = made.net_fen, confirmations.rows_of(session, made, 0, ROWS_TOLD)
        rows_told = [_told_trade(one["n"], one["row"], "known") for one in first]
    else:
        header, net_fen = checked.header, int(checked.frame["net"].sum())
        texts = checked.frame["row"].head(ROWS_TOLD)
        rows_told = [
            _told_trade(n, salted_rows.parsed(one), "new") for n, one in enumerate(texts, start=1)
        ]
    amount_fen, count = header["amount_fen"], header["row_count"]
    return {
        "known": count if checked is None else 0, "more": max(0, count - ROWS_TOLD), "rows": count,
        "rows_told": rows_told,
        "sums": {
            **({"number": made.number} if checked is None else {}),
            "exchange_number": header["number"], "agreement": header["agreement"],
            "from_on": header["from_on"], "until_on": header["until_on"],
            "amount_yuan": money.yuan(amount_fen), "net_yuan": money.yuan(net_fen),
            "vat_yuan": money.yuan(amount_fen - net_fen),
        },
    }  # fmt: skip


preview_trades = preview(confirm, "Look at confirmed trades", _tell_trades)
trades_template = template(confirm, TRADES)


@question("confirmation.read", f"{CONFIRMATION}/rows", "Trades of a confirmation",
          name="confirmation.rows", query=RowsQuery, answer=UsageRowsAnswer)  # fmt: skip
def rows(
    _desk: Desk, session: Session, _actor: Actor, found: Confirmation, *, after: int, limit: int
) -> dict[str, Any]:
    told = confirmations.rows_of(session, found, after, limit)
    last = int(told[-1]["n"]) if told else 0
    return {"items": told, "next": last if last and last < found.row_count else None}


@question("confirmation.read", f"{CONFIRMATION}/proof", "Proof of a trade",
          name="confirmation.proof", query=RowQuery)  # fmt: skip
def proof(desk: Desk, session: Session, _actor: Actor, found: Confirmation, *, row: str) -> File:
    """A trade, its path in the confirmation, and the bundle of its record; no other trade is revealed."""
    n = confirmations.row_number(session, found, row)
    bundle = handoff.record_bundle(session, log.record_of(session, found.id, 1), desk.deployment)
    told = {
        "bundle": bundle,
        **confirmations.row_proof(session, found, n),
        "type": TRADE_TYPE,
        "v": 1,
    }
    return File(canonical(told), JSON, f"{found.number}-{n}.json")


show_remittance = shows("remittance", "/remittances/<path:remittance_reference>", "Remittance")
list_remittances = lists("remittance", "/remittances", "Remittances",
                         "reference party_id purpose amount_fen received_on",
                         (Remittance.reference,))  # fmt: skip
show_order = shows("order", ORDER, "Order")
list_orders = lists("order", "/orders", "Orders",
                    "reference buyer_id price_fen paid_by offer_until state",
                    (Order.reference,))  # fmt: skip
show_refund = shows("refund", REFUND, "Refund")
list_refunds = lists("refund", "/refunds", "Refunds", "number buyer amount_fen decided_on state",
                     (Refund.number, Refund.ground))  # fmt: skip
show_confirmation = shows("confirmation", CONFIRMATION, "Confirmation of trades")
list_confirmations = lists("confirmation", "/confirmations", "Confirmed trades",
                           "number exchange_number exchange_id from_on until_on row_count amount_fen",
                           (Confirmation.number, Confirmation.exchange_number))  # fmt: skip
