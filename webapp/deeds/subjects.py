"""What a path names: how each subject is found, whose it is, and which of them a person sees."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, String, cast, false, or_, select
from sqlalchemy.orm import Session

from ledger import (
    agreements,
    alarms,
    appraisals,
    authorisations,
    bank_accounts,
    books,
    catalogue,
    catalogue_imports,
    confirmations,
    demands,
    duties,
    evaluations,
    exclusions,
    feedback,
    holds,
    inquiries,
    journals,
    limits,
    log,
    motions,
    objections,
    orders,
    parties,
    payout_rows,
    peers,
    periods,
    prices,
    recognition,
    reconciliation,
    refunds,
    registration,
    remittances,
    rights,
    statements,
    stewards,
    trading,
    usage,
    vouchers,
)
from ledger.agreements import Agreement
from ledger.alarm_rows import Alarm
from ledger.appraisals import Appraisal
from ledger.authorisations import Authorisation
from ledger.bank_accounts import BankAccount
from ledger.books import Entry
from ledger.catalogue import Resource
from ledger.catalogue_imports import CatalogueImport
from ledger.confirmations import Confirmation
from ledger.demands import Demand
from ledger.duties import Duty
from ledger.errors import Missing
from ledger.evaluations import Evaluation
from ledger.exclusions import Exclusion
from ledger.feedback import Feedback
from ledger.holds import Hold
from ledger.inquiries import Inquiry
from ledger.journals import Journal
from ledger.limits import AccountLimit
from ledger.motions import Motion
from ledger.objections import Objection
from ledger.orders import Order
from ledger.parties import Account, Actor, Member, Party
from ledger.payout_rows import Payout
from ledger.peers import Peer
from ledger.periods import Period
from ledger.prices import Price
from ledger.recognition import Recognition
from ledger.reconciliation import Difference, Reconciliation
from ledger.refunds import Refund
from ledger.registration import Application, Deposit, Registration
from ledger.remittances import Remittance
from ledger.schemes import Scheme
from ledger.statements import Statement
from ledger.stewards import Steward
from ledger.store import Evidence
from ledger.trading import Licence, Payment
from ledger.vouchers import Voucher

Owners = Callable[[Session, Any], Iterable[str]]


@dataclass(frozen=True)
class Subject:
    """A kind of thing a path can name. `mine(party)` selects the rows of an organisation.

    `seen(session, actor)` selects the rows that exist for somebody, where that is not for all (None);
    what does not exist for him is missing, like what nobody ever entered.
    """

    noun: str
    model: type[Evidence]
    find: Callable[[Session, str], Any]
    owners: Owners
    mine: Callable[[str], ColumnElement[bool]]
    number: Callable[[Any], str]
    key: str = ""
    seen: Callable[[Session, Actor], ColumnElement[bool] | None] = lambda _session, _actor: None
    missing: Callable[[str], Missing] = lambda key: Missing("There is no {key}.", key=key)

    def require_seen(self, session: Session, actor: Actor, row: Any) -> None:
        """Raise Missing, as for an unknown key, unless the row exists for the actor."""
        seen = self.seen(session, actor)
        if seen is None:
            return
        if session.scalar(select(self.model.id).where(self.model.id == row.id, seen)) is None:
            raise self.missing(self.number(row))


def _through(column: Any, model: type[Evidence], where: ColumnElement[bool]) -> ColumnElement[bool]:
    return column.in_(select(model.id).where(where))  # type: ignore[no-any-return]


def _agreement_of(party: str) -> ColumnElement[bool]:
    return or_(Agreement.operator_id == party, Agreement.implementer_id == party)


def _agreement_concerns(party: str) -> ColumnElement[bool]:
    """Those of its sides, and those that ask it for consent to the use of its data."""
    asked = cast(Agreement.provider_ids, String).contains(f'"{party}"')
    return or_(_agreement_of(party), asked)


def _licence_of(party: str) -> ColumnElement[bool]:
    return or_(
        Licence.licensee_id == party,
        _through(Licence.voucher_id, Voucher, Voucher.party_id == party),
    )


def _entry_of(party: str) -> ColumnElement[bool]:
    """An entry of before does not say its book: its statement does."""
    of_statement = _through(
        Entry.cause_id,
        Statement,
        _through(Statement.agreement_id, Agreement, _agreement_of(party)),
    )
    return or_(_through(Entry.book_id, Agreement, _agreement_of(party)), of_statement)


def _appraisal_of(party: str) -> ColumnElement[bool]:
    return or_(
        _through(Appraisal.registration_id, Registration, Registration.party_id == party),
        _through(Appraisal.maker_id, Member, Member.party_id == party),
    )


def _inquiry_of(party: str) -> ColumnElement[bool]:
    """Those it asked, those on statements of its agreements, and those its own member has to answer."""
    its_agreements = _through(Statement.agreement_id, Agreement, _agreement_of(party))
    made_there = _through(Statement.maker_id, Member, Member.party_id == party)
    return or_(
        Inquiry.party_id == party,
        _through(Inquiry.statement_id, Statement, or_(its_agreements, made_there)),
    )


def _known_to(_session: Session, actor: Actor) -> ColumnElement[bool] | None:
    """A natural person's code is told by himself: it is listed to himself and the registry's people."""
    if actor.roles & {"administrator", "registrar", "regulator"}:
        return None
    return or_(Party.kind != "individual", Party.id.in_(sorted(actor.parties)))


def _concerned_with(_session: Session, actor: Actor) -> ColumnElement[bool] | None:
    """An authorised use is its user's and its provider's, the registrar's and the regulator's business.

    Others may verify its voucher by number, like everybody; who is behind it they are not told.
    """
    if actor.roles & {"registrar", "regulator"}:
        return None
    theirs = sorted(actor.parties)
    return or_(
        Voucher.kind != "authorised_use",
        Voucher.party_id.in_(theirs),
        Voucher.provider_id.in_(theirs),
    )


def member_by_login(session: Session, login: str) -> Member:
    """The member with a login; raises Missing."""
    found = session.scalar(
        select(Member).join(Account, Account.member_id == Member.id).where(Account.login == login)
    )
    if found is None:
        raise Missing("There is no member {login}.", login=login)
    return found


def payment_by_reference(session: Session, reference: str) -> Payment:
    """The payment with a bank reference; raises Missing."""
    found = session.scalar(select(Payment).where(Payment.reference == reference))
    if found is None:
        raise Missing("There is no payment {reference}.", reference=reference)
    return found


def deposit_by_digest(session: Session, text: str) -> Deposit:
    """The deposit with an id; raises Missing."""
    found = session.get(Deposit, text)
    if found is None:
        raise Missing("There is no deposit {id}.", id=text)
    return found


def scheme_by_id(session: Session, scheme_id: str) -> Scheme:
    """The scheme with an id; raises Missing."""
    found = session.get(Scheme, scheme_id)
    if found is None:
        raise Missing("There is no scheme {id}.", id=scheme_id)
    return found


def _agreement(session: Session, scheme: Scheme) -> Agreement:
    return session.get_one(Agreement, scheme.agreement_id)


SUBJECTS = {
    subject.key: subject
    for subject in (
        Subject("party", Party, parties.party_by_uscc, lambda _s, row: (row.id,),
                lambda party: Party.id == party, lambda row: row.uscc, "uscc", _known_to),
        Subject("member", Member, member_by_login, lambda _s, row: (row.party_id,),
                lambda party: Member.party_id == party, lambda row: row.id, "login"),
        Subject("evidence", Deposit, deposit_by_digest, lambda _s, row: (row.party_id,),
                lambda party: Deposit.party_id == party, lambda row: row.id, "deposit_id"),
        Subject("resource", Resource, catalogue.resource_by_code,
                lambda _s, row: (row.provider_id,) if row.provider_id else (),
                lambda party: Resource.provider_id == party, lambda row: row.code, "resource_code",
                catalogue.visible, catalogue.missing),
        Subject("catalogue", CatalogueImport, catalogue_imports.import_by_id,
                lambda _s, row: catalogue_imports.proposers(row), catalogue_imports.proposed_by,
                lambda row: row.id, "import_id"),
        Subject("agreement", Agreement, agreements.by_number,
                agreements.concerned, _agreement_concerns,
                lambda row: row.number, "agreement_number"),
        Subject("evaluation", Evaluation, evaluations.by_number, evaluations.owners,
                lambda party: _through(Evaluation.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "evaluation_number"),
        Subject("application", Application, registration.application_by_number,
                lambda _s, row: registration.owners(row),
                lambda party: registration.of_party(Application, party),
                lambda row: row.number, "application_number"),
        Subject("objection", Objection, objections.by_number,
                objections.owners_of, objections.of_party,
                lambda row: row.number, "objection_number"),
        Subject("registration", Registration, registration.by_code,
                lambda _s, row: registration.owners(row),
                lambda party: registration.of_party(Registration, party), lambda row: row.code,
                "registration_code"),
        Subject("voucher", Voucher, vouchers.by_number, lambda _s, row: (row.party_id,),
                lambda party: Voucher.party_id == party, lambda row: row.number, "voucher_number",
                _concerned_with),
        Subject("motion", Motion, motions.by_number, motions.owners,
                lambda party: _through(Motion.voucher_id, Voucher, Voucher.party_id == party),
                lambda row: row.number, "motion_number"),
        Subject("authorisation", Authorisation, authorisations.by_number, authorisations.owners,
                authorisations.of_party, lambda row: row.number, "authorisation_number"),
        Subject("appraisal", Appraisal, appraisals.by_number, appraisals.owners, _appraisal_of,
                lambda row: row.number, "appraisal_number"),
        Subject("licence", Licence, trading.licence_by_order, trading.licence_owners, _licence_of,
                lambda row: row.order_reference, "order"),
        Subject("payment", Payment, payment_by_reference,
                lambda s, row: trading.licence_owners(s, s.get_one(Licence, row.licence_id)),
                lambda party: _through(Payment.licence_id, Licence, _licence_of(party)),
                lambda row: row.reference, "reference"),
        Subject("remittance", Remittance, remittances.by_reference, remittances.owners,
                lambda party: or_(Remittance.party_id == party, _through(
                    Remittance.agreement_id, Agreement, _agreement_of(party))),
                lambda row: row.reference, "remittance_reference"),
        Subject("order", Order, orders.by_reference, orders.owners,
                lambda party: or_(Order.buyer_id == party, _through(
                    Order.voucher_id, Voucher, Voucher.party_id == party)),
                lambda row: row.reference, "order_reference"),
        Subject("refund", Refund, refunds.by_number, refunds.owners,
                lambda party: or_(Refund.buyer.in_(select(Party.uscc).where(Party.id == party)),
                                  _through(Refund.agreement_id, Agreement, _agreement_of(party))),
                lambda row: row.number, "refund_number"),
        Subject("confirmation", Confirmation, confirmations.by_number, confirmations.owners,
                lambda party: or_(Confirmation.exchange_id == party, _through(
                    Confirmation.agreement_id, Agreement, _agreement_of(party))),
                lambda row: row.number, "confirmation_number"),
        Subject("price", Price, prices.by_number, prices.owners,
                lambda party: _through(Price.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "price_number"),
        Subject("scheme", Scheme, scheme_by_id,
                lambda s, row: agreements.owners(_agreement(s, row)),
                lambda party: _through(Scheme.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.id, "scheme_id"),
        Subject("statement", Statement, statements.by_number, statements.owners,
                lambda party: _through(Statement.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "statement_number"),
        Subject("bank_account", BankAccount, bank_accounts.by_number, lambda _s, row: (row.party_id,),
                lambda party: BankAccount.party_id == party, lambda row: row.number, "bank_account"),
        Subject("payout", Payout, payout_rows.by_number, lambda _s, _row: (), lambda _party: false(),
                lambda row: row.number, "payout_number"),
        Subject("reconciliation", Reconciliation, reconciliation.by_number, lambda _s, _row: (),
                lambda _party: false(), lambda row: row.number, "reconciliation_number"),
        Subject("difference", Difference, reconciliation.difference_by_number, reconciliation.owners,
                lambda party: Difference.owner_id == party, lambda row: row.number,
                "difference_number"),
        Subject("inquiry", Inquiry, inquiries.by_number, inquiries.owners_of, _inquiry_of,
                lambda row: row.number, "inquiry_number"),
        Subject("period", Period, periods.by_number, periods.owners,
                lambda party: _through(Period.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "period_number"),
        Subject("journal", Journal, journals.by_number, journals.owners,
                lambda party: _through(Journal.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "journal_number"),
        Subject("limit", AccountLimit, limits.by_number, limits.owners,
                lambda party: _through(AccountLimit.agreement_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "limit_number"),
        Subject("entry", Entry, books.by_number, books.owners, _entry_of,
                lambda row: row.number, "entry_number"),
        Subject("hold", Hold, holds.by_number, holds.owners,
                lambda party: _through(Hold.book_id, Agreement, _agreement_of(party)),
                lambda row: row.number, "hold_number"),
        Subject("steward", Steward, stewards.by_id, lambda _s, row: (row.party_id,),
                lambda party: Steward.party_id == party, lambda row: row.id, "steward_id"),
        Subject("demand", Demand, demands.by_number, demands.owners, demands.of_party,
                lambda row: row.number, "demand_number"),
        Subject("exclusion", Exclusion, exclusions.by_number, lambda _s, row: (row.party_id,),
                lambda party: Exclusion.party_id == party, lambda row: row.number, "exclusion_number",
                exclusions.visible, exclusions.missing),
        Subject("duty", Duty, duties.by_number, lambda _s, row: duties.owners(row),
                lambda party: Duty.party_id == party, lambda row: row.number, "duty_number"),
        Subject("feedback", Feedback, feedback.by_number, feedback.owners, feedback.of_party,
                lambda row: row.number, "feedback_number"),
        Subject("alarm", Alarm, alarms.by_number, lambda _s, row: alarms.owners(row),
                lambda party: Alarm.owner_id == party, lambda row: row.number, "alarm_number"),
        Subject("peer", Peer, peers.find, lambda _s, _row: (), lambda _party: false(),
                lambda row: row.id, "peer_id"),
        Subject("recognition", Recognition, recognition.by_id, lambda _s, _row: (),
                lambda _party: false(), lambda row: row.id, "recognition_id"),
        Subject("usage", usage.Batch, usage.by_number, lambda _s, row: (row.party_id,),
                lambda party: usage.Batch.party_id == party, lambda row: row.number, "batch_number"),
    )
}  # fmt: skip
BY_NOUN = {subject.noun: subject for subject in SUBJECTS.values()}


def visible(session: Session, actor: Actor, noun: str) -> ColumnElement[bool] | None:
    """Which rows of a noun the actor may read: None for all, a condition for those of his own."""
    mine, seen = _readable(actor, noun), BY_NOUN[noun].seen(session, actor)
    if mine is None or seen is None:
        return seen if mine is None else mine
    return mine & seen


def _readable(actor: Actor, noun: str) -> ColumnElement[bool] | None:
    """Which rows his roles let him read."""
    relations = {
        relation
        for role, relation in rights.MAY[f"{noun}.read"].items()
        if role in parties.roles_of(actor)
    }
    if "any" in relations:
        return None
    subject = BY_NOUN[noun]
    mine = owned(actor, subject)
    if relations == {"other"}:
        return ~mine
    return mine if relations else false()


def owned(actor: Actor, subject: Subject) -> ColumnElement[bool]:
    """Which rows of a noun are his organisation's, those of its predecessors that stayed included."""
    return or_(*(subject.mine(party) for party in sorted(actor.parties)))


def matching(model: type[Evidence], words: str, *columns: Any) -> ColumnElement[bool]:
    """Rows in which every word of `words` stands in one of the columns, whatever its case."""
    found: list[ColumnElement[bool]] = []
    for word in words.split()[:8]:
        plain = word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        found.append(
            or_(*(cast(column, String).ilike(f"%{plain}%", escape="\\") for column in columns))
        )
    whole = found[0] if found else model.id.is_not(None)
    for one in found[1:]:
        whole = whole & one
    return whole


def rung_of(session: Session, row: Evidence) -> str:
    """How far the last record of a row has climbed."""
    return log.rung(session, log.record_of(session, row.id, row.version))
