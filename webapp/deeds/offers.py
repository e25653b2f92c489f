"""On which rows a deed makes sense, beyond right and state: one table, for pages and for the work list."""

from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ledger import (
    agreement_ends,
    agreements,
    approvals,
    books,
    evaluations,
    inquiries,
    journals,
    orders,
    reconciliation,
    refunds,
    registration,
    registration_changes,
    reversals,
    statements,
    trading,
)
from ledger.agreements import Agreement
from ledger.calendar import local_date
from ledger.motions import Motion
from ledger.objections import Objection
from ledger.parties import Actor
from ledger.payout_rows import GIVEN, Payout
from ledger.peers import Peer
from ledger.registration import Application, Registration
from ledger.registration_profiles import in_use, profile
from ledger.rights import MAY
from ledger.statements import Statement
from ledger.states import MOVES
from ledger.vouchers import Voucher

Fits = Callable[[Session, Actor, Any, date], bool]


def _row(test: Callable[[Any], Any]) -> Fits:
    """What the row alone tells."""
    return lambda _session, _actor, row, _today: bool(test(row))


def _second_waits(row: Application) -> bool:
    return bool(row.review.get("needs_second")) and not row.review.get("seconded_by")


def _on_notice(row: Application) -> bool:
    """Whether its type goes on public notice where it was made."""
    return profile(row.profile).types[row.type].notice


def _concludes(row: Application) -> bool:
    due = "on_notice" if _on_notice(row) else "reviewed"
    return row.type != "first" and row.state == due


def _applies(type_: str) -> Fits:
    """Whether the rules of this house have the type, and the registration is in a state for it.

    A returned application of the type is mended by the same deed.
    """

    def fits(session: Session, _actor: Actor, row: Registration | Application, today: date) -> bool:
        if isinstance(row, Application):
            return row.type == type_
        rules = in_use(session)
        if type_ not in rules.types or row.state != "registered":
            return False
        left = (local_date(row.valid_until) - today).days
        return type_ != "renewal" or 0 <= left <= rules.renewal_days

    return fits


def _of_registration(row: Voucher) -> bool:
    """Whether a voucher is a registration's, not a person's consent."""
    return row.kind == "registration"


def _of_another(_session: Session, actor: Actor, row: Motion | Peer, _today: date) -> bool:
    """Whether somebody else proposed it."""
    return row.proposed_by != actor.member_id


def _not_reviewed_by_him(session: Session, actor: Actor, row: Objection, _today: date) -> bool:
    """Whether somebody else passed the review of what is objected to."""
    application = session.get_one(Application, row.application_id)
    return bool(application.review.get("passed_by") != actor.member_id)


def _row_of_another(column: str) -> Fits:
    """Whether somebody else did what is now decided on."""
    return lambda _session, actor, row, _today: bool(getattr(row, column) != actor.member_id)


def _not_approved_by_him(_session: Session, actor: Actor, row: Payout, _today: date) -> bool:
    """Whether somebody else prepared it, and he has not approved it yet."""
    return actor.member_id not in {row.maker_id, *(one["by"] for one in row.approvals)}


def _some_voucher(verb: str) -> Fits:
    """Whether some voucher of a registration can be frozen, or unfrozen."""
    states = [state for state in MOVES["voucher"][verb] if state is not None]

    def fits(session: Session, _actor: Actor, row: Registration, _today: date) -> bool:
        wanted = select(Voucher.id).where(
            Voucher.registration_id == row.id, Voucher.state.in_(states),
            Voucher.frozen.is_(verb == "unfreeze"),
        )  # fmt: skip
        return session.scalar(wanted.limit(1)) is not None

    return fits


def _correctable(session: Session, actor: Actor, row: Statement) -> bool:
    """Whether it is his own, no reversal, and no other statement took its place."""
    if not statements.makes(session, actor, row) or row.reverses or row.period_id is None:
        return False
    agreement = session.get_one(Agreement, row.agreement_id)
    last = statements.previous(session, agreement)
    return row.state == "drafted" or last is None or last.until_on < row.from_on


