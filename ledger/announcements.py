"""Announcements: whom a deed's record concerns is told of it, in the deed's own transaction.

    EVENTS     record kind → what is said, and to whom
    announce   makes the messages of a deed's records; whoever did it himself is not told

A verb does nothing for it: a new kind is one line. What a message says is a number; the reader finds the
rest on the subject's page, if he may read it.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from ledger import log, messages
from ledger.agreements import Agreement
from ledger.messages import To
from ledger.statements import Statement, makers_party

Body = Mapping[str, Any]
Whom = Callable[[Session, Body], tuple[To, ...]]


def _applicant(_session: Session, body: Body) -> tuple[To, ...]:
    """Whose it is, and who applied together with him or has to consent."""
    others = [one["party_id"] for one in body.get("consents") or ()] + (body.get("joint_ids") or [])
    return tuple(To(party_id=one) for one in (body["party_id"], *others))


def _subject(_session: Session, body: Body) -> tuple[To, ...]:
    return (To("data_subject", body["subject_id"]),)


def _asker(_session: Session, body: Body) -> tuple[To, ...]:
    return (To(party_id=body["user_id"]), To(party_id=body["provider_id"]))


def _all_three(session: Session, body: Body) -> tuple[To, ...]:
    return (*_subject(session, body), *_asker(session, body))


def _owner(_session: Session, body: Body) -> tuple[To, ...]:
    return (To(party_id=body["owner_id"]),) if body["owner_id"] else ()


def _regulator(_session: Session, _body: Body) -> tuple[To, ...]:
    return (To("regulator"),)


def _motion_registrars(_session: Session, _body: Body) -> tuple[To, ...]:
    return (To("registrar"),)


def _importers(_session: Session, _body: Body) -> tuple[To, ...]:
    """Who took a voucher of another registry over, or relies on it."""
    return (To("registrar"), To("exchange"))


def _registrars(_session: Session, body: Body) -> tuple[To, ...]:
    """Those who decide on it: of another organisation than whose it is."""
    return (To("registrar", other_than=body.get("party_id")),)


def _registrars_and_consents(session: Session, body: Body) -> tuple[To, ...]:
    """Those who decide on it, and those whose consent it waits for."""
    asked = [one["party_id"] for one in body["consents"] or () if one["by"] is None]
    return (*_registrars(session, body), *(To(party_id=one) for one in asked))


def _licence_parties(session: Session, body: Body) -> tuple[To, ...]:
    """Whose the registration is, and for whom the newest licence was entered."""
    newest = (body["licences"] or [])[-1:]
    return (*_applicant(session, body), *(To(party_id=one["party_id"]) for one in newest))


def _holder_and_registrars(session: Session, body: Body) -> tuple[To, ...]:
    return (*_applicant(session, body), *_registrars(session, body))


def _provider(_session: Session, body: Body) -> tuple[To, ...]:
    return (To("provider", body["party_id"]),)


def _department(_session: Session, body: Body) -> tuple[To, ...]:
    """Who owes the answer: the department; where it takes no part, the registrars."""
    party_id = body["department_id"]
    return (To("provider", party_id),) if party_id else (To("registrar"),)


def _whoever_asked(_session: Session, body: Body) -> tuple[To, ...]:
    return (To(party_id=body["party_id"]),)


def _both(session: Session, body: Body) -> tuple[To, ...]:
    return (*_whoever_asked(session, body), *_department(session, body))


def _implementer(_session: Session, body: Body) -> tuple[To, ...]:
    return (To("provider", body["implementer_id"]),)


def _agreement_operator(_session: Session, body: Body) -> tuple[To, ...]:
    return (To("operator", body["operator_id"]),)


def _agreement_sides(session: Session, body: Body) -> tuple[To, ...]:
    return (*_implementer(session, body), *_agreement_operator(session, body))


def _scheme_implementer(session: Session, body: Body) -> tuple[To, ...]:
    return _implementer(session, session.get_one(Agreement, body["agreement_id"]).body())


def _scheme_operator(session: Session, body: Body) -> tuple[To, ...]:
    return _agreement_operator(session, session.get_one(Agreement, body["agreement_id"]).body())


def _party(_session: Session, body: Body) -> tuple[To, ...]:
    return (To(party_id=body["party_id"]),)


def _checkers(_session: Session, _body: Body) -> tuple[To, ...]:
    return (To("finance_checker"),)


def _owing(_session: Session, body: Body) -> tuple[To, ...]:
    """Who has to answer a difference."""
    owner = body["owner_id"]
    return (To(party_id=owner),) if owner else (To("finance_maker"),)


def _statement_makers(session: Session, body: Body) -> tuple[To, ...]:
    """Those of the organisation that made the statement which a question is on."""
    statement = session.get_one(Statement, body["statement_id"])
    return (To("finance_maker", makers_party(session, statement)),)


EVENTS: dict[str, tuple[str, Whom]] = {
    "bank_account.entered": ("Bank account {number} waits to be confirmed.", _checkers),
    # to whom it would be a surprise that his money goes elsewhere
    "bank_account.confirmed": ("Your organisation is paid to bank account {number} from now on.", _party),
    "payout.prepared": ("Payout {number} waits to be approved.", _checkers),
    "difference.found": ("Difference {number} waits for your answer.", _owing),
    "difference.reopened": ("Difference {number} waits for another answer.", _owing),
    "application.submitted": ("Application {number} was submitted.", _registrars_and_consents),
    "application.returned": ("Application {number} was returned: it lacks something.", _applicant),
    "application.refused": ("Application {number} was not accepted.", _applicant),
    "application.accepted": ("Application {number} was accepted.", _applicant),
    "application.rejected": ("Application {number} was rejected.", _applicant),
    "application.reviewed": ("Application {number} passed its review.", _applicant),
    "application.noticed": ("Application {number} is on public notice.", _applicant),
    "application.objected": ("There is an objection to application {number}.", _holder_and_registrars),
    "application.terminated": ("Application {number} was terminated: an objection was upheld.",
                               _applicant),
    "application.renoticed": ("Application {number} is on public notice again.", _applicant),
    "application.registered": ("Application {number} is registered.", _applicant),
    "application.withdrawn": ("Application {number} was withdrawn.", _registrars),
    "application.consented": ("A consent to application {number} was given.", _applicant),
    "application.doubted": ("The review of application {number} is to be done again.", _registrars),
    "application.concluded": ("Application {number} is concluded.", _applicant),
    "objection.raised": ("Objection {number} was raised.", _registrars),
    "objection.upheld": ("Objection {number} was upheld.", _whoever_asked),
    "objection.dismissed": ("Objection {number} was dismissed.", _whoever_asked),
    "registration.inquired": ("Registration {number} is being verified.", _holder_and_registrars),
    "registration.cleared": ("Registration {number} is in order.", _applicant),
    "registration.changed": ("Registration {number} was changed.", _applicant),
    "registration.corrected": ("Registration {number} was corrected.", _applicant),
    "registration.licensed": ("A licence under registration {number} was entered.", _licence_parties),
    "registration.disputed": ("An objection to registration {number} was entered.", _applicant),
    "registration.lifted": ("An objection to registration {number} is settled.", _applicant),
    "registration.renewed": ("Registration {number} was renewed.", _applicant),
    "registration.transferred": ("Registration {number} was transferred.", _applicant),
    "motion.proposed": ("Motion {number} waits for a second registrar.", _motion_registrars),
    "authorisation.requested": ("Authorisation {number} waits for your consent.", _subject),
    "authorisation.consented": ("The data subject consented to authorisation {number}.", _asker),
    "authorisation.refused": ("The data subject refused authorisation {number}.", _asker),
    "authorisation.issued": ("The voucher of authorisation {number} was issued.", _all_three),
    "authorisation.withdrawn": ("The consent to authorisation {number} was withdrawn.", _asker),
    "authorisation.ended": ("Authorisation {number} has ended.", _all_three),
    "alarm.raised": ("Alarm {number} waits for your explanation.", _owner),
    "alarm.explained": ("Alarm {number} was explained.", _regulator),
    "alarm.reopened": ("Alarm {number} is open again.", _owner),
    "recognition.revoked": ("The recognised voucher {number} was revoked by its issuer.", _importers),
    "recognition.suspended": ("The recognised voucher {number} was suspended by its issuer.", _importers),
    "registration.cancelled": ("Registration {number} was cancelled.", _applicant),
    "registration.revoked": ("Registration {number} was revoked.", _applicant),
    "registration.lapsed": ("Registration {number} has lapsed.", _holder_and_registrars),
    "voucher.issued": ("Voucher {number} was issued.", _applicant),
    "voucher.suspend": ("Voucher {number} was suspended.", _applicant),
    "voucher.resume": ("Voucher {number} is valid again.", _applicant),
    "voucher.revoke": ("Voucher {number} was revoked.", _applicant),
    "voucher.cancel": ("Voucher {number} was cancelled.", _applicant),
    "voucher.renew": ("Voucher {number} was renewed.", _applicant),
    "voucher.transfer": ("Voucher {number} was transferred.", _applicant),
    "voucher.pledge": ("Voucher {number} was pledged.", _applicant),
    "voucher.release": ("The pledge on voucher {number} was released.", _applicant),
    "voucher.freeze": ("Voucher {number} was frozen by the regulator.", _holder_and_registrars),
    "voucher.unfreeze": ("Voucher {number} is no longer frozen.", _holder_and_registrars),
    "agreement.proposed": ("Agreement {number} waits for your signature.", _implementer),
    "agreement.signed": ("Agreement {number} is signed and in force.", _agreement_operator),
    "agreement.declined": ("Agreement {number} was declined.", _agreement_operator),
    "agreement.withdrawn": ("Agreement {number} was withdrawn.", _implementer),
    "agreement.end_proposed": ("The early end of agreement {number} was proposed.", _agreement_sides),
    "agreement.expired": ("Agreement {number} has expired.", _agreement_sides),
    "agreement.handed_back": ("What agreement {number} covered was handed back.", _agreement_sides),
    "agreement.ended": ("Agreement {number} has ended.", _agreement_sides),
    "price.proposed": ("Price setting {number} waits for your confirmation.", _scheme_implementer),
    "price.confirmed": ("Price setting {number} is confirmed.", _scheme_operator),
    "price.rejected": ("Price setting {number} was rejected.", _scheme_operator),
    "scheme.proposed": ("A sharing scheme of agreement {number} waits for your consent.",
                        _scheme_implementer),
    "scheme.agreed": ("The sharing scheme of agreement {number} is agreed.", _scheme_operator),
    "inquiry.raised": ("Question {number} on a statement waits for an answer.", _statement_makers),
    "inquiry.insisted": ("The answer to question {number} does not satisfy who asked.", _statement_makers),
    "inquiry.answered": ("Question {number} was answered.", _whoever_asked),
    "duty.reported": ("Duty {number} was reported: the catalogue has to change.", _provider),
    "duty.settled": ("Duty {number} is settled and waits to be confirmed.", _registrars),
    "duty.confirmed": ("Duty {number} is confirmed.", _provider),
    "duty.reopened": ("Duty {number} is open again.", _provider),
    "demand.submitted": ("Demand {number} was submitted.", _registrars),
    "demand.assigned": ("Demand {number} waits for your department's answer.", _department),
    "demand.accepted": ("Demand {number} was accepted.", _whoever_asked),
    "demand.refused": ("Demand {number} was refused.", _whoever_asked),
    "demand.fulfilled": ("Demand {number} is fulfilled.", _whoever_asked),
    "demand.appealed": ("There is an appeal on demand {number}.", _registrars),
    "demand.upheld": ("The appeal on demand {number} was upheld.", _both),
    "demand.dismissed": ("The appeal on demand {number} was dismissed.", _both),
    "exclusion.proposed": ("Entry {number} of the negative list waits for a decision.", _registrars),
    "exclusion.approved": ("Entry {number} of the negative list is in force.", _provider),
    "exclusion.rejected": ("Entry {number} of the negative list was rejected.", _provider),
    "exclusion.ended": ("Entry {number} of the negative list has ended.", _provider),
    "feedback.raised": ("Feedback {number} waits for an answer.", _department),
    "feedback.answered": ("Feedback {number} was answered.", _whoever_asked),
    "feedback.appealed": ("There is an appeal on feedback {number}.", _registrars),
    "feedback.upheld": ("The appeal on feedback {number} was upheld.", _both),
    "feedback.dismissed": ("The appeal on feedback {number} was dismissed.", _both),
}  # fmt: skip


def announce(session: Session, now: datetime) -> int:
    """Tell whom the noted records concern; how many messages that made. Call before `log.sequence`."""
    made = 0
    for noted in log.pending(session):
        if noted.kind not in EVENTS:
            continue
        template, whom = EVENTS[noted.kind]
        number = _number(session, noted)
        made += messages.tell(
            session, now, to=whom(session, noted.body), template=template, noun=noted.subject_type,
            subject_id=noted.subject_id, number=_key(noted, number),
            event=f"{noted.kind} {noted.subject_id} {noted.subject_version}",
            facts={"number": number}, done_by=noted.actor,
        )  # fmt: skip
    return made


def _number(session: Session, noted: log.Pending) -> str:
    """What people call the subject; a scheme they call by its agreement."""
    body = noted.body
    if noted.subject_type == "scheme":
        return session.get_one(Agreement, body["agreement_id"]).number
    return str(body.get("number") or body["code"])


def _key(noted: log.Pending, number: str) -> str:
    """What the subject's page is called by."""
    return noted.subject_id if noted.subject_type == "scheme" else number
