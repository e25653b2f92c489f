"""The nouns of the ledger, each a module with tables of its own, which are known once it is read."""

from ledger import (
    agreements,
    alarm_rows,
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
    handoff,
    holds,
    inquiries,
    journals,
    limits,
    log,
    messages,
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
    registration_rows,
    remittances,
    schemes,
    search,
    settings,
    settlements,
    statements,
    stewards,
    successions,
    trading,
    usage,
    uses,
    voucher_rows,
    vouchers,
    witnesses,
)
from ledger.chain import outbox
from ledger.store import Evidence

NOUNS = (agreements, alarm_rows, appraisals, authorisations, bank_accounts, books, catalogue,
         catalogue_imports, confirmations, demands, duties, evaluations, exclusions, feedback, handoff,
         holds, inquiries, journals, limits, log, messages, motions, objections, orders, outbox, parties,
         payout_rows, peers, periods, prices, recognition, reconciliation, refunds, registration_rows,
         remittances, schemes, search, settings, settlements, statements, stewards, successions, trading,
         usage, uses, voucher_rows, vouchers, witnesses)  # fmt: skip


def evidence_tables() -> list[type[Evidence]]:
    """Every table whose rows are the fold of records."""
    return sorted(Evidence.__subclasses__(), key=lambda table: table.__tablename__)