FITS: dict[str, Fits] = {
    "agreement.consent": lambda session, actor, row, _today: bool(
        agreements.consents_due(session, actor, row)),
    "agreement.end": lambda _session, actor, row, _today: agreement_ends.may_end(actor, row),
    "evaluation.make": lambda session, _actor, row, today: bool(
        evaluations.open_periods(session, row, today)),
    "application.second": _row(_second_waits),
    "application.doubt": _row(_second_waits),
    "application.consent": lambda _session, actor, row, _today: any(
        one["by"] is None and one["party_id"] in actor.parties for one in row.consents or ()),
    "application.notice": _row(_on_notice),
    "application.conclude": _row(_concludes),
    "application.code": _row(lambda row: row.type == "first"),
    **{f"application.{verb}": _applies(type_)
       for type_, verb in registration_changes.VERBS.items()},
    "registration.cancel": _row(lambda row: row.state == "under_inquiry"),
    "registration.lift": _row(lambda row: row.disputes),
    "registration.freeze": _some_voucher("freeze"),
    "registration.unfreeze": _some_voucher("unfreeze"),
    "voucher.freeze": _row(lambda row: not row.frozen),
    "voucher.unfreeze": _row(lambda row: row.frozen),
    "voucher.release": _row(lambda row: row.pledged),
    "voucher.pledge": _row(lambda row: _of_registration(row) and not row.pledged),
    "voucher.split": _row(
        lambda row: _of_registration(row) and not row.pledged and len(row.rights) > 1),
    **dict.fromkeys(("voucher.renew", "voucher.supersede", "voucher.transfer"),
                    _row(_of_registration)),
    **dict.fromkeys(("licence.grant", "order.place"),
                    _row(lambda row: _of_registration(row) and not row.frozen)),
    "refund.propose": lambda session, _actor, row, _today: row.undone_by is None
    and refunds.book_of(session, row) is not None,
    "payment.record": lambda session, _actor, row, _today: trading.unpaid_fen(session, row) > 0,
    "refund.undo_payment": lambda session, _actor, row, _today: row.undone_by is None
    and row.n is not None
    and books.entry_of(session, row.id) is not None,
    "refund.undo_remittance": _row(lambda row: row.undone_by is None),
    "refund.propose_prepayment": _row(
        lambda row: row.undone_by is None and row.purpose == "prepayment"),
    "journal.propose_opening": lambda session, _actor, row, _today: journals.lacks_opening(
        session, row),
    "journal.propose_division": lambda session, _actor, row, _today: journals.divisible(session, row),
    "journal.propose_undoing": lambda session, _actor, row, _today: journals.is_divided(session, row),
    "limit.propose_lift": _row(lambda row: row.state == "approved" and row.floor_fen is not None),
    "order.fulfil": lambda _session, actor, row, _today: row.paid_by != orders.PREPAYMENT
    or row.placed_by != actor.member_id,
    **dict.fromkeys(("motion.confirm", "motion.reject", "peer.admit"), _of_another),
    **dict.fromkeys(("objection.uphold", "objection.dismiss"), _not_reviewed_by_him),
    "bank_account.confirm": _row_of_another("entered_by"),
    "bank_account.reject": _row_of_another("entered_by"),
    "payout.approve": _not_approved_by_him,
    "payout.confirm": _row(lambda row: row.state in GIVEN),
    "payout.close": _row_of_another("maker_id"),
    "difference.settle": lambda session, actor, row, _today: actor.member_id
    not in reconciliation.makers(session, row),
    "difference.reopen": _row_of_another("answered_by"),
    "statement.approve": lambda _session, actor, row, _today: actor.member_id not in (
        row.maker_id, *(one["checker_id"] for one in row.approvals or ())),
    "statement.correct": lambda session, actor, row, _today: _correctable(session, actor, row),
    "statement.reopen": lambda session, actor, row, _today: statements.makes(session, actor, row)
    and approvals.refused(session, row),
    "statement.reverse": lambda session, _actor, row, _today: reversals.is_reversible(session, row),
    "inquiry.raise": lambda _session, actor, row, _today: row.state in inquiries.ASKED_IN
    and row.maker_id != actor.member_id,
    "use.count": _row(lambda row: not _of_registration(row)),
}  # fmt: skip


DECISIONS = {
    verb for verb, roles in MAY.items()
    if verb.startswith("application.") and set(roles) == {"registrar"}
}  # fmt: skip


def fits(name: str, session: Session, actor: Actor, row: Any, today: date) -> bool:
    """Whether a deed makes sense on a row, for this actor, today."""
    if name in DECISIONS and not actor.parties.isdisjoint(registration.concerned(session, row)):
        return False  # whose registration it is about does not decide on it either
    return name not in FITS or FITS[name](session, actor, row, today)
