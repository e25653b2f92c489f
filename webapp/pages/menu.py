"""The menu: which pages stand in it, in groups, for whoever may read them."""

from collections.abc import Container

from flask import url_for

from ledger.parties import Actor, allowed

# group → (endpoint, what a visitor must be allowed to read, title)
GROUPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "": (
        ("work_read", "work.read", "My work"),
        ("space_read", "space.read", "My data space"),
        ("resource_list", "resource.read", "Catalogue"),
        ("catalogue_list", "catalogue.read", "Change sets"),
    ),
    "Three lists": (
        ("demand_list", "demand.read", "Demands"),
        ("responsibility_read", "responsibility.read", "Responsibility list"),
        ("exclusion_list", "exclusion.read", "Negative list"),
        ("feedback_list", "feedback.read", "Objections and feedback"),
        ("duty_list", "duty.read", "Duties to change the catalogue"),
        ("duty_overdue", "duty.read", "Overdue in the catalogue"),
    ),
    "Registration": (
        ("agreement_list", "agreement.read", "Agreements"),
        ("evaluation_due", "evaluation.read", "Evaluations due"),
        ("disclosure_list", "disclosure.read", "Authorised operation"),
        ("evidence_list", "evidence.read", "Deposits"),
        ("application_list", "application.read", "Applications"),
        ("registration_list", "registration.read", "Registrations"),
        ("notices", "notice.read", "Public notices"),
        ("objection_list", "objection.read", "Objections"),
    ),
    "Vouchers and value": (
        ("voucher_list", "voucher.read", "Vouchers"),
        ("motion_list", "motion.read", "Motions on vouchers"),
        ("authorisation_list", "authorisation.read", "Authorised uses"),
        ("appraisal_list", "appraisal.read", "Appraisals"),
        ("calculator", "work.read", "Calculator"),
        ("recognition_test", "figure.compute", "Recognition test"),
        ("disclosure", "figure.compute", "Disclosure table"),
        ("recognition_list", "recognition.read", "Recognised vouchers"),
        ("peer_list", "peer.read", "Registries recognised here"),
    ),
    "Trade": (
        ("price_list", "price.read", "Price settings"),
        ("order_list", "order.read", "Orders"),
        ("licence_list", "licence.read", "Licences"),
        ("payment_list", "payment.read", "Payments"),
        ("remittance_list", "remittance.read", "Remittances"),
        ("refund_list", "refund.read", "Refunds"),
        ("confirmation_list", "confirmation.read", "Confirmed trades"),
        ("usage_list", "usage.read", "Usage"),
        ("contribution", "figure.compute", "Contributions"),
    ),
    "Finance": (
        ("finance_list", "finance.read", "Period overview"),
        ("statement_list", "statement.read", "Statements"),
        ("inquiry_list", "inquiry.read", "Questions on statements"),
        ("payout_list", "payout.read", "Payouts"),
        ("bank_account_list", "bank_account.read", "Bank accounts"),
        ("reconciliation_list", "reconciliation.read", "Reconciliations"),
        ("difference_list", "difference.read", "Differences"),
        ("period_list", "period.read", "Closed periods"),
        ("journal_list", "journal.read", "Journal vouchers"),
        ("entry_list", "entry.read", "Accounting entries"),
        ("hold_list", "hold.read", "Holds"),
        ("limit_list", "limit.read", "Limits of accounts"),
    ),
    "Statistics": (
        ("statistics_read", "statistics.read", "Statistical report"),
        ("national", "figure.compute", "Data in national accounts"),
    ),
    "Supervision": (
        ("supervision_read", "supervision.read", "Supervision overview"),
        ("alarm_list", "alarm.read", "Alarms of supervision"),
    ),
    "House": (
        ("party_list", "party.read", "Organisations"),
        ("member_list", "member.read", "Members"),
        ("house", "outbox.read", "State of the house"),
        ("permissions", "page.read", "Who may do what"),
        ("api_docs", "page.read", "API"),
    ),
    "Verification": (
        ("verify", "file.verify", "Verify"),
        ("log_read", "log.read", "Log"),
        ("witness_list", "witness.read", "Witnesses"),
    ),
}


def menu(actor: Actor, endpoints: Container[str]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The groups this visitor sees: title, and its pages as address and title."""
    made = []
    for group, places in GROUPS.items():
        seen = [
            (url_for(endpoint), title)
            for endpoint, verb, title in places
            if endpoint in endpoints and allowed(actor, verb)
        ]
        if seen:
            made.append((group, seen))
    return made
